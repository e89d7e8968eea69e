package stats_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"rlhf/internal/stats"
)

// Alpha by krippendorff 0.9.0 over scipy 1.17.1 rankdata; the kappas by statsmodels 0.15.0 over the verdicts on ordered pairs.
func TestMeasureReliability(t *testing.T) {
	items := []stats.Item{
		{Prompt: 1, Rankings: []stats.Ranking{{"ann", []int{1, 2, 3}}, {"bob", []int{1, 1, 2}}, {"cem", []int{2, 1, 3}}}},
		{Prompt: 2, Rankings: []stats.Ranking{{"cem", []int{1, 1, 2, 2}}, {"ann", []int{1, 2, 3, 4}}, {"bob", []int{2, 1, 4, 3}}}},
		{Prompt: 3, Rankings: []stats.Ranking{{"bob", []int{2, 1}}, {"ann", []int{1, 2}}, {"ann", []int{2, 1}}}}, // the repeat is left out
		{Prompt: 4, Rankings: []stats.Ranking{{"ann", []int{2, 1}}, {"bob", []int{2, 1}}, {"cem", []int{2, 1}}}},
		{Prompt: 5, Rankings: []stats.Ranking{{"ann", []int{2, 1}}}},
	}
	m := stats.MeasureReliability(items, 200, stream())
	for _, test := range []struct {
		name string
		got  stats.Estimate
		want float64
	}{
		{"nominal", m.Nominal, 0.12}, {"ordinal", m.Ordinal, 0.6319360343498843}, {"interval", m.Interval, 0.7709923664122138},
		{"cohen", m.Cohen, 0.44982078853046586}, {"cohen linear", m.CohenLinear, 0.5525046382189239}, {"fleiss", m.Fleiss, 0.48717948717948706},
	} {
		near(t, test.name, test.got.Value, test.want, 1e-14)
		if !(test.got.Low <= test.got.Value && test.got.Value <= test.got.High) {
			t.Errorf("%s: the interval of %+v does not hold its value", test.name, test.got)
		}
	}
	if m.Raters != 3 || m.Subjects != 10 {
		t.Errorf("raters, subjects: got %d, %d, want 3, 10", m.Raters, m.Subjects)
	}
	want := []stats.LabelerKappa{{"ann", "bob", 1.0 / 3, 0.36363636363636365, 11}, {"ann", "cem", 0.5, 0.6, 10}, {"bob", "cem", 0.5161290322580644, 0.6938775510204083, 10}}
	for i, w := range want {
		got := m.Pairs[i]
		near(t, w.A+w.B, got.Cohen, w.Cohen, 1e-14)
		near(t, w.A+w.B+" linear", got.Linear, w.Linear, 1e-14)
		if got.A != w.A || got.B != w.B || got.Verdicts != w.Verdicts {
			t.Errorf("got %+v, want %+v", got, w)
		}
	}
}

func TestMeasureReliabilityUndefined(t *testing.T) {
	for name, items := range map[string][]stats.Item{
		"nothing":     nil,
		"one labeler": {{Rankings: []stats.Ranking{{"ann", []int{1, 2}}}}},
		"all tied":    {{Prompt: 1, Rankings: []stats.Ranking{{"ann", []int{1, 1}}, {"bob", []int{1, 1}}}}, {Prompt: 2, Rankings: []stats.Ranking{{"ann", []int{1, 1}}, {"bob", []int{1, 1}}}}},
	} {
		m := stats.MeasureReliability(items, 20, stream())
		for _, e := range []stats.Estimate{m.Nominal, m.Ordinal, m.Interval, m.Cohen, m.CohenLinear, m.Fleiss} {
			if !math.IsNaN(e.Value) || !math.IsNaN(e.Low) {
				t.Errorf("%s: got %+v, want NaN everywhere", name, m)
			}
		}
	}
}

// The mean of n places is (n+1)/2 whatever is tied.
func TestPlaces(t *testing.T) {
	if got := fmt.Sprint(stats.Places([]int{1, 1, 2, 3, 3, 3})); got != "[1.5 1.5 3 5 5 5]" {
		t.Errorf("got %s", got)
	}
}

// No measure depends on how the completions of an item are numbered.
func TestReliabilityDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var items, renumbered []stats.Item
		for p := range rapid.IntRange(1, 4).Draw(t, "items") {
			k := rapid.IntRange(2, 5).Draw(t, "k")
			order := rapid.Permutation(identity(k)).Draw(t, "order")
			a, b := stats.Item{Prompt: int64(p)}, stats.Item{Prompt: int64(p)}
			for _, name := range []string{"ann", "bob", "cem"} {
				x := rapid.SliceOfN(rapid.IntRange(1, 4), k, k).Draw(t, name)
				y := make([]int, k)
				for i, o := range order {
					y[i] = x[o]
				}
				a.Rankings = append(a.Rankings, stats.Ranking{Labeler: name, Ranks: x})
				b.Rankings = append(b.Rankings, stats.Ranking{Labeler: name, Ranks: y})
			}
			items, renumbered = append(items, a), append(renumbered, b)
		}
		x, y := stats.MeasureReliability(items, 0, nil), stats.MeasureReliability(renumbered, 0, nil)
		for i, e := range []stats.Estimate{x.Nominal, x.Ordinal, x.Interval, x.Cohen, x.CohenLinear, x.Fleiss} {
			f := []stats.Estimate{y.Nominal, y.Ordinal, y.Interval, y.Cohen, y.CohenLinear, y.Fleiss}[i]
			if math.Abs(e.Value-f.Value) > 1e-12 || math.IsNaN(e.Value) != math.IsNaN(f.Value) {
				t.Fatalf("measure %d of %+v: %v, renumbered %v", i, items, e.Value, f.Value)
			}
		}
	})
}

// 400 prompts, two labelers, two categories without ties: alpha of verdicts that agree on half the prompts is near 0, and the
// interval is 2*(.5 -+ .049) - 1, since chance agreement is one half and known within a few parts in a thousand.
func TestAlphaInterval(t *testing.T) {
	var units []stats.Unit
	for p := range 400 {
		second := float64((p + p/2) % 2)
		units = append(units, stats.Unit{Prompt: int64(p), Values: []float64{float64(p % 2), second}})
	}
	e := stats.MeasureAlpha(units, stats.Nominal, 2000, stream())
	near(t, "value", e.Value, 0, 0.005)
	near(t, "low", e.Low, -0.098, 0.01)
	near(t, "high", e.High, 0.098, 0.01)
}
