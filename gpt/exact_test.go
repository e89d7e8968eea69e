package gpt_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"rlhf/gpt"
	"rlhf/internal/kernel"
	"rlhf/internal/rng"
)

// random returns a model whose parameters are far enough from their start for every path to matter.
func random(t testing.TB, c gpt.Config, seed uint64) *gpt.Model {
	t.Helper()
	c.LayerNormEpsilon = 1e-5
	m, err := gpt.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Init(seed)
	r := rng.New(seed, "test/theta", 0)
	for i := range m.Theta {
		m.Theta[i] += float32(.1 * r.NormFloat64())
	}
	m.Changed()
	return m
}

// drawModel draws a small model of odd sizes.
func drawModel(t *rapid.T, tb testing.TB, labels int) *gpt.Model {
	heads := rapid.IntRange(1, 3).Draw(t, "heads")
	return random(tb, gpt.Config{VocabSize: rapid.IntRange(2, 600).Draw(t, "vocabulary"), NPositions: 40, NEmbd: heads * rapid.IntRange(1, 20).Draw(t, "head width"),
		NLayer: rapid.IntRange(1, 2).Draw(t, "layers"), NHead: heads, NLabels: labels, NInner: rapid.IntRange(0, 90).Draw(t, "channels of the MLP"),
		Activation: rapid.SampledFrom(gpt.Activations()).Draw(t, "activation"), OwnHead: labels == 0 && rapid.Bool().Draw(t, "a head of its own")}, rapid.Uint64().Draw(t, "seed"))
}

// drawSequences draws sequences of the model's tokens.
func drawSequences(t *rapid.T, m *gpt.Model, least, most int) (out [][]int32) {
	token := rapid.Int32Range(0, int32(m.Config.VocabSize-1))
	for range rapid.IntRange(1, 9).Draw(t, "sequences") {
		out = append(out, rapid.SliceOfN(token, least, most).Draw(t, "sequence"))
	}
	return out
}

// threads sets the number of workers and returns what undoes it.
func threads(n int) func() {
	before := kernel.Threads()
	kernel.SetThreads(n)
	return func() { kernel.SetThreads(before) }
}

// A sequence's numbers are the same bits sampled token by token, in a training pass among others, in any packing
// order, alone, and without keeping anything; for any number of slots and threads.
func TestSamplerTrainerAndEvaluatorAgreeToTheBit(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		defer anyKernel(r)()
		defer threads(rapid.IntRange(1, 8).Draw(r, "threads"))()
		m := drawModel(r, t, 0)
		queries := drawSequences(r, m, 1, 20)
		temperature := rapid.SampledFrom([]float32{.3, .7, 1, 1.7}).Draw(r, "temperature")
		var q []gpt.Query
		for i, tokens := range queries {
			q = append(q, gpt.Query{Tokens: tokens, Episode: uint64(i)})
		}
		c := gpt.SampleConfig{MaxNewTokens: 12, Temperature: temperature, StopTokens: []int32{1}, Slots: rapid.IntRange(1, 9).Draw(r, "slots"), Seed: 5, Purpose: "test"}
		sampled, err := m.Sample(context.Background(), q, c, nil)
		if err != nil {
			r.Fatal(err)
		}
		c.Slots = 3
		again, err := m.Sample(context.Background(), q, c, nil)
		if err != nil {
			r.Fatal(err)
		}
		for i := range sampled {
			if !slices.Equal(sampled[i].Tokens, again[i].Tokens) || !slices.Equal(sampled[i].Logprobs, again[i].Logprobs) {
				r.Fatalf("completion %d depends on the slots", i)
			}
		}
		order := rapid.Permutation(indices(len(queries))).Draw(r, "order")
		b := gpt.Batch{Temperature: temperature}
		for _, i := range order {
			tokens := slices.Concat(queries[i], sampled[i].Tokens)
			b.Append(tokens, gpt.NextTokens(tokens, len(queries[i])))
		}
		trained, err := gpt.NewPass(m).Forward(b)
		if err != nil {
			r.Fatal(err)
		}
		evaluated, err := gpt.NewPass(m).Evaluate(b)
		if err != nil {
			r.Fatal(err)
		}
		if !slices.Equal(trained.Logprobs, evaluated.Logprobs) || !slices.Equal(trained.Entropy, evaluated.Entropy) {
			r.Fatal("Forward and Evaluate differ")
		}
		row := 0
		for _, i := range order {
			from := row + len(queries[i]) - 1
			if got := trained.Logprobs[from : from+len(sampled[i].Tokens)]; !slices.Equal(got, sampled[i].Logprobs) {
				r.Fatalf("sequence %d: trained %v, sampled %v", i, got, sampled[i].Logprobs)
			}
			row += len(queries[i]) + len(sampled[i].Tokens)
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// Gradients, values and scores are the same bits for any number of threads, and a sequence's value does not depend on its company.
func TestGradientsDoNotDependOnThreads(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		defer anyKernel(r)()
		labels := rapid.IntRange(0, 1).Draw(r, "labels")
		m := drawModel(r, t, labels)
		var b gpt.Batch
		for _, s := range drawSequences(r, m, 1, 40) {
			if labels == 0 {
				b.Append(s, gpt.NextTokens(s, 1))
			} else {
				b.Append(s, nil)
			}
		}
		run := func(n int) (dtheta, values []float32) {
			defer threads(n)()
			p, d := gpt.NewPass(m), gpt.Outputs{}
			out, err := p.Forward(b)
			if err != nil {
				r.Fatal(err)
			}
			if labels == 0 {
				d.Logprobs, d.Entropy = ramp(len(b.Tokens)), ramp(len(b.Tokens))
			} else {
				d.Values, d.Scores = ramp(len(b.Tokens)), ramp(len(b.Lens))
			}
			values = slices.Concat(out.Logprobs, out.Values, out.Scores)
			dtheta = make([]float32, len(m.Theta))
			if err := p.Backward(d, dtheta); err != nil {
				r.Fatal(err)
			}
			return dtheta, values
		}
		one, oneValues := run(1)
		many, manyValues := run(rapid.IntRange(2, 8).Draw(r, "threads"))
		if !slices.Equal(one, many) || !slices.Equal(oneValues, manyValues) {
			r.Fatal("the number of threads changed a bit")
		}
		if labels == 1 {
			alone := gpt.Batch{Tokens: b.Tokens[:b.Lens[0]], Lens: b.Lens[:1]}
			out, err := gpt.NewPass(m).Evaluate(alone)
			if err != nil {
				r.Fatal(err)
			}
			if !slices.Equal(out.Values, oneValues[len(b.Tokens):len(b.Tokens)+b.Lens[0]]) {
				r.Fatal("a sequence's values depend on its company")
			}
		}
	})
}

