package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// backupPages is how many pages are copied between looks at the context.
const backupPages = 1024

// Backup copies the database as it is at one moment to a new file, while others go on writing, checks the copy, and
// returns what it holds. The file appears whole or not at all; one of its name is an error.
func (db *DB) Backup(ctx context.Context, path string) (c Checked, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up to %s: %w", path, err)
		}
	}()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return c, errors.Join(err, fs.ErrExist)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "copy.db")
	if err := db.copyTo(ctx, copied); err != nil {
		return c, err
	}
	if c, err = CheckFile(ctx, copied); err != nil {
		return c, err
	}
	if len(c.Wrong) > 0 {
		return c, fmt.Errorf("the database is damaged, and so would be its copy: %s", c.Wrong[0])
	}
	f, err := os.OpenFile(copied, os.O_RDWR, 0)
	if err != nil {
		return c, err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return c, err
	}
	return c, os.Link(copied, path) // unlike a renaming, it does not replace what came to stand there meanwhile
}

// copyTo copies page by page in one read transaction, which writers do not wait for.
func (db *DB) copyTo(ctx context.Context, path string) error {
	to, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", Opaque: url.PathEscape(path)}).String())
	if err != nil {
		return err
	}
	defer to.Close()
	target, err := to.Conn(ctx)
	if err != nil {
		return err
	}
	defer target.Close()
	source, err := db.r.Conn(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	if _, err := source.ExecContext(ctx, `BEGIN`); err != nil {
		return err
	}
	defer source.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
	var n int // a transaction sees the moment of its first reading
	if err := source.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master`).Scan(&n); err != nil {
		return err
	}
	return target.Raw(func(t any) error {
		return source.Raw(func(s any) error {
			b, err := t.(*sqlite3.SQLiteConn).Backup("main", s.(*sqlite3.SQLiteConn), "main")
			if err != nil {
				return err
			}
			for done := false; !done && err == nil; {
				if err = ctx.Err(); err == nil {
					done, err = b.Step(backupPages)
				}
			}
			return errors.Join(err, b.Finish())
		})
	})
}
