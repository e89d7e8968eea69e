package storage

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// maxGuideline is the most bytes of a version of the guidelines.
const maxGuideline = 1 << 20

// AddGuideline adds a version of a project's guidelines, which is in force from then on, and returns it. It returns
// ErrNotFound if there is no such project, and an *Invalid for a text that is none.
func (db *DB) AddGuideline(ctx context.Context, project int64, text string) (g Guideline, err error) {
	if strings.TrimSpace(text) == "" || len(text) > maxGuideline {
		return g, &Invalid{"text", fmt.Sprintf("must be 1 to %d bytes (got %d)", maxGuideline, len(text))}
	}
	g.Text = text
	err = db.write(ctx, func(tx *sql.Tx) error {
		var there bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM projects WHERE id = ?1), (SELECT coalesce(max(version), 0) + 1 FROM guidelines WHERE project_id = ?1)`, project).
			Scan(&there, &g.Version); err != nil {
			return err
		}
		if !there {
			return fmt.Errorf("project %d: %w", project, ErrNotFound)
		}
		at := db.millis()
		g.CreatedAt = time.UnixMilli(at).UTC()
		r, err := tx.ExecContext(ctx, `INSERT INTO guidelines (project_id, version, text, author_id, created_at) VALUES (?, ?, ?, ?, ?)`, project, g.Version, text, author(ctx), at)
		if err != nil {
			return err
		}
		if g.ID, err = r.LastInsertId(); err != nil {
			return err
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "guideline.add", object("project", project), map[string]any{"version": g.Version})
	})
	return g, err
}

// Guidelines returns the versions of a project's guidelines, the newest first.
func (db *DB) Guidelines(ctx context.Context, project int64) (out []Guideline, err error) {
	rows, err := db.r.QueryContext(ctx, `SELECT g.id, g.version, g.text, coalesce(l.name, ''), g.created_at FROM guidelines g LEFT JOIN labelers l ON l.id = g.author_id
		WHERE g.project_id = ? ORDER BY g.version DESC`, project)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var g Guideline
		var at int64
		if err := rows.Scan(&g.ID, &g.Version, &g.Text, &g.Author, &at); err != nil {
			return nil, err
		}
		g.CreatedAt = time.UnixMilli(at).UTC()
		out = append(out, g)
	}
	return out, rows.Err()
}
