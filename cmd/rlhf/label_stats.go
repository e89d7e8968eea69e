package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rlhf/labeling/figures"
	"rlhf/storage"
)

// projectStats is a project's figures as label stats prints them.
type projectStats struct {
	ID       int64                   `json:"id"`
	Name     string                  `json:"name"`
	Overview storage.ProjectStanding `json:"overview"`
	Figures  figures.Figures         `json:"figures"`
}

func (a *app) labelStatsCommand() *cobra.Command {
	var asJSON bool
	var project string
	cmd := a.withDB("stats --db FILE [--project NAME]", "Progress, agreement, biases, models and labelers of each project, with intervals", nil, func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		all, err := db.ProjectStanding(ctx, 0)
		if err != nil {
			return err
		}
		list, err := readStats(ctx, db, project)
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(a.out).Encode(map[string]any{"overview": all, "projects": list})
		}
		fmt.Fprintf(a.out, "%d tasks, %d of %d rankings, %d extra\n", all.Tasks, all.Rankings, all.Needed, all.Extra)
		for _, p := range list {
			printStats(a.out, p)
		}
		return nil
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: all that the API's figures hold")
	cmd.Flags().StringVar(&project, "project", "", "only the project of this name")
	return cmd
}

// readStats returns the named project, or for "" all that hold rankings or skips.
func readStats(ctx context.Context, db *storage.DB, name string) ([]projectStats, error) {
	projects, err := db.Projects(ctx)
	if err != nil {
		return nil, err
	}
	out := []projectStats{}
	for _, p := range projects {
		if name != "" && p.Name != name {
			continue
		}
		one := projectStats{ID: p.ID, Name: p.Name}
		if one.Overview, err = db.ProjectStanding(ctx, p.ID); err != nil {
			return nil, err
		}
		c := figures.New()
		if err := db.ReadEvidence(ctx, p.ID, c.Evidence()); err != nil {
			return nil, err
		}
		if one.Figures, err = c.Figures(); err != nil {
			return nil, fmt.Errorf("project %s: %w", p.Name, err)
		}
		if name != "" || one.Figures.Rankings > 0 || one.Overview.Skips > 0 {
			out = append(out, one)
		}
	}
	if name != "" && len(out) == 0 {
		return nil, fmt.Errorf("project %q: %w", name, storage.ErrNotFound)
	}
	return out, nil
}

// printStats writes a project's figures for people.
func printStats(out io.Writer, p projectStats) {
	f, o := p.Figures, p.Overview
	fmt.Fprintf(out, "\nproject %s: %d of %d tasks done, %d of %d rankings, %d extra, %d skips, %d in hand\n", p.Name, o.DoneTasks, o.Tasks, o.Rankings, o.Needed, o.Extra, o.Skips, o.LiveLeases)
	fmt.Fprintf(out, "  %d rankings of %d prompts, %d made elsewhere, %d choices of the best alone\n", f.Rankings, f.Prompts, f.Imported, f.Choices)
	printAgreement(out, f)
	printLabelers(out, f)
	printBiases(out, f)
	printModels(out, f)
	printWork(out, f)
}

func printAgreement(out io.Writer, f figures.Figures) {
	if f.Agreement.Pairs == 0 {
		fmt.Fprintln(out, "  no task has two rankings: agreement is not defined")
		return
	}
	fmt.Fprintf(out, "  agreement over %d pairs of %d tasks: strict %s, ties as half %s\n", f.Agreement.Pairs, f.Agreement.Items, percents(f.Agreement.Strict), percents(f.Agreement.TiesHalf))
	for _, p := range f.PublishedResults {
		fmt.Fprintf(out, "    %s: %.1f ± %.1f %%\n", p.Who, 100*p.Value, 100*p.Error)
	}
	t := columns(out)
	fmt.Fprintf(t, "  Kendall's tau-b\t%s\n", number(f.Tau))
	fmt.Fprintf(t, "  Krippendorff's alpha, nominal\t%s\n  ordinal\t%s\n  interval\t%s\n", number(f.Alpha.Nominal), number(f.Alpha.Ordinal), number(f.Alpha.Interval))
	fmt.Fprintf(t, "  Cohen's kappa, mean over pairs of labelers\t%s\n  linear weights\t%s\n", number(f.CohenMean), number(f.CohenLinear))
	fmt.Fprintf(t, "  Fleiss' kappa, %d raters\t%s\n", f.FleissRaters, number(f.Fleiss))
	t.Flush()
	if f.Repeats != nil {
		fmt.Fprintf(out, "  with themselves on repeats, ties as half %s\n", percents(f.Repeats))
	}
	if c := f.Calibration; c.Strict != nil {
		fmt.Fprintf(out, "  with the researcher on %d calibration tasks: strict %s, ties as half %s, tau-b %s\n", c.Tasks, percents(c.Strict), percents(c.TiesHalf), number(c.Tau))
	}
	if len(f.PairsOfLabelers) == 0 {
		return
	}
	t = columns(out)
	fmt.Fprintln(t, "  labelers\t\tstrict\tties half\ttau-b\tkappa\tpairs")
	for i, p := range f.PairsOfLabelers {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%d\n", p.A, p.B, plain(p.Strict), plain(p.TiesHalf), plain(p.Tau), plain(f.Cohen[i].Value), p.Pairs)
	}
	t.Flush()
}

