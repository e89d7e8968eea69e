package kernel

/*
#include "call.h"

#cgo noescape k_candidates
#cgo nocallback k_candidates
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
	Weights []float32 // e^(Scaled - top)
}

// Take makes c those of logits (v) whose scaled value is at least low. top is the largest scaled logit.
func (c *Candidates) Take(logits []float32, scale, low, top float32) {
	v := len(logits)
	if room := roundUp(v, panel); cap(c.IDs) < room {
		c.IDs, c.Scaled, c.Weights = make([]int32, room), make([]float32, room), make([]float32, room)
	}
	room := cap(c.IDs)
	c.IDs, c.Scaled, c.Weights = c.IDs[:room], c.Scaled[:room], c.Weights[:room]
	n := C.k_candidates(i32("ids", c.IDs, v), f32("scaled", c.Scaled, v), f32("weights", c.Weights, v), f32("logits", logits, v),
		C.float(scale), C.float(low), C.float(top), i(v))
	c.IDs, c.Scaled, c.Weights = c.IDs[:n], c.Scaled[:n], c.Weights[:n]
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
