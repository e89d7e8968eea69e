package gpt

import (
	"fmt"
	"math"
	"sync"

	"rlhf/internal/kernel"
	"rlhf/internal/rng"
)

// Model is a shape with its parameters. Whoever writes into Theta calls Changed
// afterwards: samplers read weights from packed copies. A model may be used by
// several passes and samplers at once while nobody changes it.
type Model struct {
	Config Config
	Theta  []float32 // (NumParams) all parameters, in the order of Config.Tensors

	p      params
	packed packed

	decoders struct { // their memory outlives a call of Sample
		sync.Mutex
		idle []*decoder
	}
}

// params is a flat slice of parameters, or of their gradients, seen by name.
type params struct {
	wte, wpe []float32 // (V, C), (NPositions, C)
	layers   []layerParams
	lnfw     []float32 // (C)
	lnfb     []float32 // (C)
	head     []float32 // (V, C), wte where the head is tied
	score    []float32 // (1, C), nil for a language model
}

type layerParams struct {
	ln1w, ln1b   []float32 // (C)
	qkvw, qkvb   []float32 // (C, 3C), (3C)
	attnw, attnb []float32 // (C, C), (C)
	ln2w, ln2b   []float32 // (C)
	fcw, fcb     []float32 // (C, I), (I)
	projw, projb []float32 // (I, C), (C)
}

// packed holds the weights in the layout in which products with few rows read them: copies for sampling, made by the
// first sampler after a change.
type packed struct {
	mu     sync.Mutex
	fresh  bool // reports whether the copies are of the present Theta
	isa    string
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
	p.lnfw, p.lnfb, p.head = next(), next(), p.wte
	if c.OwnHead {
		p.head = next()
	}
	if c.NLabels > 0 {
		p.score = next()
	}
	return p
}

// New returns a model whose parameters are all zero. It returns an error if the
// configuration is not valid. The model's Config says what reads as GPT-2's by zero
// values, so equal shapes compare as equal.
func New(c Config) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.NInner == 4*c.NEmbd {
		c.NInner = 0
	}
	if c.Activation == "gelu_new" {
		c.Activation = ""
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
	tensors := m.Config.Tensors()
	fill := func(_, task int) { m.initTensor(tensors[task], seed, uint64(task)) }
	var t kernel.Team
	t.Start(kernel.Threads())
	defer t.Stop()
	t.Each(len(tensors), &fill)
	m.Changed()
}

// initTensor draws one tensor from its own stream.
func (m *Model) initTensor(t Tensor, seed, index uint64) {
	x := m.Theta[t.Offset : t.Offset+t.Size()]
	if t.Name == "score.weight" || len(t.Shape) == 1 {
		value := float32(0)
		if isGain(t.Name) {
			value = 1
		}
		for j := range x {
			x[j] = value
		}
		return
	}
	sd := 0.02
	if isResidual(t.Name) {
		sd /= math.Sqrt(2 * float64(m.Config.NLayer))
	}
	r := rng.New(seed, "gpt/init", index)
	for j := range x {
		x[j] = float32(sd * r.NormFloat64())
	}
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
func (m *Model) Changed() { m.packed.fresh = false }

// pack brings the packed copies up to date, with the workers of t.
func (m *Model) pack(t *kernel.Team) {
	k := &m.packed
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fresh && k.isa == kernel.Name() {
		return
	}
	c := m.Config
	C, I := c.NEmbd, c.MLPDim()
	if k.layers == nil {
		k.layers = make([]packedLayer, c.NLayer)
	}
	k.head = grow(k.head, kernel.PackedSize(C, c.VocabSize))
	for l := range k.layers {
		to := &k.layers[l]
		to.qkv, to.attn = grow(to.qkv, kernel.PackedSize(C, 3*C)), grow(to.attn, kernel.PackedSize(C, C))
		to.fc, to.proj = grow(to.fc, kernel.PackedSize(C, I)), grow(to.proj, kernel.PackedSize(I, C))
	}
	const share = 32 // parts the head is packed in
	panels := kernel.Panels(c.VocabSize)
	run := func(_, task int) {
		if task < share {
			kernel.Pack(k.head, kernel.Columns(m.p.head, C), C, c.VocabSize, panels*task/share, panels*(task+1)/share)
			return
		}
		w, to := m.p.layers[task-share].matrices(C, I), &k.layers[task-share]
		kernel.Pack(to.qkv, w.qkv, C, 3*C, 0, kernel.Panels(3*C))
		kernel.Pack(to.attn, w.attn, C, C, 0, kernel.Panels(C))
		kernel.Pack(to.fc, w.fc, C, I, 0, kernel.Panels(I))
		kernel.Pack(to.proj, w.proj, I, C, 0, kernel.Panels(C))
	}
	t.Each(c.NLayer+share, &run)
	k.fresh, k.isa = true, kernel.Name()
}

// packedWeights returns the packed matrices of layer l.
func (m *Model) packedWeights(l int) weights {
	k := &m.packed.layers[l]
	return weights{kernel.Packed(k.qkv), kernel.Packed(k.attn), kernel.Packed(k.fc), kernel.Packed(k.proj)}
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
// A language model's own head does not outlive a score head: the model that is
// turned back has a tied one.
func (m *Model) WithHead(nLabels int) *Model {
	c := m.Config
	c.NLabels = nLabels
	c.OwnHead = c.OwnHead && nLabels == 0
	out, err := New(c)
	if err != nil {
		panic(fmt.Sprintf("gpt: head with %d labels: %v", nLabels, err))
	}
	same := c.bodyParams()
	if c == m.Config {
		same = len(m.Theta)
	}
	copy(out.Theta[:same], m.Theta)
	out.Changed()
	return out
}
