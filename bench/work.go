package bench

import (
	"context"
	"fmt"

	"rlhf/gpt"
	"rlhf/internal/kernel"
	"rlhf/internal/optim"
)

// Work is a case's workload, ready to run.
type Work struct {
	Items float64 // of the kind's unit in one iteration

	// Iterate runs one iteration and returns its floating-point operations.
	Iterate func() (flops float64, err error)

	// Digest identifies what the last iteration made, for a peer's to be the same; nil where none is made.
	Digest func() string

	// Close ends the workload.
	Close func()
}

// Open builds a case's workload. Its threads are for the caller to set
// (kernel.SetThreads): they are the whole process's.
func Open(c Case) (Work, error) {
	if err := kernel.Refused(); err != nil {
		return Work{}, err
	}
	switch c.Kind {
	case Train:
		return openTrain(c)
	case Sample:
		return openSample(c)
	case PPO:
		return openPPO(c)
	case Encode:
		return openEncode(c)
	case Learn:
		return openLearn(c)
	}
	return Work{}, fmt.Errorf("case %s: kind %q is none of ours", c.Name, c.Kind)
}

// newModel returns a model with GPT-2's initial parameters.
func newModel(s Shape, nLabels int) (*gpt.Model, error) {
	m, err := gpt.New(s.Config(nLabels))
	if err != nil {
		return nil, err
	}
	m.Init(1)
	return m, nil
}

// tokens returns n token ids that repeat in no short pattern, another row for each i.
func tokens(i, n, vocabulary int) []int32 {
	out := make([]int32, n)
	for k := range out {
		out[k] = int32((i*7919 + k*104729 + k*k*31) % vocabulary)
	}
	return out
}

// openTrain is forward, backward, clipping and AdamW over one batch, the loss being the mean of the next tokens' log-probs.
func openTrain(c Case) (Work, error) {
	m, err := newModel(c.Shape, 0)
	if err != nil {
		return Work{}, err
	}
	var batch gpt.Batch
	for i := range c.Batch {
		sequence := tokens(i, c.Length, c.Shape.VocabSize)
		batch.Append(sequence, gpt.NextTokens(sequence, 1))
	}
	p, dtheta := gpt.NewPass(m), make([]float32, len(m.Theta))
	d := gpt.Outputs{Logprobs: make([]float32, len(batch.Tokens))}
	for i := range d.Logprobs {
		d.Logprobs[i] = -1 / float32(c.Batch*(c.Length-1))
	}
	adam := optim.NewAdamW(optim.Config{Beta1: .9, Beta2: .95, Eps: 1e-8, WeightDecay: .1}, m.Config.Tensors())
	flops := float64(c.Batch) * Training(m.Config, c.Length, c.Length-1)
	step := func() (float64, error) {
		if _, err := p.Forward(batch); err != nil {
			return 0, err
		}
		if err := p.Backward(d, dtheta); err != nil {
			return 0, err
		}
		adam.Update(m.Theta, dtheta, 1e-4, optim.ClipScale(adam.GradNorm(dtheta), 1))
		m.Changed()
		return flops, nil
	}
	return Work{Items: float64(c.Batch * c.Length), Iterate: step, Close: func() {}}, nil
}

// openSample is one call of Sample for the whole batch.
func openSample(c Case) (Work, error) {
	m, err := newModel(c.Shape, 0)
	if err != nil {
		return Work{}, err
	}
	var queries []gpt.Query
	for i := range c.Batch {
		queries = append(queries, gpt.Query{Episode: uint64(i), Tokens: tokens(i, c.Length, c.Shape.VocabSize)})
	}
	how := gpt.SampleConfig{MaxNewTokens: c.New, Temperature: 1, Seed: 1}
	flops := float64(c.Batch) * Sampling(m.Config, c.Length, c.New)
	complete := func() (float64, error) {
		how.Seed++
		_, err := m.Sample(context.Background(), queries, how, nil)
		return flops, err
	}
	return Work{Items: float64(c.Batch * c.New), Iterate: complete, Close: func() {}}, nil
}
