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
	dwide           []float32 // (N, C) dmid of the last layer, with zeros where nothing is wanted
	dlnf            []float32 // (wanted, C)
	dproj, dattn    []float32 // (N, C) of the projections' outputs: what dropout leaves of dx and dmid, or these themselves
	masked          []float32 // (2, N, C) memory of the two if there is dropout
	dfc, activated  []float32 // (N, I)
	dln1, dln2      []float32 // (N, C)
	dqkv            []float32 // (N, 3C)
	datt            []float32 // (N, C)
	dvalues         []float32 // (N)

	theta []float32 // where dp points into
	dp    params
}

func (g *gradients) resize(N int, c Config) {
	C, I := c.NEmbd, c.MLPDim()
	for _, x := range []*[]float32{&g.dx, &g.dmid, &g.dnext, &g.dln1, &g.dln2, &g.datt} {
		*x = grow(*x, N*C)
	}
	g.dfc, g.activated, g.dqkv = grow(g.dfc, N*I), grow(g.activated, N*I), grow(g.dqkv, N*3*C)
}

// Backward adds to dtheta (NumParams) the gradient of a scalar whose gradient
// with respect to the outputs of the last Forward is d. Rows add up in order, so
// the result is the same bits for any number of threads. It returns
// ErrNoForward if the last call was not Forward.
func (p *Pass) Backward(d Outputs, dtheta []float32) error {
	if !p.ready {
		return ErrNoForward
	}
	if err := p.checkGradients(d, dtheta); err != nil {
		return err
	}
	c, g := p.m.Config, &p.grads
	p.ready = false
	g.resize(p.every.n, c)
	if len(g.theta) == 0 || &g.theta[0] != &dtheta[0] {
		g.theta, g.dp = dtheta, view(c, dtheta)
	}
	p.gather(kernel.Threads())
	defer p.team.Stop()
	p.outputsBackward(d)
	for p.l = c.NLayer - 1; p.l >= 0; p.l-- {
		p.splitDropped()
		p.queueRows(p.set(p.l).n, p.endOfLayer)
		p.runTasks()
		p.queueAttention(taskAttendBackward)
		p.runTasks()
		p.widen()
		p.queueWeights()
		p.queueRows(p.every.n, p.beginLayer)
		p.runTasks()
		// what the LayerNorm's gradients are made of is there only now; they wait for the next run of tasks
		layer, a := &g.dp.layers[p.l], p.acts(p.l)
		p.queueLayerNorm(layer.ln1w, layer.ln1b, g.dln1, p.input(p.l), a.mean1, a.rstd1, p.every.n)
		if p.l > 0 {
			p.runTasks()
		}
		g.dx, g.dnext = g.dnext, g.dx
	}
	if p.batch.Dropout.Embd != 0 {
		p.queueRows(p.every.n, p.dropEmbd)
		p.runTasks()
	}
	for c0 := 0; c0 < c.NEmbd; c0 += columnsPerTask {
		p.tasks = append(p.tasks, task{kind: taskEmbedding, dw: g.dp.wte, db: g.dp.wpe, d: g.dx, from: c0, to: min(c0+columnsPerTask, c.NEmbd)})
	}
	p.runTasks()
	return nil
}

func (p *Pass) checkGradients(d Outputs, dtheta []float32) error {
	N, B := len(p.batch.Tokens), len(p.batch.Lens)
	if len(dtheta) != len(p.m.Theta) {
		return fmt.Errorf("dtheta holds %d floats, the model has %d", len(dtheta), len(p.m.Theta))
	}
	for _, f := range [...]struct {
		name string
		got  []float32
		want int
	}{{"logprobs", d.Logprobs, N}, {"entropy", d.Entropy, N}, {"values", d.Values, N}, {"scores", d.Scores, B}} {
		if f.got != nil && len(f.got) != f.want {
			return fmt.Errorf("gradient of %s holds %d floats, the output %d", f.name, len(f.got), f.want)
		}
	}
	return nil
}

