package labeling_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// texts reads one language of the catalogue, and fails for a key that stands in it twice.
func texts(t *testing.T, lang string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("ui/strings/" + lang + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]string
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %v", lang, err)
	}
	if n := len(regexp.MustCompile(`(?m)^  "[^"]+": "`).FindAll(raw, -1)); n != len(out) {
		t.Errorf("%s.json has %d lines of texts, but %d keys", lang, n, len(out))
	}
	return out
}

// sources returns the content of all files of a kind, by path.
func sources(t *testing.T, pattern string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
	}
	out := map[string]string{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out[path] = string(raw)
	}
	return out
}

// Both languages have the same keys with the same placeholders, and no text is empty.
func TestLanguagesAreComplete(t *testing.T) {
	placeholders := func(text string) []string {
		return slices.Sorted(slices.Values(regexp.MustCompile(`\{\w+\}`).FindAllString(text, -1)))
	}
	en, zh := texts(t, "en"), texts(t, "zh")
	for key, text := range en {
		other, ok := zh[key]
		if !ok {
			t.Errorf("zh.json lacks %s", key)
			continue
		}
		if strings.TrimSpace(text) == "" || strings.TrimSpace(other) == "" {
			t.Errorf("%s is empty: %q, %q", key, text, other)
		}
		if a, b := placeholders(text), placeholders(other); !slices.Equal(a, b) {
			t.Errorf("%s has the placeholders %v in English and %v in Chinese", key, a, b)
		}
	}
	for key := range zh {
		if _, ok := en[key]; !ok {
			t.Errorf("en.json lacks %s", key)
		}
	}
}

// Every text that a template or module asks for is there, and every text that is there is asked for.
func TestEveryTextIsUsed(t *testing.T) {
	en, used := texts(t, "en"), map[string]bool{}
	asked := func(path, key string) {
		if _, ok := en[key]; !ok {
			t.Errorf("%s asks for %q, which en.json lacks", path, key)
		}
		used[key] = true
	}
	modules, templates := sources(t, "ui/static/*.js"), sources(t, "ui/pages/*.html")
	for path, text := range modules {
		for _, m := range regexp.MustCompile(`\bt\("([^"]+)"`).FindAllStringSubmatch(text, -1) {
			asked(path, m[1])
		}
		for _, m := range regexp.MustCompile(`"([a-z]+(?:\.[a-z_]+)+)"`).FindAllStringSubmatch(text, -1) { // keys in tables
			used[m[1]] = true
		}
	}
	for path, text := range templates {
		for _, m := range regexp.MustCompile(`\bt "([^"]+)"`).FindAllStringSubmatch(text, -1) {
			asked(path, m[1])
		}
		if name := strings.TrimSuffix(filepath.Base(path), ".html"); name != "layout" {
			asked(path, name+".title")
			used[name+".link"] = true
		}
	}
	for _, lang := range []string{"en", "zh"} {
		asked("layout.html", "layout.language."+lang)
	}
	for key := range en {
		if !used[key] {
			t.Errorf("nothing uses the text %s", key)
		}
	}
}

