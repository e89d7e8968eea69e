package sft

import (
	"gorgonia.org/gorgonia"

	"rlhf/internal/objective"
)

// newLoss returns the cross-entropy of a language model over weighted tokens,
// -Σ weight·log p: with weights 1/n the mean over n tokens.
func newLoss() *objective.Cache {
	return &objective.Cache{
		Leaves: []objective.Leaf{{Name: "logprobs", Differentiate: true}, {Name: "weights"}},
		Build: func(leaf map[string]*gorgonia.Node, _ int) (objective.Terms, error) {
			weighted, err := gorgonia.HadamardProd(leaf["logprobs"], leaf["weights"])
			if err != nil {
				return objective.Terms{}, err
			}
			sum, err := gorgonia.Sum(weighted)
			if err != nil {
				return objective.Terms{}, err
			}
			loss, err := gorgonia.Neg(sum)
			return objective.Terms{Loss: loss}, err
		},
	}
}
