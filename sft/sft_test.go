package sft_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rlhf/gpt"
	"rlhf/internal/checkpoint"
	"rlhf/internal/kernel"
	"rlhf/internal/rng"
	"rlhf/sft"
)

func tiny(t testing.TB) *gpt.Model {
	t.Helper()
	m, err := gpt.New(gpt.Config{VocabSize: 12, NPositions: 16, NEmbd: 16, NLayer: 1, NHead: 2, LayerNormEpsilon: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	return m
}

// copying returns prompts of random tokens whose completion repeats them: to be learnt by looking back.
func copying(n int, seed uint64) sft.Examples {
	r := rng.New(seed, "test/copy", 0)
	var out sft.Examples
	for range n {
		k := 2 + r.IntN(3)
		var prompt []int32
		for range k {
			prompt = append(prompt, int32(r.IntN(10)))
		}
		tokens := append(append(append([]int32{}, prompt...), 10), prompt...)
		out = append(out, sft.After(k+1, append(tokens, 11)))
	}
	return out
}

func config() sft.Config {
	c := sft.DefaultConfig()
	c.NumTrainEpochs, c.BatchSize, c.LR, c.WarmupSteps, c.LoggingSteps, c.EvalSteps, c.SaveSteps = 2, 8, 1e-2, 2, 3, 10, 7
	return c
}

var quiet = slog.New(slog.DiscardHandler)

// A uniform model has a loss of ln V a token, whatever is to be learnt: by hand.
func TestLossOfUniformModel(t *testing.T) {
	m, err := gpt.New(tiny(t).Config)
	if err != nil {
		t.Fatal(err)
	}
	got, err := sft.Loss(context.Background(), m, copying(50, 1))
	if err != nil {
		t.Fatal(err)
	}
	if want := math.Log(12); math.Abs(got-want) > 1e-6 {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLearns(t *testing.T) {
	c := config()
	c.NumTrainEpochs, c.BatchSize, c.LR = 30, 32, 5e-3
	r, err := sft.Train(context.Background(), c, tiny(t), sft.Task{Train: copying(400, 1), Eval: copying(50, 2)}, checkpoint.Run{Dir: t.TempDir()}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if r.EvalLoss > .5 || r.Steps != 390 {
		t.Errorf("loss %v after %d steps; a model that learns to copy gets below .5", r.EvalLoss, r.Steps)
	}
}

// The completion alone is learnt: what follows in the prompt has no part in the gradient.
func TestPromptIsNotLearnt(t *testing.T) {
	c := config()
	c.NumTrainEpochs, c.LR, c.BatchSize = 60, 3e-2, 4
	m := tiny(t)
	data := sft.Examples{sft.After(3, []int32{1, 2, 3, 4})}
	if _, err := sft.Train(context.Background(), c, m, sft.Task{Train: data}, checkpoint.Run{Dir: t.TempDir()}, quiet); err != nil {
		t.Fatal(err)
	}
	for first, limit := range map[int][2]float64{3: {0, .05}, 1: {1.5, 100}} {
		b := gpt.Batch{}
		b.Append(data[0].Tokens, gpt.NextTokens(data[0].Tokens, first))
		out, err := gpt.NewPass(m).Evaluate(b)
		if err != nil {
			t.Fatal(err)
		}
		at := 2
		if first == 1 {
			at = 0
		}
		if nll := -float64(out.Logprobs[at]); nll < limit[0] || nll > limit[1] {
			t.Errorf("token after position %d: %v nats, expected %v to %v", at, nll, limit[0], limit[1])
		}
	}
}

var times = regexp.MustCompile(`"time/[^,}]*`)

// bytesOf returns every file below dir that two equal runs must share, without times.
func bytesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		if strings.HasSuffix(name, "metrics.jsonl") {
			raw = times.ReplaceAll(raw, nil)
		}
		files[name] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d files, want %d", what, len(got), len(want))
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: %s differs", what, name)
		}
	}
}

func TestSameBytesForAnyThreadsAndResumed(t *testing.T) {
	train, eval := copying(100, 1), copying(20, 2)
	whole := t.TempDir()
	if _, err := sft.Train(context.Background(), config(), tiny(t), sft.Task{Train: train, Eval: eval}, checkpoint.Run{Dir: whole}, quiet); err != nil {
		t.Fatal(err)
	}
	want := bytesOf(t, whole)
	defer kernel.SetThreads(kernel.Threads())
	kernel.SetThreads(1)
	single := t.TempDir()
	if _, err := sft.Train(context.Background(), config(), tiny(t), sft.Task{Train: train, Eval: eval}, checkpoint.Run{Dir: single}, quiet); err != nil {
		t.Fatal(err)
	}
	same(t, "one thread", bytesOf(t, single), want)
	for _, stop := range []int{1, 7, 12, 25} {
		dir := t.TempDir()
		ctx := &stopAfter{Context: context.Background(), left: stop}
		_, err := sft.Train(ctx, config(), tiny(t), sft.Task{Train: train, Eval: eval}, checkpoint.Run{Dir: dir}, quiet)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped after %d: %v", stop, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "model")); err == nil {
			t.Error("an interrupted run left a final model")
		}
		if _, err := sft.Train(context.Background(), config(), tiny(t), sft.Task{Train: train, Eval: eval}, checkpoint.Run{Dir: dir, Resume: true}, quiet); err != nil {
			t.Fatal(err)
		}
		got := bytesOf(t, dir)
		for name := range got { // which checkpoints remain depends on where the run stopped
			if strings.HasPrefix(name, "checkpoints") && want[name] == "" {
				delete(got, name)
			}
		}
		for name := range want {
			if _, ok := got[name]; !ok && strings.HasPrefix(name, "checkpoints") {
				got[name] = want[name]
			}
		}
		same(t, "resumed", got, want)
		if !bytes.Contains([]byte(got["metrics.jsonl"]), []byte("eval/loss")) {
			t.Error("no evaluation in the metrics")
		}
	}
}

// stopAfter is a context that ends after being asked a number of times.
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

func TestRefusals(t *testing.T) {
	ok := copying(3, 1)
	tests := []struct {
		name   string
		change func(*sft.Config)
		train  sft.Examples
		want   string
	}{
		{"batch size", func(c *sft.Config) { c.BatchSize = 0 }, ok, "batch_size: must be at least 1 (got 0)"},
		{"scheduler", func(c *sft.Config) { c.LRScheduler = "cos" }, ok, `lr_scheduler: must be one of constant, linear, cosine (got "cos")`},
		{"nan", func(c *sft.Config) { c.LR = math.NaN() }, ok, "lr: must be from 0 to 10"},
		{"no data", func(*sft.Config) {}, nil, "no training examples"},
		{"too long", func(*sft.Config) {}, sft.Examples{{Tokens: make([]int32, 17)}}, "training example 0: 17 tokens, the model takes 16"},
		{"nothing to learn", func(*sft.Config) {}, sft.Examples{sft.After(2, []int32{1, 2})}, "training example 0: 2 tokens, none of which is to be learnt"},
		{"bad id", func(*sft.Config) {}, sft.Examples{{Tokens: []int32{1, 12}}}, "id 12, the vocabulary has 12"},
	}
	for _, test := range tests {
		c := config()
		test.change(&c)
		_, err := sft.Train(context.Background(), c, tiny(t), sft.Task{Train: test.train}, checkpoint.Run{Dir: t.TempDir()}, quiet)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}
