// Causal self-attention of one head of one sequence. Keys lie transposed,
// kt (hd, cap), so that the scores of LANES positions come at once; values lie
// as v (cap, hdp) with hdp = hd rounded up to LANES. cap is a multiple of LANES.
// A query's row is computed the same way alone (decoding) and in a block
// (training): every score sums its channels in order, every output its positions in order.

INLINE int64_t padded(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

// attention_store copies the keys and values of positions t0 to t1, rows ld apart, into the layout above.
static void attention_store(float *kt, float *v, const float *krow, const float *vrow, int64_t ld, int64_t hd, int64_t cap,
	int64_t t0, int64_t t1) {
	const int64_t hdp = padded(hd);
	for (int64_t t = t0; t < t1; t++, krow += ld, vrow += ld) {
		for (int64_t i = 0; i < hd; i++) kt[i * cap + t] = krow[i];
		for (int64_t i = 0; i < hdp; i++) v[t * hdp + i] = i < hd ? vrow[i] : 0.0f;
	}
}

// scores: s[j] = scale * sum_i q[i]*kt[i][j] for the whole vectors that cover positions 0 to t; entries past t are not meant to be read.
INLINE void scores(float *s, const float *q, const float *kt, int64_t hd, int64_t cap, int64_t t, float scale) {
	int64_t j = 0;
	for (; j + 4 * LANES <= padded(t + 1); j += 4 * LANES) {
		vf a = set1(0.0f), b = a, c = a, d = a;
		for (int64_t i = 0; i < hd; i++) {
			const float *k = kt + i * cap + j;
			vf qi = set1(q[i]);
			a = FMA(qi, load(k), a);
			b = FMA(qi, load(k + LANES), b);
			c = FMA(qi, load(k + 2 * LANES), c);
			d = FMA(qi, load(k + 3 * LANES), d);
		}
		store(s + j, a * set1(scale));
		store(s + j + LANES, b * set1(scale));
		store(s + j + 2 * LANES, c * set1(scale));
		store(s + j + 3 * LANES, d * set1(scale));
	}
	for (; j <= t; j += LANES) {
		vf a = set1(0.0f);
		for (int64_t i = 0; i < hd; i++) a = FMA(set1(q[i]), load(kt + i * cap + j), a);
		store(s + j, a * set1(scale));
	}
}

// probabilities turns the scores of positions 0 to t into their softmax; entries past t of the last vector become 0.
INLINE void probabilities(float *s, int64_t t) {
	const int64_t whole = (t + 1) / LANES * LANES, end = padded(t + 1);
	if (whole < end) store(s + whole, load_part(s + whole, t + 1 - whole, -INFINITY));
	vf top = load(s);
	for (int64_t j = LANES; j < end; j += LANES) top = VMAX(top, load(s + j));
	const vf m = set1(largest(top));
	vf total = set1(0.0f);
	for (int64_t j = 0; j < end; j += LANES) {
		vf e = expv(load(s + j) - m);
		if (j == whole) e = load_part((const float *)&e, t + 1 - whole, 0.0f);
		store(s + j, e);
		total += e;
	}
	const vf inverse = set1(1.0f / sum(total));
	for (int64_t j = 0; j < end; j += LANES) store(s + j, load(s + j) * inverse);
}

// weighted: out[0..hdp) = sum_j p[j]*rows[j] over positions 0 to t in order.
INLINE void weighted(float *out, const float *p, const float *rows, int64_t hdp, int64_t t) {
	int64_t i = 0;
	for (; i + 4 * LANES <= hdp; i += 4 * LANES) {
		vf a = set1(0.0f), b = a, c = a, d = a;
		for (int64_t j = 0; j <= t; j++) {
			const float *r = rows + j * hdp + i;
			vf pj = set1(p[j]);
			a = FMA(pj, load(r), a);
			b = FMA(pj, load(r + LANES), b);
			c = FMA(pj, load(r + 2 * LANES), c);
			d = FMA(pj, load(r + 3 * LANES), d);
		}
		store(out + i, a);
		store(out + i + LANES, b);
		store(out + i + 2 * LANES, c);
		store(out + i + 3 * LANES, d);
	}
	for (; i + 2 * LANES <= hdp; i += 2 * LANES) {
		vf a = set1(0.0f), b = a;
		for (int64_t j = 0; j <= t; j++) {
			vf pj = set1(p[j]);
			a = FMA(pj, load(rows + j * hdp + i), a);
			b = FMA(pj, load(rows + j * hdp + i + LANES), b);
		}
		store(out + i, a);
		store(out + i + LANES, b);
	}
	for (; i < hdp; i += LANES) {
		vf a = set1(0.0f);
		for (int64_t j = 0; j <= t; j++) a = FMA(set1(p[j]), load(rows + j * hdp + i), a);
		store(out + i, a);
	}
}

// attention: outputs of the queries t0 to t1 (rows of q and o start at t0). scratch holds cap + hdp floats.
static void attention(float *o, int64_t ldo, const float *q, int64_t ldq, const float *kt, const float *v,
	int64_t hd, int64_t cap, int64_t t0, int64_t t1, float *scratch) {
	const int64_t hdp = padded(hd);
	const float scale = 1.0f / sqrtf((float)hd);
	float *s = scratch, *out = scratch + cap;
	for (int64_t t = t0; t < t1; t++, o += ldo, q += ldq) {
		scores(s, q, kt, hd, cap, t, scale);
		probabilities(s, t);
		weighted(out, s, v, hdp, t);
		memcpy(o, out, hd * sizeof(float));
	}
}

// attention_backward: gradient with respect to q, k and v of one head of one sequence of length t. qkv points at the
// head's query in the sequence's first row, its key and value stand c and 2c floats further; dqkv alike, and is
// overwritten. Forward was o = softmax(scale q k^T) v.
// scratch holds 2*hd*cap + (5*cap+1)*hdp + 2*cap floats with cap = t rounded up to LANES.
static void attention_backward(float *dqkv, int64_t lddqkv, const float *qkv, int64_t ldqkv, const float *doo, int64_t lddo,
	int64_t c, int64_t hd, int64_t t, float *scratch) {
	const int64_t cap = padded(t), hdp = padded(hd);
	const float scale = 1.0f / sqrtf((float)hd);
	float *kt = scratch, *vt = kt + hd * cap;                // (hd, cap)
	float *k = vt + hd * cap, *q = k + cap * hdp, *g = q + cap * hdp; // (cap, hdp)
	float *dk = g + cap * hdp, *dv = dk + cap * hdp;         // (cap, hdp)
	float *dq = dv + cap * hdp;                              // (hdp)
	float *p = dq + hdp, *ds = p + cap;                      // (cap)
	attention_store(kt, k, qkv + c, qkv + c, ldqkv, hd, cap, 0, t);
	attention_store(vt, q, qkv + 2 * c, qkv, ldqkv, hd, cap, 0, t);
	for (int64_t i = 0; i < t; i++)
		for (int64_t e = 0; e < hdp; e++) g[i * hdp + e] = e < hd ? doo[i * lddo + e] : 0.0f;
	memset(dk, 0, 2 * cap * hdp * sizeof(float));
	for (int64_t i = 0; i < t; i++) {
		const float *qi = q + i * hdp, *gi = g + i * hdp;
		const int64_t end = padded(i + 1);
		scores(p, qi, kt, hd, cap, i, scale);
		probabilities(p, i);
		scores(ds, gi, vt, hd, cap, i, 1.0f);  // o = sum_j p_j v_j, so dp_j = do . v_j
		if (end > i + 1) store(ds + end - LANES, load_part(ds + end - LANES, i + 1 - (end - LANES), 0.0f));
		vf s = set1(0.0f);
		for (int64_t j = 0; j < end; j += LANES) s = FMA(load(p + j), load(ds + j), s);
		const vf mean = set1(sum(s));
		for (int64_t j = 0; j < end; j += LANES) store(ds + j, load(p + j) * (load(ds + j) - mean) * set1(scale));
		weighted(dq, ds, k, hdp, i);
		memcpy(dqkv + i * lddqkv, dq, hd * sizeof(float));
		for (int64_t e = 0; e < hdp; e += LANES) {
			const vf qe = load(qi + e), ge = load(gi + e);
			for (int64_t j = 0; j <= i; j++) {
				float *dkj = dk + j * hdp + e, *dvj = dv + j * hdp + e;
				store(dkj, FMA(set1(ds[j]), qe, load(dkj)));
				store(dvj, FMA(set1(p[j]), ge, load(dvj)));
			}
		}
	}
	for (int64_t i = 0; i < t; i++) {
		memcpy(dqkv + i * lddqkv + c, dk + i * hdp, hd * sizeof(float));
		memcpy(dqkv + i * lddqkv + 2 * c, dv + i * hdp, hd * sizeof(float));
	}
}
