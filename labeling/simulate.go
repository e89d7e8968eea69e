package labeling

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"rlhf/internal/rng"
)

// SimulatedLabeler ranks by a taste of its own with noise, through the API like anyone else.
type SimulatedLabeler struct {
	Name, Password string
	Taste          func(prompt, completion string) float64
	NoiseSD        float64 // standard deviation of the Gaussian noise on each completion's taste
	TieStep        float64 // scores are rounded to multiples of it, and equal ones are a tie; 0 does not round
	Seed           uint64
}

// Ranks returns the labeler's ranks of completions. They are a function of the
// labeler and the texts alone, so neither the order shown nor the time changes them.
func (l SimulatedLabeler) Ranks(prompt string, completions []string) []int {
	scores := make([]float64, len(completions))
	for i, completion := range completions {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s\x00%s\x00%s", l.Name, prompt, completion)
		s := l.Taste(prompt, completion) + l.NoiseSD*rng.New(l.Seed, "labeling/simulated", h.Sum64()).NormFloat64()
		if l.TieStep > 0 {
			s = math.Round(s/l.TieStep) * l.TieStep
		}
		scores[i] = s
	}
	order := slices.Clone(scores)
	slices.Sort(order)
	order = slices.Compact(order)
	ranks := make([]int, len(scores))
	for i, s := range scores {
		at, _ := slices.BinarySearch(order, s)
		ranks[i] = len(order) - at
	}
	return ranks
}

// simulatedMS is the active time a simulated labeler reports: none.
const simulatedMS = 0

// Simulate signs the labeler in and has it rank until nothing is left. each, if
// not nil, hears after every ranking.
func Simulate(ctx context.Context, base string, l SimulatedLabeler, each func()) error {
	c := NewClient(base)
	if err := c.SignIn(ctx, l.Name, l.Password); err != nil {
		return fmt.Errorf("simulated labeler %s: %w", l.Name, err)
	}
	for {
		task, err := c.Next(ctx)
		if err != nil {
			return fmt.Errorf("simulated labeler %s: %w", l.Name, err)
		}
		if task == nil {
			return nil
		}
		if err := c.Rank(ctx, task.ID, l.Ranks(task.Prompt, task.Completions), simulatedMS); err != nil {
			return fmt.Errorf("simulated labeler %s: %w", l.Name, err)
		}
		if each != nil {
			each()
		}
	}
}
