package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/internal/dataset"
	"rlhf/internal/stats"
	"rlhf/labeling"
	"rlhf/storage"
)

func (a *app) labelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "label", Short: "Collect human rankings: serve the web application, import, export, statistics"}
	cmd.AddCommand(a.labelUserCommand(), a.labelLinkCommand(), a.labelTokenCommand(), a.labelForgetCommand(), a.labelAuditCommand(),
		a.labelImportCommand(), a.labelServeCommand(), a.labelStatsCommand(), a.labelExportCommand())
	return cmd
}

// withDB is a command that works on the labeling database named by --db.
func (a *app) withDB(use, short string, sections []string, f func(ctx context.Context, cmd *cobra.Command, db *storage.DB) error) *cobra.Command {
	var path string
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	cmd.Flags().StringVar(&path, "db", "", "labeling database, created if need be")
	configs.AddFlags(cmd.Flags(), sections...)
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		db, err := storage.Open(cmd.Context(), path)
		if err != nil {
			return err
		}
		defer db.Close()
		return f(cmd.Context(), cmd, db)
	})
	return required(cmd, "db")
}

func (a *app) labelImportCommand() *cobra.Command {
	var data, rankings []string
	var how *dataset.Options
	cmd := a.withDB("import --db FILE [--data FILE…] [--rankings FILE…]", "Add tasks to rank, or rankings made elsewhere", []string{"label"}, func(ctx context.Context, cmd *cobra.Command, db *storage.DB) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		if len(data)+len(rankings) == 0 {
			return errors.New("nothing to import: name files with --data or --rankings")
		}
		var tasks []storage.Task
		for _, path := range data {
			groups, err := dataset.Collect(dataset.Groups(a.reading(), path))
			if err != nil {
				return err
			}
			for i, g := range groups {
				if k := len(g.Completions); k < storage.MinK || k > storage.MaxK {
					return fmt.Errorf("%s: prompt %d (%.40q): %d completions, expected %d to %d", path, i+1, g.Prompt, k, storage.MinK, storage.MaxK)
				}
				t := storage.Task{Prompt: g.Prompt, Tokens: g.Tokens, Overlap: c.Label.Overlap}
				for _, x := range g.Completions {
					t.Completions = append(t.Completions, storage.Completion(completionOf(x)))
				}
				tasks = append(tasks, t)
			}
		}
		list, err := a.preferences(ctx, how, rankings)
		if err != nil {
			return err
		}
		made, err := a.stored(how, list)
		if err != nil {
			return err
		}
		if err := db.AddTasks(ctx, tasks); err != nil {
			return err
		}
		if _, err := db.AddRankings(ctx, 0, made); err != nil {
			return err
		}
		a.say("added %d tasks and %d rankings", len(tasks), len(made))
		return nil
	})
	cmd.Flags().StringSliceVar(&data, "data", nil, `.jsonl files of {"prompt","completions":[{"model","text"}]}, or what the sample command wrote`)
	cmd.Flags().StringSliceVar(&rankings, "rankings", nil, "files of rankings in any format that data formats lists")
	how = a.preferenceFlags(cmd)
	return cmd
}

func completionOf(c dataset.Completion) storage.Completion {
	return storage.Completion{Model: c.Model, Text: c.Text, Tokens: c.Tokens, Sampling: c.Sampling}
}

// storedRanking turns the exchange format into the database's.
func storedRanking(r dataset.Ranking) storage.Ranking {
	prompt, texts := r.Plain()
	out := storage.Ranking{Prompt: prompt, PromptTokens: r.PromptTokens, Ranks: r.Ranks, Labeler: r.Labeler, CreatedAt: r.CreatedAt,
		ActiveMS: r.ActiveMS, Comment: r.Comment, Shown: r.Shown}
	for i, c := range r.Completions {
		c.Text = texts[i]
		out.Completions = append(out.Completions, completionOf(c))
	}
	return out
}

// exchanged is the inverse of storedRanking.
func exchanged(r storage.Ranking) dataset.Ranking {
	out := dataset.Ranking{Prompt: r.Prompt, PromptTokens: r.PromptTokens, Ranks: r.Ranks, Labeler: r.Labeler, CreatedAt: r.CreatedAt,
		ActiveMS: r.ActiveMS, Comment: r.Comment, Extra: r.Extra, Shown: r.Shown}
	for _, c := range r.Completions {
		out.Completions = append(out.Completions, dataset.Completion{Model: c.Model, Text: c.Text, Tokens: c.Tokens, Sampling: c.Sampling})
	}
	return out
}

func (a *app) labelExportCommand() *cobra.Command {
	e := export{}
	cmd := a.withDB("export --db FILE [--out FILE] [--format NAME]", "Write the rankings, as JSON lines that keep everything or in one of the field's formats", nil, func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		return a.export(e, func(yield func(dataset.Ranking, error) bool) {
			stopped := errors.New("stopped")
			err := db.Rankings(ctx, storage.Filter{}, func(r storage.Ranking) error {
				if !yield(exchanged(r), nil) {
					return stopped
				}
				return nil
			})
			if err != nil && !errors.Is(err, stopped) {
				yield(dataset.Ranking{}, err)
			}
		})
	})
	cmd.Flags().StringVar(&e.out, "out", "-", "file, - for the standard output; .gz and .zst compress")
	cmd.Flags().StringVar(&e.format, "format", "rankings", "one of "+writable())
	cmd.Flags().BoolVar(&e.skipBad, "skip_bad", false, "count rankings that the format cannot hold, and go on")
	exportFlags(cmd, &e)
	return cmd
}

func (a *app) labelStatsCommand() *cobra.Command {
	var asJSON bool
	cmd := a.withDB("stats --db FILE", "Progress and agreement of the labelers", nil, func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		o, err := db.Overview(ctx)
		if err != nil {
			return err
		}
		var m labeling.Measure
		if err := db.Rankings(ctx, storage.Filter{}, m.Add); err != nil {
			return err
		}
		g := m.Agreement()
		if asJSON {
			return json.NewEncoder(a.out).Encode(map[string]any{"overview": o, "agreement": map[string]any{
				"strict": share(g.Strict), "ties_half": share(g.TiesHalf), "pairs": g.Pairs, "items": g.Items}})
		}
		fmt.Fprintf(a.out, "%d tasks, %d of %d rankings, %d extra\n", o.Tasks, o.Rankings, o.Needed, o.Extra)
		for _, l := range o.Labelers {
			fmt.Fprintf(a.out, "  %-20s %6d rankings, %d today, median %.1f s\n", l.Name, l.Rankings, l.Today, float64(l.MedianActiveMS)/1000)
		}
		if g.Pairs == 0 {
			fmt.Fprintln(a.out, "no task has two rankings: agreement is not defined")
			return nil
		}
		fmt.Fprintf(a.out, "agreement over %d pairs of %d tasks: strict %s, ties as half %s\n", g.Pairs, g.Items, interval(g.Strict), interval(g.TiesHalf))
		return nil
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func interval(e stats.Estimate) string {
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*e.Value, 100*e.Low, 100*e.High)
}

// share is an estimate as JSON, null where it is not defined.
func share(e stats.Estimate) any {
	if e.Value != e.Value {
		return nil
	}
	return map[string]float64{"value": e.Value, "low": e.Low, "high": e.High}
}
