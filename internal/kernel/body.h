// The kernels, written once over vectors of LANES floats. Each including file
// sets the instruction set and defines LANES, TILE (rows of a matmul tile),
// ISA_NAME, ISA_TABLE, and the macros FMA, VMAX and VSQRT. FMA is the only fused
// operation: in ISO mode (-std=c11) the compiler contracts nothing by itself.

#include <math.h>
#include <string.h>
#include "kernel.h"

#define PANEL (2 * LANES)
#define BLOCK 512  // elements of a vocabulary block that are summed in float32
#define OUTER_ROWS 128
#define INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef float vfu __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vf load(const float *p) { return *(const vfu *)p; }
INLINE void store(float *p, vf v) { *(vfu *)p = v; }
INLINE vf set1(float x) { return x - (vf){}; }
INLINE vf choose(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }

INLINE vf load_part(const float *p, int64_t n, float fill) {
	float t[LANES];
	for (int i = 0; i < LANES; i++) t[i] = i < n ? p[i] : fill;
	return load(t);
}

INLINE void store_part(float *p, vf v, int64_t n) {
	float t[LANES];
	store(t, v);
	for (int i = 0; i < LANES && i < n; i++) p[i] = t[i];
}

// sum adds the lanes pairwise, always in the same tree.
INLINE float sum(vf v) {
	float t[LANES];
	store(t, v);
	for (int w = LANES / 2; w > 0; w /= 2)
		for (int i = 0; i < w; i++) t[i] += t[i + w];
	return t[0];
}

INLINE float largest(vf v) {
	float t[LANES];
	store(t, v);
	float m = t[0];
	for (int i = 1; i < LANES; i++) m = t[i] > m ? t[i] : m;
	return m;
}

// expv is e^x to about 2 units in the last place between -87 and 88; smaller
// and larger arguments read as those. 2^n times a polynomial in the rest
// (coefficients of Cephes' expf).
INLINE vf expv(vf x) {
	x = choose(x < set1(-87.0f), set1(-87.0f), x);
	x = choose(x > set1(88.0f), set1(88.0f), x);
	vf t = FMA(x, set1(1.44269504088896341f), set1(12582912.0f));
	vf n = t - set1(12582912.0f);
	vf r = FMA(n, set1(-0.693359375f), x);
	r = FMA(n, set1(2.12194440e-4f), r);
	vf p = set1(1.9875691500e-4f);
	p = FMA(p, r, set1(1.3981999507e-3f));
	p = FMA(p, r, set1(8.3334519073e-3f));
	p = FMA(p, r, set1(4.1665795894e-2f));
	p = FMA(p, r, set1(1.6666665459e-1f));
	p = FMA(p, r, set1(5.0000001201e-1f));
	p = FMA(p, r * r, r + set1(1.0f));
	return (vf)((vi)p + ((vi)t << 23));
}

// ---- matrix products ----

// pack lays w (k, o) out as panels (o/PANEL, k, PANEL), the last one filled with zeros.
static void pack(float *dst, const float *w, int64_t k, int64_t o) {
	for (int64_t j = 0; j < o; j += PANEL)
		for (int64_t i = 0; i < k; i++, dst += PANEL)
			for (int64_t e = 0; e < PANEL; e++) dst[e] = j + e < o ? w[i * o + j + e] : 0.0f;
}

// pack_transposed does the same for the transpose of wt (o, k).
static void pack_transposed(float *dst, const float *wt, int64_t k, int64_t o) {
	for (int64_t j = 0; j < o; j += PANEL)
		for (int64_t i = 0; i < k; i++, dst += PANEL)
			for (int64_t e = 0; e < PANEL; e++) dst[e] = j + e < o ? wt[(j + e) * k + i] : 0.0f;
}

