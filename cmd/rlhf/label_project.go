package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rlhf/labeling"
	"rlhf/storage"
)

func (a *app) labelProjectCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "project", Short: "List, create and change projects: bodies of tasks with settings and guidelines of their own"}
	cmd.AddCommand(a.projectListCommand(), a.projectCreateCommand(), a.projectSetCommand())
	return cmd
}

func (a *app) projectListCommand() *cobra.Command {
	var asJSON bool
	cmd := a.thereDB("list --db FILE", "List the projects and how far they have come", func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		list, err := db.Projects(ctx)
		if err != nil {
			return err
		}
		for _, p := range list {
			n, err := db.ProjectCounts(ctx, p.ID)
			if err != nil {
				return err
			}
			if asJSON {
				if err := json.NewEncoder(a.out).Encode(map[string]any{"id": p.ID, "name": p.Name, "description": p.Description, "open": p.Open, "settings": labeling.SettingsJSON(p.Settings),
					"tasks": n.Tasks, "done_tasks": n.DoneTasks, "rankings": n.Rankings, "needed": n.Needed, "guideline_version": n.Guideline}); err != nil {
					return err
				}
				continue
			}
			state := ""
			if !p.Open {
				state = ", closed"
			}
			fmt.Fprintf(a.out, "%-20s %d tasks, %d done, %d of %d rankings, guidelines %d%s\n", p.Name, n.Tasks, n.DoneTasks, n.Rankings, n.Needed, n.Guideline, state)
		}
		return nil
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, a project a line")
	return cmd
}

// settingsFlags are the flags of a project's settings; what is not given stays.
type settingsFlags struct {
	p         storage.Project
	questions []string
}

func (s *settingsFlags) add(f *pflag.FlagSet) {
	c := &s.p.Settings
	f.StringVar(&s.p.Description, "description", "", "what the project is about")
	f.BoolVar(&s.p.Open, "open", true, "its tasks are given out")
	f.IntVar(&c.Overlap, "overlap", 1, "rankings wanted of each new task")
	f.IntVar(&c.K, "k", 0, "completions of each new task; 0: all that come")
	f.BoolVar(&c.Rate, "rate", false, "each response is rated 1 to 7 before the ranking")
	f.StringSliceVar(&s.questions, "questions", nil, "yes-or-no questions of each response: "+strings.Join(presetKeys(), ", ")+`, or a file of [{"key","text":{"en","zh"}}]`)
	f.BoolVar(&c.Confidence, "confidence", false, "ask how sure the labeler is of each ranking")
	f.BoolVar(&c.MustOpen, "must_open", true, "each response must have been read through")
	f.Float64Var(&c.CalibrationShare, "calibration_share", 0, "of a labeler's tasks that everybody ranks")
	f.Float64Var(&c.GoldShare, "gold_share", 0, "of a labeler's tasks that have a right answer")
	f.Float64Var(&c.RepeatShare, "repeat_share", 0, "of a labeler's tasks that come once more")
	f.Float64Var(&c.GoldThreshold, "gold_threshold", 0, "least share of right pairs of gold tasks, below which a labeler is paused; 0 pauses nobody")
	f.IntVar(&c.GoldWindow, "gold_window", 10, "latest gold tasks that count for it")
}

func presetKeys() (out []string) {
	for _, q := range labeling.Presets() {
		out = append(out, q.Key)
	}
	return out
}

// over returns p with what the flags say.
func (s *settingsFlags) over(p storage.Project, f *pflag.FlagSet) (storage.Project, error) {
	from, to := &s.p.Settings, &p.Settings
	for name, set := range map[string]func(){
		"description": func() { p.Description = s.p.Description }, "open": func() { p.Open = s.p.Open }, "overlap": func() { to.Overlap = from.Overlap }, "k": func() { to.K = from.K },
		"rate": func() { to.Rate = from.Rate }, "confidence": func() { to.Confidence = from.Confidence }, "must_open": func() { to.MustOpen = from.MustOpen },
		"calibration_share": func() { to.CalibrationShare = from.CalibrationShare }, "gold_share": func() { to.GoldShare = from.GoldShare }, "repeat_share": func() { to.RepeatShare = from.RepeatShare },
		"gold_threshold": func() { to.GoldThreshold = from.GoldThreshold }, "gold_window": func() { to.GoldWindow = from.GoldWindow },
	} {
		if f.Changed(name) {
			set()
		}
	}
	if !f.Changed("questions") {
		return p, nil
	}
	to.Questions = []storage.Question{}
	for _, key := range s.questions {
		if i := slices.Index(presetKeys(), key); i >= 0 {
			to.Questions = append(to.Questions, labeling.Presets()[i])
			continue
		}
		raw, err := os.ReadFile(key)
		if err != nil {
			return p, fmt.Errorf("questions: %q is none of %s, and no file: %w", key, strings.Join(presetKeys(), ", "), err)
		}
		var own []storage.Question
		if err := json.Unmarshal(raw, &own); err != nil {
			return p, fmt.Errorf("questions: %s: %w", key, err)
		}
		to.Questions = append(to.Questions, own...)
	}
	return p, nil
}

func (a *app) projectCreateCommand() *cobra.Command {
	var name string
	var s settingsFlags
	cmd := a.withDB("create --db FILE --name NAME", "Create a project", nil, func(ctx context.Context, cmd *cobra.Command, db *storage.DB) error {
		p, err := s.over(storage.Project{Name: name, Open: true, Settings: storage.DefaultSettings()}, cmd.Flags())
		if err != nil {
			return err
		}
		_, err = db.CreateProject(ctx, p)
		return err
	})
	cmd.Flags().StringVar(&name, "name", "", "of the project")
	s.add(cmd.Flags())
	return required(cmd, "name")
}

func (a *app) projectSetCommand() *cobra.Command {
	var name, rename string
	var s settingsFlags
	cmd := a.thereDB("set --db FILE --name NAME", "Change a project's settings; tasks that are there keep their overlap", func(ctx context.Context, cmd *cobra.Command, db *storage.DB) error {
		p, err := db.ProjectByName(ctx, name)
		if err != nil {
			return err
		}
		if p, err = s.over(p, cmd.Flags()); err != nil {
			return err
		}
		if rename != "" {
			p.Name = rename
		}
		return db.SetProject(ctx, p)
	})
	cmd.Flags().StringVar(&name, "name", "", "of the project")
	cmd.Flags().StringVar(&rename, "rename", "", "new name")
	s.add(cmd.Flags())
	return required(cmd, "name")
}

func (a *app) labelGuidelineCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "guideline", Short: "Show and add versions of a project's guidelines"}
	cmd.AddCommand(a.guidelineShowCommand(), a.guidelineAddCommand())
	return cmd
}

