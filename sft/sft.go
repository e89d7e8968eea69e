// Package sft is stage 1: supervised fine-tuning of a language model on
// demonstrations, with the loss on the assistant's turns only (InstructGPT,
// arXiv:2203.02155). Pretraining is the same loop with every token a target. The
// stage sees token ids; text, files and settings files are for its callers.
package sft

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"time"

	"rlhf/gpt"
	"rlhf/internal/checkpoint"
	"rlhf/internal/objective"
	"rlhf/internal/optim"
)

// Task is what a model learns from, and what is looked at while it does.
type Task struct {
	Train    Source
	Eval     Source // nil evaluates no loss
	Pretrain Source // mixed in by PretrainShare; nil if that is 0

	Prompts    [][]int32 // continued at every evaluation
	StopTokens []int32   // each ends a continuation
	Scorer     Scorer    // scores the continuations; nil for none

	// Samples, if not nil, receives the continuations of every evaluation.
	Samples func(step int, samples []Sample) error
}

// Result is what a run ended with.
type Result struct {
	Steps      int
	TrainLoss  float64 // nats a token, mean since the last line of metrics but one
	EvalLoss   float64 // nats a token, of the last evaluation, or of the best one with LoadBestModelAtEnd; NaN without evaluation examples
	Perplexity float64 // exp of EvalLoss
	Score      float64 // mean of the continuations, of the same evaluation; NaN without a scorer
	BestStep   int     // step of the model that the run ends with
	Stopped    bool    // reports whether early stopping ended it
}

// state is what a checkpoint holds beside model and optimizer. With the seed it
// says what the next step does.
type state struct {
	Step     int     `json:"step"`
	Place    place   `json:"place"`
	LossSum  float64 `json:"loss_sum"` // over the tokens since the last line of metrics
	Tokens   int     `json:"tokens"`   // since the last line of metrics
	LastLoss float64 `json:"last_loss"`
	Last     *looked `json:"last,omitempty"` // evaluation; nil before the first
	Best     *looked `json:"best,omitempty"` // evaluation by MetricForBestModel
	Worse    int     `json:"worse"`          // evaluations since one that was better than all before it
	Stopped  bool    `json:"stopped"`
}

// Train trains model in place and writes metrics, checkpoints and the final model
// below run.Dir. Equal inputs give equal bytes for any number of threads, and a run
// that was killed and resumed ends in the bytes of one that was not. If ctx ends,
// the step is finished, a checkpoint written, and the error wraps ctx's.
func Train(ctx context.Context, c Config, model *gpt.Model, task Task, run checkpoint.Run, log *slog.Logger) (Result, error) {
	inputs, err := check(c, model, task)
	if err != nil {
		return Result{}, err
	}
	run.Inputs = inputs
	var s state
	order := newOrder(c, task.Train, task.Pretrain, &s.Place)
	total := order.steps()
	if c.MaxSteps > 0 {
		total = min(total, c.MaxSteps)
	}
	adam := optim.NewAdamW(optim.Config{Beta1: c.AdamBeta1, Beta2: c.AdamBeta2, Eps: c.AdamEpsilon, WeightDecay: c.WeightDecay}, model.Config.Tensors())
	schedule := optim.Schedule{Name: c.LRScheduler, Peak: c.LR, Floor: c.MinLRRatio, Warmup: c.warmup(total), Total: total}
	saved := checkpoint.Checkpoint{Models: map[string]*gpt.Model{"": model}, Optimizers: map[string]*optim.AdamW{"": adam}, State: &s}
	_, out, err := run.Start(saved, log)
	if err != nil {
		return Result{}, err
	}
	defer out.Close()
	run.Progress.Total(total)
	run.Progress.From(s.Step)

	t := &trainer{c: c, model: model, pass: gpt.NewPass(model), loss: newLoss(), dtheta: make([]float32, len(model.Theta))}
	clock, clocked := time.Now(), 0
	for s.Step < total && !s.Stopped {
		if ctx.Err() != nil {
			if err := run.Save(s.Step, c.SaveTotalLimit, saved); err != nil {
				return Result{}, err
			}
			return Result{}, fmt.Errorf("interrupted at step %d of %d, saved: %w", s.Step, total, ctx.Err())
		}
		loss, tokens, err := t.gradient(order.next(), s.Step)
		if err != nil {
			return Result{}, fmt.Errorf("step %d: %w", s.Step+1, err)
		}
		norm := adam.GradNorm(t.dtheta)
		if err := optim.CheckFinite("sft", s.Step+1, loss, norm, model.Config.Tensors(), t.dtheta); err != nil {
			return Result{}, err
		}
		lr := schedule.LR(s.Step)
		adam.Update(model.Theta, t.dtheta, lr, optim.ClipScale(norm, c.MaxGradNorm))
		model.Changed()
		s.Step++
		s.LossSum += loss * float64(tokens)
		s.Tokens += tokens
		clocked += tokens

		metric := map[string]float64{}
		if s.Step == total || c.EvalSteps > 0 && s.Step%c.EvalSteps == 0 {
			took := time.Now()
			if err := look(ctx, c, model, task, run, &s, metric); err != nil {
				return Result{}, err
			}
			clock = clock.Add(time.Since(took)) // tokens a second are training's
			log.Info("evaluated", "step", s.Step, "metrics", metric)
		}
		last := s.Step == total || s.Stopped
		if s.Step%c.LoggingSteps == 0 || last {
			s.LastLoss = s.LossSum / float64(s.Tokens)
			metric["train/loss"], metric["train/grad_norm"], metric["train/lr"] = s.LastLoss, norm, lr
			metric["train/epoch"] = order.progress()
			metric["time/tokens_per_second"] = float64(clocked) / time.Since(clock).Seconds()
			run.Progress.Set(s.Step, fmt.Sprintf("loss %.3f  %.0f tok/s", s.LastLoss, metric["time/tokens_per_second"]))
			clock, clocked, s.LossSum, s.Tokens = time.Now(), 0, 0, 0
		}
		if len(metric) > 0 {
			if err := out.Write(s.Step, metric); err != nil {
				return Result{}, err
			}
		}
		if last || c.SaveSteps > 0 && s.Step%c.SaveSteps == 0 {
			if err := run.Save(s.Step, c.SaveTotalLimit, saved); err != nil {
				return Result{}, err
			}
		}
	}
	run.Progress.Done()
	return finish(c, model, run, s)
}

