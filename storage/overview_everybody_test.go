package storage

import (
	"context"
	"testing"
	"time"
)

// A task for everybody wants no number of rankings: it is never done, and those that it has are no surplus.
func TestCountsOfTasksForEverybody(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	me := addLabelers(t, db, "ann")[0]
	two := tasks(2, 3, 1)
	two[0].Kind, two[0].Overlap = KindCalibration, 0
	if err := db.AddTasks(ctx, two); err != nil {
		t.Fatal(err)
	}
	check := func(when string, done, rankings, needed int) {
		t.Helper()
		s, err := db.ProjectStanding(ctx, DefaultProject)
		if err != nil {
			t.Fatal(err)
		}
		if s.Tasks != 2 || s.DoneTasks != done || s.Rankings != rankings || s.Needed != needed {
			t.Errorf("%s: %d of %d tasks done, %d of %d rankings, want %d of 2 and %d of %d", when, s.DoneTasks, s.Tasks, s.Rankings, s.Needed, done, rankings, needed)
		}
		c, err := db.ProjectCounts(ctx, DefaultProject)
		if err != nil || c.Tasks != s.Tasks || c.DoneTasks != s.DoneTasks || c.Rankings != s.Rankings || c.Needed != s.Needed {
			t.Errorf("%s: counts %+v, standing %+v, %v", when, c, s, err)
		}
	}
	check("before", 0, 0, 1)
	for range 2 {
		a, err := db.Lease(ctx, me, time.Minute, backwards)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Submit(ctx, Submission{LabelerID: me, PublicID: a.PublicID, Ranks: []int{1, 2, 3}, Key: a.PublicID}); err != nil {
			t.Fatal(err)
		}
	}
	check("after", 1, 2, 2)
}
