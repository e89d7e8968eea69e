package gpt_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"rlhf/gpt"
	"rlhf/gpt/hf"
)

// variants is testdata/variants/golden.json, made by make.py there with the PyTorch and transformers named in it.
type variants struct {
	VocabSize  int `json:"vocab_size"`
	NPositions int `json:"n_positions"`
	NEmbd      int `json:"n_embd"`
	NLayer     int `json:"n_layer"`
	NHead      int `json:"n_head"`
	NInner     int `json:"n_inner"`
	Sequences  [][]int32
	LossFrom   []int `json:"loss_from"`
	Cases      []struct {
		Name, Activation string
		Dropout          gpt.Dropout
		Loss             float64
	}
	grads map[string][]float32
}

// loadVariants returns the goldens and the model of a case's activation.
func loadVariants(t *testing.T) (v variants, model func(activation string) *gpt.Model) {
	t.Helper()
	raw, err := os.ReadFile("testdata/variants/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	read := func(name string) map[string][]float32 {
		tensors, err := hf.ReadSafetensors("testdata/variants/" + name)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][]float32{}
		for _, x := range tensors {
			out[x.Name] = x.Data
		}
		return out
	}
	v.grads = read("grads.safetensors")
	weights := read("weights.safetensors")
	return v, func(activation string) *gpt.Model {
		m, err := gpt.New(gpt.Config{VocabSize: v.VocabSize, NPositions: v.NPositions, NEmbd: v.NEmbd, NLayer: v.NLayer, NHead: v.NHead,
			NInner: v.NInner, OwnHead: true, Activation: activation, LayerNormEpsilon: 1e-5})
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range weights {
			if to := m.Tensor(name); len(to) != len(data) {
				t.Fatalf("%s: %d floats, want %d", name, len(to), len(data))
			}
			copy(m.Tensor(name), data)
		}
		m.Changed()
		return m
	}
}

// Loss and gradients are those of transformers in float64, to what float32 keeps of sums of some dozens of terms.
func TestGoldenVariants(t *testing.T) {
	v, model := loadVariants(t)
	for _, c := range v.Cases {
		t.Run(c.Name, func(t *testing.T) {
			eachKernel(t, func(t *testing.T) {
				m := model(c.Activation)
				b, tokens := golden{Sequences: v.Sequences, LossFrom: v.LossFrom}.learnt()
				b.Dropout = c.Dropout
				dtheta := make([]float32, len(m.Theta))
				if loss := step(t, gpt.NewPass(m), b, tokens, dtheta); math.Abs(loss-c.Loss) > 1e-6*c.Loss {
					t.Errorf("loss %v, want %v", loss, c.Loss)
				}
				for _, p := range m.Config.Tensors() {
					diff, norm := 0.0, 0.0
					for k, w := range v.grads[c.Name+"/"+p.Name] {
						d := float64(dtheta[p.Offset+k]) - float64(w)
						diff, norm = diff+d*d, norm+float64(w)*float64(w)
					}
					if !(math.Sqrt(diff) <= 4e-6*math.Sqrt(norm)) || norm == 0 {
						t.Errorf("%s: off by %g of %g", p.Name, math.Sqrt(diff), math.Sqrt(norm))
					}
				}
			})
		})
	}
}

// What the kernels compute is what transformers' goldens were made of, and the rest is refused with the list.
func TestActivationNames(t *testing.T) {
	v, _ := loadVariants(t)
	var names []string
	for _, c := range v.Cases {
		names = append(names, c.Activation)
	}
	slices.Sort(names)
	if names = slices.Compact(names); !slices.Equal(gpt.Activations(), names) {
		t.Errorf("known %v, goldens of %v", gpt.Activations(), names)
	}
	err := gpt.Config{VocabSize: 1, NPositions: 1, NEmbd: 1, NLayer: 1, NHead: 1, LayerNormEpsilon: 1, Activation: "mish"}.Validate()
	if want := `activation_function: found "mish", known are ` + strings.Join(names, ", "); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
