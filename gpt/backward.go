package gpt

import (
	"errors"
	"fmt"

	"rlhf/internal/kernel"
)

// ErrNoForward is returned by Backward when the pass has not just run Forward.
var ErrNoForward = errors.New("backward without a forward pass before it")

// gradients is the memory of a backward pass; one layer's worth, used again for each.
type gradients struct {
	dx, dmid, dnext []float32 // (N, C) residual stream after, within and before the layer
	dfc             []float32 // (N, 4C)
	dln1, dln2      []float32 // (N, C)
	dqkv            []float32 // (N, 3C)
	datt            []float32 // (N, C)
	dvalues         []float32 // (N)
	dlp, dent       []float32 // (M)
	tasks           []func(w *scratch)
}

// headBlockFloats bounds the logits that exist at once in a backward pass.
const headBlockFloats = 1 << 20

// columnsPerTask and rowsPerTask are the shares of a weight gradient one worker takes at once.
const (
	columnsPerTask = 64
	rowsPerTask    = 48
)

// Backward adds to dtheta (NumParams) the gradient of a scalar whose gradient
// with respect to the outputs of the last Forward is d. Rows add up in order, so
// the result is the same bits for any number of threads. It returns
// ErrNoForward if the last call was not Forward.
func (p *Pass) Backward(d Outputs, dtheta []float32) error {
	if !p.ready {
		return ErrNoForward
	}
	c, N, B := p.m.Config, len(p.batch.Tokens), len(p.batch.Lens)
	if len(dtheta) != len(p.m.Theta) {
		return fmt.Errorf("dtheta holds %d floats, the model has %d", len(dtheta), len(p.m.Theta))
	}
	for _, f := range []struct {
		name string
		got  []float32
		want int
	}{{"logprobs", d.Logprobs, N}, {"entropy", d.Entropy, N}, {"values", d.Values, N}, {"scores", d.Scores, B}} {
		if f.got != nil && len(f.got) != f.want {
			return fmt.Errorf("gradient of %s holds %d floats, the output %d", f.name, len(f.got), f.want)
		}
	}
	p.m.packBackward()
	p.equip()
	g, C := &p.grads, c.NEmbd
	for _, x := range []*[]float32{&g.dx, &g.dmid, &g.dnext, &g.dln1, &g.dln2, &g.datt} {
		*x = grow(*x, N*C)
	}
	g.dfc, g.dqkv = grow(g.dfc, N*4*C), grow(g.dqkv, N*3*C)
	dp := view(c, dtheta)

	clear(g.dln1) // becomes the gradient of the last LayerNorm's output
	p.headBackward(d, &dp)
	p.scoreBackward(d, &dp)
	clear(g.dx)
	last := p.layers[c.NLayer-1].out
	parallel(len(p.chunks), func(_, task int) {
		k := p.chunks[task]
		a, b := k.r0*C, k.r1*C
		kernel.LayerNormBackward(g.dx[a:b], g.dln1[a:b], last[a:b], p.meanf[k.r0:k.r1], p.rstdf[k.r0:k.r1], p.m.p.lnfw, k.r1-k.r0, C)
	})
	p.queueLayerNorm(dp.lnfw, dp.lnfb, g.dln1, last, p.meanf, p.rstdf)
	p.runQueue()
	for l := c.NLayer - 1; l >= 0; l-- {
		parallel(len(p.chunks), func(worker, task int) { p.layerBackward(l, p.chunks[task], &p.work[worker]) })
		p.layerWeights(l, &dp.layers[l])
		g.dx, g.dnext = g.dnext, g.dx
	}
	parallel((C+columnsPerTask-1)/columnsPerTask, func(_, task int) {
		c0 := task * columnsPerTask
		kernel.EmbedBackward(dp.wte, dp.wpe, g.dx, p.batch.Tokens, p.positions, C, c0, min(c0+columnsPerTask, C))
	})
	return nil
}