// Templates hold no text of their own, apart from the names on keys; modules hold none either, as far as a test can tell:
// a string of several words is a text.
func TestNoTextOutsideTheCatalogue(t *testing.T) {
	letters := regexp.MustCompile(`\pL`)
	for path, text := range sources(t, "ui/pages/*.html") {
		text = regexp.MustCompile(`\{\{[^}]*\}\}`).ReplaceAllString(text, "")
		for _, m := range regexp.MustCompile(`(aria-label|aria-description|title|placeholder|alt)="([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if letters.MatchString(m[2]) {
				t.Errorf("%s: %s", path, m[0])
			}
		}
		text = regexp.MustCompile(`(?s)<!--.*?-->|<kbd[^>]*>[^<]*</kbd>|<[^>]*>`).ReplaceAllString(text, "\n")
		for line := range strings.Lines(text) {
			if letters.MatchString(line) {
				t.Errorf("%s: the text %q", path, strings.TrimSpace(line))
			}
		}
	}
	for path, text := range sources(t, "ui/static/*.js") {
		text = regexp.MustCompile(`(?m)^\s*//.*$|^\s*/?\*.*$|;\s*// .*$`).ReplaceAllString(text, "")
		for _, m := range regexp.MustCompile(`"[A-Z(][^"]*\pL [^"]*"|`+"`[A-Z(][^`]*\\pL [^`]*`").FindAllString(text, -1) {
			if !strings.HasPrefix(m, `"M`) { // the path of an icon
				t.Errorf("%s: the text %s", path, m)
			}
		}
	}
}

// page gets a page with the given headers.
func (v *visitor) page(path string, headers ...string) string {
	v.t.Helper()
	status, _, text := v.call("GET", path, "", headers...)
	if status != 200 {
		v.t.Errorf("%s: %d", path, status)
	}
	return text
}

func TestLanguageAndThemeOfPages(t *testing.T) {
	v := newWorld(t, reviews[:1]).visitor(t)
	for _, test := range []struct {
		accept, cookie string
		want           string
	}{
		{"", "", `<html lang="en">`},
		{"zh-TW,zh;q=0.9,en;q=0.5", "", `<html lang="zh-Hans">`},
		{"fr, zh-CN;q=.1", "", `<html lang="zh-Hans">`},
		{"de,fr", "", `<html lang="en">`},
		{"zh;q=nonsense,,;", "", `<html lang="en">`},
		{"zh", "rlhf_lang=en", `<html lang="en">`},
		{"", "rlhf_lang=zh; rlhf_theme=dark", `<html lang="zh-Hans" data-theme="dark">`},
		{"", `rlhf_lang=xx; rlhf_theme="><script>`, `<html lang="en">`},
	} {
		if text := v.page("/", "Accept-Language", test.accept, "Cookie", test.cookie); !strings.Contains(text, test.want) {
			t.Errorf("Accept-Language %q, cookie %q: got %.80q, want %s", test.accept, test.cookie, text, test.want)
		}
	}
	if text := v.page("/", "Cookie", "rlhf_lang=zh"); !strings.Contains(text, "<h1>登录</h1>") || strings.Contains(text, "Sign in") {
		t.Errorf("the sign-in page in Chinese:\n%s", text)
	}
}

// What a page loads lies under an address that changes with its content, and may be kept for ever.
func TestStaticFilesAreImmutable(t *testing.T) {
	v := newWorld(t, reviews[:1]).visitor(t)
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:href|src)="(/static/[0-9a-f]{16}/[^"]+)"`).FindAllStringSubmatch(v.page("/"), -1) {
		status, header, text := v.call("GET", m[1], "")
		if status != 200 || text == "" || header.Get("Cache-Control") != "public, max-age=31536000, immutable" || !strings.Contains(header.Get("Content-Type"), "/") {
			t.Errorf("%s: %d, %v", m[1], status, header)
		}
		found[filepath.Base(m[1])] = true
	}
	if want := []string{"api.js", "base.css", "en.js", "i18n.js", "icon.svg", "signin.css", "signin.js", "top.js"}; !slices.Equal(slices.Sorted(maps.Keys(found)), want) {
		t.Errorf("the sign-in page loads %v, want %v", slices.Sorted(maps.Keys(found)), want)
	}
	label := regexp.MustCompile(`/static/[0-9a-f]{16}/`).FindString(v.page("/")) + "label.js"
	_, _, plain := v.call("GET", label, "", "Accept-Encoding", "identity")
	status, header, zipped := v.call("GET", label, "", "Accept-Encoding", "gzip")
	r, err := gzip.NewReader(strings.NewReader(zipped))
	if err != nil {
		t.Fatalf("%d, %v: %v", status, header, err)
	}
	if unzipped, err := io.ReadAll(r); err != nil || string(unzipped) != plain || len(zipped) > len(plain)/2 || header.Get("Content-Encoding") != "gzip" {
		t.Errorf("compressed, label.js has %d of %d bytes: %v, %v", len(zipped), len(plain), header, err)
	}
	v.want("GET", "/static/label.js", "", 404, "")
	v.want("GET", "/static/0000000000000000/label.js", "", 404, "")
}

