package storage

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// run executes statements and fails the test on an error.
func run(t testing.TB, db *DB, statements string, arguments ...any) {
	t.Helper()
	if err := db.write(context.Background(), func(tx *sql.Tx) error { _, err := tx.Exec(statements, arguments...); return err }); err != nil {
		t.Fatal(err)
	}
}

// contents returns every value of every table as text, by table.
func contents(t testing.TB, db *DB) map[string]string {
	t.Helper()
	var names []string
	rows, err := db.r.Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	rows.Close()
	out := map[string]string{}
	for _, name := range names {
		rows, err := db.r.Query(`SELECT * FROM "` + name + `"`)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values := make([]sql.RawBytes, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		var text strings.Builder
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				text.Write(v)
				text.WriteByte('\n')
			}
		}
		rows.Close()
		out[name] = text.String()
	}
	return out
}

// holding returns the tables and files of the database that hold a text.
func holding(t testing.TB, db *DB, text string) (where []string) {
	t.Helper()
	for table, content := range contents(t, db) {
		if strings.Contains(content, text) {
			where = append(where, table)
		}
	}
	var seq, name, path string
	if err := db.r.QueryRow(`PRAGMA database_list`).Scan(&seq, &name, &path); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-journal"} {
		raw, err := os.ReadFile(path + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(text)) {
			where = append(where, "file"+suffix)
		}
	}
	return where
}