func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	return x
}

// A batch too large for its logits to be kept has the gradient of one that is small enough: the rows of two halves,
// worked through one after the other, add up in the same order.
func TestHeadInBlocksEqualsWhole(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 50_000, NPositions: 64, NEmbd: 8, NLayer: 1, NHead: 1}, 1)
	var b gpt.Batch
	for i := range 3 {
		s := make([]int32, 50)
		for k := range s {
			s[k] = int32((i*7919 + k*104729) % 50_000)
		}
		b.Append(s, gpt.NextTokens(s, 1))
	}
	gradient := func(p *gpt.Pass, b gpt.Batch, dtheta []float32) {
		if _, err := p.Forward(b); err != nil {
			t.Fatal(err)
		}
		if err := p.Backward(gpt.Outputs{Logprobs: ramp(150)[:len(b.Tokens)]}, dtheta); err != nil {
			t.Fatal(err)
		}
	}
	whole := make([]float32, len(m.Theta)) // 147 rows by 50,000: computed again in blocks
	gradient(gpt.NewPass(m), b, whole)
	kept := make([]float32, len(m.Theta)) // 49 rows at a time: kept
	p := gpt.NewPass(m)
	for i := range 3 {
		part := gpt.Batch{Tokens: b.Tokens[50*i : 50*i+50], Lens: []int{50}, Targets: b.Targets[50*i : 50*i+50]}
		if _, err := p.Forward(part); err != nil {
			t.Fatal(err)
		}
		if err := p.Backward(gpt.Outputs{Logprobs: ramp(150)[50*i : 50*i+50]}, kept); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"transformer.ln_f.weight", "transformer.h.0.mlp.c_fc.weight", "transformer.wpe.weight"} {
		for _, tensor := range m.Config.Tensors() {
			if tensor.Name == name && !slices.Equal(whole[tensor.Offset:tensor.Offset+tensor.Size()], kept[tensor.Offset:tensor.Offset+tensor.Size()]) {
				t.Errorf("%s: the gradient in parts is not the whole's bits", name)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	lm := random(t, gpt.Config{VocabSize: 10, NPositions: 8, NEmbd: 8, NLayer: 1, NHead: 2}, 1)
	rm := lm.WithHead(1)
	for _, test := range []struct {
		name string
		m    *gpt.Model
		b    gpt.Batch
		want string
	}{
		{"empty", lm, gpt.Batch{}, "batch: lengths add up to 0"},
		{"too long", lm, gpt.Batch{Tokens: make([]int32, 9), Lens: []int{9}}, "sequence 0: length 9, the model takes 1 to 8"},
		{"zero length", lm, gpt.Batch{Tokens: make([]int32, 2), Lens: []int{2, 0}}, "sequence 1: length 0"},
		{"missing tokens", lm, gpt.Batch{Tokens: make([]int32, 3), Lens: []int{4}}, "lengths add up to 4, found 3 tokens"},
		{"token", lm, gpt.Batch{Tokens: []int32{3, 10}, Lens: []int{2}}, "token 1: id 10, the vocabulary has 10"},
		{"negative token", lm, gpt.Batch{Tokens: []int32{-1}, Lens: []int{1}}, "token 0: id -1"},
		{"target", lm, gpt.Batch{Tokens: []int32{1}, Lens: []int{1}, Targets: []int32{10}}, "target 0: id 10"},
		{"few targets", lm, gpt.Batch{Tokens: []int32{1, 2}, Lens: []int{2}, Targets: []int32{1}}, "2 tokens but 1 targets"},
		{"values of a language model", lm, gpt.Batch{Tokens: []int32{1}, Lens: []int{1}, ValuesFrom: []int{0}}, "values wanted of a model without a score head"},
		{"few beginnings", rm, gpt.Batch{Tokens: []int32{1, 2}, Lens: []int{1, 1}, ValuesFrom: []int{0}}, "2 sequences but 1 beginnings of values"},
		{"values past the end", rm, gpt.Batch{Tokens: []int32{1, 2}, Lens: []int{2}, ValuesFrom: []int{2}}, "sequence 0: values from position 2 of 2"},
		{"targets of a reward model", rm, gpt.Batch{Tokens: []int32{1}, Lens: []int{1}, Targets: []int32{1}}, "score head"},
	} {
		p := gpt.NewPass(test.m)
		if _, err := p.Forward(test.b); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
		if err := p.Backward(gpt.Outputs{}, make([]float32, len(test.m.Theta))); !errors.Is(err, gpt.ErrNoForward) {
			t.Errorf("%s: backward after a refused pass: %v", test.name, err)
		}
	}
	p := gpt.NewPass(lm)
	if _, err := p.Evaluate(gpt.Batch{Tokens: []int32{1}, Lens: []int{1}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Backward(gpt.Outputs{}, nil); !errors.Is(err, gpt.ErrNoForward) {
		t.Errorf("backward after Evaluate: %v", err)
	}
	for want, q := range map[string]gpt.Query{"query 0: 0 tokens": {}, "query 0: 8 tokens": {Tokens: make([]int32, 8)}, "query 0: token id 11": {Tokens: []int32{11}}} {
		if _, err := lm.Sample(context.Background(), []gpt.Query{q}, gpt.SampleConfig{MaxNewTokens: 1}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := rm.Sample(context.Background(), nil, gpt.SampleConfig{MaxNewTokens: 1}, nil); err == nil {
		t.Error("a reward model sampled")
	}
	for want, c := range map[string]gpt.Config{"n_head: must divide n_embd 8 (got 3)": {VocabSize: 1, NPositions: 1, NEmbd: 8, NLayer: 1, NHead: 3, LayerNormEpsilon: 1},
		"vocab_size: must be at least 1 (got 0)": {}, "num_labels: must be 0 or 1 (got 2)": {VocabSize: 1, NPositions: 1, NEmbd: 8, NLayer: 1, NHead: 1, NLabels: 2, LayerNormEpsilon: 1},
		"tie_word_embeddings: ":               {VocabSize: 1, NPositions: 1, NEmbd: 8, NLayer: 1, NHead: 1, NLabels: 1, OwnHead: true, LayerNormEpsilon: 1},
		"n_inner: must not be negative (got ": {VocabSize: 1, NPositions: 1, NEmbd: 8, NLayer: 1, NHead: 1, NInner: -1, LayerNormEpsilon: 1},
		"activation_function: ":               {VocabSize: 1, NPositions: 1, NEmbd: 8, NLayer: 1, NHead: 1, Activation: "mish", LayerNormEpsilon: 1}} {
		if _, err := gpt.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestCancelledSamplingKeepsWhatIsFinished(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 10, NPositions: 40, NEmbd: 8, NLayer: 1, NHead: 2}, 1)
	queries := make([]gpt.Query, 50)
	for i := range queries {
		queries[i] = gpt.Query{Tokens: []int32{1}, Episode: uint64(i)}
	}
	ctx, cancel := context.WithCancel(context.Background())
	finished := 0
	out, err := m.Sample(ctx, queries, gpt.SampleConfig{MaxNewTokens: 30, Temperature: 1, Slots: 2}, func(int, gpt.Completion) {
		if finished++; finished == 10 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || finished < 10 || finished >= 50 {
		t.Errorf("%d finished, %v", finished, err)
	}
	whole := 0
	for i, c := range out {
		switch len(c.Tokens) {
		case 30:
			whole++
		case 0:
		default:
			t.Errorf("completion %d has %d of 30 tokens", i, len(c.Tokens))
		}
	}
	if whole != finished {
		t.Errorf("%d whole completions, %d were reported", whole, finished)
	}
}

func TestOneModelManyUsers(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 50, NPositions: 40, NEmbd: 16, NLayer: 2, NHead: 2}, 1)
	var wg sync.WaitGroup
	results := make([][]float32, 4)
	for k := range results {
		wg.Go(func() {
			if k%2 == 0 {
				out, err := m.Sample(context.Background(), []gpt.Query{{Tokens: []int32{1, 2}}, {Tokens: []int32{3}, Episode: 1}}, gpt.SampleConfig{MaxNewTokens: 20, Temperature: 1}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				results[k] = slices.Concat(out[0].Logprobs, out[1].Logprobs)
				return
			}
			out, err := gpt.NewPass(m).Evaluate(gpt.Batch{Tokens: []int32{1, 2, 3, 4}, Lens: []int{4}, Targets: []int32{2, 3, 4, 5}})
			if err != nil {
				t.Error(err)
				return
			}
			results[k] = slices.Clone(out.Logprobs)
		})
	}
	wg.Wait()
	if !slices.Equal(results[0], results[2]) || !slices.Equal(results[1], results[3]) {
		t.Error("users of one model disturb each other")
	}
}

// The table is in the order and shapes of a GPT2LMHeadModel whose config has tie_word_embeddings false and n_inner 5.
func TestTensorsOfAnOwnHead(t *testing.T) {
	c := gpt.Config{VocabSize: 11, NPositions: 3, NEmbd: 2, NLayer: 1, NHead: 1, NInner: 5, OwnHead: true}
	want := map[string][]int{"transformer.h.0.mlp.c_fc.weight": {2, 5}, "transformer.h.0.mlp.c_fc.bias": {5}, "transformer.h.0.mlp.c_proj.weight": {5, 2}, "lm_head.weight": {11, 2}}
	found := 0
	for _, tensor := range c.Tensors() {
		if shape, ok := want[tensor.Name]; ok {
			found++
			if !slices.Equal(shape, tensor.Shape) || tensor.Decay != (len(shape) == 2) {
				t.Errorf("%s: shape %v, decayed %t, want shape %v", tensor.Name, tensor.Shape, tensor.Decay, shape)
			}
		}
	}
	if last := c.Tensors()[len(c.Tensors())-1]; found != len(want) || last.Name != "lm_head.weight" {
		t.Errorf("%d of %d tensors found, the last is %s", found, len(want), last.Name)
	}
	if n := (gpt.Config{NEmbd: 12}).MLPDim(); n != 48 {
		t.Errorf("an MLP without NInner has %d channels, want 48", n)
	}
}

func TestHeads(t *testing.T) {
	lm := random(t, gpt.Config{VocabSize: 10, NPositions: 8, NEmbd: 8, NLayer: 1, NHead: 2}, 1)
	rm := lm.WithHead(1)
	if rm.Config.NLabels != 1 || len(rm.Theta) != len(lm.Theta)+8 || !slices.Equal(rm.Theta[:len(lm.Theta)], lm.Theta) || !slices.Equal(rm.Tensor("score.weight"), make([]float32, 8)) {
		t.Error("a score head changed the rest or is not zero")
	}
	own := random(t, gpt.Config{VocabSize: 10, NPositions: 8, NEmbd: 8, NLayer: 1, NHead: 2, NInner: 5, OwnHead: true}, 1)
	body := len(own.Theta) - 10*8
	score := own.WithHead(1)
	if score.Config.OwnHead || len(score.Theta) != body+8 || !slices.Equal(score.Theta[:body], own.Theta[:body]) || !slices.Equal(score.Tensor("score.weight"), make([]float32, 8)) {
		t.Error("a score head in place of a head of its own changed the rest or is not zero")
	}
	if back := score.WithHead(0); back.Config.OwnHead || !slices.Equal(back.Theta, own.Theta[:body]) {
		t.Error("the head of a model that was turned back is not tied")
	}
	if same := own.Clone(); same.Config != own.Config || !slices.Equal(same.Theta, own.Theta) {
		t.Error("a clone lost the head of its own")
	}
	clone := lm.Clone()
	clone.Theta[0]++
	if clone.Theta[0] == lm.Theta[0] || lm.Tensor("no.such.tensor") != nil {
		t.Error("a clone shares its parameters")
	}
}
