package storage

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Assignment is a task in a labeler's hands.
type Assignment struct {
	PublicID string // says nothing about task or models
	TaskID   int64
	Expires  time.Time
}

// Draw returns the order in which a labeler sees the K completions of a task: a permutation of 0 to k-1.
type Draw func(task, labeler int64, k int) []int

// Ask is a labeler's wish for a task.
type Ask struct {
	LabelerID int64
	Project   string   // name; "" for any
	Holding   []string // public ids of the tasks on the labeler's page; the answer is another one
	TTL       time.Duration
	Draw      Draw
	Share     func(project, labeler int64, n int) float64 // in [0, 1), decides the kind of a labeler's n-th task; nil for normal ones
}

// Given is a leased task as its labeler sees it, and how far they have come.
type Given struct {
	Assignment
	Work     Work
	Standing Standing
}

// mostHeld is how many tasks a labeler may hold at once: one in hand and one to come.
const mostHeld = 2

// Next leases a task until ask.TTL from now: one that the labeler holds and does not name, else the one that search finds.
// The order of completions is drawn once for each labeler and task and stored. It returns ErrNoTask, with the standing, if
// nothing is left or the labeler is paused, ErrHolding if they name two that they hold, ErrNotFound if there is no such
// project.
func (db *DB) Next(ctx context.Context, ask Ask) (g Given, err error) {
	now, midnight := db.Now(), db.midnight()
	none := false
	err = db.change(ctx, func(ctx context.Context, q querier) error {
		g = Given{Assignment: Assignment{Expires: now.Add(ask.TTL)}}
		s := search{Ask: ask, now: now.UnixMilli()}
		var err error
		if g.TaskID, err = s.inHand(ctx, q); err == nil && g.TaskID == 0 {
			g.TaskID, err = s.find(ctx, q)
		}
		if none = errors.Is(err, ErrNoTask); err != nil && !none {
			return err
		}
		if !none {
			if err := assign(ctx, q, &g.Assignment, ask.LabelerID, now.UnixMilli(), ask.Draw); err != nil {
				return err
			}
			if g.Work, err = readWork(ctx, q, ask.LabelerID, g.PublicID); err != nil {
				return err
			}
		}
		g.Standing, err = readStanding(ctx, q, ask.LabelerID, midnight)
		return err
	})
	if err == nil && none {
		err = ErrNoTask
	}
	return g, err
}

// liveQuery lists the leases of a labeler on tasks that are still wanted.
const liveQuery = `SELECT a.id, a.public_id, a.task_id, p.name FROM assignments a INDEXED BY assignments_mine
	JOIN tasks t ON t.id = a.task_id JOIN projects p ON p.id = t.project_id
	WHERE a.labeler_id = ?1 AND a.done = 0 AND a.expires_at > ?2 AND t.open = 1 AND t.withdrawn = 0 AND p.open = 1
	  AND (t.assigned_to IS NULL OR t.assigned_to = ?1)
	  AND NOT EXISTS (SELECT 1 FROM pauses x WHERE x.labeler_id = ?1 AND x.project_id = p.id AND x.resumed_at IS NULL)`

// inHand returns the task that the labeler holds already without naming it, or 0.
func (s *search) inHand(ctx context.Context, q querier) (int64, error) {
	type lease struct {
		public, project string
		id, task        int64
	}
	rows, err := q.QueryContext(ctx, liveQuery, s.LabelerID, s.now)
	live, err := collect(rows, err, func(rows *sql.Rows) (l lease, err error) {
		return l, rows.Scan(&l.id, &l.public, &l.task, &l.project)
	})
	if err != nil {
		return 0, err
	}
	slices.SortFunc(live, func(a, b lease) int { return cmp.Compare(a.id, b.id) }) // the first given first
	for _, l := range live {
		if !slices.Contains(s.Holding, l.public) && (s.Project == "" || s.Project == l.project) {
			return l.task, nil
		}
	}
	if len(live) >= mostHeld {
		return 0, ErrHolding
	}
	for _, public := range s.Holding { // also those whose lease has run out are on the page
		var task int64
		err := q.QueryRowContext(ctx, `SELECT task_id FROM assignments WHERE public_id = ? AND labeler_id = ?`, public, s.LabelerID).Scan(&task)
		if err == nil {
			s.held = append(s.held, task)
		} else if !errors.Is(err, sql.ErrNoRows) {
			return 0, err
		}
	}
	return 0, nil
}

