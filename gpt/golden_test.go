package gpt_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rlhf/gpt"
	"rlhf/gpt/hf"
	"rlhf/internal/kernel"
	"rlhf/internal/optim"
)

// golden is testdata/lm/golden.json, made with the PyTorch and transformers named in it.
type golden struct {
	Sequences [][]int32
	LossFrom  []int       `json:"loss_from"`
	Logits    [][]float64 // (T, V) row by row
	Logprobs  [][]float64
	Loss      float64
	GradNorm  float64 `json:"grad_norm"`
	AdamW     struct {
		LR          float64
		Betas       []float64
		Eps         float64
		WeightDecay string  `json:"weight_decay"` // in words
		Clip        float64 `json:"clip_grad_norm"`
		Losses      []float64
		GradNorms   []float64 `json:"grad_norms"`
	}
	Greedy struct {
		Prompts, Tokens [][]int32
	}
	Sampling struct {
		Prompt []int32
		Logits []float64
		Probs  map[string][]float64
	}
}

func loadGolden(t *testing.T) (*gpt.Model, golden) {
	t.Helper()
	raw, err := os.ReadFile("testdata/lm/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	m, err := hf.Load("testdata/lm")
	if err != nil {
		t.Fatal(err)
	}
	return m, g
}

// eachKernel runs f on every instruction set this machine has.
func eachKernel(t *testing.T, f func(t *testing.T)) {
	inUse := kernel.Name()
	defer kernel.Use(inUse)
	for _, name := range kernel.Names {
		if kernel.Use(name) == nil {
			t.Run(name, f)
		}
	}
}

// learnt returns the golden sequences as a batch whose targets are the tokens from loss_from on.
func (g golden) learnt() (b gpt.Batch, tokens int) {
	for i, s := range g.Sequences {
		targets := gpt.NextTokens(s, g.LossFrom[i])
		for _, target := range targets {
			if target >= 0 {
				tokens++
			}
		}
		b.Append(s, targets)
	}
	return b, tokens
}

// step runs forward and backward of the mean cross-entropy and returns the loss.
func step(t *testing.T, p *gpt.Pass, b gpt.Batch, tokens int, dtheta []float32) (loss float64) {
	t.Helper()
	out, err := p.Forward(b)
	if err != nil {
		t.Fatal(err)
	}
	d := make([]float32, len(b.Tokens))
	for n, target := range b.Targets {
		if target >= 0 {
			loss -= float64(out.Logprobs[n]) / float64(tokens)
			d[n] = -1 / float32(tokens)
		}
	}
	clear(dtheta)
	if err := p.Backward(gpt.Outputs{Logprobs: d}, dtheta); err != nil {
		t.Fatal(err)
	}
	return loss
}

// The differences of two logits are the differences of log-probs, so all tokens' log-probs show all logits but for
// one number a row, which the softmax drops.
func TestGoldenLogits(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		m, g := loadGolden(t)
		p := gpt.NewPass(m)
		V := m.Config.VocabSize
		for i, s := range g.Sequences {
			for v := range m.Config.VocabSize {
				targets := make([]int32, len(s))
				for n := range targets {
					targets[n] = int32(v)
				}
				b := gpt.Batch{}
				b.Append(s, targets)
				out, err := p.Evaluate(b)
				if err != nil {
					t.Fatal(err)
				}
				for n := range s {
					row := g.Logits[i][n*V : (n+1)*V]
					if want := row[v] - logSumExp(row); math.Abs(float64(out.Logprobs[n])-want) > 1e-5 {
						t.Fatalf("sequence %d, position %d, token %d: log-prob %v, want %v", i, n, v, out.Logprobs[n], want)
					}
				}
			}
		}
	})
}

