package sft

import (
	"fmt"
	"slices"
	"strings"

	"rlhf/internal/optim"
)

// Config holds the settings of a pretraining or SFT run. Decode over DefaultConfig.
type Config struct {
	NumTrainEpochs int `mapstructure:"num_train_epochs"` // Ouyang 2022, app. C.1: 16
	MaxSteps       int `mapstructure:"max_steps"`        // ends the run earlier; 0 does not

	// what an example is
	MaxLength          int  `mapstructure:"max_length"`           // tokens of an example, longer ones are cut; 0: as many as the model takes
	CompletionOnlyLoss bool `mapstructure:"completion_only_loss"` // learn the assistant's turns only, else every token. Ouyang 2022, app. C.1
	Packing            bool `mapstructure:"packing"`              // examples one after another in blocks of max_length. GPT-2, nanoGPT

	// what a step takes
	BatchSize     int     `mapstructure:"batch_size"`      // sequences a step. Ouyang 2022, app. C.1
	BatchTokens   int     `mapstructure:"batch_tokens"`    // tokens a step, in place of batch_size; 0: batch_size counts
	GroupByLength bool    `mapstructure:"group_by_length"` // batches of sequences of about one length, as transformers' Trainer
	MicroTokens   int     `mapstructure:"micro_tokens"`    // tokens of a batch that one pass takes; changes memory, and the gradient in its rounding only; 0: 256 MiB worth
	PretrainShare float64 `mapstructure:"pretrain_share"`  // share of pretraining sequences mixed into each step. Ouyang 2022, app. C.4: 10 %

	LR          float64 `mapstructure:"lr"`            // peak. Ouyang 2022, app. C.1: 9.65e-6 for 1.3B parameters
	LRScheduler string  `mapstructure:"lr_scheduler"`  // constant, linear or cosine. Ouyang 2022, app. C.1
	MinLRRatio  float64 `mapstructure:"min_lr_ratio"`  // share of lr at the end. Ouyang 2022, app. C.1: 10 %
	WarmupSteps int     `mapstructure:"warmup_steps"`  // Ouyang 2022, app. C.1: none
	WarmupRatio float64 `mapstructure:"warmup_ratio"`  // warm-up as a share of all steps, if warmup_steps is 0
	WeightDecay float64 `mapstructure:"weight_decay"`  // on tensors of two dimensions. nanoGPT for pretraining
	AdamBeta1   float64 `mapstructure:"adam_beta1"`    // Ouyang 2022, app. C
	AdamBeta2   float64 `mapstructure:"adam_beta2"`    // Ouyang 2022, app. C
	AdamEpsilon float64 `mapstructure:"adam_epsilon"`  // PyTorch's default
	MaxGradNorm float64 `mapstructure:"max_grad_norm"` // 0 does not clip. Brown 2020, app. B

	EmbdPdrop  float64 `mapstructure:"embd_pdrop"`  // dropout of the embeddings
	AttnPdrop  float64 `mapstructure:"attn_pdrop"`  // dropout of the attention weights
	ResidPdrop float64 `mapstructure:"resid_pdrop"` // dropout of what each block adds to the residual stream. Ouyang 2022, app. C.1: 0.2

	LoggingSteps int `mapstructure:"logging_steps"` // steps between two lines of metrics
	EvalSteps    int `mapstructure:"eval_steps"`    // steps between two evaluations; 0 evaluates at the end only

	// what an evaluation samples, beside the loss
	EvalPrompts      int     `mapstructure:"eval_prompts"`        // prompts continued, written to samples.jsonl, and scored where there is a reward model
	EvalMaxNewTokens int     `mapstructure:"eval_max_new_tokens"` // most tokens of such a continuation
	EvalTemperature  float64 `mapstructure:"eval_temperature"`    // 0 always takes the likeliest token

	SaveSteps      int `mapstructure:"save_steps"`       // steps between two checkpoints; 0 saves at the end only
	SaveTotalLimit int `mapstructure:"save_total_limit"` // checkpoints kept; 0 keeps all

	LoadBestModelAtEnd     bool    `mapstructure:"load_best_model_at_end"`   // end with the model of the best evaluation, not the last
	MetricForBestModel     string  `mapstructure:"metric_for_best_model"`    // loss, or score: the reward model's, by which Ouyang 2022, app. C.1, picks
	EarlyStoppingPatience  int     `mapstructure:"early_stopping_patience"`  // evaluations in a row without a better one that end the run; 0 does not
	EarlyStoppingThreshold float64 `mapstructure:"early_stopping_threshold"` // how much better is better

	Seed uint64 `mapstructure:"seed"` // of the order of the examples, the dropout and the continuations
}

