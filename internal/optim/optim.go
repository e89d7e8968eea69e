// Package optim updates parameters from gradients: AdamW, gradient clipping and
// learning-rate schedules, over the flat parameters of a gpt.Model. It knows no
// loss and no loop. Every result is the same bits for any number of threads.
package optim

import (
	"fmt"
	"math"

	"rlhf/gpt"
	"rlhf/internal/kernel"
)

// Config holds AdamW's constants (Loshchilov & Hutter, arXiv:1711.05101).
type Config struct {
	Beta1, Beta2 float64 // decay of the moments, each in [0, 1)
	Eps          float64 // added to the root of the second moment
	WeightDecay  float64 // decoupled, times the learning rate; only tensors with Decay
}

// AdamW is the optimizer's state for one model. It may not be used concurrently.
type AdamW struct {
	Config
	M, V []float32 // (NumParams) first and second moments
	Step int       // updates made so far

	spans []span
	sums  []float64 // (spans)
	team  kernel.Team

	// the update or norm in work
	theta, dtheta     []float32
	step              kernel.AdamWStep
	decay             float32 // Keep of the tensors with Decay
	updateRun, sumRun func(worker, task int)
}

// span is a run of elements of one tensor that one goroutine updates at once.
type span struct {
	from, to int
	decay    bool
}

// spanSize bounds the elements of a span.
const spanSize = 1 << 15

// NewAdamW returns an optimizer with zero moments for parameters laid out as tensors.
func NewAdamW(c Config, tensors []gpt.Tensor) *AdamW {
	last := tensors[len(tensors)-1]
	n := last.Offset + last.Size()
	a := &AdamW{Config: c, M: make([]float32, n), V: make([]float32, n)}
	for _, tensor := range tensors {
		end := tensor.Offset + tensor.Size()
		for i := tensor.Offset; i < end; i += spanSize {
			a.spans = append(a.spans, span{i, min(i+spanSize, end), tensor.Decay})
		}
	}
	a.sums = make([]float64, len(a.spans))
	a.updateRun, a.sumRun = a.updateSpan, a.sumSpan
	return a
}

// Update makes one step of torch.optim.AdamW's formula with learning rate lr:
// m and v are the moving means of g and g², θ := θ(1 − lr·wd) − lr·m̂/(√v̂ + ε).
// The gradient counts gradScale times, as ClipScale gives it, and is zero
// afterwards, ready for the next step to add to. The caller calls the model's
// Changed then.
func (a *AdamW) Update(theta, dtheta []float32, lr, gradScale float64) {
	a.Step++
	t := float64(a.Step)
	a.step = kernel.AdamWStep{
		GradScale: float32(gradScale), Beta1: float32(a.Beta1), Beta2: float32(a.Beta2),
		StepSize:   float32(lr / (1 - math.Pow(a.Beta1, t))),
		RsqrtBias2: float32(1 / math.Sqrt(1-math.Pow(a.Beta2, t))),
		Eps:        float32(a.Eps),
	}
	a.theta, a.dtheta, a.decay = theta, dtheta, float32(1-lr*a.WeightDecay)
	a.each(&a.updateRun)
}

func (a *AdamW) updateSpan(_, k int) {
	s, step := a.spans[k], a.step
	step.Keep = 1
	if s.decay {
		step.Keep = a.decay
	}
	kernel.AdamW(a.theta[s.from:s.to], a.M[s.from:s.to], a.V[s.from:s.to], a.dtheta[s.from:s.to], step)
}

// GradNorm returns the Euclidean norm of all gradients together.
func (a *AdamW) GradNorm(dtheta []float32) float64 {
	a.dtheta = dtheta
	a.each(&a.sumRun)
	total := 0.0
	for _, s := range a.sums {
		total += s
	}
	return math.Sqrt(total)
}

func (a *AdamW) sumSpan(_, k int) {
	s := a.spans[k]
	a.sums[k] = kernel.SumSquares(a.dtheta[s.from:s.to])
}

// each calls *run for every span on as many goroutines as run kernels.
func (a *AdamW) each(run *func(worker, task int)) {
	a.team.Start(min(kernel.Threads(), len(a.spans)))
	defer a.team.Stop()
	a.team.Each(len(a.spans), run)
}

// ClipScale returns the factor that brings gradients of a norm down to max, as
// torch.nn.utils.clip_grad_norm_: max/(norm+1e-6) if that is below 1, else 1.
// A max of 0 does not clip.
func ClipScale(norm, max float64) float64 {
	if max <= 0 {
		return 1
	}
	return math.Min(1, max/(norm+1e-6))
}

// CheckFinite returns an error if the loss or the gradient norm is NaN or
// infinite. It names stage, step and, for a gradient, the first bad parameter.
func CheckFinite(stage string, step int, loss, norm float64, tensors []gpt.Tensor, dtheta []float32) error {
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("%s: step %d: loss is %v", stage, step, loss)
	}
	if !math.IsNaN(norm) && !math.IsInf(norm, 0) {
		return nil
	}
	for _, t := range tensors {
		for _, g := range dtheta[t.Offset : t.Offset+t.Size()] {
			if g != g || math.IsInf(float64(g), 0) {
				return fmt.Errorf("%s: step %d: gradient of %s is %v", stage, step, t.Name, g)
			}
		}
	}
	return fmt.Errorf("%s: step %d: gradient norm is %v", stage, step, norm)
}

// Schedules lists the names a Schedule may have.
var Schedules = []string{"constant", "linear", "cosine"}

// Schedule gives the learning rate of each step.
type Schedule struct {
	Name   string  // one of Schedules; linear and cosine fall to Floor times Peak at step Total
	Peak   float64 // reached after the warm-up
	Floor  float64 // share of Peak at the end, 0 to 1
	Warmup int     // steps of linear rise: step 0 has Peak/Warmup
	Total  int     // steps of the run
}

// LR returns the learning rate of a step, counted from 0.
func (s Schedule) LR(step int) float64 {
	if step < s.Warmup {
		return s.Peak * float64(step+1) / float64(s.Warmup)
	}
	done := 1.0
	if s.Total > s.Warmup {
		done = math.Min(1, float64(step-s.Warmup)/float64(s.Total-s.Warmup))
	}
	switch s.Name {
	case "linear":
		return s.Peak * (s.Floor + (1-s.Floor)*(1-done))
	case "cosine":
		return s.Peak * (s.Floor + (1-s.Floor)*0.5*(1+math.Cos(math.Pi*done)))
	}
	return s.Peak
}
