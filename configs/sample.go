package configs

import (
	"fmt"
	"slices"
	"strings"

	"rlhf/internal/chat"
)

// Sample holds the settings of sampling completions. Filters and penalty are
// transformers', in its order: repetition penalty, temperature, top k, top p, min p.
type Sample struct {
	N                 int      `mapstructure:"n"`                  // completions of each prompt. InstructGPT ranks 4 to 9
	Temperature       float64  `mapstructure:"temperature"`        // 0 always takes the likeliest token
	TopK              int      `mapstructure:"top_k"`              // draws from the k likeliest tokens; 0 from all
	TopP              float64  `mapstructure:"top_p"`              // draws from the likeliest tokens that together reach this probability; 1 from all
	TopPWithin        bool     `mapstructure:"top_p_within"`       // leaves out the token that crosses top_p, as lm-human-preferences does
	MinP              float64  `mapstructure:"min_p"`              // draws from tokens at least this share as likely as the likeliest; 0 from all
	RepetitionPenalty float64  `mapstructure:"repetition_penalty"` // above 1 makes tokens of prompt and completion less likely to come again. CTRL (arXiv:1909.05858): 1.2
	Stop              []string `mapstructure:"stop"`               // texts, or names of special tokens, that each end a completion
	StopTokens        []int    `mapstructure:"stop_tokens"`        // ids that each end a completion, beside end-of-text
	KeepStop          bool     `mapstructure:"keep_stop"`          // leaves the stop text at the completion's end
	MaxNewTokens      int      `mapstructure:"max_new_tokens"`     // most tokens of a completion
	MaxLength         int      `mapstructure:"max_length"`         // most tokens of prompt and completion; 0 for what the model takes
	NumBeams          int      `mapstructure:"num_beams"`          // above 1 searches for the n likeliest completions instead of sampling
	LengthPenalty     float64  `mapstructure:"length_penalty"`     // power of the length that a beam's log-prob is divided by
	EarlyStopping     string   `mapstructure:"early_stopping"`     // of a beam search: "true", "false" or "never"
	Slots             int      `mapstructure:"slots"`              // sequences in work at a time; changes speed, never a token
	Seed              uint64   `mapstructure:"seed"`
}

// Chat holds the settings of conversations: how they are learnt from and held.
type Chat struct {
	// Template is how turns are marked: chatml, dialogpt, turns, or auto, which follows the tokenizer. SFT renders
	// conversations with it and, unless it is auto, also prompts with completions.
	Template string `mapstructure:"template"`

	// How replies are drawn; each means what Sample's means.
	Temperature       float64  `mapstructure:"temperature"`
	TopK              int      `mapstructure:"top_k"`
	TopP              float64  `mapstructure:"top_p"`
	MinP              float64  `mapstructure:"min_p"`
	RepetitionPenalty float64  `mapstructure:"repetition_penalty"`
	Stop              []string `mapstructure:"stop"`           // beside what ends a turn in the template
	MaxNewTokens      int      `mapstructure:"max_new_tokens"` // most tokens of a reply
	MaxLength         int      `mapstructure:"max_length"`     // most tokens of the context; 0 for what the model takes
	Seed              uint64   `mapstructure:"seed"`
}

func defaultSample() Sample { // what transformers' GenerationConfig has, but for n and the temperature of Stiennon 2020
	return Sample{N: 4, Temperature: .7, TopP: 1, RepetitionPenalty: 1, MaxNewTokens: 48, NumBeams: 1, LengthPenalty: 1, EarlyStopping: "false", Slots: 64, Seed: 1}
}

func defaultChat() Chat {
	return Chat{Template: chat.Auto, Temperature: .7, TopP: 1, RepetitionPenalty: 1, MaxNewTokens: 128, Seed: 1}
}

// Validate returns an error that names the first setting without a usable value.
func (s Sample) Validate() error {
	switch {
	case s.N < 1:
		return fmt.Errorf("n: must be at least 1 (got %d)", s.N)
	case s.Slots < 1:
		return fmt.Errorf("slots: must be at least 1 (got %d)", s.Slots)
	case s.TopPWithin && s.TopP == 1:
		return fmt.Errorf("top_p_within: says nothing without top_p below 1 (got true)")
	case s.KeepStop && len(s.Stop) == 0:
		return fmt.Errorf("keep_stop: says nothing without stop (got true)")
	}
	if i := slices.IndexFunc(s.StopTokens, func(id int) bool { return id < 0 }); i >= 0 {
		return fmt.Errorf("stop_tokens: must be ids from 0 (got %d)", s.StopTokens[i])
	}
	if err := s.drawing().Validate(); err != nil {
		return err
	}
	return s.validateBeams()
}