func logSumExp(x []float64) float64 {
	top, sum := slices.Max(x), 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

func TestGoldenGradients(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		m, g := loadGolden(t)
		b, tokens := g.learnt()
		dtheta := make([]float32, len(m.Theta))
		loss := step(t, gpt.NewPass(m), b, tokens, dtheta)
		if math.Abs(loss-g.Loss) > 1e-5*g.Loss {
			t.Errorf("loss %v, want %v", loss, g.Loss)
		}
		if norm := optim.NewAdamW(optim.Config{}, m.Config.Tensors()).GradNorm(dtheta); math.Abs(norm-g.GradNorm) > 1e-4*g.GradNorm {
			t.Errorf("gradient norm %v, want %v", norm, g.GradNorm)
		}
		grads, err := hf.ReadSafetensors(filepath.Join("testdata/lm", "grads.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		for _, want := range grads {
			for _, p := range m.Config.Tensors() {
				if p.Name != want.Name {
					continue
				}
				checked++
				diff, norm := 0.0, 0.0
				for k, w := range want.Data {
					d := float64(dtheta[p.Offset+k]) - float64(w)
					diff, norm = diff+d*d, norm+float64(w)*float64(w)
				}
				if !(math.Sqrt(diff) <= 1e-4*math.Sqrt(norm)+1e-7) {
					t.Errorf("%s: off by %g of %g", p.Name, math.Sqrt(diff), math.Sqrt(norm))
				}
			}
		}
		if checked != len(m.Config.Tensors()) {
			t.Errorf("%d of %d gradients checked", checked, len(m.Config.Tensors()))
		}
	})
}

func TestGoldenAdamW(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		m, g := loadGolden(t)
		b, tokens := g.learnt()
		p, dtheta := gpt.NewPass(m), make([]float32, len(m.Theta))
		a := optim.NewAdamW(optim.Config{Beta1: g.AdamW.Betas[0], Beta2: g.AdamW.Betas[1], Eps: g.AdamW.Eps, WeightDecay: .1}, m.Config.Tensors())
		if len(g.AdamW.Losses) != 10 || g.AdamW.WeightDecay != "0.1 on tensors of 2 or more dimensions" {
			t.Fatalf("%d losses, decay %s", len(g.AdamW.Losses), g.AdamW.WeightDecay)
		}
		for i, want := range g.AdamW.Losses {
			loss := step(t, p, b, tokens, dtheta)
			if math.Abs(loss-want) > 1e-4*want {
				t.Errorf("step %d: loss %v, want %v", i, loss, want)
			}
			norm := a.GradNorm(dtheta)
			if math.Abs(norm-g.AdamW.GradNorms[i]) > 1e-3*g.AdamW.GradNorms[i] {
				t.Errorf("step %d: gradient norm %v, want %v", i, norm, g.AdamW.GradNorms[i])
			}
			a.Update(m.Theta, dtheta, g.AdamW.LR, optim.ClipScale(norm, g.AdamW.Clip))
			m.Changed()
		}
	})
}

func TestGoldenGreedy(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		m, g := loadGolden(t)
		var queries []gpt.Query
		longest := 0
		for i, prompt := range g.Greedy.Prompts {
			queries = append(queries, gpt.Query{Tokens: prompt})
			longest = max(longest, len(g.Greedy.Tokens[i]))
		}
		got, err := m.Sample(context.Background(), queries, gpt.SampleConfig{MaxNewTokens: longest}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range g.Greedy.Tokens {
			if !slices.Equal(got[i].Tokens, want) {
				t.Errorf("prompt %d: got %v, want %v", i, got[i].Tokens, want)
			}
		}
	})
}

// 40,000 draws at temperature .7 against the probabilities of the golden logits: Pearson's chi-square over the
// tokens expected five times or more stays below its mean plus five standard deviations.
func TestSamplingFollowsTheDistribution(t *testing.T) {
	m, g := loadGolden(t)
	const draws, temperature = 40_000, .7
	queries := make([]gpt.Query, draws)
	for i := range queries {
		queries[i] = gpt.Query{Tokens: g.Sampling.Prompt, Episode: uint64(i)}
	}
	got, err := m.Sample(context.Background(), queries, gpt.SampleConfig{MaxNewTokens: 1, Temperature: temperature, Seed: 3, Purpose: "test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]float64, m.Config.VocabSize)
	for _, c := range got {
		counts[c.Tokens[0]]++
	}
	scaled := make([]float64, len(counts))
	for v := range scaled {
		scaled[v] = g.Sampling.Logits[v] / temperature
	}
	lse, chi, cells := logSumExp(scaled), 0.0, 0.0
	for v, n := range counts {
		if want := draws * math.Exp(scaled[v]-lse); want >= 5 {
			chi += (n - want) * (n - want) / want
			cells++
		}
	}
	if limit := cells + 5*math.Sqrt(2*cells); chi > limit || cells < 20 {
		t.Errorf("chi-square %v over %v tokens, limit %v", chi, cells, limit)
	}
}
