package ppo

import (
	"math"
	"strings"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: got %.9g, want %.9g", what, got, want)
	}
}

func nearAll(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		near(t, what, got[i], want[i], tolerance)
	}
}

// The numbers below come from the reference code by way of guides/RLHF, "Known numbers".
// Row 2's score stands one token past the response there, with one more value; that is
// our episode of four tokens of which the last has no log-ratio.
func TestRewardsAndGAE(t *testing.T) {
	for _, row := range []struct {
		logp, ref, values, rewards, adv, returns []float64
		score                                    float64
	}{
		{[]float64{-1, -.5, -2, -.7, -.3}, []float64{-1.1, -.6, -1.5, -.7, -.5}, []float64{.1, .2, .05, .3, .4},
			[]float64{-.005, -.005, .025, 0, .79}, []float64{.599332, .530876, .721975, .4705, .39}, []float64{.699332, .730876, .771975, .7705, .79}, .8},
		{[]float64{-.4, -1.2, -.9, 0}, []float64{-.4, -1.0, -1.4, 0}, []float64{0, -.1, .2, .15},
			[]float64{0, .01, -.025, -.5}, []float64{-.430481, -.347875, -.6925, -.65}, []float64{-.430481, -.447875, -.4925, -.5}, -.5},
	} {
		rewards := Rewards(row.logp, row.ref, row.score, .05)
		nearAll(t, "rewards", rewards, row.rewards, 1e-9)
		adv, returns := GAE(rewards, row.values, 1, .95)
		nearAll(t, "advantages", adv, row.adv, 1e-6)
		nearAll(t, "returns", returns, row.returns, 1e-6)
	}
	for i, want := range [][]float64{{.05, .05, 1.05}, {.1, .1, 2.1}, {.15, .15, 3.15}} {
		kl := []float64{-.1, -.2, -.3}[i]
		nearAll(t, "rewards of a constant kl", Rewards([]float64{kl, kl, kl}, []float64{0, 0, 0}, float64(i+1), .5), want, 1e-12)
	}
	r := []float64{0, 0, 0, 1}
	_, returns := GAE(r, r, .9, .95)
	nearAll(t, "returns, gamma .9", returns, []float64{.6579225, .7695, .9, 1}, 1e-7)
}

// (x−mean)·rsqrt(biased variance)+mean of 1.2 to 2.0, and its mean taken off for Whiten: whitening does not add the mean back.
func TestScaleAndWhiten(t *testing.T) {
	var x []float64
	for i := range 9 {
		x = append(x, 1.2+.1*float64(i))
	}
	want := []float64{.0508, .4381, .8254, 1.2127, 1.6, 1.9873, 2.3746, 2.7619, 3.1492}
	nearAll(t, "scale", Scale(x), want, 5e-5)
	for i := range want {
		want[i] -= 1.6
	}
	nearAll(t, "whiten", Whiten(x), want, 5e-5)
}

func TestAdaptKL(t *testing.T) {
	for kl, want := range map[float64]float64{3: .148464, 6: .15, 7: .15128, 12: .151536} {
		near(t, "kl_coef", AdaptKL(.15, kl, 6, 10000, 512), want, 1e-9)
	}
}

func TestKLEstimators(t *testing.T) {
	near(t, "k1", K1(.3), .3, 0)
	near(t, "k2", K2(.3), .045, 1e-12)
	near(t, "k3", K3(.3), .04081822, 1e-8)
}

func TestMissingEOS(t *testing.T) {
	for how, want := range map[string]float64{"none": 2, "replace": -1, "subtract": 3} {
		near(t, how, missingEOS(Config{MissingEOS: how, MissingEOSValue: -1}, 2), want, 0)
	}
}

