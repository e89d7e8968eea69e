package reward

import (
	"fmt"
	"slices"
	"strings"

	"rlhf/internal/optim"
)

// Config holds the settings of reward-model training. Decode over DefaultConfig.
type Config struct {
	NumTrainEpochs int     `mapstructure:"num_train_epochs"` // Ouyang 2022, app. C.2: one; more overfit quickly
	BatchSize      int     `mapstructure:"batch_size"`       // ranked prompts a step. Ouyang 2022, app. C.2: 64 distinct prompts
	LR             float64 `mapstructure:"lr"`               // peak. Ouyang 2022, app. C.2
	LRScheduler    string  `mapstructure:"lr_scheduler"`     // constant, linear or cosine. Ouyang 2022, app. C.2
	MinLRRatio     float64 `mapstructure:"min_lr_ratio"`     // share of lr at the end. Ouyang 2022, app. C.2: 10 %
	WarmupSteps    int     `mapstructure:"warmup_steps"`     // not stated there; none
	WeightDecay    float64 `mapstructure:"weight_decay"`     // not stated there; none
	AdamBeta1      float64 `mapstructure:"adam_beta1"`       // Ouyang 2022, app. C
	AdamBeta2      float64 `mapstructure:"adam_beta2"`       // Ouyang 2022, app. C
	AdamEpsilon    float64 `mapstructure:"adam_epsilon"`     // lm-human-preferences: 1e-5
	MaxGradNorm    float64 `mapstructure:"max_grad_norm"`    // 0 does not clip
	HeldOut        float64 `mapstructure:"held_out"`         // share of the prompts kept for evaluation, chosen by seed
	TargetMean     float64 `mapstructure:"target_mean"`      // of the normalised scores of the reference's samples. Ziegler 2019: 0
	TargetStd      float64 `mapstructure:"target_std"`       // of the same. Ziegler 2019: 1; 0 does not normalise
	LoggingSteps   int     `mapstructure:"logging_steps"`    // steps between two lines of metrics
	EvalSteps      int     `mapstructure:"eval_steps"`       // steps between two evaluations; 0 evaluates at the end only
	SaveSteps      int     `mapstructure:"save_steps"`       // steps between two checkpoints; 0 saves at the end only
	SaveTotalLimit int     `mapstructure:"save_total_limit"` // checkpoints kept; 0 keeps all
	Seed           uint64  `mapstructure:"seed"`             // of head, order and split
}

// DefaultConfig returns InstructGPT's settings.
func DefaultConfig() Config {
	return Config{
		NumTrainEpochs: 1, BatchSize: 64, LR: 9e-6, LRScheduler: "cosine", MinLRRatio: .1, AdamBeta1: .9, AdamBeta2: .95, AdamEpsilon: 1e-5,
		MaxGradNorm: 1, HeldOut: .1, TargetMean: 0, TargetStd: 1, LoggingSteps: 10, EvalSteps: 100, SaveSteps: 500, SaveTotalLimit: 2, Seed: 1,
	}
}

// Validate returns an error that names the first setting without a usable value.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
		least int
	}{
		{"num_train_epochs", c.NumTrainEpochs, 1}, {"batch_size", c.BatchSize, 1}, {"warmup_steps", c.WarmupSteps, 0},
		{"logging_steps", c.LoggingSteps, 1}, {"eval_steps", c.EvalSteps, 0}, {"save_steps", c.SaveSteps, 0}, {"save_total_limit", c.SaveTotalLimit, 0},
	} {
		if f.value < f.least {
			return fmt.Errorf("%s: must be at least %d (got %d)", f.name, f.least, f.value)
		}
	}
	for _, f := range []struct {
		name       string
		value      float64
		least, top float64
	}{
		{"lr", c.LR, 0, 10}, {"min_lr_ratio", c.MinLRRatio, 0, 1}, {"weight_decay", c.WeightDecay, 0, 10}, {"adam_beta1", c.AdamBeta1, 0, .9999999},
		{"adam_beta2", c.AdamBeta2, 0, .9999999}, {"adam_epsilon", c.AdamEpsilon, 1e-30, 1}, {"max_grad_norm", c.MaxGradNorm, 0, 1e9},
		{"held_out", c.HeldOut, 0, .9}, {"target_mean", c.TargetMean, -1e6, 1e6}, {"target_std", c.TargetStd, 0, 1e6},
	} {
		if !(f.value >= f.least && f.value <= f.top) {
			return fmt.Errorf("%s: must be from %g to %g (got %g)", f.name, f.least, f.top, f.value)
		}
	}
	if !slices.Contains(optim.Schedules, c.LRScheduler) {
		return fmt.Errorf("lr_scheduler: must be one of %s (got %q)", strings.Join(optim.Schedules, ", "), c.LRScheduler)
	}
	return nil
}
