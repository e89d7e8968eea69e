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
	// normally the next one, or -1 for none. nil asks for no log-probs.
	Targets []int32

	// Temperature divides the logits before the softmax; 0 reads as 1.
	Temperature float32
}

// Outputs holds what a pass computes, and, as the argument of Backward, the
// gradient of a scalar with respect to it; there a nil field reads as zeros.
type Outputs struct {
	Logprobs []float32 // (N) nats; 0 where there is no target
	Entropy  []float32 // (N) nats, of the next-token distribution; 0 where there is no target
	Values   []float32 // (N) score head at every position; nil for a language model
	Scores   []float32 // (B) score head at each sequence's last token; nil for a language model
}

// Pass is the workspace of forward and backward passes over one model. It grows
// to the largest batch it has seen and then allocates nothing more. One goroutine
// may use it at a time; inside, a pass runs on all processors.
type Pass struct {
	m *Model

	batch     Batch
	positions []int32 // (N)
	firstRow  []int   // (B+1)
	chunks    []chunk
	targets   []int32 // rows with a target, and their targets (M)
	rows      []int

	x      []float32 // (N, C) embeddings
	layers []acts
	lnf    []float32 // (N, C)
	meanf  []float32 // (N)
	rstdf  []float32 // (N)
	lse    []float64 // (M)
	lp     []float32 // (M)
	ent    []float32 // (M)
	out    Outputs

	ready  bool      // reports whether the last call was a Forward that Backward can follow
	kept   bool      // reports whether logits and hidden hold the last Forward's, for all rows with a target
	logits []float32 // (M, V) if M*V is at most keptFloats, else (headBlock, V) during Backward
	hidden []float32 // (M, C) or (headBlock, C), their hidden states
	grads  gradients
	work   []scratch // one a worker
}

// chunk is a run of whole sequences that one worker takes at once.
type chunk struct{ s0, s1, r0, r1 int }

// scratch is the memory of one worker.
type scratch struct {
	attention []float32
	logits    []float32
	hidden    []float32
	outer     []float32
	layer     acts // for passes that keep nothing
	x         []float32
}

// chunkRows is the least number of rows worth handing to a worker.
const chunkRows = 96

// NewPass returns a workspace for m.
func NewPass(m *Model) *Pass { return &Pass{m: m} }

// Forward computes the outputs of b and keeps what Backward needs. The slices of
// the result are valid until the next call. It returns an error that names the
// first length or token outside the model's range.
func (p *Pass) Forward(b Batch) (Outputs, error) {
	if err := p.begin(b); err != nil {
		return Outputs{}, err
	}
	m, C, N := p.m, p.m.Config.NEmbd, len(b.Tokens)
	p.x = grow(p.x, N*C)
	if len(p.layers) == 0 {
		p.layers = make([]acts, m.Config.NLayer)
	}
	for l := range p.layers {
		p.layers[l].resize(N, C)
	}
	parallel(len(p.chunks), func(worker, task int) {
		k := p.chunks[task]
		lens := b.Lens[k.s0:k.s1]
		x := p.x[k.r0*C : k.r1*C]
		kernel.Embed(x, b.Tokens[k.r0:k.r1], p.positions[k.r0:k.r1], m.p.wte, m.p.wpe, C)
		for l := range p.layers {
			a := p.layers[l].rows(k.r0, k.r1, C)
			m.queryKeyValue(l, a, x, k.r1-k.r0)
			m.attendSequences(a, lens, &p.work[worker].attention)
			m.afterAttention(l, a, x, k.r1-k.r0)
			x = a.out
		}
		p.finish(k, x)
	})
	p.head(len(p.rows)*m.Config.VocabSize <= keptFloats)
	p.ready = true
	return p.out, nil
}

// Evaluate is Forward for callers that will not call Backward: the same bits with
// memory for one layer of one chunk of sequences instead of all.
func (p *Pass) Evaluate(b Batch) (Outputs, error) {
	if err := p.begin(b); err != nil {
		return Outputs{}, err
	}
	m, C := p.m, p.m.Config.NEmbd
	parallel(len(p.chunks), func(worker, task int) {
		k, w := p.chunks[task], &p.work[worker]
		n := k.r1 - k.r0
		w.layer.resize(n, C)
		w.x = grow(w.x, n*C)
		kernel.Embed(w.x, b.Tokens[k.r0:k.r1], p.positions[k.r0:k.r1], m.p.wte, m.p.wpe, C)
		for l := range m.Config.NLayer {
			m.queryKeyValue(l, w.layer, w.x, n)
			m.attendSequences(w.layer, b.Lens[k.s0:k.s1], &w.attention)
			m.afterAttention(l, w.layer, w.x, n)
			w.x, w.layer.out = w.layer.out, w.x
		}
		p.finish(k, w.x)
	})
	p.head(false)
	return p.out, nil
}

