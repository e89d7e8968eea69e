package kernel

/*
#include "call.h"

#cgo noescape k_dropout
#cgo nocallback k_dropout
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Dropout is inverted dropout by counter: number j of row n is kept, times 1/(1-P), or
// becomes 0, as a hash of (Keys[n], Salt, j) says. The masks are the same on every
// instruction set and are never stored: a backward pass draws them again. Nil Keys is
// no dropout.
type Dropout struct {
	Keys []uint64 // of the rows: RowKey
	Salt uint64   // of the place in the model: SiteSalt
	P    float32  // share that is dropped, from 0 to below 1
}

// mix is the finaliser of splitmix64 over a state that v has joined.
func mix(state, v uint64) uint64 {
	z := (state ^ v) + 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// SequenceKey returns the key of a sequence in a step of training.
func SequenceKey(seed, step, sequence uint64) uint64 { return mix(mix(mix(0, seed), step), sequence) }

// RowKey returns the key of a position in the sequence of the given key.
func RowKey(sequence uint64, position int) uint64 { return mix(sequence, uint64(position)) }

// SiteSalt returns the salt of a place in the model: the layer, which dropout in it, and the head.
func SiteSalt(layer, site, head int) uint64 {
	return mix(mix(mix(1, uint64(layer)), uint64(site)), uint64(head))
}

// in returns d as C takes it, for n rows.
func (d Dropout) in(n int) (keys *C.uint64_t, salt C.uint64_t, keep C.uint32_t, scale C.float) {
	if d.Keys == nil {
		return nil, 0, 0, 0
	}
	if len(d.Keys) < n {
		panic(fmt.Sprintf("kernel: dropout holds %d keys, needs %d", len(d.Keys), n))
	}
	left := 1 - float64(d.P)
	return (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(d.Keys))), C.uint64_t(d.Salt),
		C.uint32_t(min(left*(1<<32), 1<<32-1)), C.float(1 / left)
}

// From returns d for the rows from row n on.
func (d Dropout) From(n int) Dropout {
	if d.Keys != nil {
		d.Keys = d.Keys[n:]
	}
	return d
}

// Drop computes y (rows, c) = plus + what d leaves of x. plus may be nil; y may be x or plus.
func Drop(y, plus, x []float32, d Dropout, rows, c int) {
	if plus != nil {
		f32("plus", plus, rows*c)
	}
	keys, salt, keep, scale := d.in(rows)
	C.k_dropout(f32("y", y, rows*c), f32("plus", plus, 0), f32("x", x, rows*c), keys, salt, keep, scale, i(rows), i(c))
}
