#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")
#include <immintrin.h>
#define LANES 16
#define TILE 12
#define ISA_NAME "avx512"
#define ISA_TABLE rlhf_kernels_avx512
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define VMAX(a, b) _mm512_max_ps(a, b)
#define VSQRT(a) _mm512_sqrt_ps(a)
#include "body.h"
#endif
