package kernel

import (
	"math"
	"slices"
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

// taken returns candidates with scaled logits as given, of which the largest is 0.
func taken(scaled ...float32) *Candidates {
	var c Candidates
	c.Take(scaled, 1, float32(math.Inf(-1)), 0)
	return &c
}

func TestCut(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		var scaled []float32
		for i := range 45 {
			scaled = append(scaled, -float32(i%5)) // nine tokens each of 0, -1, -2, -3, -4
		}
		for _, test := range []struct {
			low        float32
			id         int32
			ones, rest float64 // candidates of 0, and of -1, that stay
		}{{-1, 0, 9, 9}, {-1, 21, 9, 5}, {0, 0, 9, 0}, {0, 40, 1, 0}, {0, 41, 0, 0}} {
			c := taken(scaled...)
			if got, want := c.Cut(test.low, test.id), test.ones+test.rest*math.Exp(-1); math.Abs(got-want) > 1e-6*want {
				t.Errorf("cut at %v, token %d leaves %v, want %v", test.low, test.id, got, want)
			}
			for k, z := range scaled {
				if keep := z > test.low || z == test.low && int32(k) >= test.id; keep != (c.Weights[k] > 0) {
					t.Errorf("cut at %v, token %d: token %d weighs %v", test.low, test.id, k, c.Weights[k])
				}
			}
		}
	})
}

func TestAroundAndFind(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		c := taken(-3, 0, -3, -1, 0, -70, -90)
		for _, test := range []struct {
			target   float64
			byNumber bool
			indices  []int32
			above    float64
		}{
			{1, true, []int32{1, 4}, 0}, {2, true, []int32{1, 4}, 0}, {3, true, []int32{3}, 2}, {4, true, []int32{0, 2}, 3}, {7, true, []int32{5, 6}, 5}, {99, true, []int32{5, 6}, 5},
			{1.5, false, []int32{1, 4}, 0}, {2.1, false, []int32{3}, 2}, {2.4, false, []int32{0, 2}, 2 + math.Exp(-1)},
		} {
			indices, above := c.Around(test.target, test.byNumber)
			if !slices.Equal(indices, test.indices) || math.Abs(above-test.above) > 1e-6 {
				t.Errorf("around %v: candidates %v and %v above, want %v and %v", test.target, indices, above, test.indices, test.above)
			}
		}
		var many []float32
		for range 300 {
			many = append(many, 0)
		}
		c = taken(many...)
		c.Cut(0, 100) // tokens 100 to 299 stay
		for target, want := range map[float64]int{0: 100, .5: 100, 1: 101, 199.5: 299, 250: 299} {
			if got := c.Find(target); got != want {
				t.Errorf("weight passes %v at candidate %d, want %d", target, got, want)
			}
		}
	})
}
