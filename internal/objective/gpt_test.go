package objective_test

import (
	"fmt"
	"math"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rlhf/gpt"
	"rlhf/internal/rng"
)

// A reference is a GPT built wholly from gorgonia nodes in float64, one sequence
// at a time. Row operations are products with constant matrices, so that only
// elementary operations are differentiated.
type reference struct {
	t *testing.T
	g *gorgonia.ExprGraph
	c gpt.Config

	params map[string]*gorgonia.Node

	constants int // made so far
}

func (r *reference) must(n *gorgonia.Node, err error) *gorgonia.Node {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// constant is a matrix of numbers.
func (r *reference) constant(rows, cols int, at func(i, j int) float64) *gorgonia.Node {
	x := make([]float64, rows*cols)
	for i := range rows {
		for j := range cols {
			x[i*cols+j] = at(i, j)
		}
	}
	// not NewConstant: gorgonia takes constants that print alike, as large ones do, for the same
	r.constants++
	return gorgonia.NewMatrix(r.g, tensor.Float64, gorgonia.WithShape(rows, cols), gorgonia.WithName(fmt.Sprintf("constant %d", r.constants)),
		gorgonia.WithValue(tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(x))))
}

func (r *reference) fill(rows, cols int, value float64) *gorgonia.Node {
	return r.constant(rows, cols, func(int, int) float64 { return value })
}

func (r *reference) mul(a, b *gorgonia.Node) *gorgonia.Node { return r.must(gorgonia.Mul(a, b)) }
func (r *reference) add(a, b *gorgonia.Node) *gorgonia.Node { return r.must(gorgonia.Add(a, b)) }
func (r *reference) sub(a, b *gorgonia.Node) *gorgonia.Node { return r.must(gorgonia.Sub(a, b)) }
func (r *reference) times(a, b *gorgonia.Node) *gorgonia.Node {
	return r.must(gorgonia.HadamardProd(a, b))
}
func (r *reference) over(a, b *gorgonia.Node) *gorgonia.Node {
	return r.must(gorgonia.HadamardDiv(a, b))
}

// rows spreads a (1, n) parameter over T rows.
func (r *reference) rows(name string, T int) *gorgonia.Node {
	return r.mul(r.fill(T, 1, 1), r.params[name])
}

// linear is x W + b.
func (r *reference) linear(x *gorgonia.Node, name string, T int) *gorgonia.Node {
	return r.add(r.mul(x, r.params[name+".weight"]), r.rows(name+".bias", T))
}

func (r *reference) layerNorm(x *gorgonia.Node, name string, T int) *gorgonia.Node {
	C := r.c.NEmbd
	average := r.fill(C, C, 1/float64(C)) // x times it holds each row's mean in every column
	centred := r.sub(x, r.mul(x, average))
	variance := r.mul(r.must(gorgonia.Square(centred)), average)
	deviation := r.must(gorgonia.Sqrt(r.add(variance, r.fill(T, C, float64(r.c.LayerNormEpsilon)))))
	return r.add(r.times(r.over(centred, deviation), r.rows(name+".weight", T)), r.rows(name+".bias", T))
}

// gelu is x/2 (1 + tanh(sqrt(2/pi) (x + .044715 x^3))).
func (r *reference) gelu(x *gorgonia.Node, rows, cols int) *gorgonia.Node {
	cube := r.times(x, r.must(gorgonia.Square(x)))
	inner := r.times(r.fill(rows, cols, math.Sqrt(2/math.Pi)), r.add(x, r.times(r.fill(rows, cols, .044715), cube)))
	return r.times(r.times(r.fill(rows, cols, .5), x), r.add(r.fill(rows, cols, 1), r.must(gorgonia.Tanh(inner))))
}

// softmaxParts returns the exponentials of the rows and their sums in every column. The scores are small, so nothing overflows.
func (r *reference) softmaxParts(x *gorgonia.Node, cols int) (exps, sums *gorgonia.Node) {
	exps = r.must(gorgonia.Exp(x))
	return exps, r.mul(exps, r.fill(cols, cols, 1))
}

func (r *reference) transposed(x *gorgonia.Node) *gorgonia.Node {
	return r.must(gorgonia.Transpose(x, 1, 0))
}

func (r *reference) attention(x *gorgonia.Node, name string, T int) *gorgonia.Node {
	C, hd := r.c.NEmbd, r.c.HeadDim()
	qkv := r.linear(x, name+".c_attn", T)
	mask := r.constant(T, T, func(i, j int) float64 {
		if j > i {
			return -200 // its exponential is nothing beside the others
		}
		return 0
	})
	var out *gorgonia.Node
	for h := range r.c.NHead {
		part := func(which int) *gorgonia.Node { // columns of query, key or value of this head
			return r.mul(qkv, r.constant(3*C, hd, func(i, j int) float64 {
				if i == which*C+h*hd+j {
					return 1
				}
				return 0
			}))
		}
		scores := r.times(r.fill(T, T, 1/math.Sqrt(float64(hd))), r.mul(part(0), r.transposed(part(1))))
		exps, sums := r.softmaxParts(r.add(scores, mask), T)
		head := r.mul(r.over(exps, sums), part(2))
		placed := r.mul(head, r.constant(hd, C, func(i, j int) float64 {
			if j == h*hd+i {
				return 1
			}
			return 0
		}))
		if out == nil {
			out = placed
		} else {
			out = r.add(out, placed)
		}
	}
	return r.linear(out, name+".c_proj", T)
}

