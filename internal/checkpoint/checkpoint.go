// Package checkpoint keeps the exact state of a run on disk: models, optimizers
// and a stage's own state, whole or not at all. A checkpoint is a directory that
// transformers loads as it is (model.safetensors, config.json) with what resuming
// needs beside it. It is written under a temporary name, flushed and renamed, and
// carries the SHA-256 of every file, so a damaged or half-written one is refused.
// It knows nothing of what a stage does.
package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"rlhf/gpt"
	"rlhf/gpt/hf"
	"rlhf/internal/kernel"
	"rlhf/internal/optim"
)

// ErrNone is returned by Latest when a directory holds no checkpoint.
var ErrNone = errors.New("no checkpoint")

// Tokenizer is the tokenizer's part of the directories written.
type Tokenizer = hf.Extras

// Checkpoint is the state of a run. Save reads it, Restore fills it.
type Checkpoint struct {
	// Models and Optimizers by name. "" stands in the directory itself, any other
	// name in a subdirectory of that name.
	Models     map[string]*gpt.Model
	Optimizers map[string]*optim.AdamW

	// State is the stage's own state, a struct, written as state.json with what
	// made the run; for Restore a pointer.
	State any

	Tokenizer Tokenizer // written beside the model ""
}

const (
	manifestFile  = "manifest.json"
	stateFile     = "state.json"
	optimizerFile = "optimizer.safetensors"
	partial       = ".partial" // end of the name of a directory that is being written
	replaced      = ".old"     // end of the name of a directory that makes room for a new one
)

// manifest is manifest.json: what a whole checkpoint consists of.
type manifest struct {
	Files          map[string]fileSum `json:"files"`
	OptimizerSteps map[string]int     `json:"optimizer_steps"`
	SHA256         string             `json:"sha256"` // of the manifest with this field empty
}

// encode returns the manifest as a file, with its own hash set.
func (m manifest) encode() ([]byte, error) {
	m.SHA256 = ""
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	m.SHA256 = sum(text).SHA256
	if text, err = json.MarshalIndent(m, "", "  "); err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// parseManifest is the inverse of encode; any difference to what it wrote is an error.
func parseManifest(raw []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, err
	}
	if want, err := m.encode(); err != nil || !bytes.Equal(raw, want) {
		return m, errors.New("damaged: it does not match its own SHA-256")
	}
	return m, nil
}

