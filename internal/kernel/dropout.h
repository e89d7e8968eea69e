// Dropout by counter: whether number j of a row is kept is a function of the row's key, the site's salt and j, so that no
// mask is ever stored. A draw is a hash of 32 bits in the manner of lowbias32 (Wellons, "Prospecting for hash functions",
// 2018, with the constants found since), begun and stirred with the two halves of the row's own key.

typedef uint32_t vu __attribute__((vector_size(4 * LANES)));

#define DRAW_STEP 0x9E3779B9u  // from one counter to the next

// row_key joins a row's key with a salt: the finaliser of splitmix64 over both.
INLINE uint64_t row_key(uint64_t key, uint64_t salt) {
	uint64_t z = key ^ salt;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

// kept returns, for LANES counters, the lanes whose draw is below keep.
INLINE vi kept(vu counter, uint32_t stir, uint32_t keep) {
	vu h = counter;
	h ^= h >> 16;
	h *= 0x21F0AAADu;
	h ^= h >> 15;
	h += stir;
	h *= 0xD35A2D97u;
	h ^= h >> 15;
	return (vi)(h < (vu){} + keep);
}

// drop_row: y = plus + what is left of x, times d's scale; plus may be NULL, y may be x or plus.
INLINE void drop_row(float *y, const float *plus, const float *x, int64_t n, uint64_t key, const rlhf_dropout *d) {
	const uint64_t k = row_key(key, d->salt);
	const uint32_t stir = k >> 32;
	vu counter;
	for (int i = 0; i < LANES; i++) counter[i] = (uint32_t)k + i * DRAW_STEP;
	for (int64_t j = 0; j < n; j += LANES, counter += LANES * DRAW_STEP) {
		const int64_t part = n - j;
		const int whole = part >= LANES;
		const vi keep = kept(counter, stir, d->keep);
		vf v = (vf)(keep & (vi)((whole ? load(x + j) : load_part(x + j, part, 0.0f)) * set1(d->scale)));
		if (plus) v += whole ? load(plus + j) : load_part(plus + j, part, 0.0f);
		if (whole)
			store(y + j, v);
		else
			store_part(y + j, v, part);
	}
}

// dropout does so for rows of c numbers, d's keys being theirs.
static void dropout(float *y, const float *plus, const float *x, const rlhf_dropout *d, int64_t rows, int64_t c) {
	for (int64_t n = 0; n < rows; n++) drop_row(y + n * c, plus ? plus + n * c : NULL, x + n * c, c, d->keys[n], d);
}
