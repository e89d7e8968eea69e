package bench

import (
	"context"
	"fmt"
	"testing"

	"rlhf/gpt"
	"rlhf/internal/kernel"
	"rlhf/internal/optim"
)

// sizes are the shapes measured here and in peers.py.
var sizes = []struct {
	name                    string
	layers, heads, width, v int
	batch, length           int
}{
	{"0.9M", 4, 4, 128, 512, 32, 64},
	{"10.9M", 6, 6, 384, 512, 16, 128},
}

func model(b *testing.B, layers, heads, width, v int) *gpt.Model {
	b.Helper()
	m, err := gpt.New(gpt.Config{VocabSize: v, NPositions: 128, NEmbd: width, NLayer: layers, NHead: heads, LayerNormEpsilon: 1e-5})
	if err != nil {
		b.Fatal(err)
	}
	m.Init(1)
	return m
}

// BenchmarkTrainStep is forward, backward, clipping and AdamW.
func BenchmarkTrainStep(b *testing.B) {
	for _, s := range sizes {
		b.Run(fmt.Sprintf("%s/%s", s.name, kernel.Name()), func(b *testing.B) {
			m := model(b, s.layers, s.heads, s.width, s.v)
			var batch gpt.Batch
			for i := range s.batch {
				tokens := make([]int32, s.length)
				for k := range tokens {
					tokens[k] = int32((i*7919 + k*104729) % s.v)
				}
				batch.Append(tokens, gpt.NextTokens(tokens, 1))
			}
			p, dtheta, d := gpt.NewPass(m), make([]float32, len(m.Theta)), make([]float32, len(batch.Tokens))
			for i := range d {
				d[i] = -1 / float32(len(d))
			}
			adam := optim.NewAdamW(optim.Config{Beta1: .9, Beta2: .95, Eps: 1e-8, WeightDecay: .1}, m.Config.Tensors())
			for b.Loop() {
				clear(dtheta)
				if _, err := p.Forward(batch); err != nil {
					b.Fatal(err)
				}
				if err := p.Backward(gpt.Outputs{Logprobs: d}, dtheta); err != nil {
					b.Fatal(err)
				}
				adam.Update(m.Theta, dtheta, 1e-3, optim.ClipScale(optim.GradNorm(dtheta), 1))
				m.Changed()
			}
			rate(b, len(batch.Tokens)*b.N, 6, m)
		})
	}
}

// BenchmarkSample is 64 completions of 64 tokens of prompts of 16.
func BenchmarkSample(b *testing.B) {
	for _, s := range sizes {
		b.Run(fmt.Sprintf("%s/%s", s.name, kernel.Name()), func(b *testing.B) {
			m := model(b, s.layers, s.heads, s.width, s.v)
			var queries []gpt.Query
			for i := range 64 {
				q := gpt.Query{Episode: uint64(i), Tokens: make([]int32, 16)}
				for k := range q.Tokens {
					q.Tokens[k] = int32((i*31 + k*17) % s.v)
				}
				queries = append(queries, q)
			}
			for b.Loop() {
				if _, err := m.Sample(context.Background(), queries, gpt.SampleConfig{MaxNewTokens: 64, Temperature: 1, Seed: 1}, nil); err != nil {
					b.Fatal(err)
				}
			}
			rate(b, 64*64*b.N, 2, m)
		})
	}
}

func rate(b *testing.B, tokens, operations int, m *gpt.Model) {
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(tokens)/seconds, "tok/s")
	b.ReportMetric(float64(tokens)*float64(operations)*float64(len(m.Theta))/seconds/1e9, "GF/s")
}
