package gpt_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"rlhf/gpt"
	"rlhf/internal/kernel"
	"rlhf/internal/optim"
)

// anyKernel draws one of the machine's instruction sets, and returns what undoes it.
func anyKernel(r *rapid.T) func() {
	before := kernel.Name()
	var here []string
	for _, name := range kernel.Names {
		if kernel.Use(name) == nil {
			here = append(here, name)
		}
	}
	name := rapid.SampledFrom(here).Draw(r, "instruction set")
	if err := kernel.Use(name); err != nil {
		r.Fatal(err)
	}
	return func() {
		if err := kernel.Use(before); err != nil {
			r.Fatal(err)
		}
	}
}

// crowd draws so many sequences, of up to 40 tokens, that workers take chunks of rows of their own.
func crowd(r *rapid.T, m *gpt.Model) (out [][]int32) {
	for i := range rapid.IntRange(65, 90).Draw(r, "sequences") {
		s := make([]int32, 1+(i*7919)%40)
		for k := range s {
			s[k] = int32((i*31 + k*k*17 + k) % m.Config.VocabSize)
		}
		out = append(out, s)
	}
	return out
}

func pack(sequences [][]int32, temperature float32) gpt.Batch {
	b := gpt.Batch{Temperature: temperature}
	for i, s := range sequences {
		b.Append(s, gpt.NextTokens(s, i%5))
	}
	return b
}

// A sequence has the same log-probs and entropies alone and among 64 others, in a batch that is worked through in
// parts cut anywhere, and for 1 to 8 threads: whether workers take rows of their own or share each operation.
func TestAloneAmongOthersAndInParts(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		defer anyKernel(r)()
		m := drawModel(r, t, 0)
		sequences := crowd(r, m)
		run := func(threadCount int, sequences [][]int32, keep bool) (out []float32) {
			defer threads(threadCount)()
			p, b := gpt.NewPass(m), pack(sequences, .7)
			pass := p.Evaluate
			if keep {
				pass = p.Forward
			}
			o, err := pass(b)
			if err != nil {
				r.Fatal(err)
			}
			return slices.Concat(o.Logprobs, o.Entropy)
		}
		whole := run(rapid.IntRange(1, 8).Draw(r, "threads"), sequences, true)
		if !slices.Equal(whole, run(rapid.IntRange(1, 8).Draw(r, "other threads"), sequences, false)) {
			r.Fatal("the number of threads changed a bit")
		}
		n, row := len(whole)/2, 0
		// cut into parts anywhere, always after a multiple of five so that the targets are the same
		for start := 0; start < len(sequences); {
			end := min(start+5*rapid.IntRange(1, 9).Draw(r, "part"), len(sequences))
			got := run(2, sequences[start:end], true)
			rows := len(got) / 2
			if !slices.Equal(got[:rows], whole[row:row+rows]) || !slices.Equal(got[rows:], whole[n+row:n+row+rows]) {
				r.Fatalf("sequences %d to %d: another part of the batch, other bits", start, end)
			}
			start, row = end, row+rows
		}
		alone := run(1, sequences[:1], true)
		if k := len(alone) / 2; !slices.Equal(alone[:k], whole[:k]) {
			r.Fatal("the first sequence alone has other bits")
		}
	})
}

// Gradients of a large batch are the same bits for any number of threads, for both heads, whatever outputs are wanted.
func TestGradientsOfACrowd(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		defer anyKernel(r)()
		labels := rapid.IntRange(0, 1).Draw(r, "labels")
		m := drawModel(r, t, labels)
		sequences := crowd(r, m)
		b := pack(sequences, 1)
		if labels == 1 {
			b.Targets = nil
			if rapid.Bool().Draw(r, "some values only") {
				for i, s := range sequences {
					b.ValuesFrom = append(b.ValuesFrom, i%len(s))
				}
			}
		}
		run := func(n int) []float32 {
			defer threads(n)()
			p, dtheta := gpt.NewPass(m), make([]float32, len(m.Theta))
			if _, err := p.Forward(b); err != nil {
				r.Fatal(err)
			}
			d := gpt.Outputs{Logprobs: ramp(len(b.Tokens)), Entropy: ramp(len(b.Tokens))}
			if labels == 1 {
				d = gpt.Outputs{Values: ramp(len(b.Tokens)), Scores: ramp(len(b.Lens))}
			}
			if err := p.Backward(d, dtheta); err != nil {
				r.Fatal(err)
			}
			return dtheta
		}
		if !slices.Equal(run(1), run(rapid.IntRange(2, 8).Draw(r, "threads"))) {
			r.Fatal("the number of threads changed a bit")
		}
	})
}