// tile computes mr rows by one panel: y = start + x*p, k in order, one accumulator an element.
INLINE void tile(const int mr, float *y, int64_t ldy, const float *x, int64_t ldx, const float *p, const float *bias,
	int64_t k, int accumulate) {
	vf acc[TILE][2];
	for (int r = 0; r < mr; r++) {
		const float *from = accumulate ? y + r * ldy : bias;
		acc[r][0] = load(from);
		acc[r][1] = load(from + LANES);
	}
	for (int64_t i = 0; i < k; i++, p += PANEL) {
		vf w0 = load(p), w1 = load(p + LANES);
#pragma GCC unroll 16
		for (int r = 0; r < mr; r++) {
			vf b = set1(x[r * ldx + i]);
			acc[r][0] = FMA(b, w0, acc[r][0]);
			acc[r][1] = FMA(b, w1, acc[r][1]);
		}
	}
	for (int r = 0; r < mr; r++) {
		store(y + r * ldy, acc[r][0]);
		store(y + r * ldy + LANES, acc[r][1]);
	}
}

static void tile_rows(int64_t mr, float *y, int64_t ldy, const float *x, int64_t ldx, const float *p, const float *bias,
	int64_t k, int accumulate) {
	switch (mr) {
#define CASE(n) case n: tile(n, y, ldy, x, ldx, p, bias, k, accumulate); break;
	CASE(1) CASE(2) CASE(3) CASE(4)
#if TILE > 4
	CASE(5) CASE(6)
#endif
#if TILE > 6
	CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#endif
#undef CASE
	}
}

// matmul: y (rows, o) = bias + x (rows, k) * w, or y += x*w, for the panels panel0 to panel1 of w's outputs.
static void matmul(float *y, int64_t ldy, const float *x, int64_t ldx, const float *packed, const float *bias,
	int64_t rows, int64_t k, int64_t o, int64_t panel0, int64_t panel1, int accumulate) {
	for (int64_t j = panel0; j < panel1; j++) {
		const float *p = packed + j * k * PANEL;
		const int64_t o0 = j * PANEL, cols = o - o0 < PANEL ? o - o0 : PANEL;
		float start[PANEL] = {0};
		if (bias) memcpy(start, bias + o0, cols * sizeof(float));
		for (int64_t n = 0; n < rows; n += TILE) {
			const int64_t mr = rows - n < TILE ? rows - n : TILE;
			float *to = y + n * ldy + o0;
			if (cols == PANEL) {
				tile_rows(mr, to, ldy, x + n * ldx, ldx, p, start, k, accumulate);
				continue;
			}
			float part[TILE * PANEL] = {0};
			if (accumulate)
				for (int64_t r = 0; r < mr; r++) memcpy(part + r * PANEL, to + r * ldy, cols * sizeof(float));
			tile_rows(mr, part, PANEL, x + n * ldx, ldx, p, start, k, accumulate);
			for (int64_t r = 0; r < mr; r++) memcpy(to + r * ldy, part + r * PANEL, cols * sizeof(float));
		}
	}
}