// headBackward turns gradients of log-probs and entropies into those of the hidden states and of the
// tied embedding, one block of rows after another so that never more than a block's logits exist.
func (p *Pass) headBackward(d Outputs, dp *params) {
	M, C, V, g := len(p.rows), p.m.Config.NEmbd, p.m.Config.VocabSize, &p.grads
	if M == 0 || (d.Logprobs == nil && d.Entropy == nil) {
		return
	}
	g.dlp, g.dent = zeros(g.dlp, M), zeros(g.dent, M)
	for i, row := range p.rows {
		if d.Logprobs != nil {
			g.dlp[i] = d.Logprobs[row]
		}
		if d.Entropy != nil {
			g.dent[i] = d.Entropy[row]
		}
	}
	block := max(headBlockFloats/V/headRows, 2) * headRows
	if p.kept {
		block = M
	}
	p.logits, p.hidden = grow(p.logits, min(block, M)*V), grow(p.hidden, min(block, M)*C)
	for b0 := 0; b0 < M; b0 += block {
		b1 := min(b0+block, M)
		parallel((b1-b0+headRows-1)/headRows, func(worker, task int) {
			w := &p.work[worker]
			i0 := b0 + task*headRows
			i1 := min(i0+headRows, b1)
			logits, hidden := p.logits[(i0-b0)*V:(i1-b0)*V], p.hidden[(i0-b0)*C:(i1-b0)*C]
			if !p.kept {
				p.project(logits, hidden, i0, i1)
			}
			kernel.HeadBackward(logits, p.targets[i0:i1], g.dlp[i0:i1], g.dent[i0:i1], p.lse[i0:i1], p.ent[i0:i1], p.batch.scale(), V)
			w.hidden = grow(w.hidden, headRows*C)
			kernel.MatMul(w.hidden, C, logits, V, p.m.backward.head, nil, i1-i0, V, C)
			for i := i0; i < i1; i++ {
				copy(g.dln1[p.rows[i]*C:(p.rows[i]+1)*C], w.hidden[(i-i0)*C:])
			}
		})
		// logits = hidden * wte^T, so dwte (V, C) += dlogits^T * hidden
		p.queueOuter(dp.wte, p.logits, V, p.hidden, C, b1-b0)
		p.runQueue()
	}
	p.kept = false // the logits have become their gradients
}

// scoreBackward adds what values and scores contribute to the hidden states and to the score head.
func (p *Pass) scoreBackward(d Outputs, dp *params) {
	if p.m.Config.NLabels == 0 || (d.Values == nil && d.Scores == nil) {
		return
	}
	g, N, C := &p.grads, len(p.batch.Tokens), p.m.Config.NEmbd
	g.dvalues = zeros(g.dvalues, N)
	copy(g.dvalues, d.Values)
	for s, ds := range d.Scores {
		g.dvalues[p.firstRow[s+1]-1] += ds
	}
	kernel.DotBackward(g.dln1, g.dvalues, p.m.p.score, N, C)
	p.queueOuter(dp.score, g.dvalues, 1, p.lnf, C, N)
	p.runQueue()
}

// layerBackward carries g.dx, the gradient of the layer's output, back to g.dnext, that of its input, for a chunk.
func (p *Pass) layerBackward(l int, k chunk, w *scratch) {
	C, hd, n, g := p.m.Config.NEmbd, p.m.Config.HeadDim(), k.r1-k.r0, &p.grads
	a, lp, pk := p.layers[l].rows(k.r0, k.r1, C), &p.m.p.layers[l], &p.m.backward.layers[l]
	cut := func(x []float32, width int) []float32 { return x[k.r0*width : k.r1*width] }
	dx, dmid, dnext := cut(g.dx, C), cut(g.dmid, C), cut(g.dnext, C)
	dfc, dln2, dln1, datt, dqkv := cut(g.dfc, 4*C), cut(g.dln2, C), cut(g.dln1, C), cut(g.datt, C), cut(g.dqkv, 3*C)

	// out = mid + projb + gelu(fc)*projw,  fc = fcb + ln2(mid)*fcw
	kernel.MatMul(dfc, 4*C, dx, C, pk.proj, nil, n, C, 4*C)
	kernel.GELUBackward(dfc, a.fc, dfc)
	kernel.MatMul(dln2, C, dfc, 4*C, pk.fc, nil, n, 4*C, C)
	copy(dmid, dx)
	kernel.LayerNormBackward(dmid, dln2, a.mid, a.mean2, a.rstd2, lp.ln2w, n, C)
	// mid = x + attnb + att*attnw,  att = attention(qkv),  qkv = qkvb + ln1(x)*qkvw
	kernel.MatMul(datt, C, dmid, C, pk.attn, nil, n, C, C)
	row := 0
	for _, T := range p.batch.Lens[k.s0:k.s1] {
		w.attention = grow(w.attention, kernel.AttentionBackwardScratch(hd, T))
		for h := 0; h < C; h += hd {
			kernel.AttentionBackward(dqkv[row*3*C+h:], a.qkv[row*3*C+h:], 3*C, datt[row*C+h:], C, C, hd, T, w.attention)
		}
		row += T
	}
	kernel.MatMul(dln1, C, dqkv, 3*C, pk.qkv, nil, n, 3*C, C)
	copy(dnext, dmid)
	kernel.LayerNormBackward(dnext, dln1, p.input(l)[k.r0*C:k.r1*C], a.mean1, a.rstd1, lp.ln1w, n, C)
}

