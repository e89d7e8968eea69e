package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/gpt/hf"
)

// modelFacts is what model show prints, as JSON under the names of config.json.
type modelFacts struct {
	Dir        string           `json:"dir"`
	Kind       string           `json:"kind"` // "language" or "score"
	VocabSize  int              `json:"vocab_size"`
	NPositions int              `json:"n_positions"`
	NEmbd      int              `json:"n_embd"`
	NLayer     int              `json:"n_layer"`
	NHead      int              `json:"n_head"`
	NInner     int              `json:"n_inner"`
	Activation string           `json:"activation_function"`
	Epsilon    float32          `json:"layer_norm_epsilon"`
	Head       string           `json:"head"` // "tied", "own" or "score"
	EmbdPdrop  float64          `json:"embd_pdrop"`
	AttnPdrop  float64          `json:"attn_pdrop"`
	ResidPdrop float64          `json:"resid_pdrop"`
	Parameters map[string]int   `json:"parameters"` // by part, and "total"
	Memory     map[string]int64 `json:"memory_bytes"`
	Files      []string         `json:"weights_files"`
	Bytes      int64            `json:"weights_bytes"`
	Dtypes     map[string]int64 `json:"weights_elements"` // by dtype
	Tokenizer  *tokenizerFacts  `json:"tokenizer"`
	Notes      []string         `json:"notes,omitempty"` // what does not agree
	Lineage    *lineage         `json:"lineage"`
}

type tokenizerFacts struct {
	Kind      string           `json:"kind"`
	VocabSize int              `json:"vocab_size"`
	Merges    int              `json:"merges"`
	Special   map[string]int32 `json:"special_tokens"`
}

// lineage is lineage.json: the run that made a model, its data, and what it started from.
type lineage struct {
	Stage     string          `json:"stage"`
	CreatedBy string          `json:"created_by,omitempty"`
	Parents   []lineageParent `json:"parents,omitempty"`
	Data      []lineageData   `json:"data,omitempty"`
	Steps     int             `json:"steps,omitempty"`
	Kernels   []string        `json:"kernels,omitempty"`
}

type lineageParent struct {
	Role    string   `json:"role"`
	SHA256  string   `json:"sha256"`
	Lineage *lineage `json:"lineage,omitempty"`
}

type lineageData struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

const lineageFile = "lineage.json"

func (a *app) modelShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "show DIR", Short: "What a model directory holds: sizes, parameters, tokenizer, lineage", Args: cobra.ExactArgs(1)}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = work(func(_ *cobra.Command, args []string) error {
		f, err := readModelFacts(args[0])
		if err != nil {
			return err
		}
		if !asJSON {
			_, err = fmt.Fprint(a.out, f)
			return err
		}
		var lines jsonLines
		if err := lines.add(f); err != nil {
			return err
		}
		_, err = lines.WriteTo(a.out)
		return err
	})
	return cmd
}

// readModelFacts reads a model directory without its weights.
func readModelFacts(dir string) (modelFacts, error) {
	info, err := hf.ReadInfo(dir)
	if err != nil {
		return modelFacts{}, err
	}
	c := info.Config
	f := modelFacts{Dir: dir, Kind: "language", VocabSize: c.VocabSize, NPositions: c.NPositions, NEmbd: c.NEmbd, NLayer: c.NLayer, NHead: c.NHead,
		NInner: c.MLPDim(), Activation: c.Activation, Epsilon: c.LayerNormEpsilon, Head: "tied",
		EmbdPdrop: info.Dropout.Embd, AttnPdrop: info.Dropout.Attn, ResidPdrop: info.Dropout.Resid,
		Parameters: countParameters(c), Files: info.Files, Bytes: info.Bytes, Dtypes: info.Dtypes}
	if f.Activation == "" {
		f.Activation = "gelu_new"
	}
	switch {
	case c.NLabels > 0:
		f.Kind, f.Head = "score", "score"
	case c.OwnHead:
		f.Head = "own"
		if info.Tied {
			f.Notes = append(f.Notes, "lm_head.weight differs from the embedding, though config.json does not say tie_word_embeddings false: transformers would drop it, here it is the head")
		}
	}
	theta := 4 * int64(c.NumParams())
	f.Memory = map[string]int64{"parameters": theta, "training": 4 * theta} // with the gradient and AdamW's two moments
	if err := f.readTokenizer(dir, info.Settings); err != nil {
		return f, err
	}
	f.Lineage, err = readLineage(dir)
	return f, err
}

