package hf_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"rlhf/gpt/hf"
)

// repickled returns a zip file of torch.save with one change to its pickle.
func repickled(t *testing.T, raw []byte, old, new string) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if path.Base(f.Name) == "data.pkl" {
			if !bytes.Contains(text, []byte(old)) {
				t.Fatalf("%q is not in the pickle", old)
			}
			text = bytes.Replace(text, []byte(old), []byte(new), 1)
		}
		to, err := w.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestMinGPTErrors(t *testing.T) {
	const min, nano, bare = "mingpt/model.pt", "nanogpt/ckpt.pt", "nanogpt_no_bias/ckpt.pt"
	for _, test := range []struct {
		name, file string
		old, new   string // in the pickle
		given      hf.MinGPT
		want       string
	}{
		{"no heads", min, "", "", hf.MinGPT{}, "model.pt: n_head: the weights do not say it, it must be given"},
		{"heads", min, "", "", hf.MinGPT{NHead: 3}, "model.pt: n_head: must divide n_embd 8 (got 3)"},
		{"other heads", nano, "", "", hf.MinGPT{NHead: 4}, "ckpt.pt: model_args: n_head: found 2, expected 4"},
		{"activation", min, "", "", hf.MinGPT{NHead: 2, Activation: "mish"}, `activation_function: found "mish"`},
		{"no head", min, "lm_head.weight", "lm_dead.weight", hf.MinGPT{NHead: 2}, "tensor lm_head.weight: missing"},
		{"no embedding", min, "transformer.wte.", "transformer.xte.", hf.MinGPT{NHead: 2}, "model.pt: tensor transformer.wte.weight: missing, expected it in the weights of minGPT or nanoGPT"},
		{"missing", min, "transformer.ln_f.weight", "transformer.ln_g.weight", hf.MinGPT{NHead: 2}, "tensor transformer.ln_g.weight: the model of config.json has no such tensor"},
		{"context", bare, "block_sizer\x30\x01\x00\x00K\x08", "block_sizer\x30\x01\x00\x00K\x09", hf.MinGPT{}, "ckpt.pt: model_args: block_size: found 9, expected 8"},
		{"no context", nano, "block_size", "block_tize", hf.MinGPT{}, "ckpt.pt: model_args: block_size: found <nil>, expected a number"},
		{"biases", bare, "r\x31\x01\x00\x00\x89", "r\x31\x01\x00\x00\x88", hf.MinGPT{}, "ckpt.pt: model_args: bias: found true, but the weights say false"},
		{"dropout", bare, "G\x3f\xc3\x33\x33\x33\x33\x33\x33", "G\x3f\xf3\x33\x33\x33\x33\x33\x33", hf.MinGPT{}, "model_args: dropout: embd_pdrop: found 1.2"},
		{"no tensors", min, "collections\nOrderedDict\nq\x00)R", "collections\nOrderedDict\nq\x00)R.", hf.MinGPT{NHead: 2}, "transformer.wte.weight: missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", test.file))
			if err != nil {
				t.Fatal(err)
			}
			if test.old != "" {
				raw = repickled(t, raw, test.old, test.new)
			}
			name := filepath.Base(test.file)
			_, _, err = hf.LoadMinGPT(filepath.Join(write(t, map[string][]byte{name: raw}), name), test.given)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
