package stats

import "math"

// Z95 is the standard normal's 97.5 % quantile.
const Z95 = 1.959963984540054

// Wilson returns Wilson's 95 % interval (Wilson 1927) for a share of successes
// among n trials. Successes may hold halves, for ties; the interval is then
// conservative, since a tie varies less than a coin. NaN for n = 0.
func Wilson(successes float64, n int) (low, high float64) {
	N, p := float64(n), successes/float64(n)
	centre := p + Z95*Z95/(2*N)
	half := Z95 * math.Sqrt(p*(1-p)/N+Z95*Z95/(4*N*N))
	scale := 1 + Z95*Z95/N
	low, high = (centre-half)/scale, (centre+half)/scale
	if successes == 0 && n > 0 {
		low = 0
	}
	if successes == N && n > 0 {
		high = 1
	}
	return low, high
}

// SignTest returns the exact two-sided p-value of wins against losses under the
// hypothesis that either is as likely, ties being left out: twice the smaller
// binomial tail, at most 1. 1 if there is neither win nor loss.
func SignTest(wins, losses int) float64 {
	n := wins + losses
	all, _ := math.Lgamma(float64(n + 1))
	tail := 0.0
	for k := range min(wins, losses) + 1 {
		a, _ := math.Lgamma(float64(k + 1))
		b, _ := math.Lgamma(float64(n - k + 1))
		tail += math.Exp(all - a - b - float64(n)*math.Ln2)
	}
	return min(1, 2*tail)
}

// WinRate is the outcome of comparisons: wins, losses and ties of one side.
type WinRate struct {
	Wins, Losses, Ties int
}

// Value returns the win rate with ties as one half; NaN without comparisons.
func (w WinRate) Value() float64 {
	return w.Score() / float64(w.N())
}

// Score returns wins plus half the ties.
func (w WinRate) Score() float64 { return float64(w.Wins) + float64(w.Ties)/2 }

// N returns the number of comparisons.
func (w WinRate) N() int { return w.Wins + w.Losses + w.Ties }

// Interval returns Wilson's 95 % interval of Value.
func (w WinRate) Interval() (low, high float64) { return Wilson(w.Score(), w.N()) }

// P returns the exact two-sided sign test of wins against losses.
func (w WinRate) P() float64 { return SignTest(w.Wins, w.Losses) }
