package stats

import (
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// Scale is the level of measurement of ratings, which sets the difference
// function of Krippendorff's alpha.
type Scale int

// The scales of Alpha.
const (
	Nominal    Scale = iota // equal or not
	Ordinal                 // ranks
	Interval                // differences carry meaning
	RatioScale              // a true zero
)

// Alpha returns Krippendorff's alpha (Krippendorff 2011, "Computing
// Krippendorff's Alpha-Reliability") of ratings (coders, units), NaN for a
// missing rating. Units with fewer than two ratings are left out. NaN if fewer
// than two distinct values remain: agreement on a constant says nothing.
func Alpha(ratings [][]float64, s Scale) float64 {
	n := 0
	for _, row := range ratings {
		n = max(n, len(row))
	}
	units := make([]Unit, n)
	for _, row := range ratings {
		for u, x := range row {
			units[u].Values = append(units[u].Values, x)
		}
	}
	return MeasureAlpha(units, s, 0, nil).Value
}

// Unit holds the ratings of one unit, NaN for a missing one. Units with equal
// Prompt are dependent and are drawn together by the bootstrap.
type Unit struct {
	Prompt int64
	Values []float64
}

// MeasureAlpha returns Krippendorff's alpha as Alpha does, with a bootstrap
// interval over prompts.
func MeasureAlpha(units []Unit, s Scale, rounds int, r *rand.Rand) Estimate {
	return measureAlpha(slices.Values(units), rounds, r, s)[0]
}

// measureAlpha returns alpha on each of the scales. It walks the units twice; they may share memory.
func measureAlpha(units iter.Seq[Unit], rounds int, r *rand.Rand, scales ...Scale) []Estimate {
	seen := map[float64]bool{}
	for u := range units {
		if rated(u.Values) >= 2 {
			for _, x := range u.Values {
				if !math.IsNaN(x) {
					seen[x] = true
				}
			}
		}
	}
	values := slices.Sorted(maps.Keys(seen))
	out := make([]Estimate, len(scales))
	var clusters [][]Term
	if len(values) >= 2 {
		clusters = coincidences(units, values)
	}
	margin := make([]float64, len(values))
	for i, s := range scales {
		out[i] = Estimate{math.NaN(), math.NaN(), math.NaN()}
		if len(values) >= 2 {
			e, _ := Resample(clusters, len(values)*len(values), rounds, r, func(coincidence []float64) []float64 {
				return []float64{alphaOf(coincidence, margin, values, s)}
			})
			out[i] = e[0]
		}
	}
	return out
}

// rated counts the ratings that are not missing.
func rated(values []float64) (n int) {
	for _, x := range values {
		if !math.IsNaN(x) {
			n++
		}
	}
	return n
}

// coincidences returns each prompt's share of the coincidence matrix (V, V) over the sorted values.
func coincidences(units iter.Seq[Unit], values []float64) [][]Term {
	v := len(values)
	var terms promptTerms
	for u := range units {
		n := rated(u.Values)
		if n < 2 {
			continue
		}
		for i, x := range u.Values {
			a, known := slices.BinarySearch(values, x)
			if !known {
				continue // missing
			}
			for j, y := range u.Values {
				if b, known := slices.BinarySearch(values, y); known && i != j {
					terms.add(u.Prompt, Term{a*v + b, 1 / float64(n-1)})
				}
			}
		}
	}
	return terms.merged()
}

// alphaOf returns alpha of a coincidence matrix (V, V), of which margin becomes the row sums.
func alphaOf(coincidence, margin, values []float64, s Scale) float64 {
	v := len(values)
	n := 0.0
	for c := range v {
		margin[c] = 0
		for _, x := range coincidence[c*v : (c+1)*v] {
			margin[c] += x
		}
		n += margin[c]
	}
	var observed, expected float64
	for c := range v {
		for k := range v {
			d := s.squaredDifference(values, margin, c, k)
			observed += coincidence[c*v+k] * d
			expected += margin[c] * margin[k] * d
		}
	}
	if expected == 0 {
		return math.NaN()
	}
	return 1 - (n-1)*observed/expected
}

// squaredDifference is Krippendorff's delta squared between values c and k.
func (s Scale) squaredDifference(values, margin []float64, c, k int) float64 {
	if c == k {
		return 0
	}
	var d float64
	switch s {
	case Nominal:
		d = 1
	case Interval:
		d = values[c] - values[k]
	case RatioScale:
		d = (values[c] - values[k]) / (values[c] + values[k])
	case Ordinal:
		for g := min(c, k); g <= max(c, k); g++ {
			d += margin[g]
		}
		d -= (margin[c] + margin[k]) / 2
	}
	return d * d
}

// CohenKappa returns Cohen's kappa of a square table (V, V): how often the first
// rater said row and the second column. NaN if chance agreement is certain.
func CohenKappa(table [][]float64) float64 {
	return weightedKappa(table, func(i, j int) float64 {
		if i == j {
			return 0
		}
		return 1
	})
}

// CohenKappaLinear returns Cohen's kappa with a disagreement weighted by the
// distance of its categories |i-j|.
func CohenKappaLinear(table [][]float64) float64 {
	return weightedKappa(table, func(i, j int) float64 { return math.Abs(float64(i - j)) })
}

// CohenKappaQuadratic returns Cohen's kappa with a disagreement weighted by the
// squared distance of its categories.
func CohenKappaQuadratic(table [][]float64) float64 {
	return weightedKappa(table, func(i, j int) float64 { return float64((i - j) * (i - j)) })
}

func weightedKappa(table [][]float64, weight func(i, j int) float64) float64 {
	rows, columns := make([]float64, len(table)), make([]float64, len(table))
	n := 0.0
	for i, row := range table {
		for j, x := range row {
			rows[i] += x
			columns[j] += x
			n += x
		}
	}
	var observed, expected float64
	for i, row := range table {
		for j, x := range row {
			observed += weight(i, j) * x
			expected += weight(i, j) * rows[i] * columns[j] / n
		}
	}
	if expected == 0 {
		return math.NaN()
	}
	return 1 - observed/expected
}

// FleissKappa returns Fleiss' kappa (Fleiss 1971) of counts (subjects,
// categories): how many raters put a subject into a category, with the same
// number of raters, at least two, for every subject. NaN otherwise.
func FleissKappa(counts [][]float64) float64 {
	if len(counts) == 0 {
		return math.NaN()
	}
	total := make([]float64, len(counts[0]))
	raters, agreement := 0.0, 0.0
	for i, row := range counts {
		var n, squares float64
		for j, x := range row {
			n += x
			squares += x * x
			total[j] += x
		}
		if i > 0 && n != raters || n < 2 {
			return math.NaN()
		}
		raters = n
		agreement += (squares - n) / (n * (n - 1))
	}
	subjects := float64(len(counts))
	chance := 0.0
	for _, x := range total {
		p := x / (subjects * raters)
		chance += p * p
	}
	return (agreement/subjects - chance) / (1 - chance)
}
