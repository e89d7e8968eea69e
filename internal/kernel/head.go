package kernel

/*
#include "call.h"

#cgo noescape k_head_blocks
#cgo nocallback k_head_blocks
#cgo noescape k_head
#cgo nocallback k_head
#cgo noescape k_head_backward
#cgo nocallback k_head_backward
#cgo noescape k_sample
#cgo nocallback k_sample
*/
import "C"

import "fmt"

// HeadBlock is the number of tokens of a block of the vocabulary. Logits may be
// computed and read in any portions that begin at a multiple of it.
const HeadBlock = C.RLHF_BLOCK

// HeadParts returns the doubles that the blocks of a vocabulary of v leave for a row.
func HeadParts(v int) int { return 3 * ((v + HeadBlock - 1) / HeadBlock) }

// HeadBlocks reads the logits (rows, ld) of the cols tokens from v0 on, a multiple of HeadBlock, and sets what these
// blocks leave in parts (rows, HeadParts(v)), and in targetLogits (rows) the logits of targets among them. scale is 1/temperature.
func HeadBlocks(parts []float64, targetLogits, logits []float32, ld int, targets []int32, scale float32, v0, cols, v int) {
	if v0%HeadBlock != 0 || v0+cols > v {
		panic(fmt.Sprintf("kernel: logits of tokens %d to %d of %d: blocks of %d", v0, v0+cols, v, HeadBlock))
	}
	rows := len(targets)
	C.k_head_blocks(f64("parts", parts, rows*HeadParts(v)), f32("target logits", targetLogits, rows), f32("logits", logits, span(rows, ld, cols)), i(ld),
		i32("targets", targets, rows), C.float(scale), i(rows), i(v0), i(cols), i(HeadParts(v)/3))
}

// Head computes, from what all blocks left, the targets' log-probs, the rows' entropies and the logs of the sums of exponentials.
func Head(logprobs, entropy []float32, lse, parts []float64, targetLogits []float32, scale float32, v int) {
	rows := len(logprobs)
	C.k_head(f32("logprobs", logprobs, rows), f32("entropy", entropy, rows), f64("lse", lse, rows), f64("parts", parts, rows*HeadParts(v)),
		f32("target logits", targetLogits, rows), C.float(scale), i(rows), i(HeadParts(v)/3))
}

// HeadBackward replaces the logits (rows, ld) of the cols tokens from v0 on by their gradient, given those of Head's
// log-probs and entropies.
func HeadBackward(logits []float32, ld int, targets []int32, dlogprobs, dentropy []float32, lse []float64, entropy []float32, scale float32, v0, cols int) {
	rows := len(targets)
	C.k_head_backward(f32("logits", logits, span(rows, ld, cols)), i(ld), i32("targets", targets, rows), f32("dlogprobs", dlogprobs, rows),
		f32("dentropy", dentropy, rows), f64("lse", lse, rows), f32("entropy", entropy, rows), C.float(scale), i(rows), i(v0), i(cols))
}

// Sample draws a token from logits (v) times scale at the uniform number u in [0, 1), and returns it with its
// log-prob, the same bits as Head's. parts is scratch (HeadParts(v)).
func Sample(parts []float64, logits []float32, scale float32, u float64) (token int32, logprob float32) {
	return sample(parts, logits, scale, u, 0)
}

// Greedy returns the first token with the largest logit, and its log-prob at scale.
func Greedy(parts []float64, logits []float32, scale float32) (token int32, logprob float32) {
	return sample(parts, logits, scale, 0, 1)
}

func sample(parts []float64, logits []float32, scale float32, u float64, greedy C.int) (int32, float32) {
	var lp [1]float32
	token := C.k_sample(f32("logprob", lp[:], 1), f64("parts", parts, HeadParts(len(logits))), f32("logits", logits, 1),
		C.float(scale), C.double(u), greedy, i(len(logits)))
	return int32(token), lp[0]
}
