// Package ppo is stage 3: the policy optimised against a reward model by PPO,
// held near a reference policy by a KL penalty (Ziegler 2019, arXiv:1909.08593;
// InstructGPT, arXiv:2203.02155), with a separate value network. The sampler's
// log-probs are the trainer's bits, so they serve as the old log-probs and the
// first minibatch's ratio is exactly 1. The stage sees token ids and a Scorer;
// what scores and where the queries come from is for its callers.
package ppo

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"rlhf/gpt"
	"rlhf/internal/checkpoint"
	"rlhf/internal/metrics"
	"rlhf/internal/objective"
	"rlhf/internal/optim"
	"rlhf/internal/rng"
)

// Scorer scores whole sequences, query and response.
type Scorer interface {
	// Scores returns one score a sequence; it must not keep the sequences.
	Scores(ctx context.Context, sequences [][]int32) ([]float32, error)
}

// Models are the networks of a run. Policy and Value are trained in place.
type Models struct {
	Policy *gpt.Model // starts as the reference
	Ref    *gpt.Model // the reference policy
	Value  *gpt.Model // has a score head; starts as the reward model (InstructGPT, app. C.4)
}

// Task is what the policy is trained on.
type Task struct {
	Queries   [][]int32 // taken in fresh permutations until the episodes are used up
	StopToken int32     // ends a response and stays in it; -1 for none
	Scorer    Scorer

	// Samples, if not nil, receives some episodes of a step every SampleSteps.
	Samples func(step int, samples []Sample) error
}

// Sample is an episode as it is recorded.
type Sample struct {
	Query, Response []int32
	Score, KL       float64
}

// Result is what a run ended with: its last batch.
type Result struct {
	Steps, Episodes   int
	Score, KL, KLCoef float64 // mean over the last batch's episodes; nats an episode
	Length            float64 // mean response tokens, the stop token counted
}

// state is what a checkpoint holds beside networks and optimizers. With the seed
// it says what the next step does.
type state struct {
	Step   int     `json:"step"`
	KLCoef float64 `json:"kl_coef"`
	Last   Result  `json:"last"`
}

// samplesPerStep is how many episodes of a step are recorded.
const samplesPerStep = 4

// run is the memory of a Train.
type run struct {
	c         Config
	m         Models
	ema       *gpt.Model // nil without EMADecay
	scorer    Scorer
	queries   [][]int32
	stopToken int32

	policy, value, ref    *gpt.Pass
	micro                 int // tokens of one pass; means are over minibatches whatever the passes
	policyAdam, valueAdam *optim.AdamW
	dpolicy, dvalue       []float32
	loss                  *objective.Cache
}

