package gpt

import (
	"context"
	"slices"

	"rlhf/internal/kernel"
)

// decoder takes some sequences forward together, one step after another: each
// step adds the tokens a slot has been given, a whole prompt or one token, and
// draws the next. A slot whose completion has ended takes the next query.
type decoder struct {
	s     *sampling
	stint kernel.Stint
	crew  crew
	work  []scratch
	slots []slot
	cache []float32 // (slots, layers, heads, keys and values)
	per   int       // floats of a slot

	active    []int // slots in work
	tokens    []int32
	positions []int32
	at        kernel.Slots // of the layer in work
	x         []float32    // (rows, C)
	layer     acts
	last      acts      // the last layer, of the rows whose token is drawn
	lastX     []float32 // (active, C)
	ln        []float32 // (active, C)
	stat      []float32 // (2, active)
	activated []float32 // (decodeRows, I)
	logits    []float32 // (some rows, V)
	drawn     []int32   // (active)
	logprobs  []float32 // (active)
}

// slot is a sequence in work: the tokens not yet in its cache, and where that stands.
type slot struct {
	query int     // index, -1 for a free slot
	at    int     // positions in the cache
	feed  []int32 // tokens that the next step adds
}

// decodeRows is how many rows go through a layer's operations at once: prompts make many.
const decodeRows = 256

// logitFloats bounds the logits that exist at once.
const logitFloats = 1 << 20

// keptDecoderFloats bounds the cache that a decoder keeps for the model's next call of Sample: 256 MiB.
const keptDecoderFloats = 1 << 26

// takeDecoder returns a decoder that an earlier call has left, or a new one.
func (m *Model) takeDecoder() *decoder {
	m.decoders.Lock()
	defer m.decoders.Unlock()
	if n := len(m.decoders.idle); n > 0 {
		d := m.decoders.idle[n-1]
		m.decoders.idle = m.decoders.idle[:n-1]
		return d
	}
	return &decoder{}
}

// leaveDecoder keeps d's memory for the next call.
func (m *Model) leaveDecoder(d *decoder) {
	d.s = nil
	if cap(d.cache) > keptDecoderFloats {
		return
	}
	m.decoders.Lock()
	m.decoders.idle = append(m.decoders.idle, d)
	m.decoders.Unlock()
}

// run works until the queries run out or ctx ends.
func (d *decoder) run(ctx context.Context, s *sampling, slots int) {
	d.s, d.per = s, slotFloats(s.m.Config, s.cap)
	d.cache, d.slots = grow(d.cache, slots*d.per), grow(d.slots, slots)
	for i := range d.slots {
		d.slots[i].query = -1
	}
	for ctx.Err() == nil {
		d.active = d.active[:0]
		for i := range d.slots {
			sl := &d.slots[i]
			if sl.query < 0 {
				if sl.query = s.take(); sl.query < 0 {
					continue
				}
				sl.at, sl.feed = 0, append(sl.feed[:0], s.queries[sl.query].Tokens...)
				n := min(s.c.MaxNewTokens, s.m.Config.NPositions-len(sl.feed))
				s.out[sl.query] = Completion{Tokens: make([]int32, 0, n), Logprobs: make([]float32, 0, n)}
			}
			d.active = append(d.active, i)
		}
		if len(d.active) == 0 {
			return
		}
		d.step()
		d.stint.Pass()
	}
	for i := range d.slots { // what is half done does not count
		if q := d.slots[i].query; q >= 0 {
			s.out[q] = Completion{}
		}
	}
}

// step adds each active slot's new tokens to its cache and draws its next token.
func (d *decoder) step() {
	m, C := d.s.m, d.s.m.Config.NEmbd
	rows := d.lay()
	kernel.Embed(d.x, d.tokens, d.positions, m.p.wte, m.p.wpe, C)
	for l := range m.Config.NLayer {
		w := m.packedWeights(l)
		for r0 := 0; r0 < rows; r0 += decodeRows {
			m.queryKeyValue(&d.crew, l, w, &d.layer, d.x, r0, min(r0+decodeRows, rows))
		}
		d.attend(l)
		if l == m.Config.NLayer-1 {
			d.lastRows()
			break
		}
		for r0 := 0; r0 < rows; r0 += decodeRows {
			m.afterAttention(&d.crew, l, w, &d.layer, d.x, d.activated, r0, min(r0+decodeRows, rows))
		}
	}
	d.draw()
}