// countParameters counts parameters by part.
func countParameters(c gpt.Config) map[string]int {
	n := map[string]int{"total": c.NumParams()}
	for _, t := range c.Tensors() {
		part := "layer_norms"
		switch {
		case t.Name == "transformer.wte.weight":
			part = "token_embeddings"
		case t.Name == "transformer.wpe.weight":
			part = "position_embeddings"
		case strings.Contains(t.Name, ".attn."):
			part = "attention"
		case strings.Contains(t.Name, ".mlp."):
			part = "mlp"
		case t.Name == "lm_head.weight" || t.Name == "score.weight":
			part = "head"
		}
		n[part] += t.Size()
	}
	return n
}

// readTokenizer adds the directory's tokenizer, if it has one, and what of it does not agree with the model.
func (f *modelFacts) readTokenizer(dir string, s hf.Settings) error {
	tok, err := optionalTokenizer(dir)
	if err != nil || tok == nil {
		return err
	}
	f.Tokenizer = &tokenizerFacts{Kind: "byte-level BPE", VocabSize: tok.VocabSize(), Merges: len(tok.Merges()), Special: map[string]int32{}}
	for _, id := range []int32{tok.EndOfText(), tok.Pad()} {
		if id >= 0 {
			f.Tokenizer.Special[tok.DecodeSpecial([]int32{id})] = id
		}
	}
	if n, v := tok.VocabSize(), f.VocabSize; n > v {
		f.Notes = append(f.Notes, fmt.Sprintf("the tokenizer has %d tokens, the model %d: model resize gives it the others", n, v))
	} else if n < v {
		f.Notes = append(f.Notes, fmt.Sprintf("%d of the model's %d ids have no token", v-n, v))
	}
	for _, id := range []struct {
		name  string
		said  *int32
		token int32
	}{{"eos_token_id", s.EOS, tok.EndOfText()}, {"pad_token_id", s.Pad, tok.Pad()}} {
		if id.said != nil && id.token >= 0 && *id.said != id.token {
			f.Notes = append(f.Notes, fmt.Sprintf("%s: config.json says %d, the tokenizer %d", id.name, *id.said, id.token))
		}
	}
	return nil
}

// optionalTokenizer reads a directory's tokenizer; it returns nil if there is none.
func optionalTokenizer(dir string) (*bpe.Tokenizer, error) {
	some := false
	for _, name := range []string{"vocab.json", "merges.txt", "tokenizer.json"} {
		_, err := os.Stat(filepath.Join(dir, name))
		some = some || !errors.Is(err, fs.ErrNotExist)
	}
	if !some {
		return nil, nil
	}
	return bpe.Load(dir)
}

