package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"rlhf/gpt"
	"rlhf/gpt/hf"
	"rlhf/internal/checkpoint"
	"rlhf/internal/rng"
)

// ModelCheck is how a model that one side wrote fared with the other.
type ModelCheck struct {
	Name       string   `json:"name"`
	Difference float64  `json:"difference"` // the largest of two log-probs or scores
	Warnings   []string `json:"warnings"`   // all that the reader said
}

// prediction is expected.json of a model directory: what its writer computes.
type prediction struct {
	Tokens   []int32     `json:"tokens"`
	Logprobs [][]float64 `json:"logprobs,omitempty"` // (T, V) of a language model, of every token after each
	Score    *float64    `json:"score,omitempty"`    // of a reward model, at the last token
}

const predictionFile = "expected.json"

// probe is the sequence that models are compared on.
var probe = []int32{7, 30, 2, 0, 41, 41, 19, 5, 60, 1, 33}

// WriteModels writes models of every kind that the engine knows below dir, each with what we compute.
func WriteModels(dir string) error {
	models, err := variedModels()
	if err != nil {
		return err
	}
	for _, v := range models {
		path := filepath.Join(dir, v.name)
		m := v.model
		if err := checkpoint.SaveModel(path, m, hf.Extras{Dropout: hf.Dropout{Embd: .1, Attn: .1, Resid: .1}}); err != nil {
			return err
		}
		p, err := predict(m, probe)
		if err != nil {
			return err
		}
		raw, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(path, predictionFile), raw, 0o666); err != nil {
			return err
		}
	}
	return nil
}

type variedModel struct {
	name  string
	model *gpt.Model
}

// variedModels returns a model of each kind, small but with large weights, so that a wrong formula shows.
func variedModels() ([]variedModel, error) {
	c := gpt.Config{VocabSize: 61, NPositions: 16, NEmbd: 24, NLayer: 2, NHead: 3, LayerNormEpsilon: 1e-5}
	own, narrow, wide, score, epsilon := c, c, c, c, c
	own.OwnHead, narrow.NInner, wide.NInner, score.NLabels, epsilon.LayerNormEpsilon = true, 37, 200, 1, 1e-2
	shapes := []struct {
		name  string
		shape gpt.Config
	}{{"language model", c}, {"own head", own}, {"n_inner 37", narrow}, {"n_inner 200", wide}, {"score model", score}, {"layer_norm_epsilon 0.01", epsilon}}
	for _, name := range gpt.Activations() {
		a := c
		a.Activation = name
		shapes = append(shapes, struct {
			name  string
			shape gpt.Config
		}{"activation " + name, a})
	}
	var out []variedModel
	for i, s := range shapes {
		m, err := gpt.New(s.shape)
		if err != nil {
			return nil, err
		}
		r := rng.New(1, "bench/models", uint64(i))
		m.Init(uint64(i))
		for j := range m.Theta {
			m.Theta[j] += float32(.2 * r.NormFloat64())
		}
		m.Changed()
		out = append(out, variedModel{s.name, m})
	}
	for _, v := range out {
		if v.name == "language model" || v.name == "own head" || v.name == "score model" {
			m, err := v.model.Resized(67, gpt.RowsMeanResizing, 1)
			if err != nil {
				return nil, err
			}
			out = append(out, variedModel{v.name + ", resized vocabulary", m})
		}
	}
	return out, nil
}

// predict returns the log-probs of every token at every position, or the score.
func predict(m *gpt.Model, tokens []int32) (prediction, error) {
	p := prediction{Tokens: tokens}
	pass := gpt.NewPass(m)
	if m.Config.NLabels > 0 {
		var b gpt.Batch
		b.Append(tokens, nil)
		out, err := pass.Evaluate(b)
		if err != nil {
			return p, err
		}
		score := float64(out.Scores[0])
		p.Score = &score
		return p, nil
	}
	p.Logprobs = make([][]float64, len(tokens))
	for v := range m.Config.VocabSize {
		var b gpt.Batch
		b.Append(tokens, slices.Repeat([]int32{int32(v)}, len(tokens)))
		out, err := pass.Evaluate(b)
		if err != nil {
			return p, err
		}
		for t, logprob := range out.Logprobs {
			p.Logprobs[t] = append(p.Logprobs[t], float64(logprob))
		}
	}
	return p, nil
}

// CheckModels reads every model directory below dir, each with what its writer
// computes, and compares that with what we compute.
func CheckModels(dir string) ([]ModelCheck, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []ModelCheck
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		raw, err := os.ReadFile(filepath.Join(path, predictionFile))
		if err != nil {
			return nil, err
		}
		var want prediction
		if err := json.Unmarshal(raw, &want); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		m, err := hf.Load(path)
		if err != nil {
			return nil, err
		}
		got, err := predict(m, want.Tokens)
		if err != nil {
			return nil, err
		}
		d, err := got.difference(want)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, ModelCheck{Name: e.Name(), Difference: d})
	}
	return out, nil
}

// difference returns the largest difference of two predictions of one shape.
func (p prediction) difference(q prediction) (float64, error) {
	if (p.Score == nil) != (q.Score == nil) || len(p.Logprobs) != len(q.Logprobs) {
		return 0, fmt.Errorf("%s: found numbers of another kind of model", predictionFile)
	}
	if p.Score != nil {
		return math.Abs(*p.Score - *q.Score), nil
	}
	d := 0.0
	for t, row := range p.Logprobs {
		if len(row) != len(q.Logprobs[t]) {
			return 0, fmt.Errorf("%s: %d log-probs at position %d, expected %d", predictionFile, len(q.Logprobs[t]), t, len(row))
		}
		for v := range row {
			d = max(d, math.Abs(row[v]-q.Logprobs[t][v])) // max keeps NaN
		}
	}
	return d, nil
}
