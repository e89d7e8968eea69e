package stats

import (
	"maps"
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
// section 3.4: 72.6 % among its training labelers). Intervals are by the bootstrap
// over prompts.
type Agreement struct {
	Strict      Estimate // share of pairs with the same verdict: a over b, b over a, or tie
	TiesHalf    Estimate // as Strict, but a tie against a preference counts one half
	KendallTauB Estimate // mean over items and pairs of rankings where it is defined; NaN if nowhere
	Pairs       int      // completion pairs compared, over all pairs of rankings
	Comparisons int      // pairs of rankings where tau-b is defined
	Items       int      // items with rankings that were compared
	Labelers    []LabelerPair
	Against     []LabelerAgreement
}

// LabelerPair is the agreement of two labelers, A before B in byte order.
type LabelerPair struct {
	A, B             string
	Strict, TiesHalf float64
	KendallTauB      float64 // mean over their pairs of rankings; NaN if nowhere defined
	Pairs            int
}

// LabelerAgreement is the agreement of one labeler with all the others.
type LabelerAgreement struct {
	Labeler                       string
	Strict, TiesHalf, KendallTauB Estimate
	Pairs, Comparisons, Items     int
}

// tally counts verdicts that were compared.
type tally struct {
	strict, half float64
	pairs        int
	tau          float64 // sum of Kendall's tau-b over the comparisons where it is defined
	taus         int
}

func (t *tally) add(o tally) {
	t.strict += o.strict
	t.half += o.half
	t.pairs += o.pairs
	t.tau += o.tau
	t.taus += o.taus
}

// tallies are tallies by prompt, in the order of the prompts' first comparison.
type tallies struct {
	prompts  map[int64]int
	clusters []tally
	items    int
	last     int // number of the item added last, from 1
}

func (c *tallies) add(item int, prompt int64, t tally) {
	if c.prompts == nil {
		c.prompts = map[int64]int{}
	}
	at, ok := c.prompts[prompt]
	if !ok {
		at = len(c.clusters)
		c.prompts[prompt] = at
		c.clusters = append(c.clusters, tally{})
	}
	c.clusters[at].add(t)
	if c.last != item+1 {
		c.last = item + 1
		c.items++
	}
}

func (c *tallies) estimate(rounds int, r *rand.Rand) LabelerAgreement {
	a := LabelerAgreement{Items: c.items}
	n := len(c.clusters)
	strict, half, tau := make([]Ratio, n), make([]Ratio, n), make([]Ratio, n)
	for i, t := range c.clusters {
		a.Pairs += t.pairs
		a.Comparisons += t.taus
		strict[i] = Ratio{t.strict, float64(t.pairs)}
		half[i] = Ratio{t.half, float64(t.pairs)}
		tau[i] = Ratio{t.tau, float64(t.taus)}
	}
	a.Strict = BootstrapRatio(strict, rounds, r)
	a.TiesHalf = BootstrapRatio(half, rounds, r)
	a.KendallTauB = BootstrapRatio(tau, rounds, r)
	return a
}

// MeasureAgreement returns the agreement over the items with bootstrap intervals
// over prompts. Equal items in equal order with an equal stream give equal bits.
// A labeler's second ranking of an item is compared with others' rankings, not
// with the labeler's own.
func MeasureAgreement(items []Item, rounds int, r *rand.Rand) Agreement {
	var all tallies
	labelers := map[[2]string]*tally{}
	against := map[string]*tallies{}
	for n, item := range items {
		for i, x := range item.Rankings {
			for _, y := range item.Rankings[:i] {
				if x.Labeler == y.Labeler || len(x.Ranks) != len(y.Ranks) {
					continue
				}
				t := compareRanks(x.Ranks, y.Ranks)
				all.add(n, item.Prompt, t)
				key := [2]string{min(x.Labeler, y.Labeler), max(x.Labeler, y.Labeler)}
				if labelers[key] == nil {
					labelers[key] = &tally{}
				}
				labelers[key].add(t)
				for _, name := range key {
					if against[name] == nil {
						against[name] = &tallies{}
					}
					against[name].add(n, item.Prompt, t)
				}
			}
		}
	}
	e := all.estimate(rounds, r)
	a := Agreement{Strict: e.Strict, TiesHalf: e.TiesHalf, KendallTauB: e.KendallTauB, Pairs: e.Pairs, Comparisons: e.Comparisons, Items: e.Items,
		Labelers: labelerPairs(labelers)}
	for _, name := range slices.Sorted(maps.Keys(against)) {
		e := against[name].estimate(rounds, r)
		e.Labeler = name
		a.Against = append(a.Against, e)
	}
	return a
}

// MeasureRepeats returns how far labelers agree with themselves, over the items
// that one labeler ranked more than once: all of them together, with Labeler "",
// and each labeler. A share below the agreement among labelers says that their
// disagreement is noise rather than taste.
func MeasureRepeats(items []Item, rounds int, r *rand.Rand) (all LabelerAgreement, each []LabelerAgreement) {
	var sum tallies
	labelers := map[string]*tallies{}
	for n, item := range items {
		for i, x := range item.Rankings {
			for _, y := range item.Rankings[:i] {
				if x.Labeler != y.Labeler || len(x.Ranks) != len(y.Ranks) {
					continue
				}
				t := compareRanks(x.Ranks, y.Ranks)
				sum.add(n, item.Prompt, t)
				if labelers[x.Labeler] == nil {
					labelers[x.Labeler] = &tallies{}
				}
				labelers[x.Labeler].add(n, item.Prompt, t)
			}
		}
	}
	all = sum.estimate(rounds, r)
	for _, name := range slices.Sorted(maps.Keys(labelers)) {
		e := labelers[name].estimate(rounds, r)
		e.Labeler = name
		each = append(each, e)
	}
	return all, each
}

func labelerPairs(m map[[2]string]*tally) []LabelerPair {
	var out []LabelerPair
	for k, t := range m {
		n := float64(t.pairs)
		out = append(out, LabelerPair{A: k[0], B: k[1], Strict: t.strict / n, TiesHalf: t.half / n, KendallTauB: t.tau / float64(t.taus), Pairs: t.pairs})
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
	if tau := KendallTauB(floats(x), floats(y)); !math.IsNaN(tau) {
		t.tau, t.taus = tau, 1
	}
	return t
}
