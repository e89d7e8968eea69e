// Causal self-attention of the heads of one sequence. Keys lie as panels over
// positions (cap/PANEL, hd, PANEL), so that a matrix tile gives the scores of
// PANEL positions; values lie as rows (cap, hdp), hdp being hd rounded up to
// PANEL, so that the same tile sums them up. cap is a multiple of PANEL. A query's
// row is computed the same way alone (decoding) and in a block (training): every
// score sums its channels in order, every output its positions in order; what
// stands after a query's own position counts zero times.

#define QUERIES (4 * TILE)  // queries whose probabilities exist at once in the backward pass

static const float no_start[PANEL];

// keys_store copies the keys of positions t0 to t1, rows ld apart, into the layout above.
static void keys_store(float *kt, const float *krow, int64_t ld, int64_t hd, int64_t t0, int64_t t1) {
	for (int64_t t = t0; t < t1;) {
		float *to = kt + t / PANEL * PANEL * hd + t % PANEL;
		if (t % LANES == 0 && t + LANES <= t1 && hd % LANES == 0) {
			for (int64_t i = 0; i < hd; i += LANES) TRANSPOSE(to + i * PANEL, PANEL, krow + i, ld);
			t += LANES;
			krow += LANES * ld;
		} else {
			for (int64_t i = 0; i < hd; i++) to[i * PANEL] = krow[i];
			t++;
			krow += ld;
		}
	}
}

// rows_store copies rows of hd floats, ld apart, to rows of hdp, filled up with zeros.
static void rows_store(float *v, const float *row, int64_t ld, int64_t hd, int64_t rows) {
	const int64_t hdp = round_up(hd, PANEL);
	for (int64_t t = 0; t < rows; t++, row += ld, v += hdp) {
		memcpy(v, row, hd * sizeof(float));
		for (int64_t i = hd; i < hdp; i++) v[i] = 0.0f;
	}
}

static void attention_store(float *kt, float *v, const float *krow, const float *vrow, int64_t ld, int64_t hd, int64_t t0, int64_t t1) {
	keys_store(kt, krow, ld, hd, t0, t1);
	rows_store(v + t0 * round_up(hd, PANEL), vrow, ld, hd, t1 - t0);
}

// probabilities turns the products of positions 0 to t, times scale, into their softmax; entries from t+1 to end become 0.
INLINE void probabilities(float *s, int64_t t, int64_t end, float scale) {
	const int64_t whole = (t + 1) / LANES * LANES;
	vf top = set1(-INFINITY);
	for (int64_t j = 0; j < whole; j += LANES) top = VMAX(top, load(s + j));
	if (whole <= t) {
		const vf z = load_part(s + whole, t + 1 - whole, -INFINITY);
		store(s + whole, z);
		top = VMAX(top, z);
	}
	const vf m = set1(largest(top) * scale), c = set1(scale);
	vf total = set1(0.0f);
	int64_t j = 0;
	for (; j < whole; j += LANES) {
		const vf e = expv(load(s + j) * c - m);
		store(s + j, e);
		total += e;
	}
	if (j <= t) {
		const vf e = first(expv(load(s + j) * c - m), t + 1 - whole);
		store(s + j, e);
		total += e;
		j += LANES;
	}
	const vf inverse = set1(1.0f / sum(total));
	for (int64_t i = 0; i < j; i += LANES) store(s + i, load(s + i) * inverse);
	for (; j < end; j += LANES) store(s + j, set1(0.0f));
}

