package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// worked is a database in which everything has been done once.
func worked(t testing.TB, path string) *DB {
	t.Helper()
	ctx := context.Background()
	db, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	me := addLabelers(t, db, "ann", "bob")
	if err := db.AddTasks(ctx, tasks(20, 3, 2)); err != nil {
		t.Fatal(err)
	}
	if err := db.SetTask(ctx, 20, TaskChange{Kind: ptr(KindGold), Reference: &Reference{Ranks: []int{1, 2, 3}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.AddGuideline(ctx, DefaultProject, "text"); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		a, err := db.Lease(ctx, me[i%2], time.Minute, backwards)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Submit(ctx, Submission{LabelerID: me[i%2], PublicID: a.PublicID, Ranks: []int{1, 2, 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.AddRankings(ctx, 0, []Ranking{full("w 1"), full("w 2")}); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestCheck(t *testing.T) {
	ctx := context.Background()
	db := worked(t, filepath.Join(t.TempDir(), "x.db"))
	c, err := db.Check(ctx)
	if err != nil || c.Wrong != nil || c.Tasks != 21 || c.Rankings != 12 {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, test := range []struct{ name, damage, want string }{
		{"trigger", `DROP TRIGGER rankings_kept`, "the schema's trigger rankings_kept is missing or another"},
		{"index", `DROP INDEX rankings_labeler`, "the schema's index rankings_labeler is missing or another"},
		{"table", `CREATE TABLE mine (a)`, "the schema has a table mine that is not ours"},
		{"items gone", `DROP TRIGGER ranking_items_delete; DELETE FROM ranking_items WHERE ranking_id = 1 AND rank = 2`, "a ranking does not cover exactly its task's completions: ranking 1"},
		{"ranking gone", `PRAGMA foreign_keys = OFF; DROP TRIGGER rankings_kept; DELETE FROM rankings WHERE id = 1`, "refers to a row of rankings that does not exist"},
		{"gap", `DROP TRIGGER ranking_items_update; UPDATE ranking_items SET rank = 5 WHERE ranking_id = 1 AND rank = 2`, "ranks are not 1 to m without a gap: ranking 1"},
		{"counter", `UPDATE tasks SET done = 1 WHERE id = 1`, "a task's count of rankings is wrong: task 1 says 1 and has 2"},
		{"extra", `DROP TRIGGER tasks_overlap; UPDATE tasks SET overlap = 1 WHERE id = 1`, "a task has more rankings than are wanted, and they are not marked extra: task 1 has 2 of 1"},
		{"open", `UPDATE tasks SET open = 1 WHERE id = 1`, "a task is open and has what is wanted, or the other way round: task 1"},
		{"unsealed", `DROP TRIGGER rankings_stay; UPDATE rankings SET sealed = 0 WHERE id = 2`, "a ranking was left unsealed: ranking 2"},
		{"text", `UPDATE completions SET text = 'other' WHERE id = 1`, "a task's texts are not those that it was made of: task 1"},
		{"prompt", `UPDATE prompts SET text = 'other' WHERE id = 3`, "a task's texts are not those that it was made of: task 3"},
		{"shown", `UPDATE assignments SET shown = '[1, 2, 2]' WHERE id = 1`, "the order shown is no permutation of a task's completions: assignment 1"},
		{"no order", `UPDATE assignments SET shown = '[]' WHERE id = 1`, "an order shown is missing: assignment 1"},
		{"done", `UPDATE assignments SET done = 0 WHERE id = 1`, "an assignment is not done and its task is ranked or skipped: assignment 1"},
		{"reference", `DELETE FROM reference_items WHERE rank = 1`, "a reference does not rank exactly its task's completions, 1 to m without a gap: task 20"},
		{"completion", `DELETE FROM task_completions WHERE task_id = 19 AND position = 1`, "a task has not 2 to 9 completions in places without a gap: task 19"},
		{"revision", `DROP TRIGGER rankings_stay; UPDATE rankings SET revision = 2 WHERE id = 1`, "revisions of a ranking are not 1 to n, of which the last holds: task 1, labeler 1"},
		{"flags", `DROP TRIGGER rankings_stay; UPDATE rankings SET flags = '[1]' WHERE id = 1`, "cannot unmarshal number"},
		{"stock", `UPDATE stocks SET free = free + 1 WHERE kind = 'normal'`, "a count of tasks to give out is wrong: project 1, normal says"},
		{"tally", `UPDATE tallies SET done = done - 1 WHERE labeler_id = 1`, "a count of a labeler's tasks is wrong: labeler 1, project 1, normal"},
		{"frontier", `INSERT OR REPLACE INTO frontiers (project_id, kind, labeler_id, priority, task_id) VALUES (1, 'normal', 1, 0, 19)`, "a labeler's search passes over a task that they have not done: labeler 1, task"},
		{"guidelines", `UPDATE guidelines SET version = 7`, "versions of guidelines are not 1 to n: project 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "damaged.db")
			if err := db.copyTo(ctx, path); err != nil {
				t.Fatal(err)
			}
			damaged, err := Open(ctx, path)
			if err != nil {
				t.Fatal(err)
			}
			defer damaged.Close()
			if _, err := damaged.w.Exec(test.damage); err != nil {
				t.Fatal(err)
			}
			c, err := damaged.Check(ctx)
			if err != nil || !strings.Contains(strings.Join(c.Wrong, "\n"), test.want) {
				t.Errorf("%v, found\n%s\nwant %s", err, strings.Join(c.Wrong, "\n"), test.want)
			}
		})
	}
}

// A file with bytes changed anywhere in its pages is found out, by its checksumless pages' structure or by what they say.
func TestCheckDamagedFile(t *testing.T) {
	ctx := context.Background()
	db := worked(t, filepath.Join(t.TempDir(), "x.db"))
	whole := filepath.Join(t.TempDir(), "whole.db")
	if err := db.copyTo(ctx, whole); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for name, damage := range map[string]func([]byte) []byte{
		"half":  func(b []byte) []byte { return b[:len(b)/2/page*page] },
		"zeros": func(b []byte) []byte { clear(b[len(b)/2/page*page:][:8*page]); return b },
	} {
		path := filepath.Join(t.TempDir(), "damaged.db")
		if err := os.WriteFile(path, damage(append([]byte{}, raw...)), 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := CheckFile(ctx, path)
		if err == nil && len(c.Wrong) == 0 {
			t.Errorf("%s: nothing was found", name)
		}
		t.Logf("%s: %v, %q", name, err, c.Wrong)
	}
}

// A backup made while others write is whole, of one moment, and does not replace a file.
func TestBackup(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	db := worked(t, filepath.Join(dir, "x.db"))
	stop := make(chan struct{})
	var writing sync.WaitGroup
	added := 0
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := db.AddTasks(ctx, tasks(5, 2, 1)); err != nil {
					t.Error(err)
					return
				}
				added++
			}
		}
	})
	for i := range 5 {
		time.Sleep(20 * time.Millisecond)
		path := filepath.Join(dir, "backup", string(rune('a'+i))+".db")
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		c, err := db.Backup(ctx, path)
		if err != nil || c.Rankings != 12 || (c.Tasks-21)%5 != 0 {
			t.Fatalf("%+v, %v", c, err)
		}
		if again, err := CheckFile(ctx, path); err != nil || again.Wrong != nil || again.Tasks != c.Tasks {
			t.Errorf("%+v, %v", again, err)
		}
		if _, err := db.Backup(ctx, path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over a file: %v", err)
		}
	}
	close(stop)
	writing.Wait()
	entries, err := os.ReadDir(filepath.Join(dir, "backup"))
	if err != nil || len(entries) != 5 {
		t.Errorf("%v, %v", entries, err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := db.Backup(stopped, filepath.Join(dir, "no.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
