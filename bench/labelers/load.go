package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"sync/atomic"
	"time"
)

// What labelers do beside ranking one task after the other, as shares of their tasks.
const (
	letsGo  = 0.03 // leaves a task until its lease has run out
	twice   = 0.05 // sends the answer twice at the same time
	cutOff  = 0.03 // loses the connection while sending, and sends again
	changes = 0.02 // changes the answer at once
)

// load is what all labelers of a run share.
type load struct {
	p      plan
	server *process
	acked  atomic.Int64
	noise  atomic.Int64 // requests without an answer, sent again
	ended  chan struct{}
	close  sync.Once

	mu     sync.Mutex
	next   []time.Duration
	submit []time.Duration
	acks   map[string]int // revisions acknowledged, by the comment that came with the first
	wrong  []string
}

func (l *load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// finish ends the load.
func (l *load) finish() { l.close.Do(func() { close(l.ended) }) }

// labeler is one labeler's side of the connection.
type labeler struct {
	*load
	name string
	http http.Client
	rand *rand.Rand
}

func newLabeler(l *load, n int) *labeler {
	jar, _ := cookiejar.New(nil) // fails only for options
	return &labeler{load: l, name: labelerName(n), http: http.Client{Jar: jar, Timeout: 20 * time.Second}, rand: rand.New(rand.NewPCG(l.p.seed, uint64(n)))}
}

// errStatus is an answer other than success.
type errStatus struct {
	status int
	text   string
}

func (e errStatus) Error() string { return fmt.Sprintf("%d %s", e.status, e.text) }

// once sends a request and decodes what comes.
func (l *labeler) once(ctx context.Context, path string, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.server.addr+"/api"+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := l.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return errStatus{answer.StatusCode, string(text)}
	}
	return json.Unmarshal(text, out)
}

// call is once, again and again while no answer comes at all: that is what a killed server and a lost connection look like.
func (l *labeler) call(ctx context.Context, path string, in, out any) error {
	for {
		err := l.once(ctx, path, in, out)
		var status errStatus
		if err == nil || errors.As(err, &status) || ctx.Err() != nil {
			return err
		}
		l.noise.Add(1)
		time.Sleep(20 * time.Millisecond) // until the server is back
	}
}

type task struct {
	ID          string
	Completions []struct{ Slot string }
}

func (l *labeler) signIn(ctx context.Context) error {
	if err := l.call(ctx, "/session", map[string]string{"name": l.name, "password": password}, new(any)); err != nil {
		return fmt.Errorf("%s: sign in: %w", l.name, err)
	}
	return nil
}

// work ranks until nothing is left for the labeler.
func (l *labeler) work(ctx context.Context) error {
	idle := time.Time{}
	for {
		select {
		case <-l.ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		var out struct{ Task *task }
		began := time.Now()
		if err := l.call(ctx, "/tasks/next", map[string]any{"holding": []string{}}, &out); err != nil {
			return fmt.Errorf("next: %w", err)
		}
		took := time.Since(began)
		l.mu.Lock()
		l.next = append(l.next, took)
		l.mu.Unlock()
		if out.Task == nil { // others hold what is left; it may come back
			if idle.IsZero() {
				idle = time.Now()
			}
			if time.Since(idle) > 3*l.p.ttl {
				return nil
			}
			time.Sleep(l.p.ttl / 10) // until leases run out
			continue
		}
		idle = time.Time{}
		if l.p.think > 0 {
			time.Sleep(time.Duration(l.rand.ExpFloat64() * float64(l.p.think))) // the labeler reads
		}
		if err := l.rank(ctx, *out.Task); err != nil {
			return fmt.Errorf("submit: %w", err)
		}
	}
}

type ranked struct {
	Accepted, Extra bool
	Revision        int
}

func (l *labeler) rank(ctx context.Context, t task) error {
	key := fmt.Sprintf("%s %s %x", l.name, t.ID, l.rand.Uint64())
	ranks, opened := map[string]int{}, []string{}
	for i, at := range l.rand.Perm(len(t.Completions)) {
		ranks[t.Completions[at].Slot] = i + 1
		opened = append(opened, t.Completions[at].Slot)
	}
	body := map[string]any{"ranks": ranks, "opened": opened, "idempotency_key": key, "comment": key, "active_ms": 1000, "wall_ms": 1200, "revision": 0}
	path := "/tasks/" + t.ID + "/ranking"
	switch u := l.rand.Float64(); {
	case u < letsGo:
		time.Sleep(l.p.ttl + l.p.ttl/4) // until the lease has run out; the answer comes late
	case u < letsGo+cutOff:
		short, cancel := context.WithTimeout(ctx, time.Duration(l.rand.IntN(2000))*time.Microsecond)
		l.once(short, path, body, new(any)) // whatever came of it
		cancel()
	}
	var again sync.WaitGroup
	if l.rand.Float64() < twice {
		again.Go(func() {
			var second ranked
			if err := l.call(ctx, path, body, &second); err != nil || second.Revision != 1 {
				l.fail("sent twice: %+v, %v", second, err)
			}
		})
	}
	var out ranked
	began := time.Now()
	err := l.call(ctx, path, body, &out)
	took := time.Since(began)
	again.Wait()
	if err != nil {
		return err
	}
	revision := 1
	if l.rand.Float64() < changes {
		body["revision"], body["idempotency_key"], body["comment"] = 1, key+" changed", key
		if err := l.call(ctx, path, body, &out); err != nil {
			return fmt.Errorf("change: %w", err)
		}
		revision = 2
	}
	if out.Revision != revision {
		l.fail("revision %d acknowledged, expected %d", out.Revision, revision)
	}
	l.mu.Lock()
	l.submit = append(l.submit, took)
	l.acks[key] = revision
	l.mu.Unlock()
	if n := l.acked.Add(1); l.p.rankings > 0 && n >= int64(l.p.rankings) {
		l.finish()
	}
	return nil
}
