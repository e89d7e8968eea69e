// Package reward is stage 2: a reward model learnt from human rankings of K
// completions of a prompt, as InstructGPT (arXiv:2203.02155): all pairs of a
// prompt stand in one batch element and weigh 1/pairs, ties are dropped, the score
// is read at the last token, and scores are normalised afterwards. The stage sees
// token ids; the labeling database is for its callers.
package reward

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"rlhf/gpt"
	"rlhf/internal/checkpoint"
	"rlhf/internal/objective"
	"rlhf/internal/optim"
	"rlhf/internal/rng"
)

// Comparison is one labeler's ranking of completions of one prompt.
type Comparison struct {
	Prompt      []int32
	Completions [][]int32 // K of them, each with its end-of-text token if it has one
	Ranks       []int     // (K) 1 is best, equal ranks are a tie
}

// pairs returns the indices of completions as (better, worse); ties are left out.
func (c Comparison) pairs() (pairs [][2]int) {
	for i, a := range c.Ranks {
		for j, b := range c.Ranks {
			if a < b {
				pairs = append(pairs, [2]int{i, j})
			}
		}
	}
	return pairs
}

// Result is what a run ended with.
type Result struct {
	Steps    int
	Dropped  int     // comparisons that were all ties and taught nothing
	EvalLoss float64 // nats a prompt; NaN without held-out comparisons
	Accuracy float64 // share of held-out pairs that the scores order as the labeler did; NaN without
}

// state is what a checkpoint holds beside model and optimizer.
type state struct {
	Step     int     `json:"step"`
	LossSum  float64 `json:"loss_sum"` // over the steps since the last line of metrics
	Right    int     `json:"right"`    // pairs ordered rightly since then
	Pairs    int     `json:"pairs"`
	LossStep int     `json:"loss_steps"`
}

// InitHead draws the score head from N(0, 1/√(d+1)) as standard deviation, as
// lm-human-preferences (Stiennon 2020, app. B.1).
func InitHead(model *gpt.Model, seed uint64) {
	head := model.Tensor("score.weight")
	r := rng.New(seed, "reward/head", 0)
	sd := 1 / math.Sqrt(float64(model.Config.NEmbd)+1)
	for i := range head {
		head[i] = float32(sd * r.NormFloat64())
	}
	model.Changed()
}

