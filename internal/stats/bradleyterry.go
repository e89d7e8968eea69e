package stats

import (
	"errors"
	"fmt"
	"math"
)

// ErrNotConnected is returned by BradleyTerry when some group of items never lost
// to the others, so that no finite strengths fit best.
var ErrNotConnected = errors.New("win graph is not strongly connected")

// BradleyTerry returns the maximum-likelihood strengths theta (V), mean 0, of the
// model P(i over j) = sigmoid(theta_i - theta_j), by the minorisation of Hunter
// 2004 ("MM algorithms for generalized Bradley-Terry models"). wins[i][j] says how
// often i was preferred to j; a tie is half a win each way. The error wraps
// ErrNotConnected where there is no finite maximum.
func BradleyTerry(wins [][]float64) ([]float64, error) {
	n := len(wins)
	if err := checkConnected(wins); err != nil {
		return nil, fmt.Errorf("bradley-terry of %d items: %w", n, err)
	}
	theta := make([]float64, n)
	p, next := make([]float64, n), make([]float64, n)
	for i := range p {
		p[i] = 1
	}
	for range 100_000 {
		logMean := 0.0
		for i := range n {
			var won, games float64
			for j := range n {
				if i != j {
					won += wins[i][j]
					games += (wins[i][j] + wins[j][i]) / (p[i] + p[j])
				}
			}
			next[i] = won / games
			logMean += math.Log(next[i]) / float64(n)
		}
		moved := 0.0
		for i := range n {
			next[i] /= math.Exp(logMean)
			t := math.Log(next[i])
			moved = max(moved, math.Abs(t-theta[i]))
			theta[i] = t
		}
		p, next = next, p
		if moved < 1e-13 {
			return theta, nil
		}
	}
	return nil, fmt.Errorf("bradley-terry of %d items: no convergence in 100000 rounds", n)
}

// checkConnected returns an error unless every item is reached from item 0 along
// wins and along losses.
func checkConnected(wins [][]float64) error {
	n := len(wins)
	if n < 2 {
		return fmt.Errorf("%w: fewer than two items", ErrNotConnected)
	}
	for _, beats := range []func(i, j int) bool{
		func(i, j int) bool { return wins[i][j] > 0 },
		func(i, j int) bool { return wins[j][i] > 0 },
	} {
		reached := make([]bool, n)
		reached[0] = true
		queue := []int{0}
		for len(queue) > 0 {
			i := queue[0]
			queue = queue[1:]
			for j := range n {
				if !reached[j] && beats(i, j) {
					reached[j] = true
					queue = append(queue, j)
				}
			}
		}
		for j, ok := range reached {
			if !ok {
				return fmt.Errorf("%w: no chain of comparisons links items 0 and %d both ways", ErrNotConnected, j)
			}
		}
	}
	return nil
}

// Elo returns a strength on the scale of chess ratings, 1000 for 0 and 400 for a
// factor of ten in the odds.
func Elo(theta float64) float64 { return 1000 + 400*theta/math.Ln10 }
