package storage

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// crowded is a database with rows in every table.
func crowded(t *testing.T) *DB {
	t.Helper()
	ctx := context.Background()
	db := worked(t, filepath.Join(t.TempDir(), "x.db"))
	reviewer, err := db.CreateLabeler(ctx, "rev", RoleReviewer, "hash")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.CreateProject(ctx, Project{Name: "other", Open: true, Settings: DefaultSettings()}); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{KindNormal, KindCalibration, KindHoneypot, KindTraining, KindExample} {
		err := db.AddTasks(ctx, []Task{{Project: 2, Kind: kind, Prompt: "prompt 1", System: "system of " + kind, Messages: []Message{{"user", "prompt 1"}}, Overlap: 1,
			Completions: []Completion{{Text: "a", Messages: []Message{{"assistant", "a"}}, External: "x"}, {Text: "b"}}, Reference: &Reference{Ranks: []int{1, 2}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	im, err := db.BeginImport(ctx, Import{What: ImportRankings, Name: "file", Digest: []byte{1}, Records: 1}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.KeepRankings(ctx, &im, []Ranking{full("imported")}); err != nil {
		t.Fatal(err)
	}
	if err := db.Decide(ctx, 1, reviewer.ID, []int{1, 2, 2}, "note"); err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // ann's ranking of task 1, changed
		a, err := db.Lease(ctx, 1, time.Minute, backwards)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			_, err = db.Submit(ctx, Submission{LabelerID: 1, PublicID: a.PublicID, Ranks: []int{1, 2, 3}, Key: "first"})
			if err == nil {
				_, err = db.Submit(ctx, Submission{LabelerID: 1, PublicID: a.PublicID, Ranks: []int{2, 1, 3}, Key: "second", Revision: 1})
			}
		} else if _, err = db.SaveDraft(ctx, 1, a.PublicID, 0, []byte(`{"a": 1}`)); err == nil {
			_, err = db.w.Exec(`INSERT INTO drafts SELECT id, 1, '{}', 0 FROM assignments WHERE public_id <> ? LIMIT 1`, a.PublicID)
			if err == nil {
				_, err = db.Skip(ctx, Skip{LabelerID: 1, PublicID: a.PublicID, Reason: "unsafe", Key: "skip"})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run(t, db, `
		INSERT INTO sessions (token_hash, labeler_id, expires_at) VALUES (x'01', 1, 1);
		INSERT INTO sign_in_links (token_hash, labeler_id, created_at, expires_at) VALUES (x'01', 1, 1, 2);
		INSERT INTO api_tokens (token_hash, labeler_id, name, created_at, expires_at) VALUES (x'01', 1, 'n', 1, 2);
		INSERT OR IGNORE INTO frontiers (project_id, kind, labeler_id, priority, task_id) VALUES (2, 'normal', 1, 100, 0);
		INSERT INTO gold_scores (ranking_id, labeler_id, project_id, correct, pairs) SELECT min(id), labeler_id, 1, 0, 1 FROM rankings;
		INSERT INTO pauses (labeler_id, project_id, reason, paused_at) VALUES (2, 1, 'gold', 0);
		INSERT INTO tasks (project_id, prompt_id, kind, overlap, assigned_to, repeat_of) SELECT 1, prompt_id, 'repeat', 1, 1, id FROM tasks WHERE id = 1;
		INSERT INTO task_completions SELECT (SELECT max(id) FROM tasks), prompt_id, position, completion_id FROM task_completions WHERE task_id = 1`)
	return db
}

// A full database goes down version by version and up again. What version 1 has no place for is lost on the way, and nothing else.
func TestMigrationsOfAFilledDatabase(t *testing.T) {
	ctx, db := context.Background(), crowded(t)
	if c, err := db.Check(ctx); err != nil || c.Wrong != nil {
		t.Fatalf("%q, %v", c.Wrong, err)
	}
	var tables []string
	err := db.View(ctx, func(v *View) (err error) {
		tables, _, err = texts(ctx, v, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%'`)
		return err
	})
	if err != nil || len(tables) < 25 {
		t.Fatalf("%v, %v", tables, err)
	}
	count := func(query string) (n int) {
		t.Helper()
		if err := db.w.QueryRow(query).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	for _, table := range tables {
		if count(`SELECT count(*) FROM `+table) == 0 {
			t.Errorf("table %s is empty: this test says nothing of it", table)
		}
	}
	said := func() (out []string) {
		for _, r := range all(t, db) {
			var texts []string
			for _, c := range r.Completions {
				texts = append(texts, c.Model+"/"+c.Text)
			}
			out = append(out, fmt.Sprint(r.Labeler, r.Prompt, texts, r.Ranks, r.Shown, r.ActiveMS, r.Comment, r.Extra))
		}
		return out
	}
	people, before := count(`SELECT count(*) FROM labelers`), said()
	p, err := db.provider()
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, f func() error) {
		t.Helper()
		if err := db.migrating(ctx, f); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if found := count(`SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'`); found > 0 {
			t.Fatalf("%s: the file is damaged", what)
		}
	}
	for version := int64(len(p.ListSources())) - 1; version >= 1; version-- {
		step(fmt.Sprint("down to ", version), func() error { _, err := p.DownTo(ctx, version); return err })
	}
	if n := count(`SELECT count(*) FROM rankings`); n != len(before) {
		t.Errorf("%d rankings in version 1, want the %d that held", n, len(before))
	}
	step("up", func() error { _, err := p.Up(ctx); return err })
	if n := count(`SELECT count(*) FROM labelers`); n != people {
		t.Errorf("%d labelers, had %d", n, people)
	}
	if after := said(); !reflect.DeepEqual(after, before) {
		t.Errorf("after\n%s\nbefore\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
	if c, err := db.Check(ctx); err != nil || c.Wrong != nil {
		t.Errorf("after going down and up: %q, %v", c.Wrong, err)
	}
	step("down to nothing", func() error { _, err := p.DownTo(ctx, 0); return err })
	step("up from nothing", func() error { _, err := p.Up(ctx); return err })
	if n := len(all(t, db)); n != 0 {
		t.Errorf("%d rankings", n)
	}
}
