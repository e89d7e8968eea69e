package gpt_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"rlhf/gpt"
)

// Contexts of 4,096 positions: log-probs and the slope along a direction are those of the naive model in float64, with and
// without dropout, and what the sampler writes up to the last position has the trainer's bits.
func TestLongContexts(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds of the naive model")
	}
	const T = 4096
	m := random(t, gpt.Config{VocabSize: 50, NPositions: T, NEmbd: 8, NLayer: 1, NHead: 2}, 1)
	query := gpt.Query{Tokens: make([]int32, T-40)}
	for i := range query.Tokens {
		query.Tokens[i] = int32((i*i*17 + i) % 50)
	}
	sampled, err := m.Sample(context.Background(), []gpt.Query{query}, gpt.SampleConfig{MaxNewTokens: T, Temperature: 1, Seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(sampled[0].Tokens); n != 40 {
		t.Fatalf("%d tokens fill the context up, want 40", n)
	}
	tokens := slices.Concat(query.Tokens, sampled[0].Tokens)
	b := gpt.Batch{}
	b.Append(tokens, gpt.NextTokens(tokens, 1))
	out, err := gpt.NewPass(m).Forward(b)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(out.Logprobs[len(query.Tokens)-1:T-1], sampled[0].Logprobs) {
		t.Error("trained and sampled log-probs differ")
	}
	for name, d := range map[string]gpt.Dropout{"no dropout": {}, "dropout": {Embd: .1, Attn: .1, Resid: .1, Seed: 5}} {
		b.Dropout = d
		n := newNaive(m, d)
		want := n.outputs(b)
		direction, slope := make([]float64, len(n.theta)), 0.0
		for i := range direction {
			direction[i] = float64(i%5) - 2
		}
		const h = 1e-6
		for _, sign := range []float64{1, -1} {
			for i, v := range m.Theta {
				n.theta[i] = float64(v) + sign*h*direction[i]
			}
			for _, v := range n.outputs(b) {
				slope += sign * v / (2 * h)
			}
		}
		t.Run(name, func(t *testing.T) {
			eachKernel(t, func(t *testing.T) { testLong(t, m, b, want, direction, slope) })
		})
	}
}

func testLong(t *testing.T, m *gpt.Model, b gpt.Batch, want, direction []float64, slope float64) {
	p := gpt.NewPass(m)
	out, err := p.Forward(b)
	if err != nil {
		t.Fatal(err)
	}
	for n := range want {
		if math.Abs(float64(out.Logprobs[n])-want[n]) > 1e-5*max(1, math.Abs(want[n])) {
			t.Fatalf("position %d: log-prob %v, want %v", n, out.Logprobs[n], want[n])
		}
	}
	dtheta, got, size := make([]float32, len(m.Theta)), 0.0, 0.0
	if err := p.Backward(gpt.Outputs{Logprobs: slices.Repeat([]float32{1}, len(want))}, dtheta); err != nil {
		t.Fatal(err)
	}
	for i, g := range dtheta {
		got += float64(g) * direction[i]
		size += math.Abs(float64(g) * direction[i])
	}
	if math.Abs(got-slope) > 2e-5*size { // the terms of the slope partly cancel
		t.Errorf("slope %v, want %v, of terms of %v", got, slope, size)
	}
}