// outer: dw (k, o) += a (rows, k)^T * d (rows, o), rows in order, for the rows k0 to k1 of dw. Rows are taken in
// blocks whose partial sums rest in dw itself, so the blocks leave no trace in the result.
// scratch holds OUTER_ROWS*(PANEL + k1-k0+TILE) floats.
static void outer(float *dw, int64_t lddw, const float *a, int64_t lda, const float *d, int64_t ldd,
	int64_t rows, int64_t k0, int64_t k1, int64_t o, float *scratch) {
	float *dp = scratch, *ap = scratch + OUTER_ROWS * PANEL;
	for (int64_t n0 = 0; n0 < rows; n0 += OUTER_ROWS) {
		const int64_t nb = rows - n0 < OUTER_ROWS ? rows - n0 : OUTER_ROWS;
		// ap (k tiles, nb, TILE): in a tile, x[r*ldx + i] of the matmul is ap[i*TILE + r]
		for (int64_t k = k0; k < k1; k += TILE)
			for (int64_t n = 0; n < nb; n++)
				for (int64_t r = 0; r < TILE; r++)
					ap[((k - k0) * nb) + n * TILE + r] = k + r < k1 ? a[(n0 + n) * lda + k + r] : 0.0f;
		for (int64_t o0 = 0; o0 < o; o0 += PANEL) {
			const int64_t cols = o - o0 < PANEL ? o - o0 : PANEL;
			for (int64_t n = 0; n < nb; n++) {
				const float *from = d + (n0 + n) * ldd + o0;
				if (cols == PANEL) {
					store(dp + n * PANEL, load(from));
					store(dp + n * PANEL + LANES, load(from + LANES));
				} else {
					for (int64_t e = 0; e < PANEL; e++) dp[n * PANEL + e] = e < cols ? from[e] : 0.0f;
				}
			}
			for (int64_t k = k0; k < k1; k += TILE) {
				const int64_t mr = k1 - k < TILE ? k1 - k : TILE;
				const float *at = ap + (k - k0) * nb;
				float *to = dw + k * lddw + o0;
				vf acc[TILE][2];
				for (int r = 0; r < TILE; r++) {
					if (r >= mr) {
						acc[r][0] = acc[r][1] = set1(0.0f);
					} else if (cols == PANEL) {
						acc[r][0] = load(to + r * lddw);
						acc[r][1] = load(to + r * lddw + LANES);
					} else {
						acc[r][0] = load_part(to + r * lddw, cols, 0.0f);
						acc[r][1] = load_part(to + r * lddw + LANES, cols - LANES, 0.0f);
					}
				}
				for (int64_t n = 0; n < nb; n++) {
					vf w0 = load(dp + n * PANEL), w1 = load(dp + n * PANEL + LANES);
#pragma GCC unroll 16
					for (int r = 0; r < TILE; r++) {
						vf b = set1(at[n * TILE + r]);
						acc[r][0] = FMA(b, w0, acc[r][0]);
						acc[r][1] = FMA(b, w1, acc[r][1]);
					}
				}
				for (int r = 0; r < TILE; r++) {
					if (r >= mr) break;
					if (cols == PANEL) {
						store(to + r * lddw, acc[r][0]);
						store(to + r * lddw + LANES, acc[r][1]);
					} else {
						store_part(to + r * lddw, acc[r][0], cols);
						store_part(to + r * lddw + LANES, acc[r][1], cols - LANES);
					}
				}
			}
		}
	}
}

// column_sum: db[o] += sum over rows of d (rows, o), for o0 <= o < o1.
static void column_sum(float *db, const float *d, int64_t ldd, int64_t rows, int64_t o0, int64_t o1) {
	for (int64_t n = 0; n < rows; n++)
		for (int64_t j = o0; j < o1; j++) db[j] += d[n * ldd + j];
}

// ---- rows ----

static void layernorm(float *y, float *mean, float *rstd, const float *x, const float *gain, const float *bias,
	int64_t rows, int64_t c, float eps) {
	const int64_t whole = c / LANES * LANES, rest = c - whole;
	for (int64_t n = 0; n < rows; n++, x += c, y += c) {
		vf s = set1(0.0f);
		for (int64_t i = 0; i < whole; i += LANES) s += load(x + i);
		if (rest) s += load_part(x + whole, rest, 0.0f);
		const float m = sum(s) / (float)c;
		vf q = set1(0.0f);
		for (int64_t i = 0; i < whole; i += LANES) {
			vf e = load(x + i) - set1(m);
			q = FMA(e, e, q);
		}
		if (rest) {
			vf e = load_part(x + whole, rest, m) - set1(m);
			q = FMA(e, e, q);
		}
		const float r = 1.0f / sqrtf(sum(q) / (float)c + eps);
		for (int64_t i = 0; i < c; i++) y[i] = (x[i] - m) * r * gain[i] + bias[i];
		mean[n] = m;
		rstd[n] = r;
	}
}

