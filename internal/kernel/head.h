// The language-model head after the product: log-softmax of a row of logits at
// a temperature. The vocabulary is cut into blocks at fixed places; each block
// leaves three numbers, and these make the row's. So logits may come in any
// portions of whole blocks, and the same functions serve training and sampling:
// the log-prob of a sampled token is the bits the trainer computes. Sums are
// float32 vectors within a block and float64 over blocks.

// block_stats is what one block of scaled logits z leaves.
typedef struct {
	double top;  // largest z
	double sum;  // of e^(z - top)
	double dot;  // of e^(z - top) * (z - top)
} block_stats;

INLINE block_stats softmax_block(const float *logits, float scale, int64_t n) {
	const vf c = set1(scale);
	vf top = set1(-INFINITY);
	int64_t i = 0;
	for (; i + LANES <= n; i += LANES) top = VMAX(top, load(logits + i) * c);
	if (i < n) top = VMAX(top, load_part(logits + i, n - i, -INFINITY) * c);
	const float most = largest(top);
	vf s = set1(0.0f), d = set1(0.0f);
	for (i = 0; i + LANES <= n; i += LANES) {
		vf z = load(logits + i) * c - set1(most), e = expv(z);
		s += e;
		d = FMA(e, z, d);
	}
	if (i < n) {
		vf z = load_part(logits + i, n - i, 0.0f) * c - set1(most), e = first(expv(z), n - i);
		s += e;
		d = FMA(e, z, d);
	}
	return (block_stats){(double)most, (double)sum(s), (double)sum(d)};
}

// row_stats is what the blocks of a row make: top, log of the sum of e^z, and sums relative to top.
typedef struct {
	double top, sum, dot, lse;
} row_stats;

INLINE row_stats softmax_row(const double *parts, int64_t blocks) {
	const block_stats *b = (const block_stats *)parts;
	row_stats r = {b[0].top, 0, 0, 0};
	for (int64_t i = 1; i < blocks; i++) r.top = b[i].top > r.top ? b[i].top : r.top;
	for (int64_t i = 0; i < blocks; i++) {
		const double below = b[i].top - r.top, w = exp(below);
		r.sum += w * b[i].sum;
		r.dot += w * (b[i].dot + below * b[i].sum);
	}
	r.lse = r.top + log(r.sum);
	return r;
}

// head_blocks reads the logits (rows, ldl) of cols tokens from v0 on, a multiple of RLHF_BLOCK, and sets these blocks' numbers
// in parts (rows, blocks, 3) and the targets' logits among them.
static void head_blocks(double *parts, float *target_logits, const float *logits, int64_t ldl, const int32_t *targets, float scale,
	int64_t rows, int64_t v0, int64_t cols, int64_t blocks) {
	for (int64_t n = 0; n < rows; n++) {
		const float *row = logits + n * ldl;
		block_stats *b = (block_stats *)(parts + 3 * (n * blocks + v0 / RLHF_BLOCK));
		for (int64_t i = 0; i < cols; i += RLHF_BLOCK) *b++ = softmax_block(row + i, scale, least(cols - i, RLHF_BLOCK));
		if (targets[n] >= v0 && targets[n] < v0 + cols) target_logits[n] = row[targets[n] - v0];
	}
}

// head makes log-probs, entropies and logs of the sums of exponentials from what head_blocks left.
static void head(float *logprobs, float *entropy, double *lse, const double *parts, const float *target_logits, float scale,
	int64_t rows, int64_t blocks) {
	for (int64_t n = 0; n < rows; n++) {
		const row_stats r = softmax_row(parts + 3 * n * blocks, blocks);
		lse[n] = r.lse;
		logprobs[n] = (float)((double)(target_logits[n] * scale) - r.lse);
		entropy[n] = (float)(log(r.sum) - r.dot / r.sum);
	}
}

// head_backward replaces the logits of cols tokens from v0 on by their gradient. With z = scale*logits and p = softmax(z):
// dz_j = dlogprob ([j = target] - p_j) - dentropy p_j (log p_j + entropy).
static void head_backward(float *logits, int64_t ldl, const int32_t *targets, const float *dlogprobs, const float *dentropy,
	const double *lse, const float *entropy, float scale, int64_t rows, int64_t v0, int64_t cols) {
	for (int64_t n = 0; n < rows; n++) {
		float *row = logits + n * ldl;
		const vf dl = set1(dlogprobs[n]), de = set1(dentropy[n]), h = set1(entropy[n]), l = set1((float)lse[n]), c = set1(scale);
		int64_t i = 0;
		for (; i + LANES <= cols; i += LANES) {
			vf logp = load(row + i) * c - l;
			store(row + i, -(expv(logp) * FMA(de, logp + h, dl)) * c);
		}
		if (i < cols) {
			vf logp = load_part(row + i, cols - i, 0.0f) * c - l;
			store_part(row + i, -(expv(logp) * FMA(de, logp + h, dl)) * c, cols - i);
		}
		if (targets[n] >= v0 && targets[n] < v0 + cols) row[targets[n] - v0] += dlogprobs[n] * scale;
	}
}

// find returns the first of n logits with which the sum of w*e^(z - top), begun at below, passes target, or -1.
INLINE int64_t find(const float *logits, float scale, int64_t n, double top, double w, double below, double target) {
	for (int64_t b = 0; b < n; b += LANES) {
		const int64_t part = least(n - b, LANES);
		float e[LANES];
		store(e, expv(load_part(logits + b, part, 0.0f) * set1(scale) - set1((float)top)));
		for (int64_t i = 0; i < part; i++)
			if ((below += w * (double)e[i]) > target) return b + i;
	}
	return -1;
}

// sample draws the token at which the cumulated probability passes u in [0, 1), or the first largest logit if greedy,
// and stores its log-prob, as head does. parts holds 3 numbers a block.
static int32_t sample(float *logprob, double *parts, const float *logits, float scale, double u, int greedy, int64_t v) {
	const int64_t blocks = (v + RLHF_BLOCK - 1) / RLHF_BLOCK;
	block_stats *b = (block_stats *)parts;
	for (int64_t i = 0; i < blocks; i++) b[i] = softmax_block(logits + i * RLHF_BLOCK, scale, least(v - i * RLHF_BLOCK, RLHF_BLOCK));
	const row_stats r = softmax_row(parts, blocks);
	int64_t pick = greedy ? 0 : -1;
	for (int64_t i = 1; greedy && i < v; i++) pick = logits[i] > logits[pick] ? i : pick;
	const double target = u * r.sum;
	double below = 0;
	for (int64_t i = 0; i < blocks && pick < 0; i++) {
		const double w = exp(b[i].top - r.top), share = w * b[i].sum;
		if (below + share > target) {
			pick = find(logits + i * RLHF_BLOCK, scale, least(v - i * RLHF_BLOCK, RLHF_BLOCK), b[i].top, w, below, target);
			if (pick >= 0) pick += i * RLHF_BLOCK;
		}
		below += share;
	}
	if (pick < 0) pick = v - 1;  // the cumulated sum, rounded, stayed below u times the whole
	*logprob = (float)((double)(logits[pick] * scale) - r.lse);
	return (int32_t)pick;
}
