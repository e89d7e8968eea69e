package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
)

// A change and its entry are stored together or not at all, under the name of whoever made it.
func TestAudit(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	ann := addLabelers(t, db, "ann")[0]
	if a := ActorOf(ctx); a.ID != 0 {
		t.Errorf("without an actor: %v", a)
	}
	refused := errors.New("refused")
	for i, test := range []struct {
		actor int64
		err   error
	}{{ann, nil}, {0, nil}, {ann, refused}, {ann, nil}} {
		err := db.write(WithActor(ctx, test.actor), func(tx *sql.Tx) error {
			var detail map[string]any
			if i == 3 {
				detail = map[string]any{"role": "admin"}
			}
			return errors.Join(db.audit(ctx, tx, test.actor, "thing.change", fmt.Sprintf("thing %d", i), detail), test.err)
		})
		if !errors.Is(err, test.err) {
			t.Fatal(err)
		}
	}
	var got []string
	add := func(before int64, limit int) (next int64) {
		entries, next, err := db.Audit(ctx, before, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Action == "thing.change" {
				got = append(got, fmt.Sprintf("%q %s %s", e.Actor, e.Object, e.Detail))
			}
		}
		return next
	}
	next := add(0, 2)
	if add(next, 100); next == 0 {
		t.Error("no more pages after two of three entries")
	}
	want := `["\"ann\" thing 3 {\"role\":\"admin\"}" "\"\" thing 1 {}" "\"ann\" thing 0 {}"]`
	if fmt.Sprintf("%q", got) != want {
		t.Errorf("got %q, want %s", got, want)
	}
	err := db.write(ctx, func(tx *sql.Tx) error { return db.audit(ctx, tx, 99, "a", "b", nil) })
	if err == nil {
		t.Error("an entry of nobody was stored")
	}
}
