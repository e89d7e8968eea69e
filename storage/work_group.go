package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// querier reads and writes: a transaction, a database, or the prepared statements of a group.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// mostInGroup bounds how many changes share a transaction, and so how long the first of them waits.
const mostInGroup = 256

// A group commits the changes of many writers in one transaction, each under a savepoint of its own, so that they share
// one wait for the disk and keep their statements prepared. Whoever finds nobody at it commits for all who wait.
type group struct {
	pool    *sql.DB     // one connection
	writing *sync.Mutex // held while anybody writes
	lead    chan struct{}

	conn       *sql.Conn            // set by the first who leads
	statements map[string]*sql.Stmt // by their text, on conn

	mu      sync.Mutex
	waiting []*change
}

// A change waits for its turn in a group.
type change struct {
	apply    func(q querier) error
	err      error
	panicked any
	done     chan struct{}
}

func newGroup(pool *sql.DB, writing *sync.Mutex) *group {
	return &group{pool: pool, writing: writing, lead: make(chan struct{}, 1), statements: map[string]*sql.Stmt{}}
}

// close closes the statements too: SQLite keeps a connection with open ones, and the write-ahead log with it.
func (g *group) close() error {
	var err error
	for _, s := range g.statements {
		err = errors.Join(err, s.Close())
	}
	if g.conn != nil {
		err = errors.Join(err, g.conn.Close())
	}
	return errors.Join(err, g.pool.Close())
}

// change runs f in a transaction that it may share with other changes: what f did is on the disk when change returns nil,
// and undone when it returns an error. f is given a context that does not end with ctx, because an interrupted statement
// would take the others' changes with it; it must not read or write but through q.
func (db *DB) change(ctx context.Context, f func(ctx context.Context, q querier) error) error {
	c := &change{done: make(chan struct{})}
	c.apply = func(q querier) error {
		if err := ctx.Err(); err != nil {
			return err // whoever asked has gone before it was their turn
		}
		return f(context.WithoutCancel(ctx), q)
	}
	g := db.group
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	g.mu.Unlock()
	select {
	case <-c.done:
	case g.lead <- struct{}{}:
		g.commit(context.WithoutCancel(ctx))
		<-g.lead
		<-c.done
	}
	if c.panicked != nil {
		panic(c.panicked)
	}
	return c.err
}

func (g *group) take() []*change {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), mostInGroup)
	taken := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return taken
}

// commit applies all waiting changes in one transaction.
func (g *group) commit(ctx context.Context) {
	taken := g.take()
	if len(taken) == 0 {
		return
	}
	g.writing.Lock()
	defer g.writing.Unlock()
	all := taken
	err := g.begin(ctx)
	if err == nil {
		for err == nil && len(taken) > 0 {
			for _, c := range taken {
				if err = g.apply(ctx, c); err != nil {
					break
				}
			}
			taken = nil
			if err == nil && len(all) < mostInGroup {
				taken = g.take() // who came meanwhile
				all = append(all, taken...)
			}
		}
		if err == nil {
			err = g.exec(ctx, `COMMIT`)
		}
		if err != nil {
			g.exec(ctx, `ROLLBACK`) // fails if SQLite has rolled back already
		}
	}
	for _, c := range all {
		if err != nil && c.err == nil {
			c.err = fmt.Errorf("commit: %w", err)
		}
		close(c.done)
	}
}

func (g *group) begin(ctx context.Context) error {
	if g.conn == nil {
		conn, err := g.pool.Conn(ctx)
		if err != nil {
			return err
		}
		g.conn = conn
	}
	return g.exec(ctx, `BEGIN IMMEDIATE`)
}

// apply makes one change under a savepoint. It returns an error only if the whole transaction is lost.
func (g *group) apply(ctx context.Context, c *change) error {
	if err := g.exec(ctx, `SAVEPOINT change`); err != nil {
		return err
	}
	func() {
		defer func() {
			if c.panicked = recover(); c.panicked != nil {
				c.err = fmt.Errorf("panic: %v", c.panicked)
			}
		}()
		c.err = c.apply(g)
	}()
	if c.err != nil {
		if err := g.exec(ctx, `ROLLBACK TO change`); err != nil {
			return errors.Join(c.err, err)
		}
	}
	return g.exec(ctx, `RELEASE change`)
}

func (g *group) exec(ctx context.Context, query string) error {
	_, err := g.ExecContext(ctx, query)
	return err
}

// steady makes SQLite keep the plan of a prepared statement. Where a plan may depend on the value of a parameter, as with joins
// and partial indexes, it is made anew whenever a value is bound, which takes ten times as long as the query itself; it does
// not depend on an expression, even one that changes nothing. No query here has a question mark in a text.
func steady(query string) string { return strings.ReplaceAll(query, "?", "+?") }

func (g *group) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := g.statements[query]; ok {
		return s, nil
	}
	s, err := g.conn.PrepareContext(ctx, steady(query))
	if err == nil {
		g.statements[query] = s
	}
	return s, err
}

// ExecContext, QueryContext and QueryRowContext make a group the querier of its changes.
func (g *group) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := g.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

func (g *group) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := g.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

func (g *group) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := g.statement(ctx, query)
	if err != nil {
		return g.conn.QueryRowContext(ctx, query, args...) // a row with the same error
	}
	return s.QueryRowContext(ctx, args...)
}

// reader keeps the statements of frequent reads prepared. It may be used concurrently.
type reader struct {
	db         *sql.DB
	statements sync.Map // *sql.Stmt by text
}

// close closes the statements and then the connections.
func (r *reader) close() error {
	var err error
	r.statements.Range(func(_, s any) bool {
		err = errors.Join(err, s.(*sql.Stmt).Close())
		return true
	})
	return errors.Join(err, r.db.Close())
}

func (r *reader) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := r.statements.Load(query); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := r.db.PrepareContext(ctx, steady(query))
	if err != nil {
		return nil, err
	}
	if other, ok := r.statements.LoadOrStore(query, s); ok {
		return other.(*sql.Stmt), s.Close()
	}
	return s, nil
}

func (r *reader) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return r.db.ExecContext(ctx, query, args...)
}

func (r *reader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := r.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

func (r *reader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := r.statement(ctx, query)
	if err != nil {
		return r.db.QueryRowContext(ctx, query, args...) // a row with the same error
	}
	return s.QueryRowContext(ctx, args...)
}

// collect returns what scan makes of each row.
func collect[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) (out []T, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
