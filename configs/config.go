// Package configs composes the settings of all packages and loads them with
// viper: defaults, then a preset, a file, the environment and flags. Decoding is
// strict: an unknown key or a value of the wrong type is an error that names
// where it stands. It owns no setting of a stage; each package has its Config.
package configs

import (
	"errors"
	"fmt"

	"rlhf/compare"
	"rlhf/labeling"
	"rlhf/ppo"
	"rlhf/reward"
	"rlhf/sft"
)

// Config is every setting of the program.
type Config struct {
	Model     Model           `mapstructure:"model"`
	Tokenizer Tokenizer       `mapstructure:"tokenizer"`
	Pretrain  sft.Config      `mapstructure:"pretrain"`
	SFT       sft.Config      `mapstructure:"sft"`
	Sample    Sample          `mapstructure:"sample"`
	Chat      Chat            `mapstructure:"chat"`
	Label     labeling.Config `mapstructure:"label"`
	Reward    reward.Config   `mapstructure:"reward"`
	PPO       ppo.Config      `mapstructure:"ppo"`
	Compare   compare.Config  `mapstructure:"compare"`
}

// Model is the shape of a model trained from scratch.
type Model struct {
	NLayer     int    `mapstructure:"n_layer"`     // GPT-2 small: 12
	NHead      int    `mapstructure:"n_head"`      // GPT-2 small: 12
	NEmbd      int    `mapstructure:"n_embd"`      // GPT-2 small: 768
	NPositions int    `mapstructure:"n_positions"` // GPT-2: 1024
	Seed       uint64 `mapstructure:"seed"`        // of the initial parameters
}

// Tokenizer holds the settings of tokenizer training.
type Tokenizer struct {
	VocabSize int `mapstructure:"vocab_size"` // with the bytes and two special tokens. GPT-2: 50257
}

// Default returns every package's defaults.
func Default() Config {
	pretrain := sft.DefaultConfig()
	pretrain.NumTrainEpochs, pretrain.LR, pretrain.WarmupSteps, pretrain.WeightDecay, pretrain.ResidPdrop = 1, 6e-4, 200, .1, 0 // nanoGPT, for GPT-2 small
	pretrain.CompletionOnlyLoss, pretrain.Packing = false, true
	return Config{
		Model:     Model{NLayer: 12, NHead: 12, NEmbd: 768, NPositions: 1024, Seed: 1},
		Tokenizer: Tokenizer{VocabSize: 50257},
		Pretrain:  pretrain, SFT: sft.DefaultConfig(),
		Sample: defaultSample(), Chat: defaultChat(),
		Label: labeling.DefaultConfig(), Reward: reward.DefaultConfig(), PPO: ppo.DefaultConfig(), Compare: compare.DefaultConfig(),
	}
}

// Validate returns an error that names the first setting without a usable value, as section.setting.
func (c Config) Validate() error {
	for _, section := range []struct {
		name     string
		validate func() error
	}{
		{"model", c.Model.Validate}, {"tokenizer", c.Tokenizer.Validate}, {"pretrain", c.Pretrain.Validate}, {"sft", c.SFT.Validate}, {"sample", c.Sample.Validate}, {"chat", c.Chat.Validate},
		{"label", c.Label.Validate}, {"reward", c.Reward.Validate}, {"ppo", c.PPO.Validate}, {"compare", c.Compare.Validate},
	} {
		if err := section.validate(); err != nil {
			return fmt.Errorf("%s.%w", section.name, err)
		}
	}
	return nil
}

// Validate returns an error that names the first setting without a usable value.
func (m Model) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"n_layer", m.NLayer}, {"n_head", m.NHead}, {"n_embd", m.NEmbd}, {"n_positions", m.NPositions}} {
		if f.value < 1 {
			return fmt.Errorf("%s: must be at least 1 (got %d)", f.name, f.value)
		}
	}
	if m.NEmbd%m.NHead != 0 {
		return fmt.Errorf("n_head: must divide n_embd %d (got %d)", m.NEmbd, m.NHead)
	}
	return nil
}

// Validate returns an error that names the first setting without a usable value.
func (t Tokenizer) Validate() error {
	if t.VocabSize < 258 {
		return fmt.Errorf("vocab_size: must be at least 258, the bytes and two special tokens (got %d)", t.VocabSize)
	}
	return nil
}

// ErrSetting is what every error about a setting wraps: the user wrote something wrong.
var ErrSetting = errors.New("setting")
