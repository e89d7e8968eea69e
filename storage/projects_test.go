package storage

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestProjects(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	db.Now = func() time.Time { return now }
	boss := addLabelers(t, db, "boss")[0]
	ctx = WithActor(ctx, boss)
	p, err := db.CreateProject(ctx, Project{Name: "摘要", Open: true, Settings: DefaultSettings()})
	if err != nil {
		t.Fatal(err)
	}
	p.Description, p.Open = "d", false
	p.Settings = Settings{Overlap: 3, K: 4, Rate: true, Questions: []Question{{"harmful", map[string]string{"en": "Harmful?", "zh": "有害？"}}}, Confidence: true,
		CalibrationShare: .1, GoldShare: .05, RepeatShare: .02, GoldThreshold: .7, GoldWindow: 20}
	if err := db.SetProject(ctx, p); err != nil {
		t.Fatal(err)
	}
	got, err := db.ProjectByName(ctx, "摘要")
	if err != nil || !reflect.DeepEqual(got, p) || !got.CreatedAt.Equal(now) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, p)
	}
	list, err := db.Projects(ctx)
	if err != nil || len(list) != 2 || list[0].ID != DefaultProject || list[0].Name != "default" || !list[0].Open || list[0].Settings.Overlap != 1 || !reflect.DeepEqual(list[1], p) {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := db.CreateProject(ctx, Project{Name: "摘要", Settings: DefaultSettings()}); !errors.Is(err, ErrExists) {
		t.Errorf("a name twice: %v", err)
	}
	other := p
	other.ID = 99
	other.Name = "x"
	if err := db.SetProject(ctx, other); !errors.Is(err, ErrNotFound) {
		t.Errorf("a project that is not there: %v", err)
	}
	for want, change := range map[string]func(*Project){
		"name: must be":                       func(p *Project) { p.Name = " a" },
		"settings.overlap: must be":           func(p *Project) { p.Settings.Overlap = 0 },
		"settings.k: must be":                 func(p *Project) { p.Settings.K = 1 },
		"settings.gold_share: must be":        func(p *Project) { p.Settings.GoldShare = .6 },
		"settings.calibration_share: the":     func(p *Project) { p.Settings.CalibrationShare, p.Settings.GoldShare = .5, .5 },
		"settings.gold_threshold: must be":    func(p *Project) { p.Settings.GoldThreshold = -1 },
		"settings.gold_window: must be":       func(p *Project) { p.Settings.GoldWindow = 0 },
		"settings.questions[0].key: found":    func(p *Project) { p.Settings.Questions = []Question{{Key: "A b"}} },
		"settings.questions[0].key: \"over":   func(p *Project) { p.Settings.Questions = []Question{{Key: "overall"}} },
		"settings.questions[0].text: found n": func(p *Project) { p.Settings.Questions = []Question{{Key: "a"}} },
	} {
		bad := p
		change(&bad)
		var invalid *Invalid
		if err := db.SetProject(ctx, bad); !errors.As(err, &invalid) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
	for v := 1; v <= 2; v++ {
		now = now.Add(time.Minute)
		if g, err := db.AddGuideline(ctx, p.ID, "# be honest"); err != nil || g.Version != v {
			t.Errorf("%+v, %v", g, err)
		}
	}
	guides, err := db.Guidelines(ctx, p.ID)
	if err != nil || len(guides) != 2 || guides[0].Version != 2 || guides[0].Author != "boss" || !guides[0].CreatedAt.Equal(now) || guides[0].Text != "# be honest" {
		t.Errorf("%+v, %v", guides, err)
	}
	if _, err := db.AddGuideline(ctx, 99, "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("guidelines of no project: %v", err)
	}
	task := tasks(1, 3, 2)[0]
	task.Project, task.Kind, task.Reference = p.ID, KindGold, &Reference{Ranks: []int{1, 2, 2}, Note: "n"}
	if err := db.AddTasks(ctx, []Task{task, {Project: p.ID, Prompt: "q", Completions: task.Completions, Overlap: 1}}); err != nil {
		t.Fatal(err)
	}
	ref, err := readReference(ctx, db.r, 1)
	if err != nil || !reflect.DeepEqual(ref, &Reference{Ranks: []int{1, 2, 2}, Note: "n", Author: "boss", CreatedAt: now}) {
		t.Errorf("%+v, %v", ref, err)
	}
	c, err := db.ProjectCounts(ctx, p.ID)
	if err != nil || c != (ProjectCounts{Tasks: 2, Needed: 3, Guideline: 2}) {
		t.Errorf("%+v, %v", c, err)
	}
	entries, _, err := db.Audit(ctx, 0, 10)
	var actions []string
	for _, e := range entries {
		actions = append(actions, e.Actor+" "+e.Action+" "+e.Object)
	}
	if want := []string{"boss tasks.add project 2", "boss guideline.add project 2", "boss guideline.add project 2", "boss project.set project 2", "boss project.create project 2", " person.create person 1"}; err != nil || !reflect.DeepEqual(actions, want) {
		t.Errorf("audit %q, %v", actions, err)
	}
}
