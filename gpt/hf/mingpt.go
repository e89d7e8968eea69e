package hf

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"rlhf/gpt"
)

// MinGPT says what a checkpoint of minGPT does not say itself.
type MinGPT struct {
	NHead      int    // 0 if the file must say it, as nanoGPT's does
	Activation string // by Hugging Face's name; "" is minGPT's gelu_new for weights alone, and nanoGPT's gelu for its ckpt.pt
}

// compiledPrefix is what torch.compile puts before the names of a model's tensors.
const compiledPrefix = "_orig_mod."

// LoadMinGPT reads the weights of minGPT, as torch.save writes the state_dict of its
// GPT, or a ckpt.pt of nanoGPT, which holds its shape also. Both store linear weights
// as (out, in). A model without biases gets biases of zero. The dropout is nanoGPT's;
// minGPT's file says nothing of it.
func LoadMinGPT(path string, c MinGPT) (*gpt.Model, Dropout, error) {
	m, d, err := loadMinGPT(path, c)
	if err != nil {
		return nil, Dropout{}, fmt.Errorf("load model: %w", err)
	}
	return m, d, nil
}

func loadMinGPT(path string, c MinGPT) (*gpt.Model, Dropout, error) {
	w := &weights{path: path}
	defer w.close()
	var args map[string]any
	if err := w.open(path, func(f *os.File, size int64) (tensors []stored, err error) {
		tensors, args, err = readMinGPT(f, size)
		return tensors, err
	}); err != nil {
		return nil, Dropout{}, err
	}
	bias, err := w.linear()
	if err != nil {
		return nil, Dropout{}, err
	}
	config, err := w.shapes()
	if err != nil {
		return nil, Dropout{}, err
	}
	d, err := c.settle(&config, args, bias)
	if err != nil {
		return nil, Dropout{}, fmt.Errorf("%s: %w", path, err)
	}
	if !bias {
		w.zeroBiases(config)
	}
	if _, ok := w.find(headName); !ok {
		return nil, Dropout{}, fmt.Errorf("%s: tensor %s: missing", path, headName)
	}
	tensors, err := w.match(&config)
	if err != nil {
		return nil, Dropout{}, err
	}
	m, err := fill(config, tensors)
	return m, d, err
}

// readMinGPT returns the tensors of a checkpoint and, of nanoGPT's, the arguments of the model.
func readMinGPT(f *os.File, size int64) (tensors []stored, args map[string]any, err error) {
	v, err := loadTorch(f, size)
	if err != nil {
		return nil, nil, err
	}
	pairs, _ := dictionary(v)
	for _, p := range pairs {
		entries, ok := dictionary(p.value)
		switch {
		case p.key == "model":
			v = p.value
		case p.key == "model_args" && ok:
			args = map[string]any{}
			for _, e := range entries {
				if name, ok := e.key.(string); ok {
					args[name] = e.value
				}
			}
		}
	}
	tensors, err = stateDict(v)
	return tensors, args, err
}

// linear gives the tensors the names and the layout of Hugging Face's, leaves out the
// stored masks, and reports whether the model has biases.
func (w *weights) linear() (bias bool, err error) {
	w.tensors = slices.DeleteFunc(w.tensors, func(t stored) bool { return isBuffer(t.name) })
	for i := range w.tensors {
		t := &w.tensors[i]
		t.name = strings.TrimPrefix(t.name, compiledPrefix)
		bias = bias || strings.HasSuffix(t.name, ".bias")
		if slices.ContainsFunc([]string{"attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"},
			func(end string) bool { return strings.HasSuffix(t.name, end) }) {
			if len(t.shape) != 2 {
				return false, t.fail("found shape %v, expected two dimensions", t.shape)
			}
			*t = t.transposed()
		}
	}
	return bias, nil
}

// shapes returns the shape that the tensors have, all but the number of heads.
func (w *weights) shapes() (gpt.Config, error) {
	c := gpt.Config{LayerNormEpsilon: 1e-5} // of both
	for _, f := range []struct {
		name string
		rows *int
	}{{"transformer.wte.weight", &c.VocabSize}, {"transformer.wpe.weight", &c.NPositions}, {"transformer.h.0.mlp.c_proj.weight", &c.NInner}} {
		t, ok := w.find(f.name)
		if !ok {
			return c, fmt.Errorf("%s: tensor %s: missing, expected it in the weights of minGPT or nanoGPT", w.path, f.name)
		}
		if len(t.shape) != 2 {
			return c, t.fail("found shape %v, expected two dimensions", t.shape)
		}
		*f.rows, c.NEmbd = t.shape[0], t.shape[1]
	}
	if c.NInner == 4*c.NEmbd {
		c.NInner = 0
	}
	for {
		if _, ok := w.find(fmt.Sprintf("transformer.h.%d.ln_1.weight", c.NLayer)); !ok {
			return c, nil
		}
		c.NLayer++
	}
}

// settle completes the shape of a model from what the file and the caller say, which must agree with the weights.
func (c MinGPT) settle(config *gpt.Config, args map[string]any, bias bool) (d Dropout, err error) {
	config.NHead, config.Activation = c.NHead, c.Activation
	if args != nil && c.Activation == "" {
		config.Activation = "gelu" // torch's nn.GELU
	}
	if same, ok := sameActivation[config.Activation]; ok {
		config.Activation = same
	}
	for _, f := range []struct {
		name  string
		found int
	}{{"vocab_size", config.VocabSize}, {"block_size", config.NPositions}, {"n_embd", config.NEmbd}, {"n_layer", config.NLayer}, {"n_head", c.NHead}} {
		said, ok := args[f.name].(int)
		switch {
		case args == nil:
		case !ok:
			return d, fmt.Errorf("model_args: %s: found %T, expected a number", f.name, args[f.name])
		case f.name == "n_head" && f.found == 0:
			config.NHead = said
		case said != f.found:
			return d, fmt.Errorf("model_args: %s: found %d, expected %d", f.name, said, f.found)
		}
	}
	if said, ok := args["bias"].(bool); ok && said != bias {
		return d, fmt.Errorf("model_args: bias: found %t, but the weights say %t", said, bias)
	}
	if config.NHead == 0 {
		return d, fmt.Errorf("n_head: the weights do not say it, it must be given")
	}
	switch p := args["dropout"].(type) {
	case float64:
		d = Dropout{p, p, p}
	case int: // 0
		d = Dropout{float64(p), float64(p), float64(p)}
	}
	if err := d.validate(); err != nil {
		return d, fmt.Errorf("model_args: dropout: %w", err)
	}
	return d, config.Validate()
}

// zeroBiases adds the biases that a model of this shape has and the file has not.
func (w *weights) zeroBiases(c gpt.Config) {
	if c.NLayer > len(w.tensors) {
		return // match refuses it
	}
	for _, t := range c.Tensors() {
		if strings.HasSuffix(t.Name, ".bias") {
			w.tensors = append(w.tensors, stored{name: t.Name, shape: t.Shape, file: w.path, elements: elements{r: zeros{}, dtype: "F32"}})
		}
	}
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}
