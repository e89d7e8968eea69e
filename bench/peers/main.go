// Command peers measures the engine and its peers, PyTorch, transformers and
// TRL, on the same work: each side in a process of its own, by turns over some
// rounds so that what else the machine does meets both, and asleep while the
// other runs. It prints Markdown tables of rates, ratios and memory. The check
// "models" times nothing: models that one side writes, the other must read without
// a warning and compute alike.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"time"

	"rlhf/bench"
)

// options are the command line.
type options struct {
	python, script string
	only           *regexp.Regexp
	rounds         int
	seconds        float64
	threads        int
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-child" {
		exit(bench.Serve(os.Stdin, os.Stdout))
	}
	var o options
	only := flag.String("only", "", "measure the cases whose names match")
	flag.StringVar(&o.python, "python", "python3", "interpreter that has bench/requirements.txt installed")
	flag.StringVar(&o.script, "script", "bench/peers.py", "the peers' side")
	flag.IntVar(&o.rounds, "rounds", 3, "measurements of each side")
	flag.Float64Var(&o.seconds, "seconds", 5, "least time of a measurement")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of each side")
	list := flag.Bool("list", false, "list the cases")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		exit(fmt.Errorf("-only: %w", err))
	}
	if *list {
		for _, c := range bench.Cases(o.threads) {
			fmt.Printf("%-20s %s\n", c.Name, c.Title)
		}
		fmt.Printf("%-20s %s\n", modelsCheck, "models written by each side and read by the other: no timing")
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run measures the cases and prints the tables.
func run(ctx context.Context, o options) error {
	if o.rounds < 1 || o.seconds <= 0 || o.threads < 1 {
		return fmt.Errorf("-rounds, -seconds and -threads: must be positive (got %d, %g, %d)", o.rounds, o.seconds, o.threads)
	}
	versions, err := peerVersions(ctx, o)
	if err != nil {
		return err
	}
	if o.only.MatchString(modelsCheck) {
		if err := checkModels(ctx, o, os.Stdout); err != nil {
			return fmt.Errorf("%s: %w", modelsCheck, err)
		}
		if !slices.ContainsFunc(bench.Cases(o.threads), func(c bench.Case) bool { return o.only.MatchString(c.Name) }) {
			return nil
		}
	}
	t := table{o: o, peak: bench.Peak(o.threads), versions: versions, date: time.Now()}
	for _, c := range bench.Cases(o.threads) {
		if !o.only.MatchString(c.Name) {
			continue
		}
		rows, err := measure(ctx, o, c)
		if err != nil {
			return fmt.Errorf("case %s: %w", c.Name, err)
		}
		t.rows = append(t.rows, rows...)
		t.peak = max(t.peak, bench.Peak(o.threads)) // the least disturbed of several
		for _, r := range rows {
			fmt.Fprintln(os.Stderr, r.rates(t.peak))
		}
	}
	if len(t.rows) == 0 {
		return fmt.Errorf("-only: no case matches %q", o.only)
	}
	return t.write(os.Stdout)
}

// startPeer starts a worker of the peers'.
func startPeer(ctx context.Context, o options) (*bench.Worker, error) {
	return bench.Start(ctx, o.python, "-u", o.script)
}

func peerVersions(ctx context.Context, o options) (map[string]string, error) {
	w, err := startPeer(ctx, o)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	reply, err := w.Ask(bench.Request{Hello: true})
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", o.python, o.script, err)
	}
	return reply.Versions, nil
}
