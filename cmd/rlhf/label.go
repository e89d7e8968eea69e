package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/internal/stats"
	"rlhf/labeling"
	"rlhf/storage"
)

func (a *app) labelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "label", Short: "Collect human rankings: serve the web application, import, export, statistics"}
	cmd.AddCommand(a.labelUserCommand(), a.labelLinkCommand(), a.labelTokenCommand(), a.labelForgetCommand(), a.labelAuditCommand(),
		a.labelProjectCommand(), a.labelGuidelineCommand(), a.labelTaskCommand(), a.labelImportCommand(), a.labelServeCommand(), a.labelStatsCommand(), a.labelExportCommand(),
		a.labelCheckCommand(), a.labelBackupCommand())
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

// thereDB is a command on a labeling database that must be there.
func (a *app) thereDB(use, short string, f func(ctx context.Context, cmd *cobra.Command, db *storage.DB) error) *cobra.Command {
	cmd := a.withDB(use, short, nil, f)
	cmd.Flag("db").Usage = "labeling database"
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := os.Stat(cmd.Flag("db").Value.String()); err != nil {
			return failure{err}
		}
		return run(cmd, args)
	}
	return cmd
}

// projectFlag names a project.
func projectFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "project", "default", "project of the database")
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
