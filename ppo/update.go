package ppo

import (
	"math"

	"rlhf/gpt"
	"rlhf/internal/objective"
	"rlhf/internal/optim"
)

// minibatchStats are means over the response tokens of one minibatch.
type minibatchStats struct {
	policyLoss, valueLoss, loss float64
	entropy, approxKL, clipFrac float64
	vpred, valueError           float64
	valueClipFrac               float64
	ratioDeviation              float64 // largest |ratio − 1|
}

func (s *minibatchStats) add(o minibatchStats, weight float64) {
	s.policyLoss += weight * o.policyLoss
	s.valueLoss += weight * o.valueLoss
	s.loss += weight * o.loss
	s.entropy += weight * o.entropy
	s.approxKL += weight * o.approxKL
	s.clipFrac += weight * o.clipFrac
	s.vpred += weight * o.vpred
	s.valueError += weight * o.valueError
	s.valueClipFrac += weight * o.valueClipFrac
	s.ratioDeviation = math.Max(s.ratioDeviation, o.ratioDeviation)
}

// gradient adds the gradients of the minibatch's loss to dpolicy and dvalue. The
// minibatch is worked through in parts; every mean is over all of its response
// tokens, whatever the parts.
func (r *run) gradient(minibatch []episode) (minibatchStats, error) {
	tokens := 0
	for i := range minibatch {
		tokens += len(minibatch[i].response)
	}
	var stats minibatchStats
	start := 0
	for _, end := range gpt.Cuts(lengths(minibatch), r.micro) {
		part, err := r.gradientOf(minibatch[start:end], 1/float64(tokens))
		if err != nil {
			return stats, err
		}
		stats.add(part, 1)
		start = end
	}
	return stats, nil
}

// gradientOf does so for some episodes, each response token having the given weight.
func (r *run) gradientOf(episodes []episode, weight float64) (stats minibatchStats, err error) {
	b := pack(episodes, r.c.Temperature)
	policy, err := r.policy.Forward(b)
	if err != nil {
		return stats, err
	}
	value, err := r.value.Forward(packValues(episodes))
	if err != nil {
		return stats, err
	}
	leaves, rows := leavesOf(episodes, policy, value, weight)
	result, err := r.loss.Evaluate(leaves)
	if err != nil {
		return stats, err
	}
	N := len(b.Tokens)
	dlogprobs, dentropy, dvalues := make([]float32, N), make([]float32, N), make([]float32, N)
	for k, n := range rows {
		dlogprobs[n] = float32(result.Grads["logprobs"][k])
		dentropy[n] = float32(result.Grads["entropy"][k])
		dvalues[n] = float32(result.Grads["values"][k])
	}
	d := gpt.Outputs{Logprobs: dlogprobs}
	if r.c.EntCoef > 0 {
		d.Entropy = dentropy
	}
	if err := r.policy.Backward(d, r.dpolicy); err != nil {
		return stats, err
	}
	if err := r.value.Backward(gpt.Outputs{Values: dvalues}, r.dvalue); err != nil {
		return stats, err
	}
	return r.measure(leaves, result, weight), nil
}

// leavesOf returns the loss's inputs over the response tokens of episodes, and the row of the batch each stands in.
func leavesOf(episodes []episode, policy, value gpt.Outputs, weight float64) (leaves map[string][]float64, rows []int) {
	leaves = map[string][]float64{}
	push := func(name string, x ...float64) { leaves[name] = append(leaves[name], x...) }
	row := 0
	for i := range episodes {
		e := &episodes[i]
		from := row + e.first()
		for t := range e.response {
			rows = append(rows, from+t)
			push("weights", weight)
		}
		to := from + len(e.response)
		push("logprobs", widen(policy.Logprobs[from:to])...)
		push("entropy", widen(policy.Entropy[from:to])...)
		push("values", widen(value.Values[from:to])...)
		push("oldLogprobs", e.logprobs...)
		push("oldValues", e.values...)
		push("advantages", e.advantages...)
		push("returns", e.returns...)
		row += len(e.query) + len(e.response)
	}
	return leaves, rows
}

// measure returns the statistics that are not differentiated beside the losses.
func (r *run) measure(leaves map[string][]float64, result objective.Result, weight float64) minibatchStats {
	s := minibatchStats{policyLoss: result.Also["policy"], valueLoss: result.Also["value"], loss: result.Loss, entropy: result.Also["entropy"]}
	for k := range leaves["weights"] {
		delta := leaves["logprobs"][k] - leaves["oldLogprobs"][k]
		ratio, advantage := math.Exp(delta), leaves["advantages"][k]
		v, old, target := leaves["values"][k], leaves["oldValues"][k], leaves["returns"][k]
		near := math.Max(old-r.c.ClipRangeValue, math.Min(old+r.c.ClipRangeValue, v))
		s.approxKL += weight * delta * delta / 2
		s.ratioDeviation = math.Max(s.ratioDeviation, math.Abs(ratio-1))
		if -advantage*clip(ratio, r.c.ClipRange) > -advantage*ratio {
			s.clipFrac += weight
		}
		s.vpred += weight * v
		s.valueError += weight * (v - target) * (v - target)
		if (near-target)*(near-target) > (v-target)*(v-target) {
			s.valueClipFrac += weight
		}
	}
	return s
}

func clip(ratio, by float64) float64 { return math.Max(1-by, math.Min(1+by, ratio)) }

// step makes one optimizer step of both networks from the accumulated gradients.
func (r *run) step(number int, loss float64, lr, valueLR float64) error {
	for _, n := range []struct {
		model  *gpt.Model
		adam   *optim.AdamW
		dtheta []float32
		lr     float64
	}{{r.m.Policy, r.policyAdam, r.dpolicy, lr}, {r.m.Value, r.valueAdam, r.dvalue, valueLR}} {
		norm := n.adam.GradNorm(n.dtheta)
		if err := optim.CheckFinite("ppo", number, loss, norm, n.model.Config.Tensors(), n.dtheta); err != nil {
			return err
		}
		n.adam.Update(n.model.Theta, n.dtheta, n.lr, optim.ClipScale(norm, r.c.MaxGradNorm))
		n.model.Changed()
	}
	if r.ema != nil {
		keep := float32(r.c.EMADecay)
		for i, x := range r.m.Policy.Theta {
			r.ema.Theta[i] = keep*r.ema.Theta[i] + (1-keep)*x
		}
	}
	return nil
}
