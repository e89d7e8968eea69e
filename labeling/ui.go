package labeling

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"mime"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// The pages (templates over pages/layout.html), what they load (static: style sheets, ES modules, pictures) and every text
// that people read, once in each language (strings). Pages hold no inline script and no inline style.
//
//go:embed ui
var uiFiles embed.FS

// languages are the languages of the pages; the first is that of a browser that asks for none of them.
var languages = []string{"en", "zh"}

// userInterface is what is embedded, made ready to be served.
type userInterface struct {
	static  string                                   // address under which assets are served; it changes with their content
	assets  map[string]asset                         // by name, such as "label.js" or "strings/en.js"
	strings map[string]map[string]string             // by language and key
	pages   map[string]map[string]*template.Template // by language and name
}

type asset struct {
	content   []byte
	gzipped   []byte
	mediaType string
	imports   []string // of a module: all that it loads, itself not among them
}

// loadUI reads the embedded files once. What is wrong with them is a programmer's mistake, which the first test meets.
var loadUI = sync.OnceValue(func() *userInterface {
	u := &userInterface{assets: map[string]asset{}, strings: map[string]map[string]string{}, pages: map[string]map[string]*template.Template{}}
	for _, load := range []func() error{u.loadStrings, u.loadAssets, u.prepareAssets, u.loadPages} {
		if err := load(); err != nil {
			panic(fmt.Sprintf("labeling: user interface: %v", err))
		}
	}
	return u
})

// loadStrings reads the catalogue and makes an ES module of each language.
func (u *userInterface) loadStrings() error {
	for _, lang := range languages {
		raw, err := uiFiles.ReadFile("ui/strings/" + lang + ".json")
		if err != nil {
			return err
		}
		var texts map[string]string
		if err := json.Unmarshal(raw, &texts); err != nil {
			return fmt.Errorf("strings/%s.json: %w", lang, err)
		}
		u.strings[lang] = texts
		compact, err := json.Marshal(texts)
		if err != nil {
			return err
		}
		u.assets["strings/"+lang+".js"] = asset{content: slices.Concat([]byte("export default "), compact, []byte(";\n")), mediaType: mediaType(".js")}
	}
	return nil
}

// loadAssets reads the static files. All share one address with the hash of them all in it, so that a module's relative
// import and a style sheet's relative url lead to files of the same version.
func (u *userInterface) loadAssets() error {
	entries, err := fs.ReadDir(uiFiles, "ui/static")
	if err != nil {
		return err
	}
	for _, e := range entries {
		content, err := uiFiles.ReadFile("ui/static/" + e.Name())
		if err != nil {
			return err
		}
		u.assets[e.Name()] = asset{content: content, mediaType: mediaType(e.Name())}
	}
	names := make([]string, 0, len(u.assets))
	for name := range u.assets {
		names = append(names, name)
	}
	slices.Sort(names)
	h := sha256.New()
	for _, name := range names {
		fmt.Fprintf(h, "%s %d\n%s", name, len(u.assets[name].content), u.assets[name].content)
	}
	u.static = "/static/" + hex.EncodeToString(h.Sum(nil)[:8])
	return nil
}

var importing = regexp.MustCompile(`(?m)^import .*"\./([a-z0-9-]+\.js)";$`)

// prepareAssets compresses every asset and finds what each module loads, so that a page asks for all of it at once.
func (u *userInterface) prepareAssets() error {
	for name, a := range u.assets {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(a.content); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		a.gzipped = b.Bytes()
		found := map[string]bool{name: true}
		for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
			for _, m := range importing.FindAllSubmatch(u.assets[queue[0]].content, -1) {
				module := string(m[1])
				if _, ok := u.assets[module]; !ok {
					return fmt.Errorf("%s imports %s, which is not there", queue[0], module)
				}
				if !found[module] {
					found[module] = true
					queue = append(queue, module)
				}
			}
		}
		delete(found, name)
		a.imports = slices.Sorted(maps.Keys(found))
		u.assets[name] = a
	}
	return nil
}

// mediaType does not ask the operating system, whose table may lack what a browser insists on for modules.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// loadPages parses every page once for each language, with the layout around it.
func (u *userInterface) loadPages() error {
	entries, err := fs.ReadDir(uiFiles, "ui/pages")
	if err != nil {
		return err
	}
	for _, lang := range languages {
		u.pages[lang] = map[string]*template.Template{}
		functions := template.FuncMap{
			"t":       func(key string, pairs ...any) (string, error) { return u.text(lang, key, pairs...) },
			"imports": func(name string) []string { return u.assets[name].imports },
			"has": func(name string) bool {
				_, ok := u.assets[name]
				return ok
			},
		}
		for _, e := range entries {
			name := strings.TrimSuffix(e.Name(), ".html")
			if name == "layout" {
				continue
			}
			t, err := template.New("layout.html").Option("missingkey=error").Funcs(functions).ParseFS(uiFiles, "ui/pages/layout.html", "ui/pages/"+e.Name())
			if err != nil {
				return err
			}
			u.pages[lang][name] = t
		}
	}
	return nil
}

// text returns the catalogue's text for a key, with each {name} replaced by the value that follows the name in pairs.
func (u *userInterface) text(lang, key string, pairs ...any) (string, error) {
	text, ok := u.strings[lang][key]
	if !ok {
		return "", fmt.Errorf("strings/%s.json has no key %q", lang, key)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%v}", pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return text, nil
}
