package repotest

import (
	"go/ast"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rlhf/configs"
)

// allowed says which of our packages a package may import. Tests may import more, but never cmd.
var allowed = map[string][]string{
	// ground floor: nothing of ours, so that each can be read alone
	"gpt/bpe":           {},
	"internal/dataset":  {},
	"internal/kernel":   {},
	"internal/metrics":  {},
	"internal/rng":      {},
	"internal/stats":    {},
	"storage":           {},
	"internal/report":   {"internal/metrics"}, // curves come from metrics files; a report knows no stage
	"internal/repotest": {},

	// the engine: kernels below, files and optimizer above
	"gpt":                 {"internal/kernel", "internal/rng"},
	"gpt/hf":              {"gpt"},
	"internal/optim":      {"gpt", "internal/kernel"},
	"internal/objective":  {}, // losses are over vectors; the model is whoever made them
	"internal/checkpoint": {"gpt", "gpt/hf", "internal/kernel", "internal/metrics", "internal/optim"},

	"internal/chat":         {"gpt/bpe", "internal/dataset"},                         // conversations as ids; both sides of it know nothing of one another
	"internal/conversation": {"gpt", "gpt/bpe", "internal/chat", "internal/dataset"}, // a model and its words, turn by turn; prints nothing
	"internal/corpus":       {},                                                      // ids in files larger than memory; where they come from is the caller's

	// stages see ids and floats, and never import one another
	"sft":    {"gpt", "internal/checkpoint", "internal/objective", "internal/optim", "internal/rng"},
	"reward": {"gpt", "internal/checkpoint", "internal/objective", "internal/optim", "internal/rng"},
	"ppo":    {"gpt", "internal/checkpoint", "internal/metrics", "internal/objective", "internal/optim", "internal/rng"},

	"labeling":          {"internal/dataset", "internal/rng", "internal/stats", "labeling/exchange", "labeling/figures", "labeling/render", "storage"},
	"labeling/exchange": {"internal/dataset", "storage"},               // files of rankings and the database; neither knows the other
	"labeling/figures":  {"internal/rng", "internal/stats", "storage"}, // numbers only: knows no HTTP
	"labeling/render":   {},                                            // texts in, HTML out
	"compare":           {"gpt", "internal/report", "internal/stats"},

	// settings: the Config types only
	"configs": {"compare", "internal/chat", "labeling", "ppo", "reward", "sft"},

	// wiring, and nobody imports it
	"cmd/rlhf": {"compare", "configs", "gpt", "gpt/bpe", "gpt/hf", "internal/chat", "internal/checkpoint", "internal/conversation", "internal/corpus", "internal/dataset", "internal/kernel", "internal/metrics",
		"internal/report", "internal/rng", "internal/stats", "labeling", "labeling/exchange", "labeling/figures", "ppo", "reward", "sft", "storage"},

	// benchmarks, beside the program: the workloads of bench are the engine and ppo as cmd wires them, over prompts and models that a
	// peer reads too; the two commands only start its workers and print
	"bench":          {"gpt", "gpt/bpe", "gpt/hf", "internal/checkpoint", "internal/dataset", "internal/kernel", "internal/optim", "internal/rng", "ppo", "reward"},
	"bench/peers":    {"bench"},
	"bench/growth":   {"bench"},
	"bench/labelers": {"labeling", "storage"}, // the server as a process of its own, under load
}

// only says where a module from outside may be imported, by prefix of its path.
var only = []struct {
	prefix, why string
	files       *regexp.Regexp
}{
	{"github.com/gin-gonic/", "HTTP is labeling's", regexp.MustCompile(`^labeling/`)},
	{"github.com/spf13/viper", "settings are configs'", regexp.MustCompile(`^configs/`)},
	{"github.com/spf13/cobra", "the command line is cmd's", regexp.MustCompile(`^cmd/rlhf/`)},
	{"github.com/yuin/goldmark", "markdown is rendered in one place, and cleaned there", regexp.MustCompile(`^labeling/render/`)},
	{"github.com/microcosm-cc/bluemonday", "markdown is rendered in one place, and cleaned there", regexp.MustCompile(`^labeling/render/`)},
	{"github.com/mattn/go-sqlite3", "the database is storage's", regexp.MustCompile(`^storage/`)},
	{"github.com/pressly/goose", "the database is storage's", regexp.MustCompile(`^storage/`)},
	{"github.com/parquet-go/", "files of data are dataset's", regexp.MustCompile(`^internal/dataset/`)},
	{"gorgonia.org/", "losses stand in the stages' loss files", regexp.MustCompile(`^(internal/objective/.*|(sft|reward|ppo)/loss)\.go$`)},
	{"gonum.org/v1/plot", "pictures are report's", regexp.MustCompile(`^internal/report/`)},
	{"github.com/nlpodyssey/gopickle", "pickles are read where they are checked first", regexp.MustCompile(`^gpt/hf/`)},
	{"C", "C stands behind internal/kernel", regexp.MustCompile(`^internal/kernel/`)},
}

