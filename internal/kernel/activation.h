// The activations of an MLP, by the names that Hugging Face gives them. Each is
// computed in one place, for the forward and the backward pass.

INLINE vf sigmoid(vf x) { return set1(1.0f) / (set1(1.0f) + expv(-x)); }

// GPT-2's gelu_new: x/2 (1 + tanh u) with u = sqrt(2/pi) (x + .044715 x^3), which is x / (1 + e^(-2u)).
INLINE vf gelu_sigmoid(vf x) {
	vf u2 = x * FMA(x * x, set1(2.0f * 0.7978845608f * 0.044715f), set1(2.0f * 0.7978845608f));
	return sigmoid(u2);
}

// gelu_slope is the derivative of x*s at x, where s is gelu_sigmoid(x).
INLINE vf gelu_slope(vf x, vf s) {
	vf du2 = FMA(x * x, set1(6.0f * 0.7978845608f * 0.044715f), set1(2.0f * 0.7978845608f));
	return FMA(x * s * (set1(1.0f) - s), du2, s);
}

// normal_below is the normal distribution's share below x, given e = e^(-x^2/2). Below -|x| it is e times a polynomial in
// t = 1/(1 + .305|x|), within 1e-7 of it for |x| up to 13 (a minimax fit of this project; beyond, e has run out of range).
INLINE vf normal_below(vf x, vf e) {
	const vf size = VMAX(x, -x), t = set1(1.0f) / FMA(size, set1(0.305f), set1(1.0f));
	vf p = set1(0.036699135f);
	p = FMA(p, t, set1(-0.15298805f));
	p = FMA(p, t, set1(0.18571639f));
	p = FMA(p, t, set1(-0.037976287f));
	p = FMA(p, t, set1(0.12102135f));
	p = FMA(p, t, set1(0.10342098f));
	p = FMA(p, t, set1(0.12246679f));
	p = FMA(p, t, set1(0.12163973f));
	const vf tail = p * t * e;
	return choose(x > set1(0.0f), set1(1.0f) - tail, tail);
}

// tanhv is within 2e-7 of tanh x, relative to it: a polynomial (a minimax fit of this project) where 1 - 2/(1 + e^2x) would cancel.
INLINE vf tanhv(vf x) {
	const vf z = x * x;
	vf p = set1(-0.0060454006f);
	p = FMA(p, z, set1(0.020961518f));
	p = FMA(p, z, set1(-0.053843311f));
	p = FMA(p, z, set1(0.13332719f));
	p = FMA(p, z, set1(-0.33333328f));
	return choose(z < set1(0.4f), FMA(p * z, x, x), set1(1.0f) - set1(2.0f) / (set1(1.0f) + expv(x + x)));
}

// activation returns that of x and sets its slope there. A caller that does not look at the slope pays nothing for it.
INLINE vf activation(const int kind, vf x, vf *slope) {
	const vf one = set1(1.0f), zero = set1(0.0f);
	vf s;
	switch (kind) {
	case RLHF_GELU:  // x Phi(x), whose slope is Phi(x) + x phi(x)
		s = expv(x * x * set1(-0.5f));
		*slope = FMA(x * s, set1(0.3989422804f), normal_below(x, s));
		return x * normal_below(x, s);
	case RLHF_RELU:
		*slope = choose(x <= zero, zero, one);
		return VMAX(zero, x);
	case RLHF_SILU:
		s = sigmoid(x);
		*slope = FMA(x * s, one - s, s);
		return x * s;
	case RLHF_TANH:
		s = tanhv(x);
		*slope = (one - s) * (one + s);
		return s;
	case RLHF_QUICK_GELU:
		s = sigmoid(x * set1(1.702f));
		*slope = FMA(x * s * set1(1.702f), one - s, s);
		return x * s;
	default:
		s = gelu_sigmoid(x);
		*slope = gelu_slope(x, s);
		return x * s;
	}
}

// EACH_ACTIVATION runs CASE for each kind, a constant within it: what the kind decides is decided outside the loops.
#define EACH_ACTIVATION(CASE) CASE(RLHF_GELU_NEW) CASE(RLHF_GELU) CASE(RLHF_RELU) CASE(RLHF_SILU) CASE(RLHF_TANH) CASE(RLHF_QUICK_GELU)

INLINE void activate_rows(const int kind, float *y2, const float *y, int64_t ldy, int64_t mr, int64_t cols) {
	vf slope;
	for (int64_t r = 0; r < mr; r++)
		for (int64_t e = 0; e < cols; e += LANES) {
			const int64_t part = cols - e;
			const vf v = part >= LANES ? load(y + r * ldy + e) : load_part(y + r * ldy + e, part, 0.0f);
			const vf a = activation(kind, v, &slope);
			if (part >= LANES)
				store(y2 + r * ldy + e, a);
			else
				store_part(y2 + r * ldy + e, a, part);
		}
}

// activate: y2 = the activation of y for mr rows of cols elements.
static void activate(int kind, float *y2, const float *y, int64_t ldy, int64_t mr, int64_t cols) {
	switch (kind) {
#define CASE(k) case k: activate_rows(k, y2, y, ldy, mr, cols); break;
	EACH_ACTIVATION(CASE)
#undef CASE
	}
}

INLINE void activation_backward_of(const int kind, float *dx, float *y, const float *x, const float *dy, int64_t n) {
	vf slope;
	int64_t i = 0;
	for (; i + LANES <= n; i += LANES) {
		const vf a = activation(kind, load(x + i), &slope);
		store(dx + i, load(dy + i) * slope);
		store(y + i, a);
	}
	if (i < n) {
		const vf a = activation(kind, load_part(x + i, n - i, 0.0f), &slope);
		store_part(dx + i, load_part(dy + i, n - i, 0.0f) * slope, n - i);
		store_part(y + i, a, n - i);
	}
}

// activation_backward: dx = dy times the slope at x, and y = the activation of x, as the forward pass had it; dx may be dy.
static void activation_backward(int kind, float *dx, float *y, const float *x, const float *dy, int64_t n) {
	switch (kind) {
#define CASE(k) case k: activation_backward_of(k, dx, y, x, dy, n); break;
	EACH_ACTIVATION(CASE)
#undef CASE
	}
}
