package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// filled is a database written by hand: project 2 with two tasks of three and two completions and a training task, labelers ann,
// bob and cem, five rankings of which one is replaced and one of the training task, and two skips of which one is undone.
func filled(t testing.TB) *DB {
	t.Helper()
	db := openTest(t)
	db.Now = func() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }
	addLabelers(t, db, "ann", "bob", "cem")
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()
	script := `
INSERT INTO projects (id, name, created_at, gold_threshold) VALUES (2, 'second', 0, 0.75);
INSERT INTO prompts (id, text) VALUES (10, 'first prompt'), (11, 'other prompt');
INSERT INTO completions (id, prompt_id, model, text) VALUES (100, 10, 'sft', 'four'), (101, 10, 'ppo', '五个字符的'), (102, 10, 'sft', ''), (110, 11, 'sft', 'a'), (111, 11, 'ppo', 'b');
INSERT INTO tasks (id, project_id, prompt_id, kind, overlap) VALUES (20, 2, 10, 'calibration', 2), (21, 2, 11, 'normal', 1), (22, 2, 11, 'training', 0);
INSERT INTO task_completions (task_id, prompt_id, position, completion_id) VALUES (20, 10, 0, 102), (20, 10, 1, 100), (20, 10, 2, 101), (21, 11, 0, 110), (21, 11, 1, 111), (22, 11, 0, 110), (22, 11, 1, 111);
INSERT INTO task_references (task_id, created_at) VALUES (20, 1);
INSERT INTO reference_items (task_id, completion_id, rank) VALUES (20, 102, 3), (20, 100, 2), (20, 101, 1);
INSERT INTO assignments (public_id, task_id, labeler_id, shown, created_at, expires_at, done) VALUES
  ('a', 20, 1, '[101,102,100]', 0, 0, 1), ('b', 20, 2, '[100,101,102]', 0, 0, 1), ('c', 21, 1, '[110,111]', 0, 0, 1), ('d', 21, 3, '[110,111]', 0, 9999999999999, 0),
  ('e', 22, 1, '[110,111]', 0, 0, 1), ('f', 21, 2, '[111,110]', 0, 0, 1);
INSERT INTO rankings (id, task_id, labeler_id, created_at, active_ms, wall_ms, flags, extra, choice, imported) VALUES
  (1, 20, 1, $day + 1000, 5000, 6000, '["unsafe"]', 0, 0, 0), (2, 20, 2, $day - 1000, 7000, 0, '[]', 0, 1, 1), (3, 21, 1, $day + 2000, 10, 20, '[]', 0, 0, 0),
  (5, 22, 1, $day + 3000, 10, 20, '[]', 0, 0, 0), (6, 21, 2, $day + 4000, 10, 20, '[]', 1, 0, 0);
INSERT INTO ranking_items (ranking_id, task_id, completion_id, rank, ratings) VALUES
  (1, 20, 102, 2, '{"overall":3,"harmful":1}'), (1, 20, 100, 1, NULL), (1, 20, 101, 1, NULL), (2, 20, 102, 1, NULL), (2, 20, 100, 2, NULL), (2, 20, 101, 2, NULL),
  (3, 21, 110, 1, NULL), (3, 21, 111, 2, NULL), (5, 22, 110, 1, NULL), (5, 22, 111, 2, NULL), (6, 21, 110, 1, NULL), (6, 21, 111, 1, NULL);
UPDATE rankings SET sealed = 1;
UPDATE rankings SET replaced = 1 WHERE id = 3;
INSERT INTO rankings (id, task_id, labeler_id, revision, created_at, active_ms, wall_ms) VALUES (4, 21, 1, 2, $day + 5000, 11, 21);
INSERT INTO ranking_items (ranking_id, task_id, completion_id, rank) VALUES (4, 21, 110, 2), (4, 21, 111, 1);
UPDATE rankings SET sealed = 1 WHERE id = 4;
INSERT INTO skips (task_id, labeler_id, created_at, reason, comment, active_ms, undone) VALUES (21, 3, $day + 6000, 'too_hard', 'why', 30, 1), (20, 2, $day + 7000, 'nonsense', '', 40, 0);`
	err := db.write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.Exec(strings.ReplaceAll(script, "$day", fmt.Sprint(day)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestReadEvidence(t *testing.T) {
	db, ctx := filled(t), context.Background()
	var verdicts []Verdict
	var skips []SkipRecord
	var names []string
	threshold, tasks := 0.0, 0
	e := Evidence{Project: func(x float64, n int) { threshold, tasks = x, n }, Labeler: func(l Labeler) { names = append(names, l.Name+"/"+l.Pseudonym) },
		Verdict: func(v Verdict) error { verdicts = append(verdicts, v); return nil }, Skip: func(s SkipRecord) { skips = append(skips, s) }}
	if err := db.ReadEvidence(ctx, 2, e); err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	want := []Verdict{
		{TaskID: 20, PromptID: 10, Kind: KindCalibration, LabelerID: 1, CreatedAt: day.Add(time.Second), ActiveMS: 5000, WallMS: 6000, Flags: []string{"unsafe"},
			Items: []VerdictItem{{102, "sft", 0, 2, map[string]float64{"overall": 3, "harmful": 1}}, {100, "sft", 4, 1, nil}, {101, "ppo", 5, 1, nil}},
			Shown: []int{2, 0, 1}, Reference: []int{3, 2, 1}},
		{TaskID: 20, PromptID: 10, Kind: KindCalibration, LabelerID: 2, CreatedAt: day.Add(-time.Second), ActiveMS: 7000, Flags: []string{}, Choice: true, Imported: true,
			Items: []VerdictItem{{102, "sft", 0, 1, nil}, {100, "sft", 4, 2, nil}, {101, "ppo", 5, 2, nil}}, Shown: []int{1, 2, 0}, Reference: []int{3, 2, 1}},
		{TaskID: 21, PromptID: 11, Kind: KindNormal, LabelerID: 1, CreatedAt: day.Add(5 * time.Second), ActiveMS: 11, WallMS: 21, Flags: []string{},
			Items: []VerdictItem{{110, "sft", 1, 2, nil}, {111, "ppo", 1, 1, nil}}, Shown: []int{0, 1}},
		{TaskID: 21, PromptID: 11, Kind: KindNormal, LabelerID: 2, CreatedAt: day.Add(4 * time.Second), ActiveMS: 10, WallMS: 20, Flags: []string{}, Extra: true,
			Items: []VerdictItem{{110, "sft", 1, 1, nil}, {111, "ppo", 1, 1, nil}}, Shown: []int{1, 0}},
	}
	for i, w := range want {
		if i >= len(verdicts) || !reflect.DeepEqual(verdicts[i], w) {
			t.Errorf("verdict %d: got %+v, want %+v", i, verdicts[min(i, len(verdicts)-1)], w)
		}
	}
	if len(verdicts) != len(want) {
		t.Errorf("got %d verdicts, want %d", len(verdicts), len(want))
	}
	if fmt.Sprint(names) != "[ann/labeler-1 bob/labeler-2]" || threshold != 0.75 || tasks != 3 {
		t.Errorf("got labelers %v, threshold %v, %d tasks", names, threshold, tasks)
	}
	if want := []SkipRecord{{2, day.Add(7 * time.Second), "nonsense", 40}}; !reflect.DeepEqual(skips, want) {
		t.Errorf("skips: got %+v, want %+v", skips, want)
	}
	if err := db.ReadEvidence(ctx, 3, e); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such project: got %v", err)
	}
	stop := errors.New("stop")
	e.Verdict = func(Verdict) error { return stop }
	if err := db.ReadEvidence(ctx, 2, e); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of the function", err)
	}
}