// evaluate runs the loss on one token.
func evaluate(t *testing.T, c Config, logp, oldLogp, v, oldV, adv, ret, entropy float64) (loss, dlogp, dv, dentropy float64) {
	t.Helper()
	r, err := newLoss(c).Evaluate(map[string][]float64{"logprobs": {logp}, "entropy": {entropy}, "values": {v}, "oldLogprobs": {oldLogp},
		"oldValues": {oldV}, "advantages": {adv}, "returns": {ret}, "weights": {1}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Loss, r.Grads["logprobs"][0], r.Grads["values"][0], r.Grads["entropy"][0]
}

// One token at a time, by hand: inside and outside the clips, on either side, and
// exactly at ratio 1 and at the old value, where both branches of each maximum are equal.
func TestLossByHand(t *testing.T) {
	c := DefaultConfig()
	c.VFCoef, c.EntCoef = .5, .01
	for _, test := range []struct {
		name                    string
		ratio, v, oldV, adv     float64
		pg, vf, dlogp, dv, from float64
	}{
		{name: "first minibatch", ratio: 1, v: .3, oldV: .3, adv: 2, pg: -2, vf: .5 * .49, dlogp: -2, dv: -.7},
		{name: "first minibatch, bad", ratio: 1, v: .3, oldV: .3, adv: -2, pg: 2, vf: .5 * .49, dlogp: 2, dv: -.7},
		{name: "good, clipped", ratio: 1.5, v: .3, oldV: .2, adv: 2, pg: -2.4, vf: .5 * .49, dlogp: 0, dv: -.7},
		{name: "bad, not clipped above", ratio: 1.5, v: .3, oldV: .2, adv: -2, pg: 3, vf: .5 * .49, dlogp: 3, dv: -.7},
		{name: "bad, clipped", ratio: .5, v: 1.2, oldV: .3, adv: -2, pg: 1.6, vf: .5 * .25, dlogp: 0, dv: 0},
		{name: "value far below", ratio: 1, v: -.2, oldV: .3, adv: 2, pg: -2, vf: .5 * 1.44, dlogp: -2, dv: -1.2},
	} {
		loss, dlogp, dv, dentropy := evaluate(t, c, math.Log(test.ratio), 0, test.v, test.oldV, test.adv, 1, 3)
		near(t, test.name+": loss", loss, test.pg+.5*test.vf-.01*3, 1e-9)
		near(t, test.name+": d logprob", dlogp, test.dlogp, 1e-9)
		near(t, test.name+": d value", dv, .5*test.dv, 1e-9)
		near(t, test.name+": d entropy", dentropy, -.01, 1e-12)
	}
}

// Clip ranges too close to 1 to print differently must still be two: by hand, A = 2 at ratio 1 + 1e-6 is clipped at 1 + 1e-7.
func TestTinyClipRange(t *testing.T) {
	c := DefaultConfig()
	c.ClipRange, c.VFCoef = 1e-7, 0
	loss, dlogp, _, _ := evaluate(t, c, math.Log1p(1e-6), 0, 0, 0, 2, 0, 0)
	near(t, "loss", loss, -2*(1+1e-7), 1e-12)
	near(t, "d logprob", dlogp, 0, 1e-12)
	loss, dlogp, _, _ = evaluate(t, c, math.Log1p(-1e-6), 0, 0, 0, -2, 0, 0)
	near(t, "loss below", loss, 2*(1-1e-7), 1e-12)
	near(t, "d logprob below", dlogp, 0, 1e-12)
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"nminibatches: must divide batch_size 512 (got 7)":                   func(c *Config) { c.NMinibatches = 7 },
		"kl_controller: must be one of fixed, adaptive (got \"adaptative\")": func(c *Config) { c.KLController = "adaptative" },
		"lam: must be from 0 to 1 (got 1.1)":                                 func(c *Config) { c.Lam = 1.1 },
		"total_episodes: must be at least batch_size 512 (got 100)":          func(c *Config) { c.TotalEpisodes = 100 },
		"temperature: must be from 0.001 to 1000 (got 0)":                    func(c *Config) { c.Temperature = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}
