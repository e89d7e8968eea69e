package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Draft is a labeler's unfinished answer to a task.
type Draft struct {
	Version int             // 0: there is none
	Body    json.RawMessage // an object, as the page wrote it; nil if there is none
}

// SaveDraft stores a draft based on the version that the page has, 0 before the first, and returns it with its new version.
// If another one is stored it returns that, with ErrDraft; ErrNotFound if the labeler has no such assignment.
func (db *DB) SaveDraft(ctx context.Context, labelerID int64, publicID string, based int, body json.RawMessage) (d Draft, err error) {
	at := db.millis()
	err = db.change(ctx, func(ctx context.Context, q querier) error {
		var assignment int64
		var stored sql.NullString
		err := q.QueryRowContext(ctx, `SELECT a.id, coalesce(d.version, 0), d.body FROM assignments a LEFT JOIN drafts d ON d.assignment_id = a.id
			WHERE a.public_id = ? AND a.labeler_id = ?`, publicID, labelerID).Scan(&assignment, &d.Version, &stored)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("task %s: %w", publicID, ErrNotFound)
		}
		if err != nil {
			return err
		}
		if d.Version != based {
			if stored.Valid {
				d.Body = json.RawMessage(stored.String)
			}
			return fmt.Errorf("version %d: %w", based, ErrDraft)
		}
		d = Draft{based + 1, body}
		_, err = q.ExecContext(ctx, `INSERT INTO drafts (assignment_id, version, body, updated_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (assignment_id) DO UPDATE SET version = excluded.version, body = excluded.body, updated_at = excluded.updated_at`,
			assignment, d.Version, string(body), at)
		return err
	})
	return d, err
}
