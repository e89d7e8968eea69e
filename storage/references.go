package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// author is the column of who makes a change; NULL is the command line.
func author(ctx context.Context) any {
	if id := ActorOf(ctx).ID; id != 0 {
		return id
	}
	return nil
}

// object names what is changed in the audit log.
func object(what string, id int64) string { return fmt.Sprintf("%s %d", what, id) }

// putReference replaces the researcher's own answer to a task.
func (db *DB) putReference(ctx context.Context, tx *sql.Tx, task int64, ref Reference) error {
	ids, err := taskCompletions(ctx, tx, task)
	if err != nil {
		return err
	}
	if err := CheckRanks(ref.Ranks, len(ids)); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	if err := dropReference(ctx, tx, task); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO task_references (task_id, author_id, note, created_at) VALUES (?, ?, ?, ?)`, task, author(ctx), ref.Note, db.millis()); err != nil {
		return err
	}
	for k, id := range ids {
		if _, err := tx.ExecContext(ctx, `INSERT INTO reference_items (task_id, completion_id, rank) VALUES (?, ?, ?)`, task, id, ref.Ranks[k]); err != nil {
			return err
		}
	}
	return nil
}

func dropReference(ctx context.Context, tx *sql.Tx, task int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM reference_items WHERE task_id = ?`, task); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM task_references WHERE task_id = ?`, task)
	return err
}

// readReference returns nil if a task has none.
func readReference(ctx context.Context, q queryer, task int64) (*Reference, error) {
	var r Reference
	var at int64
	err := q.QueryRowContext(ctx, `SELECT f.note, f.created_at, coalesce(l.name, '') FROM task_references f LEFT JOIN labelers l ON l.id = f.author_id WHERE f.task_id = ?`, task).
		Scan(&r.Note, &at, &r.Author)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.CreatedAt = time.UnixMilli(at).UTC()
	rows, err := q.QueryContext(ctx, `SELECT i.rank FROM reference_items i JOIN task_completions tc ON tc.task_id = i.task_id AND tc.completion_id = i.completion_id
		WHERE i.task_id = ? ORDER BY tc.position`, task)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var rank int
		if err := rows.Scan(&rank); err != nil {
			return nil, err
		}
		r.Ranks = append(r.Ranks, rank)
	}
	return &r, rows.Err()
}
