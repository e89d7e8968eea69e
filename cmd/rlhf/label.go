package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"rlhf/configs"
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
