// Package objective evaluates and differentiates losses written as gorgonia
// expressions. A stage writes its loss over leaf vectors, the outputs of a
// model's pass; gorgonia gives the loss and its gradient with respect to the
// leaves, and the model's hand-written backward pass carries on from there. No
// loss is defined here.
//
// Building a graph takes milliseconds and evaluating it a fraction of one, so an
// Expression is built once for a shape and kept; Cache does that.
package objective

import (
	"errors"
	"fmt"
	"sync"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Leaf is an input vector of a loss.
type Leaf struct {
	Name          string
	Differentiate bool // reports whether Evaluate returns the loss's gradient with respect to it
}

// Terms is what a loss is made of. Loss is differentiated; Also are scalars
// reported beside it.
type Terms struct {
	Loss *gorgonia.Node
	Also map[string]*gorgonia.Node
}

// Build writes a loss over leaf vectors of n elements each, all float64.
type Build func(leaf map[string]*gorgonia.Node, n int) (Terms, error)

// building serialises the making of graphs: gorgonia's is not safe from several
// goroutines, even for separate graphs.
var building sync.Mutex

// Expression is a loss built for vectors of one length. It may not be used
// concurrently; separate expressions may.
type Expression struct {
	n       int
	leaves  []Leaf
	inputs  map[string]*tensor.Dense
	nodes   map[string]*gorgonia.Node
	loss    *gorgonia.Node
	grads   map[string]*gorgonia.Node
	also    map[string]*gorgonia.Node
	machine gorgonia.VM
}

// New builds a loss for vectors of n elements.
func New(leaves []Leaf, n int, build Build) (*Expression, error) {
	if n < 1 {
		return nil, fmt.Errorf("objective: vectors of %d elements", n)
	}
	building.Lock()
	defer building.Unlock()
	g := gorgonia.NewGraph()
	e := &Expression{n: n, leaves: leaves, inputs: map[string]*tensor.Dense{}, nodes: map[string]*gorgonia.Node{}, grads: map[string]*gorgonia.Node{}}
	for _, leaf := range leaves {
		e.inputs[leaf.Name] = tensor.New(tensor.WithShape(n), tensor.Of(tensor.Float64))
		e.nodes[leaf.Name] = gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(n), gorgonia.WithName(leaf.Name))
	}
	terms, err := build(e.nodes, n)
	if err != nil {
		return nil, fmt.Errorf("objective: %w", err)
	}
	e.loss, e.also = terms.Loss, terms.Also
	if !e.loss.IsScalar() {
		return nil, fmt.Errorf("objective: loss has shape %v, expected a scalar", e.loss.Shape())
	}
	var with gorgonia.Nodes
	for _, leaf := range leaves {
		if leaf.Differentiate {
			with = append(with, e.nodes[leaf.Name])
		}
	}
	grads, err := gorgonia.Grad(e.loss, with...)
	if err != nil {
		return nil, fmt.Errorf("objective: differentiate: %w", err)
	}
	for i, node := range with {
		e.grads[node.Name()] = grads[i]
	}
	e.machine = gorgonia.NewTapeMachine(g)
	return e, nil
}

// Result is a loss with its gradients. The caller owns the slices.
type Result struct {
	Loss  float64
	Grads map[string][]float64 // by leaf, (n)
	Also  map[string]float64
}

// Evaluate computes the loss at the given leaf vectors, one (n) for each leaf.
func (e *Expression) Evaluate(values map[string][]float64) (Result, error) {
	for _, leaf := range e.leaves {
		x, ok := values[leaf.Name]
		if !ok || len(x) != e.n {
			return Result{}, fmt.Errorf("objective: leaf %s has %d elements, expected %d", leaf.Name, len(x), e.n)
		}
		copy(e.inputs[leaf.Name].Data().([]float64), x)
		if err := gorgonia.Let(e.nodes[leaf.Name], e.inputs[leaf.Name]); err != nil {
			return Result{}, fmt.Errorf("objective: leaf %s: %w", leaf.Name, err)
		}
	}
	defer e.machine.Reset() // drops the registers, so everything is copied out before
	if err := e.machine.RunAll(); err != nil {
		return Result{}, fmt.Errorf("objective: %w", err)
	}
	r := Result{Grads: map[string][]float64{}, Also: map[string]float64{}}
	var err error
	if r.Loss, err = scalar(e.loss); err != nil {
		return Result{}, err
	}
	for name, node := range e.also {
		if r.Also[name], err = scalar(node); err != nil {
			return Result{}, err
		}
	}
	for name, node := range e.grads {
		x, ok := node.Value().Data().([]float64)
		if !ok || len(x) != e.n {
			return Result{}, fmt.Errorf("objective: gradient of %s has the value %v", name, node.Value())
		}
		r.Grads[name] = append([]float64(nil), x...)
	}
	return r, nil
}

func scalar(node *gorgonia.Node) (float64, error) {
	switch x := node.Value().Data().(type) {
	case float64:
		return x, nil
	case []float64:
		if len(x) == 1 {
			return x[0], nil
		}
	}
	return 0, fmt.Errorf("objective: %s has the value %v, expected a number", node.Name(), node.Value())
}

// Close frees the expression's machine.
func (e *Expression) Close() error { return e.machine.Close() }

// bucket is the step in which a Cache's vectors grow.
const bucket = 256

// Cache keeps the expressions of one loss, one for each length rounded up. A
// loss it holds must have a leaf of weights that multiplies every term, so that
// the zeros it appends count nothing. It may not be used concurrently.
type Cache struct {
	Leaves []Leaf
	Build  Build

	built map[int]*Expression
}

// Evaluate pads the vectors with zeros to a kept length, evaluates the loss and
// cuts the gradients back.
func (c *Cache) Evaluate(values map[string][]float64) (Result, error) {
	if len(c.Leaves) == 0 {
		return Result{}, errors.New("objective: no leaves")
	}
	n := len(values[c.Leaves[0].Name])
	size := max(1, (n+bucket-1)/bucket) * bucket
	e := c.built[size]
	if e == nil {
		var err error
		if e, err = New(c.Leaves, size, c.Build); err != nil {
			return Result{}, err
		}
		if c.built == nil {
			c.built = map[int]*Expression{}
		}
		c.built[size] = e
	}
	padded := map[string][]float64{}
	for _, leaf := range c.Leaves {
		x := values[leaf.Name]
		if len(x) != n {
			return Result{}, fmt.Errorf("objective: leaf %s has %d elements, %s has %d", leaf.Name, len(x), c.Leaves[0].Name, n)
		}
		padded[leaf.Name] = append(append(make([]float64, 0, size), x...), make([]float64, size-n)...)
	}
	r, err := e.Evaluate(padded)
	for name, g := range r.Grads {
		r.Grads[name] = g[:n]
	}
	return r, err
}
