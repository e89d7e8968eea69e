package stats

import (
	"math"
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
	units := 0
	for _, row := range ratings {
		units = max(units, len(row))
	}
	var values []float64
	var kept [][]float64
	for u := range units {
		var unit []float64
		for _, row := range ratings {
			if u < len(row) && !math.IsNaN(row[u]) {
				unit = append(unit, row[u])
			}
		}
		if len(unit) >= 2 {
			kept = append(kept, unit)
			values = append(values, unit...)
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if len(values) < 2 {
		return math.NaN()
	}
	return alphaOf(kept, values, s)
}

// alphaOf builds the coincidence matrix of the units over the sorted values.
func alphaOf(units [][]float64, values []float64, s Scale) float64 {
	v := len(values)
	coincidence := make([]float64, v*v) // (V, V)
	margin := make([]float64, v)        // (V)
	n := 0.0
	for _, unit := range units {
		for i, x := range unit {
			c, _ := slices.BinarySearch(values, x)
			margin[c]++
			n++
			for j, y := range unit {
				if i != j {
					k, _ := slices.BinarySearch(values, y)
					coincidence[c*v+k] += 1 / float64(len(unit)-1)
				}
			}
		}
	}
	var observed, expected float64
	for c := range v {
		for k := range v {
			d := s.squaredDifference(values, margin, c, k)
			observed += coincidence[c*v+k] * d
			expected += margin[c] * margin[k] * d
		}
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
