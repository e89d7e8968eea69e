package ppo

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rlhf/gpt"
	"rlhf/gpt/hf"
	"rlhf/internal/checkpoint"
	"rlhf/internal/kernel"
	"rlhf/internal/metrics"
	"rlhf/internal/rng"
)

func load(t *testing.T, name string) *gpt.Model {
	t.Helper()
	m, err := hf.Load(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGolden follows one PPO step made with PyTorch and transformers (testdata/ppo.json says how) from
// log-probs to gradients.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/ppo.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Temperature, Gamma, Lam, Cliprange             float64
		KLCoef                                         float64 `json:"kl_coef"`
		ClipRangeValue                                 float64 `json:"cliprange_value"`
		Queries, Responses                             [][]int32
		Scores                                         []float64
		Logprobs, Values, Rewards, Advantages, Returns [][]float64
		RefLogprobs                                    [][]float64 `json:"ref_logprobs"`
		Whitened                                       []float64
		NewLogprobs                                    []float64 `json:"new_logprobs"`
		PGLoss                                         float64   `json:"pg_loss"`
		VFLoss                                         float64   `json:"vf_loss"`
		Entropy, ApproxKL                              float64
		PGClipfrac                                     float64 `json:"pg_clipfrac"`
		VFClipfrac                                     float64 `json:"vf_clipfrac"`
		ObjectiveKL                                    float64 `json:"objective_kl"`
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.Temperature, c.Gamma, c.Lam, c.ClipRange, c.ClipRangeValue, c.VFCoef = want.Temperature, want.Gamma, want.Lam, want.Cliprange, want.ClipRangeValue, 1
	policy, value := load(t, "policy"), load(t, "value")
	r := &run{c: c, m: Models{Policy: policy, Value: value}, loss: newLoss(c),
		policy: gpt.NewPass(policy), value: gpt.NewPass(value), ref: gpt.NewPass(load(t, "ref")),
		dpolicy: make([]float32, len(policy.Theta)), dvalue: make([]float32, len(value.Theta))}

	episodes := make([]episode, len(want.Queries))
	for i := range episodes {
		episodes[i] = episode{query: want.Queries[i], response: want.Responses[i], score: want.Scores[i]}
	}
	old, err := gpt.NewPass(load(t, "old")).Evaluate(pack(episodes, c.Temperature))
	if err != nil {
		t.Fatal(err)
	}
	row := 0
	for i := range episodes {
		e := &episodes[i]
		from := row + e.first()
		e.logprobs = widen(old.Logprobs[from : from+len(e.response)])
		row += len(e.query) + len(e.response)
	}
	if err := r.readReference(episodes); err != nil {
		t.Fatal(err)
	}
	for i := range episodes {
		nearAll(t, "logprobs", episodes[i].logprobs, want.Logprobs[i], 1e-5)
		nearAll(t, "reference", episodes[i].refLogprobs, want.RefLogprobs[i], 1e-5)
	}
	// testdata/value is the network after the old values were read, so these come from the file
	for i := range episodes {
		episodes[i].values = want.Values[i]
	}
	r.advantages(episodes, want.KLCoef)
	var whitened []float64
	kl := 0.0
	for i := range episodes {
		nearAll(t, "rewards", episodes[i].rewards, want.Rewards[i], 1e-5)
		nearAll(t, "returns", episodes[i].returns, want.Returns[i], 2e-5)
		whitened = append(whitened, episodes[i].advantages...)
		kl += episodes[i].kl() / float64(len(episodes))
	}
	nearAll(t, "whitened advantages", whitened, want.Whitened, 5e-5)
	near(t, "objective/kl", kl, want.ObjectiveKL, 1e-5)

	stats, err := r.gradient(episodes)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "policy loss", stats.policyLoss, want.PGLoss, 2e-5)
	near(t, "value loss", stats.valueLoss, want.VFLoss, 2e-5)
	near(t, "entropy", stats.entropy, want.Entropy, 2e-5)
	near(t, "approxkl", stats.approxKL, want.ApproxKL, 2e-6)
	near(t, "clipfrac", stats.clipFrac, want.PGClipfrac, 1e-6)
	near(t, "value clipfrac", stats.valueClipFrac, want.VFClipfrac, 1e-6)
	for name, got := range map[string][]float32{"policy": r.dpolicy, "value": r.dvalue} {
		checkGrads(t, load(t, name).Config, got, filepath.Join("testdata", name, "grads.safetensors"))
	}
}

