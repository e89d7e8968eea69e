package stats_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"rlhf/internal/stats"
)

func TestBradleyTerry(t *testing.T) {
	baseball := matrix(t, "0 1 7 4 2 3 1", "12 0 7 2 6 7 6", "6 6 0 4 4 6 5", "9 11 9 0 6 5 7",
		"11 7 9 7 0 7 9", "10 6 7 8 6 0 6", "12 7 8 6 4 7 0")
	citations := matrix(t, "0 730 498 221", "33 0 68 17", "320 813 0 142", "284 276 325 0")
	tests := []struct {
		name      string
		wins      [][]float64
		reference int // its strength is subtracted; -1 for none
		want      []float64
		tolerance float64
	}{
		// choix, testcase-pairwise-2.json.
		{"cycle and one", matrix(t, "0 2 0", "0 0 1", "1 0 0"), -1, []float64{0.419617624, -0.419617624, 0}, 1e-9},
		// Agresti, table 10.11 (there in ascending order), as asserted by BradleyTerry2's test-baseball.R.
		{"baseball", baseball, 0, []float64{0, 1.11, 0.68, 1.44, 1.58, 1.25, 1.29}, 6e-3},
		// Data of BradleyTerry2; estimates recomputed.
		{"citations", citations, 0, []float64{0, -2.94907, -0.47957, 0.26895}, 6e-6},
		// Seven wins, two losses, a tie: odds of 3 to 1.
		{"two items", [][]float64{{0, 7.5}, {2.5, 0}}, 1, []float64{1.0986123, 0}, 5e-8},
	}
	for _, test := range tests {
		theta, err := stats.BradleyTerry(test.wins)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		origin := 0.0
		if test.reference >= 0 {
			origin = theta[test.reference]
		}
		for i, want := range test.want {
			near(t, fmt.Sprintf("%s item %d", test.name, i), theta[i]-origin, want, test.tolerance)
		}
	}
	near(t, "elo", stats.Elo(1.0986123)-stats.Elo(0), 190.8485, 5e-5)
	for _, wins := range [][][]float64{{{0, 3}, {0, 0}}, {{0}}, matrix(t, "0 1 0 0", "1 0 0 0", "0 0 0 1", "0 0 1 0")} {
		if _, err := stats.BradleyTerry(wins); !errors.Is(err, stats.ErrNotConnected) {
			t.Errorf("wins %v: got %v, want ErrNotConnected", wins, err)
		}
	}
}

