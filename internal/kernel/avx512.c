#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")
#include <immintrin.h>
#include <stdint.h>
#define LANES 16
#define TILE 12
#define ISA_NAME "avx512"
#define ISA_TABLE rlhf_kernels_avx512
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define VMAX(a, b) _mm512_max_ps(a, b)
#define VMIN(a, b) _mm512_min_ps(a, b)
#define VSQRT(a) _mm512_sqrt_ps(a)
#define TRANSPOSE transpose

// transpose writes the transpose of a block of 16 by 16: pairs of rows, then of pairs, within each quarter, then the quarters.
static inline __attribute__((always_inline)) void transpose(float *dst, int64_t ldd, const float *src, int64_t lds) {
	__m512 r[16], t[16];
	for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(src + i * lds);
	for (int i = 0; i < 16; i += 2) {
		t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
	}
	for (int i = 0; i < 16; i += 4)
		for (int j = 0; j < 2; j++) {
			r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i + j]), _mm512_castps_pd(t[i + 2 + j])));
			r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i + j]), _mm512_castps_pd(t[i + 2 + j])));
		}
	// r[4g+c] holds, in quarter q, column 4q+c of the rows 4g to 4g+3
	for (int c = 0; c < 4; c++) {
		const __m512 a = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88), b = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
		const __m512 d = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88), e = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
		_mm512_storeu_ps(dst + c * ldd, _mm512_shuffle_f32x4(a, d, 0x88));
		_mm512_storeu_ps(dst + (4 + c) * ldd, _mm512_shuffle_f32x4(b, e, 0x88));
		_mm512_storeu_ps(dst + (8 + c) * ldd, _mm512_shuffle_f32x4(a, d, 0xdd));
		_mm512_storeu_ps(dst + (12 + c) * ldd, _mm512_shuffle_f32x4(b, e, 0xdd));
	}
}
#include "body.h"
#endif
