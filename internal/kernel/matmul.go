package kernel

/*
#include "call.h"

#cgo noescape k_matmul
#cgo nocallback k_matmul
#cgo noescape k_outer
#cgo nocallback k_outer
#cgo noescape k_column_sum
#cgo nocallback k_column_sum
*/
import "C"

// Matrix is a matrix (k, o) to multiply with, in one of three layouts.
type Matrix struct {
	data   []float32
	layout C.int
	ld     int
}

// Rows returns the matrix whose rows (k of them, o wide) stand ld floats apart in w.
func Rows(w []float32, ld int) Matrix { return Matrix{w, C.RLHF_ROWS, ld} }

// Columns returns the matrix whose columns (o of them, k long) stand ld floats apart in wt: the transpose of wt.
func Columns(wt []float32, ld int) Matrix { return Matrix{wt, C.RLHF_COLUMNS, ld} }

// Packed returns the matrix that Pack laid out in p.
func Packed(p []float32) Matrix { return Matrix{p, C.RLHF_PACKED, 0} }

// Panels returns the number of panels of o outputs: the unit by which a product can be split over outputs.
func Panels(o int) int { return (o + panel - 1) / panel }

// PackedSize returns the floats of a packed (k, o) matrix.
func PackedSize(k, o int) int { return Panels(o) * panel * k }

// Pack lays the panels p0 to p1 of w (k, o) out in dst (PackedSize(k, o)), where products with
// few rows read it fastest. The rows, or columns, of w must stand one after another.
func Pack(dst []float32, w Matrix, k, o, p0, p1 int) {
	C.k_pack(f32("dst", dst, PackedSize(k, o)), f32("w", w.data, k*o), w.layout, i(k), i(o), i(p0), i(p1))
}

// Product is y (rows, o) = start + x (rows, k) * W. The start of row n is Bias plus
// row n of Residual; either may be nil. If Residual is Y the product is added to y.
type Product struct {
	Y          []float32
	LdY        int       // distance of rows
	Activated  []float32 // nil, or laid out as Y: the activation of y
	Activation Activation
	X          []float32
	LdX        int
	W          Matrix
	Bias       []float32 // (o)
	Residual   []float32
	LdResidual int
	Rows, K, O int
}

// MatMulScratch returns the floats of scratch that a product needs whose matrix is not packed.
func MatMulScratch() int { return kblock * panel }

// MatMul computes p for the panels p0 to p1 of its outputs. A matrix that is not
// packed is packed on the way, a panel at a time, into scratch (MatMulScratch);
// with a hundred rows that costs a hundredth of the work. scratch may be nil for a packed one.
func MatMul(p Product, p0, p1 int, scratch []float32) {
	var weights, need int
	switch p.W.layout {
	case C.RLHF_PACKED:
		weights = PackedSize(p.K, p.O)
	case C.RLHF_ROWS:
		weights, need = span(p.K, p.W.ld, p.O), MatMulScratch()
	default:
		weights, need = span(p.O, p.W.ld, p.K), MatMulScratch()
	}
	if p.Activated != nil {
		f32("activated", p.Activated, span(p.Rows, p.LdY, p.O))
	}
	if p.Bias != nil {
		f32("bias", p.Bias, p.O)
	}
	if p.Residual != nil {
		f32("residual", p.Residual, span(p.Rows, p.LdResidual, p.O))
	}
	C.k_matmul(f32("y", p.Y, span(p.Rows, p.LdY, p.O)), i(p.LdY), f32("activated", p.Activated, 0), C.int(p.Activation), f32("x", p.X, span(p.Rows, p.LdX, p.K)), i(p.LdX),
		f32("weights", p.W.data, weights), p.W.layout, i(p.W.ld), f32("bias", p.Bias, 0), f32("residual", p.Residual, 0), i(p.LdResidual),
		i(p.Rows), i(p.K), i(p.O), i(p0), i(p1), f32("scratch", scratch, need))
}

// OuterScratch returns the floats of scratch that Outer needs for a range of k rows.
func OuterScratch(k int) int { return outerRows * (panel + k + tileRows) }

// Outer computes rows k0 to k1 of dw (k, o) += a (rows, k) transposed times d (rows, o),
// adding the rows in order.
func Outer(dw []float32, lddw int, a []float32, lda int, d []float32, ldd int, rows, k0, k1, o int, scratch []float32) {
	if rows == 0 {
		return
	}
	C.k_outer(f32("dw", dw, span(k1, lddw, o)), i(lddw), f32("a", a, span(rows, lda, k1)), i(lda),
		f32("d", d, span(rows, ldd, o)), i(ldd), i(rows), i(k0), i(k1), i(o), f32("scratch", scratch, OuterScratch(k1-k0)))
}

// ColumnSum adds the rows of d (rows, ldd) to db for the columns o0 to o1.
func ColumnSum(db, d []float32, ldd, rows, o0, o1 int) {
	C.k_column_sum(f32("db", db, o1), f32("d", d, span(rows, ldd, o1)), i(ldd), i(rows), i(o0), i(o1))
}