// Train trains model, which has a score head, in place, and writes metrics,
// checkpoints and the final model below run.Dir. Equal inputs give equal bytes,
// also when the run was killed and resumed. If ctx ends, the step is finished, a
// checkpoint written, and the error wraps ctx's.
func Train(ctx context.Context, c Config, model *gpt.Model, train, eval []Comparison, run checkpoint.Run, log *slog.Logger) (Result, error) {
	if err := check(c, model, train, eval); err != nil {
		return Result{}, err
	}
	var useful []Comparison
	for _, comparison := range train {
		if len(comparison.pairs()) > 0 {
			useful = append(useful, comparison)
		}
	}
	result := Result{Dropped: len(train) - len(useful), EvalLoss: math.NaN(), Accuracy: math.NaN()}
	if len(useful) == 0 {
		return result, fmt.Errorf("none of the %d training comparisons prefers one completion to another", len(train))
	}
	perEpoch := (len(useful) + c.BatchSize - 1) / c.BatchSize
	total := c.NumTrainEpochs * perEpoch
	adam := optim.NewAdamW(optim.Config{Beta1: c.AdamBeta1, Beta2: c.AdamBeta2, Eps: c.AdamEpsilon, WeightDecay: c.WeightDecay}, model.Config.Tensors())
	schedule := optim.Schedule{Name: c.LRScheduler, Peak: c.LR, Floor: c.MinLRRatio, Warmup: c.WarmupSteps, Total: total}
	var s state
	saved := checkpoint.Checkpoint{Models: map[string]*gpt.Model{"": model}, Optimizers: map[string]*optim.AdamW{"": adam}, State: &s}
	run.Inputs = map[string]string{"model": checkpoint.ParametersSHA256(model), "training comparisons": digest(useful), "evaluation comparisons": digest(eval)}
	_, out, err := run.Start(saved, log)
	if err != nil {
		return Result{}, err
	}
	defer out.Close()
	run.Progress.Total(total)
	run.Progress.From(s.Step)

	t := &trainer{micro: model.Config.MicroTokens(), pass: gpt.NewPass(model), loss: newLoss(), dtheta: make([]float32, len(model.Theta))}
	clock, clocked := time.Now(), 0
	for s.Step < total {
		if ctx.Err() != nil {
			if err := run.Save(s.Step, c.SaveTotalLimit, saved); err != nil {
				return Result{}, err
			}
			return Result{}, fmt.Errorf("interrupted at step %d of %d, saved: %w", s.Step, total, ctx.Err())
		}
		epoch, at := s.Step/perEpoch, s.Step%perEpoch*c.BatchSize
		order := rng.New(c.Seed, "reward/shuffle", uint64(epoch)).Perm(len(useful))
		var batch []Comparison
		for _, i := range order[at:min(at+c.BatchSize, len(order))] {
			batch = append(batch, useful[i])
		}
		m, err := t.gradient(batch)
		if err != nil {
			return Result{}, fmt.Errorf("step %d: %w", s.Step+1, err)
		}
		norm := adam.GradNorm(t.dtheta)
		if err := optim.CheckFinite("reward", s.Step+1, m.loss, norm, model.Config.Tensors(), t.dtheta); err != nil {
			return Result{}, err
		}
		lr := schedule.LR(s.Step)
		adam.Update(model.Theta, t.dtheta, lr, optim.ClipScale(norm, c.MaxGradNorm))
		model.Changed()
		s.Step++
		s.LossSum, s.LossStep, s.Right, s.Pairs = s.LossSum+m.loss, s.LossStep+1, s.Right+m.right, s.Pairs+m.pairs
		clocked += m.pairs

		metric := map[string]float64{}
		if s.Step%c.LoggingSteps == 0 || s.Step == total {
			metric["train/loss"], metric["train/accuracy"] = s.LossSum/float64(s.LossStep), float64(s.Right)/float64(s.Pairs)
			metric["train/grad_norm"], metric["train/lr"] = norm, lr
			metric["time/pairs_per_second"] = float64(clocked) / time.Since(clock).Seconds()
			run.Progress.Set(s.Step, fmt.Sprintf("loss %.3f  accuracy %.3f", metric["train/loss"], metric["train/accuracy"]))
			clock, clocked = time.Now(), 0
			s.LossSum, s.LossStep, s.Right, s.Pairs = 0, 0, 0, 0
		}
		if len(eval) > 0 && (s.Step == total || c.EvalSteps > 0 && s.Step%c.EvalSteps == 0) {
			if result.EvalLoss, result.Accuracy, err = Evaluate(context.WithoutCancel(ctx), model, eval); err != nil {
				return Result{}, err
			}
			metric["eval/loss"], metric["eval/accuracy"] = result.EvalLoss, result.Accuracy
			log.Info("evaluated", "step", s.Step, "eval_accuracy", result.Accuracy)
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
	result.Steps = s.Step
	return result, run.Finish(s.Step, model)
}

// digest returns the digest of comparisons.
func digest(list []Comparison) string {
	d := checkpoint.NewDigest()
	for _, c := range list {
		d.Tokens(c.Prompt)
		for _, completion := range c.Completions {
			d.Tokens(completion)
		}
		d.Ints(c.Ranks...)
	}
	return d.String()
}

// check returns an error that names the first setting or comparison that cannot be used.
func check(c Config, model *gpt.Model, train, eval []Comparison) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if model.Config.NLabels != 1 {
		return fmt.Errorf("model: is a language model, expected one with a score head")
	}
	if len(train) == 0 {
		return fmt.Errorf("no training comparisons")
	}
	for name, comparisons := range map[string][]Comparison{"training": train, "evaluation": eval} {
		for i, comparison := range comparisons {
			if len(comparison.Ranks) != len(comparison.Completions) {
				return fmt.Errorf("%s comparison %d: %d completions, %d ranks", name, i, len(comparison.Completions), len(comparison.Ranks))
			}
			for k, completion := range comparison.Completions {
				if n := len(comparison.Prompt) + len(completion); n < 1 || n > model.Config.NPositions {
					return fmt.Errorf("%s comparison %d, completion %d: %d tokens with its prompt, the model takes 1 to %d", name, i, k, n, model.Config.NPositions)
				}
			}
		}
	}
	return nil
}

// measure is what a batch showed before it was learnt from.
type measure struct {
	loss         float64 // mean over prompts of the mean over a prompt's pairs
	pairs, right int
}

// trainer is the memory of the gradient.
type trainer struct {
	micro  int // tokens of one pass; the loss stays the mean over the whole batch
	pass   *gpt.Pass
	loss   *objective.Cache
	dtheta []float32
}

// gradient adds the gradient of the batch's ranking loss to dtheta. Every comparison has a pair.
func (t *trainer) gradient(batch []Comparison) (m measure, err error) {
	lens := make([]int, len(batch))
	for i, c := range batch {
		for _, completion := range c.Completions {
			lens[i] += len(c.Prompt) + len(completion)
		}
	}
	start := 0
	for _, end := range gpt.Cuts(lens, t.micro) {
		part := pack(batch[start:end], len(batch))
		out, err := t.pass.Forward(part.batch)
		if err != nil {
			return m, err
		}
		r, err := t.loss.Evaluate(part.leaves(out.Scores))
		if err != nil {
			return m, err
		}
		m.loss += r.Loss
		d := make([]float32, len(out.Scores))
		for k, p := range part.pairs {
			m.pairs++
			if out.Scores[p[0]] > out.Scores[p[1]] {
				m.right++
			}
			d[p[0]] += float32(r.Grads["better"][k])
			d[p[1]] += float32(r.Grads["worse"][k])
		}
		if err := t.pass.Backward(gpt.Outputs{Scores: d}, t.dtheta); err != nil {
			return m, err
		}
		start = end
	}
	return m, nil
}

// packing is comparisons laid out for one pass.
type packing struct {
	batch   gpt.Batch
	pairs   [][2]int  // (P) sequences of the batch, better and worse
	weights []float64 // (P) 1/(pairs of the comparison · comparisons)
}

func pack(comparisons []Comparison, of int) packing {
	var p packing
	for _, c := range comparisons {
		first := len(p.batch.Lens)
		for _, completion := range c.Completions {
			tokens := slices.Concat(c.Prompt, completion)
			p.batch.Append(tokens, nil)
			p.batch.ValuesFrom = append(p.batch.ValuesFrom, len(tokens)-1) // the score is read at the last token
		}
		pairs := c.pairs()
		for _, pair := range pairs {
			p.pairs = append(p.pairs, [2]int{first + pair[0], first + pair[1]})
			p.weights = append(p.weights, 1/(float64(len(pairs))*float64(of)))
		}
	}
	return p
}

// leaves returns the loss's inputs at the given scores (B).
func (p packing) leaves(scores []float32) map[string][]float64 {
	better, worse := make([]float64, len(p.pairs)), make([]float64, len(p.pairs))
	for k, pair := range p.pairs {
		better[k], worse[k] = float64(scores[pair[0]]), float64(scores[pair[1]])
	}
	return map[string][]float64{"better": better, "worse": worse, "weights": p.weights}
}

// Evaluate returns the loss, in nats a prompt, and the share of pairs that the
// scores order as the labelers did. Comparisons that are all ties are left out;
// both are NaN if no pair is left.
func Evaluate(ctx context.Context, model *gpt.Model, comparisons []Comparison) (loss, accuracy float64, err error) {
	pass, objective := gpt.NewPass(model), newLoss()
	groups, pairs, right := 0, 0, 0
	for _, c := range comparisons {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		part := pack([]Comparison{c}, 1)
		if len(part.pairs) == 0 {
			continue
		}
		out, err := pass.Evaluate(part.batch)
		if err != nil {
			return 0, 0, err
		}
		r, err := objective.Evaluate(part.leaves(out.Scores))
		if err != nil {
			return 0, 0, err
		}
		loss += r.Loss
		groups++
		for _, p := range part.pairs {
			pairs++
			if out.Scores[p[0]] > out.Scores[p[1]] {
				right++
			}
		}
	}
	return loss / float64(groups), float64(right) / float64(pairs), nil
}