// begin checks the batch and lays out rows, chunks and outputs.
func (p *Pass) begin(b Batch) error {
	p.ready = false
	if err := p.check(b); err != nil {
		return err
	}
	c, N, B := p.m.Config, len(b.Tokens), len(b.Lens)
	p.batch = b
	p.positions, p.firstRow = grow(p.positions, N), grow(p.firstRow, B+1)
	p.chunks = p.chunks[:0]
	row, k := 0, chunk{}
	for s, T := range b.Lens {
		p.firstRow[s] = row
		for t := range T {
			p.positions[row+t] = int32(t)
		}
		row += T
		if row-k.r0 >= chunkRows || s == B-1 {
			k.s1, k.r1 = s+1, row
			p.chunks = append(p.chunks, k)
			k = chunk{s0: s + 1, r0: row}
		}
	}
	p.firstRow[B] = row
	p.lnf, p.meanf, p.rstdf = grow(p.lnf, N*c.NEmbd), grow(p.meanf, N), grow(p.rstdf, N)
	p.equip()
	p.targets, p.rows = p.targets[:0], p.rows[:0]
	for n, target := range b.Targets {
		if target >= 0 {
			p.targets, p.rows = append(p.targets, target), append(p.rows, n)
		}
	}
	p.out.Logprobs, p.out.Entropy = zeros(p.out.Logprobs, N), zeros(p.out.Entropy, N)
	if c.NLabels > 0 {
		p.out.Values, p.out.Scores = grow(p.out.Values, N), grow(p.out.Scores, B)
	}
	return nil
}

// equip gives every worker that there may be its scratch memory.
func (p *Pass) equip() {
	for len(p.work) < workers() {
		p.work = append(p.work, scratch{})
	}
}

func zeros(x []float32, n int) []float32 {
	x = grow(x, n)
	clear(x)
	return x
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
	if b.Targets == nil {
		return nil
	}
	if c.NLabels > 0 {
		return fmt.Errorf("batch: targets for a model with a score head")
	}
	if len(b.Targets) != N {
		return fmt.Errorf("batch: %d tokens but %d targets", N, len(b.Targets))
	}
	for n, t := range b.Targets {
		if int(t) >= c.VocabSize {
			return fmt.Errorf("target %d: id %d, the vocabulary has %d", n, t, c.VocabSize)
		}
	}
	if b.Temperature < 0 {
		return fmt.Errorf("temperature: must not be negative (got %g)", b.Temperature)
	}
	return nil
}

// finish applies the last LayerNorm and the score head to a chunk's residual stream.
func (p *Pass) finish(k chunk, x []float32) {
	c, n := p.m.Config, k.r1-k.r0
	C := c.NEmbd
	lnf := p.lnf[k.r0*C : k.r1*C]
	kernel.LayerNorm(lnf, p.meanf[k.r0:k.r1], p.rstdf[k.r0:k.r1], x, p.m.p.lnfw, p.m.p.lnfb, n, C, c.LayerNormEpsilon)
	if c.NLabels == 0 {
		return
	}
	kernel.Dot(p.out.Values[k.r0:k.r1], lnf, p.m.p.score, n, C)
	for s := k.s0; s < k.s1; s++ {
		p.out.Scores[s] = p.out.Values[p.firstRow[s+1]-1]
	}
}

// headRows is the number of rows whose logits one worker computes at a time.
const headRows = 24

// keptFloats bounds the logits that a forward pass leaves for the backward pass. Larger batches
// compute them again there, block by block, so that memory does not grow with rows times vocabulary.
const keptFloats = 1 << 22

// scale returns the factor of the logits.
func (b Batch) scale() float32 {
	if b.Temperature == 0 {
		return 1
	}
	return 1 / b.Temperature
}

// head computes log-probs and entropies of the rows that have a target, a few rows at a time, and
// keeps the logits if told to.
func (p *Pass) head(keep bool) {
	M, C, V := len(p.rows), p.m.Config.NEmbd, p.m.Config.VocabSize
	p.lse, p.lp, p.ent = grow(p.lse, M), grow(p.lp, M), grow(p.ent, M)
	if p.kept = keep; keep {
		p.logits, p.hidden = grow(p.logits, M*V), grow(p.hidden, M*C)
	}
	parallel((M+headRows-1)/headRows, func(worker, task int) {
		i0, i1 := task*headRows, min((task+1)*headRows, M)
		var logits, hidden []float32
		if keep {
			logits, hidden = p.logits[i0*V:i1*V], p.hidden[i0*C:i1*C]
		} else {
			w := &p.work[worker]
			w.logits, w.hidden = grow(w.logits, headRows*V), grow(w.hidden, headRows*C)
			logits, hidden = w.logits, w.hidden
		}
		p.project(logits, hidden, i0, i1)
		kernel.Head(p.lp[i0:i1], p.ent[i0:i1], p.lse[i0:i1], logits, p.targets[i0:i1], p.batch.scale(), V)
		for i := i0; i < i1; i++ {
			p.out.Logprobs[p.rows[i]], p.out.Entropy[p.rows[i]] = p.lp[i], p.ent[i]
		}
	})
}

// project gathers the hidden states of target rows i0 to i1 and computes their logits.
func (p *Pass) project(logits, hidden []float32, i0, i1 int) {
	C, V := p.m.Config.NEmbd, p.m.Config.VocabSize
	for i := i0; i < i1; i++ {
		copy(hidden[(i-i0)*C:(i-i0+1)*C], p.lnf[p.rows[i]*C:])
	}
	kernel.MatMul(logits, V, hidden, C, p.m.forward.head, nil, i1-i0, C, V)
}
