package gpt_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"rlhf/gpt"
)

// A pass with dropout has the outputs of a naive one in float64 with the same masks, and gradients of its slopes.
func TestDropoutAgainstNaive(t *testing.T) {
	for name, c := range map[string]gpt.Config{
		"tied head": {VocabSize: 11, NPositions: 9, NEmbd: 6, NLayer: 2, NHead: 2},
		"own head":  {VocabSize: 11, NPositions: 9, NEmbd: 6, NLayer: 1, NHead: 3, NInner: 7, OwnHead: true},
		"score":     {VocabSize: 11, NPositions: 9, NEmbd: 6, NLayer: 2, NHead: 1, NLabels: 1},
	} {
		for _, d := range []gpt.Dropout{{}, {Embd: .3}, {Attn: .4}, {Resid: .2}, {Embd: .1, Attn: .2, Resid: .3}} {
			d.Seed, d.Step, d.First = 3, 4, 1<<33
			t.Run(fmt.Sprint(name, " ", d.Embd, d.Attn, d.Resid), func(t *testing.T) {
				eachKernel(t, func(t *testing.T) { testNaive(t, c, d) })
			})
		}
	}
}

func testNaive(t *testing.T, c gpt.Config, d gpt.Dropout) {
	m := random(t, c, 2)
	b := gpt.Batch{Dropout: d}
	for i, s := range [][]int32{{3, 1, 10, 0, 7, 7, 2, 5, 9}, {4, 6}, {8, 8, 1, 2, 3}} {
		if c.NLabels == 0 {
			b.Append(s, gpt.NextTokens(s, 1+i)) // the last layer leaves rows out
		} else {
			b.Append(s, nil)
		}
	}
	p, weights := gpt.NewPass(m), ramp(len(b.Tokens))
	out, err := p.Forward(b)
	if err != nil {
		t.Fatal(err)
	}
	got, dout := out.Logprobs, gpt.Outputs{Logprobs: weights}
	if c.NLabels > 0 {
		got, dout = out.Values, gpt.Outputs{Values: weights}
	}
	n := newNaive(m, d)
	for i, want := range n.outputs(b) {
		if math.Abs(float64(got[i])-want) > 1e-5 {
			t.Fatalf("output %d: got %v, want %v", i, got[i], want)
		}
	}
	dtheta := make([]float32, len(m.Theta))
	if err := p.Backward(dout, dtheta); err != nil {
		t.Fatal(err)
	}
	scalar := func() (sum float64) {
		for i, v := range n.outputs(b) {
			sum += float64(weights[i]) * v
		}
		return sum
	}
	const h = 1e-5
	for i := 0; i < len(n.theta); i += 11 {
		at := n.theta[i]
		n.theta[i] = at + h
		up := scalar()
		n.theta[i] = at - h
		want := (up - scalar()) / (2 * h)
		n.theta[i] = at
		if math.Abs(float64(dtheta[i])-want) > 1e-4*max(1, math.Abs(want)) { // sums of some dozens of terms, each to 1e-6
			t.Fatalf("gradient of parameter %d: got %v, want %v", i, dtheta[i], want)
		}
	}
}

func drawDropout(r *rapid.T) gpt.Dropout {
	share := rapid.SampledFrom([]float32{0, .1, .5})
	return gpt.Dropout{Embd: share.Draw(r, "embd_pdrop"), Attn: share.Draw(r, "attn_pdrop"), Resid: share.Draw(r, "resid_pdrop"),
		Seed: rapid.Uint64().Draw(r, "dropout seed"), Step: rapid.Uint64().Draw(r, "step"), First: rapid.Uint64Range(0, 1<<40).Draw(r, "first")}
}

