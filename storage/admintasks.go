package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// States of a task, for TaskFilter.
const (
	StateOpen      = "open" // more rankings are wanted
	StateDone      = "done"
	StateWithdrawn = "withdrawn"
)

// TaskFilter chooses tasks of a project.
type TaskFilter struct {
	Project int64
	Kind    string // "" takes all
	State   string // "" takes all
	After   int64  // id of the last one before; 0 begins
	Limit   int    // at least 1
}

// TaskInfo is a task as an admin sees it.
type TaskInfo struct {
	ID        int64
	Task      // the reference too
	Done      int
	Open      bool
	Withdrawn bool
	CreatedAt time.Time
}

const taskInfoQuery = `SELECT t.id, t.project_id, t.kind, t.overlap, t.priority, coalesce(l.name, ''), t.done, t.open, t.withdrawn, t.created_at
	FROM tasks t LEFT JOIN labelers l ON l.id = t.assigned_to `

// Tasks returns tasks by id with their prompts, completions and references, and the After of those that follow, 0 if none do.
func (db *DB) Tasks(ctx context.Context, f TaskFilter) (out []TaskInfo, next int64, err error) {
	state := map[string]string{"": "1", StateOpen: "t.open = 1 AND t.withdrawn = 0", StateDone: "t.open = 0 AND t.withdrawn = 0", StateWithdrawn: "t.withdrawn = 1"}[f.State]
	if state == "" {
		return nil, 0, &Invalid{"state", fmt.Sprintf("found %q, expected open, done or withdrawn", f.State)}
	}
	err = db.View(ctx, func(v *View) error {
		rows, err := v.tx.QueryContext(ctx, taskInfoQuery+`WHERE t.project_id = ?1 AND (?2 = '' OR t.kind = ?2) AND t.id > ?3 AND `+state+` ORDER BY t.id LIMIT ?4`, f.Project, f.Kind, f.After, f.Limit+1)
		if err != nil {
			return err
		}
		if out, err = scanTasks(rows); err != nil {
			return err
		}
		if len(out) > f.Limit {
			out = out[:f.Limit]
			next = out[f.Limit-1].ID
		}
		for i := range out {
			if err := out[i].fill(ctx, v.tx); err != nil {
				return err
			}
		}
		return nil
	})
	return out, next, err
}

// TaskByID returns ErrNotFound if there is no such task.
func (db *DB) TaskByID(ctx context.Context, id int64) (t TaskInfo, err error) {
	err = db.View(ctx, func(v *View) error { t, err = taskInfo(ctx, v.tx, id); return err })
	return t, err
}

func taskInfo(ctx context.Context, q queryer, id int64) (TaskInfo, error) {
	rows, err := q.QueryContext(ctx, taskInfoQuery+`WHERE t.id = ?`, id)
	if err != nil {
		return TaskInfo{}, err
	}
	list, err := scanTasks(rows)
	if err != nil {
		return TaskInfo{}, err
	}
	if len(list) == 0 {
		return TaskInfo{}, fmt.Errorf("task %d: %w", id, ErrNotFound)
	}
	return list[0], list[0].fill(ctx, q)
}

func scanTasks(rows *sql.Rows) (out []TaskInfo, err error) {
	defer rows.Close()
	for rows.Next() {
		var t TaskInfo
		var at int64
		if err := rows.Scan(&t.ID, &t.Project, &t.Kind, &t.Overlap, &t.Priority, &t.AssignedTo, &t.Done, &t.Open, &t.Withdrawn, &at); err != nil {
			return nil, err
		}
		t.CreatedAt = time.UnixMilli(at).UTC()
		out = append(out, t)
	}
	return out, rows.Err()
}

// fill reads the texts and the reference of a task.
func (t *TaskInfo) fill(ctx context.Context, q queryer) (err error) {
	if t.Task, err = readTask(ctx, q, t.ID); err != nil {
		return err
	}
	t.Reference, err = readReference(ctx, q, t.ID)
	return err
}

// TaskChange is what changes of a task; what is nil stays.
type TaskChange struct {
	Kind       *string
	Overlap    *int // 0: one of everybody
	Priority   *int
	AssignedTo *string // name; "" for anyone
	Withdrawn  *bool
	Reference  *Reference // its Ranks nil takes the reference away
}

var settableKinds = []string{KindNormal, KindCalibration, KindGold, KindHoneypot, KindTraining, KindExample}

