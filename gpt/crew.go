package gpt

import "rlhf/internal/kernel"

// scratch is the memory of one worker.
type scratch struct {
	pack      []float32 // (kernel.MatMulScratch)
	attention []float32
	outer     []float32
	logits    []float32
	parts     []float64
	activated []float32 // (rows, I) of the forward pass
	filter    filter
}

// matmulScratch returns the memory a product packs its matrix in.
func (w *scratch) matmulScratch() []float32 {
	w.pack = grow(w.pack, kernel.MatMulScratch())
	return w.pack
}

// crew carries out the operations of a layer over some rows. Alone, as the worker
// of a chunk of rows, it does each whole; together, when there are few rows for
// the weights they pass, all workers share each operation by its outputs. The bits
// are the same.
type crew struct {
	team  *kernel.Team // nil for a worker alone
	work  []scratch
	op    operation
	share func(worker, task int) // does a part of op
}

// operation is the one in work; kind says which of the arguments count.
type operation struct {
	kind       int
	tasks      int
	product    kernel.Product
	rows, C    int
	y, plus, x []float32
	dy         []float32
	mean, rstd []float32
	dropout    kernel.Dropout
	gain, bias []float32
	eps        float32
	activation kernel.Activation

	o, qkv, cache []float32
	slots         *kernel.Slots
	heads, cap    int
	groups        int // of heads that are shared out, for each slot; 1 shares out the slots

	decoder *decoder
	from    int
}

const (
	opProduct = iota
	opLayerNorm
	opLayerNormBackward
	opActivationBackward
	opDrop
	opAttendCached
	opDraw
)

// alone returns a crew of one worker.
func alone(w []scratch) crew { return crew{work: w[:1]} }

// begin makes the crew one of the whole team, with the scratch memory of its workers.
func (c *crew) begin(t *kernel.Team, work []scratch) {
	c.team, c.work = t, work
	if c.share == nil {
		c.share = c.part
	}
}

// do carries out op, whose outputs can be divided into at most units parts.
func (c *crew) do(op *operation, units int) {
	c.op = *op
	if c.team == nil {
		c.op.tasks = 1
		c.part(0, 0)
		return
	}
	c.op.tasks = max(1, min(units, 4*c.team.Size()))
	c.team.Each(c.op.tasks, &c.share)
}

// part does one of op.tasks parts of the operation.
func (c *crew) part(worker, task int) {
	o := &c.op
	cut := func(n int) (from, to int) { return n * task / o.tasks, n * (task + 1) / o.tasks }
	switch o.kind {
	case opProduct:
		p0, p1 := cut(kernel.Panels(o.product.O))
		kernel.MatMul(o.product, p0, p1, c.work[worker].matmulScratch())
	case opLayerNorm:
		r0, r1 := cut(o.rows)
		kernel.LayerNorm(o.y[r0*o.C:], o.mean[r0:], o.rstd[r0:], o.x[r0*o.C:], o.gain, o.bias, r1-r0, o.C, o.eps)
	case opLayerNormBackward:
		r0, r1 := cut(o.rows)
		kernel.LayerNormBackward(o.y[r0*o.C:], o.plus[r0*o.C:], o.dy[r0*o.C:], o.x[r0*o.C:], o.mean[r0:], o.rstd[r0:], o.gain, r1-r0, o.C)
	case opDrop:
		r0, r1 := cut(o.rows)
		plus := o.plus
		if plus != nil {
			plus = plus[r0*o.C:]
		}
		kernel.Drop(o.y[r0*o.C:], plus, o.x[r0*o.C:], o.dropout.From(r0), r1-r0, o.C)
	case opAttendCached:
		s0, s1 := cut(len(o.slots.At))
		h0, h1 := 0, o.heads
		if o.groups > 1 {
			s0, h0, h1 = task/o.groups, o.heads*(task%o.groups)/o.groups, o.heads*(task%o.groups+1)/o.groups
			s1 = s0 + 1
		}
		w := &c.work[worker]
		w.attention = grow(w.attention, kernel.AttentionCachedScratch(o.C, o.heads, o.cap))
		kernel.AttentionCached(o.o, o.qkv, o.cache, *o.slots, s0, s1, o.C, o.heads, h0, h1, o.cap, w.attention)
	case opDraw:
		i0, i1 := cut(o.rows)
		for i := i0; i < i1; i++ {
			o.decoder.drawRow(&c.work[worker], o.from+i, o.from)
		}
	case opActivationBackward:
		a, b := cut(len(o.x) / 64)
		a, b = 64*a, 64*b
		if task == o.tasks-1 {
			b = len(o.x)
		}
		kernel.ActivationBackward(o.activation, o.dy[a:b], o.y[a:b], o.x[a:b], o.dy[a:b])
	}
}

