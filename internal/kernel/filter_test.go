package kernel

import (
	"math"
	"testing"
)

// Candidates are those a plain loop finds, in order, for every odd size and bound, on every instruction set.
func TestCandidates(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		var c Candidates
		for _, v := range []int{1, 7, 13, 63, 64, 65, 511, 512, 513, 2000} {
			logits := make([]float32, v)
			for i := range logits {
				logits[i] = float32(i*7919%101) / 7
			}
			const scale = 1 / .7
			for _, low := range []float32{float32(math.Inf(-1)), 3, 20.3, 100} {
				c.Take(logits, scale, low, 20)
				n := 0
				for i, x := range logits {
					z := x * float32(scale)
					if z < low {
						continue
					}
					if n >= len(c.IDs) || c.IDs[n] != int32(i) || c.Scaled[n] != z {
						t.Fatalf("%d tokens, bound %v: candidate %d of %d is not token %d", v, low, n, len(c.IDs), i)
					}
					if want := math.Exp(float64(z - 20)); math.Abs(float64(c.Weights[n])-want) > 1e-6*want {
						t.Errorf("%d tokens: weight %v, want %v", v, c.Weights[n], want)
					}
					n++
				}
				if n != len(c.IDs) {
					t.Errorf("%d tokens, bound %v: %d candidates, want %d", v, low, len(c.IDs), n)
				}
			}
		}
	})
}

func TestRowTopAndKthBlock(t *testing.T) {
	// blocks of largest values 1, 3 and 2 with sums 2, 1 and 4 relative to them
	parts := []float64{1, 2, 0, 3, 1, 0, 2, 4, 0}
	top, sum := RowTop(parts)
	if want := 2*math.Exp(-2) + 1 + 4*math.Exp(-1); top != 3 || math.Abs(sum-want) > 1e-15 {
		t.Errorf("top %v and sum %v, want 3 and %v", top, sum, want)
	}
	for k, want := range map[int]float64{1: 3, 2: 2, 3: 1, 4: 1} {
		if got, _ := KthBlock(parts, k, nil); got != want {
			t.Errorf("block %d is %v, want %v", k, got, want)
		}
	}
}
