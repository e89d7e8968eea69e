package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rlhf/storage"
)

func (a *app) labelTaskCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "task", Short: "List and change tasks, answer them as the researcher, draw calibration tasks"}
	cmd.AddCommand(a.taskListCommand(), a.taskSetCommand(), a.taskReferenceCommand(), a.taskCalibrateCommand())
	return cmd
}

func (a *app) taskListCommand() *cobra.Command {
	var project string
	var asJSON bool
	f := storage.TaskFilter{Limit: 500}
	cmd := a.thereDB("list --db FILE [--project NAME]", "List a project's tasks", func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		p, err := db.ProjectByName(ctx, project)
		if err != nil {
			return err
		}
		for f.Project = p.ID; ; {
			list, next, err := db.Tasks(ctx, f)
			if err != nil {
				return err
			}
			for _, t := range list {
				if err := a.showTask(t, asJSON); err != nil {
					return err
				}
			}
			if f.After = next; next == 0 {
				return nil
			}
		}
	})
	cmd.Flags().StringVar(&f.Kind, "kind", "", "only tasks of this kind")
	cmd.Flags().StringVar(&f.State, "state", "", "only open, done or withdrawn tasks")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, a task a line, with completions")
	projectFlag(cmd, &project)
	return cmd
}

func (a *app) showTask(t storage.TaskInfo, asJSON bool) error {
	var reference []int
	if t.Reference != nil {
		reference = t.Reference.Ranks
	}
	if asJSON {
		var texts []map[string]string
		for _, c := range t.Completions {
			texts = append(texts, map[string]string{"model": c.Model, "text": c.Text})
		}
		return json.NewEncoder(a.out).Encode(map[string]any{"id": t.ID, "kind": t.Kind, "overlap": t.Overlap, "done": t.Done, "priority": t.Priority, "assigned_to": t.AssignedTo,
			"withdrawn": t.Withdrawn, "prompt": t.Prompt, "completions": texts, "reference": reference})
	}
	more := ""
	if t.Withdrawn {
		more += ", withdrawn"
	}
	if t.AssignedTo != "" {
		more += ", for " + t.AssignedTo
	}
	if reference != nil {
		more += fmt.Sprint(", answer ", reference)
	}
	wanted := fmt.Sprint(t.Overlap)
	if t.Overlap == 0 {
		wanted = "everybody's"
	}
	_, err := fmt.Fprintf(a.out, "%6d  %-11s %d of %s rankings, %d completions%s: %.60q\n", t.ID, t.Kind, t.Done, wanted, len(t.Completions), more, strings.Join(strings.Fields(t.Prompt), " "))
	return err
}

func (a *app) taskSetCommand() *cobra.Command {
	var id int64
	var kind, assigned string
	var overlap, priority int
	var withdrawn bool
	cmd := a.thereDB("set --db FILE --task ID", "Change a task", func(ctx context.Context, cmd *cobra.Command, db *storage.DB) error {
		var c storage.TaskChange
		for name, set := range map[string]func(){
			"kind": func() { c.Kind = &kind }, "overlap": func() { c.Overlap = &overlap }, "priority": func() { c.Priority = &priority },
			"assign_to": func() { c.AssignedTo = &assigned }, "withdrawn": func() { c.Withdrawn = &withdrawn },
		} {
			if cmd.Flags().Changed(name) {
				set()
			}
		}
		return db.SetTask(ctx, id, c)
	})
	f := cmd.Flags()
	f.Int64Var(&id, "task", 0, "id, as task list shows it")
	f.StringVar(&kind, "kind", "", "normal, calibration, gold, honeypot, training or example")
	f.IntVar(&overlap, "overlap", 0, "rankings wanted; 0: one of everybody")
	f.IntVar(&priority, "priority", 0, "greater goes first")
	f.StringVar(&assigned, "assign_to", "", "name of the only labeler who gets it; empty for anyone")
	f.BoolVar(&withdrawn, "withdrawn", true, "not given out any more")
	return required(cmd, "task")
}

func (a *app) taskReferenceCommand() *cobra.Command {
	var id int64
	var drop bool
	var ref storage.Reference
	cmd := a.thereDB("reference --db FILE --task ID (--ranks 1,2,… | --drop)", "Give a task the researcher's own answer", func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		return db.SetTask(ctx, id, storage.TaskChange{Reference: &ref})
	})
	f := cmd.Flags()
	f.Int64Var(&id, "task", 0, "id, as task list shows it")
	f.IntSliceVar(&ref.Ranks, "ranks", nil, "ranks of the completions in the order of task list --json; 1 is best, equal ranks are a tie")
	f.StringVar(&ref.Note, "note", "", "why, in markdown; labelers see it after training tasks")
	f.BoolVar(&drop, "drop", false, "take the answer away")
	cmd.MarkFlagsOneRequired("ranks", "drop")
	cmd.MarkFlagsMutuallyExclusive("ranks", "drop")
	return required(cmd, "task")
}

func (a *app) taskCalibrateCommand() *cobra.Command {
	var project string
	var share float64
	var seed uint64
	cmd := a.thereDB("calibrate --db FILE [--project NAME] --share X", "Make a share of the tasks that nobody has had calibration tasks, which everybody ranks", func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		p, err := db.ProjectByName(ctx, project)
		if err != nil {
			return err
		}
		n, err := db.Calibrate(ctx, p.ID, share, seed)
		if err != nil {
			return err
		}
		a.say("%s of %s are for calibration now", counted(n, "task"), p.Name)
		return nil
	})
	cmd.Flags().Float64Var(&share, "share", 0, "of the tasks, above 0 and at most 0.5")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "of the draw")
	projectFlag(cmd, &project)
	return required(cmd, "share")
}