// input returns the residual stream before layer l.
func (p *Pass) input(l int) []float32 {
	if l == 0 {
		return p.x
	}
	return p.layers[l-1].out
}

// layerWeights adds the gradients of the layer's parameters.
func (p *Pass) layerWeights(l int, d *layerParams) {
	C, N, a, g := p.m.Config.NEmbd, len(p.batch.Tokens), &p.layers[l], &p.grads
	p.queueOuter(d.projw, a.gelu, 4*C, g.dx, C, N)
	p.queueOuter(d.fcw, a.ln2, C, g.dfc, 4*C, N)
	p.queueOuter(d.attnw, a.att, C, g.dmid, C, N)
	p.queueOuter(d.qkvw, a.ln1, C, g.dqkv, 3*C, N)
	p.queueSum(d.projb, g.dx, N)
	p.queueSum(d.fcb, g.dfc, N)
	p.queueSum(d.attnb, g.dmid, N)
	p.queueSum(d.qkvb, g.dqkv, N)
	p.queueLayerNorm(d.ln2w, d.ln2b, g.dln2, a.mid, a.mean2, a.rstd2)
	p.queueLayerNorm(d.ln1w, d.ln1b, g.dln1, p.input(l), a.mean1, a.rstd1)
	p.runQueue()
}

// queueOuter adds tasks that compute dw (k, o) += a (rows, k)^T * d (rows, o).
func (p *Pass) queueOuter(dw, a []float32, k int, d []float32, o, rows int) {
	for k0 := 0; k0 < k; k0 += rowsPerTask {
		k1 := min(k0+rowsPerTask, k)
		p.grads.tasks = append(p.grads.tasks, func(w *scratch) {
			w.outer = grow(w.outer, kernel.OuterScratch(rowsPerTask))
			kernel.Outer(dw, o, a, k, d, o, rows, k0, k1, o, w.outer)
		})
	}
}

// queueSum adds a task that computes db += the sum of d's rows.
func (p *Pass) queueSum(db, d []float32, rows int) {
	o := len(db)
	p.grads.tasks = append(p.grads.tasks, func(*scratch) { kernel.ColumnSum(db, d, o, rows, 0, o) })
}

func (p *Pass) queueLayerNorm(dgain, dbias, dy, x, mean, rstd []float32) {
	C, N := len(dgain), len(p.batch.Tokens)
	for c0 := 0; c0 < C; c0 += columnsPerTask {
		c1 := min(c0+columnsPerTask, C)
		p.grads.tasks = append(p.grads.tasks, func(*scratch) {
			kernel.LayerNormBackwardParams(dgain, dbias, dy, x, mean, rstd, N, C, c0, c1)
		})
	}
}

// runQueue runs the queued tasks, each of which owns what it writes.
func (p *Pass) runQueue() {
	tasks := p.grads.tasks
	parallel(len(tasks), func(worker, task int) { tasks[task](&p.work[worker]) })
	clear(tasks)
	p.grads.tasks = tasks[:0]
}
