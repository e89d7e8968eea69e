package stats

import "math"

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