type fileSum struct {
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

func sum(data []byte) fileSum {
	h := sha256.Sum256(data)
	return fileSum{len(data), hex.EncodeToString(h[:])}
}

// Save writes c to dir, as made by the instruction set in use. If dir exists it is
// replaced. A process killed at any moment leaves the old directory or the new
// one, never part of one; between the two the old one has another name, under
// which Latest and Restore find it.
func Save(dir string, c Checkpoint) error {
	return save(dir, c, origin{kernels: []string{kernel.Name()}})
}

// save is Save for a run of the given origin.
func save(dir string, c Checkpoint, from origin) error {
	files, err := encode(c, from)
	if err != nil {
		return fmt.Errorf("save checkpoint %s: %w", dir, err)
	}
	if err := writeDir(dir, files); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// encode returns the files of a checkpoint by path below its directory.
func encode(c Checkpoint, from origin) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, m := range c.Models {
		t := c.Tokenizer
		if name != "" {
			t.Files = nil
		}
		part, err := hf.Files(m, t)
		if err != nil {
			return nil, fmt.Errorf("model %q: %w", name, err)
		}
		for file, data := range part {
			files[filepath.Join(name, file)] = data
		}
	}
	man := manifest{Files: map[string]fileSum{}, OptimizerSteps: map[string]int{}}
	for name, o := range c.Optimizers {
		m, ok := c.Models[name]
		if !ok {
			return nil, fmt.Errorf("optimizer %q without its model", name)
		}
		data, err := hf.EncodeSafetensors(moments(m, o))
		if err != nil {
			return nil, fmt.Errorf("optimizer %q: %w", name, err)
		}
		files[filepath.Join(name, optimizerFile)] = data
		man.OptimizerSteps[name] = o.Step
	}
	var err error
	if files[stateFile], err = encodeState(c.State, from); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	for file, data := range files {
		man.Files[filepath.ToSlash(file)] = sum(data)
	}
	if files[manifestFile], err = man.encode(); err != nil {
		return nil, err
	}
	return files, nil
}

// moments names the views into an optimizer's state after the parameters.
func moments(m *gpt.Model, o *optim.AdamW) []hf.NamedTensor {
	var tensors []hf.NamedTensor
	for _, part := range []struct {
		name string
		flat []float32
	}{{"m.", o.M}, {"v.", o.V}} {
		for _, t := range m.Config.Tensors() {
			tensors = append(tensors, hf.NamedTensor{Name: part.name + t.Name, Shape: t.Shape, Data: part.flat[t.Offset : t.Offset+t.Size()]})
		}
	}
	return tensors
}

// SaveModel writes a model directory in the same way as Save, for the end of a run.
func SaveModel(dir string, m *gpt.Model, t Tokenizer) error {
	files, err := hf.Files(m, t)
	if err == nil {
		err = writeDir(dir, files)
	}
	if err != nil {
		return fmt.Errorf("save model %s: %w", dir, err)
	}
	return nil
}

// Restore fills c from the checkpoint in dir: the parameters of its models, the
// moments and steps of its optimizers, and what its State points at. Every file
// is checked before anything is changed. Errors name the file and what is wrong
// with it, or the model whose shape differs.
func Restore(dir string, c Checkpoint) error {
	_, err := restore(dir, c, nil)
	return err
}

// restore is Restore and returns what made the run. check, if not nil, may refuse
// that before anything is changed.
func restore(dir string, c Checkpoint, check func(origin) error) (from origin, err error) {
	if err := settle(dir); err != nil {
		return from, fmt.Errorf("load checkpoint %s: %w", dir, err)
	}
	man, err := verify(dir, c)
	if err != nil {
		return from, fmt.Errorf("load checkpoint %s: %w", dir, err)
	}
	loaded := map[string]*gpt.Model{}
	momentsOf := map[string][]hf.NamedTensor{}
	for name, m := range c.Models {
		if loaded[name], err = loadModel(dir, name, m); err != nil {
			return from, fmt.Errorf("load checkpoint %s: %w", dir, err)
		}
	}
	for name, o := range c.Optimizers {
		if momentsOf[name], err = loadMoments(filepath.Join(dir, name, optimizerFile), moments(c.Models[name], o)); err != nil {
			return from, fmt.Errorf("load checkpoint: %w", err)
		}
	}
	from, setState, err := loadState(filepath.Join(dir, stateFile), c.State)
	if err != nil {
		return from, fmt.Errorf("load checkpoint: %w", err)
	}
	if check != nil {
		if err := check(from); err != nil {
			return from, err
		}
	}
	setState()
	for name, m := range c.Models {
		copy(m.Theta, loaded[name].Theta)
		m.Changed()
	}
	for name, o := range c.Optimizers {
		for i, t := range moments(c.Models[name], o) {
			copy(t.Data, momentsOf[name][i].Data)
		}
		o.Step = man.OptimizerSteps[name]
	}
	return from, nil
}

// loadModel reads a model of the shape of want.
func loadModel(dir, name string, want *gpt.Model) (*gpt.Model, error) {
	m, err := hf.Load(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	if m.Config != want.Config {
		return nil, fmt.Errorf("model %q has the shape %+v, expected %+v", name, m.Config, want.Config)
	}
	return m, nil
}

// loadMoments reads tensors of the names and shapes of want, in its order.
func loadMoments(file string, want []hf.NamedTensor) ([]hf.NamedTensor, error) {
	tensors, err := hf.ReadSafetensors(file)
	if err != nil {
		return nil, err
	}
	if len(tensors) != len(want) {
		return nil, fmt.Errorf("%s: %d tensors, expected %d", file, len(tensors), len(want))
	}
	for i, t := range tensors {
		if t.Name != want[i].Name || !slices.Equal(t.Shape, want[i].Shape) {
			return nil, fmt.Errorf("%s: tensor %s %v, expected %s %v", file, t.Name, t.Shape, want[i].Name, want[i].Shape)
		}
	}
	return tensors, nil
}

// verify checks every file of a checkpoint against its manifest, which must have
// all that c asks for.
func verify(dir string, c Checkpoint) (manifest, error) {
	raw, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return manifest{}, err
	}
	man, err := parseManifest(raw)
	if err != nil {
		return man, fmt.Errorf("%s: %w", manifestFile, err)
	}
	for _, name := range slices.Sorted(maps.Keys(man.Files)) {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return man, err
		}
		want := man.Files[name]
		if len(data) != want.Size {
			return man, fmt.Errorf("%s: %d bytes, expected %d", name, len(data), want.Size)
		}
		if got := sum(data); got != want {
			return man, fmt.Errorf("%s: damaged: its SHA-256 is %s, expected %s", name, got.SHA256, want.SHA256)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Models)) {
		if _, ok := man.Files[path.Join(name, "model.safetensors")]; !ok {
			return man, fmt.Errorf("%s: the checkpoint holds no model %q", manifestFile, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Optimizers)) {
		if _, ok := man.OptimizerSteps[name]; !ok {
			return man, fmt.Errorf("%s: the checkpoint holds no optimizer %q", manifestFile, name)
		}
	}
	return man, nil
}
