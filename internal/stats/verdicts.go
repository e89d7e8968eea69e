package stats

import (
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Reliability holds the chance-corrected measures of agreement over rankings, with intervals by the bootstrap over prompts.
// A labeler's second ranking of an item is left out, since each measure knows one rating per rater.
type Reliability struct {
	Nominal, Ordinal, Interval Estimate // Krippendorff's alpha of the completions' places; see Places
	Cohen, CohenLinear         Estimate // Cohen's kappa of the verdicts on pairs, as the mean over pairs of labelers (Light 1971)
	Fleiss                     Estimate // Fleiss' kappa of the verdicts on pairs, over the items that Raters labelers ranked
	Units                      int      // completions in alpha
	Raters                     int      // the number of rankings that most verdicts on pairs come from, at least 2; 0 if no item has two
	Subjects                   int      // completion pairs in Fleiss
	Pairs                      []LabelerKappa
}

// LabelerKappa is Cohen's kappa of two labelers, A before B in byte order; NaN where chance agreement is certain.
type LabelerKappa struct {
	A, B          string
	Cohen, Linear float64
	Verdicts      int // completion pairs both judged
}

// Places returns the places of ranked items on a common scale: tied items share the mean of the places they take, so that a tie
// for first is less than a first place and rankings with and without ties have the same mean.
func Places(ranks []int) []float64 {
	out := make([]float64, len(ranks))
	for i, x := range ranks {
		before, equal := 0, 0
		for _, y := range ranks {
			switch {
			case y < x:
				before++
			case y == x:
				equal++
			}
		}
		out[i] = float64(before) + float64(equal+1)/2
	}
	return out
}

// MeasureReliability returns the measures over the items. The units of alpha are completions and its values their places. The
// kappas are over verdicts on pairs of completions: first preferred, tie, second preferred. A pair has no natural first
// completion, so each counts in both orders, half each, which makes the margins symmetric and the result independent of how
// completions are numbered.
func MeasureReliability(items []Item, rounds int, r *rand.Rand) Reliability {
	items = firstRankings(items)
	var m Reliability
	for _, item := range items {
		m.Units += len(item.Rankings[0].Ranks)
	}
	alphas := measureAlpha(placeUnits(items), rounds, r, Nominal, Ordinal, Interval)
	m.Nominal, m.Ordinal, m.Interval = alphas[0], alphas[1], alphas[2]
	m.cohen(items, rounds, r)
	m.fleiss(items, rounds, r)
	return m
}

// firstRankings keeps a labeler's first ranking of each item, and of rankings of differing length those as long as the first.
func firstRankings(items []Item) []Item {
	out := make([]Item, 0, len(items))
	for _, item := range items {
		kept := Item{Prompt: item.Prompt}
		for _, x := range item.Rankings {
			known := func(y Ranking) bool { return y.Labeler == x.Labeler || len(y.Ranks) != len(x.Ranks) }
			if !slices.ContainsFunc(kept.Rankings, known) {
				kept.Rankings = append(kept.Rankings, x)
			}
		}
		if len(kept.Rankings) == len(item.Rankings) {
			kept = item // and the copy is forgotten
		}
		if len(kept.Rankings) >= 2 {
			out = append(out, kept)
		}
	}
	return out
}

// placeUnits yields a unit for each completion; the next one overwrites its values.
func placeUnits(items []Item) iter.Seq[Unit] {
	return func(yield func(Unit) bool) {
		var places [][]float64
		var values []float64
		for _, item := range items {
			places = places[:0]
			for _, x := range item.Rankings {
				places = append(places, Places(x.Ranks))
			}
			for k := range item.Rankings[0].Ranks {
				values = values[:0]
				for _, p := range places {
					values = append(values, p[k])
				}
				if !yield(Unit{item.Prompt, values}) {
					return
				}
			}
		}
	}
}

const verdicts = 3 // first preferred, tie, second preferred

// cohen keeps a table (3, 3) of verdicts for each pair of labelers.
func (m *Reliability) cohen(items []Item, rounds int, r *rand.Rand) {
	pairs := map[[2]string]int{}
	for _, item := range items {
		for i, x := range item.Rankings {
			for _, y := range item.Rankings[:i] {
				pairs[[2]string{min(x.Labeler, y.Labeler), max(x.Labeler, y.Labeler)}] = 0
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(pairs), func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	for i, n := range names {
		pairs[n] = i
		m.Pairs = append(m.Pairs, LabelerKappa{A: n[0], B: n[1]})
	}
	var terms promptTerms
	for _, item := range items {
		for i, x := range item.Rankings {
			for _, y := range item.Rankings[:i] {
				a, b := x, y
				if a.Labeler > b.Labeler {
					a, b = b, a
				}
				p := pairs[[2]string{a.Labeler, b.Labeler}]
				for k := range a.Ranks {
					for l := range k {
						u, v := sign(a.Ranks[k]-a.Ranks[l]), sign(b.Ranks[k]-b.Ranks[l])
						at := p*verdicts*verdicts + verdicts + 1
						terms.add(item.Prompt, Term{at + verdicts*u + v, 0.5}, Term{at - verdicts*u - v, 0.5})
						m.Pairs[p].Verdicts++
					}
				}
			}
		}
	}
	kappas := func(sums []float64, p int) (float64, float64) {
		var table [verdicts][]float64
		for i := range table {
			at := p*verdicts*verdicts + i*verdicts
			table[i] = sums[at : at+verdicts]
		}
		return CohenKappa(table[:]), CohenKappaLinear(table[:])
	}
	first := true
	e, _ := Resample(terms.merged(), len(names)*verdicts*verdicts, rounds, r, func(sums []float64) []float64 {
		var plain, linear mean
		for p := range names {
			k, l := kappas(sums, p)
			plain.add(k)
			linear.add(l)
			if first {
				m.Pairs[p].Cohen, m.Pairs[p].Linear = k, l
			}
		}
		first = false
		return []float64{plain.value(), linear.value()}
	})
	m.Cohen, m.CohenLinear = e[0], e[1]
}

// mean is a mean over defined numbers, NaN without any.
type mean struct{ sum, n float64 }

func (m *mean) add(x float64) {
	if !math.IsNaN(x) {
		m.sum += x
		m.n++
	}
}

func (m *mean) value() float64 { return m.sum / m.n }

// fleiss needs as many ratings of every subject: it takes the items with the number of rankings that covers most pairs, the
// greater of two such. The sums are the agreement within subjects, the subjects, and the ratings of each verdict.
func (m *Reliability) fleiss(items []Item, rounds int, r *rand.Rand) {
	covered := map[int]int{}
	for _, item := range items {
		k := len(item.Rankings[0].Ranks)
		covered[len(item.Rankings)] += k * (k - 1) / 2
	}
	for _, n := range slices.Sorted(maps.Keys(covered)) {
		if covered[n] >= covered[m.Raters] {
			m.Raters = n
		}
	}
	m.Subjects = covered[m.Raters]
	n := float64(m.Raters)
	var terms promptTerms
	for _, item := range items {
		if len(item.Rankings) != m.Raters {
			continue
		}
		for k := range item.Rankings[0].Ranks {
			for l := range k {
				var count [verdicts]float64
				for _, x := range item.Rankings {
					count[1+sign(x.Ranks[k]-x.Ranks[l])]++
				}
				agreement := 0.0
				for _, c := range count {
					agreement += c * (c - 1) / (n * (n - 1))
				}
				decided := (count[0] + count[2]) / 2
				terms.add(item.Prompt, Term{0, agreement}, Term{1, 1}, Term{2, decided}, Term{3, count[1]}, Term{4, decided})
			}
		}
	}
	e, _ := Resample(terms.merged(), 2+verdicts, rounds, r, func(sums []float64) []float64 {
		chance := 0.0
		for _, x := range sums[2:] {
			p := x / (n * sums[1])
			chance += p * p
		}
		if chance == 1 {
			return []float64{math.NaN()}
		}
		return []float64{(sums[0]/sums[1] - chance) / (1 - chance)}
	})
	m.Fleiss = e[0]
}
