package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"rlhf/labeling"
	"rlhf/storage"
)

// password is that of all labelers.
const password = "many labelers"

func labelerName(n int) string { return fmt.Sprintf("labeler %d", n) }

// result is what a run came to.
type result struct {
	p                   plan
	filled, took        time.Duration
	acked, noise, extra int
	kills               int
	next, submit        []time.Duration // sorted
	memory              []int64         // resident bytes of the server, a sample every half second
	wrong               []string
}

// run fills the database if need be, puts the server under load and checks the database.
func run(ctx context.Context, p plan) (result, error) {
	r := result{p: p}
	began := time.Now()
	if err := fill(ctx, p); err != nil {
		return r, fmt.Errorf("fill the database: %w", err)
	}
	r.filled = time.Since(began)
	server := &process{p: p, addr: "127.0.0.1:0"}
	if err := server.start(); err != nil {
		return r, err
	}
	l := &load{p: p, server: server, ended: make(chan struct{}), acks: map[string]int{}}
	var labelers []*labeler
	for n := range p.labelers { // hashing passwords is slow on purpose, and no part of the load
		x := newLabeler(l, n)
		if err := x.signIn(ctx); err != nil {
			return r, err
		}
		labelers = append(labelers, x)
	}
	began = time.Now()
	var all, watch sync.WaitGroup
	for _, x := range labelers {
		all.Go(func() {
			if err := x.work(ctx); err != nil {
				l.fail("%s: %v", x.name, err)
			}
		})
	}
	idle := make(chan struct{})
	watch.Go(func() { r.memory = sample(server, idle) })
	watch.Go(func() { r.kills = l.killing(idle) })
	all.Wait()
	close(idle)
	watch.Wait()
	r.took = time.Since(began)
	if err := server.end(); err != nil {
		l.fail("the server ended with %v", err)
	}
	r.acked, r.noise, r.next, r.submit = int(l.acked.Load()), int(l.noise.Load()), l.next, l.submit
	slices.Sort(r.next)
	slices.Sort(r.submit)
	if r.kills < p.kills {
		l.fail("the server was killed %d times, expected %d: the load ended too soon", r.kills, p.kills)
	}
	if err := l.check(ctx, &r); err != nil {
		return r, err
	}
	r.wrong = l.wrong
	return r, nil
}

