package gpt

import (
	"math"

	"rlhf/internal/kernel"
	"rlhf/internal/rng"
)

// drawer draws tokens from rows of logits as a SampleConfig says. Its draws are
// a function of seed, purpose, episode and position and of the row alone.
type drawer struct {
	SampleConfig
	stream rng.Stream
}

func newDrawer(c SampleConfig) drawer {
	return drawer{SampleConfig: c, stream: rng.At(c.Seed, c.Purpose)}
}

// penalises reports whether what a sequence holds changes its logits.
func (d *drawer) penalises() bool { return d.RepetitionPenalty != 0 && d.RepetitionPenalty != 1 }

// filters reports whether some tokens of the vocabulary may never be drawn.
func (d *drawer) filters() bool { return d.TopK > 0 || d.TopP > 0 && d.TopP < 1 || d.MinP > 0 }

// scale returns 1/temperature, 1 for the likeliest token.
func (d *drawer) scale() float32 {
	if d.Temperature == 0 {
		return 1
	}
	return 1 / d.Temperature
}

// draw draws the token at a position from the logits (V) there, which a penalty changes for the while, and returns it with
// the model's own log-prob.
func (d *drawer) draw(w *scratch, logits []float32, seen *seen, episode, position uint64) (int32, float32) {
	w.parts = grow(w.parts, kernel.HeadParts(len(logits)))
	greedy, scale := d.Temperature == 0, d.scale()
	switch {
	case greedy && !d.penalises():
		return kernel.Greedy(w.parts, logits, scale)
	case !greedy && !d.penalises() && !d.filters():
		return kernel.Sample(w.parts, logits, scale, d.stream.Float64(episode, position))
	}
	f := &w.filter
	headBlocks(w.parts, logits, scale)
	parts := w.parts
	if d.penalises() {
		seen.penalise(logits, d.RepetitionPenalty)
		f.parts = grow(f.parts, len(parts))
		parts = f.parts
		if d.filters() {
			headBlocks(parts, logits, scale)
		}
	}
	var token int32
	switch {
	case greedy:
		token, _ = kernel.Greedy(parts, logits, scale)
	case !d.filters():
		token, _ = kernel.Sample(parts, logits, scale, d.stream.Float64(episode, position))
	default:
		f.narrow(&d.SampleConfig, parts, logits, scale)
		token = f.pick(d.stream.Float64(episode, position))
	}
	if d.penalises() {
		seen.restore(logits)
	}
	return token, logprob(w.parts, logits, token, scale)
}

// headBlocks sets in parts what the blocks of one row leave.
func headBlocks(parts []float64, logits []float32, scale float32) {
	var none [1]float32
	kernel.HeadBlocks(parts, none[:], logits, len(logits), noTarget, scale, 0, len(logits), len(logits))
}

var noTarget = []int32{-1}

// logprob returns a token's log-prob from what headBlocks left of its row: the bits a Pass computes.
func logprob(parts []float64, logits []float32, token int32, scale float32) float32 {
	var lp, entropy [1]float32
	var lse [1]float64
	kernel.Head(lp[:], entropy[:], lse[:], parts, logits[token:token+1], scale, len(logits))
	return lp[0]
}

// Probabilities returns the distribution (V) that c draws a token from after the
// tokens before, given the model's logits there: what sampling does, for those
// who want to look at it. At temperature 0 all of it is on the token taken.
func (c SampleConfig) Probabilities(logits []float32, before []int32) []float32 {
	d, out, seen := newDrawer(c), make([]float32, len(logits)), seen{}
	row, scale := append([]float32(nil), logits...), d.scale()
	if d.penalises() {
		seen.reset(len(logits))
		seen.add(before...)
		seen.penalise(row, c.RepetitionPenalty)
	}
	parts := make([]float64, kernel.HeadParts(len(logits)))
	if c.Temperature == 0 {
		token, _ := kernel.Greedy(parts, row, scale)
		out[token] = 1
		return out
	}
	headBlocks(parts, row, scale)
	var f filter
	f.narrow(&c, parts, row, scale)
	for k, id := range f.kept.IDs {
		out[id] = float32(float64(f.kept.Weights[k]) / f.total)
	}
	return out
}

// seen is the set of tokens that a sequence holds.
type seen struct {
	has    []uint64  // bits, by token
	tokens []int32   // each once
	logits []float32 // (tokens) as they were before the penalty
}

// reset empties the set, of a vocabulary of v.
func (s *seen) reset(v int) {
	s.has = grow(s.has, (v+63)/64)
	clear(s.has)
	s.tokens = s.tokens[:0]
}

func (s *seen) add(tokens ...int32) {
	for _, t := range tokens {
		if bit := uint64(1) << (t % 64); s.has[t/64]&bit == 0 {
			s.has[t/64] |= bit
			s.tokens = append(s.tokens, t)
		}
	}
}

// penalise makes the tokens' logits less likely, once each however often they stand there (Keskar 2019, arXiv:1909.05858,
// with transformers' rule for negative ones).
func (s *seen) penalise(logits []float32, penalty float32) {
	s.logits = s.logits[:0]
	for _, t := range s.tokens {
		x := logits[t]
		s.logits = append(s.logits, x)
		if x < 0 {
			logits[t] = x * penalty
		} else {
			logits[t] = x / penalty
		}
	}
}

// restore undoes penalise.
func (s *seen) restore(logits []float32) {
	for k, t := range s.tokens {
		logits[t] = s.logits[k]
	}
}

