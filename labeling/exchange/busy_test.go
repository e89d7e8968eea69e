package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rlhf/labeling/exchange"
	"rlhf/storage"
)

// Labelers are given tasks and answer them while a long file comes in.
func TestLabelersGoOnDuringAnImport(t *testing.T) {
	ctx, db := context.Background(), open(t)
	l, err := db.CreateLabeler(ctx, "ann", storage.RoleLabeler, "")
	if err != nil {
		t.Fatal(err)
	}
	var tasks []storage.Task
	for i := range 3000 {
		tasks = append(tasks, storage.Task{Prompt: fmt.Sprint("prompt ", i), Overlap: 1, Completions: []storage.Completion{{Text: "a"}, {Text: "b"}}})
	}
	if err := db.AddTasks(ctx, tasks); err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&file, `{"prompt":"p%d","completions":[{"text":"a"},{"text":"b"},{"text":"c"},{"text":"d"}],"ranks":[1,2,3,3],"labeler":"w"}`+"\n", i)
	}
	in := exchange.Importing{Project: project(t, db), Path: write(t, "x.jsonl", file.String())}
	done := make(chan error, 1)
	began := time.Now()
	go func() { _, err := exchange.Rankings(ctx, db, in); done <- err }()
	answered, longest := 0, time.Duration(0)
	for importing := true; importing; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			importing = false
		default:
			start := time.Now()
			a, err := db.Next(ctx, storage.Ask{LabelerID: l.ID, TTL: time.Minute, Draw: func(_, _ int64, k int) []int { return []int{1, 0} }})
			if err == nil {
				_, err = db.Submit(ctx, storage.Submission{LabelerID: l.ID, PublicID: a.PublicID, Ranks: []int{1, 2}, Key: a.PublicID})
			}
			if err != nil && !errors.Is(err, storage.ErrNoTask) {
				t.Fatal(err)
			}
			answered++
			longest = max(longest, time.Since(start))
		}
	}
	t.Logf("%d tasks were given and answered in the %v of the import; the longest took %v", answered, time.Since(began), longest)
	if answered < 10 || longest > 3*time.Second {
		t.Errorf("%d answered, the longest took %v", answered, longest)
	}
	if c, err := db.Check(ctx); err != nil || c.Wrong != nil {
		t.Errorf("%q, %v", c.Wrong, err)
	}
}
