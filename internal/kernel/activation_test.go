package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// naiveGELU is GPT-2's, with 1/(1 + e^(-2u)) for (1 + tanh u)/2, which would cancel.
func naiveGELU(x float64) float64 {
	return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+.044715*x*x*x)))
}

// naive holds the activations as transformers' ACT2FN has them.
var naive = map[Activation]func(x float64) float64{
	GELUNew:   naiveGELU,
	GELU:      func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) },
	ReLU:      func(x float64) float64 { return max(0, x) },
	SiLU:      func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	Tanh:      math.Tanh,
	QuickGELU: func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) },
}

// activated returns a(x) as a product's outputs have it.
func activated(a Activation, x []float32) []float32 {
	n := len(x)
	out, zeros := make([]float32, n), make([]float32, n)
	MatMul(Product{Y: make([]float32, n), LdY: n, Activated: out, Activation: a, X: zeros, LdX: 1, W: Rows(zeros, n), Bias: x, Rows: 1, K: 1, O: n},
		0, Panels(n), make([]float32, MatMulScratch()))
	return out
}

func TestActivations(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for a, f := range naive {
			x := append(normal(100), -50, -10, -1e-4, 1e-4, 10, 50)
			dy := normal(len(x))
			y, dx := make([]float32, len(x)), make([]float32, len(x))
			ActivationBackward(a, dx, y, x, dy)
			if !slices.Equal(activated(a, x), y) {
				t.Fatalf("activation %d: forward and backward differ", a)
			}
			for i := range x {
				near(t, fmt.Sprintf("activation %d of %v", a, x[i]), y[i:i+1], []float64{f(float64(x[i]))}, 1e-6)
				want := float64(dy[i]) * slope([]float64{float64(x[i])}, 0, func(x []float64) float64 { return f(x[0]) })
				near(t, fmt.Sprintf("slope of activation %d at %v", a, x[i]), dx[i:i+1], []float64{want}, 2e-6)
			}
		}
	})
}

// Where float32 can tell, activations are right to 1e-6 of their own size, but below -2, where they are about e^-z and
// the exponent carries its rounding error times its size.
func TestActivationsAreRightRelativeToTheirSize(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		var x []float32
		for v := -20.0; v < 20; v += 1. / 512 {
			x = append(x, float32(v+random.Float64()/512), float32(random.NormFloat64()*1e-3))
		}
		for a, f := range naive {
			for i, got := range activated(a, x) {
				want, tolerance := f(float64(x[i])), 1e-6
				if x[i] < -2 {
					tolerance = 2e-5
				}
				if math.Abs(want) > 1e-30 && !(math.Abs(float64(got)-want) <= tolerance*math.Abs(want)) {
					t.Fatalf("activation %d of %v: got %v, want %v", a, x[i], got, want)
				}
			}
		}
	})
}
