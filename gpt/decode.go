package gpt

import (
	"rlhf/internal/kernel"
)

// decoder takes some sequences forward together, one step after another: each
// step adds tokens that slots have been fed, much of a prompt or one token, to
// their caches, and chooses the next token of every slot that has none left to
// add. What feeds the slots is the caller's: a sampler, a session, a beam search.
type decoder struct {
	m       *Model
	chooser chooser
	cap     int // positions of a slot's cache
	stint   kernel.Stint
	crew    crew
	work    []scratch
	slots   []slot
	cache   []float32 // (slots, layers, heads, keys and values)
	per     int       // floats of a slot

	active    []int // slots in the step
	ready     []int // those whose next token it chooses
	lastRow   []int // (ready) their last rows
	tokens    []int32
	positions []int32
	at        kernel.Slots // of the layer in work
	x         []float32    // (rows, C)
	layer     acts
	last      acts      // the last layer, of the rows after which a token is chosen
	lastX     []float32 // (ready, C)
	ln        []float32 // (ready, C)
	stat      []float32 // (2, ready)
	activated []float32 // (decodeRows, I)
	logits    []float32 // (some rows, V)
	chosen    []int32   // (ready)
	logprobs  []float32 // (ready)
}

// chooser chooses the token after a slot's from its logits (V), which it may overwrite, and returns it with its log-prob.
// It is called for different slots at once, with a worker's scratch memory.
type chooser interface {
	choose(w *scratch, slot *slot, logits []float32) (token int32, logprob float32)
}

// slot is a sequence in work: the tokens not yet in its cache, and where that stands.
type slot struct {
	index int     // of the slot's cache
	query int     // index, -1 for a free slot
	at    int     // positions in the cache
	fed   []int32 // tokens that steps add to it
	done  int     // of them in the cache
	seen  seen    // what a repetition penalty is about
}

// feed gives a slot tokens to add; all earlier ones have been added.
func (s *slot) feed(tokens ...int32) { s.fed, s.done = append(s.fed[:0], tokens...), 0 }

// decodeRows is how many rows go through a layer's operations at once, and the most that a step adds to one slot: prompts make many.
const decodeRows = 256

// stepRows is how many rows a step takes before slots with a prompt wait for the next one, so that memory does not grow with slots times prompts.
const stepRows = 8192

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
	return &decoder{m: m}
}

// leaveDecoder keeps d's memory for the next call.
func (m *Model) leaveDecoder(d *decoder) {
	d.chooser = nil
	if cap(d.cache) > keptDecoderFloats {
		return
	}
	m.decoders.Lock()
	m.decoders.idle = append(m.decoders.idle, d)
	m.decoders.Unlock()
}

// open makes free slots with caches of cap positions.
func (d *decoder) open(slots, cap int, chooser chooser) {
	d.chooser, d.cap, d.per = chooser, cap, slotFloats(d.m.Config, cap)
	d.cache, d.slots = grow(d.cache, slots*d.per), grow(d.slots, slots)
	for i := range d.slots {
		d.slots[i].index, d.slots[i].query = i, -1
	}
}

// share makes all of a team's workers share each operation.
func (d *decoder) share(t *kernel.Team) {
	for len(d.work) < t.Size() {
		d.work = append(d.work, scratch{})
	}
	d.crew.begin(t, d.work)
}

// single makes one worker do each operation whole.
func (d *decoder) single() {
	if len(d.work) == 0 {
		d.work = make([]scratch, 1)
	}
	d.crew.team, d.crew.work = nil, d.work[:1]
}

// step adds tokens of the slots in work to their caches and chooses the next token of those in ready.
func (d *decoder) step() {
	m, C := d.m, d.m.Config.NEmbd
	rows := d.lay()
	kernel.Embed(d.x, d.tokens, d.positions, m.p.wte, m.p.wpe, C)
	for l := range m.Config.NLayer {
		w := m.packedWeights(l)
		for r0 := 0; r0 < rows; r0 += decodeRows {
			m.queryKeyValue(&d.crew, l, w, &d.layer, d.x, r0, min(r0+decodeRows, rows))
		}
		d.attend(l)
		if l == m.Config.NLayer-1 {
			break
		}
		for r0 := 0; r0 < rows; r0 += decodeRows {
			m.afterAttention(&d.crew, l, w, &d.layer, d.x, d.activated, r0, min(r0+decodeRows, rows))
		}
	}
	for k, i := range d.active {
		sl := &d.slots[i]
		sl.at, sl.done = sl.at+int(d.at.Feeds[k]), sl.done+int(d.at.Feeds[k])
	}
	if len(d.ready) > 0 {
		d.lastRows()
		d.choose()
	}
	d.stint.Pass()
}

