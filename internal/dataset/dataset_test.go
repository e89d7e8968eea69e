package dataset

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReaders(t *testing.T) {
	var report Report
	texts, err := Collect(Texts(Options{Report: &report}, file(t, "a.txt", "one\n\ntwo"), file(t, "b.jsonl", "{\"text\":\"x\",\"more\":1}\n\n{\"text\":\"é\"}")))
	if want := []Document{{"one\n\ntwo", true}, {"x", true}, {"é", true}}; err != nil || !reflect.DeepEqual(texts, want) || report.Read != 3 {
		t.Errorf("texts %v, %v, read %d", texts, err, report.Read)
	}
	d, err := Collect(Demonstrations(Options{}, file(t, "d.jsonl", `{"prompt":"p","completion":"c"}`)))
	if err != nil || !reflect.DeepEqual(d, []Demonstration{{Prompt: "p", Completion: "c"}}) {
		t.Errorf("demonstrations %v, %v", d, err)
	}
	p, err := Collect(Prompts(Options{}, file(t, "p.jsonl", "{\"prompt\":\"p\",\"id\":7}\n{\"tokens\":[1,2]}\n{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"human\",\"content\":\"h\"}]}")))
	if err != nil || p[0].Text != "p" || string(p[0].Fields["id"]) != "7" || !reflect.DeepEqual(p[1].Tokens, []int32{1, 2}) || !reflect.DeepEqual(p[2].Messages, []Message{{"system", "s"}, {"user", "h"}}) {
		t.Errorf("prompts %v, %v", p, err)
	}
	g, err := Collect(Groups(Options{}, file(t, "g.jsonl", `{"prompt":"p","completions":[{"model":"a","text":"x"},{"model":"b","completion":"y"}]}
{"prompt":"q","sample":0,"completion":"x","tokens":[1]}
{"prompt":"q","sample":1,"completion":"y","model":"m"}`)))
	want := []Group{{Prompt: "p", Completions: []Completion{{Model: "a", Text: "x"}, {Model: "b", Text: "y"}}},
		{Prompt: "q", Completions: []Completion{{Text: "x", Tokens: []int32{1}}, {Text: "y", Model: "m"}}}}
	if err != nil || !reflect.DeepEqual(g, want) {
		t.Errorf("groups %+v, %v", g, err)
	}
}

func TestRankingsRoundTrip(t *testing.T) {
	in := Ranking{Prompt: "p", PromptTokens: []int32{1}, Completions: []Completion{{Model: "a", Text: "x <b>"}, {Model: "b", Text: "y", Tokens: []int32{3}}}, Ranks: []int{1, 1},
		Labeler: "w", CreatedAt: time.UnixMilli(1700000000123).UTC(), ActiveMS: 7, Comment: "c", Extra: true, Shown: []int{1, 0}}
	var b bytes.Buffer
	if err := WriteRanking(&b, in); err != nil {
		t.Fatal(err)
	}
	out, err := Collect(Rankings(Options{}, file(t, "r.jsonl", b.String()+`{"prompt":"q","chosen":" yes","rejected":" no"}`)))
	if err != nil {
		t.Fatal(err)
	}
	pair := Ranking{Prompt: "q", Completions: []Completion{{Text: " yes"}, {Text: " no"}}, Ranks: []int{1, 2}, Labeler: "imported"}
	if !reflect.DeepEqual(out, []Ranking{in, pair}) {
		t.Errorf("got %+v", out)
	}
}