// The values of MetricForBestModel.
const (
	metricLoss  = "loss"
	metricScore = "score"
)

// DefaultConfig returns InstructGPT's settings for SFT.
func DefaultConfig() Config {
	return Config{
		NumTrainEpochs: 16, CompletionOnlyLoss: true, BatchSize: 32,
		LR: 9.65e-6, LRScheduler: "cosine", MinLRRatio: .1, WeightDecay: 0,
		AdamBeta1: .9, AdamBeta2: .95, AdamEpsilon: 1e-8, MaxGradNorm: 1, ResidPdrop: .2,
		LoggingSteps: 10, EvalSteps: 100, EvalPrompts: 8, EvalMaxNewTokens: 48, EvalTemperature: .7,
		SaveSteps: 500, SaveTotalLimit: 2, MetricForBestModel: metricLoss, Seed: 1,
	}
}

// Validate returns an error that names the first setting without a usable value.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
		least int
	}{
		{"num_train_epochs", c.NumTrainEpochs, 1}, {"max_steps", c.MaxSteps, 0}, {"max_length", c.MaxLength, 0}, {"batch_size", c.BatchSize, 1},
		{"batch_tokens", c.BatchTokens, 0}, {"micro_tokens", c.MicroTokens, 0}, {"warmup_steps", c.WarmupSteps, 0},
		{"logging_steps", c.LoggingSteps, 1}, {"eval_steps", c.EvalSteps, 0}, {"eval_prompts", c.EvalPrompts, 0},
		{"eval_max_new_tokens", c.EvalMaxNewTokens, 1}, {"save_steps", c.SaveSteps, 0}, {"save_total_limit", c.SaveTotalLimit, 0},
		{"early_stopping_patience", c.EarlyStoppingPatience, 0},
	} {
		if f.value < f.least {
			return fmt.Errorf("%s: must be at least %d (got %d)", f.name, f.least, f.value)
		}
	}
	if c.MaxLength == 1 {
		return fmt.Errorf("max_length: must be 0 or at least 2 (got 1)")
	}
	for _, f := range []struct {
		name       string
		value      float64
		least, top float64
	}{
		{"pretrain_share", c.PretrainShare, 0, .99}, {"lr", c.LR, 0, 10}, {"min_lr_ratio", c.MinLRRatio, 0, 1}, {"warmup_ratio", c.WarmupRatio, 0, 1},
		{"weight_decay", c.WeightDecay, 0, 10}, {"adam_beta1", c.AdamBeta1, 0, .9999999}, {"adam_beta2", c.AdamBeta2, 0, .9999999},
		{"adam_epsilon", c.AdamEpsilon, 1e-30, 1}, {"max_grad_norm", c.MaxGradNorm, 0, 1e9},
		{"embd_pdrop", c.EmbdPdrop, 0, .99}, {"attn_pdrop", c.AttnPdrop, 0, .99}, {"resid_pdrop", c.ResidPdrop, 0, .99},
		{"eval_temperature", c.EvalTemperature, 0, 1000}, {"early_stopping_threshold", c.EarlyStoppingThreshold, 0, 1e9},
	} {
		if !(f.value >= f.least && f.value <= f.top) {
			return fmt.Errorf("%s: must be from %g to %g (got %g)", f.name, f.least, f.top, f.value)
		}
	}
	return c.validateChoices()
}

// validateChoices checks the settings that are one of a few words, and those that need one another.
func (c Config) validateChoices() error {
	switch {
	case !slices.Contains(optim.Schedules, c.LRScheduler):
		return fmt.Errorf("lr_scheduler: must be one of %s (got %q)", strings.Join(optim.Schedules, ", "), c.LRScheduler)
	case c.MetricForBestModel != metricLoss && c.MetricForBestModel != metricScore:
		return fmt.Errorf("metric_for_best_model: must be loss or score (got %q)", c.MetricForBestModel)
	case c.WarmupSteps > 0 && c.WarmupRatio > 0:
		return fmt.Errorf("warmup_ratio: must be 0 if warmup_steps is not (got %g and %d)", c.WarmupRatio, c.WarmupSteps)
	case c.EarlyStoppingPatience > 0 && c.EvalSteps == 0:
		return fmt.Errorf("early_stopping_patience: needs evaluations, but eval_steps is 0 (got %d)", c.EarlyStoppingPatience)
	}
	return nil
}