// fill makes labelers and tasks unless the file is there.
func fill(ctx context.Context, p plan) (err error) {
	if _, err := os.Stat(p.db); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := storage.Open(ctx, p.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	hash := labeling.HashPassword(password)
	var first int64
	for n := range p.labelers {
		l, err := db.CreateLabeler(ctx, labelerName(n), storage.RoleLabeler, hash)
		if err != nil {
			return err
		}
		if n == 0 {
			first = l.ID
		}
	}
	const batch = 5000
	for from := 0; from < p.tasks; from += batch {
		var tasks []storage.Task
		for i := from; i < min(from+batch, p.tasks); i++ {
			t := storage.Task{Prompt: fmt.Sprintf("Write line %d of a poem about the sea.", i), Overlap: p.overlap}
			for k := range p.k {
				t.Completions = append(t.Completions, storage.Completion{Model: "m", Text: fmt.Sprintf("The *waves* of line %d come in, as answer %d has it, and go out again:\n\n- salt\n- wind\n", i, k)})
			}
			tasks = append(tasks, t)
		}
		if err := db.AddTasks(ctx, tasks); err != nil {
			return err
		}
	}
	return rankBefore(ctx, db, p, first)
}

// rankBefore lets the first labeler rank tasks without a server.
func rankBefore(ctx context.Context, db *storage.DB, p plan, labeler int64) error {
	draw := func(_, _ int64, k int) []int { return rand.Perm(k) }
	ranks := make([]int, p.k)
	for k := range ranks {
		ranks[k] = k + 1
	}
	for range p.before {
		a, err := db.Next(ctx, storage.Ask{LabelerID: labeler, TTL: time.Hour, Draw: draw})
		if err != nil {
			return err
		}
		if _, err := db.Submit(ctx, storage.Submission{LabelerID: labeler, PublicID: a.PublicID, Ranks: ranks, Key: a.PublicID, Comment: "before"}); err != nil {
			return err
		}
	}
	return nil
}

func sample(server *process, idle chan struct{}) (out []int64) {
	for {
		select {
		case <-idle:
			return out
		case <-time.After(500 * time.Millisecond):
			if m := server.memory(); m > 0 {
				out = append(out, m)
			}
		}
	}
}

// killing kills the server again and again under load, at moments that are drawn.
func (l *load) killing(idle chan struct{}) (kills int) {
	r := rand.New(rand.NewPCG(l.p.seed, 1<<40))
	for kills < l.p.kills {
		select {
		case <-idle:
			return kills
		case <-time.After(200*time.Millisecond + time.Duration(r.IntN(600))*time.Millisecond):
		}
		if err := l.server.kill(); err != nil {
			l.fail("kill: %v", err)
			return kills
		}
		kills++
		if err := l.server.start(); err != nil {
			l.fail("start again: %v", err)
			l.finish()
			return kills
		}
	}
	return kills
}

// check counts in the database what labelers were told.
func (l *load) check(ctx context.Context, r *result) (err error) {
	db, err := storage.Open(ctx, l.p.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c, err := db.Check(ctx)
	if err != nil {
		return err
	}
	for _, w := range c.Wrong {
		l.fail("the database: %s", w)
	}
	per, stored := map[int64]int{}, map[string]int{}
	err = db.Rankings(ctx, storage.Filter{}, func(x storage.Ranking) error {
		if x.Extra {
			r.extra++
		} else {
			per[x.TaskID]++
		}
		stored[x.Comment]++
		return nil
	})
	if err != nil {
		return err
	}
	for key := range l.acks {
		if stored[key] != 1 {
			l.fail("%q was acknowledged and is there %d times", key, stored[key])
		}
	}
	whole := 0
	for id, n := range per {
		if n > l.p.overlap {
			l.fail("task %d has %d rankings, wanted are %d", id, n, l.p.overlap)
		}
		if n == l.p.overlap {
			whole++
		}
	}
	if l.p.rankings == 0 && whole != l.p.tasks {
		l.fail("%d of %d tasks have %d rankings", whole, l.p.tasks, l.p.overlap)
	}
	return nil
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// String is the run as a person reads it.
func (r result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d labelers, %d tasks of %d completions, overlap %d, leases of %v; filled in %.1f s\n", r.p.labelers, r.p.tasks, r.p.k, r.p.overlap, r.p.ttl, r.filled.Seconds())
	fmt.Fprintf(&b, "%d rankings acknowledged in %.1f s, %.0f a second; %d extra; %d requests sent again; server killed %d times\n",
		r.acked, r.took.Seconds(), float64(r.acked)/r.took.Seconds(), r.extra, r.noise, r.kills)
	for _, x := range []struct {
		name string
		of   []time.Duration
	}{{"next  ", r.next}, {"submit", r.submit}} {
		ms := func(q float64) float64 { return float64(quantile(x.of, q).Microseconds()) / 1000 }
		fmt.Fprintf(&b, "%s p50 %5.1f ms  p99 %5.1f ms  max %6.1f ms  of %d\n", x.name, ms(.5), ms(.99), ms(1), len(x.of))
	}
	if n := len(r.memory); n > 0 {
		mib := func(i int) float64 { return float64(r.memory[i]) / (1 << 20) }
		fmt.Fprintf(&b, "memory of the server: %.0f MiB after a quarter, %.0f half way, %.0f at the end, %.0f at most\n", mib(n/4), mib(n/2), mib(n-1), float64(slices.Max(r.memory))/(1<<20))
	}
	if len(r.wrong) == 0 {
		fmt.Fprintf(&b, "every acknowledged ranking is there once, no task has more than %d, and the database checks clean\n", r.p.overlap)
	}
	for i, w := range r.wrong {
		if i == 20 {
			fmt.Fprintf(&b, "… and %d more\n", len(r.wrong)-i)
			break
		}
		fmt.Fprintf(&b, "WRONG: %s\n", w)
	}
	return b.String()
}
