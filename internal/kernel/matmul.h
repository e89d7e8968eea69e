// Matrix products. An output element is one chain: a start value, then the terms
// in order, each added by FMA. The chain may rest in memory between runs of
// terms, so neither blocks nor tiles nor who computes them leave a trace in it.

#define KBLOCK 512     // terms of a run: so many rows of a panel lie in the cache at once
#define OUTER_ROWS 192 // rows of a run of a weight gradient

// A tile asks memory for what comes after it while it computes: in step i for the line at ahead + (i%16)*fine +
// (i/16*16)*coarse. The next panel comes line by line that way, spread over the time of a tile: no hardware foresees the
// strides of unpacked weights, and a burst of requests would hold up the loads that the tile waits for.

// tile computes mr rows by one panel: y = (from + plus) + x*p. Element i of row r of x is x[r*xr + i*xi]; row i of the
// panel is p + i*ldp. from's rows are ldf apart (0: one row for all); plus is a row, or NULL; so may be ahead.
INLINE void tile(const int mr, float *y, int64_t ldy, const float *x, int64_t xr, int64_t xi, const float *p, int64_t ldp,
	const float *from, int64_t ldf, const float *plus, int64_t k, const float *ahead, int64_t fine, int64_t coarse) {
	vf acc[TILE][2];
	for (int r = 0; r < mr; r++) {
		acc[r][0] = load(from + r * ldf);
		acc[r][1] = load(from + r * ldf + LANES);
		if (plus) {
			acc[r][0] += load(plus);
			acc[r][1] += load(plus + LANES);
		}
	}
	for (int64_t i = 0; i < k; i++, p += ldp) {
		vf w0 = load(p), w1 = load(p + LANES);
		if (ahead) __builtin_prefetch(ahead + (i & 15) * fine + (i & ~15) * coarse, 0, 2);
#pragma GCC unroll 16
		for (int r = 0; r < mr; r++) {
			vf b = set1(x[r * xr + i * xi]);
			acc[r][0] = FMA(b, w0, acc[r][0]);
			acc[r][1] = FMA(b, w1, acc[r][1]);
		}
	}
	for (int r = 0; r < mr; r++) {
		store(y + r * ldy, acc[r][0]);
		store(y + r * ldy + LANES, acc[r][1]);
	}
}

#if TILE > 6
#define EACH_TILE(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#elif TILE > 4
#define EACH_TILE(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#else
#define EACH_TILE(CASE) CASE(1) CASE(2) CASE(3) CASE(4)
#endif

// tile_rows is tile for row-major x: the elements of a row stand side by side.
static void tile_rows(int64_t mr, float *y, int64_t ldy, const float *x, int64_t ldx, const float *p, int64_t ldp,
	const float *from, int64_t ldf, const float *plus, int64_t k) {
	switch (mr) {
#define CASE(n) case n: tile(n, y, ldy, x, ldx, 1, p, ldp, from, ldf, plus, k, NULL, 0, 0); break;
	EACH_TILE(CASE)
#undef CASE
	}
}

// tile_fetching is tile_rows over a packed panel, with what it asks for meanwhile.
static void tile_fetching(int64_t mr, float *y, int64_t ldy, const float *x, int64_t ldx, const float *p, const float *from, int64_t ldf,
	const float *plus, int64_t k, const float *ahead, int64_t fine, int64_t coarse) {
	switch (mr) {
#define CASE(n) case n: tile(n, y, ldy, x, ldx, 1, p, PANEL, from, ldf, plus, k, ahead, fine, coarse); break;
	EACH_TILE(CASE)
#undef CASE
	}
}

// tile_columns adds to y the product with x whose rows are the columns of a: element i of row r is a[i*lda + r].
static void tile_columns(int64_t mr, float *y, int64_t ldy, const float *a, int64_t lda, const float *p, int64_t ldp, int64_t k) {
	switch (mr) {
#define CASE(n) case n: tile(n, y, ldy, a, 1, lda, p, ldp, y, ldy, NULL, k, NULL, 0, 0); break;
	EACH_TILE(CASE)
#undef CASE
	}
}

// tile_packed_columns is tile_columns over packed columns and a packed panel, with what it asks for meanwhile.
static void tile_packed_columns(int64_t mr, float *y, int64_t ldy, const float *a, const float *p, int64_t k, const float *ahead, int64_t stride) {
	switch (mr) {
#define CASE(n) case n: tile(n, y, ldy, a, 1, TILE, p, PANEL, y, ldy, NULL, k, ahead, stride, stride); break;
	EACH_TILE(CASE)
#undef CASE
	}
}

#ifndef TRANSPOSE
#define TRANSPOSE transpose
// transpose writes the transpose of a block of LANES by LANES.
INLINE void transpose(float *dst, int64_t ldd, const float *src, int64_t lds) {
	for (int r = 0; r < LANES; r++)
		for (int i = 0; i < LANES; i++) dst[i * ldd + r] = src[r * lds + i];
}
#endif

