package kernel

/*
#include "call.h"

#cgo noescape k_attention_store
#cgo nocallback k_attention_store
#cgo noescape k_attention
#cgo nocallback k_attention
#cgo noescape k_attention_cached
#cgo nocallback k_attention_cached
#cgo noescape k_attention_backward
#cgo nocallback k_attention_backward
*/
import "C"

import "fmt"

// AttentionCap rounds the number of positions up to what the attention layouts need.
func AttentionCap(t int) int { return roundUp(t, panel) }

// AttentionSize returns the floats of the keys and of the values of one head: hd channels, cap (AttentionCap) positions.
func AttentionSize(hd, cap int) (keys, values int) { return hd * cap, cap * roundUp(hd, panel) }

// AttentionStore copies keys and values of the positions t0 to t1 from rows ld apart (the first row is
// position t0) into kt and v (AttentionSize). hd is the head's width.
func AttentionStore(kt, v, key, value []float32, ld, hd, cap, t0, t1 int) {
	nk, nv := AttentionSize(hd, cap)
	C.k_attention_store(f32("kt", kt, nk), f32("v", v, nv), f32("key", key, span(t1-t0, ld, hd)),
		f32("value", value, span(t1-t0, ld, hd)), i(ld), i(hd), i(t0), i(t1))
}

// AttentionScratch returns the floats of scratch that Attention needs.
func AttentionScratch(hd, cap int) int { return tileRows * (cap + roundUp(hd, panel)) }

// Attention computes one head's outputs o = softmax(q k^T / sqrt(hd)) v for the queries of positions t0 to t1,
// each over the positions up to its own. The rows of o and q begin at position t0, and so do the keys of drop, which
// drops from the softmax.
func Attention(o []float32, ldo int, q []float32, ldq int, kt, v []float32, drop Dropout, hd, cap, t0, t1 int, scratch []float32) {
	nk, nv := AttentionSize(hd, cap)
	keys, salt, keep, scale := drop.in(t1 - t0)
	C.k_attention(f32("o", o, span(t1-t0, ldo, hd)), i(ldo), f32("q", q, span(t1-t0, ldq, hd)), i(ldq), f32("kt", kt, nk), f32("v", v, nv), keys, salt, keep, scale,
		i(hd), i(t0), i(t1), f32("scratch", scratch, AttentionScratch(hd, cap)))
}

// Slots are sequences that grow in a cache of keys and values. Slot i adds Feeds[i]
// positions from At[i] on; their rows begin at row Rows[i] of the batch, and its
// cache at float Cache[i]: for each head its keys, then its values (AttentionSize).
type Slots struct {
	Cache, Rows, Feeds, At []int64
}

// AttentionCachedScratch returns the floats of scratch that AttentionCached needs.
func AttentionCachedScratch(c, heads, cap int) int {
	return (heads + tileRows) * (cap + roundUp(c/heads, panel))
}

// AttentionCached adds the new positions of the slots s0 to s1 to their caches and
// computes their attention: o (rows, c) from qkv (rows, 3c), each row holding the
// query, key and value of all heads, of which those from h0 to h1 are in work. The numbers are those of AttentionStore and Attention.
func AttentionCached(o, qkv, cache []float32, s Slots, s0, s1, c, heads, h0, h1, cap int, scratch []float32) {
	nk, nv := AttentionSize(c/heads, cap)
	for k := s0; k < s1; k++ {
		if end := s.At[k] + s.Feeds[k]; int(end) > cap || int(s.Cache[k])+heads*(nk+nv) > len(cache) {
			panic(fmt.Sprintf("kernel: slot %d ends at position %d of %d, its cache at %d of %d floats", k, end, cap, int(s.Cache[k])+heads*(nk+nv), len(cache)))
		}
		rows := int(s.Rows[k] + s.Feeds[k])
		f32("o", o, rows*c)
		f32("qkv", qkv, rows*3*c)
	}
	C.k_attention_cached(f32("o", o, 0), f32("qkv", qkv, 0), f32("cache", cache, 0), i64("cache offsets", s.Cache[s0:], s1-s0), i64("rows", s.Rows[s0:], s1-s0),
		i64("feeds", s.Feeds[s0:], s1-s0), i64("positions", s.At[s0:], s1-s0), i(s1-s0), i(c), i(heads), i(h0), i(h1), i(cap),
		f32("scratch", scratch, AttentionCachedScratch(c, heads, cap)))
}

// AttentionBackwardScratch returns the floats of scratch that AttentionBackward needs for t positions.
func AttentionBackwardScratch(hd, t int) int {
	cap, hdp := AttentionCap(t), roundUp(hd, panel)
	return cap * (2*hd + 6*hdp + 2*queries)
}

// AttentionBackward computes the gradients of one head's queries, keys and values in one sequence of t positions
// from do, the gradient of the outputs of the queries t0 to t1; its rows begin at t0, as drop's keys, and drop is that of
// Attention. qkv and dqkv begin at the head's
// query in the sequence's first row; key and value stand c and 2c floats further. dqkv is overwritten; queries
// without an output get 0.
func AttentionBackward(dqkv, qkv []float32, ld int, do []float32, lddo int, drop Dropout, c, hd, t, t0, t1 int, scratch []float32) {
	keys, salt, keep, scale := drop.in(t1 - t0)
	C.k_attention_backward(f32("dqkv", dqkv, span(t, ld, 2*c+hd)), i(ld), f32("qkv", qkv, span(t, ld, 2*c+hd)), i(ld),
		f32("do", do, span(t1-t0, lddo, hd)), i(lddo), keys, salt, keep, scale, i(c), i(hd), i(t), i(t0), i(t1), f32("scratch", scratch, AttentionBackwardScratch(hd, t)))
}
