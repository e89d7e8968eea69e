package sft

import (
	"context"
	"fmt"
	"math"

	"rlhf/gpt"
	"rlhf/internal/checkpoint"
)

// Scorer scores whole sequences, prompt and continuation, as a reward model does.
type Scorer interface {
	// Scores returns one score a sequence; it must not keep the sequences.
	Scores(ctx context.Context, sequences [][]int32) ([]float32, error)
}

// Sample is a prompt as the model continues it at some step.
type Sample struct {
	Prompt, Completion []int32
	Score              float64 // NaN without a scorer
}

// looked is what an evaluation found.
type looked struct {
	Step  int      `json:"step"`
	Loss  *float64 `json:"loss,omitempty"`  // nats a token
	Score *float64 `json:"score,omitempty"` // mean of the continuations
}

// better reports whether l beats other, which may be nil, by more than the threshold.
func (l looked) better(c Config, other *looked) bool {
	if other == nil {
		return true
	}
	if c.MetricForBestModel == metricScore {
		return *l.Score > *other.Score+c.EarlyStoppingThreshold
	}
	return *l.Loss < *other.Loss-c.EarlyStoppingThreshold
}

// checkLooks returns an error if the settings ask for an evaluation that the task does not allow.
func checkLooks(c Config, task Task) error {
	if !c.LoadBestModelAtEnd && c.EarlyStoppingPatience == 0 {
		return nil
	}
	switch {
	case c.MetricForBestModel == metricScore && (task.Scorer == nil || len(task.Prompts) == 0):
		return fmt.Errorf("metric_for_best_model: is score, but there is no reward model or no prompt to continue")
	case c.MetricForBestModel == metricLoss && (task.Eval == nil || task.Eval.Len() == 0):
		return fmt.Errorf("metric_for_best_model: is loss, but there are no evaluation examples")
	}
	return nil
}

// look evaluates the model, writes what it found to metric and s, and keeps the
// model if it is the best so far. It is not interrupted: a run resumes at a step.
func look(ctx context.Context, c Config, model *gpt.Model, task Task, run checkpoint.Run, s *state, metric map[string]float64) error {
	ctx = context.WithoutCancel(ctx)
	l := looked{Step: s.Step}
	if task.Eval != nil && task.Eval.Len() > 0 {
		loss, err := Loss(ctx, model, task.Eval)
		if err != nil {
			return err
		}
		l.Loss = &loss
		metric["eval/loss"], metric["eval/perplexity"] = loss, math.Exp(loss)
	}
	samples, err := continuations(ctx, c, model, task)
	if err != nil {
		return err
	}
	if task.Scorer != nil && len(samples) > 0 {
		mean := 0.0
		for _, x := range samples {
			mean += x.Score / float64(len(samples))
		}
		l.Score = &mean
		metric["eval/score"] = mean
	}
	if task.Samples != nil && len(samples) > 0 {
		if err := task.Samples(s.Step, samples); err != nil {
			return err
		}
	}
	s.Last = &l
	if !c.LoadBestModelAtEnd && c.EarlyStoppingPatience == 0 {
		return nil
	}
	return s.compare(c, l, model, run)
}

// compare takes the evaluation l into account: the best model, and when to stop.
func (s *state) compare(c Config, l looked, model *gpt.Model, run checkpoint.Run) error {
	if !l.better(c, s.Best) {
		s.Worse++
		s.Stopped = c.EarlyStoppingPatience > 0 && s.Worse >= c.EarlyStoppingPatience
		return nil
	}
	s.Best, s.Worse = &l, 0
	if !c.LoadBestModelAtEnd {
		return nil
	}
	return run.SaveBest(s.Step, model)
}

// continuations samples a completion of each prompt, at every evaluation with the same draws.
func continuations(ctx context.Context, c Config, model *gpt.Model, task Task) ([]Sample, error) {
	if len(task.Prompts) == 0 || task.Samples == nil && task.Scorer == nil {
		return nil, nil
	}
	queries := make([]gpt.Query, len(task.Prompts))
	for i, prompt := range task.Prompts {
		queries[i] = gpt.Query{Tokens: prompt, Episode: uint64(i)}
	}
	completions, err := model.Sample(ctx, queries, gpt.SampleConfig{MaxNewTokens: c.EvalMaxNewTokens, Temperature: float32(c.EvalTemperature),
		StopTokens: task.StopTokens, Seed: c.Seed, Purpose: "sft/eval"}, nil)
	if err != nil {
		return nil, err
	}
	out := make([]Sample, len(queries))
	sequences := make([][]int32, len(queries))
	for i, completion := range completions {
		out[i] = Sample{Prompt: task.Prompts[i], Completion: completion.Tokens, Score: math.NaN()}
		sequences[i] = append(append([]int32{}, task.Prompts[i]...), completion.Tokens...)
	}
	if task.Scorer == nil {
		return out, nil
	}
	scores, err := task.Scorer.Scores(ctx, sequences)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Score = float64(scores[i])
	}
	return out, nil
}

// Loss returns the mean cross-entropy of the examples' learnt tokens, in nats.
func Loss(ctx context.Context, model *gpt.Model, examples Source) (float64, error) {
	pass := gpt.NewPass(model)
	sum, tokens := 0.0, 0
	for i := 0; i < examples.Len(); {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var some []Example
		for n := 0; i < examples.Len() && (n == 0 || n+examples.Tokens(i) <= model.Config.MicroTokens()); i++ {
			some = append(some, examples.At(i))
			n += examples.Tokens(i)
		}
		b := pack(some)
		out, err := pass.Evaluate(b)
		if err != nil {
			return 0, err
		}
		for n, target := range b.Targets {
			if target >= 0 {
				sum -= float64(out.Logprobs[n])
				tokens++
			}
		}
	}
	return sum / float64(tokens), nil
}