// With dropout too a sequence has the same bits alone, in company and in parts of the batch, for any number of threads,
// kept for a backward pass or not; and the gradient of the parts, one after another, is the whole's.
func TestDropoutDoesNotDependOnCompany(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		defer anyKernel(r)()
		m, d := drawModel(r, t, 0), drawDropout(r)
		sequences := crowd(r, m)
		if rapid.Bool().Draw(r, "few") {
			sequences = sequences[:7]
		}
		whole := pack(sequences, 1)
		whole.Dropout = d
		run := func(b gpt.Batch, grads []float32) []float32 {
			defer threads(rapid.IntRange(1, 8).Draw(r, "threads"))()
			p := gpt.NewPass(m)
			if grads == nil {
				out, err := p.Evaluate(b)
				if err != nil {
					r.Fatal(err)
				}
				return slices.Concat(out.Logprobs, out.Entropy)
			}
			out, err := p.Forward(b)
			if err != nil {
				r.Fatal(err)
			}
			if err := p.Backward(gpt.Outputs{Logprobs: slices.Repeat([]float32{1}, len(b.Tokens))}, grads); err != nil {
				r.Fatal(err)
			}
			return slices.Concat(out.Logprobs, out.Entropy)
		}
		want, again, inParts := make([]float32, len(m.Theta)), make([]float32, len(m.Theta)), make([]float32, len(m.Theta))
		numbers := run(whole, want)
		if !slices.Equal(numbers, run(whole, again)) || !slices.Equal(want, again) || !slices.Equal(numbers, run(whole, nil)) {
			r.Fatal("the number of threads, or keeping nothing, changed a bit")
		}
		n, row := len(numbers)/2, 0
		for start := 0; start < len(sequences); {
			end := min(start+5*rapid.IntRange(1, 9).Draw(r, "part"), len(sequences))
			b := pack(sequences[start:end], 1)
			b.Dropout = d
			b.Dropout.First += uint64(start)
			got := run(b, inParts)
			rows := len(got) / 2
			if !slices.Equal(got[:rows], numbers[row:row+rows]) || !slices.Equal(got[rows:], numbers[n+row:n+row+rows]) {
				r.Fatalf("sequences %d to %d: another part of the batch, other bits", start, end)
			}
			start, row = end, row+rows
		}
		for _, tensor := range m.Config.Tensors() {
			from, to := tensor.Offset, tensor.Offset+tensor.Size()
			if tensor.Name != "transformer.wte.weight" && !slices.Equal(want[from:to], inParts[from:to]) { // a tied embedding adds head and tokens part by part
				r.Fatalf("%s: the gradient in parts is not the whole's", tensor.Name)
			}
		}
	})
}

// Each share, the seed, the step and the place in the whole batch matter; none is dropout that is not asked for.
func TestDropoutSettingsMatter(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 20, NPositions: 30, NEmbd: 16, NLayer: 2, NHead: 2}, 1)
	s := make([]int32, 30)
	run := func(d gpt.Dropout) string {
		b := gpt.Batch{Dropout: d}
		b.Append(s, gpt.NextTokens(s, 1))
		out, err := gpt.NewPass(m).Evaluate(b)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(out.Logprobs)
	}
	seen := map[string]gpt.Dropout{}
	for _, d := range []gpt.Dropout{{}, {Embd: .1}, {Attn: .1}, {Resid: .1}, {Resid: .2}, {Resid: .1, Seed: 1}, {Resid: .1, Step: 1}, {Resid: .1, First: 1}} {
		got := run(d)
		if other, ok := seen[got]; ok {
			t.Errorf("%+v and %+v give the same", d, other)
		}
		seen[got] = d
	}
	if run(gpt.Dropout{Seed: 7, Step: 8, First: 9}) != run(gpt.Dropout{}) {
		t.Error("a seed alone drops something")
	}
}

func TestDropoutRefusals(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 10, NPositions: 8, NEmbd: 8, NLayer: 1, NHead: 2}, 1)
	for want, d := range map[string]gpt.Dropout{
		"embd_pdrop: must be at least 0 and below 1 (got 1)":     {Embd: 1},
		"attn_pdrop: must be at least 0 and below 1 (got -0.1)":  {Attn: -.1},
		"resid_pdrop: must be at least 0 and below 1 (got NaN)":  {Resid: float32(math.NaN())},
		"resid_pdrop: must be at least 0 and below 1 (got +Inf)": {Resid: float32(math.Inf(1))},
	} {
		if _, err := gpt.NewPass(m).Forward(gpt.Batch{Tokens: []int32{1}, Lens: []int{1}, Dropout: d}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
