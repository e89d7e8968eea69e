package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// An Actor is who makes a change. Its ID is that of a labeler, or 0 for the command line.
type Actor struct{ ID int64 }

type actorKey struct{}

// WithActor returns a context in which changes are those of the labeler with this id, or of the command line for 0.
func WithActor(ctx context.Context, id int64) context.Context {
	return context.WithValue(ctx, actorKey{}, Actor{id})
}

// ActorOf returns who makes changes in this context: the command line unless WithActor says otherwise.
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

// AuditEntry is one change that somebody made.
type AuditEntry struct {
	ID     int64
	At     time.Time
	Actor  string          // name then; the pseudonym once they are forgotten; "" is the command line
	Action string          // such as "person.create"
	Object string          // what was changed, such as "person 3"
	Detail json.RawMessage // an object
}

// audit writes down a change in the transaction that makes it: both are stored or neither. The actor is a labeler's id, or 0
// for the command line; detail may be nil. It must hold no password and no token. A person's name in it stands as a whole
// value, so that it can be found when the person is forgotten.
func (db *DB) audit(ctx context.Context, tx *sql.Tx, actor int64, action, object string, detail map[string]any) error {
	if detail == nil {
		detail = map[string]any{}
	}
	raw, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("audit %s: %w", action, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO audit (at, actor_id, actor, action, object, detail)
		SELECT ?1, nullif(?2, 0), coalesce((SELECT name FROM labelers WHERE id = ?2), ''), ?3, ?4, ?5`, db.millis(), actor, action, object, string(raw))
	if err != nil {
		return fmt.Errorf("audit %s: %w", action, err)
	}
	return nil
}

// Audit returns the latest changes with ids below before, or simply the latest if that is 0, latest first. next is the
// before of those that follow, 0 if none do.
func (db *DB) Audit(ctx context.Context, before int64, limit int) (entries []AuditEntry, next int64, err error) {
	rows, err := db.r.QueryContext(ctx, `SELECT id, at, actor, action, object, detail FROM audit
		WHERE ?1 = 0 OR id < ?1 ORDER BY id DESC LIMIT ?2`, before, limit+1)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if len(entries) == limit {
			return entries, entries[limit-1].ID, nil
		}
		var e AuditEntry
		var at int64
		var detail string
		if err := rows.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Object, &detail); err != nil {
			return nil, 0, err
		}
		e.At, e.Detail = time.UnixMilli(at), json.RawMessage(detail)
		entries = append(entries, e)
	}
	return entries, 0, rows.Err()
}
