package gpt

import "rlhf/internal/kernel"

// headState is what the language-model head computes: log-softmax over the
// vocabulary at the rows that have a target (M), in portions of rows and of the
// vocabulary, so that logits exist for a few at a time.
type headState struct {
	rows    []int     // (M) among the wanted rows
	at      []int     // (M) in the batch
	targets []int32   // (M)
	hidden  []float32 // (M, C); lnf itself if every wanted row has a target
	own     []float32 // memory of hidden if not
	parts   []float64 // (M, kernel.HeadParts(V))
	chosen  []float32 // (M) the targets' logits
	lse     []float64 // (M)
	lp, ent []float32 // (M)

	kept   bool      // reports whether logits holds the last Forward's, (M, V)
	logits []float32 // (M, V) if kept, else a block (rows, ld) of Backward
	ld     int
	row0   int // first row and token of the block
	token0 int

	dlp, dent []float32 // (M)
	dhidden   []float32 // (M, C)
}

// headRows is the number of rows whose logits one worker computes at a time, for kernel.HeadBlock tokens.
const headRows = 256

// keptFloats bounds the logits that a forward pass leaves for the backward pass: 64 MiB. Larger batches compute them
// again there, in blocks of blockFloats, so that memory does not grow with rows times vocabulary.
const (
	keptFloats  = 1 << 24
	blockFloats = 1 << 22
)

// headForward computes log-probs and entropies of the rows that have a target.
func (p *Pass) headForward() {
	h, C, V := &p.head, p.m.Config.NEmbd, p.m.Config.VocabSize
	h.rows, h.at, h.targets = h.rows[:0], h.at[:0], h.targets[:0]
	for s, lo := range p.wanted.lo {
		for t := lo; t < p.wanted.hi[s]; t++ {
			if n := p.firstRow[s] + t; p.batch.Targets[n] >= 0 {
				h.rows, h.at, h.targets = append(h.rows, p.wanted.first[s]+t-lo), append(h.at, n), append(h.targets, p.batch.Targets[n])
			}
		}
	}
	M := len(h.rows)
	h.hidden = p.lnf
	if M < p.wanted.n {
		h.own = grow(h.own, M*C)
		h.hidden = h.own
		for i, row := range h.rows {
			copy(h.own[i*C:(i+1)*C], p.lnf[row*C:])
		}
	}
	h.parts, h.chosen, h.lse, h.lp, h.ent = grow(h.parts, M*kernel.HeadParts(V)), grow(h.chosen, M), grow(h.lse, M), grow(h.lp, M), grow(h.ent, M)
	if h.kept = p.keep && M*V <= keptFloats; h.kept {
		h.logits, h.ld, h.row0, h.token0 = grow(h.logits, M*V), V, 0, 0
	}
	p.queueHead(taskHead, 0, M, 0, V)
	p.runTasks()
	for i := 0; i < M; i += headRows {
		p.tasks = append(p.tasks, task{kind: taskStatistics, from: i, to: min(i+headRows, M)})
	}
	p.runTasks()
}

// queueHead queues the portions of the rows i0 to i1 and the tokens v0 to v1.
func (p *Pass) queueHead(kind int8, i0, i1, v0, v1 int) {
	for v := v0; v < v1; v += kernel.HeadBlock {
		for i := i0; i < i1; i += headRows {
			p.tasks = append(p.tasks, task{kind: kind, from: i, to: min(i+headRows, i1), seq: v})
		}
	}
}

// headPortion computes the logits of the rows i0 to i1 for a block of tokens from v0 on, and what they leave.
func (p *Pass) headPortion(w *scratch, i0, i1, v0 int) {
	h, V := &p.head, p.m.Config.VocabSize
	cols := min(kernel.HeadBlock, V-v0)
	var logits []float32
	ld := cols
	if h.kept {
		logits, ld = h.logits[i0*V+v0:], V
	} else {
		w.logits = grow(w.logits, headRows*kernel.HeadBlock)
		logits = w.logits
	}
	p.project(w, logits, ld, i0, i1, v0, cols)
	parts := kernel.HeadParts(V)
	kernel.HeadBlocks(h.parts[i0*parts:], h.chosen[i0:], logits, ld, h.targets[i0:i1], p.batch.scale(), v0, cols, V)
}

// project computes logits (rows, ld) of the rows i0 to i1 for cols tokens from v0 on.
func (p *Pass) project(w *scratch, logits []float32, ld, i0, i1, v0, cols int) {
	C := p.m.Config.NEmbd
	kernel.MatMul(kernel.Product{Y: logits, LdY: ld, X: p.head.hidden[i0*C:], LdX: C, W: kernel.Columns(p.m.p.head[v0*C:], C), Rows: i1 - i0, K: C, O: cols},
		0, kernel.Panels(cols), w.matmulScratch())
}