// layernorm_backward: forward was y = xhat*gain + bias with xhat = (x-mean)*rstd; dx is added to.
static void layernorm_backward(float *dx, const float *dy, const float *x, const float *mean, const float *rstd,
	const float *gain, int64_t rows, int64_t c) {
	for (int64_t n = 0; n < rows; n++, x += c, dy += c, dx += c) {
		const float m = mean[n], r = rstd[n];
		vf s1 = set1(0.0f), s2 = set1(0.0f);
		for (int64_t i = 0; i < c; i += LANES) {
			const int part = c - i < LANES;
			vf g = part ? load_part(dy + i, c - i, 0.0f) * load_part(gain + i, c - i, 0.0f) : load(dy + i) * load(gain + i);
			vf xh = ((part ? load_part(x + i, c - i, 0.0f) : load(x + i)) - set1(m)) * set1(r);
			s1 += g;
			s2 = FMA(g, xh, s2);
		}
		const float a = sum(s1) / (float)c, b = sum(s2) / (float)c;
		for (int64_t i = 0; i < c; i++) dx[i] += r * (dy[i] * gain[i] - a - (x[i] - m) * r * b);
	}
}

static void layernorm_backward_params(float *dgain, float *dbias, const float *dy, const float *x, const float *mean,
	const float *rstd, int64_t rows, int64_t c, int64_t c0, int64_t c1) {
	for (int64_t n = 0; n < rows; n++, x += c, dy += c)
		for (int64_t i = c0; i < c1; i++) {
			dgain[i] += dy[i] * ((x[i] - mean[n]) * rstd[n]);
			dbias[i] += dy[i];
		}
}

// GPT-2's gelu_new: x/2 (1 + tanh u) with u = sqrt(2/pi) (x + .044715 x^3), which is x / (1 + e^(-2u)).
INLINE vf gelu_sigmoid(vf x) {
	vf u2 = x * FMA(x * x, set1(2.0f * 0.7978845608f * 0.044715f), set1(2.0f * 0.7978845608f));
	return set1(1.0f) / (set1(1.0f) + expv(-u2));
}

INLINE vf gelu_slope(vf x) {
	vf s = gelu_sigmoid(x);
	vf du2 = FMA(x * x, set1(6.0f * 0.7978845608f * 0.044715f), set1(2.0f * 0.7978845608f));
	return FMA(x * s * (set1(1.0f) - s), du2, s);
}

static void gelu(float *y, const float *x, int64_t n) {
	int64_t i = 0;
	for (; i + LANES <= n; i += LANES) store(y + i, load(x + i) * gelu_sigmoid(load(x + i)));
	if (i < n) {
		vf v = load_part(x + i, n - i, 0.0f);
		store_part(y + i, v * gelu_sigmoid(v), n - i);
	}
}

// gelu_backward: dx = dy * gelu'(x); dx may be dy.
static void gelu_backward(float *dx, const float *x, const float *dy, int64_t n) {
	int64_t i = 0;
	for (; i + LANES <= n; i += LANES) store(dx + i, load(dy + i) * gelu_slope(load(x + i)));
	if (i < n) store_part(dx + i, load_part(dy + i, n - i, 0.0f) * gelu_slope(load_part(x + i, n - i, 0.0f)), n - i);
}

