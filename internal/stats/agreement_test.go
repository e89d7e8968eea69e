package stats_test

import (
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
	near(t, "tau-b", a.KendallTauB.Value, (2/math.Sqrt(6)-1)/4, 1e-15)
	want := "[{ann bob 0.6 0.7 -0.0918 5} {ann cem 1 1 1.0000 1} {bob cem 0 0 -1.0000 1}]" // tau-b of ann and bob: (2/sqrt(6) - 1)/2
	var shown []string
	for _, p := range a.Labelers {
		shown = append(shown, fmt.Sprintf("{%s %s %v %v %.4f %d}", p.A, p.B, p.Strict, p.TiesHalf, p.KendallTauB, p.Pairs))
	}
	if got := fmt.Sprint(shown); got != want {
		t.Errorf("labelers: got %s, want %s", got, want)
	}
	if !(a.Strict.Low < a.Strict.Value && a.Strict.Value < a.Strict.High) {
		t.Errorf("interval does not hold its value: %+v", a.Strict)
	}
}

// By hand from the items above: bob's five pairs with ann hold three strict and a half tie, his one with cem none, over two items
// and three comparisons where tau is defined. A stranger to overlap, dan, is in no list.
func TestAgreementAgainstOthers(t *testing.T) {
	items := []stats.Item{
		{Prompt: 1, Rankings: []stats.Ranking{{"ann", []int{1, 2, 3}}, {"bob", []int{1, 1, 2}}}},
		{Prompt: 2, Rankings: []stats.Ranking{{"bob", []int{2, 1}}, {"ann", []int{1, 2}}, {"cem", []int{1, 2}}}},
		{Prompt: 3, Rankings: []stats.Ranking{{"ann", []int{1, 1}}, {"bob", []int{1, 1}}}},
		{Prompt: 4, Rankings: []stats.Ranking{{"dan", []int{2, 1}}}},
	}
	a := stats.MeasureAgreement(items, 100, stream())
	want := []struct {
		name              string
		strict, half, tau float64
		pairs, items      int
	}{
		{"ann", 4.0 / 6, 4.5 / 6, (2 / math.Sqrt(6)) / 3, 6, 3},
		{"bob", 3.0 / 6, 3.5 / 6, (2/math.Sqrt(6) - 2) / 3, 6, 3},
		{"cem", 0.5, 0.5, 0, 2, 1},
	}
	if len(a.Against) != len(want) {
		t.Fatalf("got %d labelers, want %d", len(a.Against), len(want))
	}
	for i, w := range want {
		got := a.Against[i]
		if got.Labeler != w.name || got.Pairs != w.pairs || got.Items != w.items {
			t.Errorf("got %+v, want %+v", got, w)
		}
		near(t, w.name+" strict", got.Strict.Value, w.strict, 1e-15)
		near(t, w.name+" ties half", got.TiesHalf.Value, w.half, 1e-15)
		near(t, w.name+" tau-b", got.KendallTauB.Value, w.tau, 1e-15)
	}
}

// ann repeats herself on two of three pairs, cem never.
func TestMeasureRepeats(t *testing.T) {
	items := []stats.Item{
		{Prompt: 1, Rankings: []stats.Ranking{{"ann", []int{1, 2, 3}}, {"bob", []int{3, 2, 1}}, {"ann", []int{1, 3, 2}}}},
		{Prompt: 2, Rankings: []stats.Ranking{{"cem", []int{1, 2}}, {"cem", []int{2, 1}}, {"dan", []int{2, 1}}}},
	}
	all, each := stats.MeasureRepeats(items, 100, stream())
	near(t, "all", all.Strict.Value, 0.5, 0)
	if all.Pairs != 4 || all.Items != 2 || len(each) != 2 || each[0].Labeler != "ann" || each[1].Labeler != "cem" {
		t.Errorf("got %+v and %+v", all, each)
	}
	near(t, "ann", each[0].Strict.Value, 2.0/3, 1e-15)
	near(t, "cem", each[1].TiesHalf.Value, 0, 0)
}

func TestMeasureAgreementUndefined(t *testing.T) {
	a := stats.MeasureAgreement([]stats.Item{{Rankings: []stats.Ranking{{"ann", []int{1, 2}}}}}, 100, stream())
	for _, x := range []float64{a.Strict.Value, a.Strict.Low, a.TiesHalf.High, a.KendallTauB.Value} {
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

// What the papers print: InstructGPT, arXiv:2203.02155 section 3.4; Stiennon 2020, arXiv:2009.01325, as InstructGPT quotes it.
func TestPublishedAgreement(t *testing.T) {
	want := "[{InstructGPT, training labelers 0.726 0.015} {InstructGPT, held-out labelers 0.773 0.013} {Stiennon 2020, researchers with one another 0.73 0.04}]"
	if got := fmt.Sprint(stats.PublishedAgreement()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