// finish writes the model that the run ends with.
func finish(c Config, model *gpt.Model, run checkpoint.Run, s state) (Result, error) {
	r := Result{Steps: s.Step, TrainLoss: s.LastLoss, EvalLoss: math.NaN(), Perplexity: math.NaN(), Score: math.NaN(), BestStep: s.Step, Stopped: s.Stopped}
	ends := s.Last
	if c.LoadBestModelAtEnd && s.Best != nil {
		ends = s.Best
		r.BestStep = s.Best.Step
		if r.BestStep != s.Step {
			if err := run.Best(model); err != nil {
				return r, fmt.Errorf("load the best model, of step %d: %w", r.BestStep, err)
			}
		}
	}
	if ends != nil && ends.Loss != nil {
		r.EvalLoss, r.Perplexity = *ends.Loss, math.Exp(*ends.Loss)
	}
	if ends != nil && ends.Score != nil {
		r.Score = *ends.Score
	}
	return r, run.Finish(r.BestStep, model)
}

// warmup returns the steps of the warm-up.
func (c Config) warmup(total int) int {
	if c.WarmupRatio > 0 {
		return int(math.Ceil(c.WarmupRatio * float64(total))) // as transformers' Trainer
	}
	return c.WarmupSteps
}

// check returns an error that names the first setting or example that cannot be
// used, else the digests of what the run begins with.
func check(c Config, model *gpt.Model, task Task) (inputs map[string]string, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if model.Config.NLabels != 0 {
		return nil, fmt.Errorf("model: has a score head, expected a language model")
	}
	if task.Train == nil || task.Train.Len() == 0 {
		return nil, fmt.Errorf("no training examples")
	}
	sources := map[string]Source{"training": task.Train}
	if task.Eval != nil && task.Eval.Len() > 0 {
		sources["evaluation"] = task.Eval
	}
	if c.PretrainShare > 0 {
		if task.Pretrain == nil || task.Pretrain.Len() == 0 {
			return nil, fmt.Errorf("pretrain_share: is %g, but there are no pretraining examples", c.PretrainShare)
		}
		sources["pretraining"] = task.Pretrain
	} else if task.Pretrain != nil {
		return nil, fmt.Errorf("pretrain_share: is 0, but there are pretraining examples")
	}
	if err := checkLooks(c, task); err != nil {
		return nil, err
	}
	inputs = map[string]string{"model": checkpoint.ParametersSHA256(model)}
	for name, source := range maps.All(sources) {
		if inputs[name+" examples"], err = survey(name, source, model.Config.NPositions); err != nil {
			return nil, err
		}
	}
	return inputs, nil
}

// trainer is the memory of the gradient.
type trainer struct {
	c      Config
	model  *gpt.Model
	pass   *gpt.Pass
	loss   *objective.Cache
	dtheta []float32
}

// gradient adds the gradient of the batch's mean cross-entropy to dtheta and
// returns the loss, in nats a token, with the number of tokens it is a mean of.
func (t *trainer) gradient(batch []Example, step int) (loss float64, tokens int, err error) {
	lens := make([]int, len(batch))
	for i, e := range batch {
		lens[i] = len(e.Tokens)
		tokens += e.learnt()
	}
	start := 0
	for _, end := range gpt.Cuts(lens, t.c.microTokens(t.model)) {
		b := pack(batch[start:end]) // a part of a larger batch; the loss stays the mean over the whole
		b.Dropout = gpt.Dropout{Embd: float32(t.c.EmbdPdrop), Attn: float32(t.c.AttnPdrop), Resid: float32(t.c.ResidPdrop), Seed: t.c.Seed, Step: uint64(step), First: uint64(start)}
		out, err := t.pass.Forward(b)
		if err != nil {
			return 0, 0, err
		}
		logprobs, weights := make([]float64, len(b.Tokens)), make([]float64, len(b.Tokens))
		for n, target := range b.Targets {
			if target >= 0 {
				logprobs[n], weights[n] = float64(out.Logprobs[n]), 1/float64(tokens)
			}
		}
		r, err := t.loss.Evaluate(map[string][]float64{"logprobs": logprobs, "weights": weights})
		if err != nil {
			return 0, 0, err
		}
		loss += r.Loss
		d := make([]float32, len(b.Tokens))
		for n, g := range r.Grads["logprobs"] {
			d[n] = float32(g)
		}
		if err := t.pass.Backward(gpt.Outputs{Logprobs: d}, t.dtheta); err != nil {
			return 0, 0, err
		}
		start = end
	}
	return loss, tokens, nil
}

// microTokens returns how many tokens a pass takes at once.
func (c Config) microTokens(model *gpt.Model) int {
	if c.MicroTokens > 0 {
		return c.MicroTokens
	}
	return model.Config.MicroTokens()
}