// readLineage reads lineage.json; it returns nil if there is none.
func readLineage(dir string) (*lineage, error) {
	path := filepath.Join(dir, lineageFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l := new(lineage)
	if err := json.Unmarshal(raw, l); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			err = fmt.Errorf("line %d: %s: found %s, expected %s", 1+bytes.Count(raw[:kind.Offset], []byte{'\n'}), kind.Field, kind.Value, kind.Type)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// String prints the facts for people.
func (f modelFacts) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("model", "%s", f.Dir)
	line("kind", "%s", map[string]string{"language": "language model", "score": "reward or value model, one score a position"}[f.Kind])
	line("shape", "n_layer %d, n_head %d, n_embd %d, n_inner %d, n_positions %d, vocab_size %d", f.NLayer, f.NHead, f.NEmbd, f.NInner, f.NPositions, f.VocabSize)
	line("computes", "activation_function %s, layer_norm_epsilon %g", f.Activation, f.Epsilon)
	line("head", "%s", map[string]string{"tied": "the token embedding", "own": "lm_head.weight, its own", "score": "score.weight"}[f.Head])
	line("dropout", "embd_pdrop %g, attn_pdrop %g, resid_pdrop %g", f.EmbdPdrop, f.AttnPdrop, f.ResidPdrop)
	line("parameters", "%s", thousands(f.Parameters["total"]))
	for _, part := range []string{"token_embeddings", "position_embeddings", "attention", "mlp", "layer_norms", "head"} {
		if n := f.Parameters[part]; n > 0 {
			line("", "%14s  %s", thousands(n), strings.ReplaceAll(part, "_", " "))
		}
	}
	line("memory", "%s of parameters; %s with gradient and AdamW's moments, activations apart", size(f.Memory["parameters"]), size(f.Memory["training"]))
	line("weights", "%s, %s, %s", plural(f.Files), dtypes(f.Dtypes), size(f.Bytes))
	line("tokenizer", "%s", f.Tokenizer)
	for _, note := range f.Notes {
		line("note", "%s", note)
	}
	if f.Lineage == nil {
		line("lineage", "none is known")
	} else {
		line("lineage", "%s", f.Lineage.text())
		f.Lineage.tree(&b, 1)
	}
	return b.String()
}

// String prints a tokenizer, or that there is none.
func (t *tokenizerFacts) String() string {
	if t == nil {
		return "none: the model works on token ids"
	}
	var special []string
	for name, id := range t.Special {
		special = append(special, fmt.Sprintf("%s %d", name, id))
	}
	slices.Sort(special)
	if special == nil {
		special = []string{"none"}
	}
	return fmt.Sprintf("%s, %d tokens, %d merges; special: %s", t.Kind, t.VocabSize, t.Merges, strings.Join(special, ", "))
}

// text is a lineage in one line, without its parents.
func (l *lineage) text() string {
	s := l.Stage
	if l.Steps > 0 {
		s += fmt.Sprintf(", %d steps", l.Steps)
	}
	if len(l.Kernels) > 0 {
		s += ", computed with " + strings.Join(l.Kernels, " and ")
	}
	if l.CreatedBy != "" {
		s += ", by " + l.CreatedBy
	}
	return s
}

// tree prints data and parents, each level further in.
func (l *lineage) tree(b *strings.Builder, depth int) {
	margin := strings.Repeat("  ", depth) + strings.Repeat(" ", 11)
	for _, d := range l.Data {
		fmt.Fprintf(b, "%sdata %s, %s, sha256 %.12s\n", margin, d.Name, size(d.Bytes), d.SHA256)
	}
	for _, p := range l.Parents {
		if p.Lineage == nil {
			fmt.Fprintf(b, "%s%s: sha256 %.12s, nothing more is known\n", margin, p.Role, p.SHA256)
			continue
		}
		fmt.Fprintf(b, "%s%s: %s, sha256 %.12s\n", margin, p.Role, p.Lineage.text(), p.SHA256)
		p.Lineage.tree(b, depth+1)
	}
}

// size writes a number of bytes.
func size(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if float64(n) >= unit.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// plural names one file, or the first and how many.
func plural(files []string) string {
	if len(files) == 1 {
		return files[0]
	}
	return fmt.Sprintf("%s and %d more", files[0], len(files)-1)
}

// dtypes names the precisions of the weights, and if there are several the elements of each.
func dtypes(n map[string]int64) string {
	var out []string
	for dtype, count := range n {
		if len(n) == 1 {
			return dtype
		}
		out = append(out, fmt.Sprintf("%s of %s", thousands(int(count)), dtype))
	}
	slices.Sort(out)
	return strings.Join(out, " and ")
}