// multiply computes p.
func (c *crew) multiply(p kernel.Product) {
	c.do(&operation{kind: opProduct, product: p}, kernel.Panels(p.O))
}

// layerNorm computes y (rows, C), mean and rstd (rows) from x (rows, C).
func (c *crew) layerNorm(y, mean, rstd, x, gain, bias []float32, rows, C int, eps float32) {
	c.do(&operation{kind: opLayerNorm, y: y, mean: mean, rstd: rstd, x: x, gain: gain, bias: bias, rows: rows, C: C, eps: eps}, (rows+7)/8)
}

// layerNormBackward sets dx to plus and the gradient of x, given dy; plus may be dx.
func (c *crew) layerNormBackward(dx, plus, dy, x, mean, rstd, gain []float32, rows, C int) {
	c.do(&operation{kind: opLayerNormBackward, y: dx, plus: plus, dy: dy, x: x, mean: mean, rstd: rstd, gain: gain, rows: rows, C: C}, (rows+7)/8)
}

// activationBackward turns dy into the gradient of x and sets y to the activation of x again.
func (c *crew) activationBackward(a kernel.Activation, dy, y, x []float32) {
	c.do(&operation{kind: opActivationBackward, activation: a, dy: dy, y: y, x: x}, (len(x)+4095)/4096)
}

// drop sets y (rows, C) to plus, if that is not nil, and what d leaves of x. y may be x or plus.
func (c *crew) drop(y, plus, x []float32, d kernel.Dropout, rows, C int) {
	c.do(&operation{kind: opDrop, y: y, plus: plus, x: x, dropout: d, rows: rows, C: C}, (rows+7)/8)
}

// addTo computes p plus residual, whose rows are laid out as p.Y; of the product, rows that begin at row r0 of d's keys are dropped.
func (c *crew) addTo(residual []float32, p kernel.Product, d kernel.Dropout, r0 int) {
	if d.Keys == nil {
		p.Residual, p.LdResidual = residual, p.LdY
		c.multiply(p)
		return
	}
	c.multiply(p)
	c.drop(p.Y, residual, p.Y, d.From(r0), p.Rows, p.O)
}

// attendCached adds the slots' new positions to their caches and computes their attention. Few slots are shared out by
// their heads too, two at least to a task: the kernel takes two at once.
func (c *crew) attendCached(o, qkv, cache []float32, slots *kernel.Slots, C, heads, cap int) {
	groups := 1
	if c.team != nil {
		groups = max(1, min(4*c.team.Size()/len(slots.At), heads/2))
	}
	c.do(&operation{kind: opAttendCached, o: o, qkv: qkv, cache: cache, slots: slots, C: C, heads: heads, cap: cap, groups: groups}, len(slots.At)*groups)
}

// draw draws a token for each of the decoder's active slots i0 to i1 from their logits.
func (c *crew) draw(d *decoder, i0, i1 int) {
	c.do(&operation{kind: opDraw, decoder: d, from: i0, rows: i1 - i0}, i1-i0)
}
