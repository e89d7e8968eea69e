// Package sft is stage 1: supervised fine-tuning of a language model on
// demonstrations, with the loss on the completion only (InstructGPT,
// arXiv:2203.02155). Pretraining is the same loop with every token a target. The
// stage sees token ids; text, files and settings files are for its callers.
package sft

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"rlhf/gpt"
	"rlhf/internal/checkpoint"
	"rlhf/internal/objective"
	"rlhf/internal/optim"
	"rlhf/internal/rng"
)

// Example is one sequence to learn from.
type Example struct {
	Tokens    []int32 // 2 to NPositions of them, with the end-of-text token
	PromptLen int     // the loss is on Tokens[PromptLen:]; 0 for pretraining, where all but the first are targets
}

// targets returns how many tokens of the example are learnt.
func (e Example) targets() int { return len(e.Tokens) - max(e.PromptLen, 1) }

// Result is what a run ended with.
type Result struct {
	Steps      int
	TrainLoss  float64 // nats a token, mean since the last line of metrics but one
	EvalLoss   float64 // nats a token; NaN without evaluation examples
	Perplexity float64 // exp of EvalLoss
}

// state is what a checkpoint holds beside model and optimizer. With the seed it
// says what the next step does.
type state struct {
	Step     int     `json:"step"`
	LossSum  float64 `json:"loss_sum"` // over the tokens since the last line of metrics
	Tokens   int     `json:"tokens"`   // since the last line of metrics
	LastLoss float64 `json:"last_loss"`
}

// Train trains model in place and writes metrics, checkpoints and the final model
// below run.Dir. Equal inputs give equal bytes for any number of threads, and a run
// that was killed and resumed ends in the bytes of one that was not. If ctx ends,
// the step is finished, a checkpoint written, and the error wraps ctx's.
func Train(ctx context.Context, c Config, model *gpt.Model, train, eval []Example, run checkpoint.Run, log *slog.Logger) (Result, error) {
	if err := check(c, model, train, eval); err != nil {
		return Result{}, err
	}
	perEpoch := (len(train) + c.BatchSize - 1) / c.BatchSize
	total := c.NumTrainEpochs * perEpoch
	if c.MaxSteps > 0 {
		total = min(total, c.MaxSteps)
	}
	adam := optim.NewAdamW(optim.Config{Beta1: c.AdamBeta1, Beta2: c.AdamBeta2, Eps: c.AdamEpsilon, WeightDecay: c.WeightDecay}, model.Config.Tensors())
	schedule := optim.Schedule{Name: c.LRScheduler, Peak: c.LR, Floor: c.MinLRRatio, Warmup: c.WarmupSteps, Total: total}
	var s state
	saved := checkpoint.Checkpoint{Models: map[string]*gpt.Model{"": model}, Optimizers: map[string]*optim.AdamW{"": adam}, State: &s}
	_, out, err := run.Start(saved, log)
	if err != nil {
		return Result{}, err
	}
	defer out.Close()
	run.Progress.Total(total)

	t := &trainer{model: model, pass: gpt.NewPass(model), loss: newLoss(), dtheta: make([]float32, len(model.Theta))}
	result := Result{EvalLoss: math.NaN(), Perplexity: math.NaN()}
	clock, clocked := time.Now(), 0
	for s.Step < total {
		if ctx.Err() != nil {
			if err := run.Save(s.Step, c.SaveTotalLimit, saved); err != nil {
				return Result{}, err
			}
			return Result{}, fmt.Errorf("interrupted at step %d of %d, saved: %w", s.Step, total, ctx.Err())
		}
		// the examples of this step are a function of seed, epoch and place
		batch := batchAt(train, c.Seed, s.Step/perEpoch, s.Step%perEpoch, c.BatchSize)
		loss, tokens, err := t.gradient(batch)
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
		if s.Step%c.LoggingSteps == 0 || s.Step == total {
			s.LastLoss = s.LossSum / float64(s.Tokens)
			metric["train/loss"], metric["train/grad_norm"], metric["train/lr"] = s.LastLoss, norm, lr
			metric["train/epoch"] = float64(s.Step) / float64(perEpoch)
			metric["time/tokens_per_second"] = float64(clocked) / time.Since(clock).Seconds()
			run.Progress.Set(s.Step, fmt.Sprintf("loss %.3f  %.0f tok/s", s.LastLoss, metric["time/tokens_per_second"]))
			clock, clocked, s.LossSum, s.Tokens = time.Now(), 0, 0, 0
		}
		if len(eval) > 0 && (s.Step == total || c.EvalSteps > 0 && s.Step%c.EvalSteps == 0) {
			if result.EvalLoss, err = Loss(context.WithoutCancel(ctx), model, eval); err != nil {
				return Result{}, err
			}
			result.Perplexity = math.Exp(result.EvalLoss)
			metric["eval/loss"], metric["eval/perplexity"] = result.EvalLoss, result.Perplexity
			log.Info("evaluated", "step", s.Step, "eval_loss", result.EvalLoss)
		}
		if len(metric) > 0 {
			if err := out.Write(s.Step, metric); err != nil {
				return Result{}, err
			}
		}
		if s.Step == total || c.SaveSteps > 0 && s.Step%c.SaveSteps == 0 {
			if err := run.Save(s.Step, c.SaveTotalLimit, saved); err != nil {
				return Result{}, err
			}
		}
	}
	run.Progress.Done()
	result.Steps, result.TrainLoss = s.Step, s.LastLoss
	return result, run.Finish(model)
}