// checkGrads compares gradients tensor by tensor: the norm of the difference against the norm expected.
func checkGrads(t *testing.T, c gpt.Config, dtheta []float32, path string) {
	t.Helper()
	grads, err := hf.ReadSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, g := range grads {
		for _, p := range c.Tensors() {
			if p.Name != g.Name {
				continue
			}
			found[g.Name] = true
			diff, norm := 0.0, 0.0
			for i, want := range g.Data {
				d := float64(dtheta[p.Offset+i]) - float64(want)
				diff, norm = diff+d*d, norm+float64(want)*float64(want)
			}
			if !(math.Sqrt(diff) <= 1e-4*math.Sqrt(norm)+1e-7) {
				t.Errorf("%s: %s off by %g of %g", path, g.Name, math.Sqrt(diff), math.Sqrt(norm))
			}
		}
	}
	if len(found) != len(c.Tensors()) {
		t.Errorf("%s: %d golden gradients for %d tensors", path, len(found), len(c.Tensors()))
	}
}

func tiny(t testing.TB, labels int) *gpt.Model {
	t.Helper()
	m, err := gpt.New(gpt.Config{VocabSize: 12, NPositions: 20, NEmbd: 16, NLayer: 1, NHead: 2, NLabels: labels, LayerNormEpsilon: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	r := rng.New(2, "test/theta", uint64(labels))
	for i := range m.Theta {
		m.Theta[i] += float32(.05 * r.NormFloat64())
	}
	m.Changed()
	return m
}

func models(t testing.TB) Models {
	p := tiny(t, 0)
	return Models{Policy: p, Ref: p.Clone(), Value: tiny(t, 1)}
}

// sevens scores a sequence by its sevens.
type sevens struct{}

func (sevens) Scores(_ context.Context, sequences [][]int32) ([]float32, error) {
	out := make([]float32, len(sequences))
	for i, s := range sequences {
		for _, token := range s {
			if token == 7 {
				out[i]++
			}
		}
	}
	return out, nil
}

// ragged returns queries of 1 to 6 tokens, without a seven.
func ragged(n int) (out [][]int32) {
	r := rng.New(5, "test/queries", 0)
	for range n {
		q := []int32{int32(r.IntN(7))}
		for range r.IntN(6) {
			q = append(q, int32(r.IntN(7)))
		}
		out = append(out, q)
	}
	return out
}

func task() Task { return Task{Queries: ragged(40), StopToken: 11, Scorer: sevens{}} }

func config() Config {
	c := DefaultConfig()
	c.TotalEpisodes, c.BatchSize, c.NMinibatches, c.NOptEpochs, c.LR, c.ValueLR, c.WarmupSteps = 32*6, 32, 2, 2, 1e-3, 1e-3, 0
	c.Temperature, c.ResponseLength, c.SaveSteps, c.EMADecay, c.KLController = .7, 10, 2, .9, "adaptive"
	return c
}

var quiet = slog.New(slog.DiscardHandler)

func records(t *testing.T, dir string) []metrics.Record {
	t.Helper()
	out, err := metrics.Read(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The sampler's log-probs are the trainer's bits: in the first minibatch of every
// batch the ratio is exactly 1, with ragged queries, stops and a temperature.
func TestFirstRatioIsExactlyOne(t *testing.T) {
	dir := t.TempDir()
	if _, err := Train(context.Background(), config(), models(t), task(), checkpoint.Run{Dir: dir}, quiet); err != nil {
		t.Fatal(err)
	}
	for _, r := range records(t, dir) {
		if got := r.Values["ppo/policy/first_ratio_deviation"]; got != 0 {
			t.Errorf("step %d: the ratio is off by %g", r.Step, got)
		}
		if r.Values["ppo/policy/approxkl"] == 0 {
			t.Errorf("step %d: the policy did not move after the first minibatch", r.Step)
		}
	}
}

func TestLearnsAndHoldsTheTarget(t *testing.T) {
	c := config()
	c.TotalEpisodes, c.BatchSize, c.LR, c.ValueLR, c.EMADecay = 64*120, 64, 3e-3, 3e-3, 0
	c.KLCoef, c.KLTarget, c.KLHorizon = .1, 2, 500
	dir := t.TempDir()
	if _, err := Train(context.Background(), c, models(t), task(), checkpoint.Run{Dir: dir}, quiet); err != nil {
		t.Fatal(err)
	}
	all := records(t, dir)
	mean := func(r []metrics.Record, key string) (sum float64) {
		for _, x := range r {
			sum += x.Values[key] / float64(len(r))
		}
		return sum
	}
	first, last := all[:1], all[len(all)-20:]
	if a, b := mean(first, "objective/score"), mean(last, "objective/score"); b < a+1 {
		t.Errorf("score went from %.2f to %.2f", a, b)
	}
	if kl := mean(last, "objective/kl"); math.Abs(kl-2) > .6 {
		t.Errorf("kl settled at %.2f, the target is 2", kl)
	}
}

// Settings that must each change what is learnt.
func TestEverySettingMatters(t *testing.T) {
	final := func(change func(*Config)) string {
		c := config()
		c.TotalEpisodes = 64
		change(&c)
		dir := t.TempDir()
		if _, err := Train(context.Background(), c, models(t), task(), checkpoint.Run{Dir: dir}, quiet); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "model", "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	base := final(func(*Config) {})
	for name, change := range map[string]func(*Config){
		"lr": func(c *Config) { c.LR *= 2 }, "value_lr": func(c *Config) { c.ValueLR *= 20 }, "lr_scheduler": func(c *Config) { c.LRScheduler = "linear" },
		"warmup_steps": func(c *Config) { c.WarmupSteps = 4 }, "adam_beta1": func(c *Config) { c.AdamBeta1 = .5 }, "adam_beta2": func(c *Config) { c.AdamBeta2 = .5 },
		"adam_epsilon": func(c *Config) { c.AdamEpsilon = 1e-2 }, "weight_decay": func(c *Config) { c.WeightDecay = .5 },
		"max_grad_norm": func(c *Config) { c.MaxGradNorm = 1e-3 }, "ema_decay": func(c *Config) { c.EMADecay = 0 }, "kl_coef": func(c *Config) { c.KLCoef = 5 },
		"gamma": func(c *Config) { c.Gamma = .5 }, "lam": func(c *Config) { c.Lam = .1 }, "cliprange": func(c *Config) { c.ClipRange = 1e-4 },
		"cliprange_value": func(c *Config) { c.ClipRangeValue = 1e-5 }, "vf_coef": func(c *Config) { c.VFCoef = 0 }, "ent_coef": func(c *Config) { c.EntCoef = 1 },
		"whiten_advantages": func(c *Config) { c.WhitenAdvantages = false }, "scale_rewards": func(c *Config) { c.ScaleRewards = true },
		"response_length": func(c *Config) { c.ResponseLength = 5 }, "temperature": func(c *Config) { c.Temperature = 1 },
		"missing_eos": func(c *Config) { c.MissingEOS, c.MissingEOSValue = "subtract", 5 }, "seed": func(c *Config) { c.Seed = 9 },
		"nminibatches": func(c *Config) { c.NMinibatches = 4 }, "noptepochs": func(c *Config) { c.NOptEpochs = 1 },
	} {
		if final(change) == base {
			t.Errorf("%s: the policy is the same", name)
		}
	}
}

// equalFiles returns what equal runs must share, times aside.
func equalFiles(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"model/model.safetensors", "checkpoints/step-00000006/value/model.safetensors",
		"checkpoints/step-00000006/optimizer.safetensors", "checkpoints/step-00000006/state.json", "checkpoints/step-00000006/manifest.json"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(raw)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		line, _, _ = strings.Cut(line, `,"time/`)
		b.WriteString(line)
	}
	return b.String()
}

type stopAfter struct {
	context.Context
	left *int
}

func (s stopAfter) Err() error {
	if *s.left--; *s.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestSameBytesForAnyThreadsAndResumed(t *testing.T) {
	whole := t.TempDir()
	if _, err := Train(context.Background(), config(), models(t), task(), checkpoint.Run{Dir: whole}, quiet); err != nil {
		t.Fatal(err)
	}
	want := equalFiles(t, whole)
	defer kernel.SetThreads(kernel.Threads())
	kernel.SetThreads(1) // the counting context below is for one goroutine
	for _, stop := range []int{1, 20, 40} {
		dir := t.TempDir()
		left := stop
		_, err := Train(stopAfter{context.Background(), &left}, config(), models(t), task(), checkpoint.Run{Dir: dir}, quiet)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped after %d: %v", stop, err)
		}
		if _, err := Train(context.Background(), config(), models(t), task(), checkpoint.Run{Dir: dir, Resume: true}, quiet); err != nil {
			t.Fatal(err)
		}
		if equalFiles(t, dir) != want {
			t.Errorf("stopped after %d: the resumed run differs", stop)
		}
	}
}

type broken struct{}

func (broken) Scores(context.Context, [][]int32) ([]float32, error) {
	return []float32{float32(math.NaN())}, nil
}

func TestRefusals(t *testing.T) {
	for want, change := range map[string]func(*Config, *Models, *Task){
		"no queries": func(_ *Config, _ *Models, task *Task) { task.Queries = nil },
		"query 0: 15 tokens and a response of up to 10, the models take 1 to 20": func(_ *Config, _ *Models, task *Task) { task.Queries = [][]int32{make([]int32, 15)} },
		"missing_eos: replace needs a stop token":                                func(c *Config, _ *Models, task *Task) { c.MissingEOS, task.StopToken = "replace", -1 },
		"value network: must have a score head":                                  func(_ *Config, m *Models, _ *Task) { m.Value = m.Ref },
		"1 scores for 32 responses":                                              func(_ *Config, _ *Models, task *Task) { task.Scorer = broken{} },
	} {
		c, m, task := config(), models(t), task()
		change(&c, &m, &task)
		if _, err := Train(context.Background(), c, m, task, checkpoint.Run{Dir: t.TempDir()}, quiet); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
