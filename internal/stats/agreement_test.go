package stats_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"rlhf/internal/stats"
)

func TestKendallTauB(t *testing.T) {
	tests := []struct {
		name string
		x, y []float64
		want float64
	}{
		// scipy's test_stats.py, the first checked there against R.
		{"scipy with R", []float64{12, 2, 1, 12, 2}, []float64{1, 4, 7, 1, 0}, -0.47140452079103173},
		{"scipy many ties", []float64{1, 2, 2, 4, 4, 6, 6, 8, 9, 9}, []float64{1, 2, 4, 4, 4, 4, 8, 8, 8, 10}, 0.85895569},
		{"one side tied", []float64{2, 2, 2}, []float64{1, 2, 3}, math.NaN()},
		{"both tied", []float64{2, 2, 2}, []float64{2, 2, 2}, math.NaN()},
		{"reversed", []float64{1, 2, 3, 4}, []float64{8, 6, 4, 2}, -1},
		{"lengths differ", []float64{1, 2}, []float64{1, 2, 3}, math.NaN()},
	}
	for _, test := range tests {
		near(t, test.name, stats.KendallTauB(test.x, test.y), test.want, 5e-9)
	}
}

func stream() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// By hand. Item 1, ann 1 2 3, bob 1 1 2: of three pairs two agree and one is a tie
// against a preference. Item 2, ann 1 2, bob 2 1: opposite. Item 3, both tie: agree,
// tau undefined. cem ranks item 2 as ann does, so with bob again opposite.
func TestMeasureAgreement(t *testing.T) {
	items := []stats.Item{
		{Prompt: 1, Rankings: []stats.Ranking{{"ann", []int{1, 2, 3}}, {"bob", []int{1, 1, 2}}}},
		{Prompt: 2, Rankings: []stats.Ranking{{"bob", []int{2, 1}}, {"ann", []int{1, 2}}, {"cem", []int{1, 2}}}},
		{Prompt: 3, Rankings: []stats.Ranking{{"ann", []int{1, 1}}, {"bob", []int{1, 1}}}},
		{Prompt: 4, Rankings: []stats.Ranking{{"ann", []int{2, 1}}}},
		{Prompt: 5, Rankings: []stats.Ranking{{"ann", []int{2, 1}}, {"ann", []int{1, 2}}}},
	}
	a := stats.MeasureAgreement(items, 200, stream())
	if a.Pairs != 7 || a.Items != 3 {
		t.Errorf("pairs, items: got %d, %d, want 7, 3", a.Pairs, a.Items)
	}
	near(t, "strict", a.Strict.Value, 4.0/7, 1e-15)
	near(t, "ties half", a.TiesHalf.Value, 4.5/7, 1e-15)
	// tau-b: item 1 is 2/sqrt(3*2), item 2 is -1, 1, -1.
	near(t, "tau-b", a.KendallTauB, (2/math.Sqrt(6)-1)/4, 1e-15)
	want := "[{ann bob 0.6 0.7 5} {ann cem 1 1 1} {bob cem 0 0 1}]"
	if got := fmt.Sprint(a.Labelers); got != want {
		t.Errorf("labelers: got %s, want %s", got, want)
	}
	if !(a.Strict.Low < a.Strict.Value && a.Strict.Value < a.Strict.High) {
		t.Errorf("interval does not hold its value: %+v", a.Strict)
	}
}

func TestMeasureAgreementUndefined(t *testing.T) {
	a := stats.MeasureAgreement([]stats.Item{{Rankings: []stats.Ranking{{"ann", []int{1, 2}}}}}, 100, stream())
	for _, x := range []float64{a.Strict.Value, a.Strict.Low, a.TiesHalf.High, a.KendallTauB} {
		if !math.IsNaN(x) {
			t.Errorf("one labeler: got %+v, want NaN", a)
		}
	}
}

// 200 of 400 prompts agree. The sampling distribution of the share has standard
// error sqrt(.25/400) = .025, so the interval is .5 -+ .049.
func TestBootstrapOverPrompts(t *testing.T) {
	var items, doubled []stats.Item
	for p := range 400 {
		second := []int{1, 2}
		if p%2 == 0 {
			second = []int{2, 1}
		}
		item := stats.Item{Prompt: int64(p), Rankings: []stats.Ranking{{"ann", []int{1, 2}}, {"bob", second}}}
		items = append(items, item)
		doubled = append(doubled, item, item)
	}
	got := stats.MeasureAgreement(items, 4000, stream()).Strict
	near(t, "value", got.Value, 0.5, 0)
	near(t, "low", got.Low, 0.451, 0.004)
	near(t, "high", got.High, 0.549, 0.004)
	// Twice the tasks of the same prompts are no more evidence.
	if again := stats.MeasureAgreement(doubled, 4000, stream()).Strict; again != got {
		t.Errorf("two tasks a prompt: got %+v, want %+v", again, got)
	}
}

// Two random rankings without ties agree on half the pairs, and agreement does not
// depend on how the completions of a task are numbered.
func TestAgreementDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(2, 7).Draw(t, "k")
		x := rapid.SliceOfN(rapid.IntRange(1, 4), k, k).Draw(t, "x")
		y := rapid.SliceOfN(rapid.IntRange(1, 4), k, k).Draw(t, "y")
		order := rapid.Permutation(identity(k)).Draw(t, "order")
		px, py := make([]int, k), make([]int, k)
		for i, o := range order {
			px[i], py[i] = x[o], y[o]
		}
		measure := func(x, y []int) stats.Agreement {
			return stats.MeasureAgreement([]stats.Item{{Rankings: []stats.Ranking{{"ann", x}, {"bob", y}}}}, 0, nil)
		}
		a, b := measure(x, y), measure(px, py)
		if a.Strict.Value != b.Strict.Value || a.TiesHalf.Value != b.TiesHalf.Value {
			t.Fatalf("%v against %v: %+v, renumbered %+v", x, y, a, b)
		}
		if a.Strict.Value > a.TiesHalf.Value {
			t.Fatalf("strict %v above ties half %v", a.Strict.Value, a.TiesHalf.Value)
		}
	})
}

func identity(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

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
