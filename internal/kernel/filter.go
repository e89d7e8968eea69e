package kernel

/*
#include "call.h"

#cgo noescape k_candidates
#cgo nocallback k_candidates
#cgo noescape k_cut
#cgo nocallback k_cut
#cgo noescape k_histogram
#cgo nocallback k_histogram
#cgo noescape k_of_bin
#cgo nocallback k_of_bin
#cgo noescape k_find_weight
#cgo nocallback k_find_weight
*/
import "C"

import (
	"math"
	"slices"
)

// Candidates are tokens that a filter of sampling chooses among, in the order of
// the vocabulary. Its memory is used again by the next Take.
type Candidates struct {
	IDs     []int32
	Scaled  []float32 // logit times scale
	Weights []float32 // e^(Scaled - top), 0 once cut

	top, low    float32
	mass, count []float64 // (filterBins)
	at          []int32
}

// filterBins is how many bins a histogram of candidates has.
const filterBins = 512

// unboundedSpan is how far below the top the histogram reaches of candidates that have no bound.
const unboundedSpan = 64

// Take makes c those of logits (v) whose scaled value is at least low. top is the largest scaled logit.
func (c *Candidates) Take(logits []float32, scale, low, top float32) {
	v := len(logits)
	if room := roundUp(v, panel); cap(c.IDs) < room {
		c.IDs, c.Scaled, c.Weights, c.at = make([]int32, room), make([]float32, room), make([]float32, room), make([]int32, room)
	}
	if c.mass == nil {
		c.mass, c.count = make([]float64, filterBins), make([]float64, filterBins)
	}
	room := cap(c.IDs)
	c.IDs, c.Scaled, c.Weights, c.low, c.top = c.IDs[:room], c.Scaled[:room], c.Weights[:room], low, top
	n := C.k_candidates(i32("ids", c.IDs, v), f32("scaled", c.Scaled, v), f32("weights", c.Weights, v), f32("logits", logits, v),
		C.float(scale), C.float(low), C.float(top), i(v))
	c.IDs, c.Scaled, c.Weights = c.IDs[:n], c.Scaled[:n], c.Weights[:n]
}

// Cut makes the weights of the candidates 0 that are less likely than (low, id): with a smaller scaled logit, or the same
// and a smaller id. It returns the sum of the weights left.
func (c *Candidates) Cut(low float32, id int32) float64 {
	n := len(c.IDs)
	return float64(C.k_cut(f32("weights", c.Weights, n), f32("scaled", c.Scaled, n), i32("ids", c.IDs, n), C.float(low), C.int32_t(id), i(n)))
}

// Around returns the indices of some candidates, equally or nearly as likely, among which the likeliest ones' cumulated
// weight, or number, first reaches target, and what those more likely than them have of it. The indices are valid until the next call.
func (c *Candidates) Around(target float64, byNumber bool) (indices []int32, above float64) {
	n := len(c.IDs)
	per := filterBins / min(float64(c.top)-float64(c.low), unboundedSpan)
	C.k_histogram(f64("mass", c.mass, filterBins), f64("count", c.count, filterBins), f32("weights", c.Weights, n), f32("scaled", c.Scaled, n),
		C.float(c.top), C.float(per), filterBins, i(n))
	share := c.mass
	if byNumber {
		share = c.count
	}
	bin, cumulated := 0, 0.0
	for b, x := range share {
		if x > 0 {
			bin, above = b, cumulated
		}
		if cumulated += x; cumulated >= target {
			break
		}
	}
	m := C.k_of_bin(i32("at", c.at, n), f32("scaled", c.Scaled, n), C.float(c.top), C.float(per), filterBins, i(bin), i(n))
	return c.at[:m], above
}

// Find returns the first candidate at which the cumulated weight, in the order of the vocabulary, passes target, or the
// last one that weighs anything. There must be one.
func (c *Candidates) Find(target float64) int {
	n := len(c.Weights)
	return int(C.k_find_weight(f32("weights", c.Weights, n), C.double(target), i(n)))
}

// RowTop returns the largest scaled logit of a row and the sum of e^(z - top) over it, from what HeadBlocks left of its blocks.
func RowTop(parts []float64) (top, sum float64) {
	top = math.Inf(-1)
	for b := 0; b < len(parts); b += 3 {
		top = max(top, parts[b])
	}
	for b := 0; b < len(parts); b += 3 {
		sum += math.Exp(parts[b]-top) * parts[b+1]
	}
	return top, sum
}

// KthBlock returns the kth largest of the blocks' largest scaled logits, or the least if there are fewer: so at least k
// tokens, or one of each block, are as large. tops is scratch.
func KthBlock(parts []float64, k int, tops []float64) (value float64, scratch []float64) {
	tops = tops[:0]
	for b := 0; b < len(parts); b += 3 {
		tops = append(tops, parts[b])
	}
	slices.Sort(tops)
	return tops[max(0, len(tops)-k)], tops
}