// attention: outputs of the queries t0 to t1 (rows of q and o start at t0), whose probabilities drop drops from, row by row. scratch holds TILE*(cap + hdp) floats.
static void attention(float *o, int64_t ldo, const float *q, int64_t ldq, const float *kt, const float *v, const rlhf_dropout *drop,
	int64_t hd, int64_t t0, int64_t t1, float *scratch) {
	const int64_t hdp = round_up(hd, PANEL);
	const float scale = 1.0f / sqrtf((float)hd);
	for (int64_t t = t0; t < t1; t += TILE, q += TILE * ldq, o += TILE * ldo) {
		const int64_t n = least(t1 - t, TILE), end = round_up(t + n, PANEL);
		float *s = scratch, *out = scratch + TILE * end;
		for (int64_t j = 0; j < end; j += PANEL) tile_rows(n, s + j, end, q, ldq, kt + j * hd, PANEL, no_start, 0, NULL, hd);
		for (int64_t r = 0; r < n; r++) {
			probabilities(s + r * end, t + r, end, scale);
			if (drop->keys) drop_row(s + r * end, NULL, s + r * end, end, drop->keys[t + r - t0], drop);
		}
		for (int64_t e = 0; e < hdp; e += PANEL) tile_rows(n, out + e, hdp, s, end, v + e, hdp, no_start, 0, NULL, t + n);
		for (int64_t r = 0; r < n; r++) memcpy(o + r * ldo, out + r * hdp, hd * sizeof(float));
	}
}

// sums computes, for some heads at once, vectors of sums that one query needs: of coefficients[i] times the vectors at
// rows + i*stride, i in order. Vector v of a head lies v/2 pairs and v%2 vectors further, the heads ldc, ldr and ldto
// floats apart. Eight sums at once hide an FMA's latency.
INLINE void sums(const int heads, const int vectors, float *to, int64_t ldto, const float *coefficients, int64_t ldc, const float *rows, int64_t ldr,
	int64_t pair, int64_t stride, int64_t terms) {
	vf acc[8];
	for (int u = 0; u < heads * vectors; u++) acc[u] = set1(0.0f);
	for (int64_t i = 0; i < terms; i++, rows += stride) {
#pragma GCC unroll 8
		for (int h = 0; h < heads; h++) {
			const vf c = set1(coefficients[h * ldc + i]);
#pragma GCC unroll 8
			for (int v = 0; v < vectors; v++)
				acc[h * vectors + v] = FMA(c, load(rows + h * ldr + v / 2 * pair + v % 2 * LANES), acc[h * vectors + v]);
		}
	}
	for (int h = 0; h < heads; h++)
		for (int v = 0; v < vectors; v++) store(to + h * ldto + v * LANES, acc[h * vectors + v]);
}

// all_sums does so for any number of heads and vectors, each by the same chain whatever the grouping.
static void all_sums(int64_t heads, int64_t vectors, float *to, int64_t ldto, const float *coefficients, int64_t ldc, const float *rows, int64_t ldr,
	int64_t pair, int64_t stride, int64_t terms) {
	for (int64_t v = 0; v < vectors;) {
		const int64_t left = vectors - v, n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
		for (int64_t h = 0; h < heads;) {
			int64_t group = 8 / n;
			while (group > heads - h) group /= 2;
			float *t = to + h * ldto + v * LANES;
			const float *c = coefficients + h * ldc, *r = rows + h * ldr + v / 2 * pair;
			switch (10 * group + n) {
#define CASE(g, n) case 10 * g + n: sums(g, n, t, ldto, c, ldc, r, ldr, pair, stride, terms); break;
				CASE(1, 8) CASE(1, 4) CASE(1, 2) CASE(1, 1) CASE(2, 4) CASE(2, 2) CASE(2, 1) CASE(4, 2) CASE(4, 1) CASE(8, 1)
#undef CASE
			}
			h += group;
		}
		v += n;
	}
}

// decode is attention for the one query at position t in nh heads, heads of q and o side by side, those of the cache
// nk+nv floats apart. scratch holds nh*(end + hdp) floats, end being t+1 rounded up to PANEL.
static void decode(float *o, const float *q, const float *kt, int64_t nk, int64_t nv, int64_t nh, int64_t hd, int64_t t, float *scratch) {
	const int64_t hdp = round_up(hd, PANEL), end = round_up(t + 1, PANEL), per = nk + nv;
	const float scale = 1.0f / sqrtf((float)hd);
	float *out = scratch + nh * end;
	all_sums(nh, round_up(t + 1, LANES) / LANES, scratch, end, q, hd, kt, per, hd * PANEL, PANEL, hd);
	for (int64_t h = 0; h < nh; h++) probabilities(scratch + h * end, t, end, scale);
	all_sums(nh, round_up(hd, LANES) / LANES, out, hdp, scratch, end, kt + nk, per, PANEL, hdp, t + 1);
	for (int64_t h = 0; h < nh; h++) memcpy(o + h * hd, out + h * hdp, hd * sizeof(float));
}

