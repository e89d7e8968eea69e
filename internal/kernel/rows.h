// Kernels over rows of channels, embeddings, sums over rows, and the optimizer.

#define COLUMNS (4 * LANES)  // columns whose sums over rows are held in registers at once

// column_sum: db[j] += sum over rows of d (rows, ldd), for o0 <= j < o1.
static void column_sum(float *db, const float *d, int64_t ldd, int64_t rows, int64_t o0, int64_t o1) {
	int64_t j = o0;
	for (; j + COLUMNS <= o1; j += COLUMNS) {
		vf s[4];
		for (int e = 0; e < 4; e++) s[e] = load(db + j + e * LANES);
		for (int64_t n = 0; n < rows; n++)
			for (int e = 0; e < 4; e++) s[e] += load(d + n * ldd + j + e * LANES);
		for (int e = 0; e < 4; e++) store(db + j + e * LANES, s[e]);
	}
	for (; j < o1; j++)
		for (int64_t n = 0; n < rows; n++) db[j] += d[n * ldd + j];
}

static void layernorm(float *y, float *mean, float *rstd, const float *x, const float *gain, const float *bias,
	int64_t rows, int64_t c, float eps) {
	const int64_t whole = c / LANES * LANES, rest = c - whole;
	for (int64_t n = 0; n < rows; n++, x += c, y += c) {
		vf s = set1(0.0f);
		for (int64_t i = 0; i < whole; i += LANES) s += load(x + i);
		if (rest) s += load_part(x + whole, rest, 0.0f);
		const float m = sum(s) / (float)c;
		vf q = set1(0.0f);
		for (int64_t i = 0; i < whole; i += LANES) {
			vf e = load(x + i) - set1(m);
			q = FMA(e, e, q);
		}
		if (rest) {
			vf e = load_part(x + whole, rest, m) - set1(m);
			q = FMA(e, e, q);
		}
		const float r = 1.0f / sqrtf(sum(q) / (float)c + eps);
		for (int64_t i = 0; i < c; i++) y[i] = (x[i] - m) * r * gain[i] + bias[i];
		mean[n] = m;
		rstd[n] = r;
	}
}

// layernorm_backward: forward was y = xhat*gain + bias with xhat = (x-mean)*rstd. dx = plus + its gradient; plus may be dx.
static void layernorm_backward(float *dx, const float *plus, const float *dy, const float *x, const float *mean, const float *rstd,
	const float *gain, int64_t rows, int64_t c) {
	for (int64_t n = 0; n < rows; n++, x += c, dy += c, dx += c, plus += c) {
		const float m = mean[n], r = rstd[n];
		vf s1 = set1(0.0f), s2 = set1(0.0f);
		for (int64_t i = 0; i < c; i += LANES) {
			const int part = c - i < LANES;
			vf g = part ? load_part(dy + i, c - i, 0.0f) * load_part(gain + i, c - i, 0.0f) : load(dy + i) * load(gain + i);
			vf xh = ((part ? load_part(x + i, c - i, 0.0f) : load(x + i)) - set1(m)) * set1(r);
			s1 += g;
			s2 = FMA(g, xh, s2);
		}
		const float a = sum(s1) / (float)c, b = sum(s2) / (float)c;
		for (int64_t i = 0; i < c; i++) dx[i] = plus[i] + r * (dy[i] * gain[i] - a - (x[i] - m) * r * b);
	}
}

static void layernorm_backward_params(float *dgain, float *dbias, const float *dy, const float *x, const float *mean,
	const float *rstd, int64_t rows, int64_t c, int64_t c0, int64_t c1) {
	int64_t i = c0;
	for (; i + 2 * LANES <= c1; i += 2 * LANES) {
		vf g0 = load(dgain + i), g1 = load(dgain + i + LANES), b0 = load(dbias + i), b1 = load(dbias + i + LANES);
		for (int64_t n = 0; n < rows; n++) {
			const vf m = set1(mean[n]), r = set1(rstd[n]), d0 = load(dy + n * c + i), d1 = load(dy + n * c + i + LANES);
			g0 += d0 * ((load(x + n * c + i) - m) * r);
			g1 += d1 * ((load(x + n * c + i + LANES) - m) * r);
			b0 += d0;
			b1 += d1;
		}
		store(dgain + i, g0);
		store(dgain + i + LANES, g1);
		store(dbias + i, b0);
		store(dbias + i + LANES, b1);
	}
	for (; i < c1; i++)
		for (int64_t n = 0; n < rows; n++) {
			dgain[i] += dy[n * c + i] * ((x[n * c + i] - mean[n]) * rstd[n]);
			dbias[i] += dy[n * c + i];
		}
}

