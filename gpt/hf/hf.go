// Package hf reads and writes Hugging Face model directories of the GPT-2 family:
// config.json and weights, with a tokenizer's files beside them. Weights are read
// from model.safetensors or pytorch_model.bin, whole or in several files with an
// index, in single, half or double precision, and written to model.safetensors in
// single. It also reads the checkpoints of minGPT and nanoGPT.
//
// transformers loads what it writes as GPT2LMHeadModel or, for a model with a
// score head, as GPT2ForSequenceClassification with num_labels 1. Nothing is
// guessed: a tensor that is missing, unknown or of another shape is an error. No
// code of a file is run: of a pickle only what makes tensors is understood.
package hf

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"rlhf/gpt"
)

// Extras is what a model directory holds beside the shape and the weights of its
// model. The zero value is a model that works on token ids alone, without dropout.
type Extras struct {
	Files     map[string][]byte // by file name, written beside the model: the tokenizer's
	BOS       *int32            // bos_token_id; EndOfText if nil
	EndOfText *int32            // eos_token_id
	Pad       *int32            // pad_token_id
	Dropout   Dropout
}

const (
	tensorPrefix  = "transformer."
	headName      = "lm_head.weight"
	scoreName     = "score.weight"
	embeddingName = "transformer.wte.weight"
)

func configPath(dir string) string { return filepath.Join(dir, configFile) }

// Files returns a model directory by file name. Equal models give equal bytes.
func Files(m *gpt.Model, x Extras) (map[string][]byte, error) {
	var tensors []NamedTensor
	for _, p := range m.Config.Tensors() {
		tensors = append(tensors, NamedTensor{p.Name, p.Shape, m.Theta[p.Offset : p.Offset+p.Size()]})
	}
	weights, err := EncodeSafetensors(tensors)
	if err != nil {
		return nil, err
	}
	text, err := encodeConfig(m.Config, x)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{configFile: text, weightsFile: weights}
	for name, data := range x.Files {
		files[name] = data
	}
	return files, nil
}

// Load reads a model directory. Errors name the file, and the setting or tensor
// with what was found and what was expected. Beside the model it needs the memory
// of its largest tensor at most.
//
// A language model has a head of its own if config.json says so, or if the weights
// have an lm_head.weight that differs from the embedding: transformers drops such a
// head where tie_word_embeddings is not false, but nobody stores one that is not meant.
func Load(dir string) (*gpt.Model, error) {
	m, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	return m, nil
}

func load(dir string) (*gpt.Model, error) {
	s, w, tensors, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer w.close()
	return fill(s.Config, tensors)
}

// open reads a model directory up to its weights, of which it finds each of the model's
// tensors. The caller closes w. The weights that are there bound what the model is
// allocated: a config.json alone cannot ask for more.
func open(dir string) (s Settings, w *weights, tensors map[string]stored, err error) {
	if s, err = ReadSettings(dir); err != nil {
		return s, nil, nil, err
	}
	if w, err = openWeights(dir); err != nil {
		return s, nil, nil, err
	}
	if _, scores := w.find(scoreName); scores && !s.Named {
		s.Config.NLabels, s.Config.OwnHead = 1, false
	}
	if tensors, err = w.match(&s.Config); err != nil {
		w.close()
		return s, nil, nil, err
	}
	return s, w, tensors, nil
}

// fill returns a model with the tensors, which are of its shapes.
func fill(c gpt.Config, tensors map[string]stored) (*gpt.Model, error) {
	m, err := gpt.New(c)
	if err != nil {
		return nil, err
	}
	for _, t := range c.Tensors() {
		if err := tensors[t.Name].read(m.Theta[t.Offset : t.Offset+t.Size()]); err != nil {
			return nil, err
		}
	}
	m.Changed()
	return m, nil
}

// match returns each of the model's tensors by name, every one exactly once, after
// it has settled what head the model has.
func (w *weights) match(c *gpt.Config) (map[string]stored, error) {
	if c.NLayer > len(w.tensors) {
		return nil, fmt.Errorf("%s: %d tensors, too few for n_layer %d", w.path, len(w.tensors), c.NLayer)
	}
	tied, err := w.tiedHead(c)
	if err != nil {
		return nil, err
	}
	want := map[string]gpt.Tensor{}
	for _, t := range c.Tensors() {
		want[t.Name] = t
	}
	found := map[string]stored{}
	for _, t := range w.tensors {
		if isBuffer(t.name) || t.name == headName && tied {
			continue
		}
		name := t.name
		if _, ok := want[name]; !ok {
			name = tensorPrefix + name // files of the bare model have no prefix
		}
		p, ok := want[name]
		if !ok {
			return nil, t.fail("the model of %s has no such tensor", configFile)
		}
		if !slices.Equal(p.Shape, t.shape) {
			return nil, t.fail("found shape %v, expected %v", t.shape, p.Shape)
		}
		if _, twice := found[name]; twice {
			return nil, t.fail("found twice")
		}
		found[name] = t
	}
	for _, t := range c.Tensors() {
		if _, ok := found[t.Name]; !ok {
			return nil, fmt.Errorf("%s: tensor %s: missing, expected shape %v", w.path, t.Name, t.Shape)
		}
	}
	return found, nil
}

// tiedHead reports whether the weights hold a head that is the embedding once more.
// A head that is not gives a language model a head of its own.
func (w *weights) tiedHead(c *gpt.Config) (bool, error) {
	head, ok := w.find(headName)
	if !ok || c.OwnHead {
		return false, nil
	}
	embedding, ok := w.find(embeddingName, strings.TrimPrefix(embeddingName, tensorPrefix))
	if !ok {
		return false, nil // match says what is missing
	}
	tied, err := same(head, embedding)
	c.OwnHead = !tied && c.NLabels == 0
	return tied, err
}

// isBuffer reports whether a tensor is GPT-2's stored causal mask.
func isBuffer(name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias")
}
