package hf_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rlhf/gpt"
	"rlhf/gpt/hf"
)

func write(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// testdata was written by transformers 4.56.2; tensor values are read off it by name.
func TestLoadTransformersDirectories(t *testing.T) {
	for dir, labels := range map[string]int{"lm": 0, "rm": 1} {
		m, err := hf.Load(filepath.Join("testdata", dir))
		if err != nil {
			t.Fatal(err)
		}
		want := gpt.Config{VocabSize: 61, NPositions: 16, NEmbd: 16, NLayer: 2, NHead: 2, NLabels: labels, LayerNormEpsilon: 1e-5}
		if m.Config != want {
			t.Errorf("%s: got %+v, want %+v", dir, m.Config, want)
		}
		tensors, err := hf.ReadSafetensors(filepath.Join("testdata", dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if len(tensors) != len(want.Tensors()) {
			t.Errorf("%s: %d tensors in the file, %d in the model", dir, len(tensors), len(want.Tensors()))
		}
		for _, x := range tensors {
			if !slices.Equal(m.Tensor(x.Name), x.Data) {
				t.Errorf("%s: %s differs", dir, x.Name)
			}
		}
	}
}

func TestRoundTripIsExact(t *testing.T) {
	m, err := hf.Load("testdata/rm")
	if err != nil {
		t.Fatal(err)
	}
	eot, pad := int32(3), int32(4)
	tok := hf.Extras{Files: map[string][]byte{"vocab.json": []byte("{}")}, EndOfText: &eot, Pad: &pad}
	files, err := hf.Files(m, tok)
	if err != nil {
		t.Fatal(err)
	}
	again, err := hf.Load(write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if again.Config != m.Config || !slices.Equal(again.Theta, m.Theta) {
		t.Error("the model changed")
	}
	twice, _ := hf.Files(again, tok)
	for name := range files {
		if !bytes.Equal(files[name], twice[name]) {
			t.Errorf("%s: bytes differ", name)
		}
	}
	var c map[string]any
	if err := json.Unmarshal(files["config.json"], &c); err != nil {
		t.Fatal(err)
	}
	if c["eos_token_id"] != 3.0 || c["pad_token_id"] != 4.0 {
		t.Errorf("eos %v, pad %v", c["eos_token_id"], c["pad_token_id"])
	}
}

// edit returns the golden directory with one change to its files.
func edit(t *testing.T, name string, change func([]byte) []byte) string {
	files := map[string][]byte{}
	for _, f := range []string{"config.json", "model.safetensors"} {
		raw, err := os.ReadFile(filepath.Join("testdata/lm", f))
		if err != nil {
			t.Fatal(err)
		}
		if f == name {
			raw = change(raw)
		}
		files[f] = raw
	}
	return write(t, files)
}

func replaced(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
}

func TestLoadErrors(t *testing.T) {
	tests := []struct {
		name, file string
		change     func([]byte) []byte
		want       string
	}{
		{"activation", "config.json", replaced("gelu_new", "mish"), `config.json: activation_function: found "mish", known are gelu,`},
		{"inner width", "config.json", replaced(`"n_inner": null`, `"n_inner": 0`), "config.json: n_inner: must be null or at least 1 (got 0)"},
		{"family", "config.json", replaced(`"gpt2"`, `"llama"`), `model_type: found "llama"`},
		{"syntax", "config.json", func(b []byte) []byte { return b[:40] }, "config.json:3: unexpected end of JSON input"},
		{"more", "config.json", func(b []byte) []byte { return append(b, "{}"...) }, "config.json:33: invalid character '{'"},
		{"type", "config.json", replaced(`"n_embd": 16`, `"n_embd": "16"`), "config.json:14: n_embd: found string, expected int"},
		{"fraction", "config.json", replaced(`"n_layer": 2`, `"n_layer": 2.5`), "n_layer: found number 2.5, expected int"},
		{"scaling", "config.json", replaced(`"scale_attn_by_inverse_layer_idx": false`, `"scale_attn_by_inverse_layer_idx": true`), "scale_attn_by_inverse_layer_idx: must be false"},
		{"unscaled", "config.json", replaced(`"scale_attn_weights": true`, `"scale_attn_weights": false`), "scale_attn_weights: must be true"},
		{"architecture", "config.json", replaced("GPT2LMHeadModel", "GPT2DoubleHeadsModel"), "architectures: found [\"GPT2DoubleHeadsModel\"]"},
		{"two labels", "config.json", replaced(`"GPT2LMHeadModel"
  ],`, `"GPT2ForSequenceClassification"],
  "num_labels": 2,`), "num_labels: found 2, expected 1"},
		{"huge", "config.json", replaced(`"n_embd": 16`, `"n_embd": 1099511627776`), "expected [3298534883328]"},
		{"deep", "config.json", replaced(`"n_layer": 2`, `"n_layer": 1000000000000`), "too few for n_layer 1000000000000"},
		{"zero width", "config.json", replaced(`"n_head": 2`, `"n_head": 0`), "n_head: must be at least 1 (got 0)"},
		{"shape", "config.json", replaced(`"n_positions": 16`, `"n_positions": 17`), "wpe.weight: found shape [16 16], expected [17 16]"},
		{"missing", "config.json", replaced(`"n_layer": 2`, `"n_layer": 3`), "tensor transformer.h.2.ln_1.weight: missing"},
		{"unknown", "config.json", replaced(`"n_layer": 2`, `"n_layer": 1`), "the model of config.json has no such tensor"},
		{"cut", "model.safetensors", func(b []byte) []byte { return b[:len(b)-4] }, "is it cut off?"},
		{"longer", "model.safetensors", func(b []byte) []byte { return append(b, 0) }, "bytes of data, the header speaks of"},
		{"empty", "model.safetensors", func([]byte) []byte { return nil }, "0 bytes"},
		{"header", "model.safetensors", func(b []byte) []byte {
			binary.LittleEndian.PutUint64(b, 1<<60)
			return b
		}, "header of"},
		{"dtype", "model.safetensors", replaced(`"F32"`, `"I64"`), "dtype I64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := hf.Load(edit(t, test.file, test.change))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := hf.Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("empty directory: %v", err)
	}
}

// retensored returns the golden language model's tensors, changed.
func retensored(t *testing.T, change func([]hf.NamedTensor) []hf.NamedTensor) string {
	return edit(t, "model.safetensors", func(raw []byte) []byte {
		tensors, err := hf.DecodeSafetensors(raw)
		if err != nil {
			t.Fatal(err)
		}
		raw, err = hf.EncodeSafetensors(change(tensors))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	})
}

// Files of GPT-2 are found without the prefix, with the causal mask among the tensors, and with the tied head written out.
func TestVariants(t *testing.T) {
	want, err := hf.Load("testdata/lm")
	if err != nil {
		t.Fatal(err)
	}
	head := func(data []float32) func([]hf.NamedTensor) []hf.NamedTensor {
		return func(ts []hf.NamedTensor) []hf.NamedTensor {
			return append(ts, hf.NamedTensor{Name: "lm_head.weight", Shape: []int{61, 16}, Data: data})
		}
	}
	other := slices.Clone(want.Tensor("transformer.wte.weight"))
	other[5]++
	for _, test := range []struct {
		name   string
		change func([]hf.NamedTensor) []hf.NamedTensor
		want   string // of the error; "" is none
	}{
		{"no prefix", func(ts []hf.NamedTensor) []hf.NamedTensor {
			for i := range ts {
				ts[i].Name = strings.TrimPrefix(ts[i].Name, "transformer.")
			}
			return ts
		}, ""},
		{"buffers", func(ts []hf.NamedTensor) []hf.NamedTensor {
			return append(ts, hf.NamedTensor{Name: "transformer.h.0.attn.bias", Shape: []int{1, 1, 2, 2}, Data: []float32{1, 0, 1, 1}},
				hf.NamedTensor{Name: "transformer.h.0.attn.masked_bias", Data: []float32{-1e4}})
		}, ""},
		{"tied head", head(want.Tensor("transformer.wte.weight")), ""},
		{"twice", func(ts []hf.NamedTensor) []hf.NamedTensor {
			again := ts[0]
			again.Name = strings.TrimPrefix(again.Name, "transformer.")
			return append(ts, again)
		}, "found twice"},
		{"missing", func(ts []hf.NamedTensor) []hf.NamedTensor { return ts[1:] }, "missing, expected shape"},
		{"unknown", func(ts []hf.NamedTensor) []hf.NamedTensor {
			return append(ts, hf.NamedTensor{Name: "score.weight", Shape: []int{1, 16}, Data: make([]float32, 16)})
		}, "tensor score.weight: the model of config.json has no such tensor"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := hf.Load(retensored(t, test.change))
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(m.Theta, want.Theta) {
				t.Error("the parameters differ")
			}
		})
	}
}

func TestOverlapsAndGapsAreRefused(t *testing.T) {
	for _, test := range []struct{ name, header, want string }{
		{"overlap", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "tensor b: data begins at byte 4, expected 8"},
		{"gap", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, "tensor b: data begins at byte 8, expected 4"},
		{"backwards", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,-4]}}`, "tensor a: data ends at byte -4"},
		{"shape", `{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, "tensor a: shape [3] with 8 bytes of F32"},
		{"overflow", `{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}`, "tensor a: shape"},
		{"no object", `[]`, "header"},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := binary.LittleEndian.AppendUint64(nil, uint64(len(test.header)))
			raw = append(append(raw, test.header...), make([]byte, 12)...)
			if _, err := hf.DecodeSafetensors(raw); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestHalfPrecision(t *testing.T) {
	header := `{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}}`
	raw := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	raw = append(raw, header...)
	for _, h := range []uint16{0x3C00, 0xC000, 0x7BFF, 0x0001, 0x3F80, 0xC049} { // 1, -2, 65504, 2^-24; 1, -3.140625
		raw = binary.LittleEndian.AppendUint16(raw, h)
	}
	tensors, err := hf.DecodeSafetensors(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors[0].Data; !slices.Equal(got, []float32{1, -2, 65504, 1.0 / (1 << 24)}) {
		t.Errorf("F16: %v", got)
	}
	if got := tensors[1].Data; !slices.Equal(got, []float32{1, -3.140625}) {
		t.Errorf("BF16: %v", got)
	}
}

func FuzzDecodeSafetensors(f *testing.F) {
	raw, err := hf.EncodeSafetensors([]hf.NamedTensor{{Name: "a", Shape: []int{2}, Data: []float32{1, 2}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		tensors, err := hf.DecodeSafetensors(raw)
		if err != nil {
			return
		}
		for _, x := range tensors {
			n := 1
			for _, d := range x.Shape {
				n *= d
			}
			if n != len(x.Data) {
				t.Errorf("%s: shape %v, %d elements", x.Name, x.Shape, len(x.Data))
			}
		}
	})
}

// Whatever config.json says, loading ends in an error or a model, and takes no more memory than the weights call for.
func FuzzLoadConfig(f *testing.F) {
	config, err := os.ReadFile("testdata/lm/config.json")
	if err != nil {
		f.Fatal(err)
	}
	weights, err := os.ReadFile("testdata/lm/model.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(config)
	f.Add([]byte(`{"n_embd":1e3}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		if m, err := hf.Load(write(t, map[string][]byte{"config.json": config, "model.safetensors": weights})); err == nil && len(m.Theta) != m.Config.NumParams() {
			t.Errorf("%d parameters, expected %d", len(m.Theta), m.Config.NumParams())
		}
	})
}