// lay lays out the rows of a step and returns their number.
func (d *decoder) lay() (rows int) {
	C := d.m.Config.NEmbd
	d.tokens, d.positions, d.active, d.ready, d.lastRow = d.tokens[:0], d.positions[:0], d.active[:0], d.ready[:0], d.lastRow[:0]
	a := &d.at
	a.Cache, a.Rows, a.Feeds, a.At = a.Cache[:0], a.Rows[:0], a.Feeds[:0], a.At[:0]
	for i := range d.slots {
		sl := &d.slots[i]
		n := min(len(sl.fed)-sl.done, decodeRows)
		if sl.query < 0 || n == 0 || n > 1 && len(d.tokens)+n > stepRows {
			continue
		}
		d.active = append(d.active, i)
		a.Cache, a.Rows, a.Feeds, a.At = append(a.Cache, 0), append(a.Rows, int64(len(d.tokens))), append(a.Feeds, int64(n)), append(a.At, int64(sl.at))
		for j, token := range sl.fed[sl.done : sl.done+n] {
			d.tokens, d.positions = append(d.tokens, token), append(d.positions, int32(sl.at+j))
		}
		if sl.done+n == len(sl.fed) {
			d.ready, d.lastRow = append(d.ready, i), append(d.lastRow, len(d.tokens)-1)
		}
	}
	rows = len(d.tokens)
	d.x, d.activated = grow(d.x, rows*C), grow(d.activated, min(rows, decodeRows)*d.m.Config.MLPDim())
	d.layer.resize(rows, rows, d.m.Config)
	d.layer.out = d.x // a row of the residual stream is read before it is written
	return rows
}

// attend stores the new keys and values of layer l and computes its attention.
func (d *decoder) attend(l int) {
	c := d.m.Config
	layer := d.per / c.NLayer
	for k, i := range d.active {
		d.at.Cache[k] = int64(i*d.per + l*layer)
	}
	d.crew.attendCached(d.layer.att, d.layer.qkv, d.cache, &d.at, c.NEmbd, c.NHead, d.cap)
}

// lastRows takes the last row of each ready slot through the rest of the last layer: only its token is chosen.
func (d *decoder) lastRows() {
	m, C, n, l := d.m, d.m.Config.NEmbd, len(d.ready), d.m.Config.NLayer-1
	d.last.resize(n, n, m.Config)
	d.lastX = grow(d.lastX, n*C)
	for k, row := range d.lastRow {
		copy(d.last.att[k*C:(k+1)*C], d.layer.att[row*C:])
		copy(d.lastX[k*C:(k+1)*C], d.x[row*C:])
	}
	for r0 := 0; r0 < n; r0 += decodeRows {
		m.afterAttention(&d.crew, l, m.packedWeights(l), &d.last, d.lastX, d.activated, r0, min(r0+decodeRows, n))
	}
}

// choose computes the logits after each ready slot's last token, some slots at a time, and chooses a token of each.
func (d *decoder) choose() {
	m, c := d.m, d.m.Config
	C, V, n := c.NEmbd, c.VocabSize, len(d.ready)
	d.ln, d.stat, d.chosen, d.logprobs = grow(d.ln, n*C), grow(d.stat, 2*n), grow(d.chosen, n), grow(d.logprobs, n)
	d.crew.layerNorm(d.ln, d.stat[:n], d.stat[n:], d.last.out, m.p.lnfw, m.p.lnfb, n, C, c.LayerNormEpsilon)
	some := max(12, logitFloats/V)
	d.logits = grow(d.logits, min(some, n)*V)
	for i0 := 0; i0 < n; i0 += some {
		i1 := min(i0+some, n)
		d.crew.multiply(kernel.Product{Y: d.logits, LdY: V, X: d.ln[i0*C:], LdX: C, W: kernel.Packed(m.packed.head), Rows: i1 - i0, K: C, O: V})
		d.crew.draw(d, i0, i1)
	}
}

// drawRow chooses the next token of ready slot k from its logits, row k-i0.
func (d *decoder) drawRow(w *scratch, k, i0 int) {
	V := d.m.Config.VocabSize
	d.chosen[k], d.logprobs[k] = d.chooser.choose(w, &d.slots[d.ready[k]], d.logits[(k-i0)*V:(k-i0+1)*V])
}

// copyCache copies the keys and values of the positions n0 to n, of a slot's cache of fromCap positions, into one of toCap.
// Both layouts hold whole panels of positions one after another in each head.
func copyCache(c Config, to []float32, toCap int, from []float32, fromCap, n0, n int) {
	n0 -= n0 % kernel.AttentionCap(1)
	toKeys, toValues := kernel.AttentionSize(c.HeadDim(), toCap)
	fromKeys, fromValues := kernel.AttentionSize(c.HeadDim(), fromCap)
	keys0, values0 := kernel.AttentionSize(c.HeadDim(), n0)
	keys, values := kernel.AttentionSize(c.HeadDim(), kernel.AttentionCap(n))
	for range c.NLayer * c.NHead {
		copy(to[keys0:keys], from[keys0:keys])
		copy(to[toKeys+values0:toKeys+values], from[fromKeys+values0:fromKeys+values])
		to, from = to[toKeys+toValues:], from[fromKeys+fromValues:]
	}
}
