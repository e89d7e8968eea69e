package ppo

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rlhf/internal/objective"
)

// newLoss returns PPO's clipped objective (arXiv:1707.06347 eq. 9, with the value
// loss clipped as in lm-human-preferences) over weighted response tokens; with
// weights 1/n every sum is a mean over n tokens.
func newLoss(c Config) *objective.Cache {
	return &objective.Cache{
		Leaves: []objective.Leaf{
			{Name: "logprobs", Differentiate: true}, {Name: "entropy", Differentiate: true}, {Name: "values", Differentiate: true},
			{Name: "oldLogprobs"}, {Name: "oldValues"}, {Name: "advantages"}, {Name: "returns"}, {Name: "weights"},
		},
		Build: func(leaf map[string]*gorgonia.Node, n int) (objective.Terms, error) {
			e := expression{n: n, weights: leaf["weights"]}
			ratio := e.exp(e.sub(leaf["logprobs"], leaf["oldLogprobs"]))
			clipped := e.clip(ratio, e.constant(1-c.ClipRange), e.constant(1+c.ClipRange))
			pg := e.mean(e.max(e.neg(e.mul(leaf["advantages"], ratio)), e.neg(e.mul(leaf["advantages"], clipped))))

			near := e.clip(leaf["values"], e.sub(leaf["oldValues"], e.constant(c.ClipRangeValue)), e.add(leaf["oldValues"], e.constant(c.ClipRangeValue)))
			vf := e.half(e.mean(e.max(e.square(e.sub(leaf["values"], leaf["returns"])), e.square(e.sub(near, leaf["returns"])))))

			entropy := e.mean(leaf["entropy"])
			loss := e.sub(e.add(pg, e.times(c.VFCoef, vf)), e.times(c.EntCoef, entropy))
			return objective.Terms{Loss: loss, Also: map[string]*gorgonia.Node{"policy": pg, "value": vf, "entropy": entropy}}, e.err
		},
	}
}

// expression keeps the first error of building a graph, so that a loss reads as its formula.
type expression struct {
	n       int
	weights *gorgonia.Node
	err     error

	constants int // made so far
}

func (e *expression) keep(node *gorgonia.Node, err error) *gorgonia.Node {
	if e.err == nil {
		e.err = err
	}
	return node
}

func (e *expression) two(op func(a, b *gorgonia.Node) (*gorgonia.Node, error), a, b *gorgonia.Node) *gorgonia.Node {
	if e.err != nil {
		return a
	}
	return e.keep(op(a, b))
}

func (e *expression) one(op func(*gorgonia.Node) (*gorgonia.Node, error), a *gorgonia.Node) *gorgonia.Node {
	if e.err != nil {
		return a
	}
	return e.keep(op(a))
}

func (e *expression) add(a, b *gorgonia.Node) *gorgonia.Node { return e.two(gorgonia.Add, a, b) }
func (e *expression) sub(a, b *gorgonia.Node) *gorgonia.Node { return e.two(gorgonia.Sub, a, b) }
func (e *expression) mul(a, b *gorgonia.Node) *gorgonia.Node {
	return e.two(func(a, b *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.HadamardProd(a, b) }, a, b)
}
func (e *expression) max(a, b *gorgonia.Node) *gorgonia.Node { return e.two(gorgonia.MaxBetween, a, b) }
func (e *expression) min(a, b *gorgonia.Node) *gorgonia.Node { return e.two(gorgonia.MinBetween, a, b) }
func (e *expression) exp(a *gorgonia.Node) *gorgonia.Node    { return e.one(gorgonia.Exp, a) }
func (e *expression) neg(a *gorgonia.Node) *gorgonia.Node    { return e.one(gorgonia.Neg, a) }
func (e *expression) square(a *gorgonia.Node) *gorgonia.Node { return e.one(gorgonia.Square, a) }
func (e *expression) half(a *gorgonia.Node) *gorgonia.Node   { return e.times(.5, a) }

// clip is min(max(x, low), high).
func (e *expression) clip(x, low, high *gorgonia.Node) *gorgonia.Node {
	return e.min(e.max(x, low), high)
}

// mean is the weighted sum over tokens.
func (e *expression) mean(a *gorgonia.Node) *gorgonia.Node {
	return e.one(func(a *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.Sum(a) }, e.mul(a, e.weights))
}

func (e *expression) times(c float64, scalar *gorgonia.Node) *gorgonia.Node {
	return e.two(gorgonia.Mul, gorgonia.NewConstant(c), scalar)
}

// constant is a vector of equal numbers. It is an input with a value and a name of its own: gorgonia takes two
// constant vectors that print alike for the same.
func (e *expression) constant(c float64) *gorgonia.Node {
	x := make([]float64, e.n)
	for i := range x {
		x[i] = c
	}
	e.constants++
	return gorgonia.NewVector(e.weights.Graph(), tensor.Float64, gorgonia.WithShape(e.n), gorgonia.WithName(fmt.Sprintf("constant %d", e.constants)),
		gorgonia.WithValue(tensor.New(tensor.WithShape(e.n), tensor.WithBacking(x))))
}
