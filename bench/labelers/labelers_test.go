package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestMain lets the test's own binary be the server.
func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A small load, with the server killed under it: exactly the rankings wanted, and all that were acknowledged.
func TestLoadAndKills(t *testing.T) {
	p := defaults()
	p.labelers, p.tasks, p.ttl, p.kills, p.think = 12, 150, 300*time.Millisecond, 3, 20*time.Millisecond
	p.db = filepath.Join(t.TempDir(), "labels.db")
	r, err := run(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + r.String())
	if len(r.wrong) > 0 || r.acked < 3*p.tasks {
		t.Errorf("%d acknowledged, wrong: %v", r.acked, r.wrong)
	}
}
