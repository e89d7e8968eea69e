package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Instructions are what a labeler may read beside the tasks of a project.
type Instructions struct {
	Project   string
	Guideline Guideline // the version in force; version 0 for none
	Examples  []Example
}

// Example is a task with the researcher's own answer, given to nobody. It names no model.
type Example struct {
	Prompt    string
	System    string
	Messages  []Message
	Responses []Response
	Ranks     []int // (K)
	Note      string
}

// mostExamples is how many stand beside the guidelines.
const mostExamples = 20

// Instructions returns those of the project of this name, or of the first open one for "". It returns ErrNotFound if there is
// no such project.
func (db *DB) Instructions(ctx context.Context, project string) (in Instructions, err error) {
	var id, at int64
	var text sql.NullString
	err = db.reads.QueryRowContext(ctx, `SELECT p.id, p.name, coalesce(g.id, 0), coalesce(g.version, 0), g.text, coalesce(g.created_at, 0)
		FROM projects p LEFT JOIN guidelines g ON g.project_id = p.id
		WHERE p.name = ?1 OR ?1 = '' AND p.open = 1 ORDER BY p.id, g.version DESC LIMIT 1`, project).
		Scan(&id, &in.Project, &in.Guideline.ID, &in.Guideline.Version, &text, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return in, fmt.Errorf("project %q: %w", project, ErrNotFound)
	}
	if err != nil {
		return in, err
	}
	in.Guideline.Text = text.String
	rows, err := db.reads.QueryContext(ctx, `SELECT t.id FROM tasks t JOIN task_references f ON f.task_id = t.id
		WHERE t.project_id = ? AND t.kind = 'example' AND t.withdrawn = 0 ORDER BY t.priority DESC, t.id LIMIT ?`, id, mostExamples)
	ids, err := collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
	if err != nil {
		return in, err
	}
	for _, id := range ids {
		e, err := db.example(ctx, id)
		if err != nil {
			return in, err
		}
		in.Examples = append(in.Examples, e)
	}
	return in, nil
}

func (db *DB) example(ctx context.Context, task int64) (e Example, err error) {
	var messages sql.NullString
	err = db.reads.QueryRowContext(ctx, `SELECT p.text, p.system, p.messages FROM tasks t JOIN prompts p ON p.id = t.prompt_id WHERE t.id = ?`, task).
		Scan(&e.Prompt, &e.System, &messages)
	if err != nil {
		return e, err
	}
	if e.Messages, err = parseMessages(messages); err != nil {
		return e, err
	}
	texts, err := readTexts(ctx, db.reads, task)
	if err != nil {
		return e, err
	}
	for _, c := range texts {
		e.Responses = append(e.Responses, Response{c.Text, c.Messages})
	}
	reference, err := readReference(ctx, db.reads, task)
	if err != nil || reference == nil {
		return e, err
	}
	e.Ranks, e.Note = reference.Ranks, reference.Note
	return e, nil
}
