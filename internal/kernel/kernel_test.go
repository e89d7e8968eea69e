package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// eachISA runs f on every instruction set this machine has.
func eachISA(t *testing.T, f func(t *testing.T)) {
	inUse := Name()
	defer Use(inUse)
	for _, name := range Names {
		if Use(name) == nil {
			t.Run(name, f)
		}
	}
}

var random = rand.New(rand.NewPCG(1, 2))

func normal(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	return x
}

// near fails unless got is within tolerance of want, relative to the size of the numbers involved. Float32 keeps 6e-8 of
// each addition; sums of some hundred terms of size 1 stay within 1e-5 of their scale.
func near(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	scale := 1.0
	for _, w := range want {
		scale = math.Max(scale, math.Abs(w))
	}
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i]) <= tolerance*scale) {
			t.Fatalf("%s: number %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// slope is the central difference of f with respect to x[i], in float64.
func slope(x []float64, i int, f func([]float64) float64) float64 {
	const h = 1e-5
	y := slices.Clone(x)
	y[i] += h
	up := f(y)
	y[i] -= 2 * h
	return (up - f(y)) / (2 * h)
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

func dot64(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func TestMistakesPanicWithTheSizes(t *testing.T) {
	defer func() {
		if msg := fmt.Sprint(recover()); !strings.Contains(msg, "kernel: x holds 3 floats, needs 4") {
			t.Errorf("panicked with %q", msg)
		}
	}()
	MatMul(Product{Y: make([]float32, 2), LdY: 1, X: make([]float32, 3), LdX: 2, W: Packed(make([]float32, PackedSize(2, 1))), Rows: 2, K: 2, O: 1}, 0, 1, nil)
}

func TestUseRefusesWhatIsNotThere(t *testing.T) {
	before := Name()
	if err := Use("sse9"); err == nil || !strings.Contains(err.Error(), `kernel "sse9": not on this machine`) || Name() != before {
		t.Errorf("got %v, in use %s", err, Name())
	}
}
