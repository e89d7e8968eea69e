package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Submission is a labeler's answer to an assignment.
type Submission struct {
	LabelerID int64
	PublicID  string
	Ranks     []int // (K) of the completions in the order shown; 1 is best, equal ranks are a tie, no gaps
	ActiveMS  int64 // time with the page in view and in use
	Comment   string
	Key       string // idempotency key: a second submission with the same one changes nothing; "" for none
}

// Submit stores a ranking. If others filled the task's overlap meanwhile it is
// kept and marked extra. It returns ErrNotFound for an assignment that is not the
// labeler's, ErrRanks for ranks that do not fit and ErrRanked for a task they
// ranked before, unless with the same key.
func (db *DB) Submit(ctx context.Context, s Submission) (extra bool, err error) {
	err = db.write(ctx, func(tx *sql.Tx) error {
		var task int64
		var text string
		err := tx.QueryRowContext(ctx, `SELECT task_id, shown FROM assignments WHERE public_id = ? AND labeler_id = ?`, s.PublicID, s.LabelerID).Scan(&task, &text)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("task %s: %w", s.PublicID, ErrNotFound)
		}
		if err != nil {
			return err
		}
		var shown []int64
		if err := json.Unmarshal([]byte(text), &shown); err != nil {
			return err
		}
		var key sql.NullString
		err = tx.QueryRowContext(ctx, `SELECT extra, idempotency_key FROM rankings WHERE task_id = ? AND labeler_id = ? AND replaced = 0`, task, s.LabelerID).Scan(&extra, &key)
		if err == nil {
			if s.Key != "" && key.String == s.Key {
				return nil
			}
			return fmt.Errorf("task %s: %w", s.PublicID, ErrRanked)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		extra, err = insertRanking(ctx, tx, task, shown, s, db.millis())
		return err
	})
	return extra, err
}

// insertRanking writes a ranking with its items and seals it.
func insertRanking(ctx context.Context, tx *sql.Tx, task int64, shown []int64, s Submission, at int64) (extra bool, err error) {
	if err := CheckRanks(s.Ranks, len(shown)); err != nil {
		return false, err
	}
	var open bool
	if err := tx.QueryRowContext(ctx, `SELECT open FROM tasks WHERE id = ?`, task).Scan(&open); err != nil {
		return false, err
	}
	var key any
	if s.Key != "" {
		key = s.Key
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO rankings (task_id, labeler_id, created_at, active_ms, comment, extra, idempotency_key) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		task, s.LabelerID, at, s.ActiveMS, s.Comment, !open, key)
	if err != nil {
		return false, err
	}
	id, err := r.LastInsertId()
	if err != nil {
		return false, err
	}
	for k, completion := range shown {
		if _, err := tx.ExecContext(ctx, `INSERT INTO ranking_items (ranking_id, task_id, completion_id, rank) VALUES (?, ?, ?, ?)`, id, task, completion, s.Ranks[k]); err != nil {
			return false, err
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE rankings SET sealed = 1 WHERE id = ?`, id); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE assignments SET done = 1 WHERE task_id = ? AND labeler_id = ?`, task, s.LabelerID)
	return !open, err
}

// CheckRanks returns ErrRanks, with what was expected, unless ranks are K numbers
// from 1 to some m without a gap.
func CheckRanks(ranks []int, k int) error {
	if len(ranks) != k {
		return fmt.Errorf("%w: %d ranks for %d completions", ErrRanks, len(ranks), k)
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(ranks)))
	for i, r := range sorted {
		if r != i+1 {
			return fmt.Errorf("%w: found %v, expected 1 to m without a gap (best is 1, equal ranks are a tie)", ErrRanks, ranks)
		}
	}
	return nil
}
