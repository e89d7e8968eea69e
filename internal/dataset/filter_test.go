package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// keep returns the completions of the pairs that a filter lets through.
func keep(t *testing.T, f Filter, records ...Demonstration) (out []string, s *Sieve) {
	t.Helper()
	if err := f.Validate(); err != nil {
		t.Fatal(err)
	}
	s = NewSieve(f)
	for _, r := range records {
		ok, err := s.Keep(r)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			out = append(out, r.Completion)
		}
	}
	return out, s
}

func TestFilter(t *testing.T) {
	words := func(text string) int { return len(strings.Fields(text)) }
	records := []Demonstration{
		asked("Write a poem about the sea", "1", "ann"), asked("Write a poem about the sun", "2", "ann"), asked("Write a poem", "3", "bob"),
		asked("Write a poem", "3", "ann"), asked("Écrire", "4 and more words", "ann"), asked("", "5", "bob"),
	}
	for _, test := range []struct {
		name    string
		filter  Filter
		want    []string
		dropped Dropped
	}{
		{"nothing", Filter{}, []string{"1", "2", "3", "3", "4 and more words", "5"}, Dropped{}},
		{"prefix of 20", Filter{Dedup: 20}, []string{"1", "3", "4 and more words", "5"}, Dropped{Prefix: 2}},
		{"prefix of all", Filter{Dedup: 100}, []string{"1", "2", "3", "4 and more words", "5"}, Dropped{Prefix: 1}},
		{"exact", Filter{Exact: true}, []string{"1", "2", "3", "4 and more words", "5"}, Dropped{Exact: 1}},
		{"of a group", Filter{MaxPerGroup: 2}, []string{"1", "2", "3", "5"}, Dropped{Crowded: 2}},
		{"a duplicate does not count for its group", Filter{MaxPerGroup: 3, Exact: true}, []string{"1", "2", "3", "4 and more words", "5"}, Dropped{Exact: 1}},
		{"characters", Filter{MinChars: 13, MaxChars: 22}, []string{"3", "3", "4 and more words"}, Dropped{Short: 1, Long: 2}}, // É is one: 6 and 16
		{"tokens", Filter{MinTokens: 4, MaxTokens: 6, Tokens: words}, []string{"3", "3", "4 and more words"}, Dropped{Short: 1, Long: 2}},
	} {
		got, s := keep(t, test.filter, records...)
		if !slices.Equal(got, test.want) || s.Dropped != test.dropped {
			t.Errorf("%s: kept %q, %+v", test.name, got, s.Dropped)
		}
	}
	if got, _ := keep(t, Filter{Exact: true}, asked("ab", "c", ""), asked("a", "bc", "")); len(got) != 2 {
		t.Error("records that only join to the same text are taken for one")
	}
	if _, err := NewSieve(Filter{MaxPerGroup: 1}).Keep(asked("a", "b", "")); err == nil {
		t.Error("a record without a group was counted for one")
	}
	talk := Demonstration{Messages: []Message{user("a"), assistant("b"), user("c"), assistant("d")}}
	if got := talk.Opening(); got != "a\n" {
		t.Errorf("opening %q", got)
	}
	r := Ranking{Prompt: "p", Completions: []Completion{{Text: "x"}, {Text: "yyy"}}, Labeler: "w"}
	if !slices.Equal(r.Texts(), []string{"p", "yyy"}) || r.Owner() != "w" || r.Opening() != "p" {
		t.Errorf("ranking %q", r.Texts())
	}
}