// The errors of the citations stand in the table of BradleyTerry2's data, those of baseball (about 0.3) in its test-baseball.R;
// the digits of both are of statsmodels 0.15.0, GLM with binomial family on differences from the first item.
func TestBradleyTerryStandardErrors(t *testing.T) {
	tests := []struct {
		name string
		wins [][]float64
		want []float64 // of the strengths less the first item's
	}{
		{"baseball", matrix(t, "0 1 7 4 2 3 1", "12 0 7 2 6 7 6", "6 6 0 4 4 6 5", "9 11 9 0 6 5 7", "11 7 9 7 0 7 9", "10 6 7 8 6 0 6", "12 7 8 6 4 7 0"),
			[]float64{0, 0.333878206989, 0.331876672711, 0.339568506379, 0.343255981595, 0.335860922526, 0.336669401423}},
		{"citations", matrix(t, "0 730 498 221", "33 0 68 17", "320 813 0 142", "284 276 325 0"),
			[]float64{0, 0.102545335511, 0.060588729248, 0.070829965111}},
	}
	for _, test := range tests {
		theta, err := stats.BradleyTerry(test.wins)
		if err != nil {
			t.Fatal(err)
		}
		c, err := stats.BradleyTerryCovariance(test.wins, theta, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range test.want {
			near(t, fmt.Sprintf("%s item %d", test.name, i), math.Sqrt(max(0, c[0][0]+c[i][i]-2*c[0][i])), want, 2e-8)
		}
	}
}

// choix 0.4.1, opt_pairwise with tol 1e-12, whose alpha is half of lambda. In the first no item beats item 2, so that maximum
// likelihood has no answer.
func TestBradleyTerryPrior(t *testing.T) {
	tests := []struct {
		wins   [][]float64
		lambda float64
		want   []float64
	}{
		{matrix(t, "0 3 0", "0 0 0", "1 1 0"), 0.1, []float64{0.34575528, -2.24596928, 1.90021401}},
		{matrix(t, "0 2 0", "0 0 1", "1 0 0"), 0.5, []float64{0.29052193, -0.29052193, 0}},
	}
	for _, test := range tests {
		got, err := stats.BradleyTerryPrior(test.wins, test.lambda)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range test.want {
			near(t, fmt.Sprintf("lambda %v item %d", test.lambda, i), got[i], want, 6e-9)
		}
	}
	if _, err := stats.BradleyTerryPrior(tests[0].wins, 0); err == nil {
		t.Error("lambda 0: got no error")
	}
}

// 400 prompts, two items, item 0 preferred on three of four: theta_0 - theta_1 is ln 3, with standard error
// 1/sqrt(400*.75*.25) = .11547, and strengths with mean 0 have half of it. Percentiles carry over: the share's interval is
// .75 -+ .0424, and half the logits of .7076 and .7924 are .4417 and .6697. With every game doubled the evidence is the same.
func TestMeasureStrengths(t *testing.T) {
	var clusters [][]stats.Game
	for p := range 400 {
		g := stats.Game{I: 0, J: 1, Weight: 1}
		if p%4 == 0 {
			g = stats.Game{I: 1, J: 0, Weight: 1}
		}
		clusters = append(clusters, []stats.Game{g})
	}
	s, err := stats.MeasureStrengths(2, clusters, 0, 3000, stream())
	if err != nil {
		t.Fatal(err)
	}
	near(t, "theta", s.Theta[0].Value, math.Log(3)/2, 1e-9)
	near(t, "se", s.SE[0], 0.11547/2, 1e-6)
	near(t, "low", s.Theta[0].Low, 0.4417, 0.006)
	near(t, "high", s.Theta[0].High, 0.6697, 0.006)
	if !s.Connected || s.LeftOut != 0 {
		t.Errorf("got %+v", s)
	}
	for c := range clusters {
		clusters[c] = append(clusters[c], clusters[c][0])
	}
	twice, err := stats.MeasureStrengths(2, clusters, 0, 3000, stream())
	if err != nil {
		t.Fatal(err)
	}
	near(t, "low of the doubled", twice.Theta[0].Low, s.Theta[0].Low, 1e-9)
	near(t, "se of the doubled", twice.SE[0], s.SE[0]/math.Sqrt2, 1e-12)
}

// Of two prompts that go opposite ways half of the draws hold one alone, which has no finite answer.
func TestMeasureStrengthsLeftOut(t *testing.T) {
	s, err := stats.MeasureStrengths(2, [][]stats.Game{{{I: 0, J: 1, Weight: 1}}, {{I: 1, J: 0, Weight: 1}}}, 0, 1000, stream())
	if err != nil || s.LeftOut < 400 || s.LeftOut > 600 {
		t.Errorf("got %+v, %v, want about 500 rounds left out", s, err)
	}
	lost := [][]stats.Game{{{I: 0, J: 1, Weight: 1}}, {{I: 0, J: 1, Weight: 1}}}
	if _, err := stats.MeasureStrengths(2, lost, 0, 10, stream()); !errors.Is(err, stats.ErrNotConnected) {
		t.Errorf("got %v, want ErrNotConnected", err)
	}
	if s, err := stats.MeasureStrengths(2, lost, 0.1, 10, stream()); err != nil || s.Connected || !(s.Theta[0].Value > 0) {
		t.Errorf("with a prior: got %+v, %v", s, err)
	}
}

// Newton's method without a prior and minorisation are two ways to one maximum.
func TestBradleyTerryTwoWays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "n")
		var games []stats.Game
		wins := make([][]float64, n)
		for i := range wins {
			wins[i] = make([]float64, n)
			for j := range wins[i] {
				if i != j {
					wins[i][j] = float64(rapid.IntRange(1, 40).Draw(t, "w"))
					games = append(games, stats.Game{I: i, J: j, Weight: wins[i][j]})
				}
			}
		}
		theta, err := stats.BradleyTerry(wins)
		if err != nil {
			t.Fatal(err)
		}
		// Two equal prompts: every draw has the same maximum, which the bootstrap finds by Newton's method.
		s, err := stats.MeasureStrengths(n, [][]stats.Game{games, games}, 0, 1, stream())
		if err != nil {
			t.Fatal(err)
		}
		for i := range theta {
			if math.Abs(s.Theta[i].Low-theta[i]) > 1e-8 {
				t.Fatalf("wins %v: Newton %v, minorisation %v", wins, s.Theta[i].Low, theta[i])
			}
		}
	})
}
