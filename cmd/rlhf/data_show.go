package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rlhf/internal/dataset"
	"rlhf/internal/rng"
)

// look is one run of data show.
type look struct {
	read     *reader
	kind     dataset.Kind
	summary  *dataset.Summary
	examples []example
	wanted   int
	random   *rand.Rand
}

// example is a record to be shown.
type example struct {
	Record int           `json:"record"` // counted from 1
	Parts  []examplePart `json:"parts"`
}

type examplePart struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

func (a *app) dataShowCommand() *cobra.Command {
	var asJSON bool
	l := look{random: rng.New(1, "data/show", 0)}
	cmd := &cobra.Command{Use: "show FILE…", Short: "Count records, measure their lengths and show some of them", Args: cobra.MinimumNArgs(1)}
	l.read = a.readerFlags(cmd)
	formatFlag(cmd, &l.read.Options)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	cmd.Flags().IntVar(&l.wanted, "n", 3, "how many records to show, drawn at random but the same ones each time")
	cmd.PreRunE = func(*cobra.Command, []string) error { return l.read.check() }
	cmd.RunE = work(func(cmd *cobra.Command, args []string) error {
		var err error
		if l.kind, err = l.shownKind(args); err != nil {
			return err
		}
		l.summary = dataset.NewSummary(l.read.tokens)
		if err := l.all(cmd.Context(), a, args); err != nil {
			return err
		}
		slices.SortFunc(l.examples, func(a, b example) int { return a.Record - b.Record })
		if asJSON {
			return json.NewEncoder(a.out).Encode(l.object())
		}
		l.print(a)
		return nil
	})
	return cmd
}

// shownKind returns what to show: the first that the format holds, if nothing else is asked for.
func (l *look) shownKind(files []string) (dataset.Kind, error) {
	if l.read.as != "" {
		return l.read.kind(files)
	}
	format, err := dataset.FormatOf(l.read.Options, files...)
	if err != nil {
		return "", err
	}
	return format.Kinds()[0], nil
}

// all reads the records.
func (l *look) all(ctx context.Context, a *app, files []string) error {
	switch o := l.read.Options; l.kind {
	case dataset.KindText:
		first := true
		for d, err := range told(ctx, a, dataset.Texts(o, files...)) {
			if err != nil {
				return err
			}
			l.summary.Document(d)
			if first {
				l.consider(func() []examplePart { return []examplePart{{"document", d.Text}} })
			}
			first = d.Last
		}
	case dataset.KindDemonstrations:
		for d, err := range told(ctx, a, dataset.Demonstrations(o, files...)) {
			if err != nil {
				return err
			}
			l.summary.Demonstration(d)
			l.consider(func() []examplePart { return demonstrationParts(d) })
		}
	case dataset.KindRankings:
		for r, err := range told(ctx, a, dataset.Rankings(o, files...)) {
			if err != nil {
				return err
			}
			l.summary.Ranking(r)
			l.consider(func() []examplePart { return rankingParts(r) })
		}
	}
	return nil
}

// consider keeps the newest record for showing so often that in the end each has had the same chance.
func (l *look) consider(parts func() []examplePart) {
	n := l.summary.Records
	switch at := l.random.IntN(n); {
	case len(l.examples) < l.wanted:
		l.examples = append(l.examples, example{n, parts()})
	case at < l.wanted:
		l.examples[at] = example{n, parts()}
	}
}

func demonstrationParts(d dataset.Demonstration) (out []examplePart) {
	if d.Messages == nil {
		return []examplePart{{"prompt", d.Prompt}, {"completion", d.Completion}}
	}
	for i, m := range d.Messages {
		name := m.Role
		if i < d.Given {
			name += " (given)"
		}
		out = append(out, examplePart{name, m.Content})
	}
	return out
}

func rankingParts(r dataset.Ranking) []examplePart {
	out := []examplePart{{"prompt", r.Prompt}}
	order := make([]int, len(r.Completions))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return r.Ranks[i] - r.Ranks[j] })
	for _, i := range order {
		c := r.Completions[i]
		name := fmt.Sprintf("rank %d", r.Ranks[i])
		if c.Model != "" {
			name += " " + c.Model
		}
		out = append(out, examplePart{name, c.Text})
	}
	return out
}

// unit is what lengths are measured in.
func (l *look) unit() string {
	if l.read.tokens != nil {
		return "tokens"
	}
	return "characters"
}

