package ppo

import (
	"fmt"
	"slices"
	"strings"

	"rlhf/internal/optim"
)

// Config holds the settings of a PPO run. Decode over DefaultConfig. Names are
// those of lm-human-preferences (LMHP) and the numbers InstructGPT's where the
// paper states them (Ouyang 2022, app. C.4), else LMHP's.
type Config struct {
	TotalEpisodes int `mapstructure:"total_episodes"` // Ouyang 2022: 256k
	BatchSize     int `mapstructure:"batch_size"`     // episodes sampled before each update. Ouyang 2022: 512
	NMinibatches  int `mapstructure:"nminibatches"`   // parts of a batch, one optimizer step each. Ouyang 2022: 512/64
	NOptEpochs    int `mapstructure:"noptepochs"`     // passes over a batch. Ouyang 2022: 1

	LR          float64 `mapstructure:"lr"`            // of the policy. Stiennon 2020: 1.5e-5; Ouyang 2022 does not say
	ValueLR     float64 `mapstructure:"value_lr"`      // of the value network. Ouyang 2022: 9e-6
	LRScheduler string  `mapstructure:"lr_scheduler"`  // constant, linear or cosine, over batches. Ouyang 2022: constant
	MinLRRatio  float64 `mapstructure:"min_lr_ratio"`  // share of the rates at the end. LMHP: 0
	WarmupSteps int     `mapstructure:"warmup_steps"`  // batches of linear rise. Ouyang 2022: 10, from 0.1 of the peak
	AdamBeta1   float64 `mapstructure:"adam_beta1"`    // Ouyang 2022, app. C
	AdamBeta2   float64 `mapstructure:"adam_beta2"`    // Ouyang 2022, app. C
	AdamEpsilon float64 `mapstructure:"adam_epsilon"`  // LMHP: 1e-5
	WeightDecay float64 `mapstructure:"weight_decay"`  // LMHP: none
	MaxGradNorm float64 `mapstructure:"max_grad_norm"` // of each network; 0 does not clip. LMHP: none; we take 1
	EMADecay    float64 `mapstructure:"ema_decay"`     // of the policy kept as result, per optimizer step; 0 keeps the policy itself. Ouyang 2022: 0.992

	KLCoef       float64 `mapstructure:"kl_coef"`       // β at the start. Ouyang 2022: 0.02
	KLController string  `mapstructure:"kl_controller"` // fixed or adaptive (Ziegler 2019, section 2.2)
	KLTarget     float64 `mapstructure:"kl_target"`     // nats an episode, adaptive only. LMHP: 6
	KLHorizon    float64 `mapstructure:"kl_horizon"`    // episodes, adaptive only. LMHP: 10000
	Gamma        float64 `mapstructure:"gamma"`         // Ouyang 2022: 1
	Lam          float64 `mapstructure:"lam"`           // GAE's λ. LMHP: .95

	ClipRange      float64 `mapstructure:"cliprange"`       // Ouyang 2022: 0.2
	ClipRangeValue float64 `mapstructure:"cliprange_value"` // LMHP: 0.2
	VFCoef         float64 `mapstructure:"vf_coef"`         // weight of the value loss; its network being separate, it scales value_lr's gradient
	EntCoef        float64 `mapstructure:"ent_coef"`        // entropy bonus. LMHP: none

	WhitenAdvantages bool `mapstructure:"whiten_advantages"` // mean 0 and variance 1 over the batch. LMHP
	ScaleRewards     bool `mapstructure:"scale_rewards"`     // variance 1 over the batch, mean kept: LMHP's whiten_rewards. Ouyang 2022 does not say

	ResponseLength  int     `mapstructure:"response_length"`   // most tokens of a response. Ziegler 2019: 24
	Temperature     float64 `mapstructure:"temperature"`       // of sampling and of every log-prob. Ouyang 2022: 1
	MissingEOS      string  `mapstructure:"missing_eos"`       // none, replace (LMHP) or subtract (TRL), for responses without the stop token
	MissingEOSValue float64 `mapstructure:"missing_eos_value"` // the score that replaces, or the penalty. LMHP: -1

	LoggingSteps   int    `mapstructure:"logging_steps"`    // batches between two lines of metrics
	SaveSteps      int    `mapstructure:"save_steps"`       // batches between two checkpoints; 0 saves at the end only
	SaveTotalLimit int    `mapstructure:"save_total_limit"` // checkpoints kept; 0 keeps all
	SampleSteps    int    `mapstructure:"sample_steps"`     // batches between two records of sample texts; 0 records none
	Seed           uint64 `mapstructure:"seed"`             // of queries, samples and minibatches
}