// outputsBackward carries the gradients of the outputs back to g.dx, that of the last layer's output (wanted, C).
func (p *Pass) outputsBackward(d Outputs) {
	g, C, n := &p.grads, p.m.Config.NEmbd, p.wanted.n
	g.dlnf = grow(g.dlnf, n*C)
	if p.m.Config.NLabels == 0 {
		p.headBackward(d, g.dlnf, &g.dp)
	} else {
		p.scoreBackward(d)
	}
	p.queueRows(n, p.backOut)
	p.runTasks()
	p.queueLayerNorm(g.dp.lnfw, g.dp.lnfb, g.dlnf, p.acts(p.m.Config.NLayer-1).out, p.meanf, p.rstdf, n)
	p.runTasks()
}

// backOutRows carries g.dlnf back through the last LayerNorm for the rows r0 to r1.
func (p *Pass) backOutRows(c *crew, r0, r1 int) {
	g, C := &p.grads, p.m.Config.NEmbd
	dx := g.dx[r0*C : r1*C]
	clear(dx)
	c.layerNormBackward(dx, dx, g.dlnf[r0*C:], p.acts(p.m.Config.NLayer - 1).out[r0*C:], p.meanf[r0:], p.rstdf[r0:], p.m.p.lnfw, r1-r0, C)
}

// scoreBackward sets g.dlnf to what values and scores contribute, and adds the score head's gradient.
func (p *Pass) scoreBackward(d Outputs) {
	g, n, C := &p.grads, p.wanted.n, p.m.Config.NEmbd
	clear(g.dlnf)
	if d.Values == nil && d.Scores == nil {
		return
	}
	g.dvalues = zeros(g.dvalues, n)
	for s, lo := range p.wanted.lo {
		from, hi := p.wanted.first[s], p.wanted.hi[s]
		if d.Values != nil {
			copy(g.dvalues[from:from+hi-lo], d.Values[p.firstRow[s]+lo:])
		}
		if d.Scores != nil {
			g.dvalues[from+hi-lo-1] += d.Scores[s]
		}
	}
	kernel.DotBackward(g.dlnf, g.dvalues, p.m.p.score, n, C)
	p.queueOuter(g.dp.score, g.dvalues, 1, 1, p.lnf, C, C, n)
	p.runTasks()
}

// splitDropped sets where the layer's gradients of what its projections put out stand, and what drops from them.
func (p *Pass) splitDropped() {
	g := &p.grads
	p.drops = p.residualDrops(p.l)
	g.dproj, g.dattn = g.dx, g.dmid
	if n := p.every.n * p.m.Config.NEmbd; p.batch.Dropout.Resid != 0 {
		g.masked = grow(g.masked, 2*n)
		g.dproj, g.dattn = g.masked[:n], g.masked[n:]
	}
}

// endOfLayerRows carries g.dx, the gradient of the layer's output, back to g.datt, that of its attention, for the rows r0 to r1.
func (p *Pass) endOfLayerRows(c *crew, r0, r1 int) {
	C, I, n, g := p.m.Config.NEmbd, p.m.Config.MLPDim(), r1-r0, &p.grads
	a, lp := p.acts(p.l), &p.m.p.layers[p.l]
	dx, dmid, dfc := g.dx[r0*C:r1*C], g.dmid[r0*C:r1*C], g.dfc[r0*I:r1*I]
	dproj, dattn := g.dproj[r0*C:r1*C], g.dattn[r0*C:r1*C]
	// out = mid + drop(projb + activation(fc)*projw),  fc = fcb + ln2(mid)*fcw
	if p.drops.proj.Keys != nil {
		c.drop(dproj, nil, dx, p.drops.proj.From(r0), n, C)
	}
	c.multiply(kernel.Product{Y: dfc, LdY: I, X: dproj, LdX: C, W: kernel.Columns(lp.projw, C), Rows: n, K: C, O: I})
	c.activationBackward(p.m.Config.activation(), dfc, g.activated[r0*I:r1*I], a.fc[r0*I:r1*I])
	c.multiply(kernel.Product{Y: g.dln2[r0*C:], LdY: C, X: dfc, LdX: I, W: kernel.Columns(lp.fcw, I), Rows: n, K: I, O: C})
	c.layerNormBackward(dmid, dx, g.dln2[r0*C:], a.mid[r0*C:], a.mean2[r0:], a.rstd2[r0:], lp.ln2w, n, C)
	// mid = x + drop(attnb + att*attnw)
	if p.drops.attn.Keys != nil {
		c.drop(dattn, nil, dmid, p.drops.attn.From(r0), n, C)
	}
	c.multiply(kernel.Product{Y: g.datt[r0*C:], LdY: C, X: dattn, LdX: C, W: kernel.Columns(lp.attnw, C), Rows: n, K: C, O: C})
}

