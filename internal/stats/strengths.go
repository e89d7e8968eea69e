package stats

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// Game says that I was preferred to J, Weight times; a tie is half a win each way.
type Game struct {
	I, J   int
	Weight float64
}

// Strengths are fitted Bradley-Terry strengths of V items.
type Strengths struct {
	Theta     []Estimate // (V) mean 0; intervals by the bootstrap over clusters
	SE        []float64  // (V) large-sample standard error, as if every comparison were independent: smaller than it should be for rankings
	Prior     float64    // lambda of the penalty lambda/2 sum theta^2; 0 for maximum likelihood
	Connected bool       // whether maximum likelihood has a finite answer
	LeftOut   int        // rounds of the bootstrap without a finite answer, which are in no interval
}

// MeasureStrengths fits Bradley-Terry to the games of all clusters over n items, with a bootstrap over the clusters, because the
// pairs of one ranking are dependent. With prior 0 it maximises the likelihood and returns an error that wraps ErrNotConnected
// where that has no finite maximum; with a prior above 0 it always has an answer, drawn towards equal strengths.
func MeasureStrengths(n int, clusters [][]Game, prior float64, rounds int, r *rand.Rand) (Strengths, error) {
	terms := make([][]Term, len(clusters))
	total := square(n)
	for c, games := range clusters {
		for _, g := range games {
			total[g.I][g.J] += g.Weight
			terms[c] = append(terms[c], Term{Sum: g.I*n + g.J, Value: g.Weight})
		}
	}
	s := Strengths{Prior: prior, Connected: checkConnected(total) == nil}
	theta, err := fit(total, prior)
	if err != nil {
		return s, err
	}
	s.SE, err = standardErrors(total, theta, prior)
	if err != nil {
		return s, err
	}
	wins := square(n)
	s.Theta, s.LeftOut = Resample(terms, n*n, rounds, r, func(sums []float64) []float64 {
		for i := range wins {
			copy(wins[i], sums[i*n:])
		}
		theta, err := newton(wins, prior)
		if err != nil {
			return nil
		}
		return theta
	})
	for i := range s.Theta {
		s.Theta[i].Value = theta[i]
	}
	return s, nil
}

// fit is by minorisation without a prior, and by Newton's method with one.
func fit(wins [][]float64, prior float64) ([]float64, error) {
	if prior == 0 {
		return BradleyTerry(wins)
	}
	return newton(wins, prior)
}

// BradleyTerryPrior returns the strengths theta (V) that maximise the likelihood times a Gaussian prior, that is
// sum w_ij ln sigmoid(theta_i - theta_j) - lambda/2 sum theta^2. They are finite for any wins if lambda > 0.
func BradleyTerryPrior(wins [][]float64, lambda float64) ([]float64, error) {
	if !(lambda > 0) {
		return nil, fmt.Errorf("bradley-terry prior: must be above 0 (got %v)", lambda)
	}
	return newton(wins, lambda)
}

// newton maximises the penalised likelihood by Newton's method with halved steps. The error wraps ErrNotConnected where lambda
// is 0 and there is no finite maximum.
func newton(wins [][]float64, lambda float64) ([]float64, error) {
	n := len(wins)
	if lambda == 0 {
		if err := checkConnected(wins); err != nil {
			return nil, fmt.Errorf("bradley-terry of %d items: %w", n, err)
		}
	}
	theta, trial := make([]float64, n), make([]float64, n)
	gradient, step := mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
	at := logLikelihood(wins, theta, lambda)
	for range 200 {
		for i := range n {
			g := -lambda * theta[i]
			for j := range n {
				if i != j {
					p := sigmoid(theta[i] - theta[j])
					g += wins[i][j]*(1-p) - wins[j][i]*p
				}
			}
			gradient.SetVec(i, g)
		}
		var c mat.Cholesky
		if !c.Factorize(information(wins, theta, lambda)) {
			return nil, errors.New("bradley-terry: the information matrix is singular")
		}
		if err := c.SolveVecTo(step, gradient); err != nil {
			return nil, fmt.Errorf("bradley-terry: %w", err)
		}
		moved, scale := 0.0, 1.0
		for ; ; scale /= 2 {
			moved = 0
			for i := range n {
				d := scale * step.AtVec(i)
				trial[i] = theta[i] + d
				moved = max(moved, math.Abs(d))
			}
			// A short step is taken whole: there the likelihood's rounding is larger than its gain.
			if next := logLikelihood(wins, trial, lambda); next >= at || moved < 1e-5 {
				at = next
				break
			}
		}
		theta, trial = trial, theta
		if moved < 1e-11 {
			return theta, nil
		}
	}
	return nil, fmt.Errorf("bradley-terry of %d items: no convergence in 200 steps", n)
}

// standardErrors returns the large-sample standard errors of strengths with mean 0.
func standardErrors(wins [][]float64, theta []float64, lambda float64) ([]float64, error) {
	cov, err := BradleyTerryCovariance(wins, theta, lambda)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(theta))
	for i := range out {
		out[i] = math.Sqrt(cov[i][i])
	}
	return out, nil
}

// BradleyTerryCovariance returns the large-sample covariance (V, V) of fitted strengths with mean 0: the inverse of the observed
// information, on the strengths that sum to 0 if lambda is 0. The variance of a difference theta_i - theta_j is C_ii + C_jj - 2 C_ij,
// whichever item the strengths are measured against.
func BradleyTerryCovariance(wins [][]float64, theta []float64, lambda float64) ([][]float64, error) {
	n := len(theta)
	var c mat.Cholesky
	if !c.Factorize(information(wins, theta, lambda)) {
		return nil, errors.New("bradley-terry covariance: the information matrix is singular")
	}
	var inverse mat.SymDense
	if err := c.InverseTo(&inverse); err != nil {
		return nil, fmt.Errorf("bradley-terry covariance: %w", err)
	}
	out := square(n)
	for i := range n {
		for j := range n {
			out[i][j] = inverse.At(i, j)
			if lambda == 0 {
				out[i][j] -= 1 / float64(n) // the direction that information added
			}
		}
	}
	return out, nil
}

// information returns minus the second derivative of the penalised log-likelihood. Without a penalty all strengths may move
// together; the square of their mean, times V, is then added, which fixes that direction and leaves the others alone.
func information(wins [][]float64, theta []float64, lambda float64) *mat.SymDense {
	n := len(theta)
	h := mat.NewSymDense(n, nil)
	for i := range n {
		diagonal := lambda
		for j := range n {
			if i == j {
				continue
			}
			p := sigmoid(theta[i] - theta[j])
			v := (wins[i][j] + wins[j][i]) * p * (1 - p)
			diagonal += v
			if j > i {
				h.SetSym(i, j, -v)
			}
		}
		h.SetSym(i, i, diagonal)
	}
	if lambda == 0 {
		for i := range n {
			for j := i; j < n; j++ {
				h.SetSym(i, j, h.At(i, j)+1/float64(n))
			}
		}
	}
	return h
}

func logLikelihood(wins [][]float64, theta []float64, lambda float64) float64 {
	l := 0.0
	for i := range wins {
		for j, w := range wins[i] {
			if i != j && w > 0 {
				d := theta[i] - theta[j]
				l -= w * (max(-d, 0) + math.Log1p(math.Exp(-math.Abs(d)))) // ln sigmoid(d)
			}
		}
		l -= lambda / 2 * theta[i] * theta[i]
	}
	return l
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
