package storage

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A closed database is one file: nothing stays in the write-ahead log.
func TestClosedDatabaseIsOneFile(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	me := addLabelers(t, db, "ann")[0]
	if err := db.AddTasks(ctx, tasks(2, 3, 1)); err != nil {
		t.Fatal(err)
	}
	a, err := db.Lease(ctx, me, time.Minute, backwards)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Submit(ctx, Submission{LabelerID: me, PublicID: a.PublicID, Ranks: []int{1, 2, 3}, Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ProjectStanding(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Error("the write-ahead log is still there")
	}
}
