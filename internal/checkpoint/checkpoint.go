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
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rlhf/gpt"
	"rlhf/gpt/hf"
	"rlhf/internal/optim"
)

// ErrNone is returned by Latest when a directory holds no checkpoint.
var ErrNone = errors.New("no checkpoint")

// Tokenizer is the tokenizer's part of the directories written.
type Tokenizer = hf.Tokenizer

// Checkpoint is the state of a run. Save reads it, Restore fills it.
type Checkpoint struct {
	// Models and Optimizers by name. "" stands in the directory itself, any other
	// name in a subdirectory of that name.
	Models     map[string]*gpt.Model
	Optimizers map[string]*optim.AdamW

	// State is the stage's own state, written as state.json; for Restore a pointer.
	State any

	Tokenizer Tokenizer // written beside the model ""
}

const (
	manifestFile  = "manifest.json"
	stateFile     = "state.json"
	optimizerFile = "optimizer.safetensors"
	partial       = ".partial"
)

// manifest is manifest.json: what a whole checkpoint consists of.
type manifest struct {
	Files          map[string]fileSum `json:"files"`
	OptimizerSteps map[string]int     `json:"optimizer_steps"`
}

type fileSum struct {
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

func sum(data []byte) fileSum {
	h := sha256.Sum256(data)
	return fileSum{len(data), hex.EncodeToString(h[:])}
}

// Save writes c to dir. If dir exists it is replaced. A process killed at any
// moment leaves the old directory, the new one, or neither under this name, but
// never part of one.
func Save(dir string, c Checkpoint) error {
	files, err := encode(c)
	if err != nil {
		return fmt.Errorf("save checkpoint %s: %w", dir, err)
	}
	if err := writeDir(dir, files); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// encode returns the files of a checkpoint by path below its directory.
func encode(c Checkpoint) (map[string][]byte, error) {
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
	state, err := json.MarshalIndent(c.State, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	files[stateFile] = append(state, '\n')
	for file, data := range files {
		man.Files[filepath.ToSlash(file)] = sum(data)
	}
	text, err := json.MarshalIndent(man, "", "  ")
	if err != nil {
		return nil, err
	}
	files[manifestFile] = append(text, '\n')
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

// writeDir writes files, by path below it, as the directory dir, whole or not at all.
func writeDir(dir string, files map[string][]byte) error {
	temporary := dir + partial
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	dirs := map[string]bool{temporary: true}
	for name, data := range files {
		path := filepath.Join(temporary, name)
		dirs[filepath.Dir(path)] = true
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := writeFile(path, data); err != nil {
			return err
		}
	}
	for d := range dirs {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	if _, err := os.Stat(dir); err == nil {
		old := dir + ".old"
		if err := errors.Join(os.RemoveAll(old), os.Rename(dir, old)); err != nil {
			return err
		}
		defer os.RemoveAll(old)
	}
	if err := os.Rename(temporary, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func writeFile(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Restore fills c from the checkpoint in dir: the parameters of its models, the
// moments and steps of its optimizers, and what its State points at. Every file
// is checked before anything is changed. Errors name the file and what is wrong
// with it, or the model whose shape differs.
func Restore(dir string, c Checkpoint) error {
	man, err := verify(dir)
	if err != nil {
		return fmt.Errorf("load checkpoint %s: %w", dir, err)
	}
	loaded := map[string]*gpt.Model{}
	momentsOf := map[string][]hf.NamedTensor{}
	for name, m := range c.Models {
		got, err := hf.Load(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("load checkpoint: %w", err)
		}
		if got.Config != m.Config {
			return fmt.Errorf("load checkpoint %s: model %q has the shape %+v, expected %+v", dir, name, got.Config, m.Config)
		}
		loaded[name] = got
	}
	for name, o := range c.Optimizers {
		path := filepath.Join(dir, name, optimizerFile)
		tensors, err := hf.ReadSafetensors(path)
		if err != nil {
			return fmt.Errorf("load checkpoint: %w", err)
		}
		want := moments(c.Models[name], o)
		if len(tensors) != len(want) {
			return fmt.Errorf("load checkpoint: %s: %d tensors, expected %d", path, len(tensors), len(want))
		}
		for i, t := range tensors {
			if t.Name != want[i].Name || !slices.Equal(t.Shape, want[i].Shape) {
				return fmt.Errorf("load checkpoint: %s: tensor %s %v, expected %s %v", path, t.Name, t.Shape, want[i].Name, want[i].Shape)
			}
		}
		momentsOf[name] = tensors
	}
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return fmt.Errorf("load checkpoint: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(c.State); err != nil {
		return fmt.Errorf("load checkpoint: %s: %w", filepath.Join(dir, stateFile), err)
	}
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
	return nil
}

// verify checks every file of a checkpoint against its manifest.
func verify(dir string) (manifest, error) {
	var man manifest
	raw, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return man, err
	}
	if err := json.Unmarshal(raw, &man); err != nil {
		return man, fmt.Errorf("%s: %w", manifestFile, err)
	}
	names := make([]string, 0, len(man.Files))
	for name := range man.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
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
	return man, nil
}

// StepDir returns the directory of a step's checkpoint.
func StepDir(checkpoints string, step int) string {
	return filepath.Join(checkpoints, fmt.Sprintf("step-%08d", step))
}

// steps returns the steps that have a checkpoint, in order.
func steps(checkpoints string) ([]int, error) {
	entries, err := os.ReadDir(checkpoints)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		var step int
		if _, err := fmt.Sscanf(e.Name(), "step-%d", &step); err == nil && filepath.Base(StepDir("", step)) == e.Name() {
			out = append(out, step)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Latest returns the step of the newest checkpoint and its directory. It returns
// ErrNone if there is none. Whether the checkpoint is whole, Restore tells: an
// older one is not used in its place unless the user removes the damaged one.
func Latest(checkpoints string) (step int, dir string, err error) {
	all, err := steps(checkpoints)
	if err != nil {
		return 0, "", err
	}
	if len(all) == 0 {
		return 0, "", fmt.Errorf("%s: %w", checkpoints, ErrNone)
	}
	step = all[len(all)-1]
	return step, StepDir(checkpoints, step), nil
}

// Prune removes all but the newest keep checkpoints; keep 0 removes none.
func Prune(checkpoints string, keep int) error {
	all, err := steps(checkpoints)
	if err != nil || keep == 0 {
		return err
	}
	for _, step := range all[:max(0, len(all)-keep)] {
		if err := os.RemoveAll(StepDir(checkpoints, step)); err != nil {
			return err
		}
	}
	return clean(checkpoints)
}

// clean removes what a killed process left under temporary names.
func clean(checkpoints string) error {
	entries, err := os.ReadDir(checkpoints)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), partial) || strings.HasSuffix(e.Name(), ".old") {
			if err := os.RemoveAll(filepath.Join(checkpoints, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
