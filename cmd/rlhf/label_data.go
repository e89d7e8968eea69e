package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/internal/dataset"
	"rlhf/labeling/exchange"
	"rlhf/storage"
)

// importKinds are the kinds of tasks that can be imported.
var importKinds = []string{storage.KindNormal, storage.KindCalibration, storage.KindGold, storage.KindHoneypot, storage.KindTraining, storage.KindExample}

func (a *app) labelImportCommand() *cobra.Command {
	var data, rankings []string
	var project string
	var in exchange.Importing
	cmd := a.withDB("import --db FILE [--project NAME] [--data FILE…] [--rankings FILE…]", "Add tasks to rank, or rankings made elsewhere", []string{"label"}, func(ctx context.Context, cmd *cobra.Command, db *storage.DB) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		if len(data)+len(rankings) == 0 {
			return errors.New("nothing to import: name files with --data or --rankings")
		}
		if !slices.Contains(importKinds, in.Kind) {
			return fmt.Errorf("%w: --kind: found %q, expected one of %v", configs.ErrSetting, in.Kind, importKinds)
		}
		if c.Origin("label.overlap") != "default" {
			in.Overlap = c.Label.Overlap
		}
		if in.Project, err = db.ProjectByName(ctx, project); err != nil {
			return err
		}
		for _, path := range data {
			if err := a.bring(ctx, db, in, path, "tasks", exchange.Tasks); err != nil {
				return err
			}
		}
		for _, path := range rankings {
			if err := a.bring(ctx, db, in, path, dataset.KindRankings, exchange.Rankings); err != nil {
				return err
			}
		}
		return nil
	})
	f := cmd.Flags()
	f.StringSliceVar(&data, "data", nil, `files of what is to be ranked, {"prompt","completions":[{"model","text"}]}, what the sample command wrote, or prompts and completions of rankings in any format`)
	f.StringSliceVar(&rankings, "rankings", nil, "files of rankings in any format that data formats lists")
	f.StringVar(&in.Kind, "kind", storage.KindNormal, "of the tasks of --data; of a kind other than normal, the ranks of a file of rankings are the researcher's own answer")
	f.IntVar(&in.Priority, "priority", 0, "of the tasks of --data; greater goes first")
	f.BoolVar(&in.Again, "again", false, "add rankings once more that were imported before")
	projectFlag(cmd, &project)
	in.Read = a.reading()
	formatFlag(cmd, &in.Read)
	skipFlag(cmd, &in.Read)
	return cmd
}

// bring imports one file and says what it came to.
func (a *app) bring(ctx context.Context, db *storage.DB, in exchange.Importing, path string, what dataset.Kind, how func(context.Context, exchange.Database, exchange.Importing) (exchange.Imported, error)) error {
	in.Path, in.Name = path, path
	if path == "-" { // is read twice
		spooled, err := spool(a.in)
		if err != nil {
			return err
		}
		defer os.Remove(spooled)
		in.Path, in.Name = spooled, "standard input"
	}
	out, err := how(ctx, db, in)
	if errors.Is(err, storage.ErrImported) {
		return fmt.Errorf("%w; --again adds them once more", err)
	}
	if err != nil {
		return err
	}
	a.tell(out.Report, what)
	if out.Resumed > 0 {
		a.say("  went on after %d records of an import that was interrupted", out.Resumed)
	}
	for _, l := range out.Lost {
		a.say("  the database does not hold %s: lost of %s", l.What, counted(l.Count, "record"))
	}
	if n := out.Skipped - out.Report.Skipped; n > 0 {
		a.say("  skipped %s that the database cannot hold:", counted(n, "record"))
		for _, reason := range out.Reasons[min(len(out.Report.Reasons), len(out.Reasons)):] {
			a.say("    %s", reason)
		}
	}
	if out.There > 0 {
		a.say("  %s there before", counted(out.There, "task"))
	}
	if out.Extra > 0 {
		a.say("  %s beyond what is wanted of their tasks, marked extra", counted(out.Extra, "ranking"))
	}
	a.say("added %d tasks and %d rankings", out.Tasks, out.Rankings)
	return nil
}

