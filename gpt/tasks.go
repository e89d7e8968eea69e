package gpt

import "rlhf/internal/kernel"

// task is a piece of a pass that one worker does, and that owns what it writes.
// The kind says which arguments count.
type task struct {
	kind   int8
	dw, db []float32 // outputs
	a, d   []float32 // inputs
	mean   []float32
	rstd   []float32
	lda    int
	ldd    int
	rows   int
	from   int // the range of outputs, or of rows, or of heads, that the task is
	to     int
	o      int
	seq    int
}

const (
	taskRows      int8 = iota // rows from..to through p.body
	taskOuter                 // rows from..to of dw (., o) += a (rows, lda)^T * d (rows, ldd)
	taskSum                   // db += the rows of d
	taskLayerNorm             // columns from..to of dw and db: gradients of gain and bias from d = dy and a = x
	taskEmbedding             // columns from..to of the gradients of both embeddings
	taskAttend                // heads from..to of sequence seq
	taskAttendBackward
	taskHead         // rows from..to of the portion of the vocabulary that begins at seq
	taskHeadBackward // the same, backward
	taskStatistics   // rows from..to
)

// columnsPerTask is the share of a sum over rows that one worker takes at once.
const columnsPerTask = 64

// do does one of the queued tasks.
func (p *Pass) do(worker, number int) {
	t, w, C := &p.tasks[number], &p.work[worker], p.m.Config.NEmbd
	switch t.kind {
	case taskRows:
		p.body(&p.solo[worker], t.from, t.to)
	case taskOuter:
		w.outer = grow(w.outer, kernel.OuterScratch(t.to-t.from))
		kernel.Outer(t.dw, t.o, t.a, t.lda, t.d, t.ldd, t.rows, t.from, t.to, t.o, w.outer)
	case taskSum:
		kernel.ColumnSum(t.db, t.d, t.o, t.rows, 0, t.o)
	case taskLayerNorm:
		kernel.LayerNormBackwardParams(t.dw, t.db, t.d, t.a, t.mean, t.rstd, t.rows, C, t.from, t.to)
	case taskEmbedding:
		kernel.EmbedBackward(t.dw, t.db, t.d, p.batch.Tokens, p.positions, C, t.from, t.to)
	case taskAttend:
		p.attend(w, t.seq, t.from, t.to)
	case taskAttendBackward:
		p.attendBackward(w, t.seq, t.from, t.to)
	case taskHead:
		p.headPortion(w, t.from, t.to, t.seq)
	case taskHeadBackward:
		p.headPortionBackward(w, t.from, t.to, t.seq)
	case taskStatistics:
		p.statistics(t.from, t.to)
	}
}

// runTasks does the queued tasks, the first ones first.
func (p *Pass) runTasks() {
	p.team.Each(len(p.tasks), &p.doTask)
	p.tasks = p.tasks[:0]
}

// chunkRows is how many rows one worker takes through the operations of a layer at once: enough to make packing the
// weights on the way cheap, few enough to stay in its cache.
const chunkRows = 256

// fewRows is the number of rows a worker below which all share each operation instead.
const fewRows = 150

// queueRows queues the rows 0 to n for p.body in chunks, or takes them through it at once if they are few.
func (p *Pass) queueRows(n int, body func(c *crew, r0, r1 int)) {
	if n < fewRows*p.team.Size() {
		if n > 0 {
			body(&p.together, 0, n)
		}
		return
	}
	p.body = body
	chunks := max(1, (n+chunkRows-1)/chunkRows)
	chunks = (chunks + p.team.Size() - 1) / p.team.Size() * p.team.Size()
	for k := range chunks {
		p.tasks = append(p.tasks, task{kind: taskRows, from: n * k / chunks, to: n * (k + 1) / chunks})
	}
}

// queueAttention queues the attention of every sequence.
func (p *Pass) queueAttention(kind int8) {
	B, heads := len(p.batch.Lens), p.m.Config.NHead
	share := heads
	if B < 4*p.team.Size() {
		share = 1
	}
	for s := range B {
		for h := 0; h < heads; h += share {
			p.tasks = append(p.tasks, task{kind: kind, seq: s, from: h, to: h + share})
		}
	}
}

// queueOuter queues dw (k, o) += a (rows, k)^T * d (rows, o); lda and ldd are the distances of rows.
func (p *Pass) queueOuter(dw, a []float32, k, lda int, d []float32, o, ldd, rows int) {
	share := max(24, 384/p.team.Size()/12*12) // rows of dw
	for k0 := 0; k0 < k && rows > 0; k0 += share {
		p.tasks = append(p.tasks, task{kind: taskOuter, dw: dw, a: a, lda: lda, d: d, ldd: ldd, rows: rows, from: k0, to: min(k0+share, k), o: o})
	}
}

// queueSum queues db += the sum of d's rows.
func (p *Pass) queueSum(db, d []float32, rows int) {
	p.tasks = append(p.tasks, task{kind: taskSum, db: db, d: d, o: len(db), rows: rows})
}

// queueLayerNorm queues the gradients of a LayerNorm's gain and bias.
func (p *Pass) queueLayerNorm(dgain, dbias, dy, x, mean, rstd []float32, rows int) {
	for c0 := 0; c0 < len(dgain); c0 += columnsPerTask {
		p.tasks = append(p.tasks, task{kind: taskLayerNorm, dw: dgain, db: dbias, d: dy, a: x, mean: mean, rstd: rstd, rows: rows, from: c0, to: min(c0+columnsPerTask, len(dgain))})
	}
}