// The rows come in order from the indexes: a million rankings are not sorted first.
func TestReadEvidenceStreams(t *testing.T) {
	rows, err := filled(t).r.Query(`EXPLAIN QUERY PLAN `+verdictsQuery, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(detail, "TEMP B-TREE") && !strings.Contains(detail, "LAST") {
			t.Errorf("the plan sorts: %s", detail)
		}
	}
}

func TestEvidenceVersionChanges(t *testing.T) {
	db, ctx := filled(t), context.Background()
	before, err := db.EvidenceVersion(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{
		`INSERT INTO audit (at, actor, action, object) VALUES (0, '', 'task.reference', 'task 20')`,
		`UPDATE skips SET undone = 1`,
		`INSERT INTO skips (task_id, labeler_id, created_at, reason) VALUES (21, 3, 0, 'other')`,
		`INSERT INTO rankings (task_id, labeler_id, created_at) VALUES (21, 3, 0)`,
	} {
		if err := db.write(ctx, func(tx *sql.Tx) error { _, err := tx.Exec(change); return err }); err != nil {
			t.Fatal(err)
		}
		after, err := db.EvidenceVersion(ctx)
		if err != nil || after == before {
			t.Errorf("%s: version still %s, %v", change, after, err)
		}
		before = after
	}
}

// By hand from the rows of filled: of two tasks with three rankings wanted the calibration task has its two and the normal one its
// one; ann and bob have one more each today, of which bob's is extra.
func TestStanding(t *testing.T) {
	db, ctx := filled(t), context.Background()
	got, err := db.ProjectStanding(ctx, 2)
	want := ProjectStanding{Tasks: 2, DoneTasks: 2, Needed: 3, Rankings: 3, Extra: 1, Skips: 1, LiveLeases: 1, PeopleToday: 2, RankingsToday: 4}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if all, err := db.ProjectStanding(ctx, 0); err != nil || all != want {
		t.Errorf("all projects: got %+v, %v", all, err)
	}
	if empty, err := db.ProjectStanding(ctx, DefaultProject); err != nil || empty != (ProjectStanding{}) {
		t.Errorf("a project without tasks: got %+v, %v", empty, err)
	}
	if _, err := db.ProjectStanding(ctx, 9); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such project: got %v", err)
	}
}