// loss is Σ_t weights[t]·log p(tokens[t+1]) of one sequence.
func (r *reference) loss(tokens []int32, weights []float64) *gorgonia.Node {
	T, C, V := len(tokens), r.c.NEmbd, r.c.VocabSize
	oneHot := func(rows, cols int, at func(i int) int) *gorgonia.Node {
		return r.constant(rows, cols, func(i, j int) float64 {
			if j == at(i) {
				return 1
			}
			return 0
		})
	}
	x := r.add(r.mul(oneHot(T, V, func(i int) int { return int(tokens[i]) }), r.params["transformer.wte.weight"]),
		r.mul(oneHot(T, r.c.NPositions, func(i int) int { return i }), r.params["transformer.wpe.weight"]))
	for l := range r.c.NLayer {
		p := fmt.Sprintf("transformer.h.%d.", l)
		x = r.add(x, r.attention(r.layerNorm(x, p+"ln_1", T), p+"attn", T))
		hidden := r.gelu(r.linear(r.layerNorm(x, p+"ln_2", T), p+"mlp.c_fc", T), T, 4*C)
		x = r.add(x, r.linear(hidden, p+"mlp.c_proj", T))
	}
	logits := r.mul(r.layerNorm(x, "transformer.ln_f", T), r.transposed(r.params["transformer.wte.weight"]))
	exps, sums := r.softmaxParts(logits, V)
	logp := r.must(gorgonia.Log(r.over(exps, sums)))
	picked := r.times(logp, r.constant(T, V, func(i, j int) float64 {
		if i+1 < T && int(tokens[i+1]) == j {
			return weights[i]
		}
		return 0
	}))
	return r.must(gorgonia.Sum(picked))
}

// TestHandWrittenBackwardEqualsGorgonias checks every parameter's gradient of a small GPT, computed in float32 by the
// kernels, against gorgonia's own in float64. 1e-4 of a tensor's norm is what float32 leaves over some thousand additions.
func TestHandWrittenBackwardEqualsGorgonias(t *testing.T) {
	c := gpt.Config{VocabSize: 11, NPositions: 6, NEmbd: 8, NLayer: 2, NHead: 2, LayerNormEpsilon: 1e-5}
	m, err := gpt.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	random := rng.New(2, "test/theta", 0)
	for i := range m.Theta {
		m.Theta[i] += float32(.3 * random.NormFloat64())
	}
	m.Changed()

	r := &reference{t: t, g: gorgonia.NewGraph(), c: c, params: map[string]*gorgonia.Node{}}
	var nodes gorgonia.Nodes
	for _, p := range c.Tensors() {
		rows, cols := 1, p.Shape[0]
		if len(p.Shape) == 2 {
			rows, cols = p.Shape[0], p.Shape[1]
		}
		x := make([]float64, p.Size())
		for i := range x {
			x[i] = float64(m.Theta[p.Offset+i])
		}
		node := gorgonia.NewMatrix(r.g, tensor.Float64, gorgonia.WithShape(rows, cols), gorgonia.WithName(p.Name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(x))))
		r.params[p.Name] = node
		nodes = append(nodes, node)
	}
	sequences := [][]int32{{1, 5, 2, 10, 0}, {7, 3, 3}}
	weights := [][]float64{{.5, -1, .25, 2, 0}, {-.75, 1.5, 0}}
	loss := r.add(r.loss(sequences[0], weights[0]), r.loss(sequences[1], weights[1]))
	grads, err := gorgonia.Grad(loss, nodes...)
	if err != nil {
		t.Fatal(err)
	}
	machine := gorgonia.NewTapeMachine(r.g)
	defer machine.Close()
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}

	var b gpt.Batch
	var d gpt.Outputs
	for i, s := range sequences {
		b.Append(s, gpt.NextTokens(s, 1))
		for _, w := range weights[i] {
			d.Logprobs = append(d.Logprobs, float32(w))
		}
	}
	p := gpt.NewPass(m)
	out, err := p.Forward(b)
	if err != nil {
		t.Fatal(err)
	}
	got := 0.0
	for n, w := range d.Logprobs {
		got += float64(w) * float64(out.Logprobs[n])
	}
	if want := loss.Value().Data().(float64); math.Abs(got-want) > 1e-5*math.Abs(want) {
		t.Errorf("loss %v, gorgonia's %v", got, want)
	}
	dtheta := make([]float32, len(m.Theta))
	if err := p.Backward(d, dtheta); err != nil {
		t.Fatal(err)
	}
	for k, tensor := range c.Tensors() {
		diff, norm := 0.0, 0.0
		for i, want := range grads[k].Value().Data().([]float64) {
			e := float64(dtheta[tensor.Offset+i]) - want
			diff, norm = diff+e*e, norm+want*want
		}
		if norm == 0 || math.Sqrt(diff) > 1e-4*math.Sqrt(norm) {
			t.Errorf("%s: off by %g of %g", tensor.Name, math.Sqrt(diff), math.Sqrt(norm))
		}
	}
}