static void embed(float *x, const int32_t *tokens, const int32_t *positions, const float *wte, const float *wpe, int64_t rows, int64_t c) {
	for (int64_t n = 0; n < rows; n++) {
		const float *e = wte + tokens[n] * c, *p = wpe + positions[n] * c;
		for (int64_t i = 0; i < c; i++) x[n * c + i] = e[i] + p[i];
	}
}

static void embed_backward(float *dwte, float *dwpe, const float *dx, const int32_t *tokens, const int32_t *positions,
	int64_t rows, int64_t c, int64_t c0, int64_t c1) {
	for (int64_t n = 0; n < rows; n++) {
		float *e = dwte + tokens[n] * c, *p = dwpe + positions[n] * c;
		for (int64_t i = c0; i < c1; i++) e[i] += dx[n * c + i];
		for (int64_t i = c0; i < c1; i++) p[i] += dx[n * c + i];
	}
}

INLINE float dot_row(const float *x, const float *w, int64_t c) {
	vf s = set1(0.0f);
	int64_t i = 0;
	for (; i + LANES <= c; i += LANES) s = FMA(load(x + i), load(w + i), s);
	if (i < c) s = FMA(load_part(x + i, c - i, 0.0f), load_part(w + i, c - i, 0.0f), s);
	return sum(s);
}

// dot: y (rows) = x (rows, c) * w (c).
static void dot(float *y, const float *x, const float *w, int64_t rows, int64_t c) {
	for (int64_t n = 0; n < rows; n++) y[n] = dot_row(x + n * c, w, c);
}

// dot_backward: dx (rows, c) += dy (rows) * w (c).
static void dot_backward(float *dx, const float *dy, const float *w, int64_t rows, int64_t c) {
	for (int64_t n = 0; n < rows; n++)
		for (int64_t i = 0; i < c; i++) dx[n * c + i] += dy[n] * w[i];
}

// adamw: torch.optim.AdamW on one range; g is zero afterwards. keep = 1 - lr*weight_decay, rsqrt_bc2 = 1/sqrt(1-beta2^t).
static void adamw(float *theta, float *m, float *v, float *g, int64_t n, float gscale, float beta1, float beta2,
	float lr_over_bc1, float rsqrt_bc2, float eps, float keep) {
	const float c1 = 1.0f - beta1, c2 = 1.0f - beta2;
	for (int64_t i = 0; i < n; i += LANES) {
		const int64_t part = n - i;
		const int whole = part >= LANES;
		vf gi = (whole ? load(g + i) : load_part(g + i, part, 0.0f)) * set1(gscale);
		vf mi = set1(beta1) * (whole ? load(m + i) : load_part(m + i, part, 0.0f)) + set1(c1) * gi;
		vf si = set1(beta2) * (whole ? load(v + i) : load_part(v + i, part, 0.0f)) + set1(c2) * (gi * gi);
		vf ti = (whole ? load(theta + i) : load_part(theta + i, part, 0.0f)) * set1(keep) -
			set1(lr_over_bc1) * (mi / (VSQRT(si) * set1(rsqrt_bc2) + set1(eps)));
		if (whole) {
			store(m + i, mi);
			store(v + i, si);
			store(theta + i, ti);
			store(g + i, set1(0.0f));
		} else {
			store_part(m + i, mi, part);
			store_part(v + i, si, part);
			store_part(theta + i, ti, part);
			store_part(g + i, set1(0.0f), part);
		}
	}
}

// sum_squares adds in float64, in the same order on every instruction set.
static double sum_squares(const float *x, int64_t n) {
	double s[32] = {0};
	int64_t i = 0;
	for (; i + 32 <= n; i += 32)
		for (int j = 0; j < 32; j++) s[j] += (double)x[i + j] * (double)x[i + j];
	for (; i < n; i++) s[0] += (double)x[i] * (double)x[i];
	for (int w = 16; w > 0; w /= 2)
		for (int j = 0; j < w; j++) s[j] += s[j + w];
	return s[0];
}
