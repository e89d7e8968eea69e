package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rlhf/internal/dataset"
	"rlhf/labeling"
	"rlhf/labeling/exchange"
	"rlhf/labeling/figures"
	"rlhf/storage"
)

// The demo's two simulated labelers: their noise and the steps in which they see
// a difference, both in standard deviations of their taste over a prompt's completions.
const (
	simulatedNoise = .55
	simulatedStep  = .5
)

var simulatedNames = []string{"simulated-1", "simulated-2"}

func (d *demo) db(ctx context.Context) (*storage.DB, error) {
	return storage.Open(ctx, filepath.Join(d.dir, "labels.db"))
}

// sampleTasks samples K completions of each ranked prompt and puts them into the labeling database as tasks.
func (d *demo) sampleTasks(ctx context.Context) error {
	var prompts []dataset.Prompt
	for _, r := range d.data.train[:d.ranked] {
		prompts = append(prompts, dataset.Prompt{Text: r.prompt})
	}
	lines, err := d.sample(ctx, d.c.Sample, d.sft, prompts, "sft")
	if err != nil {
		return err
	}
	d.sampled = lines
	tasks, err := sampleTasks(d.c.Sample, lines, 1)
	if err != nil {
		return err
	}
	db, err := d.db(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if !d.human {
		for _, name := range simulatedNames {
			if _, err := db.CreateLabeler(ctx, name, storage.RoleLabeler, ""); err != nil {
				return err
			}
		}
		// who ranks what is settled here, so that it does not depend on who is faster
		for i := range tasks {
			if i%demoShared == 0 {
				tasks[i].Overlap = len(simulatedNames)
			} else {
				tasks[i].AssignedTo = simulatedNames[i%len(simulatedNames)]
			}
		}
	}
	if err := db.AddTasks(ctx, tasks); err != nil {
		return err
	}
	d.done("sampled %d completions of %d prompts into %s", len(lines), len(tasks), filepath.Join(d.dir, "labels.db"))
	return nil
}

// label has the completions ranked through the labeling server and reads the rankings back.
func (d *demo) label(ctx context.Context) error {
	db, err := d.db(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	c := d.c.Label
	if !d.human {
		c.Addr, c.RequestsPerSecond = "127.0.0.1:0", 0 // simulated labelers rank as fast as they can
	}
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- labeling.NewServer(c, db, d.log).Serve(serving, l) }()
	if base := "http://" + l.Addr().String(); d.human {
		err = d.person(ctx, db, base)
	} else {
		err = d.simulate(ctx, db, base)
	}
	stop()
	if e := <-served; err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	err = db.Rankings(ctx, storage.Filter{}, func(r storage.Ranking) error {
		d.rankings = append(d.rankings, exchange.Exchanged(r, false))
		return nil
	})
	if err != nil {
		return err
	}
	collector := figures.New()
	if err := db.ReadEvidence(ctx, storage.DefaultProject, collector.Evidence()); err != nil {
		return err
	}
	f, err := collector.Figures()
	if err != nil {
		return err
	}
	d.agreement = f.Agreement
	d.done("%d rankings through the labeling server%s", len(d.rankings), d.agreed())
	return nil
}

// agreed describes the labelers' agreement, if two ranked the same.
func (d *demo) agreed() string {
	if d.agreement.Pairs == 0 {
		return ""
	}
	return fmt.Sprintf("; the labelers agree in %s, ties as half", percents(d.agreement.TiesHalf))
}

// simulate has the two simulated labelers rank everything.
func (d *demo) simulate(ctx context.Context, db *storage.DB, base string) error {
	o, err := db.ProjectStanding(ctx, storage.DefaultProject)
	if err != nil {
		return err
	}
	spread := d.tasteSpread()
	bar := d.progress("label")
	bar.Total(o.Needed)
	var done atomic.Int64
	all, ctx := errgroup.WithContext(ctx)
	for _, name := range simulatedNames {
		password := rand.Text()
		if err := db.SetPassword(ctx, name, labeling.HashPassword(password)); err != nil {
			return err
		}
		labeler := labeling.SimulatedLabeler{Name: name, Password: password, Taste: d.data.taste.SensibleTaste,
			NoiseSD: simulatedNoise * spread, TieStep: simulatedStep * spread, Seed: d.c.Label.Seed}
		all.Go(func() error {
			return labeling.Simulate(ctx, base, labeler, func() { done.Add(1) })
		})
	}
	finished := make(chan error, 1)
	go func() { finished <- all.Wait() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-finished:
			bar.Done()
			return err
		case <-tick.C:
			bar.Set(int(done.Load()), "")
		}
	}
}

// tasteSpread returns how far the labelers' taste tells the completions of one prompt apart: the standard deviation
// within prompts, over all sampled completions.
func (d *demo) tasteSpread() float64 {
	n := d.c.Sample.N
	square, tastes := 0.0, make([]float64, n)
	for from := 0; from < len(d.sampled); from += n {
		mean := 0.0
		for k, line := range d.sampled[from : from+n] {
			tastes[k] = d.data.taste.SensibleTaste(line.Prompt, line.Completion)
			mean += tastes[k] / float64(n)
		}
		for _, t := range tastes {
			square += (t - mean) * (t - mean)
		}
	}
	return math.Sqrt(square / float64(len(d.sampled)-len(d.sampled)/n))
}

// enough is how many rankings a person is asked for at least; fewer teach a reward model very little.
const enough = 100

// person opens the labeling page to whoever sits in front of it and waits for Enter or the last task.
func (d *demo) person(ctx context.Context, db *storage.DB, base string) error {
	password := rand.Text()
	if _, err := db.CreateLabeler(ctx, "me", storage.RoleAdmin, labeling.HashPassword(password)); err != nil {
		return err
	}
	d.say("\nRank completions at %s\n  name      me\n  password  %s\nPrefer the warmer continuation that is still a sensible sentence. Press Enter here to go on with the rankings made so far (%d or more are worth it).", base, password, enough)
	enter := make(chan error, 1)
	go func() {
		in := bufio.NewScanner(d.in)
		in.Scan()
		enter <- in.Err()
	}()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		o, err := db.ProjectStanding(ctx, storage.DefaultProject)
		if err != nil {
			return err
		}
		if o.Rankings == o.Needed {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d rankings are kept in %s: %w", o.Rankings, filepath.Join(d.dir, "labels.db"), ctx.Err())
		case err := <-enter:
			if o, e := db.ProjectStanding(ctx, storage.DefaultProject); err != nil || e != nil || o.Rankings > 1 {
				return err
			}
			return fmt.Errorf("at least 2 rankings are needed to go on")
		case <-tick.C:
		}
	}
}
