package compare

import "fmt"

// Config says how two models are compared. Decode over DefaultConfig.
type Config struct {
	// Prompts is how many held-out prompts both models answer, the first ones of
	// those given; 0 takes all. 500 puts the standard error of a win rate at 2.2
	// points or less.
	Prompts int `mapstructure:"prompts"`

	// ResponseLength is the most tokens of an answer. Ziegler 2019, section 3.1
	ResponseLength int `mapstructure:"response_length"`

	// Temperature divides the logits in sampling and in the KL; 0 always takes the
	// likeliest token. Ziegler 2019, section 2.2
	Temperature float64 `mapstructure:"temperature"`

	// TieMargin is the difference of two scores up to which the judge is said to see
	// no difference. Our default only keeps rounding from deciding.
	TieMargin float64 `mapstructure:"tie_margin"`

	// ShownSamples is how many pairs of answers the page shows, the first ones, so
	// that nobody has picked them. Our choice.
	ShownSamples int `mapstructure:"shown_samples"`

	// Seed keys the random streams that both models draw their answers from.
	Seed uint64 `mapstructure:"seed"`
}

// DefaultConfig returns the settings of a study that nobody has configured.
func DefaultConfig() Config {
	return Config{Prompts: 500, ResponseLength: 24, Temperature: 0.7, TieMargin: 1e-6, ShownSamples: 12, Seed: 1}
}

// Validate returns an error that names the first setting without a usable value.
func (c Config) Validate() error {
	switch {
	case c.Prompts < 0:
		return fmt.Errorf("prompts: must not be negative (got %d)", c.Prompts)
	case c.ResponseLength < 1:
		return fmt.Errorf("response_length: must be at least 1 (got %d)", c.ResponseLength)
	case !(c.Temperature >= 0 && c.Temperature <= 100):
		return fmt.Errorf("temperature: must be from 0 to 100 (got %g)", c.Temperature)
	case !(c.TieMargin >= 0):
		return fmt.Errorf("tie_margin: must not be negative (got %g)", c.TieMargin)
	case c.ShownSamples < 0:
		return fmt.Errorf("shown_samples: must not be negative (got %d)", c.ShownSamples)
	}
	return nil
}