// attention_cached stores and attends for some slots: slot i adds feeds[i] positions from ats[i] on, whose rows of qkv
// and o begin at row rows[i], to the cache at caches[i] (nh heads of keys (cap, hd) and values (cap, hdp)). A row of qkv
// holds query, key and value of all heads, c apart; those from h0 to h1 are in work. scratch holds (nh+TILE)*(cap + hdp) floats.
static void attention_cached(float *o, const float *qkv, float *cache, const int64_t *caches, const int64_t *rows, const int64_t *feeds, const int64_t *ats,
	int64_t slots, int64_t c, int64_t nh, int64_t h0, int64_t h1, int64_t cap, float *scratch) {
	const rlhf_dropout none = {0};
	const int64_t hd = c / nh, nk = cap * hd, nv = cap * round_up(hd, PANEL);
	for (int64_t i = 0; i < slots; i++) {
		const float *q = qkv + rows[i] * 3 * c;
		float *kt = cache + caches[i], *out = o + rows[i] * c;
		const int64_t t0 = ats[i], t1 = t0 + feeds[i];
		for (int64_t h = h0; h < h1; h++) {
			float *k = kt + h * (nk + nv);
			attention_store(k, k + nk, q + c + h * hd, q + 2 * c + h * hd, 3 * c, hd, t0, t1);
			if (feeds[i] > 1) attention(out + h * hd, c, q + h * hd, 3 * c, k, k + nk, &none, hd, t0, t1, scratch);
		}
		if (feeds[i] == 1) decode(out + h0 * hd, q + h0 * hd, kt + h0 * (nk + nv), nk, nv, h1 - h0, hd, t0, scratch);
	}
}

// attention_gradients sets p and ds (QUERIES, cap) to the probabilities of the queries n0 to n1, less what drop dropped of
// them, and to the gradients of their scores, 0 past each query's own position, and dq (., hdp) to their own gradients. q,
// g = do and drop's keys, at keys, are rows from position n0 on; k (., hdp) are rows from position 0 on; kt and vt are panels of keys and of values.
static void attention_gradients(float *p, float *ds, float *dq, const float *q, const float *g, const float *k, const float *kt, const float *vt,
	const rlhf_dropout *drop, const uint64_t *keys, int64_t hd, int64_t cap, int64_t n0, int64_t n1) {
	const int64_t hdp = round_up(hd, PANEL);
	const float scale = 1.0f / sqrtf((float)hd);
	for (int64_t n = n0; n < n1; n += TILE, p += TILE * cap, ds += TILE * cap, q += TILE * hdp, g += TILE * hdp, dq += TILE * hdp) {
		const int64_t mr = least(n1 - n, TILE), end = round_up(n + mr, PANEL);
		for (int64_t j = 0; j < end; j += PANEL) {
			tile_rows(mr, p + j, cap, q, hdp, kt + j * hd, PANEL, no_start, 0, NULL, hd);
			tile_rows(mr, ds + j, cap, g, hdp, vt + j * hd, PANEL, no_start, 0, NULL, hd);  // o = sum_j p_j v_j, so dp_j = do . v_j
		}
		for (int64_t r = 0; r < mr; r++) {
			float *pr = p + r * cap, *dr = ds + r * cap;
			probabilities(pr, n + r, cap, scale);
			if (keys) drop_row(dr, NULL, dr, end, keys[n + r - n0], drop);  // o = sum_j m_j p_j v_j, so dp_j = m_j (do . v_j)
			vf s = set1(0.0f);
			for (int64_t j = 0; j < end; j += LANES) s = FMA(load(pr + j), load(dr + j), s);
			const vf mean = set1(sum(s));
			for (int64_t j = 0; j < end; j += LANES) store(dr + j, load(pr + j) * (load(dr + j) - mean) * set1(scale));
			for (int64_t j = end; j < cap; j += LANES) store(dr + j, set1(0.0f));
			if (keys) drop_row(pr, NULL, pr, end, keys[n + r - n0], drop);
		}
		for (int64_t e = 0; e < hdp; e += PANEL) tile_rows(mr, dq + e, hdp, ds, cap, k + e, hdp, no_start, 0, NULL, n + mr);
	}
}

