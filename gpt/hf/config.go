package hf

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"rlhf/gpt"
)

// Dropout is the part of config.json that training follows and nothing else: the
// probabilities with which parts of the activations are set to zero.
type Dropout struct {
	Embd  float64 // embd_pdrop: of the embeddings' sum
	Attn  float64 // attn_pdrop: of the attention weights
	Resid float64 // resid_pdrop: of what is added to the residual stream
}

func (d Dropout) validate() error {
	for _, f := range []struct {
		name  string
		value float64
	}{{"embd_pdrop", d.Embd}, {"attn_pdrop", d.Attn}, {"resid_pdrop", d.Resid}} {
		if !(f.value >= 0 && f.value < 1) {
			return fmt.Errorf("%s: found %g, expected a probability below 1", f.name, f.value)
		}
	}
	return nil
}

// Settings is what a config.json says.
type Settings struct {
	Config  gpt.Config
	Dropout Dropout

	// Tied reports whether config.json says that a language model's head is the token
	// embedding, as it does where it says nothing of it. If it is not, Config has a
	// head of its own; it may also have one because the weights do (Load).
	Tied bool

	// Named reports whether config.json names the architecture. If it does not, a
	// score.weight among the weights makes the model one with a score head.
	Named bool

	BOS, EOS, Pad *int32 // token ids; nil if config.json has none
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
	TieEmbeddings      *bool             `json:"tie_word_embeddings,omitempty"`
	ID2Label           map[string]string `json:"id2label,omitempty"`
	Label2ID           map[string]int    `json:"label2id,omitempty"`
}

const (
	lmHead     = "GPT2LMHeadModel"
	bareModel  = "GPT2Model"
	scoreHead  = "GPT2ForSequenceClassification"
	configFile = "config.json"
	geluNew    = "gelu_new" // GPT-2's, which gpt.Config calls ""
)

// sameActivation are transformers' names of functions for which gpt.Config has another name.
var sameActivation = map[string]string{geluNew: "", "gelu_accurate": "", "gelu_python": "gelu"}

