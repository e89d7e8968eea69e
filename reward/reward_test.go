package reward

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
	"rlhf/internal/rng"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: got %.9g, want %.9g", what, got, want)
	}
}

// Known numbers of four scores in order of preference, worked outside this code (guides/RLHF, "Known numbers").
func TestKnownLosses(t *testing.T) {
	scores := []float32{1.2, .4, .5, -.3}
	for _, test := range []struct {
		name  string
		ranks []int
		loss  float64
		dr    []float64
	}{
		{"all ordered", []int{1, 2, 3, 4}, .41573056, []float64{-.13737721, -.09112765, .09112765, .13737721}},
		{"two tied", []int{1, 2, 2, 3}, .34999734, nil},
	} {
		c := Comparison{Completions: [][]int32{{1}, {2}, {3}, {4}}, Ranks: test.ranks}
		p := pack([]Comparison{c}, 1)
		r, err := newLoss().Evaluate(p.leaves(scores))
		if err != nil {
			t.Fatal(err)
		}
		near(t, test.name, r.Loss, test.loss, 1e-7)
		dr := make([]float64, 4)
		for k, pair := range p.pairs {
			dr[pair[0]] += r.Grads["better"][k]
			dr[pair[1]] += r.Grads["worse"][k]
		}
		for i := range test.dr {
			near(t, test.name+" gradient", dr[i], test.dr[i], 1e-7)
		}
	}
}

// golden returns the comparisons of testdata/rm, made with PyTorch and transformers.
func golden(t *testing.T) (m *gpt.Model, comparisons []Comparison, want struct {
	Groups []struct {
		Ranks     []int
		Sequences [][]int32
		Scores    []float64
		Loss      float64
	}
	Loss, Accuracy float64
}) {
	t.Helper()
	raw, err := os.ReadFile("testdata/rm/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if m, err = hf.Load("testdata/rm"); err != nil {
		t.Fatal(err)
	}
	for _, g := range want.Groups {
		comparisons = append(comparisons, Comparison{Completions: g.Sequences, Ranks: g.Ranks})
	}
	return m, comparisons, want
}

func TestGolden(t *testing.T) {
	m, comparisons, want := golden(t)
	for i, g := range want.Groups {
		scores, err := (&Scorer{Model: m}).Scores(context.Background(), g.Sequences)
		if err != nil {
			t.Fatal(err)
		}
		for k := range scores {
			near(t, "score", float64(scores[k]), g.Scores[k], 1e-5)
		}
		loss, _, err := Evaluate(context.Background(), m, comparisons[i:i+1])
		if err != nil {
			t.Fatal(err)
		}
		near(t, "loss of a prompt", loss, g.Loss, 1e-5)
	}
	loss, accuracy, err := Evaluate(context.Background(), m, comparisons)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "accuracy", accuracy, want.Accuracy, 1e-12)
	tr := &trainer{pass: gpt.NewPass(m), loss: newLoss(), dtheta: make([]float32, len(m.Theta))}
	got, err := tr.gradient(comparisons)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "loss", loss, want.Loss, 1e-5)
	near(t, "loss in training", got.loss, want.Loss, 1e-5)
	grads, err := hf.ReadSafetensors("testdata/rm/grads.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	checkGrads(t, m, tr.dtheta, grads)
}

// checkGrads compares gradients tensor by tensor: the norm of the difference against the norm expected.
func checkGrads(t *testing.T, m *gpt.Model, dtheta []float32, grads []hf.NamedTensor) {
	t.Helper()
	if len(grads) != len(m.Config.Tensors()) {
		t.Fatalf("%d golden gradients for %d tensors", len(grads), len(m.Config.Tensors()))
	}
	for _, g := range grads {
		for _, p := range m.Config.Tensors() {
			if p.Name != g.Name {
				continue
			}
			diff, norm := 0.0, 0.0
			for i, want := range g.Data {
				d := float64(dtheta[p.Offset+i]) - float64(want)
				diff, norm = diff+d*d, norm+float64(want)*float64(want)
			}
			if !(math.Sqrt(diff) <= 1e-4*math.Sqrt(norm)+1e-7) {
				t.Errorf("%s: off by %g of %g", g.Name, math.Sqrt(diff), math.Sqrt(norm))
			}
		}
	}
}

// A batch in parts has the gradient of the whole: its means are over the batch's prompts.
func TestPartsHaveTheGradientOfTheWhole(t *testing.T) {
	m, comparisons, _ := golden(t)
	whole := &trainer{pass: gpt.NewPass(m), loss: newLoss(), dtheta: make([]float32, len(m.Theta))}
	if _, err := whole.gradient(comparisons); err != nil {
		t.Fatal(err)
	}
	parts := make([]float32, len(m.Theta))
	for _, c := range comparisons {
		p := pack([]Comparison{c}, len(comparisons))
		out, err := whole.pass.Forward(p.batch)
		if err != nil {
			t.Fatal(err)
		}
		r, err := whole.loss.Evaluate(p.leaves(out.Scores))
		if err != nil {
			t.Fatal(err)
		}
		d := make([]float32, len(out.Scores))
		for k, pair := range p.pairs {
			d[pair[0]] += float32(r.Grads["better"][k])
			d[pair[1]] += float32(r.Grads["worse"][k])
		}
		if err := whole.pass.Backward(gpt.Outputs{Scores: d}, parts); err != nil {
			t.Fatal(err)
		}
	}
	for i, g := range whole.dtheta {
		if math.Abs(float64(g-parts[i])) > 1e-5*(1+math.Abs(float64(g))) {
			t.Fatalf("gradient %d: %v in parts, %v whole", i, parts[i], g)
		}
	}
}

