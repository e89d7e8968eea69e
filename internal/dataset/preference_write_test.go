package dataset

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// text is what rankings are written as.
func text(t *testing.T, format string, list ...Ranking) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := WriteRankings(&b, format, sequence(list), false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Every strictly ordered pair of a ranking is a row of chosen and rejected, and a tie is none.
func TestPairs(t *testing.T) {
	r := Ranking{Prompt: "p", Completions: []Completion{{Text: "a"}, {Text: "b"}, {Text: "c"}, {Text: "d"}}, Ranks: []int{2, 1, 2, 3}, Labeler: "w", GroupID: "g"}
	want := []pair{{1, 0}, {1, 2}, {1, 3}, {0, 3}, {2, 3}} // by hand
	if got := r.pairs(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	out := text(t, "trl", r)
	if n := strings.Count(out, "\n"); n != len(want) || strings.Count(out, `"group_id":"g"`) != n || strings.Count(out, `"labeler":"w"`) != n {
		t.Errorf("%d rows of\n%s", n, out)
	}
	r.GroupID = ""
	other := with(r, func(r *Ranking) { r.Labeler = "v" })
	if r.group() == other.group() || r.group() != with(r, func(r *Ranking) { r.Ranks = []int{1, 2, 3, 4} }).group() {
		t.Error("a group is a prompt with a labeler")
	}
}

// A part of the pairs of a ranking, or pairs that do not agree, stay pairs.
func TestRegroupingNeedsEveryPair(t *testing.T) {
	r := Ranking{Prompt: "p", Completions: []Completion{{Text: "a"}, {Text: "b"}, {Text: "c"}}, Ranks: []int{1, 2, 3}, Labeler: "w", GroupID: "g", Shown: []int{2, 1, 0}}
	rows := strings.SplitAfter(strings.TrimSpace(text(t, "trl", r)), "\n")
	if len(rows) != 3 {
		t.Fatal(rows)
	}
	whole, err := Collect(Rankings(Options{}, file(t, "x.jsonl", strings.Join(rows, ""))))
	if err != nil || !reflect.DeepEqual(whole, []Ranking{r}) {
		t.Errorf("whole: %+v, %v", whole, err)
	}
	part, err := Collect(Rankings(Options{}, file(t, "x.jsonl", rows[0]+rows[2])))
	if err != nil || len(part) != 2 || !slices.Equal(part[0].Ranks, []int{1, 2}) || !slices.Equal(part[0].Shown, []int{1, 0}) {
		t.Errorf("part: %+v, %v", part, err)
	}
	changed := strings.Replace(rows[1], `"chosen_rank":1`, `"chosen_rank":2`, 1)
	odd, err := Collect(Rankings(Options{}, file(t, "x.jsonl", rows[0]+changed+rows[2])))
	if err != nil || len(odd) != 3 {
		t.Errorf("odd: %+v, %v", odd, err)
	}
}

func TestLossesAreCounted(t *testing.T) {
	r := Ranking{Prompt: "p", Completions: []Completion{{Text: "a", Note: "n"}, {Text: "b"}, {Text: "c"}}, Ranks: []int{1, 1, 2}, Labeler: "w"}
	ties := with(r, func(r *Ranking) { r.Ranks = []int{1, 1, 1} })
	var b bytes.Buffer
	w, err := WriteRankings(&b, "trl", sequence([]Ranking{r, ties}), false)
	if err != nil || w.Rankings != 1 || w.Rows != 2 || w.LeftOut != 1 || !maps.Equal(w.Lost, map[Trait]int{traitTies: 2, traitNotes: 2}) {
		t.Errorf("%+v, %v", w, err)
	}
	lines := strings.Join(w.Lines(), "\n")
	for _, want := range []string{"trl does not hold notes on completions: lost of 2 rankings", "left out 1 ranking without a row"} {
		if !strings.Contains(lines, want) {
			t.Errorf("%q in\n%s", want, lines)
		}
	}
	for _, format := range []string{"rank-lists", "label-studio", "argilla", "oasst", "arena"} {
		if w, err := WriteRankings(&b, format, sequence([]Ranking{ties}), false); err != nil || w.Rankings != 1 || w.Lost[traitTies] != 0 {
			t.Errorf("%s: %+v, %v", format, w, err)
		}
	}
	one := with(ties, func(r *Ranking) { r.Completions, r.Ranks = r.Completions[:1], []int{1} })
	for _, format := range Writable() {
		if holds, _ := Holds(format); slices.Contains(holds, traitAlone) || format == "ai2" {
			continue
		}
		if w, err := WriteRankings(&b, format, sequence([]Ranking{one}), false); err != nil || w.Rankings != 0 || w.LeftOut != 1 {
			t.Errorf("%s: %+v, %v", format, w, err)
		}
	}
}

// Of a choice of the best, the others were not compared: no format says that they were tied.
func TestChoices(t *testing.T) {
	r := Ranking{Prompt: "p", Completions: []Completion{{Text: "a", Model: "m"}, {Text: "b", Model: "n"}, {Text: "c", Model: "n"}}, Ranks: []int{1, 2, 2}, Choice: true, Labeler: "w"}
	for format, rows := range map[string]int{"openai-comparisons": 1, "trl": 2, "arena": 2, "llm-comparator": 2, "label-studio-pairwise": 2} {
		var b bytes.Buffer
		w, err := WriteRankings(&b, format, sequence([]Ranking{r}), false)
		if err != nil || w.Rows != rows || strings.Contains(b.String(), `"tie"`) || strings.Contains(b.String(), `"same"`) || w.Lost[traitTies] != 0 {
			t.Errorf("%s: %+v, %v of\n%s", format, w, err, b.String())
		}
	}
}

// What a format cannot say is refused with the reason, or skipped and counted.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name, format string
		r            Ranking
		want         string
	}{
		{"a marker in the prompt", "hh-rlhf", two("a\n\nHuman: b", "x", "y", 1, 2), "the prompt holds"},
		{"a shared turn in completions", "hh-rlhf", two("a", "x\n\nAssistant: 1", "x\n\nAssistant: 2", 1, 2), "would not be split from the prompt again"},
		{"completions that begin alike", "trl-implicit", two("a", "xy", "xz", 1, 2), "would not be split from the prompt again"},
		{"the same turn first", "trl-implicit-chat", with(two("a", "x", "y", 1, 2), func(r *Ranking) {
			r.Completions[0].Messages = []Message{{"assistant", "x"}, {"user", "1"}}
			r.Completions[1].Messages = []Message{{"assistant", "x"}, {"user", "2"}}
		}), "would not be split from the prompt again"},
		{"several turns in a reply", "oasst", with(two("a", "x", "y", 1, 2), func(r *Ranking) { r.Completions[0].Messages = []Message{{"assistant", "x"}, {"user", "1"}} }), "completion 0 is of several turns"},
		{"a late system message", "oasst", with(two("a", "x", "y", 1, 2), func(r *Ranking) { r.Messages = []Message{{"user", "x"}, {"system", "1"}} }), "a system message"},
	} {
		var b bytes.Buffer
		_, err := WriteRankings(&b, test.format, sequence([]Ranking{test.r}), false)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "ranking 1: "+test.format+" cannot hold it") {
			t.Errorf("%s: %v", test.name, err)
		}
		w, err := WriteRankings(&b, test.format, sequence([]Ranking{test.r, two("p", "a", "b", 1, 2)}), true)
		if err != nil || w.Rankings != 1 || w.Skipped != 1 || len(w.Reasons) != 1 {
			t.Errorf("%s, skipped: %+v, %v", test.name, w, err)
		}
	}
	var b bytes.Buffer
	w, err := WriteRankings(&b, "hh-rlhf", sequence([]Ranking{two("p", "x\n\nHuman: more", "y", 1, 2)}), false)
	if err != nil || w.Rows != 1 || len(w.Warnings) != 1 {
		t.Errorf("a marker in a completion: %+v, %v", w, err)
	}
	named := func(a, b string) Ranking {
		return with(two("p", "x", "y", 1, 2), func(r *Ranking) { r.Completions[0].Model, r.Completions[1].Model = a, b })
	}
	if _, err := WriteRankings(&b, "llm-comparator", sequence([]Ranking{named("m", "n"), named("n", "m"), named("m", "o")}), false); err == nil || !strings.Contains(err.Error(), `ranking 3: llm-comparator cannot hold it: found the models "m" and "o", expected "m" and "n"`) {
		t.Errorf("three models: %v", err)
	}
	three := with(named("m", "n"), func(r *Ranking) {
		r.Completions, r.Ranks = append(r.Completions, Completion{Model: "o"}), []int{1, 2, 3}
	})
	if w, err := WriteRankings(&b, "llm-comparator", sequence([]Ranking{three}), false); err != nil || w.Rows != 1 || w.Warnings["pairs of other models than the first two, left out"] != 2 {
		t.Errorf("a ranking of three models: %+v, %v", w, err)
	}
}

