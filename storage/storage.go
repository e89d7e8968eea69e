// Package storage keeps prompts, completions, tasks, labelers and rankings in one
// SQLite file. It imports nothing of ours and knows neither HTTP nor training.
// The schema itself guards the data: foreign keys, checks and triggers see to it
// that a ranking covers exactly its task's completions, whoever writes.
//
// One transaction writes at a time; others read beside it (WAL). What labelers do is
// committed in groups.
// A DB may be used concurrently.
package storage

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"
)

var (
	// ErrNotFound is returned when what was asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists is returned when a name is taken.
	ErrExists = errors.New("exists already")
	// ErrNoTask is returned by Next when nothing is left for the labeler.
	ErrNoTask = errors.New("no task left")
	// ErrRanked is returned by SetTask for a change that cannot be made once a task has been ranked.
	ErrRanked = errors.New("ranked already")
	// ErrImported is returned for a file that was brought in before.
	ErrImported = errors.New("imported before")
	// ErrHolding is returned by Next when the labeler holds as many tasks as one may.
	ErrHolding = errors.New("two tasks are in hand already")
	// ErrRevision is returned by Submit and Skip when the answer they replace is not the current one.
	ErrRevision = errors.New("another answer holds")
	// ErrTooLate is returned by Submit and Skip for a change of an answer that is not among the labeler's last ten.
	ErrTooLate = errors.New("only the last ten answers can be changed")
	// ErrKey is returned by Submit and Skip when the idempotency key belongs to another answer.
	ErrKey = errors.New("the key belongs to another answer")
	// ErrUnopened is returned by Submit when a response was not read through that must be.
	ErrUnopened = errors.New("not every response was opened")
	// ErrAnswers is returned by Submit when ratings, answers, confidence or flags are not those asked for.
	ErrAnswers = errors.New("the answers do not fit what is asked")
	// ErrDraft is returned by SaveDraft when the draft it is based on is not the stored one.
	ErrDraft = errors.New("the draft has changed")
	// ErrRanks is returned when ranks do not cover the task's completions from 1 without a gap.
	ErrRanks = errors.New("ranks do not fit the task")
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is an open database.
type DB struct {
	// Now is the clock, replaced in tests.
	Now func() time.Time

	w       *sql.DB // one connection
	r       *sql.DB
	reads   *reader // on r
	group   *group  // on a connection of its own
	writing sync.Mutex
}

// Open opens the database file, creating it if need be, and brings its schema up
// to date. It returns an error for a file that is no database or is of a newer
// program than this one.
func Open(ctx context.Context, path string) (*DB, error) {
	db, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if err := db.migrate(ctx); err != nil {
		db.Close()
		var e sqlite3.Error
		if errors.As(err, &e) && e.Code == sqlite3.ErrNotADB {
			err = errors.New("the file is not a SQLite database")
		}
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return db, nil
}

// readers is how many connections read at once.
const readers = 8

func open(path string) (*DB, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, errors.New("is a directory")
	}
	dsn := func(more string) string {
		return (&url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: "_journal_mode=WAL&_busy_timeout=5000&_foreign_keys=on&_synchronous=FULL" + more}).String()
	}
	w, err := sql.Open("sqlite3", dsn("&_txlock=immediate&_secure_delete=on")) // what is deleted does not stay in the file
	if err != nil {
		return nil, err
	}
	w.SetMaxOpenConns(1)
	r, err := sql.Open("sqlite3", dsn("&_query_only=on"))
	if err != nil {
		w.Close()
		return nil, err
	}
	r.SetMaxOpenConns(readers)
	r.SetMaxIdleConns(readers)
	g, err := sql.Open("sqlite3", dsn("&_cache_size=-65536&_secure_delete=on")) // KiB: it is the one that all labelers share
	if err != nil {
		return nil, errors.Join(err, w.Close(), r.Close())
	}
	g.SetMaxOpenConns(1)
	db := &DB{Now: time.Now, w: w, r: r, reads: &reader{db: r}}
	db.group = newGroup(g, &db.writing)
	return db, nil
}

func (db *DB) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db.w, files)
}

// migrate runs the migrations that the file has not seen.
func (db *DB) migrate(ctx context.Context) error {
	p, err := db.provider()
	if err != nil {
		return err
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	found, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if found > newest {
		return fmt.Errorf("its schema has version %d, this program knows up to %d: use a newer one", found, newest)
	}
	if found == newest {
		return nil
	}
	return db.migrating(ctx, func() error { _, err := p.Up(ctx); return err })
}

// migrating runs f, which rebuilds tables, with foreign keys off, and checks them afterwards. There is one connection to
// switch them off on.
func (db *DB) migrating(ctx context.Context, f func() error) error {
	if _, err := db.w.ExecContext(ctx, `PRAGMA foreign_keys = OFF`); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = db.checkForeignKeys(ctx)
	}
	_, on := db.w.ExecContext(context.WithoutCancel(ctx), `PRAGMA foreign_keys = ON`)
	return errors.Join(err, on)
}

// checkForeignKeys returns an error that names the first row which refers to one that is not there.
func (db *DB) checkForeignKeys(ctx context.Context) error {
	var table, parent string
	var row sql.NullInt64
	var key int
	err := db.w.QueryRowContext(ctx, `PRAGMA foreign_key_check`).Scan(&table, &row, &parent, &key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("row %d of %s refers to a row of %s that does not exist", row.Int64, table, parent)
}

// Close closes the database.
func (db *DB) Close() error { return errors.Join(db.reads.close(), db.group.close(), db.w.Close()) }

// write runs f in one immediate transaction of its own. What labelers do all the time goes through change instead.
func (db *DB) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	db.writing.Lock() // for its turn: the other writing connection would wait for the file by trying again and again
	defer db.writing.Unlock()
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

// ignoreDone forgives a rollback that SQLite or the context has made already.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

func (db *DB) millis() int64 { return db.Now().UnixMilli() }

// isUnique reports whether err comes from a UNIQUE constraint.
func isUnique(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}

// tokensText is the column form of token ids; nil is NULL.
func tokensText(tokens []int32) any {
	if tokens == nil {
		return nil
	}
	raw, _ := json.Marshal(tokens) // integers always have an encoding
	return string(raw)
}

func parseTokens(text sql.NullString) (tokens []int32, err error) {
	if text.Valid {
		err = json.Unmarshal([]byte(text.String), &tokens)
	}
	return tokens, err
}

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }
