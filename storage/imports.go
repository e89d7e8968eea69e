package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// What an Import is of.
const (
	ImportTasks    = "tasks"
	ImportRankings = "rankings"
)

// Import is a file that is brought in, in transactions short enough that labelers do not wait for it.
type Import struct {
	ID      int64
	Project int64
	What    string // ImportTasks or ImportRankings
	Name    string // of the file
	Digest  []byte // SHA-256 of its records
	Records int
	Kept    int // records that are in the database, from the first on
	Added
}

// BeginImport finds the import of the same records that was interrupted, or begins one. It returns ErrImported for
// records that are all there by an earlier import, unless again says that they are to come in once more.
func (db *DB) BeginImport(ctx context.Context, im Import, again bool) (Import, error) {
	if im.Project == 0 {
		im.Project = DefaultProject
	}
	if im.What == ImportRankings {
		if err := db.fillDigests(ctx, im.Project); err != nil {
			return im, err
		}
	}
	err := db.write(ctx, func(tx *sql.Tx) error {
		var there bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM projects WHERE id = ?)`, im.Project).Scan(&there); err != nil || !there {
			return errors.Join(err, fmt.Errorf("project %d: %w", im.Project, ErrNotFound))
		}
		var at int64
		var finished sql.NullInt64
		err := tx.QueryRowContext(ctx, `SELECT id, kept, tasks, rankings, created_at, finished_at FROM imports WHERE digest = ? AND project_id = ? AND what = ? ORDER BY finished_at IS NULL DESC, id DESC LIMIT 1`,
			im.Digest, im.Project, im.What).Scan(&im.ID, &im.Kept, &im.Tasks, &im.Rankings, &at, &finished)
		switch {
		case err == nil && !finished.Valid:
			return nil
		case err == nil && !again:
			return fmt.Errorf("%s: its %d %s are there since %s: %w", im.Name, im.Records, im.What, time.UnixMilli(at).UTC().Format(time.DateTime), ErrImported)
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		}
		im.Kept, im.Added = 0, Added{}
		r, err := tx.ExecContext(ctx, `INSERT INTO imports (project_id, what, name, digest, records, author_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			im.Project, im.What, im.Name, im.Digest, im.Records, author(ctx), db.millis())
		if err != nil {
			return err
		}
		im.ID, err = r.LastInsertId()
		return err
	})
	return im, err
}

// KeepRankings adds the next rankings of an import, all or none, as AddRankings does. Errors name them by their place in it.
func (db *DB) KeepRankings(ctx context.Context, im *Import, rankings []Ranking) error {
	return db.keep(ctx, im, len(rankings), func(tx *sql.Tx, added *Added) error {
		for i, r := range rankings {
			if err := db.addRanking(ctx, tx, im.Project, r, added); err != nil {
				return fmt.Errorf("ranking %d: %w", im.Kept+i+1, err)
			}
		}
		return nil
	})
}

// KeepTasks adds the next tasks of an import, all or none. One of a prompt and completions that the project has a task of
// is not added again.
func (db *DB) KeepTasks(ctx context.Context, im *Import, tasks []Task) error {
	return db.keep(ctx, im, len(tasks), func(tx *sql.Tx, added *Added) error {
		for i, t := range tasks {
			t.Project = im.Project
			digest, err := t.digest()
			if err != nil {
				return err
			}
			var there bool
			if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM tasks WHERE digest = ? AND kind <> 'repeat')`, digest).Scan(&there); err != nil {
				return err
			}
			if there {
				continue
			}
			if _, _, err := db.addTask(ctx, tx, t); err != nil {
				return fmt.Errorf("task %d: %w", im.Kept+i+1, err)
			}
			added.Tasks++
		}
		return nil
	})
}

func (db *DB) keep(ctx context.Context, im *Import, n int, add func(tx *sql.Tx, added *Added) error) error {
	added := im.Added
	err := db.write(ctx, func(tx *sql.Tx) error {
		added = im.Added
		if err := add(tx, &added); err != nil {
			return err
		}
		kept := im.Kept + n
		r, err := tx.ExecContext(ctx, `UPDATE imports SET kept = ?, tasks = ?, rankings = ?, finished_at = iif(records = ?1, ?, NULL) WHERE id = ? AND kept = ? AND finished_at IS NULL`,
			kept, added.Tasks, added.Rankings, db.millis(), im.ID, im.Kept)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("import %s: another import of the same file is going on", im.Name))
		}
		if kept < im.Records {
			return nil
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, im.What+".import", object("project", im.Project),
			map[string]any{"file": im.Name, "records": im.Records, "tasks": added.Tasks, "rankings": added.Rankings})
	})
	if err == nil {
		im.Kept, im.Added = im.Kept+n, added
	}
	return err
}
