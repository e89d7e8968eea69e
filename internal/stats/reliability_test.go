package stats_test

import (
	"math"
	"strings"
	"testing"

	"rlhf/internal/stats"
)

// matrix reads whitespace-separated numbers, "." for a missing one.
func matrix(t *testing.T, rows ...string) [][]float64 {
	t.Helper()
	out := make([][]float64, len(rows))
	for i, row := range rows {
		for _, f := range strings.Fields(row) {
			x := math.NaN()
			if f != "." {
				x = 0
				for _, d := range f {
					x = 10*x + float64(d-'0')
				}
			}
			out[i] = append(out[i], x)
		}
	}
	return out
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(want) != math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s: got %.15g, want %.15g", what, got, want)
	}
}

// Expected values: the nominal ones of the first table and of the third from
// nltk's test_disagreement.py, the others from the documentation of
// fast-krippendorff, which prints three digits; more digits were recomputed.
func TestAlpha(t *testing.T) {
	four := matrix(t, "1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3",
		". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 .")
	three := matrix(t, ". . . . . 3 4 1 2 1 1 3 3 . 3", "1 . 2 1 3 3 4 3 . . . . . . .",
		". . 2 1 3 4 4 . 2 1 1 3 3 . 4")
	tests := []struct {
		name    string
		ratings [][]float64
		scale   stats.Scale
		want    float64
	}{
		{"four nominal", four, stats.Nominal, 0.743421052632},
		{"four ordinal", four, stats.Ordinal, 0.815388},
		{"four interval", four, stats.Interval, 0.849107},
		{"four ratio", four, stats.RatioScale, 0.797403},
		{"three nominal", three, stats.Nominal, 0.691358},
		{"three interval", three, stats.Interval, 0.810845},
		// krippendorff 0.9.0.
		{"three ordinal", three, stats.Ordinal, 0.8067214199413153},
		{"three ratio", three, stats.RatioScale, 0.8089436707842471},
		{"negative", matrix(t, "1 1", "0 0", "0 ."), stats.Nominal, -1.0 / 3},
		{"one value", matrix(t, "2 2 2", "2 2 ."), stats.Nominal, math.NaN()},
		{"one coder", matrix(t, "1 2 3"), stats.Nominal, math.NaN()},
		{"nothing", nil, stats.Ordinal, math.NaN()},
	}
	for _, test := range tests {
		near(t, test.name, stats.Alpha(test.ratings, test.scale), test.want, 6e-7)
	}
}

// SAS's printout of the example, as quoted by statsmodels' test_inter_rater.py.
func TestCohenKappa(t *testing.T) {
	table := matrix(t, "0 4 1", "0 8 0", "0 1 5")
	near(t, "unweighted", stats.CohenKappa(table), 0.4842, 5e-5)
	near(t, "linear", stats.CohenKappaLinear(table), 0.4701, 5e-5)
	near(t, "quadratic", stats.CohenKappaQuadratic(table), 0.4501607717041801, 1e-14) // statsmodels 0.15.0
	near(t, "one category", stats.CohenKappa(matrix(t, "5 0", "0 0")), math.NaN(), 0)
}

// The table of Wikipedia's article (0.210), and the diagnoses of Fleiss 1971 with
// the value of R's irr, as quoted by statsmodels' test_inter_rater.py.
func TestFleissKappa(t *testing.T) {
	near(t, "wikipedia", stats.FleissKappa(matrix(t, "0 0 0 0 14", "0 2 6 4 2", "0 0 3 5 6", "0 3 9 2 0",
		"2 2 8 1 1", "7 7 0 0 0", "3 2 6 3 0", "2 5 3 2 2", "6 5 2 1 0", "0 2 2 3 7")), 0.210, 5e-4)
	diagnoses := strings.Fields(`444444 222555 233335 555555 222444 113333 333355 113334 114444 555555
		144444 124444 222333 144444 224445 333335 111455 111112 224444 133555
		555555 244444 224555 114444 144445 222224 111155 224444 133333 555555`)
	counts := make([][]float64, len(diagnoses))
	for i, d := range diagnoses {
		counts[i] = make([]float64, 5)
		for _, c := range d {
			counts[i][c-'1']++
		}
	}
	near(t, "diagnoses", stats.FleissKappa(counts), 0.4302445, 5e-8)
	near(t, "unequal numbers of raters", stats.FleissKappa(matrix(t, "2 1", "1 1")), math.NaN(), 0)
}