// Train optimises m.Policy and m.Value and writes metrics, checkpoints and the
// final policy below to.Dir. Equal inputs give equal bytes for any number of
// threads, also when the run was killed and resumed. If ctx ends, the step is
// abandoned, a checkpoint of the one before written, and the error wraps ctx's.
func Train(ctx context.Context, c Config, m Models, task Task, to checkpoint.Run, log *slog.Logger) (Result, error) {
	if err := check(c, m, task); err != nil {
		return Result{}, err
	}
	adam := optim.Config{Beta1: c.AdamBeta1, Beta2: c.AdamBeta2, Eps: c.AdamEpsilon, WeightDecay: c.WeightDecay}
	r := &run{
		c: c, m: m, scorer: task.Scorer, queries: task.Queries, stopToken: task.StopToken, loss: newLoss(c),
		policy: gpt.NewPass(m.Policy), value: gpt.NewPass(m.Value), ref: gpt.NewPass(m.Ref),
		policyAdam: optim.NewAdamW(adam, m.Policy.Config.Tensors()), valueAdam: optim.NewAdamW(adam, m.Value.Config.Tensors()),
		dpolicy: make([]float32, len(m.Policy.Theta)), dvalue: make([]float32, len(m.Value.Theta)),
		micro: min(m.Policy.Config.MicroTokens(), m.Value.Config.MicroTokens()),
	}
	to.Inputs = inputs(m, task)
	s := state{KLCoef: c.KLCoef}
	saved := checkpoint.Checkpoint{
		Models:     map[string]*gpt.Model{"": m.Policy, "value": m.Value},
		Optimizers: map[string]*optim.AdamW{"": r.policyAdam, "value": r.valueAdam}, State: &s,
	}
	if c.EMADecay > 0 {
		r.ema = m.Policy.Clone()
		saved.Models["ema"] = r.ema
	}
	_, out, err := to.Start(saved, log)
	if err != nil {
		return Result{}, err
	}
	defer out.Close()
	steps := c.TotalEpisodes / c.BatchSize
	to.Progress.Total(steps)
	to.Progress.From(s.Step)
	lr := optim.Schedule{Name: c.LRScheduler, Peak: c.LR, Floor: c.MinLRRatio, Warmup: c.WarmupSteps, Total: steps}
	valueLR := lr
	valueLR.Peak = c.ValueLR

	for s.Step < steps {
		start := time.Now()
		// 1.-6. sample, score, compare with the reference, rewards, advantages
		episodes, err := r.rollout(ctx, s.Step, s.KLCoef)
		if ctx.Err() != nil {
			if err := to.Save(s.Step, c.SaveTotalLimit, saved); err != nil {
				return Result{}, err
			}
			return Result{}, fmt.Errorf("interrupted at step %d of %d, saved: %w", s.Step, steps, ctx.Err())
		}
		if err != nil {
			return Result{}, fmt.Errorf("step %d: %w", s.Step+1, err)
		}
		sampled := time.Now()
		// 7. epochs of minibatches, each a fresh permutation
		var stats minibatchStats
		first := 0.0
		for epoch := range c.NOptEpochs {
			order := rng.New(c.Seed, "ppo/minibatches", uint64(s.Step*c.NOptEpochs+epoch)).Perm(len(episodes))
			size := c.BatchSize / c.NMinibatches
			for k := range c.NMinibatches {
				minibatch := make([]episode, size)
				for i, at := range order[k*size : (k+1)*size] {
					minibatch[i] = episodes[at]
				}
				part, err := r.gradient(minibatch)
				if err != nil {
					return Result{}, fmt.Errorf("step %d: %w", s.Step+1, err)
				}
				if epoch == 0 && k == 0 {
					first = part.ratioDeviation
				}
				stats.add(part, 1/float64(c.NOptEpochs*c.NMinibatches))
				if err := r.step(s.Step+1, part.loss, lr.LR(s.Step), valueLR.LR(s.Step)); err != nil {
					return Result{}, err
				}
			}
		}
		// 8. what the batch showed
		metric := summary(episodes, stats, s.KLCoef)
		metric["ppo/policy/first_ratio_deviation"] = first
		metric["ppo/lr"], metric["ppo/episodes"] = lr.LR(s.Step), float64((s.Step+1)*c.BatchSize)
		metric["time/episodes_per_second"] = float64(c.BatchSize) / time.Since(start).Seconds()
		metric["time/rollout_share"] = sampled.Sub(start).Seconds() / time.Since(start).Seconds()
		s.Last = Result{Steps: s.Step + 1, Episodes: (s.Step + 1) * c.BatchSize, Score: metric["objective/score"], KL: metric["objective/kl"],
			KLCoef: s.KLCoef, Length: metric["objective/length"]}
		// 9. the KL controller
		if c.KLController == "adaptive" {
			s.KLCoef = AdaptKL(s.KLCoef, metric["objective/kl"], c.KLTarget, c.KLHorizon, c.BatchSize)
		}
		s.Step++
		if err := r.record(&s, steps, metric, episodes, out, task, to, saved); err != nil {
			return Result{}, err
		}
	}
	to.Progress.Done()
	log.Info("trained", "steps", s.Step, "score", s.Last.Score, "kl", s.Last.KL)
	final := m.Policy
	if r.ema != nil {
		final = r.ema
		final.Changed()
	}
	return s.Last, to.Finish(s.Step, final)
}

// inputs returns the digests of what a run begins with.
func inputs(m Models, task Task) map[string]string {
	queries := checkpoint.NewDigest()
	for _, q := range task.Queries {
		queries.Tokens(q)
	}
	return map[string]string{"policy": checkpoint.ParametersSHA256(m.Policy), "ref": checkpoint.ParametersSHA256(m.Ref),
		"value": checkpoint.ParametersSHA256(m.Value), "queries": queries.String()}
}

