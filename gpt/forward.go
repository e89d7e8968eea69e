package gpt

import "rlhf/internal/kernel"

// acts holds what one layer computes for some rows. Every slice is (rows, width).
type acts struct {
	ln1, mean1, rstd1 []float32 // (rows, C), (rows), (rows)
	qkv               []float32 // (rows, 3C)
	att               []float32 // (rows, C) heads side by side
	mid               []float32 // (rows, C) residual stream after attention
	ln2, mean2, rstd2 []float32 // (rows, C), (rows), (rows)
	fc, gelu          []float32 // (rows, 4C)
	out               []float32 // (rows, C) residual stream after the layer
}

// resize makes room for rows rows of C channels.
func (a *acts) resize(rows, C int) {
	for _, f := range []struct {
		x     *[]float32
		width int
	}{
		{&a.ln1, C}, {&a.mean1, 1}, {&a.rstd1, 1}, {&a.qkv, 3 * C}, {&a.att, C}, {&a.mid, C},
		{&a.ln2, C}, {&a.mean2, 1}, {&a.rstd2, 1}, {&a.fc, 4 * C}, {&a.gelu, 4 * C}, {&a.out, C},
	} {
		*f.x = grow(*f.x, rows*f.width)
	}
}

// rows returns the part of a that belongs to the rows r0 to r1.
func (a *acts) rows(r0, r1, C int) acts {
	cut := func(x []float32, width int) []float32 { return x[r0*width : r1*width] }
	return acts{
		ln1: cut(a.ln1, C), mean1: cut(a.mean1, 1), rstd1: cut(a.rstd1, 1), qkv: cut(a.qkv, 3*C), att: cut(a.att, C),
		mid: cut(a.mid, C), ln2: cut(a.ln2, C), mean2: cut(a.mean2, 1), rstd2: cut(a.rstd2, 1),
		fc: cut(a.fc, 4*C), gelu: cut(a.gelu, 4*C), out: cut(a.out, C),
	}
}

// queryKeyValue computes a.ln1 and a.qkv from the residual stream x (rows, C).
func (m *Model) queryKeyValue(l int, a acts, x []float32, rows int) {
	C, w := m.Config.NEmbd, &m.p.layers[l]
	kernel.LayerNorm(a.ln1, a.mean1, a.rstd1, x, w.ln1w, w.ln1b, rows, C, m.Config.LayerNormEpsilon)
	kernel.MatMul(a.qkv, 3*C, a.ln1, C, m.forward.layers[l].qkv, w.qkvb, rows, C, 3*C)
}

// afterAttention computes the rest of the layer from x and a.att up to a.out.
func (m *Model) afterAttention(l int, a acts, x []float32, rows int) {
	C, w, p := m.Config.NEmbd, &m.p.layers[l], &m.forward.layers[l]
	kernel.MatMul(a.mid, C, a.att, C, p.attn, w.attnb, rows, C, C)
	kernel.Add(a.mid[:rows*C], x)
	kernel.LayerNorm(a.ln2, a.mean2, a.rstd2, a.mid, w.ln2w, w.ln2b, rows, C, m.Config.LayerNormEpsilon)
	kernel.MatMul(a.fc, 4*C, a.ln2, C, p.fc, w.fcb, rows, C, 4*C)
	kernel.GELU(a.gelu, a.fc[:rows*4*C])
	kernel.MatMul(a.out, C, a.gelu, 4*C, p.proj, w.projb, rows, 4*C, C)
	kernel.Add(a.out[:rows*C], a.mid[:rows*C])
}

// attendSequences computes a.att for whole sequences that stand one after another.
func (m *Model) attendSequences(a acts, lens []int, scratch *[]float32) {
	C, hd := m.Config.NEmbd, m.Config.HeadDim()
	row := 0
	for _, T := range lens {
		cap := kernel.AttentionCap(T)
		nk, nv := kernel.AttentionSize(hd, cap)
		*scratch = grow(*scratch, nk+nv+kernel.AttentionScratch(hd, cap))
		s := *scratch
		kt, v, rest := s[:nk], s[nk:nk+nv], s[nk+nv:]
		qkv, att := a.qkv[row*3*C:], a.att[row*C:]
		for h := 0; h < C; h += hd {
			kernel.AttentionStore(kt, v, qkv[C+h:], qkv[2*C+h:], 3*C, hd, cap, 0, T)
			kernel.Attention(att[h:], C, qkv[h:], 3*C, kt, v, hd, cap, 0, T, rest)
		}
		row += T
	}
}
