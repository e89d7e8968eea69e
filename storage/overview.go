package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ProjectStanding is how far a project has come, or all of them. Training and example tasks and those withdrawn are in none of the
// counts of tasks; repeats, which are made on demand, are not wanted of anybody and so in none of the counts of rankings but today's.
type ProjectStanding struct {
	Tasks         int `json:"tasks"`        // to be ranked
	DoneTasks     int `json:"done_tasks"`   // of them with as many rankings as wanted; those for everybody never are
	Needed        int `json:"needed"`       // rankings wanted; of a task for everybody those that it has
	Rankings      int `json:"rankings"`     // of them made
	Extra         int `json:"extra"`        // rankings beyond what was wanted
	Skips         int `json:"skips"`        // that hold
	LiveLeases    int `json:"live_leases"`  // tasks in somebody's hands
	PeopleToday   int `json:"people_today"` // who ranked since midnight, server time
	RankingsToday int `json:"rankings_today"`
}

// ProjectStanding counts over a project, or over all of them for 0. It returns ErrNotFound if there is no such project.
func (db *DB) ProjectStanding(ctx context.Context, project int64) (s ProjectStanding, err error) {
	tx, err := db.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s, err
	}
	defer tx.Rollback()
	if project != 0 {
		var id int64
		err := tx.QueryRowContext(ctx, `SELECT id FROM projects WHERE id = ?`, project).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return s, fmt.Errorf("project %d: %w", project, ErrNotFound)
		}
		if err != nil {
			return s, err
		}
	}
	args := []any{sql.Named("project", project), sql.Named("now", db.millis()), sql.Named("midnight", db.midnight())}
	for _, q := range []struct {
		query string
		into  []any
	}{
		{`SELECT count(*), coalesce(sum(overlap > 0 AND done >= overlap), 0), coalesce(sum(iif(overlap = 0, done, overlap)), 0), coalesce(sum(done), 0) FROM tasks
			WHERE (:project = 0 OR project_id = :project) AND kind NOT IN ('training', 'example', 'repeat') AND withdrawn = 0`,
			[]any{&s.Tasks, &s.DoneTasks, &s.Needed, &s.Rankings}},
		{`SELECT count(*) FROM rankings r CROSS JOIN tasks t ON t.id = r.task_id
			WHERE r.extra = 1 AND r.sealed = 1 AND r.replaced = 0 AND (:project = 0 OR t.project_id = :project)`, []any{&s.Extra}},
		{`SELECT count(*) FROM skips s CROSS JOIN tasks t ON t.id = s.task_id WHERE s.undone = 0 AND (:project = 0 OR t.project_id = :project)`, []any{&s.Skips}},
		{`SELECT count(*) FROM assignments a CROSS JOIN tasks t ON t.id = a.task_id
			WHERE a.done = 0 AND a.expires_at > :now AND (:project = 0 OR t.project_id = :project)`, []any{&s.LiveLeases}},
		{`SELECT count(DISTINCT r.labeler_id), count(*) FROM labelers l CROSS JOIN rankings r ON r.labeler_id = l.id AND r.created_at >= :midnight
			CROSS JOIN tasks t ON t.id = r.task_id
			WHERE r.sealed = 1 AND r.replaced = 0 AND r.imported = 0 AND (:project = 0 OR t.project_id = :project)`, []any{&s.PeopleToday, &s.RankingsToday}},
	} {
		if err := tx.QueryRowContext(ctx, q.query, args...).Scan(q.into...); err != nil {
			return s, err
		}
	}
	return s, nil
}

// midnight is when today began, server time.
func (db *DB) midnight() int64 {
	y, m, d := db.Now().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, db.Now().Location()).UnixMilli()
}
