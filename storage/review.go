package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Review is a task with all that labelers and reviewers said of it. Ranks are in the order of the task's completions.
type Review struct {
	ID       int64
	Task     Task
	Rankings []ReviewRanking // by pseudonym
	Decision *Decision       // the one that holds; nil for none
	Earlier  []Decision      // that it replaced, latest first
}

// ReviewRanking is a labeler's ranking as a reviewer sees it.
type ReviewRanking struct {
	Labeler    string // pseudonym
	Ranks      []int
	Comment    string
	ActiveMS   int64
	Confidence *float64
	Flags      []string
	Choice     bool // the best was chosen, the rest not compared
	Extra      bool
}

// Decision is a reviewer's own ranking, beside those of the labelers.
type Decision struct {
	Ranks     []int
	Note      string
	Reviewer  string // pseudonym
	CreatedAt time.Time
}

// Review reads a task with its rankings and decisions in one snapshot. It returns ErrNotFound if there is no such task.
func (db *DB) Review(ctx context.Context, task int64) (r Review, err error) {
	tx, err := db.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return r, err
	}
	defer tx.Rollback()
	r.ID = task
	if r.Task, err = readTask(ctx, tx, task); err != nil {
		return r, err
	}
	if r.Rankings, err = reviewRankings(ctx, tx, task); err != nil {
		return r, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT d.id, d.replaced, d.note, l.pseudonym, d.created_at FROM decisions d JOIN labelers l ON l.id = d.reviewer_id
		WHERE d.task_id = ? ORDER BY d.id DESC`, task)
	if err != nil {
		return r, err
	}
	defer rows.Close()
	for rows.Next() {
		var d Decision
		var id, at int64
		var replaced bool
		if err := rows.Scan(&id, &replaced, &d.Note, &d.Reviewer, &at); err != nil {
			return r, err
		}
		d.CreatedAt = time.UnixMilli(at).UTC()
		if d.Ranks, err = decisionRanks(ctx, tx, id); err != nil {
			return r, err
		}
		if replaced {
			r.Earlier = append(r.Earlier, d)
		} else {
			r.Decision = &d
		}
	}
	return r, rows.Err()
}

func reviewRankings(ctx context.Context, tx *sql.Tx, task int64) (out []ReviewRanking, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT r.id, l.pseudonym, r.comment, r.active_ms, r.confidence, r.flags, r.choice, r.extra, i.rank
		FROM rankings r JOIN labelers l ON l.id = r.labeler_id JOIN ranking_items i ON i.ranking_id = r.id
		JOIN task_completions tc ON tc.task_id = r.task_id AND tc.completion_id = i.completion_id
		WHERE r.task_id = ? AND r.sealed = 1 AND r.replaced = 0 ORDER BY l.pseudonym, r.id, tc.position`, task)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := int64(0)
	for rows.Next() {
		var id int64
		var x ReviewRanking
		var flags string
		var confidence sql.NullFloat64
		var rank int
		if err := rows.Scan(&id, &x.Labeler, &x.Comment, &x.ActiveMS, &confidence, &flags, &x.Choice, &x.Extra, &rank); err != nil {
			return nil, err
		}
		if id != last {
			if confidence.Valid {
				x.Confidence = &confidence.Float64
			}
			if err := json.Unmarshal([]byte(flags), &x.Flags); err != nil {
				return nil, fmt.Errorf("flags of ranking %d: %w", id, err)
			}
			out = append(out, x)
			last = id
		}
		r := &out[len(out)-1]
		r.Ranks = append(r.Ranks, rank)
	}
	return out, rows.Err()
}

// Decide stores a reviewer's ranking of a task beside those of the labelers; it replaces an earlier decision, which is kept. The
// ranks are in the order of the task's completions. It returns ErrNotFound if there is no such task and ErrRanks for ranks that
// do not fit.
func (db *DB) Decide(ctx context.Context, task, reviewer int64, ranks []int, note string) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		ids, err := taskCompletions(ctx, tx, task)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return fmt.Errorf("task %d: %w", task, ErrNotFound)
		}
		if err := CheckRanks(ranks, len(ids)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE decisions SET replaced = 1 WHERE task_id = ? AND replaced = 0`, task); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO decisions (task_id, reviewer_id, created_at, note) VALUES (?, ?, ?, ?)`, task, reviewer, db.millis(), note)
		if err != nil {
			return err
		}
		id, err := r.LastInsertId()
		if err != nil {
			return err
		}
		for k, completion := range ids {
			if _, err := tx.ExecContext(ctx, `INSERT INTO decision_items (decision_id, task_id, completion_id, rank) VALUES (?, ?, ?, ?)`, id, task, completion, ranks[k]); err != nil {
				return err
			}
		}
		return db.audit(ctx, tx, reviewer, "task.decide", object("task", task), map[string]any{"decision": id})
	})
}

// ReviewLine is a task in a list of those to review.
type ReviewLine struct {
	ID      int64
	Prompt  string
	Decided bool
}

// ReviewLines returns what a list says of tasks, in the order of their numbers given. Those that are gone are left out.
func (db *DB) ReviewLines(ctx context.Context, tasks []int64) (out []ReviewLine, err error) {
	numbers, err := json.Marshal(tasks)
	if err != nil {
		return nil, err
	}
	rows, err := db.r.QueryContext(ctx, `SELECT t.id, p.text, EXISTS (SELECT 1 FROM decisions d WHERE d.task_id = t.id AND d.replaced = 0)
		FROM json_each(?) j JOIN tasks t ON t.id = j.value JOIN prompts p ON p.id = t.prompt_id ORDER BY j.key`, string(numbers))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l ReviewLine
		if err := rows.Scan(&l.ID, &l.Prompt, &l.Decided); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}
