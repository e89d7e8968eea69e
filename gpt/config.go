// Package gpt is the base GPT: a decoder-only Transformer exactly as GPT-2
// (Radford 2019), or as those of its family with an MLP of another width or
// activation or with a head of their own, with its forward and hand-written
// backward pass and its sampler. It holds no files, no tokenizer and no loss: Hugging Face
// directories are read by gpt/hf, text is turned into ids by gpt/bpe, and a
// loss is an expression over the Outputs of a pass (internal/objective).
//
// One promise runs through the package: every number of a sequence is the same
// bits whether the sequence is computed alone, among others, or token by token
// while sampling, and for any number of threads.
//
// Shape letters: B sequences, T length of one, N packed tokens, C channels,
// I channels within an MLP, NH heads, HD channels of a head, V vocabulary.
package gpt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rlhf/internal/kernel"
)

// Config is the shape of a model. The zero value is not valid.
type Config struct {
	VocabSize  int // V, token ids run from 0 to V-1
	NPositions int // longest sequence, in tokens
	NEmbd      int // C
	NLayer     int
	NHead      int // must divide NEmbd

	// NInner is the width of the MLP; 0 reads as 4*NEmbd, GPT-2's.
	NInner int

	// Activation is the MLP's, by transformers' name, one of Activations; "" reads as
	// "gelu_new", GPT-2's.
	Activation string

	// OwnHead says that a language model's head is a tensor of its own, lm_head.weight
	// (V, C), instead of the token embedding.
	OwnHead bool

	// NLabels is 0 for a language model, whose head is the transposed token
	// embedding unless OwnHead, and 1 for a reward or value model, which has a score head
	// (1, C) without bias, as GPT2ForSequenceClassification.
	NLabels int

	// LayerNormEpsilon is added to the variance; 1e-5 in GPT-2.
	LayerNormEpsilon float32
}

// Validate returns an error that names the first field without a usable value.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"n_positions", c.NPositions}, {"n_embd", c.NEmbd},
		{"n_layer", c.NLayer}, {"n_head", c.NHead},
	} {
		if f.value < 1 {
			return fmt.Errorf("%s: must be at least 1 (got %d)", f.name, f.value)
		}
	}
	if c.NEmbd%c.NHead != 0 {
		return fmt.Errorf("n_head: must divide n_embd %d (got %d)", c.NEmbd, c.NHead)
	}
	if c.NLabels != 0 && c.NLabels != 1 {
		return fmt.Errorf("num_labels: must be 0 or 1 (got %d)", c.NLabels)
	}
	if c.OwnHead && c.NLabels != 0 {
		return fmt.Errorf("tie_word_embeddings: a model with a score head has no lm_head.weight of its own")
	}
	if c.NInner < 0 {
		return fmt.Errorf("n_inner: must not be negative (got %d)", c.NInner)
	}
	if _, ok := activations[c.Activation]; !ok {
		return fmt.Errorf("activation_function: found %q, known are %s", c.Activation, strings.Join(Activations(), ", "))
	}
	if !(c.LayerNormEpsilon > 0) {
		return fmt.Errorf("layer_norm_epsilon: must be positive (got %g)", c.LayerNormEpsilon)
	}
	return nil
}

// HeadDim returns the channels of one attention head.
func (c Config) HeadDim() int { return c.NEmbd / c.NHead }

// activations are those of transformers' ACT2FN that the kernels compute. gelu_fast
// and gelu_pytorch_tanh are gelu_new in other words.
var activations = map[string]kernel.Activation{
	"": kernel.GELUNew, "gelu_new": kernel.GELUNew, "gelu_fast": kernel.GELUNew, "gelu_pytorch_tanh": kernel.GELUNew,
	"gelu": kernel.GELU, "quick_gelu": kernel.QuickGELU, "relu": kernel.ReLU, "silu": kernel.SiLU, "swish": kernel.SiLU, "tanh": kernel.Tanh,
}

// Activations returns the names that Config.Activation may have, in alphabetical order.
func Activations() []string {
	names := slices.Sorted(maps.Keys(activations))
	return names[1:] // but the empty one
}

func (c Config) activation() kernel.Activation { return activations[c.Activation] }

// MLPDim returns the channels within an MLP: NInner or, if that is 0, 4*NEmbd.
func (c Config) MLPDim() int {
	if c.NInner == 0 {
		return 4 * c.NEmbd
	}
	return c.NInner
}

// Tensor is one named parameter inside a model's flat theta.
type Tensor struct {
	Name   string // as in a Hugging Face GPT-2 file, with the prefix "transformer."
	Shape  []int  // linear weights are (in, out), Hugging Face's Conv1D layout
	Offset int    // index of the first element in theta
	Decay  bool   // reports whether AdamW decays it: tensors of two dimensions, as nanoGPT
}

// Size returns the number of elements.
func (t Tensor) Size() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Tensors returns the parameters in the order of theta. Everything that walks
// over parameters (files, optimizer, gradients) walks over this table.
func (c Config) Tensors() []Tensor {
	var ts []Tensor
	offset := 0
	add := func(name string, shape ...int) {
		t := Tensor{Name: name, Shape: shape, Offset: offset, Decay: len(shape) >= 2}
		offset += t.Size()
		ts = append(ts, t)
	}
	C, I := c.NEmbd, c.MLPDim()
	add("transformer.wte.weight", c.VocabSize, C)
	add("transformer.wpe.weight", c.NPositions, C)
	for l := range c.NLayer {
		p := fmt.Sprintf("transformer.h.%d.", l)
		add(p+"ln_1.weight", C)
		add(p+"ln_1.bias", C)
		add(p+"attn.c_attn.weight", C, 3*C)
		add(p+"attn.c_attn.bias", 3*C)
		add(p+"attn.c_proj.weight", C, C)
		add(p+"attn.c_proj.bias", C)
		add(p+"ln_2.weight", C)
		add(p+"ln_2.bias", C)
		add(p+"mlp.c_fc.weight", C, I)
		add(p+"mlp.c_fc.bias", I)
		add(p+"mlp.c_proj.weight", I, C)
		add(p+"mlp.c_proj.bias", C)
	}
	add("transformer.ln_f.weight", C)
	add("transformer.ln_f.bias", C)
	if c.OwnHead {
		add("lm_head.weight", c.VocabSize, C)
	}
	if c.NLabels > 0 {
		add("score.weight", c.NLabels, C)
	}
	return ts
}

// bodyParams returns how many of the parameters, the first ones, stand before the tensors of a head.
func (c Config) bodyParams() int {
	c.OwnHead, c.NLabels = false, 0
	return c.NumParams()
}

// NumParams returns the length of theta.
func (c Config) NumParams() int {
	ts := c.Tensors()
	last := ts[len(ts)-1]
	return last.Offset + last.Size()
}
