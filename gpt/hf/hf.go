// Package hf reads and writes Hugging Face model directories of the GPT-2 family:
// config.json and model.safetensors, with a tokenizer's files beside them.
// transformers loads what it writes as GPT2LMHeadModel or, for a model with a
// score head, as GPT2ForSequenceClassification with num_labels 1. Nothing is
// guessed: a tensor that is missing, unknown or of another shape is an error.
package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rlhf/gpt"
)

// Tokenizer is a tokenizer's part of a model directory. The zero value is a model
// that works on token ids alone.
type Tokenizer struct {
	Files     map[string][]byte // by file name, written beside the model
	EndOfText *int32            // bos_token_id and eos_token_id
	Pad       *int32            // pad_token_id
}

// config is config.json as written, the fields that transformers' GPT2Config reads.
type config struct {
	Architectures      []string          `json:"architectures"`
	ModelType          string            `json:"model_type"`
	ActivationFunction string            `json:"activation_function"`
	AttnPdrop          float64           `json:"attn_pdrop"`
	EmbdPdrop          float64           `json:"embd_pdrop"`
	ResidPdrop         float64           `json:"resid_pdrop"`
	BOSTokenID         *int32            `json:"bos_token_id"`
	EOSTokenID         *int32            `json:"eos_token_id"`
	PadTokenID         *int32            `json:"pad_token_id"`
	Dtype              string            `json:"torch_dtype"`
	InitializerRange   float64           `json:"initializer_range"`
	LayerNormEpsilon   float32           `json:"layer_norm_epsilon"`
	NEmbd              int               `json:"n_embd"`
	NHead              int               `json:"n_head"`
	NInner             *int              `json:"n_inner"`
	NLayer             int               `json:"n_layer"`
	NPositions         int               `json:"n_positions"`
	VocabSize          int               `json:"vocab_size"`
	ID2Label           map[string]string `json:"id2label,omitempty"`
	Label2ID           map[string]int    `json:"label2id,omitempty"`
}

const (
	lmHead        = "GPT2LMHeadModel"
	scoreHead     = "GPT2ForSequenceClassification"
	configFile    = "config.json"
	weightsFile   = "model.safetensors"
	tensorPrefix  = "transformer."
	tiedHeadName  = "lm_head.weight"
	embeddingName = "transformer.wte.weight"
)

// Files returns a model directory by file name. Equal models give equal bytes.
func Files(m *gpt.Model, t Tokenizer) (map[string][]byte, error) {
	c := config{
		Architectures: []string{lmHead}, ModelType: "gpt2", ActivationFunction: "gelu_new", Dtype: "float32", InitializerRange: 0.02,
		BOSTokenID: t.EndOfText, EOSTokenID: t.EndOfText, PadTokenID: t.Pad, LayerNormEpsilon: m.Config.LayerNormEpsilon,
		NEmbd: m.Config.NEmbd, NHead: m.Config.NHead, NLayer: m.Config.NLayer, NPositions: m.Config.NPositions, VocabSize: m.Config.VocabSize,
	}
	if m.Config.NLabels > 0 {
		c.Architectures = []string{scoreHead}
		c.ID2Label, c.Label2ID = map[string]string{"0": "LABEL_0"}, map[string]int{"LABEL_0": 0}
	}
	var tensors []NamedTensor
	for _, p := range m.Config.Tensors() {
		tensors = append(tensors, NamedTensor{p.Name, p.Shape, m.Theta[p.Offset : p.Offset+p.Size()]})
	}
	weights, err := EncodeSafetensors(tensors)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{configFile: append(text, '\n'), weightsFile: weights}
	for name, data := range t.Files {
		files[name] = data
	}
	return files, nil
}

// Load reads a model directory. Errors name the file, and the setting or tensor
// with what was found and what was expected.
func Load(dir string) (*gpt.Model, error) {
	m, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	return m, nil
}

func load(dir string) (*gpt.Model, error) {
	path := filepath.Join(dir, configFile)
	c, err := loadConfig(path)
	if err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	path = filepath.Join(dir, weightsFile)
	tensors, err := ReadSafetensors(path)
	if err != nil {
		return nil, err
	}
	// The weights that are there bound what is allocated: a config.json alone cannot ask for more.
	data, err := match(c, tensors)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m, err := gpt.New(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, configFile), err)
	}
	for _, t := range c.Tensors() {
		copy(m.Theta[t.Offset:t.Offset+t.Size()], data[t.Name])
	}
	m.Changed()
	return m, nil
}

