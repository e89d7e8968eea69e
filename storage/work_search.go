package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// A search looks for the next task of a labeler.
type search struct {
	Ask
	now  int64
	held []int64 // tasks on the labeler's page
}

// mixture is what a project's settings say about the kinds of a labeler's tasks.
type mixture struct {
	project                   int64
	calibration, gold, repeat float64
}

// find returns a task of the first project that has one, or ErrNoTask.
func (s *search) find(ctx context.Context, q querier) (int64, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, calibration_share, gold_share, repeat_share, open = 1 AND NOT EXISTS
		(SELECT 1 FROM pauses x WHERE x.labeler_id = ?1 AND x.project_id = projects.id AND x.resumed_at IS NULL)
		FROM projects WHERE ?2 = '' OR name = ?2 ORDER BY id`, s.LabelerID, s.Project)
	known := false
	projects, err := collect(rows, err, func(rows *sql.Rows) (m mixture, err error) {
		var gives bool
		err = rows.Scan(&m.project, &m.calibration, &m.gold, &m.repeat, &gives)
		known = true
		if !gives {
			m.project = 0
		}
		return m, err
	})
	if err != nil {
		return 0, err
	}
	if !known {
		return 0, fmt.Errorf("project %q: %w", s.Project, ErrNotFound)
	}
	for _, m := range projects {
		if m.project == 0 {
			continue
		}
		if id, err := s.pick(ctx, q, m); err != nil || id != 0 {
			return id, err
		}
	}
	return 0, ErrNoTask
}

// pick returns a task of one project, or 0: training first, then by the draw for the labeler's n-th task.
func (s *search) pick(ctx context.Context, q querier, m mixture) (int64, error) {
	free, err := s.stock(ctx, q, m.project)
	if err != nil {
		return 0, err
	}
	if id, err := s.first(ctx, q, m.project, KindTraining, free); err != nil || id != 0 {
		return id, err
	}
	drawn, err := s.drawKinds(ctx, q, m)
	if err != nil {
		return 0, err
	}
	kinds := append(drawn, KindNormal, KindCalibration)
	if m.gold > 0 {
		kinds = append(kinds, KindGold, KindHoneypot)
	}
	kinds = append(kinds, KindRepeat) // one that ran out
	for i, kind := range kinds {
		if slices.Contains(kinds[:i], kind) {
			continue
		}
		id, err := s.first(ctx, q, m.project, kind, free)
		if err == nil && id == 0 && kind == KindRepeat && slices.Contains(drawn, kind) {
			id, err = s.repeat(ctx, q, m.project)
		}
		if err != nil || id != 0 {
			return id, err
		}
	}
	return 0, nil
}

// stock returns which kinds have free tasks; under "" whether tasks of any kind are assigned to the labeler.
func (s *search) stock(ctx context.Context, q querier, project int64) (map[string]bool, error) {
	rows, err := q.QueryContext(ctx, `SELECT kind FROM stocks WHERE project_id = ?1 AND free > 0
		UNION ALL SELECT '' WHERE EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_mine WHERE assigned_to = ?2 AND project_id = ?1 AND open = 1 AND withdrawn = 0)`,
		project, s.LabelerID)
	kinds, err := collect(rows, err, func(rows *sql.Rows) (kind string, err error) { return kind, rows.Scan(&kind) })
	free := map[string]bool{}
	for _, kind := range kinds {
		free[kind] = true
	}
	return free, err
}

// drawKinds returns the kinds that the draw for the labeler's next task asks for; none for a normal one.
func (s *search) drawKinds(ctx context.Context, q querier, m mixture) ([]string, error) {
	if s.Share == nil || m.calibration+m.gold+m.repeat == 0 {
		return nil, nil
	}
	var given int
	err := q.QueryRowContext(ctx, `SELECT coalesce(sum(given), 0) FROM tallies WHERE labeler_id = ? AND project_id = ? AND kind NOT IN ('training', 'example')`,
		s.LabelerID, m.project).Scan(&given)
	if err != nil {
		return nil, err
	}
	u := s.Share(m.project, s.LabelerID, given)
	switch gold := m.calibration + m.gold; {
	case u < m.calibration:
		return []string{KindCalibration}, nil
	case u < m.calibration+m.gold/2:
		return []string{KindGold, KindHoneypot}, nil
	case u < gold:
		return []string{KindHoneypot, KindGold}, nil
	case u < gold+m.repeat:
		return []string{KindRepeat}, nil
	}
	return nil, nil
}

// position is a task's place in the order of priority and then id.
type position struct{ priority, id int64 }

func (p position) before(o position) bool {
	return p.priority > o.priority || p.priority == o.priority && p.id < o.id
}

var (
	atStart = position{math.MaxInt64, 0}
	atEnd   = position{math.MinInt64, math.MaxInt64}
)

// first returns the first task of a kind that the labeler has not done and that others leave room for, or 0. It looks at
// those that are free for anyone from the labeler's frontier on, and at those that are assigned to them.
func (s *search) first(ctx context.Context, q querier, project int64, kind string, free map[string]bool) (int64, error) {
	best := atEnd
	if free[""] {
		_, found, err := s.scan(ctx, q, `INDEXED BY tasks_mine WHERE assigned_to = ?1 AND open = 1 AND withdrawn = 0 AND project_id = ?3 AND kind = ?4 AND (priority < ?5 OR priority = ?5 AND id > ?6)`,
			project, kind, atStart)
		if err != nil {
			return 0, err
		}
		best = found
	}
	if free[kind] {
		found, err := s.fromFrontier(ctx, q, project, kind)
		if err != nil {
			return 0, err
		}
		if found.before(best) {
			best = found
		}
	}
	if best == atEnd {
		return 0, nil
	}
	return best.id, nil
}

// fromFrontier scans the free tasks behind the labeler's frontier and moves it to the first that they have not done.
func (s *search) fromFrontier(ctx context.Context, q querier, project int64, kind string) (position, error) {
	from := atStart
	err := q.QueryRowContext(ctx, `SELECT priority, task_id FROM frontiers WHERE project_id = ? AND kind = ? AND labeler_id = ?`,
		project, kind, s.LabelerID).Scan(&from.priority, &from.id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return atEnd, err
	}
	const free = `INDEXED BY tasks_free WHERE open = 1 AND withdrawn = 0 AND assigned_to IS NULL AND project_id = ?3 AND kind = ?4 AND `
	undone, found, err := s.scan(ctx, q, free+`priority = ?5 AND id > ?6`, project, kind, from)
	if err == nil && found == atEnd {
		var further position
		if further, found, err = s.scan(ctx, q, free+`priority < ?5 AND id > ?6`, project, kind, position{from.priority, 0}); undone == atEnd {
			undone = further
		}
	}
	if err != nil {
		return atEnd, err
	}
	if to := (position{undone.priority, undone.id - 1}); to != from {
		_, err = q.ExecContext(ctx, `INSERT INTO frontiers (project_id, kind, labeler_id, priority, task_id) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (project_id, kind, labeler_id) DO UPDATE SET priority = excluded.priority, task_id = excluded.task_id`,
			project, kind, s.LabelerID, to.priority, to.id)
	}
	return found, err
}

// scan returns the first task that the labeler has not done, and the first of those that is there to be had; atEnd for none.
func (s *search) scan(ctx context.Context, q querier, where string, project int64, kind string, from position) (undone, found position, err error) {
	undone, found = atEnd, atEnd
	rows, err := q.QueryContext(ctx, `SELECT id, priority, overlap = 0 OR done + (SELECT count(*) FROM assignments a
			WHERE a.task_id = tasks.id AND a.done = 0 AND a.expires_at > ?2 AND a.labeler_id <> ?1) < overlap
		FROM tasks `+where+` AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.task_id = tasks.id AND a.labeler_id = ?1 AND a.done = 1)
		ORDER BY priority DESC, id`, s.LabelerID, s.now, project, kind, from.priority, from.id)
	if err != nil {
		return undone, found, err
	}
	defer rows.Close()
	for rows.Next() {
		var p position
		var room bool
		if err := rows.Scan(&p.id, &p.priority, &room); err != nil {
			return undone, found, err
		}
		if undone == atEnd {
			undone = p
		}
		if room && !slices.Contains(s.held, p.id) {
			return undone, p, nil
		}
	}
	return undone, found, rows.Err()
}

// A task comes once more when its labeler has ranked repeatAfter others since, or repeatAge ago.
const (
	repeatAfter = 20
	repeatAge   = 24 * time.Hour
	repeatLook  = 400 // latest rankings among which it is looked for
)

// repeat makes a task of the completions that the labeler ranked the least time ago that is long enough, each at most once.
// It returns 0 if there is none.
func (s *search) repeat(ctx context.Context, q querier, project int64) (int64, error) {
	rows, err := q.QueryContext(ctx, `SELECT r.task_id, r.created_at, t.kind IN ('normal', 'calibration') AND t.project_id = ?2
			AND NOT EXISTS (SELECT 1 FROM tasks x WHERE x.repeat_of = r.task_id AND x.assigned_to = ?1)
		FROM rankings r JOIN tasks t ON t.id = r.task_id WHERE r.labeler_id = ?1 AND r.replaced = 0 AND r.imported = 0 ORDER BY r.created_at DESC LIMIT ?3`,
		s.LabelerID, project, repeatLook)
	if err != nil {
		return 0, err
	}
	original, err := s.longAgo(rows)
	if err != nil || original == 0 {
		return 0, err
	}
	r, err := q.ExecContext(ctx, `INSERT INTO tasks (project_id, prompt_id, kind, overlap, assigned_to, repeat_of, created_at)
		SELECT project_id, prompt_id, 'repeat', 1, ?1, id, ?2 FROM tasks WHERE id = ?3`, s.LabelerID, s.now, original)
	if err != nil {
		return 0, err
	}
	id, err := r.LastInsertId()
	if err != nil {
		return 0, err
	}
	_, err = q.ExecContext(ctx, `INSERT INTO task_completions (task_id, prompt_id, position, completion_id)
		SELECT ?1, prompt_id, position, completion_id FROM task_completions WHERE task_id = ?2`, id, original)
	return id, err
}

// longAgo returns the first task of the rows, latest first, that fits and is long enough ago, or 0.
func (s *search) longAgo(rows *sql.Rows) (int64, error) {
	defer rows.Close()
	old := s.now - repeatAge.Milliseconds()
	for n := 0; rows.Next(); n++ {
		var id, at int64
		var fit bool
		if err := rows.Scan(&id, &at, &fit); err != nil {
			return 0, err
		}
		if fit && (n >= repeatAfter || at <= old) {
			return id, nil
		}
	}
	return 0, rows.Err()
}
