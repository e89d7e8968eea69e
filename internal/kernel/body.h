// The kernels, written once over vectors; included by one file an instruction set.

#include "vec.h"
#include "activation.h"
#include "matmul.h"
#include "rows.h"
#include "dropout.h"
#include "attention.h"
#include "head.h"
#include "filter.h"

// peak makes n rounds of independent multiply-adds on registers, as many as a matrix tile has sums, and returns the operations made.
static double peak(float *out, int64_t n) {
	vf acc[2 * TILE], a = set1(1.0f + out[0]), b = set1(out[0]);
	for (int i = 0; i < 2 * TILE; i++) acc[i] = b;
	for (int64_t k = 0; k < n; k++) {
#pragma GCC unroll 24
		for (int i = 0; i < 2 * TILE; i++) acc[i] = FMA(acc[i], a, b);
	}
	vf s = acc[0];
	for (int i = 1; i < 2 * TILE; i++) s += acc[i];
	out[0] = sum(s);
	return 4.0 * LANES * TILE * (double)n;
}

const rlhf_kernels ISA_TABLE = {
	.name = ISA_NAME, .panel = PANEL, .tile = TILE, .kblock = KBLOCK, .outer_rows = OUTER_ROWS, .queries = QUERIES,
	.pack = pack, .matmul = matmul, .outer = outer, .column_sum = column_sum,
	.layernorm = layernorm, .layernorm_backward = layernorm_backward, .layernorm_backward_params = layernorm_backward_params,
	.activation_backward = activation_backward, .dropout = dropout,
	.attention_store = attention_store, .attention = attention, .attention_cached = attention_cached, .attention_backward = attention_backward,
	.embed = embed, .embed_backward = embed_backward,
	.head_blocks = head_blocks, .head = head, .head_backward = head_backward, .sample = sample, .candidates = candidates, .cut = cut, .histogram = histogram, .of_bin = of_bin, .find_weight = find_weight, .dot = dot, .dot_backward = dot_backward,
	.adamw = adamw, .sum_squares = sum_squares, .peak = peak,
};