// SetTask changes a task. It returns ErrNotFound for a task or labeler that is not there, an *Invalid for what cannot be,
// and ErrRanked for a change that would make data of training or the other way round once there are rankings.
func (db *DB) SetTask(ctx context.Context, id int64, c TaskChange) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		t, err := taskInfo(ctx, tx, id)
		if err != nil {
			return err
		}
		detail := map[string]any{}
		if c.Kind != nil && *c.Kind != t.Kind {
			if err := checkKind(ctx, tx, t, *c.Kind); err != nil {
				return err
			}
			if detail["kind"] = *c.Kind; c.Overlap == nil {
				c.Overlap = new(int) // one of everybody, as of what the researcher answered
				if *c.Kind == KindNormal {
					err = tx.QueryRowContext(ctx, `SELECT overlap FROM projects WHERE id = ?`, t.Project).Scan(c.Overlap)
				}
			}
			t.Kind = *c.Kind
		}
		if err != nil {
			return err
		}
		if c.Overlap != nil {
			if *c.Overlap < 0 || *c.Overlap > 1000 {
				return &Invalid{"overlap", fmt.Sprintf("must be from 0, for one of everybody, to 1000 (got %d)", *c.Overlap)}
			}
			t.Overlap, detail["overlap"] = *c.Overlap, *c.Overlap
		}
		if c.Priority != nil {
			t.Priority, detail["priority"] = *c.Priority, *c.Priority
		}
		if c.Withdrawn != nil {
			t.Withdrawn, detail["withdrawn"] = *c.Withdrawn, *c.Withdrawn
		}
		if c.AssignedTo != nil {
			t.AssignedTo, detail["assigned_to"] = *c.AssignedTo, *c.AssignedTo
		}
		if err := putTask(ctx, tx, t); err != nil {
			return err
		}
		if c.Reference != nil {
			if err := db.setReference(ctx, tx, t, *c.Reference); err != nil {
				return err
			}
			detail["reference"] = c.Reference.Ranks
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "task.set", object("task", id), detail)
	})
}

func putTask(ctx context.Context, tx *sql.Tx, t TaskInfo) error {
	var assigned any
	if t.AssignedTo != "" {
		l, err := labeler(tx.QueryRowContext(ctx, labelerQuery+` WHERE name = ?`, t.AssignedTo), t.AssignedTo)
		if err != nil {
			return err
		}
		assigned = l.ID
	}
	_, err := tx.ExecContext(ctx, `UPDATE tasks SET kind = ?, overlap = ?, priority = ?, assigned_to = ?, withdrawn = ? WHERE id = ?`, t.Kind, t.Overlap, t.Priority, assigned, t.Withdrawn, t.ID)
	return err
}

// checkKind returns an error if a task cannot become one of the kind.
func checkKind(ctx context.Context, tx *sql.Tx, t TaskInfo, kind string) error {
	if !slices.Contains(settableKinds, kind) {
		return &Invalid{"kind", fmt.Sprintf("found %q, expected normal, calibration, gold, honeypot, training or example", kind)}
	}
	if t.Kind == KindRepeat {
		return &Invalid{"kind", "a task that repeats another stays one"}
	}
	isData := func(kind string) bool { return kind != KindTraining && kind != KindExample }
	if isData(kind) == isData(t.Kind) {
		return nil
	}
	var ranked bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM rankings WHERE task_id = ?)`, t.ID).Scan(&ranked); err != nil {
		return err
	}
	if ranked {
		return fmt.Errorf("task %d is of kind %s: %w", t.ID, t.Kind, ErrRanked)
	}
	return nil
}

func (db *DB) setReference(ctx context.Context, tx *sql.Tx, t TaskInfo, ref Reference) error {
	if ref.Ranks == nil {
		return dropReference(ctx, tx, t.ID)
	}
	if err := CheckRanks(ref.Ranks, len(t.Completions)); err != nil {
		return &Invalid{"reference.ranks", err.Error()}
	}
	return db.putReference(ctx, tx, t.ID, ref)
}

// Calibrate makes a share of a project's normal tasks that nobody has had calibration tasks, which everybody gets, drawn
// by the seed, and returns how many. The researcher's own answers are added with SetTask.
func (db *DB) Calibrate(ctx context.Context, project int64, share float64, seed uint64) (n int, err error) {
	if !(share > 0 && share <= 0.5) {
		return 0, &Invalid{"share", fmt.Sprintf("must be above 0 and at most 0.5 (got %v)", share)}
	}
	err = db.write(ctx, func(tx *sql.Tx) error {
		var there bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM projects WHERE id = ?)`, project).Scan(&there); err != nil || !there {
			return errors.Join(err, fmt.Errorf("project %d: %w", project, ErrNotFound))
		}
		rows, err := tx.QueryContext(ctx, `SELECT id FROM tasks WHERE project_id = ? AND kind = 'normal' AND withdrawn = 0 AND done = 0 AND assigned_to IS NULL
			AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.task_id = tasks.id) ORDER BY id`, project)
		if err != nil {
			return err
		}
		ids, err := scanIDs(rows)
		if err != nil {
			return err
		}
		n = int(share*float64(len(ids)) + 0.5)
		for _, i := range rand.New(rand.NewPCG(seed, 0)).Perm(len(ids))[:n] {
			if _, err := tx.ExecContext(ctx, `UPDATE tasks SET kind = 'calibration', overlap = 0 WHERE id = ?`, ids[i]); err != nil {
				return err
			}
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "project.calibrate", object("project", project), map[string]any{"share": share, "seed": seed, "tasks": n})
	})
	return n, err
}