// Values that are not wanted are 0 and change nothing: the others are the bits of a pass that wants all, and so is the
// gradient of a scalar that they are part of.
func TestValuesThatAreNotWanted(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := drawModel(r, t, 1)
		sequences := drawSequences(r, m, 1, 40)
		every, some := gpt.Batch{}, gpt.Batch{}
		d := gpt.Outputs{Scores: ramp(len(sequences))}
		for _, s := range sequences {
			from := rapid.IntRange(0, len(s)-1).Draw(r, "from")
			every.Append(s, nil)
			some.Append(s, nil)
			some.ValuesFrom = append(some.ValuesFrom, from)
			d.Values = append(append(d.Values, make([]float32, from)...), ramp(len(s)-from)...)
		}
		run := func(b gpt.Batch) (values, dtheta []float32) {
			p, dtheta := gpt.NewPass(m), make([]float32, len(m.Theta))
			o, err := p.Forward(b)
			if err != nil {
				r.Fatal(err)
			}
			values = slices.Concat(o.Values, o.Scores)
			if err := p.Backward(d, dtheta); err != nil {
				r.Fatal(err)
			}
			return values, dtheta
		}
		wantValues, wantGradient := run(every)
		values, gradient := run(some)
		row := 0
		for s, n := range some.Lens {
			for t := range n {
				if t < some.ValuesFrom[s] {
					wantValues[row+t] = 0
				}
			}
			row += n
		}
		if !slices.Equal(values, wantValues) {
			r.Fatal("wanting fewer values changed those wanted")
		}
		// zeros that are left out of a sum change no bit of it
		if !slices.Equal(gradient, wantGradient) {
			r.Fatal("leaving out what is not wanted changed the gradient")
		}
	})
}

// A model whose weights pass once for all slots, with all workers at each step, samples the bits of one worker alone.
func TestSharedStepsSampleTheSame(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 11_000, NPositions: 48, NEmbd: 96, NLayer: 2, NHead: 3}, 7)
	var queries []gpt.Query
	for i := range 11 {
		queries = append(queries, gpt.Query{Tokens: make([]int32, 1+3*i), Episode: uint64(i)})
	}
	var want []gpt.Completion
	for _, slots := range []int{64, 5, 1} {
		for _, n := range []int{1, 2, 5, 8} {
			undo := threads(n)
			got, err := m.Sample(context.Background(), queries, gpt.SampleConfig{MaxNewTokens: 9, Temperature: 1, Slots: slots, Seed: 3}, nil)
			undo()
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got
			}
			for i := range want {
				if !slices.Equal(got[i].Tokens, want[i].Tokens) || !slices.Equal(got[i].Logprobs, want[i].Logprobs) {
					t.Fatalf("%d slots, %d threads: completion %d differs", slots, n, i)
				}
			}
		}
	}
	b := gpt.Batch{}
	for i, q := range queries {
		tokens := slices.Concat(q.Tokens, want[i].Tokens)
		b.Append(tokens, gpt.NextTokens(tokens, len(q.Tokens)))
	}
	out, err := gpt.NewPass(m).Evaluate(b)
	if err != nil {
		t.Fatal(err)
	}
	row := 0
	for i, q := range queries {
		from := row + len(q.Tokens) - 1
		if !slices.Equal(out.Logprobs[from:from+len(want[i].Tokens)], want[i].Logprobs) {
			t.Fatalf("completion %d: trained and sampled log-probs differ", i)
		}
		row += b.Lens[i]
	}
}

// Once a pass, an optimizer and a sampler have seen a batch, they allocate nothing more, whatever their number of workers.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	for _, labels := range []int{0, 1} {
		for _, sequences := range []int{4, 40} { // operations shared, and chunks of rows
			for _, share := range []float32{0, .1} {
				t.Run(fmt.Sprint(labels, " labels, ", sequences, " sequences, dropout ", share), func(t *testing.T) { steadyPass(t, labels, sequences, share) })
			}
		}
	}
	m := random(t, gpt.Config{VocabSize: 700, NPositions: 64, NEmbd: 16, NLayer: 2, NHead: 2}, 1)
	queries := []gpt.Query{{Tokens: []int32{1, 2, 3}}, {Tokens: []int32{4}, Episode: 1}}
	allocations := func(tokens int) float64 {
		return leastAllocations(func() {
			if _, err := m.Sample(context.Background(), queries, gpt.SampleConfig{MaxNewTokens: tokens, Temperature: 1}, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := allocations(3), allocations(50); many > few {
		t.Errorf("%v allocations for 3 tokens, %v for 50: each step allocates", few, many)
	}
}

// leastAllocations returns the allocations of a run of f at its best: now and then Go's scheduler allocates for a
// goroutine that waits or starts, whatever f does; what f allocates itself, it allocates every time.
func leastAllocations(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 10 {
		least = min(least, testing.AllocsPerRun(2, f))
	}
	return least
}

func steadyPass(t *testing.T, labels, sequences int, share float32) {
	m := random(t, gpt.Config{VocabSize: 700, NPositions: 40, NEmbd: 16, NLayer: 2, NHead: 2, NLabels: labels}, 1)
	b := gpt.Batch{Dropout: gpt.Dropout{Embd: share, Attn: share, Resid: share}}
	for range sequences {
		s := make([]int32, 30)
		if labels == 0 {
			b.Append(s, gpt.NextTokens(s, 9))
		} else {
			b.Append(s, nil)
		}
	}
	p, dtheta := gpt.NewPass(m), make([]float32, len(m.Theta))
	adam := optim.NewAdamW(optim.Config{Beta1: .9, Beta2: .95, Eps: 1e-8}, m.Config.Tensors())
	d := gpt.Outputs{Logprobs: ramp(len(b.Tokens))}
	if labels == 1 {
		d = gpt.Outputs{Values: ramp(len(b.Tokens))}
	}
	if got := leastAllocations(func() {
		if _, err := p.Forward(b); err != nil {
			t.Fatal(err)
		}
		if err := p.Backward(d, dtheta); err != nil {
			t.Fatal(err)
		}
		adam.Update(m.Theta, dtheta, 1e-3, adam.GradNorm(dtheta))
		m.Changed()
		if _, err := p.Evaluate(b); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations a step", got)
	}
}