func printLabelers(out io.Writer, f figures.Figures) {
	t := columns(out)
	fmt.Fprintln(t, "  labeler\trankings\tskips\tflags\tmedian\twith the others\tthemselves\tgold\tfirst shown wins\tlonger wins\ttied pairs")
	for _, l := range f.Labelers {
		fmt.Fprintf(t, "  %s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d of %d\n", l.Name, l.Rankings, l.Skips, l.Flags, seconds(l.MedianActiveMS), percents(l.Agreement), percents(l.Repeats), percents(l.Gold),
			percents(l.FirstShare), percents(l.LongerShare), l.Ties, l.Pairs)
	}
	t.Flush()
	for _, l := range f.Labelers {
		for _, x := range l.Anomalies {
			fmt.Fprintf(out, "  unusual: %s %s: %.3f of %d, limit %.3f\n", l.Name, x.Kind, x.Value, x.N, x.Limit)
		}
	}
}

func printBiases(out io.Writer, f figures.Figures) {
	fmt.Fprintf(out, "  the response shown first wins %s\n", percents(f.Position.FirstWins))
	for _, p := range f.Position.ByPlace {
		fmt.Fprintf(out, "    shown in place %d: %s\n", p.Place, percents(p.Wins))
	}
	fmt.Fprintf(out, "  the longer response wins %s, tau-b of length and place %s\n", percents(f.Length.LongerWins), number(f.Length.Correlation))
}

// notes say in words why models have no strengths, or which ones.
var notes = map[string]string{
	figures.NoteNone:  "no task compares two named models",
	figures.NoteMany:  "too many models to compare",
	figures.NotePrior: "some models never lose to others, so that maximum likelihood has no answer: a prior draws the strengths together",
}

func printModels(out io.Writer, f figures.Figures) {
	if f.ModelsNote != "" {
		fmt.Fprintf(out, "  models: %s\n", notes[f.ModelsNote])
	}
	if len(f.Models) == 0 {
		return
	}
	t := columns(out)
	fmt.Fprintln(t, "  model\ttheta\tElo\twins\tlosses\tties")
	for _, m := range f.Models {
		fmt.Fprintf(t, "  %s\t%s\t%.0f\t%d\t%d\t%d\n", m.Model, number(m.Theta), m.Elo, m.Wins, m.Losses, m.Ties)
	}
	t.Flush()
	var groups []string
	for _, g := range f.Consensus.Order {
		groups = append(groups, strings.Join(g, " = "))
	}
	fmt.Fprintf(out, "  consensus by ranked pairs: %s\n", strings.Join(groups, " > "))
}

// periodsShown is how many days or hours are printed; JSON has them all.
const periodsShown = 31

func printWork(out io.Writer, f figures.Figures) {
	if f.Time.N > 0 {
		fmt.Fprintf(out, "  active time of %d rankings: median %s, middle half %s to %s, %s in all; wall time median %s\n", f.Time.N, seconds(f.Time.ActiveMS.Median),
			seconds(f.Time.ActiveMS.P25), seconds(f.Time.ActiveMS.P75), (time.Duration(f.Time.TotalMS) * time.Millisecond).Round(time.Second), seconds(f.Time.WallMS.Median))
	}
	for _, k := range f.Time.ByK {
		fmt.Fprintf(out, "    of %d responses: median %s over %d\n", k.K, seconds(&k.MedianActiveMS), k.N)
	}
	busy := slices.DeleteFunc(slices.Clone(f.Throughput), func(p figures.Period) bool { return p.Rankings+p.Skips == 0 })
	if n := len(busy); n > periodsShown {
		fmt.Fprintf(out, "  the latest %d of %d days or hours with work:\n", periodsShown, n)
		busy = busy[n-periodsShown:]
	}
	for _, p := range busy {
		fmt.Fprintf(out, "  %s%s: %d rankings, %d skips\n", p.Day, p.Hour, p.Rankings, p.Skips)
	}
	for _, q := range f.Answers {
		if q.Mean != nil {
			fmt.Fprintf(out, "  %s: mean %s, alpha %s\n", q.Key, number(q.Mean), number(q.Alpha))
		} else {
			fmt.Fprintf(out, "  %s: yes %s, alpha %s\n", q.Key, percents(q.Share), number(q.Alpha))
		}
	}
}

func columns(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

// percents prints a share with its interval, "-" where it is not defined.
func percents(e *figures.Estimate) string {
	switch {
	case e == nil:
		return "-"
	case e.Low == nil:
		return fmt.Sprintf("%.1f %%", 100*e.Value)
	}
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*e.Value, 100**e.Low, 100**e.High)
}

// number prints an estimate that is no share.
func number(e *figures.Estimate) string {
	switch {
	case e == nil:
		return "-"
	case e.Low == nil:
		return fmt.Sprintf("%.3f", e.Value)
	}
	return fmt.Sprintf("%.3f (%.3f to %.3f)", e.Value, *e.Low, *e.High)
}

func plain(x *float64) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", *x)
}

func seconds(ms *int64) string {
	if ms == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f s", float64(*ms)/1000)
}