// pack_rows lays the columns o0 to o0+cols of rows k0 to k0+k of w (., ldw) out as a panel (k, PANEL), filled up with zeros.
static void pack_rows(float *dst, const float *w, int64_t ldw, int64_t k, int64_t cols) {
	for (int64_t i = 0; i < k; i++, dst += PANEL, w += ldw) {
		if (cols == PANEL) {
			store(dst, load(w));
			store(dst + LANES, load(w + LANES));
		} else {
			for (int64_t e = 0; e < PANEL; e++) dst[e] = e < cols ? w[e] : 0.0f;
		}
	}
}

// pack_columns does the same for the transpose of wt (cols, ldw).
static void pack_columns(float *dst, const float *wt, int64_t ldw, int64_t k, int64_t cols) {
	int64_t i = 0;
	if (cols == PANEL)
		for (; i + LANES <= k; i += LANES) {
			TRANSPOSE(dst + i * PANEL, PANEL, wt + i, ldw);
			TRANSPOSE(dst + i * PANEL + LANES, PANEL, wt + LANES * ldw + i, ldw);
		}
	for (; i < k; i++)
		for (int64_t e = 0; e < PANEL; e++) dst[i * PANEL + e] = e < cols ? wt[e * ldw + i] : 0.0f;
}

// pack lays a whole matrix (k, o), of the given layout, out as panels (o/PANEL, k, PANEL), from panel0 to panel1.
static void pack(float *dst, const float *w, int layout, int64_t k, int64_t o, int64_t panel0, int64_t panel1) {
	for (int64_t j = panel0; j < panel1; j++) {
		const int64_t o0 = j * PANEL, cols = least(o - o0, PANEL);
		if (layout == RLHF_ROWS)
			pack_rows(dst + o0 * k, w + o0, o, k, cols);
		else
			pack_columns(dst + o0 * k, w + o0 * k, k, k, cols);
	}
}

// operand is a matrix (k, o) in one of the layouts, and where its panels are packed.
typedef struct {
	const float *w;
	int layout;
	int64_t ldw, k, o;
	float *scratch;  // (KBLOCK, PANEL)
} operand;

// panel_of returns kb terms from k0 on of the panel that begins at output o0.
INLINE const float *panel_of(const operand *m, int64_t k0, int64_t kb, int64_t o0) {
	const int64_t cols = least(m->o - o0, PANEL);
	if (m->layout == RLHF_PACKED) return m->w + o0 * m->k + k0 * PANEL;
	if (m->layout == RLHF_ROWS)
		pack_rows(m->scratch, m->w + k0 * m->ldw + o0, m->ldw, kb, cols);
	else
		pack_columns(m->scratch, m->w + o0 * m->ldw + k0, m->ldw, kb, cols);
	return m->scratch;
}

#define FETCHING (PANEL * 4 / 64)  // tiles that it takes to ask for a panel line by line

// share_of returns where tile number t of a panel begins to ask for its share of the panel that begins at output o0, from
// term k0 on.
INLINE const float *share_of(const operand *m, int64_t k0, int64_t kb, int64_t o0, int64_t t) {
	if (m->layout == RLHF_PACKED) return m->w + o0 * m->k + k0 * PANEL + t * kb * 16;
	if (m->layout == RLHF_ROWS) return m->w + k0 * m->ldw + o0 + t * 16;
	return m->w + (o0 + t * 16) * m->ldw + k0;
}

// product_tile is a tile of which only cols outputs exist.
static void product_tile(int64_t mr, float *y, int64_t ldy, const float *x, int64_t ldx, const float *p, const float *from, int64_t ldf,
	const float *plus, int64_t k, int64_t cols, const float *ahead, int64_t fine, int64_t coarse) {
	if (cols == PANEL) {
		tile_fetching(mr, y, ldy, x, ldx, p, from, ldf, plus, k, ahead, fine, coarse);
		return;
	}
	float part[TILE * PANEL] = {0};
	for (int64_t r = 0; r < mr; r++) memcpy(part + r * PANEL, from + r * ldf, cols * sizeof(float));
	tile_rows(mr, part, PANEL, x, ldx, p, PANEL, part, PANEL, plus, k);
	for (int64_t r = 0; r < mr; r++) memcpy(y + r * ldy, part + r * PANEL, cols * sizeof(float));
}