static void add(float *y, const float *x, int64_t n) {
	for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

static void embed(float *x, const int32_t *tokens, const int32_t *positions, const float *wte, const float *wpe, int64_t rows, int64_t c) {
	for (int64_t n = 0; n < rows; n++) {
		const float *e = wte + tokens[n] * c, *p = wpe + positions[n] * c;
		for (int64_t i = 0; i < c; i++) x[n * c + i] = e[i] + p[i];
	}
}

static void embed_backward(float *dwte, float *dwpe, const float *dx, const int32_t *tokens, const int32_t *positions,
	int64_t rows, int64_t c, int64_t c0, int64_t c1) {
	for (int64_t n = 0; n < rows; n++) {
		float *e = dwte + tokens[n] * c, *p = dwpe + positions[n] * c;
		for (int64_t i = c0; i < c1; i++) {
			e[i] += dx[n * c + i];
			p[i] += dx[n * c + i];
		}
	}
}

INLINE float dot_row(const float *x, const float *w, int64_t c) {
	vf s = set1(0.0f);
	int64_t i = 0;
	for (; i + LANES <= c; i += LANES) s = FMA(load(x + i), load(w + i), s);
	if (i < c) s = FMA(load_part(x + i, c - i, 0.0f), load_part(w + i, c - i, 0.0f), s);
	return sum(s);
}

// dot: y (rows) = x (rows, c) * w (c).
static void dot(float *y, const float *x, const float *w, int64_t rows, int64_t c) {
	for (int64_t n = 0; n < rows; n++) y[n] = dot_row(x + n * c, w, c);
}

// dot_backward: dx (rows, c) += dy (rows) * w (c).
static void dot_backward(float *dx, const float *dy, const float *w, int64_t rows, int64_t c) {
	for (int64_t n = 0; n < rows; n++)
		for (int64_t i = 0; i < c; i++) dx[n * c + i] += dy[n] * w[i];
}

#include "attention.h"
#include "head.h"

// ---- optimizer ----

// adamw: torch.optim.AdamW on one range. keep = 1 - lr*weight_decay, rsqrt_bc2 = 1/sqrt(1-beta2^t).
static void adamw(float *theta, float *m, float *v, const float *g, int64_t n, float gscale, float beta1, float beta2,
	float lr_over_bc1, float rsqrt_bc2, float eps, float keep) {
	const float c1 = 1.0f - beta1, c2 = 1.0f - beta2;
	for (int64_t i = 0; i < n; i += LANES) {
		const int64_t part = n - i;
		const int whole = part >= LANES;
		vf gi = (whole ? load(g + i) : load_part(g + i, part, 0.0f)) * set1(gscale);
		vf mi = set1(beta1) * (whole ? load(m + i) : load_part(m + i, part, 0.0f)) + set1(c1) * gi;
		vf si = set1(beta2) * (whole ? load(v + i) : load_part(v + i, part, 0.0f)) + set1(c2) * (gi * gi);
		vf ti = (whole ? load(theta + i) : load_part(theta + i, part, 0.0f)) * set1(keep) -
			set1(lr_over_bc1) * (mi / (VSQRT(si) * set1(rsqrt_bc2) + set1(eps)));
		if (whole) {
			store(m + i, mi);
			store(v + i, si);
			store(theta + i, ti);
		} else {
			store_part(m + i, mi, part);
			store_part(v + i, si, part);
			store_part(theta + i, ti, part);
		}
	}
}

static double sum_squares(const float *x, int64_t n) {
	double s[8] = {0};
	int64_t i = 0;
	for (; i + 8 <= n; i += 8)
		for (int j = 0; j < 8; j++) s[j] += (double)x[i + j] * (double)x[i + j];
	for (; i < n; i++) s[0] += (double)x[i] * (double)x[i];
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

const rlhf_kernels ISA_TABLE = {
	.name = ISA_NAME, .lanes = LANES, .panel = PANEL,
	.pack = pack, .pack_transposed = pack_transposed, .matmul = matmul, .outer = outer, .column_sum = column_sum,
	.layernorm = layernorm, .layernorm_backward = layernorm_backward, .layernorm_backward_params = layernorm_backward_params,
	.gelu = gelu, .gelu_backward = gelu_backward, .add = add,
	.attention_store = attention_store, .attention = attention, .attention_backward = attention_backward,
	.embed = embed, .embed_backward = embed_backward,
	.head = head, .head_backward = head_backward, .sample = sample, .dot = dot, .dot_backward = dot_backward,
	.adamw = adamw, .sum_squares = sum_squares,
};
