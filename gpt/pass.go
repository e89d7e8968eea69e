package gpt

import (
	"fmt"

	"rlhf/internal/kernel"
)

// Batch is a packed batch: sequences stand one after another without padding,
// positions start at 0 in each, attention stays inside each.
type Batch struct {
	Tokens []int32 // (N)
	Lens   []int   // (B) lengths, each 1 to NPositions, that add up to N

	// Targets (N) holds at each position the token whose log-prob is wanted there,
	// normally the next one, or -1 for none. nil asks for no log-probs. What comes
	// before a sequence's first target or after its last costs no work in the last layer.
	Targets []int32

	// ValuesFrom (B) holds, for a model with a score head, the position of each
	// sequence from which on values are wanted; those before are 0 and cost no work
	// in the last layer. nil asks for all.
	ValuesFrom []int

	// Temperature divides the logits before the softmax; 0 reads as 1.
	Temperature float32

	// Dropout is the same in Forward, Backward and Evaluate.
	Dropout Dropout
}

// scale returns the factor of the logits.
func (b Batch) scale() float32 {
	if b.Temperature == 0 {
		return 1
	}
	return 1 / b.Temperature
}

// Outputs holds what a pass computes, and, as the argument of Backward, the
// gradient of a scalar with respect to it; there a nil field reads as zeros.
type Outputs struct {
	Logprobs []float32 // (N) nats; 0 where there is no target
	Entropy  []float32 // (N) nats, of the next-token distribution; 0 where there is no target
	Values   []float32 // (N) score head at every wanted position, else 0; nil for a language model
	Scores   []float32 // (B) score head at each sequence's last token; nil for a language model
}

// Pass is the workspace of forward and backward passes over one model. It grows
// to the largest batch it has seen and then allocates nothing more. One goroutine
// may use it at a time; inside, a pass runs on all processors.
type Pass struct {
	m *Model

	batch     Batch
	positions []int32  // (N)
	firstRow  []int    // (B+1)
	every     rowset   // all positions
	wanted    rowset   // those that outputs are wanted of: the rows of the last layer's second half
	keys      []uint64 // of both sets' rows
	keep      bool     // reports whether all layers are kept for Backward
	ready     bool     // reports whether the last call was a Forward that Backward can follow

	x      []float32 // (N, C) embeddings
	xw     []float32 // (wanted, C) the last layer's input where outputs are wanted
	layers []acts
	lnf    []float32 // (wanted, C)
	meanf  []float32 // (wanted)
	rstdf  []float32 // (wanted)
	values []float32 // (wanted)
	out    Outputs

	head  headState
	grads gradients

	team     kernel.Team
	work     []scratch // one a worker
	solo     []crew    // of one worker each
	together crew
	tasks    []task
	body     func(c *crew, r0, r1 int) // of taskRows
	l        int                       // the layer in work
	drops    drops                     // its

	doTask                                                   func(worker, number int)
	start, middle, endOfLayer, beginLayer, backOut, dropEmbd func(c *crew, r0, r1 int)
}

// rowset is a run of positions of each sequence, packed.
type rowset struct {
	n      int
	first  []int    // (B) row at which a sequence's run begins
	lo, hi []int    // (B) its positions
	keys   []uint64 // (n) what dropout's masks are made of; nil without dropout
}

// NewPass returns a workspace for m.
func NewPass(m *Model) *Pass {
	p := &Pass{m: m, layers: make([]acts, m.Config.NLayer)}
	p.doTask, p.start, p.middle = p.do, p.startRows, p.middleRows
	p.endOfLayer, p.beginLayer, p.backOut = p.endOfLayerRows, p.beginLayerRows, p.backOutRows
	p.dropEmbd = p.dropEmbdRows
	return p
}

// Forward computes the outputs of b and keeps what Backward needs. The slices of
// the result are valid until the next call. It returns an error that names the
// first length or token outside the model's range.
func (p *Pass) Forward(b Batch) (Outputs, error) {
	if err := p.forward(b, true); err != nil {
		return Outputs{}, err
	}
	p.ready = true
	return p.out, nil
}

// Evaluate is Forward for callers that will not call Backward: the same bits with
// memory for two layers instead of all.
func (p *Pass) Evaluate(b Batch) (Outputs, error) {
	if err := p.forward(b, false); err != nil {
		return Outputs{}, err
	}
	return p.out, nil
}