func TestErrorsNameFileLineAndField(t *testing.T) {
	rankings := func(p string) error { _, err := Collect(Rankings(Options{}, p)); return err }
	texts := func(p string) error { _, err := Collect(Texts(Options{}, p)); return err }
	demos := func(p string) error { _, err := Collect(Demonstrations(Options{}, p)); return err }
	groups := func(p string) error { _, err := Collect(Groups(Options{}, p)); return err }
	prompts := func(p string) error { _, err := Collect(Prompts(Options{}, p)); return err }
	const two = `"prompt":"p","completions":[{"text":"x"},{"text":"y"}]`
	for _, test := range []struct {
		name, text, want string
		read             func(string) error
	}{
		{"cut.jsonl", "{\"text\":\"a\"}\n{\"text\":", "cut.jsonl:2: not a JSON object", texts},
		{"list.jsonl", "[1]", "list.jsonl:1: not a JSON object", texts},
		{"null.jsonl", "null", "null.jsonl:1: found null", texts},
		{"missing.jsonl", `{"txt":"a"}`, `missing.jsonl:1: field "text": missing, the line has "txt"`, texts},
		{"latin.txt", "a\nb\xe9", "latin.txt:2: found a byte 0xe9, expected UTF-8", texts},
		{"type.jsonl", `{"prompt":"a","completion":5}`, `field "completion": found 5, expected string`, demos},
		{"nullfield.jsonl", `{"prompt":null,"completion":""}`, `field "prompt": found null, expected string`, demos},
		{"tokens.jsonl", `{"tokens":["a"]}`, `field "tokens": found ["a"], expected []int32`, prompts},
		{"messages.jsonl", `{"messages":[{"role":"user","content":"h"},{"role":"assistant","content":"a"}]}`, `field "messages": found 2 messages, expected the last to be a user's`, prompts},
		{"group.jsonl", `{"prompt":"a","completions":[{"text":"b"},{"model":"m"}]}`, `completion 1: field "completion": missing, the line has "model"`, groups},
		{"few.jsonl", `{` + two + `,"ranks":[1],"labeler":"w"}`, `field "ranks": found 1 for 2 completions`, rankings},
		{"gap.jsonl", `{` + two + `,"ranks":[1,3],"labeler":"w"}`, `field "ranks": found [1 3], expected 1 to m without a gap`, rankings},
		{"labeler.jsonl", `{` + two + `,"ranks":[1,2],"labeler":""}`, `field "labeler"`, rankings},
		{"shown.jsonl", `{` + two + `,"ranks":[1,2],"labeler":"w","shown":[0,0]}`, `field "shown": found [0 0]`, rankings},
		{"one.jsonl", `{"prompt":"p","completions":[{"text":"x"}],"ranks":[1],"labeler":"w"}`, `field "completions": found 1 without a label, a score or ratings, expected 2 to 64`, rankings},
		{"pair.jsonl", `{"prompt":"p","chosen":"x"}`, `field "rejected": missing`, rankings},
	} {
		err := test.read(file(t, test.name, test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.name) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := Collect(Texts(Options{}, filepath.Join(t.TempDir(), "gone.jsonl"))); err == nil || !strings.Contains(err.Error(), "gone.jsonl") {
		t.Errorf("missing file: %v", err)
	}
}

// 5,331 of each label, as the data set's description says.
func TestReviews(t *testing.T) {
	reviews, err := Reviews()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, r := range reviews {
		if r.Positive {
			count++
		}
		if strings.TrimSpace(r.Text) != r.Text || r.Text == "" {
			t.Errorf("odd review %q", r.Text)
		}
	}
	if len(reviews) != 10662 || count != 5331 {
		t.Errorf("%d reviews, %d positive", len(reviews), count)
	}
	if !strings.HasPrefix(reviews[0].Text, "the rock is destined to be the 21st century's new") {
		t.Errorf("first review %q", reviews[0].Text)
	}
	if !strings.Contains(Licence(), "CC BY 4.0") {
		t.Error("the embedded data has no licence line")
	}
}

func FuzzRankings(f *testing.F) {
	f.Add([]byte(`{"prompt":"p","completions":[{"text":"x"},{"text":"y"}],"ranks":[1,2],"labeler":"w"}`))
	f.Add([]byte(`{"prompt":"p","chosen":"x","rejected":"y"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := parseObject(raw)
		if err != nil {
			return
		}
		if r, err := readOwn(o); err == nil && r.check() != nil {
			t.Errorf("%s was read although %v", raw, r.check())
		}
	})
}