// filter finds the tokens that top k, top p and min p leave of a row. None of the
// three keeps a token and drops a likelier one, so what all leave is what stands
// above a boundary, and that is found among the few tokens which may.
type filter struct {
	parts []float64 // (kernel.HeadParts(V)) of a penalised row
	tops  []float64
	kept  kernel.Candidates // the candidates; those that are not kept weigh 0
	ranks []ranked
	total float64 // the weights of those kept
}

// ranked is a candidate in the order of likelihood: scaled logit, then id.
type ranked struct {
	z      float32
	id     int32
	weight float64
}

// below reports whether a is less likely than b. Of equally likely tokens, the one with the larger id is kept first: so
// transformers' ascending sort has them.
func (a ranked) below(b ranked) bool { return a.z < b.z || a.z == b.z && a.id < b.id }

// slack widens, in proportion, the bounds that candidates are taken by: what they are made from is rounded to float32.
const slack = 1e-3

// narrow finds what c keeps of a row of logits, given what its blocks left.
func (f *filter) narrow(c *SampleConfig, parts []float64, logits []float32, scale float32) {
	top, sum := kernel.RowTop(parts)
	byTopP := c.TopP > 0 && c.TopP < 1
	floor := math.Inf(-1)
	if c.MinP > 0 {
		floor = top + math.Log(float64(c.MinP))
	}
	take := func(bound float64) {
		f.kept.Take(logits, scale, float32(bound-slack*max(1, math.Abs(bound))), float32(top))
	}
	switch {
	case c.TopK > 0:
		limit, kth := floor, 0.0
		if byTopP {
			limit = math.Inf(-1) // top p needs to know all that top k keeps
		}
		kth, f.tops = kernel.KthBlock(parts, c.TopK, f.tops)
		take(max(kth, limit))
		for tries := 0; c.TopK > len(f.kept.IDs) && kth > limit && len(f.kept.IDs) < len(logits); tries++ { // k is more than there are blocks
			if kth -= .15 * (top - kth + slack); tries == 16 {
				kth = math.Inf(-1)
			}
			take(max(kth, limit))
		}
	case byTopP: // what is less likely than an even share of what may be dropped is dropped
		take(max(top+math.Log((1-float64(c.TopP))*sum/float64(len(logits))), floor))
	default:
		take(floor)
	}
	f.total = f.kept.Cut(float32(math.Inf(-1)), 0)
	if c.TopK > 0 && c.TopK < len(f.kept.IDs) {
		f.total = f.kept.Cut(f.least(float64(c.TopK), true).z, 0) // with all as likely as the last
	}
	if byTopP {
		if c.TopK > 0 {
			sum = f.total
		}
		f.topP(float64(c.TopP)*sum, c.TopPWithin)
	}
	if c.MinP > 0 {
		f.total = f.kept.Cut(float32(floor), 0)
	}
}

// topP keeps the fewest likeliest tokens that weigh at least target; within leaves out the last of these if they weigh more
// and it is not the only one, but then keeps all that are as likely as the least.
func (f *filter) topP(target float64, within bool) {
	if f.total <= target {
		return
	}
	low := f.least(target, false)
	f.total = f.kept.Cut(low.z, low.id)
	if !within || f.total <= target {
		return
	}
	next := ranked{z: float32(math.Inf(1))}
	for k, z := range f.kept.Scaled {
		if f.kept.Weights[k] > 0 && f.kept.IDs[k] != low.id {
			next.z = min(next.z, z)
		}
	}
	if !math.IsInf(float64(next.z), 1) {
		f.total = f.kept.Cut(next.z, 0)
	}
}

// least returns the candidate at which the likeliest ones' cumulated weight, or number, reaches target.
func (f *filter) least(target float64, byNumber bool) ranked {
	indices, above := f.kept.Around(target, byNumber)
	f.ranks = f.ranks[:0]
	for _, k := range indices {
		weight := 1.0
		if !byNumber {
			weight = float64(f.kept.Weights[k])
		}
		f.ranks = append(f.ranks, ranked{f.kept.Scaled[k], f.kept.IDs[k], weight})
	}
	return boundary(f.ranks, target-above)
}

// pick returns the token kept at which the cumulated weight, in the order of the vocabulary, passes u of the whole. A row
// without numbers has no tokens, and gives the first.
func (f *filter) pick(u float64) int32 {
	if len(f.kept.IDs) == 0 {
		return 0
	}
	return f.kept.IDs[f.kept.Find(u*f.total)]
}

// boundary returns the element at which the weights, cumulated from the likeliest one down, first reach target, the
// least of all if they do not. It reorders x, which is not empty, and takes time in proportion to its length: the part of
// x in work holds the boundary, if any part does, and what stands above that part has been taken off the target.
func boundary(x []ranked, target float64) (pivot ranked) {
	for len(x) > 0 {
		middle := median(x, 0, len(x)/2, len(x)-1)
		pivot = x[middle]
		x[middle], x[0] = x[0], pivot
		above, weight := 1, 0.0 // x[1:above] stands above the pivot, and weighs as much
		for k := 1; k < len(x); k++ {
			if pivot.below(x[k]) {
				weight += x[k].weight
				x[above], x[k] = x[k], x[above]
				above++
			}
		}
		switch {
		case weight >= target && above > 1:
			x = x[1:above]
		case weight+pivot.weight >= target:
			return pivot
		default:
			target -= weight + pivot.weight
			x = x[above:]
		}
	}
	return pivot
}

// median returns the index of the middle one of three elements.
func median(x []ranked, a, b, c int) int {
	if x[b].below(x[a]) {
		a, b = b, a
	}
	if x[c].below(x[b]) {
		if b = c; x[b].below(x[a]) {
			b = a
		}
	}
	return b
}