func TestPagesAskForRoles(t *testing.T) {
	w := newWorld(t, reviews[:1])
	stranger, ada, boss := w.visitor(t), w.visitor(t), w.visitor(t)
	ada.signIn("ada")
	boss.signIn("boss")
	for _, v := range []*visitor{stranger, ada, boss} {
		v.http.CheckRedirect = noRedirect
	}
	for _, test := range []struct {
		v        *visitor
		path     string
		status   int
		location string
	}{
		{stranger, "/", 200, ""},
		{stranger, "/label", 303, "/?next=%2Flabel"},
		{stranger, "/admin?task=1&x=%20", 303, "/?next=%2Fadmin%3Ftask%3D1%26x%3D%2520"},
		{stranger, "/nothing", 404, ""},
		{ada, "/", 303, "/label"},
		{ada, "/?next=/admin", 303, "/admin"},
		{ada, "/?next=//example.com/", 303, "/label"},
		{ada, "/?next=https://example.com/label", 303, "/label"},
		{ada, "/?next=/labelled", 303, "/label"},
		{ada, "/label", 200, ""},
		{ada, "/admin", 403, ""},
		{boss, "/admin", 200, ""},
	} {
		status, header, _ := test.v.call("GET", test.path, "")
		if status != test.status || header.Get("Location") != test.location {
			t.Errorf("%s: got %d to %q, want %d to %q", test.path, status, header.Get("Location"), test.status, test.location)
		}
	}
	if text := ada.page("/label"); strings.Contains(text, `href="/admin"`) {
		t.Error("a labeler is shown the way to the admin's page")
	}
	if text := boss.page("/label"); !strings.Contains(text, `href="/admin"`) || !strings.Contains(text, `<a class="quiet" href="/label" aria-current="page">`) {
		t.Error("the admin is not shown the way to his page")
	}
}

func testLanguageAndTheme(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.prefer("prefers-color-scheme", "light", "prefers-reduced-motion", "reduce")
	p.signIn("ada", password)
	p.keys("a1b2")
	p.stands("1: A | 2: B | pool: C D")
	p.click("#account-button")
	p.click(`[data-language="zh"]`)
	p.wait(`document.documentElement.lang === "zh-Hans" && document.querySelector("#announce").textContent === "已恢复您未完成的排序。"`)
	p.stands("1: A | 2: B | pool: C D") // the draft has come through
	p.keys("c1")
	p.wait(`document.querySelector("#announce").textContent === "C 在第 1 名，与 A 并列。还有 1 个未排。"`)
	for _, text := range evaluate[[]string](p, `[...document.querySelectorAll(".top, .bar, .eyebrow, .vacant, .comment label")].map((node) => node.innerText)`) {
		if word := regexp.MustCompile(`[A-Za-z]{2,}`).FindString(strings.NewReplacer("ada", "", "Shift", "", "Enter", "").Replace(text)); word != "" {
			t.Errorf("%q in %q on the page in Chinese", word, text)
		}
	}
	ground := `getComputedStyle(document.body).backgroundColor`
	light := evaluate[string](p, ground)
	p.click("#account-button")
	p.click(`[data-scheme="dark"]`)
	p.wait(ground + ` !== ` + quote(light))
	dark := evaluate[string](p, ground)
	p.do(chromedp.Reload())
	p.wait(ground + ` === ` + quote(dark) + ` && document.querySelector(".card")`)
	p.click("#account-button")
	p.click(`[data-scheme=""]`)
	p.wait(ground + ` === ` + quote(light) + ` && !document.cookie.includes("rlhf_theme")`)
}

// quote returns a string as JavaScript writes it.
func quote(s string) string {
	raw, _ := json.Marshal(s) // strings have no error
	return string(raw)
}

// noRedirect leaves redirects to the test.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
