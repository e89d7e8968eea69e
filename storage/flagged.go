package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Flagged is a task that a labeler skipped, or ranked and flagged.
type Flagged struct {
	ID      int64 // of the skip or ranking
	Skip    bool
	Task    int64
	Labeler string // name
	At      time.Time
	Reasons []string
	Comment string
	Prompt  string
}

// FlaggedAt is where a list of them goes on; the zero value is its beginning.
type FlaggedAt struct {
	AtMS int64
	Skip bool
	ID   int64
}

// Flagged lists a project's skips that hold and rankings with flags, latest first. more reports whether others follow, from next on.
func (db *DB) Flagged(ctx context.Context, project int64, from FlaggedAt, limit int) (out []Flagged, next FlaggedAt, more bool, err error) {
	rows, err := db.r.QueryContext(ctx, `SELECT f.id, f.skip, f.task_id, l.name, f.created_at, f.reasons, f.comment, p.text FROM (
			SELECT id, 1 AS skip, task_id, labeler_id, created_at, json_array(reason) AS reasons, comment FROM skips WHERE undone = 0
			UNION ALL
			SELECT id, 0, task_id, labeler_id, created_at, flags, comment FROM rankings WHERE flags <> '[]' AND sealed = 1 AND replaced = 0
		) f JOIN labelers l ON l.id = f.labeler_id JOIN tasks t ON t.id = f.task_id JOIN prompts p ON p.id = t.prompt_id
		WHERE t.project_id = ?1 AND (?2 = 0 OR (f.created_at, f.skip, f.id) < (?2, ?3, ?4))
		ORDER BY f.created_at DESC, f.skip DESC, f.id DESC LIMIT ?5`, project, from.AtMS, from.Skip, from.ID, limit+1)
	if err != nil {
		return nil, next, false, err
	}
	defer rows.Close()
	for rows.Next() {
		if len(out) == limit {
			return out, next, true, nil
		}
		var f Flagged
		var at int64
		var reasons string
		if err := rows.Scan(&f.ID, &f.Skip, &f.Task, &f.Labeler, &at, &reasons, &f.Comment, &f.Prompt); err != nil {
			return nil, next, false, err
		}
		if err := json.Unmarshal([]byte(reasons), &f.Reasons); err != nil {
			return nil, next, false, fmt.Errorf("flags of ranking %d: %w", f.ID, err)
		}
		f.At = time.UnixMilli(at).UTC()
		next = FlaggedAt{at, f.Skip, f.ID}
		out = append(out, f)
	}
	return out, next, false, rows.Err()
}

// CompletionText is a completion of a project, for looking through all of them.
type CompletionText struct {
	ID     int64
	Task   int64 // the first that has it
	Model  string
	Text   string
	Prompt string
}

// CompletionTexts calls each for a project's completions with numbers above after, in the order of their numbers, at most limit of
// them. It returns the last number, 0 if no more follow.
func (db *DB) CompletionTexts(ctx context.Context, project, after int64, limit int, each func(CompletionText)) (last int64, err error) {
	rows, err := db.r.QueryContext(ctx, `SELECT c.id, (SELECT min(tc.task_id) FROM task_completions tc JOIN tasks t ON t.id = tc.task_id
			WHERE tc.completion_id = c.id AND tc.prompt_id = c.prompt_id AND t.project_id = ?1) AS task, c.model, c.text, p.text
		FROM completions c JOIN prompts p ON p.id = c.prompt_id
		WHERE c.id > ?2 AND task IS NOT NULL ORDER BY c.id LIMIT ?3`, project, after, limit)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var c CompletionText
		if err := rows.Scan(&c.ID, &c.Task, &c.Model, &c.Text, &c.Prompt); err != nil {
			return 0, err
		}
		each(c)
		last = c.ID
		n++
	}
	if n < limit {
		last = 0
	}
	return last, rows.Err()
}
