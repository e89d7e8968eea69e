package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func openTest(t testing.TB) *DB {
	t.Helper()
	db, err := Open(context.Background(), filepath.Join(t.TempDir(), "a test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func addLabelers(t testing.TB, db *DB, names ...string) (ids []int64) {
	t.Helper()
	for _, name := range names {
		l, err := db.CreateLabeler(context.Background(), name, RoleLabeler, "")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, l.ID)
	}
	return ids
}

func tasks(n, k, overlap int) (out []Task) {
	for i := range n {
		task := Task{Prompt: fmt.Sprintf("prompt %d", i), Tokens: []int32{1, 2}, Overlap: overlap}
		for j := range k {
			task.Completions = append(task.Completions, Completion{Model: "sft", Text: fmt.Sprintf("completion %d of %d", j, i), Tokens: []int32{int32(j)}, Sampling: []byte(`{"temperature":0.7}`)})
		}
		out = append(out, task)
	}
	return out
}

// backwards draws the completions in reverse.
func backwards(_, _ int64, k int) (order []int) {
	for i := range k {
		order = append(order, k-1-i)
	}
	return order
}

func all(t testing.TB, db *DB) (out []Ranking) {
	t.Helper()
	if err := db.Rankings(context.Background(), Filter{}, func(r Ranking) error { out = append(out, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLeaseSubmitRead(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	me := addLabelers(t, db, "ann")[0]
	if err := db.AddTasks(ctx, tasks(1, 3, 1)); err != nil {
		t.Fatal(err)
	}
	a, err := db.Lease(ctx, me, time.Minute, backwards)
	if err != nil {
		t.Fatal(err)
	}
	w, err := db.Work(ctx, me, a.PublicID)
	want := []Response{{"completion 2 of 0", nil}, {"completion 1 of 0", nil}, {"completion 0 of 0", nil}}
	if err != nil || w.Prompt != "prompt 0" || !reflect.DeepEqual(w.Responses, want) {
		t.Errorf("leased %+v, %v", w, err)
	}
	again, err := db.Lease(ctx, me, time.Minute, nil) // the same one, in the order drawn before
	if err != nil || again.PublicID != a.PublicID {
		t.Errorf("a reload got %+v, %v", again, err)
	}
	s := Submission{LabelerID: me, PublicID: a.PublicID, Ranks: []int{1, 1, 2}, ActiveMS: 1234, Comment: "hm", Key: "k"}
	for range 2 { // the second is the same answer sent again
		if out, err := db.Submit(ctx, s); err != nil || out.Extra || out.Revision != 1 || out.Standing.Done != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	s.Key = "other"
	if _, err := db.Submit(ctx, s); !errors.Is(err, ErrRevision) {
		t.Errorf("a second answer: %v", err)
	}
	if _, err := db.Lease(ctx, me, time.Minute, backwards); !errors.Is(err, ErrNoTask) {
		t.Errorf("after the last task: %v", err)
	}
	got := all(t, db)
	if len(got) != 1 {
		t.Fatalf("%d rankings", len(got))
	}
	r := got[0]
	if r.Labeler != "ann" || r.Prompt != "prompt 0" || !reflect.DeepEqual(r.PromptTokens, []int32{1, 2}) || r.ActiveMS != 1234 || r.Comment != "hm" ||
		!reflect.DeepEqual(r.Ranks, []int{2, 1, 1}) || !reflect.DeepEqual(r.Shown, []int{2, 1, 0}) ||
		r.Completions[2].Text != "completion 2 of 0" || r.Completions[2].Model != "sft" || !reflect.DeepEqual(r.Completions[2].Tokens, []int32{2}) ||
		string(r.Completions[2].Sampling) != `{"temperature":0.7}` {
		t.Errorf("read back %+v", r)
	}
	p, err := db.Standing(ctx, me)
	if err != nil || p != (Standing{Done: 1, Today: 1, TodayActiveMS: 1234, PaceMS: 1234}) {
		t.Errorf("standing %+v, %v", p, err)
	}
	o, err := db.ProjectStanding(ctx, DefaultProject)
	if want := (ProjectStanding{Tasks: 1, DoneTasks: 1, Rankings: 1, Needed: 1, PeopleToday: 1, RankingsToday: 1}); err != nil || o != want {
		t.Errorf("project %+v, %v; want %+v", o, err, want)
	}
}

func TestRefusals(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	ids := addLabelers(t, db, "ann", "bob")
	if err := db.AddTasks(ctx, tasks(1, 3, 2)); err != nil {
		t.Fatal(err)
	}
	a, err := db.Lease(ctx, ids[0], time.Minute, backwards)
	if err != nil {
		t.Fatal(err)
	}
	for name, ranks := range map[string][]int{"few": {1, 2}, "many": {1, 2, 3, 4}, "gap": {1, 1, 3}, "zero": {0, 1, 2}, "no best": {2, 2, 3}, "none": nil} {
		if _, err := db.Submit(ctx, Submission{LabelerID: ids[0], PublicID: a.PublicID, Ranks: ranks}); !errors.Is(err, ErrRanks) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := db.Submit(ctx, Submission{LabelerID: ids[1], PublicID: a.PublicID, Ranks: []int{1, 2, 3}}); !errors.Is(err, ErrNotFound) {
		t.Errorf("another's assignment: %v", err)
	}
	if n := len(all(t, db)); n != 0 {
		t.Errorf("%d rankings after refusals only", n)
	}
	for want, task := range map[string]Task{
		"task 0: 1 completions, expected 2 to 9": {Prompt: "x", Completions: []Completion{{}}, Overlap: 1},
		`labeler "eve": not found`:               {Prompt: "x", Completions: []Completion{{}, {}}, Overlap: 1, AssignedTo: "eve"},
		"CHECK constraint failed":                {Prompt: "x", Completions: []Completion{{}, {}}, Overlap: -1},
	} {
		if err := db.AddTasks(ctx, []Task{task}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	var n int
	if err := db.r.QueryRow(`SELECT count(*) FROM prompts`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d prompts after refused imports, %v", n, err)
	}
	if _, err := db.CreateLabeler(ctx, "ann", RoleAdmin, ""); !errors.Is(err, ErrExists) {
		t.Errorf("a name twice: %v", err)
	}
	if _, err := db.CreateLabeler(ctx, "cat", "boss", ""); err == nil {
		t.Error("a role that does not exist was stored")
	}
}

// The schema guards a ranking against hand-written SQL too.
func TestSchemaGuardsRankings(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	addLabelers(t, db, "ann")
	if err := db.AddTasks(ctx, tasks(2, 2, 1)); err != nil { // task 1 holds completions 1, 2; task 2 holds 3, 4
		t.Fatal(err)
	}
	const start = `INSERT INTO assignments (public_id, task_id, labeler_id, shown, created_at, expires_at) VALUES ('p', 1, 1, '[1,2]', 0, 0);
		INSERT INTO rankings (id, task_id, labeler_id, created_at) VALUES (1, 1, 1, 0);`
	item := func(completion, rank int) string {
		return fmt.Sprintf(`INSERT INTO ranking_items (ranking_id, task_id, completion_id, rank) VALUES (1, 1, %d, %d);`, completion, rank)
	}
	const seal = `UPDATE rankings SET sealed = 1 WHERE id = 1;`
	for _, test := range []struct{ name, sql, want string }{
		{"whole", start + item(1, 1) + item(2, 2) + seal, ""},
		{"foreign completion", start + item(1, 1) + item(3, 2) + seal, "FOREIGN KEY constraint failed"},
		{"missing completion", start + item(1, 1) + seal, "must cover exactly the completions of its task"},
		{"duplicate", start + item(1, 1) + item(1, 2) + seal, "UNIQUE constraint failed"},
		{"gap", start + item(1, 1) + item(2, 3) + seal, "ranks must be 1 to m without a gap"},
		{"rank zero", start + item(1, 0), "CHECK constraint failed"},
		{"sealed at once", `INSERT INTO assignments (public_id, task_id, labeler_id, shown, created_at, expires_at) VALUES ('p', 1, 1, '[1,2]', 0, 0);
			INSERT INTO rankings (id, task_id, labeler_id, created_at, sealed) VALUES (1, 1, 1, 0, 1);`, "sealed after its items"},
		{"without assignment", `INSERT INTO rankings (id, task_id, labeler_id, created_at) VALUES (1, 1, 1, 0);`, "FOREIGN KEY constraint failed"},
		{"changed rank", start + item(1, 1) + item(2, 2) + seal + `UPDATE ranking_items SET rank = 1;`, "a sealed ranking does not change"},
		{"taken item", start + item(1, 1) + item(2, 2) + seal + `DELETE FROM ranking_items;`, "a sealed ranking does not change"},
		{"unsealed again", start + item(1, 1) + item(2, 2) + seal + `UPDATE rankings SET sealed = 0;`, "a sealed ranking does not change"},
		{"another comment", start + item(1, 1) + item(2, 2) + seal + `UPDATE rankings SET comment = 'x';`, "a sealed ranking does not change"},
		{"comment deleted", start + item(1, 1) + item(2, 2) + seal + `UPDATE rankings SET comment = '';`, ""},
		{"replaced", start + item(1, 1) + item(2, 2) + seal + `UPDATE rankings SET replaced = 1;`, ""},
		{"replaced and back", start + item(1, 1) + item(2, 2) + seal + `UPDATE rankings SET replaced = 1; UPDATE rankings SET replaced = 0;`, "a sealed ranking does not change"},
		{"deleted", start + item(1, 1) + item(2, 2) + seal + `DELETE FROM ranking_items; DELETE FROM rankings;`, "a sealed ranking"},
		{"two that hold", start + item(1, 1) + item(2, 2) + seal + `INSERT INTO rankings (task_id, labeler_id, revision, created_at) VALUES (1, 1, 2, 0);`, "UNIQUE constraint failed"},
		{"repeat of nothing", `UPDATE tasks SET kind = 'repeat';`, "CHECK constraint failed"},
		{"audit entry deleted", `INSERT INTO audit (at, actor, action, object) VALUES (0, 'a', 'b', 'c'); DELETE FROM audit;`, "the audit log is only added to"},
		{"completion of another prompt", `INSERT INTO task_completions VALUES (1, 1, 5, 3);`, "FOREIGN KEY constraint failed"},
		{"task changed in hand", start + `DELETE FROM task_completions WHERE task_id = 1;`, "the completions of an assigned task do not change"},
		{"tokens that are no array", `UPDATE prompts SET tokens = '{}';`, "CHECK constraint failed"},
	} {
		err := db.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.Exec(test.sql)
			return errors.Join(err, errRollback)
		})
		if got := strings.TrimSuffix(err.Error(), errRollback.Error()); test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

var errRollback = errors.New("(rolled back)")

// 50 labelers, 40 tasks, overlap 3: exactly 120 rankings, 3 a task, also when leases run out under their holders.
func TestOverlapIsNeverExceeded(t *testing.T) {
	for _, ttl := range []time.Duration{time.Hour, time.Millisecond} {
		ctx, db := context.Background(), openTest(t)
		var names []string
		for i := range 50 {
			names = append(names, fmt.Sprintf("labeler %d", i))
		}
		ids := addLabelers(t, db, names...)
		if err := db.AddTasks(ctx, tasks(40, 2, 3)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, me := range ids {
			wg.Go(func() {
				for {
					a, err := db.Lease(ctx, me, ttl, backwards)
					if errors.Is(err, ErrNoTask) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := db.Submit(ctx, Submission{LabelerID: me, PublicID: a.PublicID, Ranks: []int{1, 2}}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		per := map[int64]int{}
		extra := 0
		for _, r := range all(t, db) {
			if r.Extra {
				extra++
			} else {
				per[r.TaskID]++
			}
		}
		for id, n := range per {
			if n != 3 {
				t.Errorf("lease of %v: task %d has %d rankings", ttl, id, n)
			}
		}
		if len(per) != 40 || ttl == time.Hour && extra != 0 {
			t.Errorf("lease of %v: %d tasks ranked, %d extra", ttl, len(per), extra)
		}
	}
}

func TestLateAnswerIsKeptAsExtra(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	db.Now = func() time.Time { return now }
	ids := addLabelers(t, db, "ann", "bob")
	if err := db.AddTasks(ctx, tasks(1, 2, 1)); err != nil {
		t.Fatal(err)
	}
	first, err := db.Lease(ctx, ids[0], time.Minute, backwards)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Lease(ctx, ids[1], time.Minute, backwards); !errors.Is(err, ErrNoTask) {
		t.Errorf("a leased task was given away: %v", err)
	}
	now = now.Add(50 * time.Second)
	if until, err := db.Heartbeat(ctx, ids[0], first.PublicID, time.Minute); err != nil || !until.Equal(now.Add(time.Minute)) {
		t.Errorf("heartbeat: %v, %v", until, err)
	}
	now = now.Add(2 * time.Minute)
	second, err := db.Lease(ctx, ids[1], time.Minute, backwards)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range []Assignment{second, first} {
		out, err := db.Submit(ctx, Submission{LabelerID: ids[1-i], PublicID: a.PublicID, Ranks: []int{1, 2}})
		if err != nil || out.Extra != (i == 1) {
			t.Errorf("answer %d: %+v, %v", i, out, err)
		}
	}
	if got := all(t, db); len(got) != 2 {
		t.Errorf("%d rankings kept, want both", len(got))
	}
}

func TestAssignedTasks(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	ids := addLabelers(t, db, "ann", "bob")
	list := tasks(1, 2, 1)
	list[0].AssignedTo = "bob"
	if err := db.AddTasks(ctx, list); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Lease(ctx, ids[0], time.Minute, backwards); !errors.Is(err, ErrNoTask) {
		t.Errorf("ann got bob's task: %v", err)
	}
	if _, err := db.Lease(ctx, ids[1], time.Minute, backwards); err != nil {
		t.Error(err)
	}
}

func TestAddRankingsRoundTrip(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	in := []Ranking{{Prompt: "p", PromptTokens: []int32{1}, Labeler: "w 1", CreatedAt: time.UnixMilli(1700000000123).UTC(), ActiveMS: 5, Ranks: []int{2, 1, 2}, Shown: []int{1, 2, 0},
		Completions: []Completion{{Model: "a", Text: "x"}, {Model: "b", Text: "y"}, {Model: "a", Text: "z", Tokens: []int32{7}}}}}
	if _, err := db.AddRankings(ctx, 0, in); err != nil {
		t.Fatal(err)
	}
	out := bare(all(t, db))
	if !reflect.DeepEqual(out, in) {
		t.Errorf("got %+v\nwant %+v", out, in)
	}
	bad := append(in, Ranking{Prompt: "q", Labeler: "w", Completions: make([]Completion, 2), Ranks: []int{1, 3}})
	if _, err := db.AddRankings(ctx, 0, bad); !errors.Is(err, ErrRanks) || !strings.Contains(err.Error(), "ranking 1:") || len(all(t, db)) != 1 {
		t.Errorf("a bad ranking: %v; %d are stored, want the 1 of before", err, len(all(t, db)))
	}
}

// bare leaves of rankings what AddRankings takes.
func bare(list []Ranking) []Ranking {
	for i := range list {
		r := &list[i]
		r.ID, r.TaskID, r.Project, r.Kind, r.LabelerID, r.Labeler, r.Pseudonym, r.Revision, r.Imported = 0, 0, 0, "", 0, r.Pseudonym, "", 0, false
		for k := range r.Completions {
			r.Completions[k].ID = 0
		}
	}
	return list
}

func TestMigrationsBothWays(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	me := addLabelers(t, db, "ann")[0]
	if err := db.AddTasks(ctx, tasks(3, 4, 1)); err != nil {
		t.Fatal(err)
	}
	a, err := db.Lease(ctx, me, time.Minute, backwards)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Submit(ctx, Submission{LabelerID: me, PublicID: a.PublicID, Ranks: []int{1, 2, 3, 4}}); err != nil {
		t.Fatal(err)
	}
	p, err := db.provider()
	if err != nil {
		t.Fatal(err)
	}
	err = db.migrating(ctx, func() error {
		if _, err := p.DownTo(ctx, 1); err != nil {
			return err
		}
		if err := db.checkForeignKeys(ctx); err != nil {
			return err
		}
		if _, err := p.DownTo(ctx, 0); err != nil {
			return err
		}
		_, err := p.Up(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all(t, db)); n != 0 {
		t.Errorf("%d rankings after going down and up", n)
	}
}

func TestOpenErrors(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 100)), 0o666); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.db")
	db, err := Open(ctx, newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.w.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	for path, want := range map[string]string{text: "not a SQLite database", newer: "version 99, this program knows up to ", dir: "is a directory", filepath.Join(dir, "no", "x.db"): "unable to open"} {
		if _, err := Open(ctx, path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

// A ranking whose items were taken from under it is missed: an export must not go on without it.
func TestRankingsAreCounted(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	r := Ranking{Prompt: "p", Labeler: "w", Ranks: []int{1, 2}, Completions: []Completion{{Text: "a"}, {Text: "b"}}}
	other := r
	other.Prompt = "q"
	if _, err := db.AddRankings(ctx, 0, []Ranking{r, other}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{`DROP TRIGGER ranking_items_delete`, `DELETE FROM ranking_items WHERE ranking_id = 1`} {
		if _, err := db.w.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	err := db.Rankings(ctx, Filter{}, func(Ranking) error { n++; return nil })
	if err == nil || err.Error() != "read 1 rankings, expected the 2 that are sealed: the database is damaged" || n != 1 {
		t.Errorf("%d rankings, %v", n, err)
	}
}
