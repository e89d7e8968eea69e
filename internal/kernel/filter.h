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