// attention_backward: gradient with respect to q, k and v of one head of one sequence of length t, whose queries t0 to
// t1 had outputs; the others' gradients are 0. qkv points at the head's query in the sequence's first row, its key and
// value stand c and 2c floats further; dqkv alike, and is overwritten. do and drop's keys start at position t0. Forward was
// o = drop(softmax(scale q k^T)) v. scratch holds 2*hd*cap + (6*hdp + 2*QUERIES)*cap floats, cap being t rounded up to PANEL.
static void attention_backward(float *dqkv, int64_t lddqkv, const float *qkv, int64_t ldqkv, const float *doo, int64_t lddo,
	const rlhf_dropout *drop, int64_t c, int64_t hd, int64_t t, int64_t t0, int64_t t1, float *scratch) {
	const int64_t cap = round_up(t, PANEL), hdp = round_up(hd, PANEL);
	float *kt = scratch, *vt = kt + hd * cap;                                           // (cap/PANEL, hd, PANEL)
	float *k = vt + hd * cap, *q = k + cap * hdp, *g = q + cap * hdp, *dq = g + cap * hdp; // (cap, hdp)
	float *dk = dq + cap * hdp, *dv = dk + cap * hdp;                                   // (cap, hdp)
	float *p = dv + cap * hdp, *ds = p + QUERIES * cap;                                 // (QUERIES, cap)
	memset(kt, 0, 2 * hd * cap * sizeof(float));
	keys_store(kt, qkv + c, ldqkv, hd, 0, t);
	keys_store(vt, qkv + 2 * c, ldqkv, hd, 0, t);
	rows_store(k, qkv + c, ldqkv, hd, t);
	rows_store(q, qkv + t0 * ldqkv, ldqkv, hd, t1 - t0);
	rows_store(g, doo, lddo, hd, t1 - t0);
	memset(dk, 0, 2 * cap * hdp * sizeof(float));
	for (int64_t n0 = t0; n0 < t1; n0 += QUERIES) {
		const int64_t n1 = least(n0 + QUERIES, t1), at = (n0 - t0) * hdp;
		const uint64_t *keys = drop->keys ? drop->keys + n0 - t0 : NULL;
		attention_gradients(p, ds, dq + at, q + at, g + at, k, kt, vt, drop, keys, hd, cap, n0, n1);
		for (int64_t j = 0; j < n1; j += TILE) {
			const int64_t mr = least(n1 - j, TILE), skip = j > n0 ? j - n0 : 0, terms = n1 - n0 - skip;  // queries before j do not see it
			for (int64_t e = 0; e < hdp; e += PANEL) {
				float *dkj = dk + j * hdp + e, *dvj = dv + j * hdp + e;
				tile_columns(mr, dvj, hdp, p + skip * cap + j, cap, g + at + skip * hdp + e, hdp, terms);
				tile_columns(mr, dkj, hdp, ds + skip * cap + j, cap, q + at + skip * hdp + e, hdp, terms);
			}
		}
	}
	for (int64_t i = 0; i < t; i++) {
		float *row = dqkv + i * lddqkv;
		if (i >= t0 && i < t1)
			memcpy(row, dq + (i - t0) * hdp, hd * sizeof(float));
		else
			memset(row, 0, hd * sizeof(float));
		memcpy(row + c, dk + i * hdp, hd * sizeof(float));
		memcpy(row + 2 * c, dv + i * hdp, hd * sizeof(float));
	}
}