func (a *app) guidelineShowCommand() *cobra.Command {
	var project string
	var version int
	cmd := a.thereDB("show --db FILE [--project NAME] [--version N]", "Print the guidelines in force, or an earlier version", func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		p, err := db.ProjectByName(ctx, project)
		if err != nil {
			return err
		}
		list, err := db.Guidelines(ctx, p.ID)
		if err != nil {
			return err
		}
		for _, g := range list {
			if version == 0 || g.Version == version {
				_, err := io.WriteString(a.out, g.Text)
				return err
			}
		}
		return fmt.Errorf("project %q has %d versions of guidelines", project, len(list))
	})
	cmd.Flags().IntVar(&version, "version", 0, "version; the one in force by default")
	projectFlag(cmd, &project)
	return cmd
}

func (a *app) guidelineAddCommand() *cobra.Command {
	var project, file string
	cmd := a.withDB("add --db FILE [--project NAME] --file FILE", "Add a version of the guidelines, which is in force from then on", nil, func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		p, err := db.ProjectByName(ctx, project)
		if err != nil {
			return err
		}
		var raw []byte
		if file == "-" {
			raw, err = io.ReadAll(a.in)
		} else {
			raw, err = os.ReadFile(file)
		}
		if err != nil {
			return err
		}
		g, err := db.AddGuideline(ctx, p.ID, string(raw))
		var bad *storage.Invalid
		if errors.As(err, &bad) {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err != nil {
			return err
		}
		a.say("version %d of the guidelines of %s is in force", g.Version, p.Name)
		return nil
	})
	cmd.Flags().StringVar(&file, "file", "", "markdown, - for the standard input")
	projectFlag(cmd, &project)
	return required(cmd, "file")
}
