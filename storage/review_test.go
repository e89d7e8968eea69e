package storage

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"
)

func TestReview(t *testing.T) {
	db, ctx := filled(t), context.Background()
	r, err := db.Review(ctx, 20)
	if err != nil {
		t.Fatal(err)
	}
	if r.ID != 20 || r.Task.Prompt != "first prompt" || len(r.Task.Completions) != 3 || r.Task.Completions[0].ID != 102 || r.Decision != nil || r.Earlier != nil {
		t.Errorf("got %+v", r)
	}
	want := []ReviewRanking{
		{Labeler: "labeler-1", Ranks: []int{2, 1, 1}, ActiveMS: 5000, Flags: []string{"unsafe"}},
		{Labeler: "labeler-2", Ranks: []int{1, 2, 2}, ActiveMS: 7000, Flags: []string{}, Choice: true},
	}
	if !reflect.DeepEqual(r.Rankings, want) {
		t.Errorf("rankings: got %+v, want %+v", r.Rankings, want)
	}
	if _, err := db.Review(ctx, 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such task: got %v", err)
	}
}

// A decision stands beside the rankings, which stay as they are; a second one replaces it, and both are kept and audited.
func TestDecide(t *testing.T) {
	db, ctx := filled(t), context.Background()
	before, err := db.Review(ctx, 20)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Decide(ctx, 20, 3, []int{1, 2, 2}, "first thought"); err != nil {
		t.Fatal(err)
	}
	if err := db.Decide(ctx, 20, 2, []int{3, 2, 1}, "better"); err != nil {
		t.Fatal(err)
	}
	r, err := db.Review(ctx, 20)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	if want := (&Decision{[]int{3, 2, 1}, "better", "labeler-2", at}); !reflect.DeepEqual(r.Decision, want) {
		t.Errorf("got %+v, want %+v", r.Decision, want)
	}
	if want := []Decision{{[]int{1, 2, 2}, "first thought", "labeler-3", at}}; !reflect.DeepEqual(r.Earlier, want) {
		t.Errorf("earlier: got %+v, want %+v", r.Earlier, want)
	}
	if !reflect.DeepEqual(r.Rankings, before.Rankings) {
		t.Errorf("the rankings have changed: %+v", r.Rankings)
	}
	entries, _, err := db.Audit(ctx, 0, 10)
	if err != nil || len(entries) < 2 || entries[1].Actor != "cem" || entries[0].Action != "task.decide" || entries[0].Object != "task 20" || entries[0].Actor != "bob" {
		t.Errorf("audit: %+v, %v", entries, err)
	}
	for _, test := range []struct {
		task  int64
		ranks []int
		want  error
	}{{99, []int{1, 2}, ErrNotFound}, {20, []int{1, 2}, ErrRanks}, {20, []int{1, 3, 3}, ErrRanks}, {20, nil, ErrRanks}} {
		if err := db.Decide(ctx, test.task, 2, test.ranks, ""); !errors.Is(err, test.want) {
			t.Errorf("task %d, ranks %v: got %v, want %v", test.task, test.ranks, err, test.want)
		}
	}
	lines, err := db.ReviewLines(ctx, []int64{21, 99, 20})
	if err != nil || fmt.Sprint(lines) != "[{21 other prompt false} {20 first prompt true}]" {
		t.Errorf("lines: %+v, %v", lines, err)
	}
}

// By hand from filled: bob's skip that holds, the latest, then ann's flagged ranking. One by one they are the same.
func TestFlagged(t *testing.T) {
	db, ctx := filled(t), context.Background()
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	want := []Flagged{{2, true, 20, "bob", day.Add(7 * time.Second), []string{"nonsense"}, "", "first prompt"}, {1, false, 20, "ann", day.Add(time.Second), []string{"unsafe"}, "", "first prompt"}}
	got, _, more, err := db.Flagged(ctx, 2, FlaggedAt{}, 10)
	if err != nil || more || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, %v, want %+v", got, more, err, want)
	}
	var each []Flagged
	for from, more := (FlaggedAt{}), true; more; {
		var page []Flagged
		if page, from, more, err = db.Flagged(ctx, 2, from, 1); err != nil || len(page) != 1 || len(each) > 3 {
			t.Fatalf("%+v, %v", page, err)
		}
		each = append(each, page...)
	}
	if !reflect.DeepEqual(each, want) {
		t.Errorf("one by one: got %+v, want %+v", each, want)
	}
	if none, _, _, err := db.Flagged(ctx, DefaultProject, FlaggedAt{}, 10); err != nil || len(none) != 0 {
		t.Errorf("another project: got %+v, %v", none, err)
	}
}

func TestCompletionTexts(t *testing.T) {
	db, ctx := filled(t), context.Background()
	var got []CompletionText
	pages := 0
	for after, more := int64(0), true; more; pages++ {
		last, err := db.CompletionTexts(ctx, 2, after, 2, func(c CompletionText) { got = append(got, c) })
		if err != nil {
			t.Fatal(err)
		}
		after, more = last, last != 0
	}
	if len(got) != 5 || pages != 3 || got[0] != (CompletionText{100, 20, "sft", "four", "first prompt"}) || got[4].Task != 21 {
		t.Errorf("got %+v in %d pages", got, pages)
	}
}
