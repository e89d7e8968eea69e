package hf_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rlhf/gpt"
	"rlhf/gpt/hf"
)

// settings reads a config.json of a text.
func settings(t *testing.T, text string) (hf.Settings, error) {
	t.Helper()
	return hf.ReadSettings(write(t, map[string][]byte{"config.json": []byte(text)}))
}

// What a config.json lacks is GPT2Config's default; transformers 4.56.2 prints GPT2Config() with these values.
func TestSettingsDefaults(t *testing.T) {
	got, err := settings(t, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	want := hf.Settings{Config: gpt.Config{VocabSize: 50257, NPositions: 1024, NEmbd: 768, NLayer: 12, NHead: 12, LayerNormEpsilon: 1e-5},
		Dropout: hf.Dropout{Embd: .1, Attn: .1, Resid: .1}, Tied: true}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSettingsOfUsersFiles(t *testing.T) {
	for dir, want := range map[string]hf.Dropout{"like_dialogpt": {Embd: .1, Attn: .2, Resid: .1}, "lm": {}, "like_gpt2": {Embd: .1, Attn: .1, Resid: .1}} {
		s, err := hf.ReadSettings(filepath.Join("testdata", dir))
		if err != nil {
			t.Fatal(err)
		}
		if s.Dropout != want || s.BOS == nil || *s.BOS != 0 {
			t.Errorf("%s: got %+v, bos %v, want %+v, 0", dir, s.Dropout, s.BOS, want)
		}
	}
	for _, test := range []struct {
		text string
		want gpt.Config
	}{
		{`{"n_ctx":512,"hidden_size":24,"num_hidden_layers":3,"num_attention_heads":6,"vocab_size":7,"layer_norm_epsilon":1e-6}`,
			gpt.Config{VocabSize: 7, NPositions: 512, NEmbd: 24, NLayer: 3, NHead: 6, LayerNormEpsilon: 1e-6}},
		{`{"n_ctx":512,"n_positions":256,"activation_function":"gelu_pytorch_tanh","n_inner":5,"tie_word_embeddings":false}`,
			gpt.Config{VocabSize: 50257, NPositions: 256, NEmbd: 768, NLayer: 12, NHead: 12, LayerNormEpsilon: 1e-5, Activation: "gelu_pytorch_tanh", NInner: 5, OwnHead: true}},
		{`{"n_inner":3072,"activation_function":"gelu_accurate"}`,
			gpt.Config{VocabSize: 50257, NPositions: 1024, NEmbd: 768, NLayer: 12, NHead: 12, LayerNormEpsilon: 1e-5}},
		{`{"architectures":["GPT2ForSequenceClassification"],"num_labels":1,"tie_word_embeddings":false}`,
			gpt.Config{VocabSize: 50257, NPositions: 1024, NEmbd: 768, NLayer: 12, NHead: 12, LayerNormEpsilon: 1e-5, NLabels: 1}},
		{`{"architectures":["GPT2ForSequenceClassification"],"id2label":{"0":0}}`,
			gpt.Config{VocabSize: 50257, NPositions: 1024, NEmbd: 768, NLayer: 12, NHead: 12, LayerNormEpsilon: 1e-5, NLabels: 1}},
	} {
		if got, err := settings(t, test.text); err != nil || got.Config != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", test.text, got.Config, err, test.want)
		}
	}
}

func TestSettingsErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{"n_embd":8,"hidden_size":16}`:                       "config.json: n_embd: found 8, but 16 as hidden_size",
		`{"attn_pdrop":1.5}`:                                  "config.json: attn_pdrop: found 1.5, expected a probability below 1",
		`{"resid_pdrop":-0.1}`:                                "resid_pdrop: found -0.1",
		`{"add_cross_attention":true}`:                        "add_cross_attention: must be false",
		`{"pruned_heads":{"0":[1]}}`:                          "pruned_heads: must be empty",
		`{"quantization_config":{"bits":4}}`:                  "quantization_config: must be null",
		`{"n_inner":-3}`:                                      "n_inner: must be null or at least 1 (got -3)",
		`{"layer_norm_epsilon":0}`:                            "layer_norm_epsilon: must be positive",
		"{\n\"tie_word_embeddings\":\"no\"}":                  "config.json:2: tie_word_embeddings: found string, expected bool",
		`{"architectures":["GPT2ForSequenceClassification"]}`: "num_labels: found 2, expected 1",
		`{"architectures":["GPT2ForSequenceClassification"],"num_labels":1,"id2label":{"0":"a","1":"b"}}`: "id2label: found 2 labels, num_labels says 1",
	} {
		if _, err := settings(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// What config.json says of dropouts, width and head stands in the file written again.
func TestFilesKeepSettings(t *testing.T) {
	m, err := gpt.New(gpt.Config{VocabSize: 5, NPositions: 4, NEmbd: 4, NLayer: 1, NHead: 2, LayerNormEpsilon: 1e-6, NInner: 7, OwnHead: true})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	bos, eos := int32(2), int32(3)
	x := hf.Extras{BOS: &bos, EndOfText: &eos, Dropout: hf.Dropout{Embd: .1, Attn: .2, Resid: .3}}
	files, err := hf.Files(m, x)
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, files)
	s, err := hf.ReadSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Config != m.Config || s.Dropout != x.Dropout || s.Tied || *s.BOS != bos || *s.EOS != eos || s.Pad != nil {
		t.Errorf("got %+v, want %+v and %+v with a head of its own", s, m.Config, x.Dropout)
	}
	var c map[string]any
	if err := json.Unmarshal(files["config.json"], &c); err != nil {
		t.Fatal(err)
	}
	if c["n_inner"] != 7.0 || c["tie_word_embeddings"] != false || c["attn_pdrop"] != .2 || c["activation_function"] != "gelu_new" {
		t.Errorf("config.json: %s", files["config.json"])
	}
	again, err := hf.Load(dir)
	if err != nil || !slices.Equal(again.Theta, m.Theta) {
		t.Errorf("the parameters differ: %v", err)
	}
}

// A head in the file is tied if it equals the embedding and config.json does not say otherwise.
func TestHeads(t *testing.T) {
	want, err := hf.Load("testdata/lm")
	if err != nil {
		t.Fatal(err)
	}
	wte := want.Tensor("transformer.wte.weight")
	other := slices.Clone(wte)
	other[5]++
	with := func(head []float32, shape ...int) string {
		return retensored(t, func(ts []hf.NamedTensor) []hf.NamedTensor {
			return append(ts, hf.NamedTensor{Name: "lm_head.weight", Shape: shape, Data: head})
		})
	}
	m, err := hf.Load(with(other, 61, 16))
	if err != nil {
		t.Fatal(err)
	}
	if !m.Config.OwnHead || !slices.Equal(m.Tensor("lm_head.weight"), other) || !slices.Equal(m.Tensor("transformer.wte.weight"), wte) {
		t.Errorf("a head that differs: own %v", m.Config.OwnHead)
	}
	if _, err := hf.Load(with(other[16:], 60, 16)); err == nil || !strings.Contains(err.Error(), "lm_head.weight: found shape [60 16], expected [61 16]") {
		t.Errorf("a head of another shape: %v", err)
	}
	untied := func(head []float32) map[string][]byte {
		c := want.Config
		c.OwnHead = true
		m, err := gpt.New(c)
		if err != nil {
			t.Fatal(err)
		}
		copy(m.Theta, append(slices.Clone(want.Theta), head...))
		files, err := hf.Files(m, hf.Extras{})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	if m, err = hf.Load(write(t, untied(wte))); err != nil || !m.Config.OwnHead {
		t.Errorf("tie_word_embeddings false with an equal head: %v", err)
	}
	scores := files(t, "bin_score")
	scores["config.json"] = bytes.Replace(scores["config.json"], []byte(`"architectures"`), []byte(`"nothing"`), 1)
	if m, err := hf.Load(write(t, scores)); err != nil || m.Config.NLabels != 1 {
		t.Errorf("a score head, no architecture: %v", err)
	}
	broken := untied(wte)
	broken["model.safetensors"], err = hf.EncodeSafetensors([]hf.NamedTensor{{Name: "transformer.wte.weight", Shape: []int{61, 16}, Data: wte}, {Name: "a", Shape: []int{1}, Data: wte[:1]}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = hf.Load(write(t, broken)); err == nil || !strings.Contains(err.Error(), "tensor a: the model of config.json has no such tensor") {
		t.Errorf("an unknown tensor: %v", err)
	}
	own := files(t, "own_head")
	own["config.json"] = []byte(strings.Replace(string(own["config.json"]), `"n_layer": 1`, `"n_layer": 1,"num_labels":1`, 1))
	own["config.json"] = []byte(strings.Replace(string(own["config.json"]), "GPT2LMHeadModel", "GPT2ForSequenceClassification", 1))
	if _, err = hf.Load(write(t, own)); err == nil || !strings.Contains(err.Error(), "lm_head.weight: the model of config.json has no such tensor") {
		t.Errorf("a score model with a head of its own: %v", err)
	}
}

// A shape that spells out GPT-2's own values is the same after it was written and read.
func TestSpeltOutShapeReadsBackEqual(t *testing.T) {
	m, err := gpt.New(gpt.Config{VocabSize: 5, NPositions: 4, NEmbd: 4, NLayer: 1, NHead: 2, LayerNormEpsilon: 1e-5, NInner: 16, Activation: "gelu_new"})
	if err != nil {
		t.Fatal(err)
	}
	files, err := hf.Files(m, hf.Extras{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := hf.Load(write(t, files))
	if err != nil || again.Config != m.Config {
		t.Errorf("got %+v, %v, want %+v", again.Config, err, m.Config)
	}
}
