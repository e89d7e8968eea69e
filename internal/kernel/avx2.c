#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>
#define LANES 8
#define TILE 6
#define ISA_NAME "avx2"
#define ISA_TABLE rlhf_kernels_avx2
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define VMAX(a, b) _mm256_max_ps(a, b)
#define VSQRT(a) _mm256_sqrt_ps(a)
#include "body.h"
#endif