// matmul: y (rows, o) = start + x (rows, k) * w, for the panels panel0 to panel1 of w's outputs. The start of row n is
// bias + residual[n], either of which may be NULL, or y itself if residual is y. activated, if not NULL, is laid out as
// y and receives the activation of y. w is packed, or packed here panel by panel into scratch (KBLOCK*PANEL floats).
static void matmul(float *y, int64_t ldy, float *activated, int activation, const float *x, int64_t ldx, const float *w, int layout, int64_t ldw, const float *bias,
	const float *residual, int64_t ldr, int64_t rows, int64_t k, int64_t o, int64_t panel0, int64_t panel1, float *scratch) {
	const operand m = {w, layout, ldw, k, o, scratch};
	const int64_t fine = layout == RLHF_PACKED ? 16 : ldw, coarse = layout == RLHF_COLUMNS ? 1 : fine;
	for (int64_t k0 = 0; k0 == 0 || k0 < k; k0 += KBLOCK) {
		const int64_t kb = least(k - k0, KBLOCK);
		for (int64_t j = panel0; j < panel1; j++) {
			const int64_t o0 = j * PANEL, cols = least(o - o0, PANEL);
			const int more = j + 1 < panel1;  // else the next panel is the first one's next run
			const int64_t next_o = more ? o0 + PANEL : panel0 * PANEL, next_k = more ? k0 : k0 + KBLOCK;
			float start[PANEL] = {0};
			if (bias) memcpy(start, bias + o0, cols * sizeof(float));
			const float *from = start, *plus = NULL, *p = panel_of(&m, k0, kb, o0);
			int64_t ldf = 0;
			if (k0 > 0) {
				from = y + o0;
				ldf = ldy;
			} else if (residual) {
				from = residual + o0;
				ldf = ldr;
				plus = bias ? start : NULL;
			}
			for (int64_t n = 0; n < rows; n += TILE) {
				const int64_t mr = least(rows - n, TILE);
				const int64_t t = n / TILE;
				const int asks = next_k < k && t < FETCHING && o - next_o >= PANEL;
				product_tile(mr, y + n * ldy + o0, ldy, x + n * ldx + k0, ldx, p, from + n * ldf, ldf, plus, kb, cols,
					asks ? share_of(&m, next_k, kb, next_o, t) : p, asks ? fine : 0, asks ? coarse : 0);
				if (activated && k0 + kb >= k) activate(activation, activated + n * ldy + o0, y + n * ldy + o0, ldy, mr, cols);
			}
		}
	}
}

// pack_tiles lays k columns of a (nb, lda) out as tiles (k/TILE, nb, TILE).
static void pack_tiles(float *ap, const float *a, int64_t lda, int64_t nb, int64_t k) {
	for (int64_t n = 0; n < nb; n++, a += lda) {
		int64_t j = 0;
		for (; j + TILE <= k; j += TILE) memcpy(ap + j * nb + n * TILE, a + j, TILE * sizeof(float));
		if (j < k) memcpy(ap + j * nb + n * TILE, a + j, (k - j) * sizeof(float));
	}
}

// outer: dw (k, o) += a (rows, k)^T * d (rows, o), rows in order, for the rows k0 to k1 of dw. Rows are taken in
// runs whose sums rest in dw itself. scratch holds OUTER_ROWS*(PANEL + k1-k0+TILE) floats.
static void outer(float *dw, int64_t lddw, const float *a, int64_t lda, const float *d, int64_t ldd,
	int64_t rows, int64_t k0, int64_t k1, int64_t o, float *scratch) {
	float *dp = scratch, *ap = scratch + OUTER_ROWS * PANEL;
	for (int64_t n0 = 0; n0 < rows; n0 += OUTER_ROWS) {
		const int64_t nb = least(rows - n0, OUTER_ROWS);
		pack_tiles(ap, a + n0 * lda + k0, lda, nb, k1 - k0);
		for (int64_t o0 = 0; o0 < o; o0 += PANEL) {
			const int64_t cols = least(o - o0, PANEL);
			pack_rows(dp, d + n0 * ldd + o0, ldd, nb, cols);
			for (int64_t k = k0; k < k1; k += TILE) {
				const int64_t mr = least(k1 - k, TILE), t = (k - k0) / TILE;
				const int asks = t < FETCHING && o - o0 >= 2 * PANEL;
				const float *at = ap + (k - k0) * nb;
				float *to = dw + k * lddw + o0;
				if (cols == PANEL) {
					tile_packed_columns(mr, to, lddw, at, dp, nb, asks ? d + n0 * ldd + o0 + PANEL + t * 16 : dp, asks ? ldd : 0);
					continue;
				}
				float part[TILE * PANEL] = {0};
				for (int64_t r = 0; r < mr; r++) memcpy(part + r * PANEL, to + r * lddw, cols * sizeof(float));
				tile_columns(mr, part, PANEL, at, TILE, dp, PANEL, nb);
				for (int64_t r = 0; r < mr; r++) memcpy(to + r * lddw, part + r * PANEL, cols * sizeof(float));
			}
		}
	}
}
