#include <string.h>
#include "kernel.h"

extern const rlhf_kernels rlhf_kernels_portable;
#if defined(__x86_64__)
extern const rlhf_kernels rlhf_kernels_avx2, rlhf_kernels_avx512;
#endif

const rlhf_kernels *rlhf_kernel;  // NULL until one is selected

static const rlhf_kernels *find(const char *name) {
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (!strcmp(name, "avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
		return &rlhf_kernels_avx512;
	if (!strcmp(name, "avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &rlhf_kernels_avx2;
#endif
	if (!strcmp(name, "portable")) return &rlhf_kernels_portable;
	return 0;
}

const rlhf_kernels *rlhf_kernel_select(const char *name) {
	const rlhf_kernels *k = find(name);
	if (k) rlhf_kernel = k;
	return k;
}
