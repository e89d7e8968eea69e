// The language-model head after the product: log-softmax of a row of logits at
// a temperature. The same function serves training and sampling, so the log-prob
// of a sampled token is the bits the trainer computes. Sums are float32 vectors
// within blocks of BLOCK logits and float64 over blocks.

typedef struct {
	float top;     // largest scaled logit
	double sum;    // of e^(z - top)
	double dot;    // of e^(z - top) * (z - top)
	double lse;    // log of the sum of e^z
} row_stats;

// softmax_row reads v logits, scaled by scale = 1/temperature.
INLINE row_stats softmax_row(const float *logits, float scale, int64_t v) {
	row_stats r = {0};
	vf top = set1(-INFINITY);
	int64_t i = 0;
	for (; i + LANES <= v; i += LANES) top = VMAX(top, load(logits + i) * set1(scale));
	if (i < v) top = VMAX(top, load_part(logits + i, v - i, -INFINITY) * set1(scale));
	r.top = largest(top);
	for (int64_t b = 0; b < v; b += BLOCK) {
		const int64_t end = b + BLOCK < v ? b + BLOCK : v;
		vf s = set1(0.0f), d = set1(0.0f);
		for (i = b; i + LANES <= end; i += LANES) {
			vf z = load(logits + i) * set1(scale) - set1(r.top), e = expv(z);
			s += e;
			d = FMA(e, z, d);
		}
		if (i < end) {
			vf z = load_part(logits + i, end - i, 0.0f) * set1(scale) - set1(r.top), e = expv(z);
			e = load_part((const float *)&e, end - i, 0.0f);
			s += e;
			d = FMA(e, z, d);
		}
		r.sum += (double)sum(s);
		r.dot += (double)sum(d);
	}
	r.lse = (double)r.top + log(r.sum);
	return r;
}

static void head(float *logprobs, float *entropy, double *lse, const float *logits, int64_t ldl, const int32_t *targets, float scale,
	int64_t rows, int64_t v) {
	for (int64_t n = 0; n < rows; n++) {
		const float *row = logits + n * ldl;
		const row_stats r = softmax_row(row, scale, v);
		lse[n] = r.lse;
		logprobs[n] = (float)((double)(row[targets[n]] * scale) - r.lse);
		entropy[n] = (float)(log(r.sum) - r.dot / r.sum);
	}
}

// head_backward replaces logits by their gradient. With z = scale*logits and p = softmax(z):
// dz_j = dlogprob ([j = target] - p_j) - dentropy p_j (log p_j + entropy).
static void head_backward(float *logits, int64_t ldl, const int32_t *targets, const float *dlogprobs, const float *dentropy,
	const double *lse, const float *entropy, float scale, int64_t rows, int64_t v) {
	for (int64_t n = 0; n < rows; n++) {
		float *row = logits + n * ldl;
		const vf dl = set1(dlogprobs[n]), de = set1(dentropy[n]), h = set1(entropy[n]), l = set1((float)lse[n]), c = set1(scale);
		int64_t i = 0;
		for (; i + LANES <= v; i += LANES) {
			vf logp = load(row + i) * c - l;
			store(row + i, -(expv(logp) * FMA(de, logp + h, dl)) * c);
		}
		if (i < v) {
			vf logp = load_part(row + i, v - i, 0.0f) * c - l;
			store_part(row + i, -(expv(logp) * FMA(de, logp + h, dl)) * c, v - i);
		}
		row[targets[n]] += dlogprobs[n] * scale;
	}
}

// sample draws the token at which the cumulated probability passes u in [0, 1), or the first largest logit if greedy,
// and stores its log-prob, as head does.
static int32_t sample(float *logprob, const float *logits, float scale, double u, int greedy, int64_t v) {
	const row_stats r = softmax_row(logits, scale, v);
	int64_t pick = greedy ? 0 : -1;
	for (int64_t i = 1; greedy && i < v; i++) pick = logits[i] > logits[pick] ? i : pick;
	double below = 0;
	for (int64_t b = 0; b < v && pick < 0; b += LANES) {
		const int64_t part = v - b < LANES ? v - b : LANES;
		float e[LANES];
		store(e, expv(load_part(logits + b, part, 0.0f) * set1(scale) - set1(r.top)));
		for (int64_t i = 0; i < part && pick < 0; i++) {
			below += (double)e[i];
			if (below > u * r.sum) pick = b + i;
		}
	}
	if (pick < 0) pick = v - 1;  // the cumulated sum, rounded, stayed below u times the whole
	*logprob = (float)((double)(logits[pick] * scale) - r.lse);
	return (int32_t)pick;
}