// loadConfig reads config.json and refuses by name what this engine does not compute.
func loadConfig(path string) (gpt.Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return gpt.Config{}, err
	}
	var c struct {
		config
		NumLabels     *int  `json:"num_labels"`
		ScaleWeights  *bool `json:"scale_attn_weights"`
		ScaleByLayer  bool  `json:"scale_attn_by_inverse_layer_idx"`
		CrossAttn     bool  `json:"add_cross_attention"`
		TieEmbeddings *bool `json:"tie_word_embeddings"`
	}
	c.LayerNormEpsilon, c.ActivationFunction = 1e-5, "gelu_new" // GPT2Config's defaults
	if err := json.Unmarshal(raw, &c); err != nil {
		return gpt.Config{}, locate(path, raw, err)
	}
	out := gpt.Config{VocabSize: c.VocabSize, NPositions: c.NPositions, NEmbd: c.NEmbd, NLayer: c.NLayer, NHead: c.NHead,
		LayerNormEpsilon: c.LayerNormEpsilon}
	if slices.Contains(c.Architectures, scoreHead) {
		out.NLabels = 1
	}
	labels := len(c.ID2Label)
	if c.NumLabels != nil {
		labels = *c.NumLabels
	}
	for _, refuse := range []struct {
		when bool
		what string
	}{
		{c.ModelType != "" && c.ModelType != "gpt2", fmt.Sprintf("model_type: found %q, expected \"gpt2\"", c.ModelType)},
		{c.ActivationFunction != "gelu_new" && c.ActivationFunction != "gelu_pytorch_tanh",
			fmt.Sprintf("activation_function: found %q, expected \"gelu_new\"", c.ActivationFunction)},
		{c.NInner != nil && *c.NInner != 4*c.NEmbd, "n_inner: must be null or 4 n_embd"},
		{c.ScaleWeights != nil && !*c.ScaleWeights, "scale_attn_weights: must be true"},
		{c.ScaleByLayer, "scale_attn_by_inverse_layer_idx: must be false"},
		{c.CrossAttn, "add_cross_attention: must be false"},
		{c.TieEmbeddings != nil && !*c.TieEmbeddings && out.NLabels == 0, "tie_word_embeddings: must be true"},
		{out.NLabels == 1 && labels != 1, fmt.Sprintf("num_labels: found %d, expected 1", labels)},
		{out.NLabels == 0 && len(c.Architectures) > 0 && !slices.Contains(c.Architectures, lmHead) && !slices.Contains(c.Architectures, "GPT2Model"),
			fmt.Sprintf("architectures: found %v, expected %s or %s", c.Architectures, lmHead, scoreHead)},
	} {
		if refuse.when {
			return gpt.Config{}, fmt.Errorf("%s: %s", path, refuse.what)
		}
	}
	return out, nil
}

// locate adds file and line to an error of json.Unmarshal.
func locate(path string, raw []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	line := func(offset int64) int { return 1 + bytes.Count(raw[:min(int64(len(raw)), offset)], []byte{'\n'}) }
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%d: %w", path, line(syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("%s:%d: %s: found %s, expected %s", path, line(kind.Offset), strings.TrimPrefix(kind.Field, "config."), kind.Value, kind.Type)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// match returns the data of each of a model's tensors, every one exactly once.
func match(c gpt.Config, tensors []NamedTensor) (map[string][]float32, error) {
	if c.NLayer > len(tensors) {
		return nil, fmt.Errorf("%d tensors, too few for n_layer %d", len(tensors), c.NLayer)
	}
	want := map[string]gpt.Tensor{}
	for _, t := range c.Tensors() {
		want[t.Name] = t
	}
	data := map[string][]float32{}
	for _, t := range tensors {
		if isBuffer(t.Name) || t.Name == tiedHeadName {
			continue
		}
		name := t.Name
		if _, ok := want[name]; !ok {
			name = tensorPrefix + name // files of the bare model have no prefix
		}
		p, ok := want[name]
		if !ok {
			return nil, fmt.Errorf("tensor %s: the model of config.json has no such tensor", t.Name)
		}
		if !slices.Equal(p.Shape, t.Shape) {
			return nil, fmt.Errorf("tensor %s: found shape %v, expected %v", t.Name, t.Shape, p.Shape)
		}
		if data[name] != nil {
			return nil, fmt.Errorf("tensor %s: found twice", t.Name)
		}
		data[name] = t.Data
	}
	for _, t := range c.Tensors() {
		if data[t.Name] == nil {
			return nil, fmt.Errorf("tensor %s: missing, expected shape %v", t.Name, t.Shape)
		}
	}
	for _, t := range tensors {
		if t.Name == tiedHeadName && !slices.Equal(t.Data, data[embeddingName]) {
			return nil, fmt.Errorf("tensor %s: differs from %s; a head of its own is not supported", tiedHeadName, embeddingName)
		}
	}
	return data, nil
}

// isBuffer reports whether a tensor is GPT-2's stored causal mask.
func isBuffer(name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias")
}