func files(t *testing.T) []File {
	t.Helper()
	list, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range files(t) {
		seen[f.Package] = true
		may, known := allowed[f.Package]
		if !known {
			t.Errorf("%s: package %s is not in the table of allowed imports", f.Path, f.Package)
			continue
		}
		for _, path := range f.Imports() {
			ours, isOurs := strings.CutPrefix(path, "rlhf/")
			switch {
			case isOurs && strings.HasPrefix(ours, "cmd"):
				t.Errorf("%s imports %s: nobody imports cmd", f.Path, path)
			case isOurs && !f.Test && !slices.Contains(may, ours):
				t.Errorf("%s imports %s; %s may import %v", f.Path, path, f.Package, may)
			}
			for _, rule := range only {
				if (path == rule.prefix || len(rule.prefix) > 1 && strings.HasPrefix(path, rule.prefix)) && !rule.files.MatchString(f.Path) {
					t.Errorf("%s imports %s: %s", f.Path, path, rule.why)
				}
			}
		}
	}
	for name, may := range allowed {
		if !seen[name] {
			t.Errorf("the table of allowed imports has %s, which does not exist", name)
		}
		for _, other := range may {
			if _, ok := allowed[other]; !ok {
				t.Errorf("%s may import %s, which does not exist", name, other)
			}
		}
	}
}

func TestOnePackageComment(t *testing.T) {
	comments, commands := map[string][]string{}, map[string]bool{}
	for _, f := range files(t) {
		if !f.Test {
			commands[f.Package] = f.Syntax.Name.Name == "main"
			comments[f.Package] = append(comments[f.Package], strings.TrimSpace(f.Syntax.Doc.Text()))
		}
	}
	for name, list := range comments {
		list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
		want := "Package " + filepath.Base(name) + " "
		if commands[name] {
			want = "Command " + filepath.Base(name) + " "
		}
		if len(list) != 1 || !strings.HasPrefix(list[0], want) {
			t.Errorf("%s: %d package comments, expected one that begins %q", name, len(list), want)
		}
	}
}

// Every setting is read somewhere: a field of a Config that only its defaults and checks mention does nothing.
func TestNoDeadSettings(t *testing.T) {
	used := map[string]bool{}
	for _, f := range files(t) {
		if f.Test {
			continue
		}
		for _, d := range f.Syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && (fn.Name.Name == "DefaultConfig" || fn.Name.Name == "Default" || fn.Name.Name == "Validate") {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					used[s.Sel.Name] = true
				}
				return true
			})
		}
	}
	var walk func(t reflect.Type, path string) []string
	walk = func(typ reflect.Type, path string) (dead []string) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Type.Kind() == reflect.Struct {
				dead = append(dead, walk(f.Type, path+f.Name+".")...)
			} else if !used[f.Name] {
				dead = append(dead, path+f.Name)
			}
		}
		return dead
	}
	if dead := walk(reflect.TypeFor[configs.Config](), ""); len(dead) > 0 {
		t.Errorf("settings that nothing reads: %v", dead)
	}
}

func TestPresetsLoadAndPrintTheSameAgain(t *testing.T) {
	if len(configs.Presets()) < 5 {
		t.Errorf("presets %v", configs.Presets())
	}
	for _, name := range configs.Presets() {
		first, err := configs.Load(configs.Sources{Preset: name})
		if err != nil {
			t.Error(err)
			continue
		}
		path := filepath.Join(t.TempDir(), name+".yaml")
		if err := os.WriteFile(path, first.YAML(false), 0o666); err != nil {
			t.Fatal(err)
		}
		second, err := configs.Load(configs.Sources{File: path})
		if err != nil || string(second.YAML(false)) != string(first.YAML(false)) {
			t.Errorf("preset %s reads back differently: %v", name, err)
		}
		if reflect.DeepEqual(first.Config, configs.Default()) && name != "instructgpt" { // the defaults are InstructGPT's
			t.Errorf("preset %s changes nothing", name)
		}
	}
}

func TestFilesAreOfAReadableSize(t *testing.T) {
	err := Walk(func(path string) error {
		if !slices.Contains([]string{".go", ".c", ".h", ".js", ".css", ".sql"}, filepath.Ext(path)) {
			return nil
		}
		n, err := Lines(path)
		if n > 600 {
			t.Errorf("%s has %d lines, the most is 600", path, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The annotated tree in both READMEs names every package's directory.
func TestREADMETree(t *testing.T) {
	for _, name := range []string{"README.md", "README.zh.md"} {
		raw, err := os.ReadFile(filepath.Join(Root, name))
		if err != nil {
			t.Error(err)
			continue
		}
		for dir := range allowed {
			if !strings.Contains(string(raw), dir+"/") {
				t.Errorf("%s: the tree does not name %s/", name, dir)
			}
		}
	}
}
