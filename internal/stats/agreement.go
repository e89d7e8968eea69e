package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Ranking is one labeler's ranking of the completions of a task. Ranks[i] is the
// rank of completion i in the task's own fixed order: smaller is better, equal is
// a tie; the numbers themselves carry no meaning beyond their order.
type Ranking struct {
	Labeler string
	Ranks   []int // (K)
}

// Item holds the rankings of one task. Items with equal Prompt are dependent and
// are drawn together by the bootstrap. Rankings of differing length, which no
// task has, are compared with none.
type Item struct {
	Prompt   int64
	Rankings []Ranking
}

// Agreement says how far labelers agree, over all pairs of labelers of an item
// and all pairs of its completions, as InstructGPT reports it (arXiv:2203.02155
// section 3.4: 72.6 % among its training labelers).
type Agreement struct {
	Strict      Estimate // share of pairs with the same verdict: a over b, b over a, or tie
	TiesHalf    Estimate // as Strict, but a tie against a preference counts one half
	Pairs       int      // completion pairs compared, over all pairs of labelers
	Items       int      // items that two labelers or more ranked
	KendallTauB float64  // mean over items and pairs of labelers where it is defined; NaN if nowhere
	Labelers    []LabelerPair
}

// LabelerPair is the agreement of two labelers, A before B in byte order.
type LabelerPair struct {
	A, B             string
	Strict, TiesHalf float64
	Pairs            int
}

// tally counts verdicts that were compared.
type tally struct {
	strict, half float64
	pairs        int
}

func (t *tally) add(o tally) {
	t.strict += o.strict
	t.half += o.half
	t.pairs += o.pairs
}

// MeasureAgreement returns the agreement over the items with bootstrap intervals
// over prompts. Equal items in equal order with an equal stream give equal bits.
// A labeler's second ranking of an item is compared with others' rankings, not
// with the labeler's own.
func MeasureAgreement(items []Item, rounds int, r *rand.Rand) Agreement {
	var all tally
	var tauSum float64
	a, taus := Agreement{}, 0
	prompts := map[int64]int{}
	var clusters []tally
	labelers := map[[2]string]*tally{}
	for _, item := range items {
		compared := false
		for i, x := range item.Rankings {
			for _, y := range item.Rankings[:i] {
				if x.Labeler == y.Labeler || len(x.Ranks) != len(y.Ranks) {
					continue
				}
				t := compareRanks(x.Ranks, y.Ranks)
				compared = true
				all.add(t)
				c, ok := prompts[item.Prompt]
				if !ok {
					c = len(clusters)
					prompts[item.Prompt] = c
					clusters = append(clusters, tally{})
				}
				clusters[c].add(t)
				key := [2]string{min(x.Labeler, y.Labeler), max(x.Labeler, y.Labeler)}
				if labelers[key] == nil {
					labelers[key] = &tally{}
				}
				labelers[key].add(t)
				if tau := KendallTauB(floats(x.Ranks), floats(y.Ranks)); !math.IsNaN(tau) {
					tauSum += tau
					taus++
				}
			}
		}
		if compared {
			a.Items++
		}
	}
	a.Pairs = all.pairs
	a.KendallTauB = tauSum / float64(taus)
	strict, half := make([]Ratio, len(clusters)), make([]Ratio, len(clusters))
	for i, c := range clusters {
		strict[i] = Ratio{c.strict, float64(c.pairs)}
		half[i] = Ratio{c.half, float64(c.pairs)}
	}
	a.Strict = BootstrapRatio(strict, rounds, r)
	a.TiesHalf = BootstrapRatio(half, rounds, r)
	a.Labelers = labelerPairs(labelers)
	return a
}

func labelerPairs(m map[[2]string]*tally) []LabelerPair {
	var out []LabelerPair
	for k, t := range m {
		n := float64(t.pairs)
		out = append(out, LabelerPair{A: k[0], B: k[1], Strict: t.strict / n, TiesHalf: t.half / n, Pairs: t.pairs})
	}
	slices.SortFunc(out, func(x, y LabelerPair) int {
		if c := strings.Compare(x.A, y.A); c != 0 {
			return c
		}
		return strings.Compare(x.B, y.B)
	})
	return out
}

// compareRanks compares the verdicts of two rankings on every pair of completions.
func compareRanks(x, y []int) tally {
	var t tally
	for i := range x {
		for j := range i {
			sx, sy := sign(x[i]-x[j]), sign(y[i]-y[j])
			t.pairs++
			switch {
			case sx == sy:
				t.strict++
				t.half++
			case sx == 0 || sy == 0:
				t.half += 0.5
			}
		}
	}
	return t
}

// KendallTauB returns Kendall's tau-b of two rank vectors over the same items in
// the same order: (C-D)/sqrt((C+D+Tx)(C+D+Ty)), where Tx counts pairs tied only
// in x and Ty pairs tied only in y. NaN if one side ties everything, or the
// lengths differ.
func KendallTauB(x, y []float64) float64 {
	if len(x) != len(y) {
		return math.NaN()
	}
	var concordant, discordant, tiesX, tiesY float64
	for i := range x {
		for j := range i {
			switch sx, sy := sign(x[i]-x[j]), sign(y[i]-y[j]); {
			case sx == 0 && sy == 0:
			case sx == 0:
				tiesX++
			case sy == 0:
				tiesY++
			case sx == sy:
				concordant++
			default:
				discordant++
			}
		}
	}
	untied := concordant + discordant
	return (concordant - discordant) / math.Sqrt((untied+tiesX)*(untied+tiesY))
}

// sign returns -1, 0 or 1.
func sign[T int | float64](x T) int {
	switch {
	case x < 0:
		return -1
	case x > 0:
		return 1
	}
	return 0
}

func floats(x []int) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
