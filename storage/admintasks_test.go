package storage

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTasksOfAdmins(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	addLabelers(t, db, "ann")
	if err := db.AddTasks(ctx, tasks(5, 3, 2)); err != nil {
		t.Fatal(err)
	}
	if err := db.SetTask(ctx, 2, TaskChange{Kind: ptr(KindGold), Priority: ptr(7), Reference: &Reference{Ranks: []int{2, 1, 1}, Note: "n"}}); err != nil {
		t.Fatal(err)
	}
	if err := db.SetTask(ctx, 3, TaskChange{AssignedTo: ptr("ann"), Withdrawn: ptr(true), Overlap: ptr(1)}); err != nil {
		t.Fatal(err)
	}
	got, err := db.TaskByID(ctx, 2)
	if err != nil || got.Kind != KindGold || got.Overlap != 0 || got.Priority != 7 || !got.Open || !reflect.DeepEqual(got.Reference.Ranks, []int{2, 1, 1}) || got.Reference.Note != "n" || len(got.Completions) != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = db.TaskByID(ctx, 3)
	if err != nil || got.AssignedTo != "ann" || !got.Withdrawn || got.Overlap != 1 || got.Reference != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for _, test := range []struct {
		f    TaskFilter
		want []int64
		next int64
	}{
		{TaskFilter{Limit: 2}, []int64{1, 2}, 2},
		{TaskFilter{After: 2, Limit: 3}, []int64{3, 4, 5}, 0},
		{TaskFilter{Kind: KindGold, Limit: 9}, []int64{2}, 0},
		{TaskFilter{State: StateWithdrawn, Limit: 9}, []int64{3}, 0},
		{TaskFilter{State: StateOpen, Kind: KindNormal, Limit: 9}, []int64{1, 4, 5}, 0},
		{TaskFilter{State: StateDone, Limit: 9}, nil, 0},
	} {
		test.f.Project = DefaultProject
		list, next, err := db.Tasks(ctx, test.f)
		var ids []int64
		for _, x := range list {
			ids = append(ids, x.ID)
		}
		if err != nil || !reflect.DeepEqual(ids, test.want) || next != test.next {
			t.Errorf("%+v: %v, next %d, %v", test.f, ids, next, err)
		}
	}
	var invalid *Invalid
	for want, change := range map[string]TaskChange{
		`kind: found "repeat"`:  {Kind: ptr(KindRepeat)},
		"overlap: must be":      {Overlap: ptr(-1)},
		"reference.ranks: rank": {Reference: &Reference{Ranks: []int{1, 3, 3}}},
	} {
		if err := db.SetTask(ctx, 1, change); !errors.As(err, &invalid) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := db.SetTask(ctx, 1, TaskChange{AssignedTo: ptr("nobody")}); !errors.Is(err, ErrNotFound) {
		t.Errorf("assigned to nobody: %v", err)
	}
	if err := db.SetTask(ctx, 99, TaskChange{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no task: %v", err)
	}
	r := Ranking{Prompt: "prompt 4", Labeler: "w", Ranks: []int{1, 2, 3}, Completions: tasks(5, 3, 2)[4].Completions}
	if _, err := db.AddRankings(ctx, 0, []Ranking{r}); err != nil {
		t.Fatal(err)
	}
	if err := db.SetTask(ctx, 5, TaskChange{Kind: ptr(KindTraining)}); !errors.Is(err, ErrRanked) {
		t.Errorf("ranked data made training: %v", err)
	}
	if err := db.SetTask(ctx, 2, TaskChange{Kind: ptr(KindNormal), Reference: &Reference{}}); err != nil {
		t.Error(err)
	}
	if got, err := db.TaskByID(ctx, 2); err != nil || got.Reference != nil || got.Overlap != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCalibrate(t *testing.T) {
	ctx := context.Background()
	var first []int64
	for range 2 {
		db := openTest(t)
		if err := db.AddTasks(ctx, tasks(20, 2, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Lease(ctx, addLabelers(t, db, "ann")[0], time.Minute, backwards); err != nil { // of task 1, which is not drawn
			t.Fatal(err)
		}
		n, err := db.Calibrate(ctx, DefaultProject, .15, 3) // of 19
		if err != nil || n != 3 {
			t.Fatalf("%d, %v", n, err)
		}
		list, _, err := db.Tasks(ctx, TaskFilter{Project: DefaultProject, Kind: KindCalibration, Limit: 20})
		var ids []int64
		for _, x := range list {
			if x.Overlap != 0 || !x.Open || x.ID == 1 {
				t.Errorf("%+v", x)
			}
			ids = append(ids, x.ID)
		}
		if err != nil || len(ids) != 3 || first != nil && !reflect.DeepEqual(ids, first) {
			t.Errorf("%v, before %v, %v", ids, first, err)
		}
		first = ids
	}
}