// check returns an error that names the first setting or example that cannot be used.
func check(c Config, model *gpt.Model, train, eval []Example) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if model.Config.NLabels != 0 {
		return fmt.Errorf("model: has a score head, expected a language model")
	}
	if len(train) == 0 {
		return fmt.Errorf("no training examples")
	}
	for name, examples := range map[string][]Example{"training": train, "evaluation": eval} {
		for i, e := range examples {
			if n := len(e.Tokens); n > model.Config.NPositions {
				return fmt.Errorf("%s example %d: %d tokens, the model takes %d", name, i, n, model.Config.NPositions)
			}
			if e.targets() < 1 {
				return fmt.Errorf("%s example %d: %d tokens with a prompt of %d leave nothing to learn", name, i, len(e.Tokens), e.PromptLen)
			}
		}
	}
	return nil
}

// batchAt returns the examples of one step: a run of the epoch's permutation.
func batchAt(train []Example, seed uint64, epoch, step, size int) []Example {
	order := rng.New(seed, "sft/shuffle", uint64(epoch)).Perm(len(train))
	var batch []Example
	for _, i := range order[step*size : min((step+1)*size, len(order))] {
		batch = append(batch, train[i])
	}
	return batch
}

// trainer is the memory of the gradient.
type trainer struct {
	model  *gpt.Model
	pass   *gpt.Pass
	loss   *objective.Cache
	dtheta []float32
}

// gradient adds the gradient of the batch's mean cross-entropy to dtheta and
// returns the loss, in nats a token, with the number of tokens it is a mean of.
func (t *trainer) gradient(batch []Example) (loss float64, tokens int, err error) {
	lens := make([]int, len(batch))
	for i, e := range batch {
		lens[i] = len(e.Tokens)
		tokens += e.targets()
	}
	start := 0
	for _, end := range gpt.Cuts(lens, t.model.Config.MicroTokens()) {
		b := pack(batch[start:end]) // a part of a larger batch; the loss stays the mean over the whole
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

// pack returns examples as a batch whose targets are the tokens to learn.
func pack(examples []Example) gpt.Batch {
	var b gpt.Batch
	for _, e := range examples {
		b.Append(e.Tokens, gpt.NextTokens(e.Tokens, e.PromptLen))
	}
	return b
}

// Loss returns the mean cross-entropy of the examples' learnt tokens, in nats.
func Loss(ctx context.Context, model *gpt.Model, examples []Example) (float64, error) {
	pass := gpt.NewPass(model)
	lens := make([]int, len(examples))
	for i, e := range examples {
		lens[i] = len(e.Tokens)
	}
	sum, tokens, start := 0.0, 0, 0
	for _, end := range gpt.Cuts(lens, model.Config.MicroTokens()) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		b := pack(examples[start:end])
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
		start = end
	}
	return sum / float64(tokens), nil
}
