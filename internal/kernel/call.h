// What Go calls: each function runs the kernel of the instruction set in use.
#ifndef RLHF_CALL_H
#define RLHF_CALL_H

#include <stdlib.h>
#include "kernel.h"

#define CALL static inline __attribute__((always_inline))
CALL void k_pack(float *d, const float *w, int layout, int64_t k, int64_t o, int64_t p0, int64_t p1) { rlhf_kernel->pack(d, w, layout, k, o, p0, p1); }
CALL void k_matmul(float *y, int64_t ldy, float *act, int activation, const float *x, int64_t ldx, const float *w, int layout, int64_t ldw, const float *b, const float *res, int64_t ldr,
	int64_t rows, int64_t k, int64_t o, int64_t p0, int64_t p1, float *s) {
	rlhf_kernel->matmul(y, ldy, act, activation, x, ldx, w, layout, ldw, b, res, ldr, rows, k, o, p0, p1, s);
}
CALL void k_outer(float *dw, int64_t lddw, const float *a, int64_t lda, const float *d, int64_t ldd, int64_t rows, int64_t k0, int64_t k1, int64_t o, float *s) {
	rlhf_kernel->outer(dw, lddw, a, lda, d, ldd, rows, k0, k1, o, s);
}
CALL void k_column_sum(float *db, const float *d, int64_t ldd, int64_t rows, int64_t o0, int64_t o1) { rlhf_kernel->column_sum(db, d, ldd, rows, o0, o1); }
CALL void k_layernorm(float *y, float *m, float *r, const float *x, const float *g, const float *b, int64_t rows, int64_t c, float eps) {
	rlhf_kernel->layernorm(y, m, r, x, g, b, rows, c, eps);
}
CALL void k_layernorm_backward(float *dx, const float *plus, const float *dy, const float *x, const float *m, const float *r, const float *g, int64_t rows, int64_t c) {
	rlhf_kernel->layernorm_backward(dx, plus, dy, x, m, r, g, rows, c);
}
CALL void k_layernorm_backward_params(float *dg, float *db, const float *dy, const float *x, const float *m, const float *r, int64_t rows, int64_t c, int64_t c0, int64_t c1) {
	rlhf_kernel->layernorm_backward_params(dg, db, dy, x, m, r, rows, c, c0, c1);
}
CALL void k_activation_backward(int kind, float *dx, float *y, const float *x, const float *dy, int64_t n) { rlhf_kernel->activation_backward(kind, dx, y, x, dy, n); }
CALL void k_attention_store(float *kt, float *v, const float *kr, const float *vr, int64_t ld, int64_t hd, int64_t t0, int64_t t1) {
	rlhf_kernel->attention_store(kt, v, kr, vr, ld, hd, t0, t1);
}
CALL void k_dropout(float *y, const float *plus, const float *x, const uint64_t *keys, uint64_t salt, uint32_t keep, float scale, int64_t rows, int64_t c) {
	const rlhf_dropout d = {keys, salt, keep, scale};
	rlhf_kernel->dropout(y, plus, x, &d, rows, c);
}
CALL void k_attention(float *o, int64_t ldo, const float *q, int64_t ldq, const float *kt, const float *v, const uint64_t *keys, uint64_t salt, uint32_t keep, float scale,
	int64_t hd, int64_t t0, int64_t t1, float *s) {
	const rlhf_dropout d = {keys, salt, keep, scale};
	rlhf_kernel->attention(o, ldo, q, ldq, kt, v, &d, hd, t0, t1, s);
}
CALL void k_attention_cached(float *o, const float *qkv, float *cache, const int64_t *caches, const int64_t *rows, const int64_t *feeds, const int64_t *ats,
	int64_t slots, int64_t c, int64_t nh, int64_t h0, int64_t h1, int64_t cap, float *s) {
	rlhf_kernel->attention_cached(o, qkv, cache, caches, rows, feeds, ats, slots, c, nh, h0, h1, cap, s);
}
CALL void k_attention_backward(float *dqkv, int64_t ldd, const float *qkv, int64_t ldq, const float *dout, int64_t ldo,
	const uint64_t *keys, uint64_t salt, uint32_t keep, float scale, int64_t c, int64_t hd, int64_t t, int64_t t0, int64_t t1, float *s) {
	const rlhf_dropout d = {keys, salt, keep, scale};
	rlhf_kernel->attention_backward(dqkv, ldd, qkv, ldq, dout, ldo, &d, c, hd, t, t0, t1, s);
}
CALL void k_embed(float *x, const int32_t *tok, const int32_t *pos, const float *wte, const float *wpe, int64_t rows, int64_t c) {
	rlhf_kernel->embed(x, tok, pos, wte, wpe, rows, c);
}
CALL void k_embed_backward(float *dwte, float *dwpe, const float *dx, const int32_t *tok, const int32_t *pos, int64_t rows, int64_t c, int64_t c0, int64_t c1) {
	rlhf_kernel->embed_backward(dwte, dwpe, dx, tok, pos, rows, c, c0, c1);
}
CALL void k_head_blocks(double *parts, float *tl, const float *l, int64_t ldl, const int32_t *tgt, float scale, int64_t rows, int64_t v0, int64_t cols, int64_t blocks) {
	rlhf_kernel->head_blocks(parts, tl, l, ldl, tgt, scale, rows, v0, cols, blocks);
}
CALL void k_head(float *lp, float *ent, double *lse, const double *parts, const float *tl, float scale, int64_t rows, int64_t blocks) {
	rlhf_kernel->head(lp, ent, lse, parts, tl, scale, rows, blocks);
}
CALL void k_head_backward(float *l, int64_t ldl, const int32_t *tgt, const float *dlp, const float *dent, const double *lse, const float *ent, float scale, int64_t rows, int64_t v0, int64_t cols) {
	rlhf_kernel->head_backward(l, ldl, tgt, dlp, dent, lse, ent, scale, rows, v0, cols);
}
CALL int32_t k_sample(float *lp, double *parts, const float *l, float scale, double u, int greedy, int64_t v) { return rlhf_kernel->sample(lp, parts, l, scale, u, greedy, v); }
CALL int64_t k_candidates(int32_t *ids, float *z, float *w, const float *l, float scale, float low, float top, int64_t v) {
	return rlhf_kernel->candidates(ids, z, w, l, scale, low, top, v);
}
CALL double k_cut(float *w, const float *z, const int32_t *ids, float low, int32_t id, int64_t n) { return rlhf_kernel->cut(w, z, ids, low, id, n); }
CALL void k_histogram(double *mass, double *count, const float *w, const float *z, float top, float per, int64_t bins, int64_t n) {
	rlhf_kernel->histogram(mass, count, w, z, top, per, bins, n);
}
CALL int64_t k_of_bin(int32_t *at, const float *z, float top, float per, int64_t bins, int64_t bin, int64_t n) { return rlhf_kernel->of_bin(at, z, top, per, bins, bin, n); }
CALL int64_t k_find_weight(const float *w, double target, int64_t n) { return rlhf_kernel->find_weight(w, target, n); }
CALL void k_dot(float *y, const float *x, const float *w, int64_t rows, int64_t c) { rlhf_kernel->dot(y, x, w, rows, c); }
CALL void k_dot_backward(float *dx, const float *dy, const float *w, int64_t rows, int64_t c) { rlhf_kernel->dot_backward(dx, dy, w, rows, c); }
CALL void k_adamw(float *th, float *m, float *v, float *g, int64_t n, float gs, float b1, float b2, float lr, float r2, float eps, float keep) {
	rlhf_kernel->adamw(th, m, v, g, n, gs, b1, b2, lr, r2, eps, keep);
}
CALL double k_sum_squares(const float *x, int64_t n) { return rlhf_kernel->sum_squares(x, n); }
CALL double k_peak(float *out, int64_t n) { return rlhf_kernel->peak(out, n); }

#endif
