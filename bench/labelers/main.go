// Command labelers puts the labeling server under the load of many labelers at once, over loopback HTTP: they let leases run
// out, send answers twice, lose connections and try again, and the server may be killed under them. Afterwards it counts in
// the database: every task must have exactly the rankings wanted of it, and every ranking that was acknowledged must be there
// once. The server runs as a process of its own, started by this program from itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// plan is what a run does.
type plan struct {
	labelers int
	tasks    int
	overlap  int
	k        int
	rankings int           // ends the load when so many are acknowledged; 0: when nothing is left
	ttl      time.Duration // of leases
	think    time.Duration // mean pause of a labeler between a task and its answer
	kills    int           // of the server under load
	before   int           // tasks that the first labeler has ranked before the load begins
	db       string        // file; an existing one is used as it is
	seed     uint64
}

func defaults() plan {
	return plan{labelers: 50, tasks: 10_000, overlap: 3, k: 4, ttl: 2 * time.Second, seed: 1}
}

func main() {
	if os.Getenv(serveEnv) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "labelers: server:", err)
			os.Exit(1)
		}
		return
	}
	p := defaults()
	flag.IntVar(&p.labelers, "labelers", p.labelers, "how many at once")
	flag.IntVar(&p.tasks, "tasks", p.tasks, "in the database")
	flag.IntVar(&p.overlap, "overlap", p.overlap, "rankings wanted of each task")
	flag.IntVar(&p.k, "k", p.k, "completions of each task")
	flag.IntVar(&p.rankings, "rankings", 0, "end after so many; 0: when all tasks have what is wanted")
	flag.DurationVar(&p.ttl, "ttl", p.ttl, "of leases")
	flag.DurationVar(&p.think, "think", 0, "mean time of a labeler for a task")
	flag.IntVar(&p.kills, "kills", 0, "kill the server so often")
	flag.IntVar(&p.before, "before", 0, "tasks that the first labeler has ranked before")
	flag.StringVar(&p.db, "db", "", "database file, kept; a temporary one without it")
	flag.Uint64Var(&p.seed, "seed", p.seed, "of what labelers do")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := main1(ctx, p); err != nil {
		fmt.Fprintln(os.Stderr, "labelers:", err)
		os.Exit(1)
	}
}

func main1(ctx context.Context, p plan) error {
	if p.db == "" {
		dir, err := os.MkdirTemp("", "labelers")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		p.db = filepath.Join(dir, "labels.db")
	}
	r, err := run(ctx, p)
	if err != nil {
		return err
	}
	fmt.Print(r)
	if len(r.wrong) > 0 {
		return fmt.Errorf("%d things are wrong", len(r.wrong))
	}
	return nil
}
