package hf_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"rlhf/gpt"
	"rlhf/gpt/hf"
)

// golden is golden.json of a directory that testdata/make.py made with PyTorch and transformers.
type golden struct {
	Tokens   []int32
	Logprobs [][]float64 // (T, V) of a language model
	Score    *float64    // of a reward model
}

// check compares a model with the golden numbers of dir. All tokens' log-probs show all logits but for one number a
// row. Both sides compute in float32 and order their sums differently: 2e-5 is some units of the last place of what
// they add.
func check(t *testing.T, dir string, m *gpt.Model) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	if (g.Score == nil) == (g.Logprobs == nil) || (g.Score != nil) != (m.Config.NLabels == 1) {
		t.Fatalf("golden numbers of another kind of model than %+v", m.Config)
	}
	const tolerance = 2e-5
	p := gpt.NewPass(m)
	if g.Score != nil {
		var b gpt.Batch
		b.Append(g.Tokens, nil)
		out, err := p.Evaluate(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(out.Scores[0]); math.Abs(got-*g.Score) > tolerance {
			t.Errorf("score %v, want %v", got, *g.Score)
		}
		return
	}
	for v := range m.Config.VocabSize {
		targets := make([]int32, len(g.Tokens))
		for i := range targets {
			targets[i] = int32(v)
		}
		var b gpt.Batch
		b.Append(g.Tokens, targets)
		out, err := p.Evaluate(b)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range out.Logprobs {
			if want := g.Logprobs[i][v]; math.Abs(float64(got)-want) > tolerance {
				t.Fatalf("position %d, token %d: log-prob %v, want %v", i, v, got, want)
			}
		}
	}
}

// Whatever file the weights stand in, and in whatever precision, the model computes what PyTorch computes, also after
// it was written and read again.
func TestGoldenDirectories(t *testing.T) {
	for _, dir := range []string{
		"sharded", "f16", "bf16", "f64", "own_head", "n_inner", "act_gelu", "act_relu", "act_silu", "score_num_labels",
		"bin_sharded", "bin_f16", "bin_bf16", "bin_score", "bin_legacy", "bin_views", "bin_views_legacy",
		"like_gpt2", "like_distilgpt2", "like_dialogpt",
	} {
		t.Run(dir, func(t *testing.T) {
			path := filepath.Join("testdata", dir)
			m, err := hf.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			check(t, path, m)
			files, err := hf.Files(m, hf.Extras{})
			if err != nil {
				t.Fatal(err)
			}
			if m, err = hf.Load(write(t, files)); err != nil {
				t.Fatal(err)
			}
			check(t, path, m)
		})
	}
}

// The checkpoints are of PyTorch modules with the names, layout and activation of minGPT and nanoGPT.
func TestGoldenMinGPT(t *testing.T) {
	m, d, err := hf.LoadMinGPT("testdata/mingpt/model.pt", hf.MinGPT{NHead: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !m.Config.OwnHead || m.Config.NPositions != 8 || d != (hf.Dropout{}) {
		t.Errorf("minGPT: %+v, %+v", m.Config, d)
	}
	check(t, "testdata/mingpt", m)
	for _, dir := range []string{"testdata/nanogpt", "testdata/nanogpt_no_bias"} {
		m, d, err := hf.LoadMinGPT(filepath.Join(dir, "ckpt.pt"), hf.MinGPT{})
		if err != nil {
			t.Fatal(err)
		}
		if m.Config.OwnHead || m.Config.NHead != 2 || m.Config.Activation != "gelu" || d != (hf.Dropout{Embd: .15, Attn: .15, Resid: .15}) {
			t.Errorf("%s: %+v, %+v", dir, m.Config, d)
		}
		check(t, dir, m)
	}
}