// Somebody who left traces everywhere is forgotten: no byte of their name or of what they wrote beside their rankings is
// left in any table or in the file, and the rankings stay.
func TestForget(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	boss, err := db.CreateLabeler(ctx, "boss", RoleAdmin, "")
	if err != nil {
		t.Fatal(err)
	}
	const name, wrote = `Zöe "Zz" Quixley`, "what-zoe-wrote"
	zoe, err := db.CreateLabeler(WithActor(ctx, boss.ID), name, RoleAdmin, "$hash-of-zoe")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.AddTasks(ctx, tasks(4, 3, 1)); err != nil {
		t.Fatal(err)
	}
	var last Assignment
	for i := range 3 {
		a, err := db.Lease(ctx, zoe.ID, time.Minute, backwards)
		if err != nil {
			t.Fatal(err)
		}
		last = a
		for version, text := range []string{strings.Repeat(wrote+" ", 2000), wrote, strings.Repeat(wrote+" ", 500), "{}"} { // what is written over does not stay either
			if _, err := db.SaveDraft(ctx, zoe.ID, a.PublicID, version, json.RawMessage(`{"comment":"`+text+`"}`)); err != nil {
				t.Fatal(err)
			}
		}
		if i < 2 {
			if _, err := db.Submit(ctx, Submission{LabelerID: zoe.ID, PublicID: a.PublicID, Ranks: []int{1, 2, 2}, Comment: wrote, ActiveMS: 7}); err != nil {
				t.Fatal(err)
			}
		}
	}
	later := time.Now().Add(time.Hour)
	as := WithActor(ctx, zoe.ID)
	_, token := db.CreateToken(as, zoe.ID, wrote, []byte("token-of-zoe"), later)
	for _, err := range []error{db.CreateSession(ctx, []byte("session-of-zoe"), zoe, later), db.CreateLink(as, zoe.ID, []byte("link-of-zoe"), later), token} {
		if err != nil {
			t.Fatal(err)
		}
	}
	run(t, db, `UPDATE drafts SET body = json_object('comment', ?2) WHERE assignment_id IN (SELECT id FROM assignments WHERE labeler_id = ?1)`, zoe.ID, wrote)
	run(t, db, `INSERT INTO skips (task_id, labeler_id, created_at, reason, comment) SELECT task_id, labeler_id, 0, 'other', ?2 FROM assignments WHERE labeler_id = ?1 LIMIT 1`, zoe.ID, wrote)
	run(t, db, `INSERT INTO decisions (task_id, reviewer_id, created_at, note) VALUES (1, ?1, 0, ?2)`, zoe.ID, wrote)
	imported := `Zöe "Zz" Quixley imported`
	_, err = db.AddRankings(ctx, DefaultProject, []Ranking{{Prompt: "p", Labeler: imported, Ranks: []int{1, 2}, Comment: wrote, Items: []Item{{Note: wrote}, {}},
		Completions: []Completion{{Model: "a", Text: "x"}, {Model: "b", Text: "y"}},
		Meta:        map[string]json.RawMessage{"rater": json.RawMessage(`"Zöe \"Zz\" Quixley imported"`), "batch": json.RawMessage("7")}}})
	if err != nil {
		t.Fatal(err)
	}
	err = db.write(as, func(tx *sql.Tx) error {
		return db.audit(as, tx, zoe.ID, "task.assign", "person "+name, map[string]any{"to": name, "also": []string{name, imported}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(holding(t, db, wrote)) < 6 || len(holding(t, db, "Quixley")) < 3 {
		t.Fatalf("the test left too few traces: %v, %v", holding(t, db, wrote), holding(t, db, "Quixley"))
	}
	before := all(t, db)

	pseudonym, err := db.Forget(WithActor(ctx, boss.ID), zoe.ID)
	if err != nil || pseudonym != zoe.Pseudonym {
		t.Fatalf("forgotten as %q, %v; want %q", pseudonym, err, zoe.Pseudonym)
	}
	other, err := db.LabelerByName(ctx, imported)
	if err != nil {
		t.Fatal(err)
	}
	renamed, err := db.Forget(ctx, other.ID)
	if err != nil || !strings.HasPrefix(renamed, "labeler-") {
		t.Fatalf("the imported labeler is forgotten as %q, %v", renamed, err)
	}
	for _, text := range []string{"Quixley", wrote, "hash-of-zoe", "session-of-zoe", "link-of-zoe", "token-of-zoe"} {
		if where := holding(t, db, text); where != nil {
			t.Errorf("%q is still in %v", text, where)
		}
	}
	after := all(t, db)
	for i := range before {
		switch {
		case before[i].Labeler == name:
			before[i].Labeler, before[i].Comment = pseudonym, ""
		case before[i].Labeler == imported:
			before[i].Labeler, before[i].Pseudonym, before[i].Comment, before[i].Items = renamed, renamed, "", nil
			before[i].Meta["rater"] = json.RawMessage(`"` + renamed + `"`)
		}
	}
	if len(after) != 3 || !reflect.DeepEqual(after, before) {
		t.Errorf("rankings were\n%+v\nand are\n%+v", before, after)
	}
	for name, late := range map[string]func() error{ // requests that were on their way
		"draft": func() error { _, err := db.SaveDraft(ctx, zoe.ID, last.PublicID, 0, json.RawMessage(`{}`)); return err },
		"ranking": func() error {
			_, err := db.Submit(ctx, Submission{LabelerID: zoe.ID, PublicID: last.PublicID, Ranks: []int{1, 2, 2}, Key: "late"})
			return err
		},
		"skip": func() error {
			_, err := db.Skip(ctx, Skip{LabelerID: zoe.ID, PublicID: last.PublicID, Reason: "other", Comment: wrote, Key: "late"})
			return err
		},
	} {
		if err := late(); err == nil || !strings.Contains(err.Error(), "has been forgotten") {
			t.Errorf("a late %s: %v", name, err)
		}
	}
	if again, err := db.Forget(ctx, zoe.ID); err != nil || again != pseudonym {
		t.Errorf("forgotten twice: %q, %v", again, err)
	}
	audit := contents(t, db)["audit"]
	if !strings.Contains(audit, "person.forget") || !strings.Contains(audit, "person "+pseudonym) || !strings.Contains(audit, `"also":["`+pseudonym+`","`+renamed+`"]`) {
		t.Errorf("the audit log:\n%s", audit)
	}
	if err := db.checkForeignKeys(ctx); err != nil {
		t.Error(err)
	}
}

// What each column of text holds decides what forgetting somebody does with it. A new one must be decided on too.
func TestEveryTextIsForgottenOrKept(t *testing.T) {
	db := openTest(t)
	const deleted, words, kept = "of a person, deleted or replaced", "one of few words, or made by the program", "of a project or a file, kept"
	known := map[string]string{
		"api_tokens.name": deleted, "api_tokens.token_hash": deleted, "sessions.token_hash": deleted, "sign_in_links.token_hash": deleted,
		"labelers.name": deleted, "labelers.password_hash": deleted, "labelers.pseudonym": deleted, "audit.actor": deleted, "audit.detail": deleted, "audit.object": deleted,
		"decisions.note": deleted, "drafts.body": deleted, "ranking_items.note": deleted, "rankings.comment": deleted, "rankings.meta": deleted, "skips.comment": deleted,

		"assignments.public_id": words, "assignments.shown": words, "audit.action": words, "frontiers.kind": words, "imports.digest": words, "imports.what": words,
		"labelers.role": words, "pauses.reason": words, "ranking_items.ratings": words, "rankings.flags": words, "rankings.idempotency_key": words, "skips.idempotency_key": words,
		"skips.reason": words, "stocks.kind": words, "tallies.kind": words, "tasks.digest": words, "tasks.kind": words,

		"completions.external_id": kept, "completions.messages": kept, "completions.model": kept, "completions.sampling": kept, "completions.text": kept, "completions.tokens": kept,
		"guidelines.text": kept, "imports.name": kept, "projects.description": kept, "projects.name": kept, "projects.questions": kept, "prompts.messages": kept, "prompts.system": kept,
		"prompts.text": kept, "prompts.tokens": kept, "rankings.group_id": kept, "rankings.guideline": kept, "task_references.note": kept,
	}
	rows, err := db.r.Query(`SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.type NOT IN ('INTEGER', 'REAL', 'TIMESTAMP') ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if known[name] == "" {
			t.Errorf("%s: does it hold what a person wrote? Then storage.Forget deletes it; either way this test lists it", name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("%s does not exist", name)
	}
}

func TestLastAdminStays(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	var ids []int64
	for _, name := range []string{"a", "b"} {
		l, err := db.CreateLabeler(ctx, name, RoleAdmin, "")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, l.ID)
	}
	yes, labeler := true, RoleLabeler
	if _, err := db.ChangePerson(ctx, ids[0], PersonChange{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []PersonChange{{Disabled: &yes}, {Role: &labeler}} {
		if _, err := db.ChangePerson(ctx, ids[1], c); !errors.Is(err, ErrLastAdmin) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := db.Forget(ctx, ids[1]); !errors.Is(err, ErrLastAdmin) {
		t.Errorf("forgetting: %v", err)
	}
	if p, err := db.Person(ctx, ids[1]); err != nil || p.Disabled || p.Role != RoleAdmin || p.Forgotten {
		t.Errorf("after refusals: %+v, %v", p, err)
	}
	if _, err := db.Forget(ctx, ids[0]); err != nil {
		t.Error(err)
	}
	if _, err := db.ChangePerson(ctx, ids[0], PersonChange{Role: &labeler}); !errors.Is(err, ErrDisabled) {
		t.Errorf("changing somebody forgotten: %v", err)
	}
}

// Each way in ends when it should: at its time, once used, by a change of the person, by signing out everywhere.
func TestWaysIn(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	db.Now = func() time.Time { return now }
	id := addLabelers(t, db, "ann")[0]
	yes, no, reviewer, hash := true, false, RoleReviewer, "$new"
	begin := func() {
		t.Helper()
		ann, err := db.LabelerByName(ctx, "ann")
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{db.CreateSession(ctx, []byte("s"), ann, now.Add(time.Hour)), db.CreateLink(ctx, id, []byte("l"), now.Add(time.Hour))} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, end := range map[string]func() error{
		"time":        func() error { now = now.Add(time.Hour); return nil },
		"role":        func() error { _, err := db.ChangePerson(ctx, id, PersonChange{Role: &reviewer}); return err },
		"password":    func() error { _, err := db.ChangePerson(ctx, id, PersonChange{PasswordHash: &hash}); return err },
		"disabled":    func() error { _, err := db.ChangePerson(ctx, id, PersonChange{Disabled: &yes}); return err },
		"end of all":  func() error { return db.EndSessions(ctx, id) },
		"same change": nil,
	} {
		begin()
		if _, err := db.SessionLabeler(ctx, []byte("s")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if end == nil { // a change that changes nothing ends nothing
			if _, err := db.ChangePerson(ctx, id, PersonChange{Disabled: &no}); err != nil {
				t.Fatal(err)
			}
			if _, err := db.SessionLabeler(ctx, []byte("s")); err != nil {
				t.Errorf("a change that changes nothing ended the session: %v", err)
			}
			end = func() error { return db.EndSessions(ctx, id) }
		}
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := db.SessionLabeler(ctx, []byte("s")); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: the session goes on: %v", name, err)
		}
		if _, err := db.RedeemLink(ctx, []byte("l"), []byte("t"), now.Add(time.Hour)); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: the link still leads in: %v", name, err)
		}
		run(t, db, `UPDATE labelers SET disabled = 0, role = 'labeler'; DELETE FROM sessions; DELETE FROM sign_in_links`)
	}

	// who signs in while their password changes, or they are let in no longer, does not get in
	ann, err := db.LabelerByName(ctx, "ann")
	if err != nil {
		t.Fatal(err)
	}
	for name, stale := range map[string]Labeler{"an old password": {ID: ann.ID, PasswordHash: "$old"}, "nobody": {ID: 99, PasswordHash: ann.PasswordHash}} {
		if err := db.CreateSession(ctx, []byte("x"), stale, now.Add(time.Hour)); !errors.Is(err, ErrNotFound) {
			t.Errorf("a session by %s: %v", name, err)
		}
	}
	if _, err := db.ChangePerson(ctx, id, PersonChange{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	if err := db.CreateSession(ctx, []byte("x"), ann, now.Add(time.Hour)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session of somebody disabled: %v", err)
	}
	if _, err := db.ChangePerson(ctx, id, PersonChange{Disabled: &no}); err != nil {
		t.Fatal(err)
	}

	begin()
	if l, err := db.RedeemLink(ctx, []byte("l"), []byte("t"), now.Add(time.Hour)); err != nil || l.ID != id {
		t.Errorf("a link led to %+v, %v", l, err)
	}
	if _, err := db.RedeemLink(ctx, []byte("l"), []byte("u"), now.Add(time.Hour)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a link was used twice: %v", err)
	}
	if l, err := db.SessionLabeler(ctx, []byte("t")); err != nil || l.Name != "ann" {
		t.Errorf("the link's session is %+v's, %v", l, err)
	}
}

func TestTokens(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	db.Now = func() time.Time { return now }
	id := addLabelers(t, db, "ann")[0]
	first, err := db.CreateToken(ctx, id, "laptop", []byte("t"), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.CreateToken(ctx, id, "short", []byte("u"), now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Minute)
	if l, err := db.TokenLabeler(ctx, []byte("t")); err != nil || l.ID != id {
		t.Errorf("the token stands for %+v, %v", l, err)
	}
	if _, err := db.TokenLabeler(ctx, []byte("u")); !errors.Is(err, ErrNotFound) {
		t.Errorf("an expired token: %v", err)
	}
	if p, err := db.Person(ctx, id); err != nil || !p.LastSeen.Equal(now) {
		t.Errorf("last seen at %v, %v; want %v", p.LastSeen, err, now)
	}
	used := now
	now = now.Add(time.Second)
	if err := db.RevokeToken(ctx, first); err != nil {
		t.Fatal(err)
	}
	if _, err := db.TokenLabeler(ctx, []byte("t")); !errors.Is(err, ErrNotFound) {
		t.Errorf("a revoked token: %v", err)
	}
	got, err := db.Tokens(ctx, id)
	want := Token{first, "laptop", now.Add(-121 * time.Second), now.Add(time.Hour - 121*time.Second), used, now}
	if err != nil || len(got) != 2 || got[0] != want {
		t.Errorf("tokens %+v, %v; want %+v first", got, err, want)
	}
	for _, err := range []error{db.RevokeToken(ctx, 99), db.EndSessions(ctx, 99), db.CreateLink(ctx, 99, nil, now)} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
	}
	if _, err := db.Tokens(ctx, 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("tokens of nobody: %v", err)
	}
	yes := true
	if _, err := db.ChangePerson(ctx, id, PersonChange{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	if err := db.CreateLink(ctx, id, []byte("l"), now.Add(time.Hour)); !errors.Is(err, ErrDisabled) {
		t.Errorf("a link for somebody disabled: %v", err)
	}
	var actions []string
	entries, _, err := db.Audit(ctx, 0, 100)
	for _, e := range entries {
		actions = append(actions, e.Action+" "+e.Object)
	}
	if want := "[person.change person 1 token.revoke token 1 token.create token 2 token.create token 1 person.create person 1]"; fmt.Sprint(actions) != want || err != nil {
		t.Errorf("audit %v, %v; want %s", actions, err, want)
	}
}

func TestPeopleTellWhereTheyArePaused(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	addLabelers(t, db, "ann", "bob")
	run(t, db, `INSERT INTO projects (id, name, created_at) VALUES (7, 'second', 0), (5, 'third', 0);
		INSERT INTO pauses (labeler_id, project_id, reason, paused_at, resumed_at) VALUES (2, 7, 'gold', 0, NULL), (2, 1, 'gold', 0, NULL), (2, 5, 'gold', 0, 1), (1, 5, 'gold', 0, 1)`)
	people, err := db.People(ctx)
	if err != nil || len(people) != 2 || len(people[0].Paused) != 0 || !reflect.DeepEqual(people[1].Paused, []string{"default", "second"}) {
		t.Errorf("%+v, %v", people, err)
	}
}

// The log of changes is only added to: names in it change when somebody is forgotten, and nothing else ever.
func TestAuditIsFixed(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	addLabelers(t, db, "ann", "bob")
	try := func(statement string) error {
		return db.write(ctx, func(tx *sql.Tx) error { _, err := tx.Exec(statement); return err })
	}
	for range 2 {
		for _, s := range []string{`DELETE FROM audit`, `UPDATE audit SET action = 'x'`, `UPDATE audit SET at = 0`, `UPDATE audit SET actor_id = 1`} {
			if err := try(s); err == nil || !strings.Contains(err.Error(), "only added to") {
				t.Errorf("%s: %v", s, err)
			}
		}
		if _, err := db.Forget(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
}