// forward computes p.out; keep says whether for Backward too.
func (p *Pass) forward(b Batch, keep bool) error {
	p.ready, p.keep = false, keep
	if err := p.check(b); err != nil {
		return err
	}
	p.lay(b)
	p.gather(kernel.Threads())
	defer p.team.Stop()
	last := p.m.Config.NLayer - 1
	p.l = 0
	p.queueRows(p.every.n, p.start)
	p.runTasks()
	for p.l = 0; p.l <= last; p.l++ {
		p.queueAttention(taskAttend)
		p.runTasks()
		if p.l == last {
			p.takeWanted()
		}
		p.drops = p.residualDrops(p.l)
		p.queueRows(p.set(p.l).n, p.middle)
		p.runTasks()
	}
	p.l = last
	p.finish()
	return nil
}

// gather brings n workers together, each with its memory; p.team.Stop must follow.
func (p *Pass) gather(n int) {
	for len(p.work) < n {
		p.work = append(p.work, scratch{})
	}
	if len(p.solo) < n {
		p.solo = make([]crew, n)
	}
	for w := range p.solo {
		p.solo[w] = alone(p.work[w:])
	}
	p.team.Start(n)
	p.together.begin(&p.team, p.work)
}

// set returns the positions that go through the second half of layer l.
func (p *Pass) set(l int) *rowset {
	if l == p.m.Config.NLayer-1 {
		return &p.wanted
	}
	return &p.every
}

// acts returns where layer l is computed: a pass that keeps nothing uses the first one's memory up to the last.
func (p *Pass) acts(l int) *acts {
	if !p.keep && l < p.m.Config.NLayer-1 {
		return &p.layers[0]
	}
	return &p.layers[l]
}

// input returns the residual stream before layer l, for all positions.
func (p *Pass) input(l int) []float32 {
	if l == 0 {
		return p.x
	}
	return p.acts(l - 1).out
}

// residual returns the rows of input(l) that go through the layer's second half.
func (p *Pass) residual(l int) []float32 {
	if p.set(l).n < p.every.n {
		return p.xw
	}
	return p.input(l)
}

// takeWanted copies the last layer's input of the positions that outputs are wanted of.
func (p *Pass) takeWanted() {
	if p.wanted.n == p.every.n {
		return
	}
	C, x := p.m.Config.NEmbd, p.input(p.l)
	p.xw = grow(p.xw, p.wanted.n*C)
	for s, lo := range p.wanted.lo {
		copy(p.xw[p.wanted.first[s]*C:], x[(p.firstRow[s]+lo)*C:(p.firstRow[s]+p.wanted.hi[s])*C])
	}
}

// startRows embeds the rows r0 to r1 and begins the first layer.
func (p *Pass) startRows(c *crew, r0, r1 int) {
	m, C := p.m, p.m.Config.NEmbd
	kernel.Embed(p.x[r0*C:r1*C], p.batch.Tokens[r0:r1], p.positions[r0:r1], m.p.wte, m.p.wpe, C)
	p.dropEmbeddings(c, p.x, r0, r1)
	m.queryKeyValue(c, 0, m.p.layers[0].matrices(C, m.Config.MLPDim()), p.acts(0), p.x, r0, r1)
}

// dropEmbdRows drops from the gradient of the embeddings, for the rows r0 to r1.
func (p *Pass) dropEmbdRows(c *crew, r0, r1 int) { p.dropEmbeddings(c, p.grads.dx, r0, r1) }

// middleRows ends layer p.l for the rows r0 to r1 and begins the next.
func (p *Pass) middleRows(c *crew, r0, r1 int) {
	m, C, I, l := p.m, p.m.Config.NEmbd, p.m.Config.MLPDim(), p.l
	w := &c.work[0] // a worker alone has its own memory, the team uses the first one's
	w.activated = grow(w.activated, (r1-r0)*I)
	m.afterAttentionDropping(c, l, m.p.layers[l].matrices(C, I), p.acts(l), p.residual(l), w.activated, p.drops, r0, r1)
	if l+1 < m.Config.NLayer {
		m.queryKeyValue(c, l+1, m.p.layers[l+1].matrices(C, I), p.acts(l+1), p.acts(l).out, r0, r1)
		return
	}
	c.layerNorm(p.lnf[r0*C:], p.meanf[r0:], p.rstdf[r0:], p.acts(l).out[r0*C:], m.p.lnfw, m.p.lnfb, r1-r0, C, m.Config.LayerNormEpsilon)
	if m.Config.NLabels > 0 {
		kernel.Dot(p.values[r0:r1], p.lnf[r0*C:], m.p.score, r1-r0, C)
	}
}

// finish sets the outputs.
func (p *Pass) finish() {
	if p.m.Config.NLabels == 0 {
		p.headForward()
		return
	}
	clear(p.out.Values)
	for s, lo := range p.wanted.lo {
		copy(p.out.Values[p.firstRow[s]+lo:], p.values[p.wanted.first[s]:p.wanted.first[s]+p.wanted.hi[s]-lo])
		p.out.Scores[s] = p.out.Values[p.firstRow[s+1]-1]
	}
}

