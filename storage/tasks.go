package storage

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Assignment is a task in a labeler's hands.
type Assignment struct {
	PublicID string // says nothing about task or models
	TaskID   int64
	Prompt   string
	Texts    []string // (K) in the order drawn for this labeler
	Expires  time.Time
}

// Draw returns the order in which a labeler sees the K completions of a task: a permutation of 0 to k-1.
type Draw func(task, labeler int64, k int) []int

// Lease gives the labeler a task until ttl from now: the one they hold already,
// else the open task of the highest priority that they have not ranked and that
// the live leases of others leave room for. The order is drawn once for each
// labeler and task and stored. It returns ErrNoTask if nothing is left.
func (db *DB) Lease(ctx context.Context, labelerID int64, ttl time.Duration, draw Draw) (Assignment, error) {
	now := db.Now()
	a := Assignment{Expires: now.Add(ttl)}
	err := db.write(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, leaseQuery, sql.Named("me", labelerID), sql.Named("now", now.UnixMilli())).Scan(&a.TaskID)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoTask
		}
		if err != nil {
			return err
		}
		shown, err := assign(ctx, tx, &a, labelerID, now.UnixMilli(), draw)
		if err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT p.text FROM tasks t JOIN prompts p ON p.id = t.prompt_id WHERE t.id = ?`, a.TaskID).Scan(&a.Prompt); err != nil {
			return err
		}
		for _, id := range shown {
			var text string
			if err := tx.QueryRowContext(ctx, `SELECT text FROM completions WHERE id = ?`, id).Scan(&text); err != nil {
				return err
			}
			a.Texts = append(a.Texts, text)
		}
		return nil
	})
	return a, err
}

// leaseQuery finds the task to lease, the one in hand first.
const leaseQuery = `
SELECT coalesce(
  (SELECT a.task_id FROM assignments a JOIN tasks o ON o.id = a.task_id
   WHERE a.labeler_id = :me AND a.expires_at > :now AND o.open = 1
     AND NOT EXISTS (SELECT 1 FROM rankings r WHERE r.task_id = a.task_id AND r.labeler_id = :me)
   ORDER BY a.id LIMIT 1),
  (SELECT o.id FROM tasks o INDEXED BY tasks_open
   WHERE o.project_id IN (SELECT id FROM projects WHERE open = 1) AND o.kind = 'normal' AND o.open = 1 AND o.withdrawn = 0 AND (o.assigned_to IS NULL OR o.assigned_to = :me)
     AND NOT EXISTS (SELECT 1 FROM rankings r WHERE r.task_id = o.id AND r.labeler_id = :me)
     AND (SELECT count(*) FROM rankings r WHERE r.task_id = o.id AND r.sealed = 1 AND r.extra = 0)
       + (SELECT count(*) FROM assignments a WHERE a.task_id = o.id AND a.labeler_id <> :me AND a.expires_at > :now
            AND NOT EXISTS (SELECT 1 FROM rankings r WHERE r.task_id = a.task_id AND r.labeler_id = a.labeler_id)) < o.overlap
   ORDER BY o.priority DESC, o.id LIMIT 1)) AS id
WHERE id IS NOT NULL`

// assign renews or creates the labeler's assignment and returns the completions in the order shown.
func assign(ctx context.Context, tx *sql.Tx, a *Assignment, labelerID, now int64, draw Draw) (shown []int64, err error) {
	var text string
	err = tx.QueryRowContext(ctx, `UPDATE assignments SET expires_at = ? WHERE task_id = ? AND labeler_id = ? RETURNING public_id, shown`,
		a.Expires.UnixMilli(), a.TaskID, labelerID).Scan(&a.PublicID, &text)
	if err == nil {
		err = json.Unmarshal([]byte(text), &shown)
		return shown, err
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	ids, err := taskCompletions(ctx, tx, a.TaskID)
	if err != nil {
		return nil, err
	}
	for _, i := range draw(a.TaskID, labelerID, len(ids)) {
		shown = append(shown, ids[i])
	}
	raw, err := json.Marshal(shown)
	if err != nil {
		return nil, err
	}
	var public [16]byte
	rand.Read(public[:]) // never fails
	a.PublicID = hex.EncodeToString(public[:])
	_, err = tx.ExecContext(ctx, `INSERT INTO assignments (public_id, task_id, labeler_id, shown, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
		a.PublicID, a.TaskID, labelerID, string(raw), now, a.Expires.UnixMilli())
	return shown, err
}

func taskCompletions(ctx context.Context, tx *sql.Tx, task int64) (ids []int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT completion_id FROM task_completions WHERE task_id = ? ORDER BY position`, task)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Heartbeat renews a lease. It returns ErrNotFound if the labeler has no such assignment.
func (db *DB) Heartbeat(ctx context.Context, labelerID int64, publicID string, ttl time.Duration) (expires time.Time, err error) {
	expires = db.Now().Add(ttl)
	err = db.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE assignments SET expires_at = ? WHERE public_id = ? AND labeler_id = ?`, expires.UnixMilli(), publicID, labelerID)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("task %s: %w", publicID, ErrNotFound))
		}
		return nil
	})
	return expires, err
}
