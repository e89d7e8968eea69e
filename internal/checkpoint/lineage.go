package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"rlhf/gpt"
)

// LineageFile is the file of a model directory that says where the model comes from.
const LineageFile = "lineage.json"

// Lineage is where a model comes from. It names files by their content, so that it
// holds wherever they are moved.
type Lineage struct {
	Stage   string   `json:"stage"` // pretrain, sft, reward or ppo; import or resize
	Parents []Parent `json:"parents"`
	Data    []Data   `json:"data"`
	Steps   int      `json:"steps"`
	Kernels []string `json:"kernels"` // instruction sets that made the run, in order
}

// Parent is a model that another was made with.
type Parent struct {
	Role    string   `json:"role"`              // init, ref or reward
	SHA256  string   `json:"sha256"`            // of its parameters: see ParametersSHA256
	Lineage *Lineage `json:"lineage,omitempty"` // nil if it is not known
}

// Data is a file that was learnt from, or imported.
type Data struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// ParametersSHA256 returns the digest of a model's parameters, whatever file they stand in.
func ParametersSHA256(m *gpt.Model) string {
	d := NewDigest()
	d.Model(m)
	return d.String()
}

// ParentOf returns m as a parent; lineage is nil if it is not known.
func ParentOf(role string, m *gpt.Model, lineage *Lineage) Parent {
	return Parent{role, ParametersSHA256(m), lineage}
}

// ReadLineage returns the lineage beside the model in dir, or nil if there is none.
func ReadLineage(dir string) (*Lineage, error) {
	path := filepath.Join(dir, LineageFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var l Lineage
	if err := json.Unmarshal(raw, &l); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &l, nil
}

// tokenizer returns the files to write beside a model of the run as it stands at a step: the tokenizer's, and the lineage.
func (r *Run) tokenizer(step int) (Tokenizer, error) {
	if r.Lineage == nil {
		return r.Tokenizer, nil
	}
	l := *r.Lineage
	l.Steps, l.Kernels = step, r.madeBy(step)
	return l.Beside(r.Tokenizer)
}

// Beside returns t with the lineage among its files.
func (l *Lineage) Beside(t Tokenizer) (Tokenizer, error) {
	raw, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return t, err
	}
	t.Files = maps.Clone(t.Files)
	if t.Files == nil {
		t.Files = map[string][]byte{}
	}
	t.Files[LineageFile] = append(raw, '\n')
	return t, nil
}