// assign renews or creates the labeler's assignment of a.TaskID until a.Expires, with the order drawn for it.
func assign(ctx context.Context, q querier, a *Assignment, labelerID, now int64, draw Draw) error {
	err := q.QueryRowContext(ctx, `UPDATE assignments SET expires_at = ? WHERE task_id = ? AND labeler_id = ? RETURNING public_id`,
		a.Expires.UnixMilli(), a.TaskID, labelerID).Scan(&a.PublicID)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	ids, err := taskCompletions(ctx, q, a.TaskID)
	if err != nil {
		return err
	}
	shown := make([]int64, 0, len(ids))
	for _, i := range draw(a.TaskID, labelerID, len(ids)) {
		shown = append(shown, ids[i])
	}
	raw, err := json.Marshal(shown)
	if err != nil {
		return err
	}
	var public [16]byte
	rand.Read(public[:]) // never fails
	a.PublicID = hex.EncodeToString(public[:])
	_, err = q.ExecContext(ctx, `INSERT INTO assignments (public_id, task_id, labeler_id, shown, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
		a.PublicID, a.TaskID, labelerID, string(raw), now, a.Expires.UnixMilli())
	return err
}

func taskCompletions(ctx context.Context, q querier, task int64) ([]int64, error) {
	rows, err := q.QueryContext(ctx, `SELECT completion_id FROM task_completions WHERE task_id = ? ORDER BY position`, task)
	return collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
}

// heartbeatQuery says of an assignment whether its task is still wanted, whether the live leases of others leave room for
// it, and how many others its labeler holds.
const heartbeatQuery = `SELECT a.id, a.done = 0 AND t.open = 1 AND t.withdrawn = 0 AND (t.assigned_to IS NULL OR t.assigned_to = ?2), a.expires_at > ?3,
	t.overlap = 0 OR t.done + (SELECT count(*) FROM assignments o WHERE o.task_id = t.id AND o.done = 0 AND o.expires_at > ?3 AND o.labeler_id <> ?2) < t.overlap,
	(SELECT count(*) FROM assignments m WHERE m.labeler_id = ?2 AND m.done = 0 AND m.expires_at > ?3 AND m.id <> a.id)
	FROM assignments a JOIN tasks t ON t.id = a.task_id WHERE a.public_id = ?1 AND a.labeler_id = ?2`

// Heartbeat renews a lease, also one that has run out if there is still room. A task that is gone has a time long past. It
// returns ErrNotFound if the labeler has no such assignment.
func (db *DB) Heartbeat(ctx context.Context, labelerID int64, publicID string, ttl time.Duration) (expires time.Time, err error) {
	now := db.Now()
	err = db.change(ctx, func(ctx context.Context, q querier) error {
		expires = time.UnixMilli(0)
		var id int64
		var wanted, live, room bool
		var others int
		err := q.QueryRowContext(ctx, heartbeatQuery, publicID, labelerID, now.UnixMilli()).Scan(&id, &wanted, &live, &room, &others)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("task %s: %w", publicID, ErrNotFound)
		}
		if err != nil || !wanted || !live && (!room || others >= mostHeld) {
			return err
		}
		expires = now.Add(ttl)
		_, err = q.ExecContext(ctx, `UPDATE assignments SET expires_at = ? WHERE id = ?`, expires.UnixMilli(), id)
		return err
	})
	return expires, err
}
