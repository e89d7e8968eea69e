package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"rlhf/bench"
)

// table is all that a run measured.
type table struct {
	o        options
	peak     float64 // GF/s
	versions map[string]string
	date     time.Time
	rows     []row
}

// write prints the tables as Markdown.
func (t table) write(w io.Writer) error {
	var s strings.Builder
	others, awake := 0.0, 0.0
	for _, r := range t.rows {
		others, awake = max(others, r.others), max(awake, r.awake)
	}
	fmt.Fprintf(&s, "%s.\n", bench.Machine(t.peak, t.o.threads))
	fmt.Fprintf(&s, "PyTorch %s, transformers %s, tokenizers %s, TRL %s, Python %s; %s.\n", t.versions["torch"], t.versions["transformers"],
		t.versions["tokenizers"], t.versions["trl"], t.versions["python"], t.date.Format("2006-01-02"))
	fmt.Fprintf(&s, "Medians of %d alternating rounds (of at most %d where one takes minutes) of at least %g s, fp32, %d threads; beside a ratio its range.\n",
		t.o.rounds, slowRounds, t.o.seconds, t.o.threads)
	fmt.Fprintf(&s, "While one side ran, other processes used at most %.2f processors and a waiting side %.2f; † marks work with over %.1f.\n\n",
		others, awake, disturbed)
	s.WriteString("| work | rlhf | share of peak | peer | ratio | goal |\n|---|---|---|---|---|---|\n")
	for _, r := range t.rows {
		s.WriteString(r.rates(t.peak) + "\n")
	}
	s.WriteString("\nPeak memory of each side's process, MiB:\n\n| work | rlhf | peer | ratio |\n|---|---|---|---|\n")
	for _, r := range t.rows {
		ours, peer := memory(r.ours), memory(r.peer)
		fmt.Fprintf(&s, "| %s | %.0f | %s: %.0f | %.2f |\n", r.c.Title, ours, name(r.variant), peer, peer/ours)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// disturbed is how many processors others may use before a row says so.
const disturbed = .1

// rates returns the row of the table of rates.
func (r row) rates(peak float64) string {
	var ratios, share []float64
	for i := range r.ours {
		ratios = append(ratios, r.ours[i].Rate/r.peer[i].Rate)
		share = append(share, 100*r.ours[i].GFlops/peak)
	}
	mark, goal, ofPeak := "", "–", "–"
	if c := r.c.Kind; c != bench.Encode && c != bench.Learn {
		ofPeak = fmt.Sprintf("%.0f %%", median(share))
	}
	if r.c.Goal > 0 && r.variant == r.c.Variants[0] {
		goal = fmt.Sprintf("%.1f", r.c.Goal)
	}
	if r.others+r.awake > disturbed {
		mark = " †"
	}
	return fmt.Sprintf("| %s | %s | %s | %s: %s | %.2f (%.2f–%.2f)%s | %s |", r.c.Title, r.amount(r.ours), ofPeak,
		name(r.variant), r.amount(r.peer), median(ratios), slices.Min(ratios), slices.Max(ratios), mark, goal)
}

// amount returns the median rate with its unit; of trainings of a tokenizer, which are few, their seconds.
func (r row) amount(replies []bench.Reply) string {
	rate := median(rates(replies))
	if r.c.Kind == bench.Learn {
		return number(float64(r.c.Bytes)/1e6/rate) + " s"
	}
	return number(rate) + " " + r.c.Kind.Unit()
}

func rates(replies []bench.Reply) (out []float64) {
	for _, r := range replies {
		out = append(out, r.Rate)
	}
	return out
}

// memory returns the peak of a worker's life.
func memory(replies []bench.Reply) float64 { return replies[len(replies)-1].PeakRSS }

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	n := len(x)
	return (x[(n-1)/2] + x[n/2]) / 2
}

// number returns x with three or more digits and commas between thousands.
func number(x float64) string {
	if x < 100 {
		return fmt.Sprintf("%.*f", max(0, 2-int(math.Floor(math.Log10(x)))), x)
	}
	s := fmt.Sprintf("%.0f", x)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
