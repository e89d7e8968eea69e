// What filters of sampling look at: the likeliest tokens of a row of logits,
// compactly. A filter keeps few tokens of many, so it finds them by one pass of
// comparisons and does its work on those alone.

// candidates lists, in the order of the vocabulary, the tokens whose scaled logit is at least low: ids, scaled logits z and
// weights e^(z - top), and returns their number. The outputs hold v elements each, rounded up to a vector.
static int64_t candidates(int32_t *ids, float *z, float *weights, const float *logits, float scale, float low, float top, int64_t v) {
	int64_t n = 0;
	for (int64_t i = 0; i < v; i += 4 * LANES) {
		const int64_t end = least(i + 4 * LANES, v);
		if (end - i == 4 * LANES) {
			const vf a = VMAX(load(logits + i), load(logits + i + LANES)), b = VMAX(load(logits + i + 2 * LANES), load(logits + i + 3 * LANES));
			if (largest(VMAX(a, b)) * scale < low) continue;
		}
		for (int64_t j = i; j < end; j++) {
			const float x = logits[j] * scale;
			ids[n] = (int32_t)j;
			z[n] = x;
			n += x >= low;
		}
	}
	for (int64_t i = 0; i < n; i += LANES) store(weights + i, expv(load(z + i) - set1(top)));
	return n;
}

// cut makes the weights of the candidates 0 that are less likely than (low, id): with a smaller scaled logit, or the same and
// a smaller id. It returns the sum of the weights left, which is the same whatever the instruction set.
static double cut(float *weights, const float *z, const int32_t *ids, float low, int32_t id, int64_t n) {
	enum { SUMS = 8 };
	double s[SUMS] = {0};
	int64_t i = 0;
	for (; i + SUMS <= n; i += SUMS)
		for (int j = 0; j < SUMS; j++) {
			const int keep = (z[i + j] > low) | ((z[i + j] == low) & (ids[i + j] >= id));
			weights[i + j] = keep ? weights[i + j] : 0.0f;
			s[j] += (double)weights[i + j];
		}
	for (; i < n; i++) {
		weights[i] = z[i] > low || (z[i] == low && ids[i] >= id) ? weights[i] : 0.0f;
		s[0] += (double)weights[i];
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

// bin_of returns the bin of a scaled logit: bins go down from top, the last one holds all below.
INLINE int64_t bin_of(float z, float top, float per, int64_t bins) {
	const float b = (top - z) * per;
	return b < (float)(bins - 1) ? (int64_t)b : bins - 1;
}

// histogram sets mass (bins) to what the candidates of each bin weigh, and count (bins) to how many there are.
static void histogram(double *mass, double *count, const float *weights, const float *z, float top, float per, int64_t bins, int64_t n) {
	memset(mass, 0, bins * sizeof(double));
	memset(count, 0, bins * sizeof(double));
	for (int64_t i = 0; i < n; i++) {
		const int64_t b = bin_of(z[i], top, per, bins);
		mass[b] += (double)weights[i];
		count[b] += 1;
	}
}

// of_bin lists the candidates of a bin and returns their number. at holds n elements.
static int64_t of_bin(int32_t *at, const float *z, float top, float per, int64_t bins, int64_t bin, int64_t n) {
	int64_t m = 0;
	for (int64_t i = 0; i < n; i++) {
		at[m] = (int32_t)i;
		m += bin_of(z[i], top, per, bins) == bin;
	}
	return m;
}

// find_weight returns the first candidate at which the cumulated weight passes target, or the last one that weighs anything.
static int64_t find_weight(const float *weights, double target, int64_t n) {
	enum { BLOCK = 64 };
	double below = 0;
	for (int64_t i = 0; i < n; i += BLOCK) {
		const int64_t end = least(i + BLOCK, n);
		double s[4] = {0};
		for (int64_t j = i; j < end; j++) s[j % 4] += (double)weights[j];
		const double share = (s[0] + s[1]) + (s[2] + s[3]);
		if (below + share > target) {
			double sum = below;
			for (int64_t j = i; j < end; j++)
				if ((sum += (double)weights[j]) > target && weights[j] > 0) return j;
		}
		below += share;
	}
	int64_t last = n - 1;
	while (last > 0 && !(weights[last] > 0)) last--;
	return last;
}