// drawing returns the settings that sampling has in common with conversation.
func (s Sample) drawing() Chat {
	return Chat{chat.Auto, s.Temperature, s.TopK, s.TopP, s.MinP, s.RepetitionPenalty, s.Stop, s.MaxNewTokens, s.MaxLength, s.Seed}
}

func (s Sample) validateBeams() error {
	switch {
	case s.NumBeams < 1:
		return fmt.Errorf("num_beams: must be at least 1 (got %d)", s.NumBeams)
	case !slices.Contains([]string{"true", "false", "never"}, s.EarlyStopping):
		return fmt.Errorf("early_stopping: must be true, false or never (got %q)", s.EarlyStopping)
	case !(s.LengthPenalty >= -100 && s.LengthPenalty <= 100):
		return fmt.Errorf("length_penalty: must be from -100 to 100 (got %g)", s.LengthPenalty)
	case s.NumBeams == 1 && s.LengthPenalty != 1:
		return fmt.Errorf("length_penalty: is about beams and says nothing with num_beams 1 (got %g)", s.LengthPenalty)
	case s.NumBeams == 1 && s.EarlyStopping != "false":
		return fmt.Errorf("early_stopping: is about beams and says nothing with num_beams 1 (got %q)", s.EarlyStopping)
	case s.NumBeams > 1 && s.Temperature != 0:
		return fmt.Errorf("num_beams: a search draws nothing and needs temperature 0 (got num_beams %d, temperature %g)", s.NumBeams, s.Temperature)
	case s.NumBeams > 1 && s.N > s.NumBeams:
		return fmt.Errorf("n: must be at most num_beams %d (got %d)", s.NumBeams, s.N)
	}
	return nil
}

// Validate returns an error that names the first setting without a usable value.
func (c Chat) Validate() error {
	switch {
	case c.Template != chat.Auto && !slices.Contains(chat.Names, c.Template):
		return fmt.Errorf("template: must be %s or one of %s (got %q)", chat.Auto, strings.Join(chat.Names, ", "), c.Template)
	case !(c.Temperature >= 0 && c.Temperature <= 1000):
		return fmt.Errorf("temperature: must be from 0 to 1000 (got %g)", c.Temperature)
	case c.TopK < 0:
		return fmt.Errorf("top_k: must not be negative (got %d)", c.TopK)
	case !(c.TopP > 0 && c.TopP <= 1):
		return fmt.Errorf("top_p: must be above 0 and at most 1 (got %g)", c.TopP)
	case !(c.MinP >= 0 && c.MinP <= 1):
		return fmt.Errorf("min_p: must be from 0 to 1 (got %g)", c.MinP)
	case !(c.RepetitionPenalty > 0 && c.RepetitionPenalty <= 1000):
		return fmt.Errorf("repetition_penalty: must be above 0 and at most 1000 (got %g)", c.RepetitionPenalty)
	case c.Temperature == 0 && c.TopK != 0:
		return fmt.Errorf("top_k: says nothing at temperature 0, which takes the likeliest token (got %d)", c.TopK)
	case c.Temperature == 0 && c.TopP != 1:
		return fmt.Errorf("top_p: says nothing at temperature 0, which takes the likeliest token (got %g)", c.TopP)
	case c.Temperature == 0 && c.MinP != 0:
		return fmt.Errorf("min_p: says nothing at temperature 0, which takes the likeliest token (got %g)", c.MinP)
	case slices.Contains(c.Stop, ""):
		return fmt.Errorf("stop: must not have an empty text (got %q)", c.Stop)
	case c.MaxNewTokens < 1:
		return fmt.Errorf("max_new_tokens: must be at least 1 (got %d)", c.MaxNewTokens)
	case c.MaxLength < 0:
		return fmt.Errorf("max_length: must not be negative (got %d)", c.MaxLength)
	}
	return nil
}