// An unknown field of a name that the format uses is not written, and counted.
func TestTakenNames(t *testing.T) {
	r := with(two("p", "x", "y", 1, 2), func(r *Ranking) { r.Meta = meta("prompt", `"other"`, "source", `"s"`, "data", "1") })
	for format, left := range map[string]int{"trl": 1, "hh-rlhf": 1, "trl-implicit": 1, "trl-implicit-chat": 1, "label-studio": 1, "argilla": 0} {
		var b bytes.Buffer
		w, err := WriteRankings(&b, format, sequence([]Ranking{r}), false)
		if err != nil || w.Warnings[leftWarning] != left || !strings.Contains(b.String(), `"source":"s"`) || strings.Contains(b.String(), `"prompt":"other"`) && left == 1 {
			t.Errorf("%s: %+v, %v of %s", format, w, err, b.String())
		}
	}
}

// Several labelers of a task are annotations of one task, responses of one record, raters of one example.
func TestLabelersOfATask(t *testing.T) {
	r := with(two("p", "x", "y", 1, 2), func(r *Ranking) { r.Labeler, r.Completions[0].Model, r.Completions[1].Model = "ann", "m", "n" })
	list := []Ranking{r, with(r, func(r *Ranking) { r.Labeler, r.Ranks = "bob", []int{2, 1} }), with(r, func(r *Ranking) { r.Labeler = "cid" })}
	for format, want := range map[string]string{"label-studio": `"annotations":`, "argilla": `"responses":`, "llm-comparator": `"score":0.3333333333333333,"individual_rater_scores":`} {
		out := text(t, format, list...)
		if strings.Count(out, want) != 1 {
			t.Errorf("%s: %s", format, out)
		}
		got, err := Collect(Rankings(Options{}, file(t, "x.json", out)))
		if err != nil || !reflect.DeepEqual(got, list) {
			t.Errorf("%s: %+v, %v", format, got, err)
		}
	}
}

