package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// MinK and MaxK bound the completions of a task.
const (
	MinK = 2
	MaxK = 9
)

// Task is a prompt with the completions to rank.
type Task struct {
	Prompt      string
	Tokens      []int32 // of the prompt; nil if not known
	Completions []Completion
	Project     int64     // id; 0 is DefaultProject
	Kind        string    // KindNormal and so on; "" is KindNormal
	System      string    // instruction above a plain prompt
	Messages    []Message // the conversation, of which Prompt is the transcript; nil for a plain prompt
	Overlap     int       // rankings wanted, each by another labeler; 0: one of everybody
	Priority    int       // greater goes first
	AssignedTo  string    // name of the only labeler who gets it; "" for anyone
}

// Completion is one of the texts to rank.
type Completion struct {
	ID       int64 // set on reading
	Model    string
	Text     string
	Messages []Message       // what answers a conversation, if it is more than one turn of text; else nil
	External string          // the source's own id; "" for none
	Tokens   []int32         // nil if not known
	Sampling json.RawMessage // settings it was sampled with, a JSON object; nil if not known
}

// AddTasks adds tasks with their prompts and completions, all or none. A prompt
// whose text is there already is used again. Errors name the task by its index.
func (db *DB) AddTasks(ctx context.Context, tasks []Task) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		for i, t := range tasks {
			if _, _, err := addTask(ctx, tx, t); err != nil {
				return fmt.Errorf("task %d: %w", i, err)
			}
		}
		return nil
	})
}

// addTask returns the new task's id and its completions with theirs.
func addTask(ctx context.Context, tx *sql.Tx, t Task) (id int64, completions []Completion, err error) {
	if k := len(t.Completions); k < MinK || k > MaxK {
		return 0, nil, fmt.Errorf("%d completions, expected %d to %d", k, MinK, MaxK)
	}
	messages, err := messagesText(t.Messages)
	if err != nil {
		return 0, nil, err
	}
	var prompt int64
	err = tx.QueryRowContext(ctx, `INSERT INTO prompts (text, tokens, system, messages) VALUES (?, ?, ?, ?)
		ON CONFLICT (text, system, coalesce(messages, '')) DO UPDATE SET tokens = coalesce(tokens, excluded.tokens) RETURNING id`,
		t.Prompt, tokensText(t.Tokens), t.System, messages).Scan(&prompt)
	if err != nil {
		return 0, nil, fmt.Errorf("prompt: %w", err)
	}
	var assigned any
	if t.AssignedTo != "" {
		l, err := labeler(tx.QueryRowContext(ctx, labelerQuery+` WHERE name = ?`, t.AssignedTo), t.AssignedTo)
		if err != nil {
			return 0, nil, fmt.Errorf("assigned to %w", err)
		}
		assigned = l.ID
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO tasks (project_id, prompt_id, kind, overlap, priority, assigned_to) VALUES (?, ?, ?, ?, ?, ?)`,
		cmp.Or(t.Project, DefaultProject), prompt, cmp.Or(t.Kind, KindNormal), t.Overlap, t.Priority, assigned)
	if err != nil {
		return 0, nil, err
	}
	if id, err = r.LastInsertId(); err != nil {
		return 0, nil, err
	}
	completions = append(completions, t.Completions...)
	for k := range completions {
		c := &completions[k]
		var sampling any
		if c.Sampling != nil {
			sampling = string(c.Sampling)
		}
		turns, err := messagesText(c.Messages)
		if err != nil {
			return 0, nil, err
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO completions (prompt_id, model, text, tokens, sampling, messages, external_id) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			prompt, c.Model, c.Text, tokensText(c.Tokens), sampling, turns, c.External)
		if err != nil {
			return 0, nil, fmt.Errorf("completion %d: %w", k, err)
		}
		if c.ID, err = r.LastInsertId(); err != nil {
			return 0, nil, err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO task_completions (task_id, prompt_id, position, completion_id) VALUES (?, ?, ?, ?)`, id, prompt, k, c.ID); err != nil {
			return 0, nil, fmt.Errorf("completion %d: %w", k, err)
		}
	}
	return id, completions, nil
}
