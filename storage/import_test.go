package storage

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

func ptr[T any](v T) *T { return &v }

// full is a ranking that says everything a ranking can say.
func full(labeler string) Ranking {
	return Ranking{
		Prompt: "\n\nHuman: hello\x00 <b>\n\nAssistant:", System: "be kind", Messages: []Message{{"user", "hello\x00 <b>"}}, PromptTokens: []int32{},
		Completions: []Completion{
			{Model: "a", Text: "x", Messages: []Message{{"assistant", "x"}, {"user", "y"}}, External: "id-1", Tokens: []int32{1, 2}, Sampling: json.RawMessage(`{"temperature": 0.7, "seed": 12345678901234567890}`)},
			{Model: "a", Text: "x", External: "id-1"}, // the same but for its messages
			{Text: ""},
		},
		Ranks: []int{2, 1, 2}, Items: []Item{{Score: ptr(-0.125), Label: ptr(false), Ratings: map[string]float64{"overall": 7, "harmful": 0}, Note: "n <&>"}, {Ratings: map[string]float64{}}, {}},
		Labeler: labeler, CreatedAt: time.UnixMilli(-5).UTC(), ActiveMS: 5, WallMS: 6, Comment: "c", Confidence: ptr(0.1), Choice: true, Flags: []string{"unsafe", "other"},
		Guideline: "v 2", GroupID: "g", Meta: map[string]json.RawMessage{"<k>": json.RawMessage(`{"n":12345678901234567890}`), "a": json.RawMessage(`null`)}, Extra: true, Shown: []int{2, 0, 1},
	}
}

func TestRankingsKeepEverything(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	least := Ranking{Prompt: "p", Completions: []Completion{{Text: "a"}, {Text: "b"}}, Ranks: []int{1, 2}, Labeler: "imported"}
	in := []Ranking{full("w 1"), least}
	added, err := db.AddRankings(ctx, 0, in)
	if err != nil || added != (Added{Rankings: 2, Tasks: 2}) {
		t.Fatalf("%+v, %v", added, err)
	}
	if out := bare(all(t, db)); !reflect.DeepEqual(out, in) {
		t.Errorf("got  %+v\nwant %+v", out, in)
	}
	if _, err := db.Lease(ctx, addLabelers(t, db, "ann")[0], time.Minute, backwards); !errors.Is(err, ErrNoTask) {
		t.Errorf("a task made for imported rankings was given out: %v", err)
	}
}

// Rankings of the same completions are of one task, in whatever order a file lists them.
func TestRankingsShareTasks(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	a, b := Completion{Model: "m", Text: "a"}, Completion{Model: "m", Text: "b", Tokens: []int32{7}}
	other := b
	other.Tokens = []int32{8}
	rank := func(labeler string, ranks []int, list ...Completion) Ranking {
		return Ranking{Prompt: "p", Labeler: labeler, Completions: list, Ranks: ranks, Shown: []int{0, 1}}
	}
	added, err := db.AddRankings(ctx, 0, []Ranking{
		rank("ann", []int{1, 2}, a, Completion{Model: "m", Text: "b"}),
		rank("bob", []int{1, 2}, b, a),
		rank("ann", []int{2, 1}, a, b),     // her second
		rank("eve", []int{2, 1}, a, other), // of other tokens
	})
	if err != nil || added != (Added{Rankings: 4, Tasks: 3}) {
		t.Fatalf("%+v, %v", added, err)
	}
	got := all(t, db)
	if len(got) != 4 || got[0].TaskID != got[1].TaskID || got[0].Labeler != "ann" || got[1].Labeler != "bob" || !reflect.DeepEqual(got[1].Ranks, []int{2, 1}) || !reflect.DeepEqual(got[1].Shown, []int{1, 0}) ||
		!reflect.DeepEqual(got[0].Completions[1].Tokens, []int32{7}) {
		t.Errorf("%+v", got)
	}
	var overlap, done int
	var open bool
	if err := db.r.QueryRow(`SELECT overlap, done, open FROM tasks WHERE id = ?`, got[0].TaskID).Scan(&overlap, &done, &open); err != nil || overlap != 2 || done != 2 || open {
		t.Errorf("overlap %d, done %d, open %v, %v", overlap, done, open, err)
	}
}

// What is made elsewhere of a task that labelers work on counts as far as rankings are wanted.
func TestRankingsOfOpenTasks(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	me := addLabelers(t, db, "ann")[0]
	task := tasks(1, 2, 2)[0]
	if err := db.AddTasks(ctx, []Task{task}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.w.Exec(`UPDATE tasks SET digest = NULL`); err != nil { // as an older version left it
		t.Fatal(err)
	}
	lease, err := db.Lease(ctx, me, time.Minute, backwards)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Submit(ctx, Submission{LabelerID: me, PublicID: lease.PublicID, Ranks: []int{1, 2}}); err != nil {
		t.Fatal(err)
	}
	r := Ranking{Prompt: task.Prompt, Completions: []Completion{{Model: "sft", Text: task.Completions[1].Text}, {Model: "sft", Text: task.Completions[0].Text}}, Ranks: []int{1, 2}, Labeler: "elsewhere"}
	third := r
	third.Labeler = "third"
	added, err := db.AddRankings(ctx, 0, []Ranking{r, third})
	if err != nil || added != (Added{Rankings: 2, Extra: 1}) {
		t.Errorf("%+v, %v", added, err)
	}
	got := all(t, db)
	if len(got) != 3 || got[1].TaskID != got[0].TaskID || got[1].Extra || !got[2].Extra || !reflect.DeepEqual(got[1].Ranks, []int{2, 1}) {
		t.Errorf("%+v", got)
	}
}