// spool copies a stream to a file whose name says nothing of its format.
func spool(in io.Reader) (path string, err error) {
	f, err := os.CreateTemp("", "rlhf-*")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, in)
	return f.Name(), errors.Join(err, f.Close())
}

func (a *app) labelExportCommand() *cobra.Command {
	var e exchange.Exporting
	var out, project string
	var withManifest bool
	cmd := a.thereDB("export --db FILE [--project NAME] [--out FILE] [--format NAME]", "Write the rankings, as JSON lines that keep everything or in one of the field's formats, with a manifest", func(ctx context.Context, cmd *cobra.Command, db *storage.DB) (err error) {
		if withManifest && out == "-" && cmd.Flags().Changed("manifest") {
			return errors.New("manifest: the standard output has no file to stand beside: name one with --out")
		}
		if project != "" {
			if e.Project, err = db.ProjectByName(ctx, project); err != nil {
				return err
			}
		}
		files, err := a.create(out, nil)
		if err != nil {
			return err
		}
		defer files.discard()
		m, err := exchange.Export(ctx, db, files.parts[0].w, e)
		if err != nil {
			return err
		}
		if err := files.commit(); err != nil {
			return err
		}
		if out != "-" && withManifest {
			if err := writeLabelManifest(out, m); err != nil {
				return err
			}
		}
		if out != "-" {
			a.say("wrote %s as %s of %s to %s", counted(m.Written.Rankings, "ranking"), counted(m.Written.Rows, "row"), e.Format, out)
		}
		for _, line := range m.Written.Lines() {
			a.say("  %s", line)
		}
		return nil
	})
	f := cmd.Flags()
	f.StringVar(&out, "out", "-", "file, - for the standard output; .gz and .zst compress")
	f.StringVar(&e.Format, "format", "rankings", "one of "+writable())
	f.BoolVar(&e.SkipBad, "skip_bad", false, "count rankings that the format cannot hold, and go on")
	f.BoolVar(&e.Names, "names", false, "call labelers by name, not by pseudonym")
	f.BoolVar(&e.Decisions, "decisions", false, `write the reviewers' decisions too, as rankings with the flag "decision"`)
	f.BoolVar(&withManifest, "manifest", true, "write FILE.manifest.json beside the file: what it holds, counted in the database too, its losses, size and SHA-256")
	f.StringVar(&project, "project", "", "project of the database; all by default")
	return cmd
}

// writeLabelManifest writes the manifest of a file, which may be compressed.
func writeLabelManifest(path string, m exchange.Manifest) (err error) {
	if m.Bytes, m.SHA256, err = fileSum(path); err != nil {
		return err
	}
	m.File = filepath.Base(path)
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(path+".manifest.json", append(raw, '\n'))
}

func (a *app) labelCheckCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{Use: "check --db FILE", Short: "Read the whole database, which may be in use, and say what is wrong with it", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&path, "db", "", "labeling database")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := storage.CheckFile(cmd.Context(), path)
		if err != nil {
			return err
		}
		for _, line := range c.Wrong {
			fmt.Fprintln(a.out, line)
		}
		if n := len(c.Wrong); n > 0 {
			return fmt.Errorf("the database is damaged: found %s", counted(n, "fault"))
		}
		fmt.Fprintf(a.out, "%s and %s: nothing is wrong\n", counted(c.Tasks, "task"), counted(c.Rankings, "ranking"))
		return nil
	})
	return required(cmd, "db")
}

func (a *app) labelBackupCommand() *cobra.Command {
	var out string
	cmd := a.thereDB("backup --db FILE --out FILE", "Copy the database while it is in use, and check the copy", func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		c, err := db.Backup(ctx, out)
		if err != nil {
			return err
		}
		a.say("copied %s and %s to %s, and checked them", counted(c.Tasks, "task"), counted(c.Rankings, "ranking"), out)
		return nil
	})
	cmd.Flags().StringVar(&out, "out", "", "file to write, which must not be there")
	return required(cmd, "out")
}
