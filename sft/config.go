package sft

import (
	"fmt"
	"slices"
	"strings"

	"rlhf/internal/optim"
)

// Config holds the settings of a pretraining or SFT run. Decode over DefaultConfig.
type Config struct {
	NumTrainEpochs int     `mapstructure:"num_train_epochs"` // Ouyang 2022, app. C.1: 16
	MaxSteps       int     `mapstructure:"max_steps"`        // ends the run earlier; 0 does not
	BatchSize      int     `mapstructure:"batch_size"`       // sequences a step. Ouyang 2022, app. C.1
	LR             float64 `mapstructure:"lr"`               // peak. Ouyang 2022, app. C.1: 9.65e-6 for 1.3B parameters
	LRScheduler    string  `mapstructure:"lr_scheduler"`     // constant, linear or cosine. Ouyang 2022, app. C.1
	MinLRRatio     float64 `mapstructure:"min_lr_ratio"`     // share of lr at the end. Ouyang 2022, app. C.1: 10 %
	WarmupSteps    int     `mapstructure:"warmup_steps"`     // Ouyang 2022, app. C.1: none
	WeightDecay    float64 `mapstructure:"weight_decay"`     // on tensors of two dimensions. nanoGPT for pretraining
	AdamBeta1      float64 `mapstructure:"adam_beta1"`       // Ouyang 2022, app. C
	AdamBeta2      float64 `mapstructure:"adam_beta2"`       // Ouyang 2022, app. C
	AdamEpsilon    float64 `mapstructure:"adam_epsilon"`     // PyTorch's default
	MaxGradNorm    float64 `mapstructure:"max_grad_norm"`    // 0 does not clip. Brown 2020, app. B
	LoggingSteps   int     `mapstructure:"logging_steps"`    // steps between two lines of metrics
	EvalSteps      int     `mapstructure:"eval_steps"`       // steps between two evaluations; 0 evaluates at the end only
	SaveSteps      int     `mapstructure:"save_steps"`       // steps between two checkpoints; 0 saves at the end only
	SaveTotalLimit int     `mapstructure:"save_total_limit"` // checkpoints kept; 0 keeps all
	Seed           uint64  `mapstructure:"seed"`             // of the order of the examples
}

// DefaultConfig returns InstructGPT's settings for SFT.
func DefaultConfig() Config {
	return Config{
		NumTrainEpochs: 16, BatchSize: 32, LR: 9.65e-6, LRScheduler: "cosine", MinLRRatio: .1, WeightDecay: 0,
		AdamBeta1: .9, AdamBeta2: .95, AdamEpsilon: 1e-8, MaxGradNorm: 1, LoggingSteps: 10, EvalSteps: 100, SaveSteps: 500, SaveTotalLimit: 2, Seed: 1,
	}
}

// Validate returns an error that names the first setting without a usable value.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
		least int
	}{
		{"num_train_epochs", c.NumTrainEpochs, 1}, {"max_steps", c.MaxSteps, 0}, {"batch_size", c.BatchSize, 1}, {"warmup_steps", c.WarmupSteps, 0},
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
