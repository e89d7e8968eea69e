// Signatures of the kernels, the same for every instruction set. Arguments go
// outputs, inputs, sizes; ld... is the distance of two rows in floats. Each
// kernel runs on the calling thread and writes every output element by one
// chain of additions whose order depends on neither the number of rows nor the
// range it is asked for.
#ifndef RLHF_KERNEL_H
#define RLHF_KERNEL_H

#include <stdint.h>

typedef struct {
	const char *name;
	int lanes;  // floats of a vector
	int panel;  // outputs of a packed panel

	void (*pack)(float *dst, const float *w, int64_t k, int64_t o);
	void (*pack_transposed)(float *dst, const float *wt, int64_t k, int64_t o);
	void (*matmul)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *packed, const float *bias,
		int64_t rows, int64_t k, int64_t o, int64_t panel0, int64_t panel1, int accumulate);
	void (*outer)(float *dw, int64_t lddw, const float *a, int64_t lda, const float *d, int64_t ldd,
		int64_t rows, int64_t k0, int64_t k1, int64_t o, float *scratch);
	void (*column_sum)(float *db, const float *d, int64_t ldd, int64_t rows, int64_t o0, int64_t o1);

	void (*layernorm)(float *y, float *mean, float *rstd, const float *x, const float *gain, const float *bias,
		int64_t rows, int64_t c, float eps);
	void (*layernorm_backward)(float *dx, const float *dy, const float *x, const float *mean, const float *rstd,
		const float *gain, int64_t rows, int64_t c);
	void (*layernorm_backward_params)(float *dgain, float *dbias, const float *dy, const float *x, const float *mean,
		const float *rstd, int64_t rows, int64_t c, int64_t c0, int64_t c1);
	void (*gelu)(float *y, const float *x, int64_t n);
	void (*gelu_backward)(float *dx, const float *x, const float *dy, int64_t n);
	void (*add)(float *y, const float *x, int64_t n);

	void (*attention_store)(float *kt, float *v, const float *krow, const float *vrow, int64_t ld, int64_t hd, int64_t cap,
		int64_t t0, int64_t t1);
	void (*attention)(float *o, int64_t ldo, const float *q, int64_t ldq, const float *kt, const float *v,
		int64_t hd, int64_t cap, int64_t t0, int64_t t1, float *scratch);
	void (*attention_backward)(float *dqkv, int64_t lddqkv, const float *qkv, int64_t ldqkv, const float *doo, int64_t lddo,
		int64_t c, int64_t hd, int64_t t, float *scratch);

	void (*embed)(float *x, const int32_t *tokens, const int32_t *positions, const float *wte, const float *wpe, int64_t rows, int64_t c);
	void (*embed_backward)(float *dwte, float *dwpe, const float *dx, const int32_t *tokens, const int32_t *positions,
		int64_t rows, int64_t c, int64_t c0, int64_t c1);

	void (*head)(float *logprobs, float *entropy, double *lse, const float *logits, int64_t ldl, const int32_t *targets, float scale,
		int64_t rows, int64_t v);
	void (*head_backward)(float *logits, int64_t ldl, const int32_t *targets, const float *dlogprobs, const float *dentropy,
		const double *lse, const float *entropy, float scale, int64_t rows, int64_t v);
	int32_t (*sample)(float *logprob, const float *logits, float scale, double u, int greedy, int64_t v);
	void (*dot)(float *y, const float *x, const float *w, int64_t rows, int64_t c);
	void (*dot_backward)(float *dx, const float *dy, const float *w, int64_t rows, int64_t c);

	void (*adamw)(float *theta, float *m, float *v, const float *g, int64_t n, float gscale, float beta1, float beta2,
		float lr_over_bc1, float rsqrt_bc2, float eps, float keep);
	double (*sum_squares)(const float *x, int64_t n);
} rlhf_kernels;

// rlhf_kernel_select makes the kernels called name the ones in use and returns
// them, or NULL if this machine or build has no such instruction set.
const rlhf_kernels *rlhf_kernel_select(const char *name);

extern const rlhf_kernels *rlhf_kernel;

#endif
