package reward

import (
	"context"
	"fmt"
	"math"
	"slices"

	"rlhf/gpt"
)

// Scorer scores sequences with a reward model. It may not be used concurrently.
type Scorer struct {
	Model *gpt.Model

	pass *gpt.Pass
}

// Scores returns the reward model's score at the last token of each sequence.
func (s *Scorer) Scores(ctx context.Context, sequences [][]int32) ([]float32, error) {
	if s.Model.Config.NLabels != 1 {
		return nil, fmt.Errorf("reward model: is a language model, expected one with a score head")
	}
	if s.pass == nil {
		s.pass = gpt.NewPass(s.Model)
	}
	lens := make([]int, len(sequences))
	for i, q := range sequences {
		lens[i] = len(q)
	}
	scores := make([]float32, 0, len(sequences))
	start := 0
	for _, end := range gpt.Cuts(lens, s.Model.Config.MicroTokens()) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var b gpt.Batch
		for _, q := range sequences[start:end] {
			b.Append(q, nil)
			b.ValuesFrom = append(b.ValuesFrom, len(q)-1)
		}
		out, err := s.pass.Evaluate(b)
		if err != nil {
			return nil, err
		}
		scores = append(scores, out.Scores...)
		start = end
	}
	return scores, nil
}

// Gain returns the factor and the addend that give scores the target mean and
// standard deviation: gain = σ_T/σ_D, bias = μ_T − gain·μ_D (lm-human-preferences).
// The deviation is the population's. It returns an error for scores that do not vary.
func Gain(scores []float64, mean, std float64) (gain, bias float64, err error) {
	m, v := 0.0, 0.0
	for _, s := range scores {
		m += s / float64(len(scores))
	}
	for _, s := range scores {
		v += (s - m) * (s - m) / float64(len(scores))
	}
	if !(v > 0) || math.IsInf(v, 0) {
		return 0, 0, fmt.Errorf("normalise: %d scores with variance %v", len(scores), v)
	}
	gain = std / math.Sqrt(v)
	return gain, mean - gain*m, nil
}

// Normalise changes model so that its scores s become gain·s + bias. The
// directory stays a plain Hugging Face model: the gain goes into score.weight w,
// and, as that head has no bias, the addend into the last LayerNorm's bias along
// w, by δ = bias·w/|w|², which adds bias to every score.
func Normalise(model *gpt.Model, gain, bias float64) error {
	w, lnf := model.Tensor("score.weight"), model.Tensor("transformer.ln_f.bias")
	if w == nil {
		return fmt.Errorf("normalise: the model has no score head")
	}
	norm2 := 0.0
	for i, x := range w {
		w[i] = float32(gain * float64(x))
		norm2 += float64(w[i]) * float64(w[i])
	}
	if norm2 == 0 {
		return fmt.Errorf("normalise: the score head is zero")
	}
	for i := range lnf {
		lnf[i] += float32(bias * float64(w[i]) / norm2)
	}
	model.Changed()
	return nil
}

// Spread returns mean and population standard deviation.
func Spread[T float32 | float64](scores []T) (mean, std float64) {
	x := slices.Clone(scores)
	for _, s := range x {
		mean += float64(s) / float64(len(x))
	}
	for _, s := range x {
		std += (float64(s) - mean) * (float64(s) - mean) / float64(len(x))
	}
	return mean, math.Sqrt(std)
}
