package storage

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// plainJSON is the JSON of a value without escapes for HTML.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}

// key is what tells a completion from the others of its task.
func (c Completion) key() (string, error) {
	raw, err := json.Marshal([]any{c.Model, c.Text, c.Messages, c.External})
	return string(raw), err
}

// digest is the SHA-256 of what makes the task that it is: project, prompt and completions, in whatever order. Tokens and
// sampling are left out, since not every format keeps them.
func (t Task) digest() ([]byte, error) {
	var keys []string
	for _, c := range t.Completions {
		key, err := c.key()
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	raw, err := json.Marshal([]any{cmp.Or(t.Project, DefaultProject), t.Prompt, t.System, t.Messages, keys})
	sum := sha256.Sum256(raw)
	return sum[:], err
}

// ranked are the kinds of tasks whose rankings are data.
const ranked = `('normal', 'calibration', 'gold', 'honeypot')`

// findTask returns the first task of the same completions that the labeler has not had, and the completions in the order
// of t's; 0 if there is none. Tokens and sampling that it lacked are added to it; one that has others is another task.
func findTask(ctx context.Context, tx *sql.Tx, t Task, labelerID int64) (id int64, completions []Completion, err error) {
	digest, err := t.digest()
	if err != nil {
		return 0, nil, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT id FROM tasks WHERE digest = ? AND kind IN `+ranked+` AND (assigned_to IS NULL OR assigned_to = ?2)
		AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.task_id = tasks.id AND a.labeler_id = ?2) ORDER BY id`, digest, labelerID)
	if err != nil {
		return 0, nil, err
	}
	ids, err := scanIDs(rows)
	if err != nil {
		return 0, nil, err
	}
	for _, id := range ids {
		stored, err := readCompletions(ctx, tx, id)
		if err != nil {
			return 0, nil, err
		}
		order, ok, err := matched(t.Completions, stored)
		if err != nil {
			return 0, nil, err
		}
		if ok {
			if err := complete(ctx, tx, t, order); err != nil {
				return 0, nil, err
			}
			return id, order, nil
		}
	}
	return 0, nil, nil
}

func scanIDs(rows *sql.Rows) (ids []int64, err error) {
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

// matched returns the stored completions in the order of list; ok is false if they are others, or have other tokens.
func matched(list, stored []Completion) (out []Completion, ok bool, err error) {
	if len(list) != len(stored) {
		return nil, false, nil
	}
	free := map[string][]Completion{}
	for _, c := range stored {
		key, err := c.key()
		if err != nil {
			return nil, false, err
		}
		free[key] = append(free[key], c)
	}
	for _, c := range list {
		key, err := c.key()
		if err != nil {
			return nil, false, err
		}
		same := free[key]
		at := slices.IndexFunc(same, func(s Completion) bool {
			return (c.Tokens == nil || s.Tokens == nil || slices.Equal(c.Tokens, s.Tokens)) && (c.Sampling == nil || s.Sampling == nil || bytes.Equal(c.Sampling, s.Sampling))
		})
		if at < 0 {
			return nil, false, nil
		}
		out = append(out, same[at])
		free[key] = slices.Delete(slices.Clone(same), at, at+1)
	}
	return out, true, nil
}

// complete adds to a stored task the tokens and sampling that t has beside it.
func complete(ctx context.Context, tx *sql.Tx, t Task, stored []Completion) error {
	if t.Tokens != nil {
		if _, err := addPrompt(ctx, tx, t); err != nil {
			return err
		}
	}
	for k, c := range t.Completions {
		if c.Tokens == nil && c.Sampling == nil {
			continue
		}
		var sampling any
		if c.Sampling != nil {
			sampling = string(c.Sampling)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE completions SET tokens = coalesce(tokens, ?), sampling = coalesce(sampling, ?) WHERE id = ?`,
			tokensText(c.Tokens), sampling, stored[k].ID); err != nil {
			return err
		}
	}
	return nil
}

// queryer is a transaction, or a database outside of one.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// readCompletions returns a task's completions in its order.
func readCompletions(ctx context.Context, q queryer, task int64) (out []Completion, err error) {
	rows, err := q.QueryContext(ctx, `SELECT c.id, c.model, c.text, c.messages, c.external_id, c.tokens, c.sampling
		FROM task_completions tc JOIN completions c ON c.id = tc.completion_id WHERE tc.task_id = ? ORDER BY tc.position`, task)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Completion
		var messages, tokens, sampling sql.NullString
		if err := rows.Scan(&c.ID, &c.Model, &c.Text, &messages, &c.External, &tokens, &sampling); err != nil {
			return nil, err
		}
		if err := c.parse(messages, tokens, sampling); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// parse sets a completion's fields from their columns.
func (c *Completion) parse(messages, tokens, sampling sql.NullString) (err error) {
	if c.Messages, err = parseMessages(messages); err != nil {
		return err
	}
	if sampling.Valid {
		c.Sampling = json.RawMessage(sampling.String)
	}
	c.Tokens, err = parseTokens(tokens)
	return err
}

// readTask returns a task without its reference.
func readTask(ctx context.Context, q queryer, id int64) (t Task, err error) {
	var messages, tokens, assigned sql.NullString
	err = q.QueryRowContext(ctx, `SELECT p.text, p.system, p.messages, p.tokens, t.project_id, t.kind, t.overlap, t.priority, l.name
		FROM tasks t JOIN prompts p ON p.id = t.prompt_id LEFT JOIN labelers l ON l.id = t.assigned_to WHERE t.id = ?`, id).
		Scan(&t.Prompt, &t.System, &messages, &tokens, &t.Project, &t.Kind, &t.Overlap, &t.Priority, &assigned)
	if errors.Is(err, sql.ErrNoRows) {
		return t, fmt.Errorf("task %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return t, err
	}
	t.AssignedTo = assigned.String
	if t.Messages, err = parseMessages(messages); err != nil {
		return t, err
	}
	if t.Tokens, err = parseTokens(tokens); err != nil {
		return t, err
	}
	t.Completions, err = readCompletions(ctx, q, id)
	return t, err
}

// digestBatch is how many tasks get their digest in one transaction.
const digestBatch = 200

// fillDigests gives a project's tasks that came without a digest, as those of older versions did, theirs.
func (db *DB) fillDigests(ctx context.Context, project int64) error {
	for {
		done := 0
		err := db.write(ctx, func(tx *sql.Tx) error {
			rows, err := tx.QueryContext(ctx, `SELECT id FROM tasks WHERE digest IS NULL AND project_id = ? AND kind IN `+ranked+` LIMIT ?`, project, digestBatch)
			if err != nil {
				return err
			}
			ids, err := scanIDs(rows)
			if err != nil {
				return err
			}
			for _, id := range ids {
				t, err := readTask(ctx, tx, id)
				if err != nil {
					return err
				}
				digest, err := t.digest()
				if err != nil {
					return err
				}
				if _, err := tx.ExecContext(ctx, `UPDATE tasks SET digest = ? WHERE id = ?`, digest, id); err != nil {
					return err
				}
			}
			done = len(ids)
			return nil
		})
		if err != nil || done < digestBatch {
			return err
		}
	}
}
