// Package stats holds the statistics of human preferences and of before/after
// studies: agreement of rankings with a bootstrap over prompts, Kendall's tau-b,
// Krippendorff's alpha, Cohen's and Fleiss' kappa, Bradley-Terry strengths,
// consensus by ranked pairs, Wilson intervals, the exact sign test and distinct-n.
// Rankings are compared over items in a fixed order, never by their place in a
// list, and no figure depends on how items are numbered. It knows nothing of
// databases, models or text; gonum is not used where it is wrong with ties
// (stat.Kendall computes tau-a). A statistic that its data leave undefined is
// NaN, never a number that looks like a result.
package stats

import (
	"math"
	"math/rand/v2"
)

// Estimate is a statistic with its interval. All three are NaN where undefined.
type Estimate struct {
	Value float64
	Low   float64 // lower end of the 95 % interval
	High  float64 // upper end of the 95 % interval
}

// Ratio is a cluster's share of a statistic of the form sum of Num over sum of Den.
type Ratio struct{ Num, Den float64 }

// BootstrapRatio returns sum(Num)/sum(Den) over the clusters and its percentile
// interval (2.5 %, 97.5 %) from the given number of rounds, each of which draws
// len(clusters) clusters with replacement. Rounds whose denominator is zero are
// left out. The interval is NaN without rounds and with fewer than two clusters.
func BootstrapRatio(clusters []Ratio, rounds int, r *rand.Rand) Estimate {
	var sum Ratio
	for _, c := range clusters {
		sum.Num += c.Num
		sum.Den += c.Den
	}
	e := Estimate{Value: sum.Num / sum.Den, Low: math.NaN(), High: math.NaN()}
	if sum.Den == 0 || len(clusters) < 2 {
		return e
	}
	values := make([]float64, 0, max(rounds, 0))
	for range rounds {
		var s Ratio
		for range clusters {
			c := clusters[r.IntN(len(clusters))]
			s.Num += c.Num
			s.Den += c.Den
		}
		if s.Den != 0 {
			values = append(values, s.Num/s.Den)
		}
	}
	e.Low, e.High = percentiles(values)
	return e
}

// DistinctN returns the share of distinct n-grams among all n-grams of the texts
// (Li 2016, arXiv:1510.03055, distinct-n over the whole corpus); no n-gram spans
// two texts. It falls as a corpus grows, so compare only corpora of like size.
// NaN if no text has n elements.
func DistinctN[T comparable](texts [][]T, n int) float64 {
	type link struct {
		prefix int // number of the n-gram's first elements, 0 for none
		last   T
	}
	numbers := map[link]int{}
	seen := map[int]bool{}
	total := 0
	for _, text := range texts {
		for i := 0; i+n <= len(text); i++ {
			gram := 0
			for _, x := range text[i : i+n] {
				l := link{gram, x}
				if numbers[l] == 0 {
					numbers[l] = len(numbers) + 1
				}
				gram = numbers[l]
			}
			seen[gram] = true
			total++
		}
	}
	return float64(len(seen)) / float64(total)
}