// partNames returns the parts that have lengths, the whole record last and only where there are others.
func (l *look) partNames() []string {
	names := slices.Sorted(maps.Keys(l.summary.Parts))
	order := []string{"system", "prompt", "user", "assistant", "completion", "record"}
	slices.SortFunc(names, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	return names
}

// shownQuantiles are the columns of the table of lengths between the least and the most.
var shownQuantiles = []float64{0, .05, .25, .5, .75, .95, 1}

// object returns everything for a program.
func (l *look) object() any {
	type lengths struct {
		Count     int              `json:"count"`
		Sum       int              `json:"sum"`
		Mean      float64          `json:"mean"`
		Quantiles map[string]int   `json:"quantiles"`
		Histogram []dataset.Bucket `json:"histogram"`
	}
	parts := map[string]lengths{}
	for name, p := range l.summary.Parts {
		q := map[string]int{}
		for _, at := range shownQuantiles {
			q[fmt.Sprint(at)] = p.Quantile(at)
		}
		parts[name] = lengths{p.Count(), p.Sum(), p.Mean(), q, p.Buckets()}
	}
	s, r := l.summary, l.read.Report
	return map[string]any{
		"kind": l.kind, "formats": r.Formats, "records": s.Records, "skipped": r.Skipped, "reasons": r.Reasons, "ignored": r.Ignored, "notes": r.Notes,
		"openings": s.Openings, "repeated": s.Repeated, "owners": len(s.Owners), "conversations": s.Talks, "messages": s.Messages,
		"completions": s.Completions, "ties": s.Ties, "unit": l.unit(), "lengths": parts, "examples": l.examples,
	}
}

// print writes everything for people.
func (l *look) print(a *app) {
	for _, line := range readLines(l.read.Report, l.kind) {
		fmt.Fprintln(a.out, line)
	}
	if l.summary.Records == 0 {
		return
	}
	for _, line := range l.facts() {
		fmt.Fprintln(a.out, line)
	}
	names := l.partNames()
	fmt.Fprintf(a.out, "\n%-12s%8s%8s%8s%8s%8s%8s%8s%10s\n", l.unit(), "least", "5%", "25%", "median", "75%", "95%", "most", "mean")
	for _, name := range names {
		p := l.summary.Parts[name]
		if name == "record" && len(names) == 1 {
			name = "document"
		}
		fmt.Fprintf(a.out, "%-12s", name)
		for _, q := range shownQuantiles {
			fmt.Fprintf(a.out, "%8s", compact(p.Quantile(q)))
		}
		fmt.Fprintf(a.out, "%10.1f\n", p.Mean())
	}
	fmt.Fprintf(a.out, "\nrecords by %s\n", l.unit())
	for _, line := range histogram(l.summary.Parts["record"].Buckets()) {
		fmt.Fprintln(a.out, line)
	}
	for _, e := range l.examples {
		fmt.Fprintf(a.out, "\n── record %d %s\n", e.Record, strings.Repeat("─", 66-len(fmt.Sprint(e.Record))))
		for _, p := range e.Parts {
			for i, line := range excerpt(p.Text, 64, 6) {
				fmt.Fprintln(a.out, strings.TrimRight(fmt.Sprintf("%-12.12s  %s", []string{p.Name, ""}[min(i, 1)], line), " "))
			}
		}
	}
}

// facts returns what is to say besides lengths, a line each.
func (l *look) facts() (out []string) {
	s := l.summary
	if s.Talks > 0 {
		out = append(out, fmt.Sprintf("%s with %.1f messages each", counted(s.Talks, "conversation"), float64(s.Messages)/float64(s.Talks)))
	}
	if l.kind == dataset.KindRankings {
		var sizes []string
		for _, k := range slices.Sorted(maps.Keys(s.Completions)) {
			sizes = append(sizes, fmt.Sprintf("%d in %s", k, thousands(s.Completions[k])))
		}
		out = append(out, wrap("completions to rank: "+strings.Join(sizes, ", "), 80)...)
		out = append(out, fmt.Sprintf("%s with ties", counted(s.Ties, "ranking")))
	}
	if n := len(s.Owners); n > 0 {
		what := "group"
		if l.kind == dataset.KindRankings {
			what = "labeler"
		}
		out = append(out, fmt.Sprintf("%s, at most %s each", counted(n, what), counted(largest(s.Owners), "record")))
	}
	if l.kind != dataset.KindText {
		out = append(out, counted(s.Openings, "different prompt"))
	}
	return append(out, fmt.Sprintf("%s seen before", counted(s.Repeated, "record")))
}

// compact returns a number in at most 6 characters.
func compact(n int) string {
	switch {
	case n < 100_000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprintf("%.3gM", float64(n)/1e6)
}

func largest(counts map[string]int) int { return slices.Max(slices.Collect(maps.Values(counts))) }

// histogram draws a bar for every bucket.
func histogram(buckets []dataset.Bucket) (out []string) {
	most := 0
	for _, b := range buckets {
		most = max(most, b.Count)
	}
	for _, b := range buckets {
		eighths := (b.Count*8*40 + most/2) / most
		if b.Count > 0 {
			eighths = max(eighths, 1)
		}
		bar := strings.Repeat("█", eighths/8)
		if eighths%8 > 0 {
			bar += string([]rune(" ▏▎▍▌▋▊▉")[eighths%8])
		}
		span := fmt.Sprint(b.From)
		if b.To > b.From {
			span = fmt.Sprintf("%d–%d", b.From, b.To)
		}
		out = append(out, strings.TrimRight(fmt.Sprintf("%17s %10s %s", span, thousands(b.Count), bar), " "))
	}
	return out
}

// wrap breaks a text into lines of at most width characters, between words where it can.
func wrap(text string, width int) (out []string) {
	for line := range strings.SplitSeq(text, "\n") {
		runes := []rune(strings.ReplaceAll(strings.TrimRight(line, " \r\t"), "\t", "    "))
		for len(runes) > width {
			cut := width
			for cut > 0 && runes[cut] != ' ' {
				cut--
			}
			if cut == 0 {
				cut = width
			}
			out = append(out, string(runes[:cut]))
			runes = []rune(strings.TrimLeft(string(runes[cut:]), " "))
		}
		out = append(out, string(runes))
	}
	return out
}

// excerpt wraps the beginning of a text, without white space around it, to at most so many lines.
func excerpt(text string, width, lines int) []string {
	text = strings.TrimSpace(text)
	if runes := []rune(text[:min(len(text), 4*width*lines*4)]); len(runes) > width*lines*2 {
		text = string(runes[:width*lines*2])
	}
	out := wrap(text, width)
	if len(out) > lines {
		out = append(out[:lines-1], strings.TrimSpace(out[lines-1]+" …"))
	}
	return out
}