// guides/RLHF, "Known numbers": mean .4, deviation 1.6 to 0, 1.
func TestNormalise(t *testing.T) {
	gain, bias, err := Gain([]float64{-1.2, 2.0}, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "gain", gain, .625, 1e-12)
	near(t, "bias", bias, -.25, 1e-12)
	if _, _, err := Gain([]float64{1, 1}, 0, 1); err == nil {
		t.Error("scores that do not vary were normalised")
	}

	m, _, want := golden(t)
	var sequences [][]int32
	for _, g := range want.Groups {
		sequences = append(sequences, g.Sequences...)
	}
	s := &Scorer{Model: m}
	before, err := s.Scores(context.Background(), sequences)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float64, len(before))
	for i := range before {
		x[i] = float64(before[i])
	}
	if gain, bias, err = Gain(x, 2, 3); err != nil {
		t.Fatal(err)
	}
	if err := Normalise(m, gain, bias); err != nil {
		t.Fatal(err)
	}
	after, err := s.Scores(context.Background(), sequences)
	if err != nil {
		t.Fatal(err)
	}
	mean, std := Spread(after)
	near(t, "mean", mean, 2, 1e-4)
	near(t, "deviation", std, 3, 1e-4)
}

func tiny(t testing.TB) *gpt.Model {
	t.Helper()
	m, err := gpt.New(gpt.Config{VocabSize: 12, NPositions: 16, NEmbd: 16, NLayer: 1, NHead: 2, NLabels: 1, LayerNormEpsilon: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	InitHead(m, 1)
	return m
}

// sevens returns rankings by a labeler who counts the sevens.
func sevens(n int, seed uint64) (out []Comparison) {
	r := rng.New(seed, "test/sevens", 0)
	for range n {
		c := Comparison{Prompt: []int32{1}}
		for range 4 {
			var completion []int32
			count := 0
			for range 5 {
				token := int32(6 + r.IntN(3))
				completion = append(completion, token)
				if token == 7 {
					count++
				}
			}
			c.Completions, c.Ranks = append(c.Completions, completion), append(c.Ranks, 6-count)
		}
		out = append(out, c)
	}
	return out
}

func config() Config {
	c := DefaultConfig()
	c.NumTrainEpochs, c.BatchSize, c.LR, c.LoggingSteps, c.EvalSteps, c.SaveSteps = 2, 8, 3e-3, 3, 10, 5
	return c
}

var quiet = slog.New(slog.DiscardHandler)

func TestLearns(t *testing.T) {
	c := config()
	c.NumTrainEpochs = 6
	r, err := Train(context.Background(), c, tiny(t), sevens(200, 1), sevens(50, 2), checkpoint.Run{Dir: t.TempDir()}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if !(r.Accuracy > .95) {
		t.Errorf("accuracy %v on a preference that counts tokens", r.Accuracy)
	}
}

// final returns what equal runs must share.
func final(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"model/model.safetensors", "model/config.json"} {
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
		line, _, _ = strings.Cut(line, `"time/`)
		b.WriteString(line)
	}
	return b.String()
}

type stopAfter struct {
	context.Context
	left int
}

func (s *stopAfter) Err() error {
	if s.left--; s.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestResumeIsExact(t *testing.T) {
	train, eval := sevens(50, 1), sevens(10, 2)
	whole := t.TempDir()
	if _, err := Train(context.Background(), config(), tiny(t), train, eval, checkpoint.Run{Dir: whole}, quiet); err != nil {
		t.Fatal(err)
	}
	want := final(t, whole)
	for _, stop := range []int{1, 4, 9, 13} {
		dir := t.TempDir()
		_, err := Train(&stopAfter{context.Background(), stop}, config(), tiny(t), train, eval, checkpoint.Run{Dir: dir}, quiet)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped after %d: %v", stop, err)
		}
		if _, err := Train(context.Background(), config(), tiny(t), train, eval, checkpoint.Run{Dir: dir, Resume: true}, quiet); err != nil {
			t.Fatal(err)
		}
		if final(t, dir) != want {
			t.Errorf("stopped after %d steps: the resumed run differs", stop)
		}
	}
}

func TestRefusals(t *testing.T) {
	ok := sevens(2, 1)
	tie := []Comparison{{Completions: [][]int32{{1}, {2}}, Ranks: []int{1, 1}}}
	for _, test := range []struct {
		name   string
		change func(*Config)
		train  []Comparison
		want   string
	}{
		{"held out", func(c *Config) { c.HeldOut = 1 }, ok, "held_out: must be from 0 to 0.9 (got 1)"},
		{"nothing", func(*Config) {}, nil, "no training comparisons"},
		{"ties", func(*Config) {}, tie, "none of the 1 training comparisons prefers"},
		{"ranks", func(*Config) {}, []Comparison{{Completions: [][]int32{{1}}, Ranks: []int{1, 2}}}, "1 completions, 2 ranks"},
		{"long", func(*Config) {}, []Comparison{{Completions: [][]int32{make([]int32, 17)}, Ranks: []int{1}}}, "17 tokens with its prompt, the model takes 1 to 16"},
	} {
		c := config()
		test.change(&c)
		_, err := Train(context.Background(), c, tiny(t), test.train, nil, checkpoint.Run{Dir: t.TempDir()}, quiet)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}
