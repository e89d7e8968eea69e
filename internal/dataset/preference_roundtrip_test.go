package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sequence is an iter.Seq2 of a list.
func sequence(list []Ranking) func(func(Ranking, error) bool) {
	return func(yield func(Ranking, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// drawn is a ranking that says everything a ranking can say.
func drawn(t *rapid.T) Ranking {
	text := rapid.StringOf(rapid.SampledFrom([]rune("ab .,;:\"\\\n\t<&>{}[]é世\u2028🙂")))
	word := rapid.StringMatching(`[a-z]{1,6}`)
	number := rapid.Custom(func(t *rapid.T) *float64 { x := float64(rapid.IntRange(-800, 800).Draw(t, "n")) / 8; return &x })
	k := rapid.IntRange(1, 5).Draw(t, "k")
	r := Ranking{Prompt: "p" + text.Draw(t, "prompt"), Labeler: word.Draw(t, "labeler"), ActiveMS: rapid.Int64Range(1, 1e9).Draw(t, "ms"), WallMS: rapid.Int64Range(1, 1e9).Draw(t, "wall ms"),
		CreatedAt: time.UnixMilli(rapid.Int64Range(1, 4e12).Draw(t, "at")).UTC(), GroupID: "g-" + word.Draw(t, "group"), Comment: "c" + text.Draw(t, "comment"),
		Flags: []string{word.Draw(t, "flag")}, Confidence: number.Draw(t, "confidence"), Guideline: word.Draw(t, "guideline"), Extra: true, System: "s" + text.Draw(t, "system"),
		Meta: map[string]json.RawMessage{"x_" + word.Draw(t, "key"): compact(json.RawMessage(`{"a": [1, 12345678901234567890, "é"]}`))}, PromptTokens: []int32{1}}
	for i := range k {
		good := rapid.Bool().Draw(t, "label")
		r.Completions = append(r.Completions, Completion{Text: fmt.Sprintf("%c%s", 'A'+i, text.Draw(t, "text")), Model: fmt.Sprint(word.Draw(t, "model"), i), ID: fmt.Sprintf("id%d-%s", i, r.GroupID),
			Score: number.Draw(t, "score"), Label: &good, Ratings: map[string]float64{"overall": float64(rapid.IntRange(1, 7).Draw(t, "rating"))}, Note: word.Draw(t, "note"), Tokens: []int32{2}})
		r.Ranks = append(r.Ranks, rapid.IntRange(1, k).Draw(t, "rank"))
	}
	r.Ranks = dense(r.Ranks)
	if k > 2 && rapid.Bool().Draw(t, "choice") {
		r.Ranks, r.Choice = chosen(k, rapid.IntRange(0, k-1).Draw(t, "best")), true
	}
	r.Shown = rapid.Permutation(firstInts(k)).Draw(t, "shown")
	if rapid.Bool().Draw(t, "chat") {
		r.Messages = []Message{{"system", text.Draw(t, "s")}, {"user", "u" + text.Draw(t, "u")}, {"assistant", "a" + text.Draw(t, "a")}, {"user", "v" + text.Draw(t, "v")}}
		r.Messages = r.Messages[rapid.IntRange(0, 1).Draw(t, "without system"):]
		r.Prompt, r.System = Transcript(r.Messages), ""
		if rapid.Bool().Draw(t, "turns") {
			c := &r.Completions[0]
			c.Messages = []Message{{"assistant", c.Text}, {"user", "more"}, {"assistant", text.Draw(t, "last")}}
			c.Text = Transcript(c.Messages)
		}
	}
	return r
}

func firstInts(k int) []int {
	out := make([]int, k)
	for i := range out {
		out[i] = i
	}
	return out
}

// project leaves of a ranking what the traits say; ok is false if nothing of it can be held.
func project(r Ranking, holds []Trait, choices bool) (_ Ranking, ok bool) {
	for _, t := range r.Traits() {
		if slices.Contains(holds, t) {
			continue
		}
		switch t {
		case traitTies:
			if len(r.pairs()) == 0 {
				return r, false
			}
		case traitLists:
			if r.Choice && choices {
				continue
			}
			r.Choice = false
			r.Completions, r.Ranks, r.Shown = r.Completions[:2], dense(r.Ranks[:2]), shownOf(r.Shown, []int{0, 1})
			if r.Ranks[0] == r.Ranks[1] && !slices.Contains(holds, traitTies) {
				return r, false
			}
		case traitAlone:
			return r, false
		case traitConversations:
			r.Messages = nil
		case traitSystem:
			r.System = ""
		case traitTokens:
			r.PromptTokens = nil
		case traitLabelers:
			r.Labeler = Imported
		case traitGroups:
			r.GroupID = ""
		case traitExtra:
			r.Extra = false
		}
		for i := range r.Completions {
			c := &r.Completions[i]
			switch t {
			case traitTurns:
				c.Messages = nil
			case traitModels:
				c.Model = ""
			case traitTokens:
				c.Tokens = nil
			case traitScores:
				c.Score = nil
			case traitLabels:
				c.Label = nil
			case traitRatings:
				c.Ratings = nil
			case traitNotes:
				c.Note = ""
			case traitIDs:
				c.ID = ""
			}
		}
	}
	return r, true
}

// suited gives a ranking the kind of prompt that a format is for.
func suited(r Ranking, format string) Ranking {
	switch format {
	case "hh-rlhf":
		r.Prompt = "\n\nHuman: " + r.Prompt + "\n\nAssistant:"
		for i := range r.Completions {
			r.Completions[i].Text = " " + r.Completions[i].Text
		}
	case "trl-implicit": // a transcript would be HH-RLHF's, and a completion must not begin as another does
		r.Prompt, r.Messages = "p"+r.Prompt+".", nil
		r.Completions[0].Text = "A" + r.Completions[0].Text
	case "trl-chat", "trl-implicit-chat", "trl-unpaired-chat", "arena", "oasst":
		if r.Messages == nil {
			r.Messages, r.System = []Message{{"user", r.Prompt}}, ""
		}
	}
	return r
}

// What a format holds of a ranking comes back as it was, whatever the texts are. The file's format is found out.
func TestRoundTrips(t *testing.T) {
	for _, name := range Writable() {
		if name == "ai2" {
			continue // it holds no ranks; see TestInstances
		}
		t.Run(name, func(t *testing.T) {
			holds, _ := Holds(name)
			dir := t.TempDir()
			rapid.Check(t, func(t *rapid.T) {
				var want []Ranking
				for range rapid.IntRange(1, 3).Draw(t, "rankings") {
					if r, ok := project(suited(drawn(t), name), holds, name == "openai-comparisons"); ok {
						r.GroupID = fmt.Sprint(r.GroupID, len(want))
						want = append(want, each(name, r)...)
					}
				}
				if name == "llm-comparator" {
					for i := range want {
						want[i].Completions[0].Model, want[i].Completions[1].Model = "before", "after"
					}
				}
				if len(want) == 0 {
					return
				}
				var b bytes.Buffer
				written, err := WriteRankings(&b, name, sequence(want), false)
				if err != nil {
					t.Fatal(err)
				}
				if written.Rankings != len(want) || written.LeftOut != 0 {
					t.Errorf("%+v of %d", written, len(want))
				}
				path := filepath.Join(dir, "x.jsonl")
				if strings.HasPrefix(b.String(), "[") || name == "llm-comparator" {
					path = filepath.Join(dir, "x.json")
				}
				if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
				got, err := Collect(Rankings(Options{}, path))
				if err != nil {
					t.Fatalf("%v of\n%s", err, b.String())
				}
				same(t, got, want, b.String())
			})
		})
	}
}

// each is what a ranking is read back as from a format without lists.
func each(format string, r Ranking) []Ranking {
	if format == "openai-axes" || strings.HasPrefix(format, "trl-unpaired") {
		r.Completions, r.Ranks, r.Shown, r.Choice = r.Completions[:1], []int{1}, []int{0}, false
	}
	return []Ranking{r}
}

func same(t *rapid.T, got, want []Ranking, text string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rankings, want %d, of\n%s", len(got), len(want), text)
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			g, _ := json.Marshal(got[i])
			w, _ := json.Marshal(want[i])
			t.Fatalf("ranking %d\ngot  %s\nwant %s\nof   %s", i, g, w, text)
		}
	}
}
