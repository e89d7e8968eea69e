// Package configs composes the settings of all packages and loads them with
// viper: defaults, then a preset, a file, the environment and flags. Decoding is
// strict: an unknown key or a value of the wrong type is an error that names
// where it stands. It owns no setting of a stage; each package has its Config.
package configs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rlhf/compare"
	"rlhf/internal/chat"
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
	Chat      Chat            `mapstructure:"chat"`
	Sample    Sample          `mapstructure:"sample"`
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

// Chat holds the settings of conversations: how they are learnt from and held.
type Chat struct {
	// Template is how turns are marked: chatml, dialogpt, turns, or auto, which follows the tokenizer. SFT renders
	// conversations with it and, unless it is auto, also prompts with completions.
	Template string `mapstructure:"template"`
}

// Sample holds the settings of sampling completions.
type Sample struct {
	N            int     `mapstructure:"n"`              // completions of each prompt. InstructGPT ranks 4 to 9
	Temperature  float64 `mapstructure:"temperature"`    // 0 always takes the likeliest token
	MaxNewTokens int     `mapstructure:"max_new_tokens"` // most tokens of a completion
	Slots        int     `mapstructure:"slots"`          // sequences in work at a time; changes speed, never a token
	Seed         uint64  `mapstructure:"seed"`
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
		Chat:   Chat{Template: "auto"},
		Sample: Sample{N: 4, Temperature: .7, MaxNewTokens: 48, Slots: 64, Seed: 1},
		Label:  labeling.DefaultConfig(), Reward: reward.DefaultConfig(), PPO: ppo.DefaultConfig(), Compare: compare.DefaultConfig(),
	}
}

// Validate returns an error that names the first setting without a usable value, as section.setting.
func (c Config) Validate() error {
	for _, section := range []struct {
		name     string
		validate func() error
	}{
		{"model", c.Model.Validate}, {"tokenizer", c.Tokenizer.Validate}, {"pretrain", c.Pretrain.Validate}, {"sft", c.SFT.Validate}, {"chat", c.Chat.Validate}, {"sample", c.Sample.Validate},
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

// Validate returns an error that names the first setting without a usable value.
func (c Chat) Validate() error {
	if c.Template != chat.Auto && !slices.Contains(chat.Names, c.Template) {
		return fmt.Errorf("template: must be %s or one of %s (got %q)", chat.Auto, strings.Join(chat.Names, ", "), c.Template)
	}
	return nil
}

// Validate returns an error that names the first setting without a usable value.
func (s Sample) Validate() error {
	switch {
	case s.N < 1:
		return fmt.Errorf("n: must be at least 1 (got %d)", s.N)
	case !(s.Temperature >= 0 && s.Temperature <= 1000):
		return fmt.Errorf("temperature: must be from 0 to 1000 (got %g)", s.Temperature)
	case s.MaxNewTokens < 1:
		return fmt.Errorf("max_new_tokens: must be at least 1 (got %d)", s.MaxNewTokens)
	case s.Slots < 1:
		return fmt.Errorf("slots: must be at least 1 (got %d)", s.Slots)
	}
	return nil
}

// ErrSetting is what every error about a setting wraps: the user wrote something wrong.
var ErrSetting = errors.New("setting")
