package gpt

import "rlhf/internal/kernel"

// acts holds what one layer computes for some rows. Every slice is (rows, width).
// The fields from att on have one row for each position whose output is wanted:
// all of them, but in the last layer.
type acts struct {
	ln1, mean1, rstd1 []float32 // (rows, C), (rows), (rows)
	qkv               []float32 // (rows, 3C)
	att               []float32 // (rows, C) heads side by side
	mid               []float32 // (rows, C) residual stream after attention
	ln2, mean2, rstd2 []float32 // (rows, C), (rows), (rows)
	fc                []float32 // (rows, I)
	out               []float32 // (rows, C) residual stream after the layer
}

// resize makes room for rows rows, of which wanted go through the whole layer.
func (a *acts) resize(rows, wanted int, c Config) {
	C := c.NEmbd
	a.ln1, a.mean1, a.rstd1, a.qkv = grow(a.ln1, rows*C), grow(a.mean1, rows), grow(a.rstd1, rows), grow(a.qkv, rows*3*C)
	a.att, a.mid, a.ln2, a.out = grow(a.att, wanted*C), grow(a.mid, wanted*C), grow(a.ln2, wanted*C), grow(a.out, wanted*C)
	a.mean2, a.rstd2, a.fc = grow(a.mean2, wanted), grow(a.rstd2, wanted), grow(a.fc, wanted*c.MLPDim())
}

// weights are the matrices of one layer as products read them: in place, or packed.
type weights struct{ qkv, attn, fc, proj kernel.Matrix }

// matrices returns the layer's matrices in place.
func (y *layerParams) matrices(C, I int) weights {
	return weights{kernel.Rows(y.qkvw, 3*C), kernel.Rows(y.attnw, C), kernel.Rows(y.fcw, I), kernel.Rows(y.projw, C)}
}

// queryKeyValue computes ln1 and qkv of the rows r0 to r1 from the residual stream x.
func (m *Model) queryKeyValue(c *crew, l int, w weights, a *acts, x []float32, r0, r1 int) {
	C, p, rows := m.Config.NEmbd, &m.p.layers[l], r1-r0
	ln1 := a.ln1[r0*C : r1*C]
	c.layerNorm(ln1, a.mean1[r0:r1], a.rstd1[r0:r1], x[r0*C:], p.ln1w, p.ln1b, rows, C, m.Config.LayerNormEpsilon)
	c.multiply(kernel.Product{Y: a.qkv[r0*3*C:], LdY: 3 * C, X: ln1, LdX: C, W: w.qkv, Bias: p.qkvb, Rows: rows, K: C, O: 3 * C})
}

// afterAttention computes the rest of the layer, up to out, for the rows r0 to r1 from att and the residual stream x.
// activated (rows, I) is scratch: the backward pass computes it again.
func (m *Model) afterAttention(c *crew, l int, w weights, a *acts, x, activated []float32, r0, r1 int) {
	m.afterAttentionDropping(c, l, w, a, x, activated, drops{}, r0, r1)
}

// afterAttentionDropping does so with dropout; d's keys begin at row 0.
func (m *Model) afterAttentionDropping(c *crew, l int, w weights, a *acts, x, activated []float32, d drops, r0, r1 int) {
	C, I, p, rows := m.Config.NEmbd, m.Config.MLPDim(), &m.p.layers[l], r1-r0
	mid, ln2, fc := a.mid[r0*C:r1*C], a.ln2[r0*C:r1*C], a.fc[r0*I:r1*I]
	c.addTo(x[r0*C:r1*C], kernel.Product{Y: mid, LdY: C, X: a.att[r0*C:], LdX: C, W: w.attn, Bias: p.attnb, Rows: rows, K: C, O: C}, d.attn, r0)
	c.layerNorm(ln2, a.mean2[r0:r1], a.rstd2[r0:r1], mid, p.ln2w, p.ln2b, rows, C, m.Config.LayerNormEpsilon)
	c.multiply(kernel.Product{Y: fc, LdY: I, Activated: activated, Activation: m.Config.activation(), X: ln2, LdX: C, W: w.fc, Bias: p.fcb, Rows: rows, K: C, O: I})
	c.addTo(mid, kernel.Product{Y: a.out[r0*C : r1*C], LdY: C, X: activated, LdX: I, W: w.proj, Bias: p.projb, Rows: rows, K: I, O: C}, d.proj, r0)
}

// attend computes att of the heads h0 to h1 of sequence seq in the layer in work, for the queries that go through its second half.
func (p *Pass) attend(w *scratch, seq, h0, h1 int) {
	C, hd, s, a := p.m.Config.NEmbd, p.m.Config.HeadDim(), p.set(p.l), p.acts(p.l)
	lo, hi := s.lo[seq], s.hi[seq]
	cap := kernel.AttentionCap(p.batch.Lens[seq])
	nk, nv := kernel.AttentionSize(hd, cap)
	w.attention = grow(w.attention, nk+nv+kernel.AttentionScratch(hd, cap))
	kt, v, rest := w.attention[:nk], w.attention[nk:nk+nv], w.attention[nk+nv:]
	qkv := a.qkv[p.firstRow[seq]*3*C:]
	for h := h0; h < h1 && lo < hi; h++ {
		at := h * hd
		kernel.AttentionStore(kt, v, qkv[C+at:], qkv[2*C+at:], 3*C, hd, cap, 0, hi)
		kernel.Attention(a.att[s.first[seq]*C+at:], C, qkv[lo*3*C+at:], 3*C, kt, v, p.attentionDrop(p.l, seq, h), hd, cap, lo, hi, rest)
	}
}