func TestFilterRefusesWhatCannotBe(t *testing.T) {
	for want, f := range map[string]Filter{
		"min_chars: must be at least 0 (got -1)":                 {MinChars: -1},
		"dedup: must be at least 0 (got -2)":                     {Dedup: -2},
		"max_chars: must be at least min_chars 5 (got 4)":        {MinChars: 5, MaxChars: 4},
		"max_tokens: must be at least min_tokens 5 (got 4)":      {MinTokens: 5, MaxTokens: 4},
		"min_tokens, max_tokens: need a tokenizer to count with": {MaxTokens: 4},
	} {
		if err := f.Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// stream yields documents.
func stream(list ...Document) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, d := range list {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func TestFilterOfDocumentsInPieces(t *testing.T) {
	list := []Document{{"aaaa", false}, {"bb", false}, {"cc", true}, {"dd", true}, {"aaaa", false}, {"x", true}, {"eee", true}, {"dd", true}}
	for _, test := range []struct {
		name    string
		filter  Filter
		want    string
		dropped Dropped
	}{
		{"nothing", Filter{}, "aaaa_bb_cc| dd| aaaa_x| eee| dd| ", Dropped{}},
		{"at least 3", Filter{MinChars: 3}, "aaaa_bb_cc| aaaa_x| eee| ", Dropped{Short: 2}},
		{"at least 6", Filter{MinChars: 6}, "aaaa_bb_cc| ", Dropped{Short: 4}},
		{"at most 6", Filter{MaxChars: 6}, "dd| aaaa_x| eee| dd| ", Dropped{Long: 1}},
		{"both", Filter{MinChars: 3, MaxChars: 5}, "aaaa_x| eee| ", Dropped{Short: 2, Long: 1}},
		{"by the first piece", Filter{Exact: true}, "aaaa_bb_cc| dd| eee| ", Dropped{Exact: 2}},
		{"prefix", Filter{Dedup: 3, MaxChars: 7}, "dd| aaaa_x| eee| ", Dropped{Long: 1, Prefix: 1}},
	} {
		s := NewSieve(test.filter)
		var b strings.Builder
		for d, err := range s.Documents(stream(list...)) {
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(d.Text + map[bool]string{true: "| ", false: "_"}[d.Last])
		}
		if b.String() != test.want || s.Dropped != test.dropped {
			t.Errorf("%s: %q, %+v", test.name, b.String(), s.Dropped)
		}
	}
	failing := func(yield func(Document, error) bool) { yield(Document{}, errors.New("no")) }
	if _, err := Collect(NewSieve(Filter{}).Documents(failing)); err == nil {
		t.Error("an error was lost")
	}
}

func TestSplit(t *testing.T) {
	parts, err := ParseParts("train=.8,eval=0.15,test=5e-2")
	if err != nil || !reflect.DeepEqual(parts, []Part{{"train", .8}, {"eval", .15}, {"test", .05}}) {
		t.Fatalf("%v, %v", parts, err)
	}
	where := map[string]int{}
	var counts [3]int
	for _, by := range []string{"prompt", "group"} {
		for seed := range uint64(2) {
			s := Split{Parts: parts, Seed: seed, By: by}
			again := Split{Parts: parts, Seed: seed, By: by}
			for i := range 40000 {
				d := asked(fmt.Sprint("prompt ", i%20000), fmt.Sprint(i), fmt.Sprint("group ", i%100))
				p, err := s.Part(d)
				if err != nil {
					t.Fatal(err)
				}
				key := fmt.Sprint(by, seed, map[string]string{"prompt": d.Prompt, "group": d.Group}[by])
				if before, seen := where[key]; seen && before != p {
					t.Fatalf("%s in two parts", key)
				}
				where[key] = p
				if q, _ := again.Part(d); q != p {
					t.Fatal("the same seed splits differently")
				}
				if by == "prompt" {
					counts[p]++
				}
			}
		}
	}
	for i, c := range counts { // 40,000 keys: three standard deviations are below 0.7 %
		if share := float64(c) / 80000; math.Abs(share-parts[i].Share) > .007 {
			t.Errorf("%s has %.4f", parts[i].Name, share)
		}
	}
	none := Split{Parts: parts, By: "none"}
	seen := map[int]bool{}
	for range 200 {
		p, _ := none.Part(asked("same", "same", ""))
		seen[p] = true
	}
	if len(seen) != 3 {
		t.Errorf("by none, equal records go to %v", seen)
	}
	group := Split{Parts: parts, By: "group"}
	if _, err := group.Part(asked("a", "b", "")); err == nil {
		t.Error("a record without a group was split by it")
	}
	for text, want := range map[string]string{
		"train":      `found "train", expected a name`,
		"train=.9":   "sum to 0.9, expected 1",
		"a=.5,a=.5":  "found a twice",
		"a=1.5":      `share of a: found "1.5"`,
		"a=NaN":      `share of a: found "NaN"`,
		"a=0,b=1":    `share of a: found "0"`,
		"../a=1":     `found "../a=1", expected a name`,
		"a=.5,b=.5,": `found "", expected a name`,
	} {
		if _, err := ParseParts(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	if err := (&Split{By: "user"}).Validate(); err == nil {
		t.Error("by user")
	}
}

// What is written reads back.
func TestWriterRoundTrip(t *testing.T) {
	demonstrations := []Demonstration{
		asked("a \"b\"\n<c> \u2028", " é", ""), asked("", "x", "g"),
		{Messages: []Message{{"system", "s"}, user("u"), assistant("a"), assistant("b")}, Given: 3, Group: "7"},
	}
	documents := []Document{{"one \"", false}, {"\ntwo\\", false}, {"", true}, {"three", true}, {"", true}}
	var b, c bytes.Buffer
	for _, d := range demonstrations {
		if err := NewWriter(&b).Demonstration(d); err != nil {
			t.Fatal(err)
		}
	}
	w := NewWriter(&c)
	for _, d := range documents {
		if err := w.Document(d); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.SplitAfter(b.String(), "\n")
	for i, want := range demonstrations {
		got, err := Collect(Demonstrations(Options{}, file(t, "a.jsonl", lines[i])))
		if err != nil || !reflect.DeepEqual(got, []Demonstration{want}) {
			t.Errorf("%s reads back as %+v, %v", lines[i], got, err)
		}
	}
	got, err := Collect(Texts(Options{}, file(t, "a.jsonl", c.String())))
	if want := []Document{{"one \"\ntwo\\", true}, {"three", true}, {"", true}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s reads back as %v, %v", c.String(), got, err)
	}
	big := Document{strings.Repeat("word ", piece), false}
	for i := range 20 {
		if err = w.Document(big); err != nil {
			if i < 12 {
				t.Errorf("piece %d: %v", i, err)
			}
			break
		}
	}
	if err == nil {
		t.Error("a line was written that cannot be read")
	}
}

func TestSummary(t *testing.T) {
	s := NewSummary(nil)
	s.Demonstration(asked("abc", "é", "g"))
	s.Demonstration(asked("abc", "é", "g"))
	s.Demonstration(Demonstration{Messages: []Message{user("abcd"), assistant("")}})
	if s.Records != 3 || s.Openings != 2 || s.Repeated != 1 || s.Talks != 1 || s.Messages != 2 || s.Owners["g"] != 2 {
		t.Errorf("%+v", s)
	}
	if p := s.Parts["record"]; p.Count() != 3 || p.Sum() != 12 || p.Mean() != 4 || p.Quantile(.5) != 4 || s.Parts["completion"].Quantile(1) != 1 {
		t.Errorf("%+v", p)
	}
	r := NewSummary(func(text string) int { return 7 * len(text) })
	r.Ranking(Ranking{Prompt: "p", Completions: []Completion{{Text: "a"}, {Text: "b"}, {Text: "c"}}, Ranks: []int{1, 2, 2}, Labeler: "w"})
	if r.Ties != 1 || r.Completions[3] != 1 || r.Parts["record"].Sum() != 28 {
		t.Errorf("%+v", r)
	}
	d := NewSummary(nil)
	for _, piece := range []Document{{"ab", false}, {"c", true}, {"ab", true}} {
		d.Document(piece)
	}
	if d.Records != 2 || d.Repeated != 1 || d.Parts["record"].Sum() != 5 { // the first pieces are the same
		t.Errorf("%+v", d)
	}
	var l Lengths
	for _, n := range []int{0, 1, 2, 3, 3, 4, 100} {
		l.Add(n)
	}
	want := []Bucket{{0, 0, 1}, {1, 1, 1}, {2, 3, 3}, {4, 7, 1}, {8, 15, 0}, {16, 31, 0}, {32, 63, 0}, {64, 127, 1}}
	if got := l.Buckets(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	for q, want := range map[float64]int{0: 0, .25: 1, .5: 3, .9: 100, 1: 100} { // of seven, the 1st, 2nd, 4th, 7th
		if got := l.Quantile(q); got != want {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
}