// attendBackward carries g.datt back to g.dqkv for the heads h0 to h1 of a sequence.
func (p *Pass) attendBackward(w *scratch, seq, h0, h1 int) {
	C, hd, T, s, g := p.m.Config.NEmbd, p.m.Config.HeadDim(), p.batch.Lens[seq], p.set(p.l), &p.grads
	w.attention = grow(w.attention, kernel.AttentionBackwardScratch(hd, T))
	dqkv, qkv, datt := g.dqkv[p.firstRow[seq]*3*C:], p.acts(p.l).qkv[p.firstRow[seq]*3*C:], g.datt[s.first[seq]*C:]
	lo, hi := s.lo[seq], s.hi[seq]
	for h := h0; h < h1; h++ {
		at := h * hd
		if lo == hi {
			kernel.AttentionBackward(dqkv[at:], qkv[at:], 3*C, nil, C, kernel.Dropout{}, C, hd, T, 0, 0, w.attention)
			continue
		}
		kernel.AttentionBackward(dqkv[at:], qkv[at:], 3*C, datt[at:], C, p.attentionDrop(p.l, seq, h), C, hd, T, lo, hi, w.attention)
	}
}

// widen sets g.dwide to the last layer's g.dmid with a row for every position.
func (p *Pass) widen() {
	g, C, s := &p.grads, p.m.Config.NEmbd, p.set(p.l)
	if s.n == p.every.n {
		return
	}
	g.dwide = zeros(g.dwide, p.every.n*C)
	for q, lo := range s.lo {
		copy(g.dwide[(p.firstRow[q]+lo)*C:(p.firstRow[q]+s.hi[q])*C], g.dmid[s.first[q]*C:])
	}
}

// beginLayerRows carries g.dqkv back to g.dnext, the gradient of the layer's input, for the rows r0 to r1.
func (p *Pass) beginLayerRows(c *crew, r0, r1 int) {
	C, n, g := p.m.Config.NEmbd, r1-r0, &p.grads
	a, lp, dmid := p.acts(p.l), &p.m.p.layers[p.l], g.dmid
	if p.set(p.l).n < p.every.n {
		dmid = g.dwide
	}
	// mid = x + ...,  qkv = qkvb + ln1(x)*qkvw
	c.multiply(kernel.Product{Y: g.dln1[r0*C:], LdY: C, X: g.dqkv[r0*3*C:], LdX: 3 * C, W: kernel.Columns(lp.qkvw, 3*C), Rows: n, K: 3 * C, O: C})
	c.layerNormBackward(g.dnext[r0*C:], dmid[r0*C:], g.dln1[r0*C:], p.input(p.l)[r0*C:], a.mean1[r0:], a.rstd1[r0:], lp.ln1w, n, C)
}

// queueWeights queues the gradients of the layer's parameters, but those of its first LayerNorm; the longest come first.
func (p *Pass) queueWeights() {
	C, I, N, n, a, g := p.m.Config.NEmbd, p.m.Config.MLPDim(), p.every.n, p.set(p.l).n, p.acts(p.l), &p.grads
	d := &g.dp.layers[p.l]
	p.queueOuter(d.fcw, a.ln2, C, C, g.dfc, I, I, n)
	p.queueOuter(d.qkvw, a.ln1, C, C, g.dqkv, 3*C, 3*C, N)
	p.queueOuter(d.projw, g.activated, I, I, g.dproj, C, C, n)
	p.queueOuter(d.attnw, a.att, C, C, g.dattn, C, C, n)
	p.queueSum(d.projb, g.dproj, n)
	p.queueSum(d.fcb, g.dfc, n)
	p.queueSum(d.attnb, g.dattn, n)
	p.queueSum(d.qkvb, g.dqkv, N)
	p.queueLayerNorm(d.ln2w, d.ln2b, g.dln2, a.mid, a.mean2, a.rstd2, n)
}
