// Vectors of LANES floats and what all kernels share. Each including file sets
// the instruction set and defines LANES, TILE (rows of a matrix tile), ISA_NAME,
// ISA_TABLE, and the macros FMA, VMAX, VMIN and VSQRT; it may define TRANSPOSE.
// VMAX and VMIN return their second argument if one is NaN. FMA is the only fused
// operation: in ISO mode (-std=c11) the compiler contracts nothing by itself.

#include <math.h>
#include <string.h>
#include "kernel.h"

#define PANEL (2 * LANES)
#define INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef float vfu __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vf load(const float *p) { return *(const vfu *)p; }
INLINE void store(float *p, vf v) { *(vfu *)p = v; }
INLINE vf set1(float x) { return x - (vf){}; }
INLINE vf choose(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// round_up returns the least multiple of unit that is not below n.
INLINE int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

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

// first keeps the first n lanes and sets the others to 0.
INLINE vf first(vf v, int64_t n) {
	vi lane;
	for (int i = 0; i < LANES; i++) lane[i] = i;
	return (vf)((vi)v & (lane < (vi){} + (int32_t)n));
}

// moved_down returns v with its lanes moved down by w, a power of two.
INLINE vf moved_down(vf v, int w) {
	vi lane;
	for (int i = 0; i < LANES; i++) lane[i] = (i + w) % LANES;
	return __builtin_shuffle(v, lane);
}

// sum adds the lanes pairwise, always in the same tree: each to the one half a vector further, then a quarter, and so on.
INLINE float sum(vf v) {
#pragma GCC unroll 4
	for (int w = LANES / 2; w > 0; w /= 2) v += moved_down(v, w);
	return v[0];
}

INLINE float largest(vf v) {
#pragma GCC unroll 4
	for (int w = LANES / 2; w > 0; w /= 2) v = VMAX(v, moved_down(v, w));
	return v[0];
}

// expv is e^x within 1.3 units in the last place between -87 and 88 (measured on
// 60 million arguments with FMA); smaller and larger arguments read as those. 2^n
// times a polynomial in the rest (coefficients of Cephes' expf).
INLINE vf expv(vf x) {
	x = VMIN(set1(88.0f), VMAX(set1(-87.0f), x));  // in this order NaN stays NaN
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