// lay lays out rows, buffers and outputs for b.
func (p *Pass) lay(b Batch) {
	c, N, B := p.m.Config, len(b.Tokens), len(b.Lens)
	p.batch = b
	p.positions, p.firstRow = grow(p.positions, N), grow(p.firstRow, B+1)
	p.every.resize(B)
	p.wanted.resize(B)
	row, wanted := 0, 0
	for s, T := range b.Lens {
		p.firstRow[s] = row
		for t := range T {
			p.positions[row+t] = int32(t)
		}
		lo, hi := b.wants(c, s, row)
		p.every.first[s], p.every.lo[s], p.every.hi[s] = row, 0, T
		p.wanted.first[s], p.wanted.lo[s], p.wanted.hi[s] = wanted, lo, hi
		wanted += hi - lo
		row += T
	}
	p.firstRow[B], p.every.n, p.wanted.n = row, N, wanted
	p.layKeys()
	C := c.NEmbd
	p.x, p.lnf, p.meanf, p.rstdf, p.values = grow(p.x, N*C), grow(p.lnf, wanted*C), grow(p.meanf, wanted), grow(p.rstdf, wanted), grow(p.values, wanted)
	for l := range p.layers {
		if p.keep || l == 0 || l == c.NLayer-1 {
			p.layers[l].resize(N, p.set(l).n, c)
		}
	}
	p.out.Logprobs, p.out.Entropy = zeros(p.out.Logprobs, N), zeros(p.out.Entropy, N)
	if c.NLabels > 0 {
		p.out.Values, p.out.Scores = grow(p.out.Values, N), grow(p.out.Scores, B)
	}
}

func (r *rowset) resize(B int) {
	r.first, r.lo, r.hi = grow(r.first, B), grow(r.lo, B), grow(r.hi, B)
}

// wants returns the positions of sequence s, which begins at row, that outputs are wanted of: a run.
func (b Batch) wants(c Config, s, row int) (lo, hi int) {
	T := b.Lens[s]
	if c.NLabels > 0 {
		if b.ValuesFrom == nil {
			return 0, T
		}
		return b.ValuesFrom[s], T
	}
	for t := range T {
		if b.Targets != nil && b.Targets[row+t] >= 0 {
			if hi == 0 {
				lo = t
			}
			hi = t + 1
		}
	}
	return lo, hi
}

func (p *Pass) check(b Batch) error {
	c, N := p.m.Config, 0
	for s, T := range b.Lens {
		if T < 1 || T > c.NPositions {
			return fmt.Errorf("sequence %d: length %d, the model takes 1 to %d", s, T, c.NPositions)
		}
		N += T
	}
	if N != len(b.Tokens) || N == 0 {
		return fmt.Errorf("batch: lengths add up to %d, found %d tokens", N, len(b.Tokens))
	}
	for n, t := range b.Tokens {
		if t < 0 || int(t) >= c.VocabSize {
			return fmt.Errorf("token %d: id %d, the vocabulary has %d", n, t, c.VocabSize)
		}
	}
	if b.Temperature < 0 {
		return fmt.Errorf("temperature: must not be negative (got %g)", b.Temperature)
	}
	if err := b.Dropout.check(); err != nil {
		return err
	}
	if c.NLabels > 0 {
		return checkValues(b)
	}
	if b.ValuesFrom != nil {
		return fmt.Errorf("batch: values wanted of a model without a score head")
	}
	if b.Targets != nil && len(b.Targets) != N {
		return fmt.Errorf("batch: %d tokens but %d targets", N, len(b.Targets))
	}
	for n, t := range b.Targets {
		if int(t) >= c.VocabSize {
			return fmt.Errorf("target %d: id %d, the vocabulary has %d", n, t, c.VocabSize)
		}
	}
	return nil
}

// checkValues checks what is asked of a model with a score head.
func checkValues(b Batch) error {
	if b.Targets != nil {
		return fmt.Errorf("batch: targets for a model with a score head")
	}
	if b.ValuesFrom != nil && len(b.ValuesFrom) != len(b.Lens) {
		return fmt.Errorf("batch: %d sequences but %d beginnings of values", len(b.Lens), len(b.ValuesFrom))
	}
	for s, from := range b.ValuesFrom {
		if from < 0 || from >= b.Lens[s] {
			return fmt.Errorf("sequence %d: values from position %d of %d", s, from, b.Lens[s])
		}
	}
	return nil
}