// statistics makes the outputs of the rows i0 to i1 from what the blocks left.
func (p *Pass) statistics(i0, i1 int) {
	h, V := &p.head, p.m.Config.VocabSize
	kernel.Head(h.lp[i0:i1], h.ent[i0:i1], h.lse[i0:], h.parts[i0*kernel.HeadParts(V):], h.chosen[i0:], p.batch.scale(), V)
	for i := i0; i < i1; i++ {
		p.out.Logprobs[h.at[i]], p.out.Entropy[h.at[i]] = h.lp[i], h.ent[i]
	}
}

// headBackward turns gradients of log-probs and entropies into those of the hidden states, in dlnf (wanted, C), and of
// the head, one block of rows and tokens after another.
func (p *Pass) headBackward(d Outputs, dlnf []float32, dp *params) {
	h, C, V := &p.head, p.m.Config.NEmbd, p.m.Config.VocabSize
	M := len(h.rows)
	if M == 0 || (d.Logprobs == nil && d.Entropy == nil) {
		clear(dlnf)
		return
	}
	h.dlp, h.dent = zeros(h.dlp, M), zeros(h.dent, M)
	for i, n := range h.at {
		if d.Logprobs != nil {
			h.dlp[i] = d.Logprobs[n]
		}
		if d.Entropy != nil {
			h.dent[i] = d.Entropy[n]
		}
	}
	rows, tokens := M, V
	if !h.kept {
		rows = min(M, 1024)
		tokens = min(V, max(1, blockFloats/rows/kernel.HeadBlock)*kernel.HeadBlock)
		h.logits, h.ld = grow(h.logits, rows*tokens), tokens
	}
	h.dhidden = dlnf
	if M < p.wanted.n {
		h.own = grow(h.own, 2*M*C)
		copy(h.own, h.hidden)
		h.hidden, h.dhidden = h.own[:M*C], h.own[M*C:]
	}
	for i0 := 0; i0 < M; i0 += rows {
		for v0 := 0; v0 < V; v0 += tokens {
			p.headBlockBackward(i0, min(i0+rows, M), v0, min(v0+tokens, V), dp)
		}
	}
	h.kept = false // the logits have become their gradients
	if M < p.wanted.n {
		clear(dlnf)
		for i, row := range h.rows {
			copy(dlnf[row*C:(row+1)*C], h.dhidden[i*C:])
		}
	}
}

// headBlockBackward does so for the rows i0 to i1 and the tokens v0 to v1. Rows add up in order in the head's
// gradient, tokens in order in a row's.
func (p *Pass) headBlockBackward(i0, i1, v0, v1 int, dp *params) {
	h, C := &p.head, p.m.Config.NEmbd
	if !h.kept {
		h.row0, h.token0 = i0, v0
	}
	p.queueHead(taskHeadBackward, i0, i1, v0, v1)
	p.runTasks()
	// logits = hidden * head^T, so dhead += dlogits^T * hidden and dhidden += dlogits * head
	block := h.logits[(i0-h.row0)*h.ld+v0-h.token0:]
	p.queueOuter(dp.head[v0*C:v1*C], block, v1-v0, h.ld, h.hidden[i0*C:], C, C, i1-i0)
	p.runTasks()
	product := kernel.Product{Y: h.dhidden[i0*C:], LdY: C, X: block, LdX: h.ld, W: kernel.Rows(p.m.p.head[v0*C:], C), Rows: i1 - i0, K: v1 - v0, O: C}
	if v0 > 0 {
		product.Residual, product.LdResidual = product.Y, C
	}
	p.together.multiply(product)
}

// headPortionBackward replaces a portion's logits, which it computes again if they were not kept, by their gradients.
func (p *Pass) headPortionBackward(w *scratch, i0, i1, v0 int) {
	h, V := &p.head, p.m.Config.VocabSize
	cols := min(kernel.HeadBlock, V-v0)
	logits := h.logits[(i0-h.row0)*h.ld+v0-h.token0:]
	if !h.kept {
		p.project(w, logits, h.ld, i0, i1, v0, cols)
	}
	kernel.HeadBackward(logits, h.ld, h.targets[i0:i1], h.dlp[i0:i1], h.dent[i0:i1], h.lse[i0:i1], h.ent[i0:i1], p.batch.scale(), v0, cols)
}