// encodeConfig returns config.json of a model.
func encodeConfig(g gpt.Config, x Extras) ([]byte, error) {
	c := config{
		Architectures: []string{lmHead}, ModelType: "gpt2", ActivationFunction: cmp.Or(g.Activation, geluNew), Dtype: "float32", InitializerRange: 0.02,
		EmbdPdrop: x.Dropout.Embd, AttnPdrop: x.Dropout.Attn, ResidPdrop: x.Dropout.Resid,
		BOSTokenID: cmp.Or(x.BOS, x.EndOfText), EOSTokenID: x.EndOfText, PadTokenID: x.Pad, LayerNormEpsilon: g.LayerNormEpsilon,
		NEmbd: g.NEmbd, NHead: g.NHead, NLayer: g.NLayer, NPositions: g.NPositions, VocabSize: g.VocabSize,
	}
	if g.NInner != 0 {
		c.NInner = &g.NInner
	}
	if g.OwnHead {
		c.TieEmbeddings = new(bool)
	}
	if g.NLabels > 0 {
		c.Architectures = []string{scoreHead}
		c.ID2Label, c.Label2ID = map[string]string{"0": "LABEL_0"}, map[string]int{"LABEL_0": 0}
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// foundConfig is config.json as it is found: what is missing is nil. Sizes also
// have the names that every configuration of transformers gives them.
type foundConfig struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`

	VocabSize   *int `json:"vocab_size"`
	NPositions  *int `json:"n_positions"`
	NCtx        *int `json:"n_ctx"`
	MaxPosition *int `json:"max_position_embeddings"`
	NEmbd       *int `json:"n_embd"`
	HiddenSize  *int `json:"hidden_size"`
	NLayer      *int `json:"n_layer"`
	HiddenLayer *int `json:"num_hidden_layers"`
	NHead       *int `json:"n_head"`
	AttnHeads   *int `json:"num_attention_heads"`
	NInner      *int `json:"n_inner"`

	Activation       *string  `json:"activation_function"`
	LayerNormEpsilon *float32 `json:"layer_norm_epsilon"`
	EmbdPdrop        *float64 `json:"embd_pdrop"`
	AttnPdrop        *float64 `json:"attn_pdrop"`
	ResidPdrop       *float64 `json:"resid_pdrop"`

	NumLabels     *int                       `json:"num_labels"`
	ID2Label      map[string]json.RawMessage `json:"id2label"`
	TieEmbeddings *bool                      `json:"tie_word_embeddings"`

	ScaleWeights *bool                      `json:"scale_attn_weights"`
	ScaleByLayer bool                       `json:"scale_attn_by_inverse_layer_idx"`
	CrossAttn    bool                       `json:"add_cross_attention"`
	Pruned       map[string]json.RawMessage `json:"pruned_heads"`
	Quantization json.RawMessage            `json:"quantization_config"`

	BOS *int32 `json:"bos_token_id"`
	EOS *int32 `json:"eos_token_id"`
	Pad *int32 `json:"pad_token_id"`
}

// ReadSettings reads the config.json of a model directory. Fields that are missing
// have GPT2Config's defaults, fields of no effect here are passed over, and what
// this engine does not compute is refused by name.
func ReadSettings(dir string) (Settings, error) { return readSettings(configPath(dir)) }

func readSettings(path string) (Settings, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, err
	}
	var c foundConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return Settings{}, locate(path, raw, err)
	}
	s, err := c.settings()
	if err != nil {
		return Settings{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// or returns what p points at, or otherwise.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// settings checks c and completes it.
func (c foundConfig) settings() (Settings, error) {
	if err := c.refuse(); err != nil {
		return Settings{}, err
	}
	s := Settings{Config: gpt.Config{LayerNormEpsilon: or(c.LayerNormEpsilon, 1e-5), NInner: or(c.NInner, 0)}, Tied: or(c.TieEmbeddings, true), Named: len(c.Architectures) > 0,
		Dropout: Dropout{or(c.EmbdPdrop, .1), or(c.AttnPdrop, .1), or(c.ResidPdrop, .1)}, BOS: c.BOS, EOS: c.EOS, Pad: c.Pad}
	s.Config.Activation = or(c.Activation, geluNew)
	if name, ok := sameActivation[s.Config.Activation]; ok {
		s.Config.Activation = name
	}
	if c.NPositions == nil && c.MaxPosition == nil {
		c.NPositions = c.NCtx // the oldest files give only this
	}
	for _, f := range []struct {
		to             *int
		name, other    string
		found, foundAs *int
		otherwise      int // of GPT2Config
	}{
		{&s.Config.VocabSize, "vocab_size", "", c.VocabSize, nil, 50257},
		{&s.Config.NPositions, "n_positions", "max_position_embeddings", c.NPositions, c.MaxPosition, 1024},
		{&s.Config.NEmbd, "n_embd", "hidden_size", c.NEmbd, c.HiddenSize, 768},
		{&s.Config.NLayer, "n_layer", "num_hidden_layers", c.NLayer, c.HiddenLayer, 12},
		{&s.Config.NHead, "n_head", "num_attention_heads", c.NHead, c.AttnHeads, 12},
	} {
		if f.found != nil && f.foundAs != nil && *f.found != *f.foundAs {
			return s, fmt.Errorf("%s: found %d, but %d as %s", f.name, *f.found, *f.foundAs, f.other)
		}
		*f.to = or(f.found, or(f.foundAs, f.otherwise))
	}
	if s.Config.NInner == 4*s.Config.NEmbd {
		s.Config.NInner = 0
	}
	if err := s.Dropout.validate(); err != nil {
		return s, err
	}
	if c.scores() {
		s.Config.NLabels = 1
	} else {
		s.Config.OwnHead = !s.Tied
	}
	return s, s.Config.Validate()
}

// scores reports whether the model is one with a score head.
func (c foundConfig) scores() bool { return slices.Contains(c.Architectures, scoreHead) }

// labels returns the number of a score head's labels.
func (c foundConfig) labels() int {
	if c.NumLabels == nil && c.ID2Label != nil {
		return len(c.ID2Label)
	}
	return or(c.NumLabels, 2)
}

// refuse returns an error about a setting that the engine does not compute.
func (c foundConfig) refuse() error {
	known := len(c.Architectures) == 0 || slices.ContainsFunc(c.Architectures, func(a string) bool { return a == lmHead || a == bareModel || a == scoreHead })
	for _, refuse := range []struct {
		when bool
		what string
	}{
		{c.ModelType != "" && c.ModelType != "gpt2", fmt.Sprintf("model_type: found %q, expected \"gpt2\"", c.ModelType)},
		{!known, fmt.Sprintf("architectures: found %q, expected %s or %s", c.Architectures, lmHead, scoreHead)},
		{c.NInner != nil && *c.NInner < 1, fmt.Sprintf("n_inner: must be null or at least 1 (got %d)", or(c.NInner, 0))},
		{!or(c.ScaleWeights, true), "scale_attn_weights: must be true"},
		{c.ScaleByLayer, "scale_attn_by_inverse_layer_idx: must be false"},
		{c.CrossAttn, "add_cross_attention: must be false"},
		{len(c.Pruned) > 0, "pruned_heads: must be empty"},
		{len(c.Quantization) > 0 && string(c.Quantization) != "null", "quantization_config: must be null"},
		{c.scores() && c.labels() != 1, fmt.Sprintf("num_labels: found %d, expected 1", c.labels())},
		{c.scores() && c.NumLabels != nil && c.ID2Label != nil && len(c.ID2Label) != *c.NumLabels,
			fmt.Sprintf("id2label: found %d labels, num_labels says %d", len(c.ID2Label), or(c.NumLabels, 0))},
	} {
		if refuse.when {
			return errors.New(refuse.what)
		}
	}
	return nil
}
