// Command growth measures how the engine's cost grows with width, depth, length,
// batch and threads, each point in a process of its own, and writes the tables
// as Markdown.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"rlhf/bench"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-child" {
		exit(bench.Serve(os.Stdin, os.Stdout))
	}
	out := flag.String("out", "bench/RESULTS.md", "file to write")
	seconds := flag.Float64("seconds", 1.5, "least time of a measurement")
	threads := flag.Int("threads", runtime.NumCPU(), "threads of all points but those that vary them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, *out, *seconds, *threads))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run measures all points and writes the file.
func run(ctx context.Context, path string, seconds float64, threads int) error {
	if seconds <= 0 || threads < 1 {
		return fmt.Errorf("-seconds and -threads: must be positive (got %g, %d)", seconds, threads)
	}
	peaks := map[int]float64{}
	var s strings.Builder
	write(&s, bench.Machine(bench.Peak(threads), threads), seconds)
	for _, sweep := range sweeps(threads) {
		fmt.Fprintf(&s, "\n### %s\n\n%s\n\n| %s | parameters | %s | GF/s | share of peak | peak memory, MiB |\n|---|---|---|---|---|---|\n",
			sweep.title, sweep.fixed, sweep.varies, bench.Train.Unit())
		for _, p := range sweep.points {
			reply, err := measure(ctx, p.c, seconds)
			if err != nil {
				return fmt.Errorf("%s, %s %s: %w", sweep.title, sweep.varies, p.value, err)
			}
			if peaks[p.c.Threads] == 0 {
				peaks[p.c.Threads] = bench.Peak(p.c.Threads)
			}
			line := fmt.Sprintf("| %s | %s | %.0f | %.1f | %.0f %% | %.0f |", p.value, millions(p.c), reply.Rate, reply.GFlops,
				100*reply.GFlops/peaks[p.c.Threads], reply.PeakRSS)
			fmt.Fprintln(os.Stderr, sweep.title, line)
			s.WriteString(line + "\n")
		}
	}
	return os.WriteFile(path, []byte(s.String()), 0o666)
}

// write begins the file.
func write(s *strings.Builder, machine string, seconds float64) {
	fmt.Fprintf(s, `# How cost grows

Written by %s. One measurement of at least %g s a line, after one iteration that
does not count, each in a process of its own, whose peak memory stands beside it.

%s. %s.

The vocabulary has 4,096 tokens and a head 64 channels throughout. A train step is forward, backward, clipping and AdamW, and a
rate counts its tokens; sampling counts the tokens drawn. Operations are those of the matrix products and of attention
(bench/flops.go); their share is of the peak of as many threads.
`, "`make bench-growth`", seconds, machine, time.Now().Format("2006-01-02"))
}

// measure runs one case in a process of its own.
func measure(ctx context.Context, c bench.Case, seconds float64) (bench.Reply, error) {
	w, err := bench.StartOurs(ctx)
	if err != nil {
		return bench.Reply{}, err
	}
	reply, err := w.Ask(bench.Request{Case: &c, Seconds: seconds})
	if closed := w.Close(); err == nil {
		err = closed
	}
	return reply, err
}

// millions returns the size of a case's model.
func millions(c bench.Case) string {
	return fmt.Sprintf("%.2fM", float64(c.Shape.Config(0).NumParams())/1e6)
}
