package optim_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"rlhf/gpt"
	"rlhf/internal/optim"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*math.Abs(want) {
		t.Errorf("%s: got %.9g, want %.9g", what, got, want)
	}
}

// The first step with g = 1e-6, lr = 1e-5, eps = 1e-5 is what PyTorch makes, not
// what TensorFlow's form of Adam would (3.1523e-8): guides/RLHF, "The algorithm" 10.
func TestFirstStepIsPyTorchs(t *testing.T) {
	a := optim.NewAdamW(optim.Config{Beta1: .9, Beta2: .999, Eps: 1e-5}, []gpt.Tensor{{Name: "x", Shape: []int{1}}})
	theta := []float32{0}
	a.Update(theta, []float32{1e-6}, 1e-5, 1)
	near(t, "step", -float64(theta[0]), 9.0909e-7, 1e-4)
}

// torch 2.8: AdamW([1, -2, 3], lr=.1, betas=(.9, .95), eps=1e-8, weight_decay=.1), gradients [.5, -.1, 2],
// worked by hand for the first step: every |m̂|/√v̂ is 1, so θ(1-.01) ∓ .1.
func TestWeightDecayIsDecoupledAndOnlyWhereAsked(t *testing.T) {
	tensors := []gpt.Tensor{
		{Name: "w", Shape: []int{1, 3}, Offset: 0, Decay: true},
		{Name: "b", Shape: []int{3}, Offset: 3},
	}
	a := optim.NewAdamW(optim.Config{Beta1: .9, Beta2: .95, Eps: 1e-8, WeightDecay: .1}, tensors)
	theta := []float32{1, -2, 3, 1, -2, 3}
	g := []float32{.5, -.1, 2, .5, -.1, 2}
	a.Update(theta, g, .1, 1)
	if !slices.Equal(g, make([]float32, 6)) {
		t.Errorf("gradients after an update: %v, want zeros", g)
	}
	for i, want := range []float64{.89, -1.88, 2.87, .9, -1.9, 2.9} {
		near(t, "theta", float64(theta[i]), want, 1e-6)
	}
}

func TestClip(t *testing.T) {
	a := optim.NewAdamW(optim.Config{}, []gpt.Tensor{{Name: "w", Shape: []int{1}}, {Name: "b", Shape: []int{1}, Offset: 1}})
	near(t, "norm", a.GradNorm([]float32{3, 4}), 5, 1e-12)
	near(t, "scale", optim.ClipScale(5, 1), 1/(5+1e-6), 1e-12)
	for _, max := range []float64{0, 5.1} {
		if got := optim.ClipScale(5, max); got != 1 {
			t.Errorf("clip to %v: got %v, want 1", max, got)
		}
	}
}

func TestSchedules(t *testing.T) {
	tests := []struct {
		s    optim.Schedule
		step int
		want float64
	}{
		{optim.Schedule{Name: "constant", Peak: 2, Warmup: 10, Total: 100}, 0, .2},
		{optim.Schedule{Name: "constant", Peak: 2, Warmup: 10, Total: 100}, 99, 2},
		{optim.Schedule{Name: "linear", Peak: 2, Total: 100}, 0, 2},
		{optim.Schedule{Name: "linear", Peak: 2, Total: 100}, 50, 1},
		{optim.Schedule{Name: "linear", Peak: 2, Total: 100}, 100, 0},
		{optim.Schedule{Name: "cosine", Peak: 2, Floor: .1, Total: 100}, 50, 1.1},
		{optim.Schedule{Name: "cosine", Peak: 2, Floor: .1, Total: 100}, 100, .2},
		{optim.Schedule{Name: "cosine", Peak: 1, Total: 4}, 1, .8535533906},
	}
	for _, test := range tests {
		if got := test.s.LR(test.step); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%+v at %d: got %v, want %v", test.s, test.step, got, test.want)
		}
	}
}

func TestCheckFiniteNamesTheParameter(t *testing.T) {
	tensors := []gpt.Tensor{{Name: "a", Shape: []int{2}}, {Name: "b", Shape: []int{2}, Offset: 2}}
	g := []float32{1, 2, 3, float32(math.NaN())}
	err := optim.CheckFinite("sft", 7, 1, optim.NewAdamW(optim.Config{}, tensors).GradNorm(g), tensors, g)
	if err == nil || !strings.Contains(err.Error(), "sft: step 7: gradient of b is NaN") {
		t.Errorf("got %v", err)
	}
	if err := optim.CheckFinite("sft", 7, math.Inf(1), 1, tensors, g); err == nil {
		t.Error("an infinite loss passed")
	}
	if err := optim.CheckFinite("sft", 7, 1, 1, tensors, g); err != nil {
		t.Error(err)
	}
}
