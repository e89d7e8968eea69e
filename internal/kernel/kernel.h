// Signatures of the kernels, the same for every instruction set. Arguments go
// outputs, inputs, sizes; ld... is the distance of two rows in floats. Each
// kernel runs on the calling thread and writes every output element by one
// chain of additions whose order depends on neither the number of rows nor the
// range it is asked for.
#ifndef RLHF_KERNEL_H
#define RLHF_KERNEL_H

#include <stdint.h>

#define RLHF_BLOCK 512  // tokens of a block of the vocabulary

// Layouts of a matrix (k, o) that is multiplied with.
enum {
	RLHF_PACKED,   // panels (o/panel, k, panel), the last one filled with zeros
	RLHF_ROWS,     // (k, o), rows ldw apart
	RLHF_COLUMNS,  // its transpose (o, k), rows ldw apart
};

// Activations of a product's outputs.
enum {
	RLHF_GELU_NEW,  // GPT-2's tanh form
	RLHF_GELU,      // exact, by the error function
	RLHF_RELU,
	RLHF_SILU,
	RLHF_TANH,
	RLHF_QUICK_GELU,
};

// Dropout of rows of numbers; see dropout.h.
typedef struct {
	const uint64_t *keys;  // of the rows, or NULL for no dropout
	uint64_t salt;         // of the place in the model
	uint32_t keep;         // of 2^32 draws so many keep a number
	float scale;           // of what is kept
} rlhf_dropout;

typedef struct {
	const char *name;
	int panel;       // outputs of a packed panel, twice the floats of a vector
	int tile;        // rows of a matrix tile
	int kblock;      // terms that matmul packs at once
	int outer_rows;  // rows that outer packs at once
	int queries;     // queries that attention_backward takes at once

	void (*pack)(float *dst, const float *w, int layout, int64_t k, int64_t o, int64_t panel0, int64_t panel1);
	void (*matmul)(float *y, int64_t ldy, float *activated, int activation, const float *x, int64_t ldx, const float *w, int layout, int64_t ldw, const float *bias,
		const float *residual, int64_t ldr, int64_t rows, int64_t k, int64_t o, int64_t panel0, int64_t panel1, float *scratch);
	void (*outer)(float *dw, int64_t lddw, const float *a, int64_t lda, const float *d, int64_t ldd,
		int64_t rows, int64_t k0, int64_t k1, int64_t o, float *scratch);
	void (*column_sum)(float *db, const float *d, int64_t ldd, int64_t rows, int64_t o0, int64_t o1);

	void (*layernorm)(float *y, float *mean, float *rstd, const float *x, const float *gain, const float *bias,
		int64_t rows, int64_t c, float eps);
	void (*layernorm_backward)(float *dx, const float *plus, const float *dy, const float *x, const float *mean, const float *rstd,
		const float *gain, int64_t rows, int64_t c);
	void (*layernorm_backward_params)(float *dgain, float *dbias, const float *dy, const float *x, const float *mean,
		const float *rstd, int64_t rows, int64_t c, int64_t c0, int64_t c1);
	void (*activation_backward)(int activation, float *dx, float *y, const float *x, const float *dy, int64_t n);
	void (*dropout)(float *y, const float *plus, const float *x, const rlhf_dropout *d, int64_t rows, int64_t c);

	void (*attention_store)(float *kt, float *v, const float *krow, const float *vrow, int64_t ld, int64_t hd, int64_t t0, int64_t t1);
	void (*attention)(float *o, int64_t ldo, const float *q, int64_t ldq, const float *kt, const float *v, const rlhf_dropout *drop,
		int64_t hd, int64_t t0, int64_t t1, float *scratch);
	void (*attention_cached)(float *o, const float *qkv, float *cache, const int64_t *caches, const int64_t *rows, const int64_t *feeds, const int64_t *ats,
		int64_t slots, int64_t c, int64_t nh, int64_t h0, int64_t h1, int64_t cap, float *scratch);
	void (*attention_backward)(float *dqkv, int64_t lddqkv, const float *qkv, int64_t ldqkv, const float *doo, int64_t lddo,
		const rlhf_dropout *drop, int64_t c, int64_t hd, int64_t t, int64_t t0, int64_t t1, float *scratch);

	void (*embed)(float *x, const int32_t *tokens, const int32_t *positions, const float *wte, const float *wpe, int64_t rows, int64_t c);
	void (*embed_backward)(float *dwte, float *dwpe, const float *dx, const int32_t *tokens, const int32_t *positions,
		int64_t rows, int64_t c, int64_t c0, int64_t c1);

	void (*head_blocks)(double *parts, float *target_logits, const float *logits, int64_t ldl, const int32_t *targets, float scale,
		int64_t rows, int64_t v0, int64_t cols, int64_t blocks);
	void (*head)(float *logprobs, float *entropy, double *lse, const double *parts, const float *target_logits, float scale,
		int64_t rows, int64_t blocks);
	void (*head_backward)(float *logits, int64_t ldl, const int32_t *targets, const float *dlogprobs, const float *dentropy,
		const double *lse, const float *entropy, float scale, int64_t rows, int64_t v0, int64_t cols);
	int32_t (*sample)(float *logprob, double *parts, const float *logits, float scale, double u, int greedy, int64_t v);
	int64_t (*candidates)(int32_t *ids, float *z, float *weights, const float *logits, float scale, float low, float top, int64_t v);
	double (*cut)(float *weights, const float *z, const int32_t *ids, float low, int32_t id, int64_t n);
	void (*histogram)(double *mass, double *count, const float *weights, const float *z, float top, float per, int64_t bins, int64_t n);
	int64_t (*of_bin)(int32_t *at, const float *z, float top, float per, int64_t bins, int64_t bin, int64_t n);
	int64_t (*find_weight)(const float *weights, double target, int64_t n);
	void (*dot)(float *y, const float *x, const float *w, int64_t rows, int64_t c);
	void (*dot_backward)(float *dx, const float *dy, const float *w, int64_t rows, int64_t c);

	void (*adamw)(float *theta, float *m, float *v, float *g, int64_t n, float gscale, float beta1, float beta2,
		float lr_over_bc1, float rsqrt_bc2, float eps, float keep);
	double (*sum_squares)(const float *x, int64_t n);
	double (*peak)(float *out, int64_t n);
} rlhf_kernels;

// rlhf_kernel_select makes the kernels called name the ones in use and returns
// them, or NULL if this machine or build has no such instruction set.
const rlhf_kernels *rlhf_kernel_select(const char *name);

extern const rlhf_kernels *rlhf_kernel;

#endif
