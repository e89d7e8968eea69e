// Package kernel holds the arithmetic of the Transformer: C kernels behind Go
// functions over flat float32 slices. It knows sizes and pointers, no model.
//
// Every kernel runs on the calling goroutine and writes each output element by
// one chain of additions whose order depends only on the element: not on the
// number of rows, nor on the range of rows or outputs a call covers. So work may
// be split by output in any way, over any number of threads, without changing a
// bit. Three builds of the same source exist (portable C, AVX2 with FMA,
// AVX-512); the best the machine has is chosen at start, or the one named by
// the environment variable RLHF_KERNEL. Results may differ between builds.
//
// A slice shorter than its sizes say is a programmer's mistake and panics.
// Kernels may be called concurrently as long as outputs do not overlap.
package kernel

/*
#cgo CFLAGS: -O3 -std=c11 -Wno-psabi
#cgo LDFLAGS: -lm
#include <stdlib.h>
#include "kernel.h"

#define CALL static inline __attribute__((always_inline))
CALL void k_pack(float *d, const float *w, int64_t k, int64_t o) { rlhf_kernel->pack(d, w, k, o); }
CALL void k_pack_transposed(float *d, const float *w, int64_t k, int64_t o) { rlhf_kernel->pack_transposed(d, w, k, o); }
CALL void k_matmul(float *y, int64_t ldy, const float *x, int64_t ldx, const float *p, const float *b, int64_t rows, int64_t k, int64_t o, int64_t p0, int64_t p1, int acc) {
	rlhf_kernel->matmul(y, ldy, x, ldx, p, b, rows, k, o, p0, p1, acc);
}
CALL void k_outer(float *dw, int64_t lddw, const float *a, int64_t lda, const float *d, int64_t ldd, int64_t rows, int64_t k0, int64_t k1, int64_t o, float *s) {
	rlhf_kernel->outer(dw, lddw, a, lda, d, ldd, rows, k0, k1, o, s);
}
CALL void k_column_sum(float *db, const float *d, int64_t ldd, int64_t rows, int64_t o0, int64_t o1) { rlhf_kernel->column_sum(db, d, ldd, rows, o0, o1); }
CALL void k_layernorm(float *y, float *m, float *r, const float *x, const float *g, const float *b, int64_t rows, int64_t c, float eps) {
	rlhf_kernel->layernorm(y, m, r, x, g, b, rows, c, eps);
}
CALL void k_layernorm_backward(float *dx, const float *dy, const float *x, const float *m, const float *r, const float *g, int64_t rows, int64_t c) {
	rlhf_kernel->layernorm_backward(dx, dy, x, m, r, g, rows, c);
}
CALL void k_layernorm_backward_params(float *dg, float *db, const float *dy, const float *x, const float *m, const float *r, int64_t rows, int64_t c, int64_t c0, int64_t c1) {
	rlhf_kernel->layernorm_backward_params(dg, db, dy, x, m, r, rows, c, c0, c1);
}
CALL void k_gelu(float *y, const float *x, int64_t n) { rlhf_kernel->gelu(y, x, n); }
CALL void k_gelu_backward(float *dx, const float *x, const float *dy, int64_t n) { rlhf_kernel->gelu_backward(dx, x, dy, n); }
CALL void k_add(float *y, const float *x, int64_t n) { rlhf_kernel->add(y, x, n); }
CALL void k_attention_store(float *kt, float *v, const float *kr, const float *vr, int64_t ld, int64_t hd, int64_t cap, int64_t t0, int64_t t1) {
	rlhf_kernel->attention_store(kt, v, kr, vr, ld, hd, cap, t0, t1);
}
CALL void k_attention(float *o, int64_t ldo, const float *q, int64_t ldq, const float *kt, const float *v, int64_t hd, int64_t cap, int64_t t0, int64_t t1, float *s) {
	rlhf_kernel->attention(o, ldo, q, ldq, kt, v, hd, cap, t0, t1, s);
}
CALL void k_attention_backward(float *dqkv, int64_t ldd, const float *qkv, int64_t ldq, const float *dout, int64_t ldo, int64_t c, int64_t hd, int64_t t, float *s) {
	rlhf_kernel->attention_backward(dqkv, ldd, qkv, ldq, dout, ldo, c, hd, t, s);
}
CALL void k_embed(float *x, const int32_t *tok, const int32_t *pos, const float *wte, const float *wpe, int64_t rows, int64_t c) {
	rlhf_kernel->embed(x, tok, pos, wte, wpe, rows, c);
}
CALL void k_embed_backward(float *dwte, float *dwpe, const float *dx, const int32_t *tok, const int32_t *pos, int64_t rows, int64_t c, int64_t c0, int64_t c1) {
	rlhf_kernel->embed_backward(dwte, dwpe, dx, tok, pos, rows, c, c0, c1);
}
CALL void k_head(float *lp, float *ent, double *lse, const float *l, int64_t ldl, const int32_t *tgt, float scale, int64_t rows, int64_t v) {
	rlhf_kernel->head(lp, ent, lse, l, ldl, tgt, scale, rows, v);
}
CALL void k_head_backward(float *l, int64_t ldl, const int32_t *tgt, const float *dlp, const float *dent, const double *lse, const float *ent, float scale, int64_t rows, int64_t v) {
	rlhf_kernel->head_backward(l, ldl, tgt, dlp, dent, lse, ent, scale, rows, v);
}
CALL int32_t k_sample(float *lp, const float *l, float scale, double u, int greedy, int64_t v) { return rlhf_kernel->sample(lp, l, scale, u, greedy, v); }
CALL void k_dot(float *y, const float *x, const float *w, int64_t rows, int64_t c) { rlhf_kernel->dot(y, x, w, rows, c); }
CALL void k_dot_backward(float *dx, const float *dy, const float *w, int64_t rows, int64_t c) { rlhf_kernel->dot_backward(dx, dy, w, rows, c); }
CALL void k_adamw(float *th, float *m, float *v, const float *g, int64_t n, float gs, float b1, float b2, float lr, float r2, float eps, float keep) {
	rlhf_kernel->adamw(th, m, v, g, n, gs, b1, b2, lr, r2, eps, keep);
}
CALL double k_sum_squares(const float *x, int64_t n) { return rlhf_kernel->sum_squares(x, n); }

#cgo noescape k_matmul
#cgo nocallback k_matmul
#cgo noescape k_outer
#cgo nocallback k_outer
#cgo noescape k_layernorm
#cgo nocallback k_layernorm
#cgo noescape k_gelu
#cgo nocallback k_gelu
#cgo noescape k_add
#cgo nocallback k_add
#cgo noescape k_attention_store
#cgo nocallback k_attention_store
#cgo noescape k_attention
#cgo nocallback k_attention
#cgo noescape k_attention_backward
#cgo nocallback k_attention_backward
#cgo noescape k_embed
#cgo nocallback k_embed
#cgo noescape k_sample
#cgo nocallback k_sample
#cgo noescape k_dot
#cgo nocallback k_dot
#cgo noescape k_head
#cgo nocallback k_head
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

// Names lists the instruction sets from the fastest to the slowest.
var Names = []string{"avx512", "avx2", "portable"}

func init() {
	if name := os.Getenv("RLHF_KERNEL"); name != "" {
		if err := Use(name); err != nil {
			panic(fmt.Sprintf("RLHF_KERNEL=%s: %v", name, err))
		}
		return
	}
	for _, name := range Names {
		if Use(name) == nil {
			return
		}
	}
}

// Use makes later calls run on the named instruction set. It returns an error
// that lists the known ones if this machine or build does not have it. Buffers
// packed before are of no use afterwards; it must not run beside a kernel.
func Use(name string) error {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	if C.rlhf_kernel_select(s) == nil {
		return fmt.Errorf("kernel %q: not on this machine (known: %v)", name, Names)
	}
	return nil
}

// Name returns the instruction set in use.
func Name() string { return C.GoString(C.rlhf_kernel.name) }

func panel() int { return int(C.rlhf_kernel.panel) }
func lanes() int { return int(C.rlhf_kernel.lanes) }

// f32 returns a pointer to the first element of x after checking that x holds n.
func f32(what string, x []float32, n int) *C.float {
	if len(x) < n {
		panic(fmt.Sprintf("kernel: %s holds %d floats, needs %d", what, len(x), n))
	}
	return (*C.float)(unsafe.Pointer(unsafe.SliceData(x)))
}

func i32(what string, x []int32, n int) *C.int32_t {
	if len(x) < n {
		panic(fmt.Sprintf("kernel: %s holds %d integers, needs %d", what, len(x), n))
	}
	return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(x)))
}

func f64(what string, x []float64, n int) *C.double {
	if len(x) < n {
		panic(fmt.Sprintf("kernel: %s holds %d doubles, needs %d", what, len(x), n))
	}
	return (*C.double)(unsafe.Pointer(unsafe.SliceData(x)))
}

// span returns the floats that rows rows of width floats, ld apart, reach over.
func span(rows, ld, width int) int {
	if rows == 0 {
		return 0
	}
	return (rows-1)*ld + width
}

func i(n int) C.int64_t { return C.int64_t(n) }

// Panels returns the number of panels that o outputs are packed into: the unit
// by which MatMul can be split over outputs.
func Panels(o int) int { return (o + panel() - 1) / panel() }

// PackedSize returns the floats of a packed (k, o) matrix.
func PackedSize(k, o int) int { return Panels(o) * panel() * k }

// Pack lays w (k, o) out for MatMul in dst (PackedSize(k, o)).
func Pack(dst, w []float32, k, o int) {
	C.k_pack(f32("dst", dst, PackedSize(k, o)), f32("w", w, k*o), i(k), i(o))
}

// PackTransposed lays the transpose of wt (o, k) out for MatMul in dst (PackedSize(k, o)).
func PackTransposed(dst, wt []float32, k, o int) {
	C.k_pack_transposed(f32("dst", dst, PackedSize(k, o)), f32("wt", wt, k*o), i(k), i(o))
}

// MatMul computes y (rows, o) = bias + x (rows, k) times a packed (k, o) matrix.
// A nil bias reads as zeros. ldy and ldx are the distances between rows.
func MatMul(y []float32, ldy int, x []float32, ldx int, packed, bias []float32, rows, k, o int) {
	MatMulPanels(y, ldy, x, ldx, packed, bias, rows, k, o, 0, Panels(o))
}

// MatMulPanels is MatMul for the panels p0 to p1 of the outputs only.
func MatMulPanels(y []float32, ldy int, x []float32, ldx int, packed, bias []float32, rows, k, o, p0, p1 int) {
	if bias != nil {
		f32("bias", bias, o)
	}
	C.k_matmul(f32("y", y, span(rows, ldy, o)), i(ldy), f32("x", x, span(rows, ldx, k)), i(ldx),
		f32("packed", packed, PackedSize(k, o)), f32("bias", bias, 0), i(rows), i(k), i(o), i(p0), i(p1), 0)
}

// MatMulAdd is MatMul that adds to y instead of starting from a bias.
func MatMulAdd(y []float32, ldy int, x []float32, ldx int, packed []float32, rows, k, o int) {
	C.k_matmul(f32("y", y, span(rows, ldy, o)), i(ldy), f32("x", x, span(rows, ldx, k)), i(ldx),
		f32("packed", packed, PackedSize(k, o)), nil, i(rows), i(k), i(o), 0, i(Panels(o)), 1)
}

// OuterScratch returns the floats of scratch that Outer needs for a range of k rows.
func OuterScratch(k int) int { return 128 * (panel() + k + 16) }

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

// LayerNorm computes y (rows, c) and the rows' mean and reciprocal standard deviation.
func LayerNorm(y, mean, rstd, x, gain, bias []float32, rows, c int, eps float32) {
	C.k_layernorm(f32("y", y, rows*c), f32("mean", mean, rows), f32("rstd", rstd, rows), f32("x", x, rows*c),
		f32("gain", gain, c), f32("bias", bias, c), i(rows), i(c), C.float(eps))
}

// LayerNormBackward adds the gradient of x (rows, c) to dx.
func LayerNormBackward(dx, dy, x, mean, rstd, gain []float32, rows, c int) {
	C.k_layernorm_backward(f32("dx", dx, rows*c), f32("dy", dy, rows*c), f32("x", x, rows*c),
		f32("mean", mean, rows), f32("rstd", rstd, rows), f32("gain", gain, c), i(rows), i(c))
}

// LayerNormBackwardParams adds the gradients of gain and bias for the columns c0 to c1.
func LayerNormBackwardParams(dgain, dbias, dy, x, mean, rstd []float32, rows, c, c0, c1 int) {
	C.k_layernorm_backward_params(f32("dgain", dgain, c1), f32("dbias", dbias, c1), f32("dy", dy, rows*c), f32("x", x, rows*c),
		f32("mean", mean, rows), f32("rstd", rstd, rows), i(rows), i(c), i(c0), i(c1))
}

// GELU computes y = gelu_new(x), GPT-2's tanh form, element by element.
func GELU(y, x []float32) {
	C.k_gelu(f32("y", y, len(x)), f32("x", x, 0), i(len(x)))
}

// GELUBackward computes dx = dy * gelu_new'(x); dx may be dy.
func GELUBackward(dx, x, dy []float32) {
	C.k_gelu_backward(f32("dx", dx, len(x)), f32("x", x, 0), f32("dy", dy, len(x)), i(len(x)))
}

// Add computes y += x.
func Add(y, x []float32) {
	C.k_add(f32("y", y, len(x)), f32("x", x, 0), i(len(x)))
}

// AttentionCap rounds the number of positions up to what the attention layouts need.
func AttentionCap(t int) int { return (t + lanes() - 1) / lanes() * lanes() }

// AttentionSize returns the floats of the transposed keys and of the values of one head: hd channels, cap positions.
func AttentionSize(hd, cap int) (keys, values int) { return hd * cap, cap * AttentionCap(hd) }

// AttentionStore copies keys and values of the positions t0 to t1 from rows ld apart (the first row is
// position t0) into kt and v (AttentionSize). hd is the head's width.
func AttentionStore(kt, v, key, value []float32, ld, hd, cap, t0, t1 int) {
	nk, nv := AttentionSize(hd, cap)
	C.k_attention_store(f32("kt", kt, nk), f32("v", v, nv), f32("key", key, span(t1-t0, ld, hd)),
		f32("value", value, span(t1-t0, ld, hd)), i(ld), i(hd), i(cap), i(t0), i(t1))
}

// AttentionScratch returns the floats of scratch that Attention needs.
func AttentionScratch(hd, cap int) int { return cap + AttentionCap(hd) }

// Attention computes one head's outputs o = softmax(q k^T / sqrt(hd)) v for the queries of positions t0 to t1,
// each over the positions up to its own. The rows of o and q begin at position t0.
func Attention(o []float32, ldo int, q []float32, ldq int, kt, v []float32, hd, cap, t0, t1 int, scratch []float32) {
	nk, nv := AttentionSize(hd, cap)
	C.k_attention(f32("o", o, span(t1-t0, ldo, hd)), i(ldo), f32("q", q, span(t1-t0, ldq, hd)), i(ldq), f32("kt", kt, nk), f32("v", v, nv),
		i(hd), i(cap), i(t0), i(t1), f32("scratch", scratch, AttentionScratch(hd, cap)))
}

// AttentionBackwardScratch returns the floats of scratch that AttentionBackward needs for t positions.
func AttentionBackwardScratch(hd, t int) int {
	cap, hdp := AttentionCap(t), AttentionCap(hd)
	return 2*hd*cap + (5*cap+1)*hdp + 2*cap
}

// AttentionBackward computes the gradients of one head's queries, keys and values in one sequence of t positions
// from do, the gradient of its outputs. qkv and dqkv begin at the head's query in the sequence's first row; key and
// value stand c and 2c floats further. dqkv is overwritten.
func AttentionBackward(dqkv, qkv []float32, ld int, do []float32, lddo, c, hd, t int, scratch []float32) {
	C.k_attention_backward(f32("dqkv", dqkv, span(t, ld, 2*c+hd)), i(ld), f32("qkv", qkv, span(t, ld, 2*c+hd)), i(ld),
		f32("do", do, span(t, lddo, hd)), i(lddo), i(c), i(hd), i(t), f32("scratch", scratch, AttentionBackwardScratch(hd, t)))
}

// Embed computes x (rows, c) = wte[token] + wpe[position].
func Embed(x []float32, tokens, positions []int32, wte, wpe []float32, c int) {
	rows := len(tokens)
	C.k_embed(f32("x", x, rows*c), i32("tokens", tokens, rows), i32("positions", positions, rows),
		f32("wte", wte, 0), f32("wpe", wpe, 0), i(rows), i(c))
}

// EmbedBackward adds dx (rows, c) to the rows of dwte and dwpe it came from, for the columns c0 to c1.
func EmbedBackward(dwte, dwpe, dx []float32, tokens, positions []int32, c, c0, c1 int) {
	rows := len(tokens)
	C.k_embed_backward(f32("dwte", dwte, 0), f32("dwpe", dwpe, 0), f32("dx", dx, rows*c),
		i32("tokens", tokens, rows), i32("positions", positions, rows), i(rows), i(c), i(c0), i(c1))
}

// Head computes, from logits (rows, v) times scale = 1/temperature, the targets' log-probs, the rows' entropies
// and the log of the sums of exponentials.
func Head(logprobs, entropy []float32, lse []float64, logits []float32, targets []int32, scale float32, v int) {
	rows := len(targets)
	C.k_head(f32("logprobs", logprobs, rows), f32("entropy", entropy, rows), f64("lse", lse, rows), f32("logits", logits, rows*v), i(v),
		i32("targets", targets, rows), C.float(scale), i(rows), i(v))
}

// HeadBackward replaces logits by their gradient, given those of Head's log-probs and entropies.
func HeadBackward(logits []float32, targets []int32, dlogprobs, dentropy []float32, lse []float64, entropy []float32, scale float32, v int) {
	rows := len(targets)
	C.k_head_backward(f32("logits", logits, rows*v), i(v), i32("targets", targets, rows), f32("dlogprobs", dlogprobs, rows),
		f32("dentropy", dentropy, rows), f64("lse", lse, rows), f32("entropy", entropy, rows), C.float(scale), i(rows), i(v))
}

// Sample draws a token from logits (v) times scale at the uniform number u in [0, 1), and returns it with its
// log-prob, the same bits as Head's.
func Sample(logits []float32, scale float32, u float64) (token int32, logprob float32) {
	return sample(logits, scale, u, 0)
}

// Greedy returns the first token with the largest logit, and its log-prob at scale.
func Greedy(logits []float32, scale float32) (token int32, logprob float32) {
	return sample(logits, scale, 0, 1)
}

func sample(logits []float32, scale float32, u float64, greedy C.int) (int32, float32) {
	var lp [1]float32
	token := C.k_sample(f32("logprob", lp[:], 1), f32("logits", logits, 1), C.float(scale), C.double(u), greedy, i(len(logits)))
	return int32(token), lp[0]
}

// Dot computes y (rows) = x (rows, c) times w (c).
func Dot(y, x, w []float32, rows, c int) {
	C.k_dot(f32("y", y, rows), f32("x", x, rows*c), f32("w", w, c), i(rows), i(c))
}

// DotBackward adds dy (rows) times w (c) to dx (rows, c).
func DotBackward(dx, dy, w []float32, rows, c int) {
	C.k_dot_backward(f32("dx", dx, rows*c), f32("dy", dy, rows), f32("w", w, c), i(rows), i(c))
}

// AdamWStep holds the scalars of one optimizer step over a range.
type AdamWStep struct {
	GradScale    float32 // multiplies the gradient first: clipping
	Beta1, Beta2 float32
	StepSize     float32 // lr / (1 - beta1^t)
	RsqrtBias2   float32 // 1 / sqrt(1 - beta2^t)
	Eps          float32
	Keep         float32 // 1 - lr*weight_decay
}

// AdamW updates theta and the moments m and v from the gradient g, element by element, as torch.optim.AdamW.
func AdamW(theta, m, v, g []float32, s AdamWStep) {
	n := len(theta)
	C.k_adamw(f32("theta", theta, n), f32("m", m, n), f32("v", v, n), f32("g", g, n), i(n), C.float(s.GradScale),
		C.float(s.Beta1), C.float(s.Beta2), C.float(s.StepSize), C.float(s.RsqrtBias2), C.float(s.Eps), C.float(s.Keep))
}

// SumSquares returns the sum of the squares of x in float64, always added in the same order.
func SumSquares(x []float32) float64 {
	return float64(C.k_sum_squares(f32("x", x, 0), i(len(x))))
}