// record writes a finished step's metrics and samples and, when it is time, a checkpoint.
func (r *run) record(s *state, steps int, metric map[string]float64, episodes []episode, out *metrics.Writer, task Task, to checkpoint.Run, saved checkpoint.Checkpoint) error {
	c := r.c
	to.Progress.Set(s.Step, fmt.Sprintf("score %.2f  kl %.2f  %.0f episodes/s", metric["objective/score"], metric["objective/kl"], metric["time/episodes_per_second"]))
	if s.Step%c.LoggingSteps == 0 || s.Step == steps {
		if err := out.Write(s.Step, metric); err != nil {
			return err
		}
	}
	if task.Samples != nil && c.SampleSteps > 0 && (s.Step%c.SampleSteps == 0 || s.Step == 1) {
		var samples []Sample
		for i := range episodes[:min(samplesPerStep, len(episodes))] {
			e := &episodes[i]
			samples = append(samples, Sample{e.query, e.response, e.score, e.kl()})
		}
		if err := task.Samples(s.Step, samples); err != nil {
			return err
		}
	}
	if s.Step == steps || c.SaveSteps > 0 && s.Step%c.SaveSteps == 0 {
		return to.Save(s.Step, c.SaveTotalLimit, saved)
	}
	return nil
}

// kl returns the episode's Σ logp − ref.
func (e *episode) kl() (sum float64) {
	for t := range e.logprobs {
		sum += K1(e.logprobs[t] - e.refLogprobs[t])
	}
	return sum
}

// summary returns a batch's metrics under the names of lm-human-preferences.
func summary(episodes []episode, s minibatchStats, klCoef float64) map[string]float64 {
	var scores, kls, k3s, entropies, totals, tokens, values, returns []float64
	stopped := 0.0
	for i := range episodes {
		e := &episodes[i]
		entropy, k3, nonScore := 0.0, 0.0, 0.0
		for t := range e.logprobs {
			entropy -= e.logprobs[t]
			k3 += K3(e.logprobs[t] - e.refLogprobs[t])
			nonScore -= klCoef * K1(e.logprobs[t]-e.refLogprobs[t])
		}
		scores, kls, k3s = append(scores, e.score), append(kls, e.kl()), append(k3s, k3)
		entropies, totals, tokens = append(entropies, entropy), append(totals, e.score+nonScore), append(tokens, float64(len(e.response)))
		values, returns = append(values, e.values...), append(returns, e.returns...)
		if e.stopped {
			stopped += 1 / float64(len(episodes))
		}
	}
	mean := func(x []float64) float64 { m, _ := moments(x); return m }
	score, scoreVar := moments(scores)
	valueMean, valueVar := moments(values)
	returnMean, returnVar := moments(returns)
	out := map[string]float64{
		"objective/kl": mean(kls), "objective/kl_k3": mean(k3s), "objective/kl_coef": klCoef, "objective/entropy": mean(entropies),
		"objective/score": score, "objective/score_std": math.Sqrt(scoreVar), "objective/score_total": mean(totals),
		"objective/length": mean(tokens), "objective/stopped": stopped,
		"ppo/loss/policy": s.policyLoss, "ppo/loss/value": s.valueLoss, "ppo/loss/total": s.loss,
		"ppo/policy/entropy": s.entropy, "ppo/policy/approxkl": s.approxKL, "ppo/policy/clipfrac": s.clipFrac,
		"ppo/returns/mean": returnMean, "ppo/returns/var": returnVar,
		"ppo/val/vpred": s.vpred, "ppo/val/error": s.valueError, "ppo/val/clipfrac": s.valueClipFrac,
		"ppo/val/mean": valueMean, "ppo/val/var": valueVar,
	}
	if returnVar > 0 {
		out["ppo/val/var_explained"] = 1 - s.valueError/returnVar
	}
	return out
}

// check returns an error that names the first setting, model or query that cannot be used.
func check(c Config, m Models, task Task) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if m.Policy.Config.NLabels != 0 || m.Ref.Config != m.Policy.Config {
		return fmt.Errorf("policy and reference: must be language models of one shape (got %+v and %+v)", m.Policy.Config, m.Ref.Config)
	}
	if v := m.Value.Config; v.NLabels != 1 || v.VocabSize != m.Policy.Config.VocabSize {
		return fmt.Errorf("value network: must have a score head and a vocabulary of %d (got %+v)", m.Policy.Config.VocabSize, v)
	}
	if task.StopToken < 0 && c.MissingEOS != "none" {
		return fmt.Errorf("missing_eos: %s needs a stop token", c.MissingEOS)
	}
	if len(task.Queries) == 0 {
		return fmt.Errorf("no queries")
	}
	limit := min(m.Policy.Config.NPositions, m.Value.Config.NPositions)
	for i, q := range task.Queries {
		if len(q) < 1 || len(q)+c.ResponseLength > limit {
			return fmt.Errorf("query %d: %d tokens and a response of up to %d, the models take 1 to %d", i, len(q), c.ResponseLength, limit)
		}
	}
	return nil
}