// lay lays out the rows of a step and returns their number.
func (d *decoder) lay() (rows int) {
	C := d.s.m.Config.NEmbd
	d.tokens, d.positions = d.tokens[:0], d.positions[:0]
	n := len(d.active)
	d.at.Cache, d.at.Rows, d.at.Feeds, d.at.At = grow(d.at.Cache, n), grow(d.at.Rows, n), grow(d.at.Feeds, n), grow(d.at.At, n)
	for k, i := range d.active {
		sl := &d.slots[i]
		d.at.Rows[k], d.at.Feeds[k], d.at.At[k] = int64(len(d.tokens)), int64(len(sl.feed)), int64(sl.at)
		for j, token := range sl.feed {
			d.tokens, d.positions = append(d.tokens, token), append(d.positions, int32(sl.at+j))
		}
	}
	rows = len(d.tokens)
	d.x, d.activated = grow(d.x, rows*C), grow(d.activated, min(max(rows, n), decodeRows)*d.s.m.Config.MLPDim())
	d.layer.resize(rows, rows, d.s.m.Config)
	d.layer.out = d.x // a row of the residual stream is read before it is written
	return rows
}

// attend stores the new keys and values of layer l and computes its attention.
func (d *decoder) attend(l int) {
	c := d.s.m.Config
	layer := d.per / c.NLayer
	for k, i := range d.active {
		d.at.Cache[k] = int64(i*d.per + l*layer)
	}
	d.crew.attendCached(d.layer.att, d.layer.qkv, d.cache, &d.at, c.NEmbd, c.NHead, d.s.cap)
}

// lastRows takes the last row of each slot through the rest of the last layer: only its token is drawn.
func (d *decoder) lastRows() {
	m, C, n, l := d.s.m, d.s.m.Config.NEmbd, len(d.active), d.s.m.Config.NLayer-1
	d.last.resize(n, n, m.Config)
	d.lastX = grow(d.lastX, n*C)
	for k := range d.active {
		row := int(d.at.Rows[k]+d.at.Feeds[k]) - 1
		copy(d.last.att[k*C:(k+1)*C], d.layer.att[row*C:])
		copy(d.lastX[k*C:(k+1)*C], d.x[row*C:])
	}
	for r0 := 0; r0 < n; r0 += decodeRows {
		m.afterAttention(&d.crew, l, m.packedWeights(l), &d.last, d.lastX, d.activated, r0, min(r0+decodeRows, n))
	}
}

// draw computes the logits after each slot's last token, some slots at a time, and takes a token from each.
func (d *decoder) draw() {
	m, c := d.s.m, d.s.m.Config
	C, V, n := c.NEmbd, c.VocabSize, len(d.active)
	d.ln, d.stat, d.drawn, d.logprobs = grow(d.ln, n*C), grow(d.stat, 2*n), grow(d.drawn, n), grow(d.logprobs, n)
	d.crew.layerNorm(d.ln, d.stat[:n], d.stat[n:], d.last.out, m.p.lnfw, m.p.lnfb, n, C, c.LayerNormEpsilon)
	some := max(12, logitFloats/V)
	d.logits = grow(d.logits, min(some, n)*V)
	for i0 := 0; i0 < n; i0 += some {
		i1 := min(i0+some, n)
		d.crew.multiply(kernel.Product{Y: d.logits, LdY: V, X: d.ln[i0*C:], LdX: C, W: kernel.Packed(m.packed.head), Rows: i1 - i0, K: C, O: V})
		d.crew.draw(d, i0, i1)
	}
	for k, i := range d.active {
		d.take(&d.slots[i], d.drawn[k], d.logprobs[k])
	}
}

// drawRow draws the next token of active slot k from its logits, row k-i0.
func (d *decoder) drawRow(w *scratch, k, i0 int) {
	s, V := d.s, d.s.m.Config.VocabSize
	sl := &d.slots[d.active[k]]
	logits := d.logits[(k-i0)*V : (k-i0+1)*V]
	w.parts = grow(w.parts, kernel.HeadParts(V))
	if s.c.Temperature == 0 {
		d.drawn[k], d.logprobs[k] = kernel.Greedy(w.parts, logits, 1)
		return
	}
	u := s.stream.Float64(s.queries[sl.query].Episode, uint64(sl.at+len(sl.feed)))
	d.drawn[k], d.logprobs[k] = kernel.Sample(w.parts, logits, 1/s.c.Temperature, u)
}

// take adds a token to a slot's completion and frees the slot if that ends it.
func (d *decoder) take(sl *slot, token int32, logprob float32) {
	s := d.s
	out := &s.out[sl.query]
	sl.at += len(sl.feed)
	out.Tokens, out.Logprobs = append(out.Tokens, token), append(out.Logprobs, logprob)
	out.Stopped = slices.Contains(s.c.StopTokens, token)
	if !out.Stopped && len(out.Tokens) < s.c.MaxNewTokens && sl.at < s.m.Config.NPositions-1 {
		sl.feed = append(sl.feed[:0], token)
		return
	}
	s.finished(sl.query)
	sl.query = -1
}