// DefaultConfig returns InstructGPT's settings, filled up from lm-human-preferences.
func DefaultConfig() Config {
	return Config{
		TotalEpisodes: 256_000, BatchSize: 512, NMinibatches: 8, NOptEpochs: 1,
		LR: 1.5e-5, ValueLR: 9e-6, LRScheduler: "constant", WarmupSteps: 10, AdamBeta1: .9, AdamBeta2: .95, AdamEpsilon: 1e-5, MaxGradNorm: 1, EMADecay: .992,
		KLCoef: .02, KLController: "fixed", KLTarget: 6, KLHorizon: 10_000, Gamma: 1, Lam: .95,
		ClipRange: .2, ClipRangeValue: .2, VFCoef: 1, WhitenAdvantages: true,
		ResponseLength: 24, Temperature: 1, MissingEOS: "none", MissingEOSValue: -1,
		LoggingSteps: 1, SaveSteps: 50, SaveTotalLimit: 2, SampleSteps: 10, Seed: 1,
	}
}

// Validate returns an error that names the first setting without a usable value.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
		least int
	}{
		{"total_episodes", c.TotalEpisodes, 1}, {"batch_size", c.BatchSize, 1}, {"nminibatches", c.NMinibatches, 1}, {"noptepochs", c.NOptEpochs, 1},
		{"warmup_steps", c.WarmupSteps, 0}, {"response_length", c.ResponseLength, 1}, {"logging_steps", c.LoggingSteps, 1},
		{"save_steps", c.SaveSteps, 0}, {"save_total_limit", c.SaveTotalLimit, 0}, {"sample_steps", c.SampleSteps, 0},
	} {
		if f.value < f.least {
			return fmt.Errorf("%s: must be at least %d (got %d)", f.name, f.least, f.value)
		}
	}
	if c.BatchSize%c.NMinibatches != 0 {
		return fmt.Errorf("nminibatches: must divide batch_size %d (got %d)", c.BatchSize, c.NMinibatches)
	}
	if c.TotalEpisodes < c.BatchSize {
		return fmt.Errorf("total_episodes: must be at least batch_size %d (got %d)", c.BatchSize, c.TotalEpisodes)
	}
	for _, f := range []struct {
		name       string
		value      float64
		least, top float64
	}{
		{"lr", c.LR, 0, 10}, {"value_lr", c.ValueLR, 0, 10}, {"min_lr_ratio", c.MinLRRatio, 0, 1}, {"adam_beta1", c.AdamBeta1, 0, .9999999},
		{"adam_beta2", c.AdamBeta2, 0, .9999999}, {"adam_epsilon", c.AdamEpsilon, 1e-30, 1}, {"weight_decay", c.WeightDecay, 0, 10},
		{"max_grad_norm", c.MaxGradNorm, 0, 1e9}, {"ema_decay", c.EMADecay, 0, .9999999}, {"kl_coef", c.KLCoef, 0, 1e6}, {"kl_target", c.KLTarget, 1e-9, 1e6},
		{"kl_horizon", c.KLHorizon, 1, 1e12}, {"gamma", c.Gamma, 0, 1}, {"lam", c.Lam, 0, 1}, {"cliprange", c.ClipRange, 1e-9, 1e6},
		{"cliprange_value", c.ClipRangeValue, 1e-9, 1e6}, {"vf_coef", c.VFCoef, 0, 1e6}, {"ent_coef", c.EntCoef, 0, 1e6},
		{"temperature", c.Temperature, 1e-3, 1e3}, {"missing_eos_value", c.MissingEOSValue, -1e6, 1e6},
	} {
		if !(f.value >= f.least && f.value <= f.top) {
			return fmt.Errorf("%s: must be from %g to %g (got %g)", f.name, f.least, f.top, f.value)
		}
	}
	for _, f := range []struct {
		name, value string
		known       []string
	}{
		{"lr_scheduler", c.LRScheduler, optim.Schedules}, {"kl_controller", c.KLController, []string{"fixed", "adaptive"}},
		{"missing_eos", c.MissingEOS, []string{"none", "replace", "subtract"}},
	} {
		if !slices.Contains(f.known, f.value) {
			return fmt.Errorf("%s: must be one of %s (got %q)", f.name, strings.Join(f.known, ", "), f.value)
		}
	}
	return nil
}
