package stats

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Term is what a cluster adds to one of the sums that a statistic is a function of.
type Term struct {
	Sum   int // index of the sum
	Value float64
}

// Resample returns f of the sums over all clusters, with percentile intervals (2.5 %, 97.5 %) from the given number of
// rounds, each of which draws len(clusters) clusters with replacement: the bootstrap for every statistic that is a function
// of sums over independent clusters, here prompts. f gets (size) sums, which it must not keep, and returns its numbers, always
// as many; a NaN, or nil for all of them, marks what the sums leave undefined. Undefined rounds are left out of the interval;
// leftOut counts those that left a number out which is defined over all clusters.
func Resample(clusters [][]Term, size, rounds int, r *rand.Rand, f func(sums []float64) []float64) (estimates []Estimate, leftOut int) {
	sums := make([]float64, size)
	for _, c := range clusters {
		for _, t := range c {
			sums[t.Sum] += t.Value
		}
	}
	for _, x := range f(sums) {
		estimates = append(estimates, Estimate{Value: x, Low: math.NaN(), High: math.NaN()})
	}
	if len(clusters) < 2 || len(estimates) == 0 {
		return estimates, 0
	}
	drawn := make([][]float64, len(estimates))
	counts := make([]float64, len(clusters))
	for range rounds {
		clear(counts)
		for range clusters {
			counts[r.IntN(len(clusters))]++
		}
		clear(sums)
		for i, n := range counts {
			if n > 0 {
				for _, t := range clusters[i] {
					sums[t.Sum] += n * t.Value
				}
			}
		}
		values := f(sums)
		missing := false
		for i, e := range estimates {
			switch {
			case i < len(values) && !math.IsNaN(values[i]):
				drawn[i] = append(drawn[i], values[i])
			case !math.IsNaN(e.Value):
				missing = true
			}
		}
		if missing {
			leftOut++
		}
	}
	for i, values := range drawn {
		if !math.IsNaN(estimates[i].Value) {
			estimates[i].Low, estimates[i].High = percentiles(values)
		}
	}
	return estimates, leftOut
}

// percentiles sorts the values and returns their quantiles at 2.5 and 97.5 %, NaN without values.
func percentiles(values []float64) (low, high float64) {
	if len(values) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(values)
	return stat.Quantile(0.025, stat.LinInterp, values, nil), stat.Quantile(0.975, stat.LinInterp, values, nil)
}

// promptTerms collects terms by prompt, in the order of the prompts' first terms. Terms of equal sums are added up from time to
// time, so that it holds few more than there are sums.
type promptTerms struct {
	prompts  map[int64]int
	clusters []cluster
}

type cluster struct {
	terms []Term
	full  int // of so many terms equal ones are added up
}

func (p *promptTerms) add(prompt int64, terms ...Term) {
	if p.prompts == nil {
		p.prompts = map[int64]int{}
	}
	at, ok := p.prompts[prompt]
	if !ok {
		at = len(p.clusters)
		p.prompts[prompt] = at
		p.clusters = append(p.clusters, cluster{full: 256})
	}
	c := &p.clusters[at]
	c.terms = append(c.terms, terms...)
	if len(c.terms) >= c.full {
		c.terms = merged(c.terms)
		c.full = max(256, 2*len(c.terms))
	}
}

func (p *promptTerms) merged() [][]Term {
	out := make([][]Term, len(p.clusters))
	for i, c := range p.clusters {
		out[i] = slices.Clip(merged(c.terms))
	}
	return out
}

// merged adds up the terms of equal sums, in place and in the order of the sums.
func merged(terms []Term) []Term {
	slices.SortStableFunc(terms, func(a, b Term) int { return a.Sum - b.Sum })
	out := terms[:0]
	for _, t := range terms {
		if n := len(out); n > 0 && out[n-1].Sum == t.Sum {
			out[n-1].Value += t.Value
		} else {
			out = append(out, t)
		}
	}
	return out
}
