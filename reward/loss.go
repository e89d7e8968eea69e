package reward

import (
	"gorgonia.org/gorgonia"

	"rlhf/internal/objective"
)

// newLoss returns the ranking loss over weighted pairs of scores,
// -Σ weight·log σ(better − worse), with -log σ(x) = softplus(−x). With weight
// 1/(pairs of the prompt · prompts) it is InstructGPT's, arXiv:2203.02155 eq. 1.
func newLoss() *objective.Cache {
	return &objective.Cache{
		Leaves: []objective.Leaf{{Name: "better", Differentiate: true}, {Name: "worse", Differentiate: true}, {Name: "weights"}},
		Build: func(leaf map[string]*gorgonia.Node, _ int) (objective.Terms, error) {
			behind, err := gorgonia.Sub(leaf["worse"], leaf["better"])
			if err != nil {
				return objective.Terms{}, err
			}
			surprise, err := gorgonia.Softplus(behind)
			if err != nil {
				return objective.Terms{}, err
			}
			weighted, err := gorgonia.HadamardProd(surprise, leaf["weights"])
			if err != nil {
				return objective.Terms{}, err
			}
			loss, err := gorgonia.Sum(weighted)
			return objective.Terms{Loss: loss}, err
		},
	}
}
