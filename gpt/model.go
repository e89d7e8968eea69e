package gpt

import (
	"fmt"
	"math"

	"rlhf/internal/kernel"
	"rlhf/internal/rng"
)

// Model is a shape with its parameters. Whoever writes into Theta calls Changed
// before the next pass: passes read weights from packed copies. A model may be
// used by several passes and samplers at once while nobody changes it.
type Model struct {
	Config Config
	Theta  []float32 // (NumParams) all parameters, in the order of Config.Tensors

	p        params
	forward  packed // of the weights, refreshed by Changed
	backward packed // of their transposes, refreshed by the first backward pass after Changed
	stale    bool   // reports whether backward is older than Theta
}

// params is a flat slice of parameters, or of their gradients, seen by name.
type params struct {
	wte, wpe []float32 // (V, C), (NPositions, C)
	layers   []layerParams
	lnfw     []float32 // (C)
	lnfb     []float32 // (C)
	score    []float32 // (1, C), nil for a language model
}

type layerParams struct {
	ln1w, ln1b   []float32 // (C)
	qkvw, qkvb   []float32 // (C, 3C), (3C)
	attnw, attnb []float32 // (C, C), (C)
	ln2w, ln2b   []float32 // (C)
	fcw, fcb     []float32 // (C, 4C), (4C)
	projw, projb []float32 // (4C, C), (C)
}

// packed holds matrices in the layout of kernel.MatMul.
type packed struct {
	head   []float32
	layers []packedLayer
}

type packedLayer struct{ qkv, attn, fc, proj []float32 }

// view cuts flat (NumParams) into named slices, in the order of Config.Tensors.
func view(c Config, flat []float32) params {
	ts := c.Tensors()
	next := func() []float32 {
		t := ts[0]
		ts = ts[1:]
		end := t.Offset + t.Size()
		return flat[t.Offset:end:end]
	}
	p := params{wte: next(), wpe: next(), layers: make([]layerParams, c.NLayer)}
	for l := range p.layers {
		y := &p.layers[l]
		for _, field := range []*[]float32{&y.ln1w, &y.ln1b, &y.qkvw, &y.qkvb, &y.attnw, &y.attnb,
			&y.ln2w, &y.ln2b, &y.fcw, &y.fcb, &y.projw, &y.projb} {
			*field = next()
		}
	}
	p.lnfw, p.lnfb = next(), next()
	if c.NLabels > 0 {
		p.score = next()
	}
	return p
}

// New returns a model whose parameters are all zero. It returns an error if the
// configuration is not valid.
func New(c Config) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Model{Config: c, Theta: make([]float32, c.NumParams())}
	m.p = view(c, m.Theta)
	m.Changed()
	return m, nil
}

// Init draws parameters as GPT-2: normal with standard deviation 0.02, projections
// back into the residual stream 0.02/sqrt(2 NLayer), gains 1, biases 0, and a score
// head of zero. The numbers are a function of seed and shape.
func (m *Model) Init(seed uint64) {
	residual := 0.02 / math.Sqrt(2*float64(m.Config.NLayer))
	for i, t := range m.Config.Tensors() {
		x := m.Theta[t.Offset : t.Offset+t.Size()]
		switch {
		case t.Name == "score.weight" || len(t.Shape) == 1:
			fill := float32(0)
			if isGain(t.Name) {
				fill = 1
			}
			for j := range x {
				x[j] = fill
			}
		default:
			sd := 0.02
			if isResidual(t.Name) {
				sd = residual
			}
			r := rng.New(seed, "gpt/init", uint64(i))
			for j := range x {
				x[j] = float32(sd * r.NormFloat64())
			}
		}
	}
	m.Changed()
}

func isGain(name string) bool {
	return hasSuffix(name, "ln_1.weight", "ln_2.weight", "ln_f.weight")
}

func isResidual(name string) bool {
	return hasSuffix(name, "attn.c_proj.weight", "mlp.c_proj.weight")
}

func hasSuffix(name string, suffixes ...string) bool {
	for _, s := range suffixes {
		if len(name) >= len(s) && name[len(name)-len(s):] == s {
			return true
		}
	}
	return false
}

// Changed takes new values of Theta into use. It must not run beside a pass or a
// sampler of the same model.
func (m *Model) Changed() {
	c := m.Config
	m.stale = true
	if m.forward.layers == nil {
		m.forward.layers = make([]packedLayer, c.NLayer)
	}
	C := c.NEmbd
	parallel(c.NLayer+1, func(_, task int) {
		if task == c.NLayer {
			if c.NLabels == 0 {
				repack(&m.forward.head, kernel.PackTransposed, m.p.wte, C, c.VocabSize)
			}
			return
		}
		w, to := &m.p.layers[task], &m.forward.layers[task]
		repack(&to.qkv, kernel.Pack, w.qkvw, C, 3*C)
		repack(&to.attn, kernel.Pack, w.attnw, C, C)
		repack(&to.fc, kernel.Pack, w.fcw, C, 4*C)
		repack(&to.proj, kernel.Pack, w.projw, 4*C, C)
	})
}

// packBackward brings the transposed panels up to date.
func (m *Model) packBackward() {
	if !m.stale {
		return
	}
	c := m.Config
	if m.backward.layers == nil {
		m.backward.layers = make([]packedLayer, c.NLayer)
	}
	C := c.NEmbd
	parallel(c.NLayer+1, func(_, task int) {
		if task == c.NLayer {
			if c.NLabels == 0 {
				repack(&m.backward.head, kernel.Pack, m.p.wte, c.VocabSize, C)
			}
			return
		}
		w, to := &m.p.layers[task], &m.backward.layers[task]
		repack(&to.qkv, kernel.PackTransposed, w.qkvw, 3*C, C)
		repack(&to.attn, kernel.PackTransposed, w.attnw, C, C)
		repack(&to.fc, kernel.PackTransposed, w.fcw, 4*C, C)
		repack(&to.proj, kernel.PackTransposed, w.projw, C, 4*C)
	})
	m.stale = false
}

func repack(dst *[]float32, pack func(dst, w []float32, k, o int), w []float32, k, o int) {
	if size := kernel.PackedSize(k, o); len(*dst) != size {
		*dst = make([]float32, size)
	}
	pack(*dst, w, k, o)
}

// Tensor returns the named parameter as a view into Theta, or nil if the model
// has no such tensor.
func (m *Model) Tensor(name string) []float32 {
	for _, t := range m.Config.Tensors() {
		if t.Name == name {
			return m.Theta[t.Offset : t.Offset+t.Size()]
		}
	}
	return nil
}

// Clone returns an independent copy.
func (m *Model) Clone() *Model { return m.WithHead(m.Config.NLabels) }

// WithHead returns a copy with a head of nLabels (0 or 1) labels. Tensors that
// both shapes have are equal; a score head that the model did not have is zero.
func (m *Model) WithHead(nLabels int) *Model {
	c := m.Config
	c.NLabels = nLabels
	out, err := New(c)
	if err != nil {
		panic(fmt.Sprintf("gpt: head with %d labels: %v", nLabels, err))
	}
	copy(out.Theta, m.Theta) // a score head is the last tensor of the table
	out.Changed()
	return out
}
