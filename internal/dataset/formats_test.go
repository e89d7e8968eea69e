package dataset

import (
	"bufio"
	"slices"
	"strings"
	"testing"
)

func TestFormatsAreTold(t *testing.T) {
	long := strings.Repeat("long ", Window/4)
	for _, test := range []struct{ name, text, want string }{
		{"broken.jsonl", "{\"messages\":\n\n{\"messages\":[]}", "messages"}, // the first whole record counts
		{"big.jsonl", `{"message_tree_id":"t","prompt":{"message_id":"t","text":"` + long + `","role":"prompter","replies":[]}}`, "oasst"},
		{"late.jsonl", `{"instruction":"i","output":"o","input":"` + long + `"}`, "alpaca"},
		{"array", " [\n{\"text\":\"t\"}]", "jsonl"},
		{"noname", "words {\"text\":1}", "text"},
		{"empty.txt", "", "text"},
		{"movie_conversations.tsv", "", "cornell"},
		{"films.txt", "M a\nE b\n", "cornell-me"},
		{"prose.txt", "M a\nE b\nand so on\n", "text"},
		{"one.txt", "E\n\nM a\n", "text"}, // one line is no dialogue
	} {
		got, err := FormatOf(Options{}, file(t, test.name, test.text))
		if err != nil || got.Name != test.want {
			t.Errorf("%s: %s, %v; want %s", test.name, got.Name, err, test.want)
		}
	}
	names := map[string]bool{}
	for _, f := range Formats() {
		if names[f.Name] {
			t.Errorf("two formats are named %s", f.Name)
		}
		names[f.Name] = true
		if len(f.Kinds()) > 0 && (f.Detect == nil || len(f.Extensions) == 0) || f.About == "" {
			t.Errorf("format %s is not told apart, or says nothing", f.Name)
		}
		for _, kind := range f.Kinds() {
			if f.As(kind) == "" {
				t.Errorf("format %s says nothing as %s", f.Name, kind)
			}
		}
	}
	for _, name := range []string{"oasst", "truthfulqa"} {
		f, err := Named(name, "")
		if err != nil || !slices.Contains(f.Kinds(), KindDemonstrations) || !slices.Contains(f.Kinds(), KindRankings) || f.As(KindRankings) == f.As(KindDemonstrations) {
			t.Errorf("%s holds %v, %v", name, f.Kinds(), err)
		}
	}
}

// A look at the standard input takes nothing from it; compressed, it cannot be looked at.
func TestFormatOfStandardInput(t *testing.T) {
	o := Options{Stdin: bufio.NewReaderSize(strings.NewReader("\ufeff{\"prompt\":\"p\",\"completion\":\"c\"}"), Window)}
	if f, err := FormatOf(o, "-"); err != nil || f.Name != "prompt-completion" {
		t.Errorf("%s, %v", f.Name, err)
	}
	if got, err := Collect(Demonstrations(o, "-")); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	o.Stdin = bufio.NewReaderSize(strings.NewReader(pack(t, "gz", "{}")), Window)
	if _, err := FormatOf(o, "-"); err == nil || !strings.HasPrefix(err.Error(), "-: found compressed data on the standard input") {
		t.Error(err)
	}
}

// Whatever a file holds and is named, reading it as anything ends without harm, and counts what it delivers.
func FuzzAnything(f *testing.F) {
	extensions := []string{".txt", ".jsonl", ".json", ".csv", ".yml", "", ".txt.gz", ".jsonl.zst", ".parquet", ".tsv"}
	for i, seed := range []string{"words", `{"text":"t"}`, `[{"prompt":"p","completion":"c"}]`, "Question,Best Answer\na,b", "conversations:\n- [a, b]", "M a\nE b", "\x1f\x8b\x08", "\x28\xb5\x2f\xfd", "PAR1", "\xff\xfe"} {
		f.Add(uint8(i), seed, "line")
	}
	f.Add(uint8(1), `{"prompt":"q","sample":0,"completion":"x"}`, "paragraph")
	f.Fuzz(func(t *testing.T, ext uint8, text, split string) {
		path := file(t, "a"+extensions[int(ext)%len(extensions)], text)
		var r Report
		o := Options{SkipBad: true, Report: &r, Text: TextOptions{Split: split}}
		n := 0
		for d, err := range Texts(o, path) {
			if err != nil {
				break
			}
			if strings.ToValidUTF8(d.Text, "") != d.Text {
				t.Errorf("%q delivers %q", text, d.Text)
			}
			if d.Last {
				n++
			}
		}
		if r.Read != n {
			t.Errorf("read %d, delivered %d", r.Read, n)
		}
		o.Text.Split = ""
		for range Demonstrations(o, path) {
		}
		for v, err := range Rankings(o, path) {
			if err == nil && len(v.Completions) != len(v.Ranks) {
				t.Errorf("%q: %+v", text, v)
			}
		}
		for range Prompts(o, path) {
		}
		for g, err := range Groups(o, path) {
			if err == nil && g.Completions == nil && !strings.Contains(text, "completions") {
				t.Errorf("%q: %+v", text, g)
			}
		}
	})
}

func FuzzParts(f *testing.F) {
	f.Add("train=.9,eval=.1")
	f.Fuzz(func(t *testing.T, text string) {
		parts, err := ParseParts(text)
		if err != nil {
			return
		}
		sum := 0.0
		for _, p := range parts {
			if p.Name == "" || strings.ContainsAny(p.Name, "/.\\ ") || !(p.Share > 0) {
				t.Errorf("%q: %+v", text, p)
			}
			sum += p.Share
		}
		if sum < .999 || sum > 1.001 {
			t.Errorf("%q sums to %v", text, sum)
		}
	})
}
