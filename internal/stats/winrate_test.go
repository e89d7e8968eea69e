package stats_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"rlhf/internal/stats"
)

// R's binom.confint, as quoted in statsmodels' results_proportion.py; the edges
// as quoted there to seven digits.
func TestWilson(t *testing.T) {
	tests := []struct {
		successes float64
		n         int
		low, high float64
		tolerance float64
	}{
		{18, 20, .6989663547715128, .972133518786232, 1e-12},
		{4, 20, .0806576625797981, .4160174322518935, 1e-12},
		{4, 200, .00780442641634947, .05028708690582643, 1e-12},
		{190, 200, .910421851861224, .972617354399236, 1e-12},
		{0, 30, 0, .11351339, 5e-9},
		{30, 30, .8864866, 1, 5e-8},
	}
	for _, test := range tests {
		low, high := stats.Wilson(test.successes, test.n)
		name := fmt.Sprintf("%g of %d", test.successes, test.n)
		near(t, name+" low", low, test.low, test.tolerance)
		near(t, name+" high", high, test.high, test.tolerance)
	}
	if low, _ := stats.Wilson(0, 0); !math.IsNaN(low) {
		t.Errorf("no trials: got %v, want NaN", low)
	}
}

// 15:5 and 9:1 from the binomial tables, 1:1 and 0:0 by reason; 3:0 is 2/8.
func TestSignTest(t *testing.T) {
	tests := []struct {
		wins, losses int
		want         float64
	}{
		{15, 5, 0.0413894653}, {5, 15, 0.0413894653}, {9, 1, 0.021484375},
		{1, 1, 1}, {0, 0, 1}, {3, 0, 0.25}, {7, 7, 1},
	}
	for _, test := range tests {
		near(t, fmt.Sprintf("%d:%d", test.wins, test.losses), stats.SignTest(test.wins, test.losses), test.want, 5e-11)
	}
}

func TestWinRate(t *testing.T) {
	w := stats.WinRate{Wins: 7, Losses: 2, Ties: 1}
	near(t, "value", w.Value(), 0.75, 0)
	low, high := w.Interval()
	if !(low < 0.75 && 0.75 < high) {
		t.Errorf("interval %v to %v does not hold .75", low, high)
	}
	// 9 decided: 2 (C(9,0)+C(9,1)+C(9,2)) / 512 = 92/512.
	near(t, "p", w.P(), 92.0/512, 1e-14)
}

// "the cat the cat the dog": five bigrams, of them three distinct (the cat, cat
// the, the dog). A second text adds "dog the", and none that spans the texts.
func TestDistinctN(t *testing.T) {
	a, b := strings.Fields("the cat the cat the dog"), strings.Fields("dog the")
	near(t, "one text", stats.DistinctN([][]string{a}, 2), 3.0/5, 0)
	near(t, "two texts", stats.DistinctN([][]string{a, b}, 2), 4.0/6, 0)
	near(t, "unigrams", stats.DistinctN([][]string{a, b}, 1), 3.0/8, 0)
	near(t, "trigrams", stats.DistinctN([][]int32{{1, 2, 1, 2, 1}}, 3), 2.0/3, 0)
	near(t, "too short", stats.DistinctN([][]string{b}, 3), math.NaN(), 0)
}

func ExampleWinRate() {
	w := stats.WinRate{Wins: 15, Losses: 5, Ties: 4}
	low, high := w.Interval()
	fmt.Printf("%.3f (%.3f to %.3f), p = %.4f\n", w.Value(), low, high, w.P())
	// Output: 0.708 (0.508 to 0.851), p = 0.0414
}
