package bench

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"math"
	"os"

	"rlhf/internal/checkpoint"
	"rlhf/ppo"
	"rlhf/reward"
)

// errClosed ends a training run that nobody waits for, before it saves.
var errClosed = errors.New("bench: the workload was closed")

// openPPO is ppo.Train held at the end of each iteration, where it hands over its
// samples, until the next is asked for. Every iteration is whole: queries,
// rollouts, scores, reference, values, epochs and metrics; saving is not in it.
func openPPO(c Case) (Work, error) {
	in, err := newInputs(c)
	if err != nil {
		return Work{}, err
	}
	dir, err := os.MkdirTemp("", "bench-ppo-")
	if err != nil {
		return Work{}, err
	}
	counted := &counter{c: c, in: in, scorer: reward.Scorer{Model: in.reward}}
	next, stop := iter.Pull2(func(yield func(float64, error) bool) {
		task := ppo.Task{Queries: in.prompts, StopToken: in.stop, Scorer: counted, Samples: func(int, []ppo.Sample) error {
			if !yield(counted.flops, nil) {
				return errClosed
			}
			return nil
		}}
		models := ppo.Models{Policy: in.policy, Ref: in.policy.Clone(), Value: in.reward.Clone()}
		_, err := ppo.Train(context.Background(), ppoConfig(c), models, task, checkpoint.Run{Dir: dir}, slog.New(slog.DiscardHandler))
		if !errors.Is(err, errClosed) {
			yield(0, err)
		}
	})
	iterate := func() (float64, error) {
		flops, err, ok := next()
		if !ok {
			err = errors.New("the training run is over")
		}
		return flops, err
	}
	end := func() {
		stop()
		os.RemoveAll(dir)
	}
	return Work{Items: float64(c.Batch), Iterate: iterate, Close: end}, nil
}

// ppoConfig returns the settings that the peer's trainer runs with: one minibatch,
// no clipping of gradients, weight decay, moving average or entropy bonus.
func ppoConfig(c Case) ppo.Config {
	p := ppo.DefaultConfig()
	p.BatchSize, p.NMinibatches, p.NOptEpochs = c.Batch, 1, c.Epochs
	p.TotalEpisodes = math.MaxInt32 / c.Batch * c.Batch
	p.LR, p.ValueLR, p.LRScheduler, p.WarmupSteps = c.LR, c.LR, "constant", 0
	p.WeightDecay, p.MaxGradNorm, p.EMADecay, p.EntCoef = 0, 0, 0, 0
	p.KLCoef, p.KLController, p.ScaleRewards, p.WhitenAdvantages = c.KLCoef, "fixed", false, true
	p.ResponseLength, p.Temperature, p.MissingEOS = c.New, c.Temperature, "none"
	p.LoggingSteps, p.SaveSteps, p.SampleSteps = 1, 0, 1
	return p
}

// counter scores for ppo.Train and counts the operations of its iteration from
// the sequences that it sees: each iteration takes every prompt once.
type counter struct {
	c      Case
	in     inputs
	scorer reward.Scorer
	flops  float64 // of the last iteration
}

// Scores returns the reward model's scores.
func (k *counter) Scores(ctx context.Context, sequences [][]int32) ([]float32, error) {
	lm, head := k.in.policy.Config, k.in.reward.Config
	responses, passes := 0, float64(k.c.Epochs)
	k.flops = 0
	for _, s := range sequences {
		responses += len(s)
		k.flops += Forward(lm, len(s)-1, 0) + Forward(lm, len(s), 0) + 2*Forward(head, len(s), 1) // sample; reference; reward and value
		k.flops += passes * (Training(lm, len(s), 0) + Training(head, len(s), len(s)))
	}
	for _, q := range k.in.prompts {
		responses -= len(q)
	}
	k.flops += (2 + 3*passes) * (Forward(lm, 0, responses)) // the heads of sampling, reference and epochs
	return k.scorer.Scores(ctx, sequences)
}