// Completions that were judged alone are compared with the others of their prompt and labeler.
func TestCompared(t *testing.T) {
	yes, no := true, false
	alone := func(prompt, text string, c Completion) Ranking {
		c.Text = text
		return Ranking{Prompt: prompt, Completions: []Completion{c}, Ranks: []int{1}, Labeler: Imported}
	}
	in := []Ranking{
		alone("p", "a", Completion{Label: &no}), two("x", "1", "2", 1, 2), alone("p", "b", Completion{Label: &yes}), alone("q", "a", Completion{Label: &yes}),
		alone("p", "c", Completion{Label: &no}), alone("s", "a", Completion{Score: number64(1)}), alone("s", "b", Completion{Score: number64(1)}), alone("s", "c", Completion{Score: number64(-2)}),
		alone("r", "a", Completion{Ratings: map[string]float64{"overall": 2, "accuracy": 7}}), alone("r", "b", Completion{Ratings: map[string]float64{"overall": 5, "accuracy": 1}}),
		alone("t", "a", Completion{Label: &yes}), alone("t", "b", Completion{Score: number64(3)}),
	}
	var report Report
	got, err := Collect(Compared(sequence(in), &report))
	if err != nil {
		t.Fatal(err)
	}
	var ranks [][]int
	for _, r := range got {
		ranks = append(ranks, r.Ranks)
	}
	if want := [][]int{{1, 2}, {2, 1, 2}, {1, 1, 2}, {2, 1}}; !reflect.DeepEqual(ranks, want) || got[1].Prompt != "p" || got[1].Completions[1].Text != "b" {
		t.Errorf("%+v", got)
	}
	if n := report.Notes["completions judged alone that nothing of their prompt compares with, left out"]; n.Count != 3 {
		t.Errorf("%+v", report)
	}
}

func TestTranscript(t *testing.T) {
	for _, test := range []struct {
		list []Message
		want string
	}{
		{[]Message{{"user", "hi"}}, "hi"},
		{[]Message{{"system", "be"}, {"user", "hi"}}, "be\n\nHuman: hi\n\nAssistant:"},
		{[]Message{{"user", "a"}, {"assistant", "b"}, {"user", "c"}}, "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"},
		{[]Message{{"user", "a"}, {"assistant", "b"}}, "\n\nHuman: a\n\nAssistant: b"},
	} {
		if got := Transcript(test.list); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
		if back, ok := parseTranscript(test.want); len(test.list) > 1 && (!ok || !reflect.DeepEqual(back, test.list)) {
			t.Errorf("%q read back as %v", test.want, back)
		}
	}
	r := two("", "x", "y", 1, 2)
	r.Messages = []Message{{"user", "a"}, {"assistant", "b"}, {"user", "c"}}
	r.Prompt = Transcript(r.Messages)
	if prompt, texts := r.Plain(); prompt+texts[0] != "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: x" {
		t.Errorf("%q %q", prompt, texts)
	}
	if prompt, texts := with(two("p", "x", "y", 1, 2), func(r *Ranking) { r.System = "s" }).Plain(); prompt != "s\n\np" || texts[0] != "x" {
		t.Errorf("%q %q", prompt, texts)
	}
}
