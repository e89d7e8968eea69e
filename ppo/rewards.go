package ppo

import "math"

// Rewards returns r_t = −β·kl_t with kl_t = logp_t − ref_t, the score added at the
// last token (Ziegler 2019, section 2.2).
func Rewards(logprobs, refLogprobs []float64, score, klCoef float64) []float64 {
	r := make([]float64, len(logprobs))
	for t := range r {
		r[t] = -klCoef * (logprobs[t] - refLogprobs[t])
	}
	r[len(r)-1] += score
	return r
}

// K1, K2 and K3 estimate the divergence of the policy from the reference at a
// token it sampled, from the log-ratio logp − ref (Schulman, "Approximating KL
// divergence", 2020). K1 is unbiased and may be negative; its mean is reported.
func K1(logRatio float64) float64 { return logRatio }

// K2 is ½·logRatio².
func K2(logRatio float64) float64 { return logRatio * logRatio / 2 }

// K3 is e^(−logRatio) − 1 + logRatio, unbiased and never negative.
func K3(logRatio float64) float64 { return math.Expm1(-logRatio) + logRatio }

// GAE returns advantages and returns of one episode, backwards from its end:
// δ_t = r_t + γV_{t+1} − V_t with V 0 after the last token, A_t = δ_t + γλA_{t+1},
// R_t = A_t + V_t (arXiv:1506.02438 eq. 16).
func GAE(rewards, values []float64, gamma, lam float64) (advantages, returns []float64) {
	n := len(rewards)
	advantages, returns = make([]float64, n), make([]float64, n)
	next, nextValue := 0.0, 0.0
	for t := n - 1; t >= 0; t-- {
		delta := rewards[t] + gamma*nextValue - values[t]
		next = delta + gamma*lam*next
		nextValue = values[t]
		advantages[t], returns[t] = next, next+values[t]
	}
	return advantages, returns
}

// moments returns mean and biased variance.
func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += (v - mean) * (v - mean)
	}
	return mean, variance / float64(len(x))
}

// Whiten returns (x − mean)·rsqrt(variance + 1e-8), with the biased variance, as
// lm-human-preferences.
func Whiten(x []float64) []float64 { return standardise(x, false) }

// Scale is Whiten with the mean added back: lm-human-preferences' whitening of
// rewards, shift_mean=False.
func Scale(x []float64) []float64 { return standardise(x, true) }

func standardise(x []float64, keepMean bool) []float64 {
	mean, variance := moments(x)
	out, scale := make([]float64, len(x)), 1/math.Sqrt(variance+1e-8)
	for i, v := range x {
		if out[i] = (v - mean) * scale; keepMean {
			out[i] += mean
		}
	}
	return out
}

// AdaptKL returns the next KL coefficient of the adaptive controller (Ziegler
// 2019, section 2.2): e = clip(kl/target − 1, −.2, .2), β·(1 + e·episodes/horizon).
func AdaptKL(klCoef, kl, target, horizon float64, episodes int) float64 {
	e := math.Max(-.2, math.Min(.2, kl/target-1))
	return klCoef * (1 + e*float64(episodes)/horizon)
}

// missingEOS returns the score of a response that did not stop.
func missingEOS(c Config, score float64) float64 {
	switch c.MissingEOS {
	case "replace": // LMHP
		return c.MissingEOSValue
	case "subtract": // TRL
		return score - c.MissingEOSValue
	}
	return score
}
