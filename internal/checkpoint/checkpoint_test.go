package checkpoint_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rlhf/gpt"
	"rlhf/internal/checkpoint"
	"rlhf/internal/kernel"
	"rlhf/internal/optim"
)

var quiet = slog.New(slog.DiscardHandler)

type state struct {
	Step int     `json:"step"`
	KL   float64 `json:"kl_coef"`
}

// example returns a checkpoint of two models whose numbers depend on seed.
func example(t testing.TB, seed uint64) (checkpoint.Checkpoint, *state) {
	t.Helper()
	s := &state{Step: int(seed), KL: .1 * float64(seed)}
	c := checkpoint.Checkpoint{Models: map[string]*gpt.Model{}, Optimizers: map[string]*optim.AdamW{}, State: s,
		Tokenizer: checkpoint.Tokenizer{Files: map[string][]byte{"vocab.json": []byte("{}")}}}
	for name, labels := range map[string]int{"": 0, "value": 1} {
		m, err := gpt.New(gpt.Config{VocabSize: 11, NPositions: 8, NEmbd: 8, NLayer: 1, NHead: 2, NLabels: labels, LayerNormEpsilon: 1e-5})
		if err != nil {
			t.Fatal(err)
		}
		m.Init(seed)
		o := optim.NewAdamW(optim.Config{Beta1: .9, Beta2: .95, Eps: 1e-8}, m.Config.Tensors())
		for range seed {
			o.Update(m.Theta, m.Theta, 1e-3, 1)
		}
		m.Changed()
		c.Models[name], c.Optimizers[name] = m, o
	}
	return c, s
}

func TestSaveRestore(t *testing.T) {
	dir := checkpoint.StepDir(t.TempDir(), 3)
	saved, want := example(t, 3)
	for range 2 { // the second time replaces the first
		if err := checkpoint.Save(dir, saved); err != nil {
			t.Fatal(err)
		}
	}
	got, s := example(t, 0)
	if err := checkpoint.Restore(dir, got); err != nil {
		t.Fatal(err)
	}
	if *s != *want {
		t.Errorf("state %+v, want %+v", *s, *want)
	}
	for name := range saved.Models {
		a, b := got.Models[name], saved.Models[name]
		if !slices.Equal(a.Theta, b.Theta) {
			t.Errorf("model %q differs", name)
		}
		o, p := got.Optimizers[name], saved.Optimizers[name]
		if !slices.Equal(o.M, p.M) || !slices.Equal(o.V, p.V) || o.Step != p.Step {
			t.Errorf("optimizer %q differs", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "vocab.json")); err != nil {
		t.Error(err)
	}
}

func TestDamageIsRefused(t *testing.T) {
	tests := []struct {
		name, file string
		change     func([]byte) []byte
		want       string
	}{
		{"one bit", "model.safetensors", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, "model.safetensors: damaged"},
		{"cut off", "value/optimizer.safetensors", func(b []byte) []byte { return b[:len(b)-1] }, "value/optimizer.safetensors: "},
		{"state", "state.json", func(b []byte) []byte { return []byte("{}") }, "state.json: 2 bytes"},
		{"manifest cut off", "manifest.json", func(b []byte) []byte { return b[:20] }, "manifest.json: unexpected end"},
		{"empty manifest", "manifest.json", func([]byte) []byte { return []byte("{}\n") }, "manifest.json: damaged"},
		{"other step", "manifest.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"value": 1`), []byte(`"value": 2`), 1) }, "manifest.json: damaged"},
		{"other config", "value/config.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"n_head": 2`), []byte(`"n_head": 4`), 1) }, "value/config.json: damaged"},
		{"emptied", "vocab.json", func([]byte) []byte { return nil }, "vocab.json: 0 bytes, expected 2"},
		{"zeros", "optimizer.safetensors", func(b []byte) []byte { return make([]byte, len(b)) }, "optimizer.safetensors: damaged"},
		{"gone", "config.json", nil, "config.json: no such file"},
		{"no manifest", "manifest.json", nil, "manifest.json: no such file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := checkpoint.StepDir(t.TempDir(), 1)
			saved, _ := example(t, 1)
			if err := checkpoint.Save(dir, saved); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, test.file)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if test.change == nil {
				err = os.Remove(path)
			} else if changed := test.change(slices.Clone(raw)); bytes.Equal(changed, raw) {
				t.Fatal("nothing was changed")
			} else {
				err = os.WriteFile(path, changed, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
			got, s := example(t, 2)
			before := slices.Clone(got.Models[""].Theta)
			err = checkpoint.Restore(dir, got)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if !slices.Equal(got.Models[""].Theta, before) || s.Step != 2 {
				t.Error("a refused checkpoint changed something")
			}
		})
	}
}

func TestOtherShapeIsRefused(t *testing.T) {
	dir := checkpoint.StepDir(t.TempDir(), 1)
	saved, _ := example(t, 1)
	if err := checkpoint.Save(dir, saved); err != nil {
		t.Fatal(err)
	}
	other, _ := example(t, 1)
	c := other.Models[""].Config
	c.NPositions++
	m, err := gpt.New(c)
	if err != nil {
		t.Fatal(err)
	}
	other.Models[""] = m
	if err := checkpoint.Restore(dir, other); err == nil || !strings.Contains(err.Error(), `model "" has the shape`) {
		t.Errorf("got %v", err)
	}
}

func TestOtherContentIsRefused(t *testing.T) {
	dir := checkpoint.StepDir(t.TempDir(), 1)
	saved, _ := example(t, 1)
	other, _ := example(t, 1)
	delete(saved.Models, "value")
	delete(saved.Optimizers, "value")
	if err := checkpoint.Save(dir, saved); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Restore(dir, other); err == nil || !strings.Contains(err.Error(), `the checkpoint holds no model "value"`) {
		t.Errorf("got %v", err)
	}
	delete(saved.Optimizers, "")
	if err := checkpoint.Save(dir, saved); err != nil {
		t.Fatal(err)
	}
	delete(other.Models, "value")
	delete(other.Optimizers, "value")
	if err := checkpoint.Restore(dir, other); err == nil || !strings.Contains(err.Error(), `the checkpoint holds no optimizer ""`) {
		t.Errorf("got %v", err)
	}
	saved.Models = nil
	saved.State = struct {
		Step  int `json:"step"`
		Stage string
	}{7, "sft"}
	if err := checkpoint.Save(dir, saved); err != nil {
		t.Fatal(err)
	}
	s := &state{KL: .5}
	if err := checkpoint.Restore(dir, checkpoint.Checkpoint{State: s}); err == nil || !strings.Contains(err.Error(), `state.json: json: unknown field "Stage"`) {
		t.Errorf("got %v", err)
	}
	if *s != (state{KL: .5}) {
		t.Errorf("a refused state changed it to %+v", *s)
	}
}

func TestEqualCheckpointsAreEqualBytes(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	for _, dir := range []string{a, b} {
		c, _ := example(t, 4)
		if err := checkpoint.Save(dir, c); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"manifest.json", "model.safetensors", "config.json", "value/optimizer.safetensors", "state.json"} {
		x, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			t.Fatal(err)
		}
		if y, _ := os.ReadFile(filepath.Join(b, name)); !bytes.Equal(x, y) {
			t.Errorf("%s: bytes differ", name)
		}
	}
}

func TestLatestAndPrune(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := checkpoint.Latest(dir); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("empty: %v", err)
	}
	for _, name := range []string{"step-00000002", "step-00000010", "step-00000009", "step-00000011.partial", "other"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if step, path, err := checkpoint.Latest(dir); step != 10 || path != checkpoint.StepDir(dir, 10) || err != nil {
		t.Errorf("got %d, %s, %v", step, path, err)
	}
	if err := checkpoint.Prune(dir, 2); err != nil {
		t.Fatal(err)
	}
	var names []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"other", "step-00000009", "step-00000010"}; !reflect.DeepEqual(names, want) {
		t.Errorf("left %v, want %v", names, want)
	}
}

func TestRunsDoNotOverwrite(t *testing.T) {
	c, _ := example(t, 1)
	r := checkpoint.Run{Dir: t.TempDir(), Config: []byte("ppo:\n  lr: 1\n")}
	_, out, err := r.Start(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.Write(1, map[string]float64{"a": 1}), r.Save(1, 0, c), out.Write(2, map[string]float64{"a": 2}), out.Close()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Start(c, quiet); err == nil || !strings.Contains(err.Error(), "holds a run already") {
		t.Errorf("got %v", err)
	}
	r.Resume = true
	step, out, err := r.Start(c, quiet)
	if err != nil || step != 1 {
		t.Fatalf("resumed at %d, %v", step, err)
	}
	out.Close()
	if raw, _ := os.ReadFile(filepath.Join(r.Dir, "metrics.jsonl")); string(raw) != "{\"step\":1,\"a\":1}\n" {
		t.Errorf("metrics after resuming: %s", raw)
	}
	r.Config = []byte("ppo:\n  lr: 2\n")
	if _, _, err := r.Start(c, quiet); err == nil || !strings.Contains(err.Error(), "the settings differ from the run's config.yaml:2") {
		t.Errorf("resumed with other settings: %v", err)
	}
	r.Dir = t.TempDir()
	if _, _, err := r.Start(c, quiet); err == nil || !strings.Contains(err.Error(), "it holds no run") {
		t.Errorf("nothing to resume: %v", err)
	}
	r.Resume = false
	if _, out, err = r.Start(c, quiet); err != nil {
		t.Fatal(err)
	}
	out.Close()
	r.Resume = true
	if step, out, err = r.Start(c, quiet); err != nil || step != 0 {
		t.Fatalf("a run killed before its first checkpoint goes on at %d: %v", step, err)
	}
	out.Close()
}

func TestRunsResumeWithEqualInputs(t *testing.T) {
	c, _ := example(t, 1)
	r := checkpoint.Run{Dir: t.TempDir(), Inputs: map[string]string{"training examples": "aa", "model": "bb"}}
	_, out, err := r.Start(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Save(1, 0, c), out.Write(2, map[string]float64{"a": 2}), out.Close()); err != nil {
		t.Fatal(err)
	}
	r.Resume = true
	for _, test := range []struct {
		inputs map[string]string
		want   string
	}{
		{map[string]string{"training examples": "aa", "model": "cc"}, `model: found SHA-256 "cc", the run began with "bb"`},
		{map[string]string{"model": "bb"}, `training examples: found SHA-256 "", the run began with "aa"`},
		{map[string]string{"training examples": "aa", "model": "bb", "evaluation examples": "dd"}, `evaluation examples: found SHA-256 "dd", the run began with ""`},
	} {
		r.Inputs = test.inputs
		other, state := example(t, 5)
		theta := slices.Clone(other.Models[""].Theta)
		if _, _, err := r.Start(other, quiet); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
		if state.Step != 5 || !slices.Equal(theta, other.Models[""].Theta) {
			t.Error("a refused resume changed the state")
		}
		if raw, _ := os.ReadFile(filepath.Join(r.Dir, "metrics.jsonl")); string(raw) != "{\"step\":2,\"a\":2}\n" {
			t.Errorf("a refused resume changed the metrics: %s", raw)
		}
	}
	r.Inputs = map[string]string{"training examples": "aa", "model": "bb"}
	step, out, err := r.Start(c, quiet)
	if err != nil || step != 1 {
		t.Errorf("equal inputs: %d, %v", step, err)
	}
	out.Close()
}

func TestBestModel(t *testing.T) {
	r := checkpoint.Run{Dir: t.TempDir()}
	for _, seed := range []uint64{1, 2} { // the second takes the first one's place
		c, _ := example(t, seed)
		if err := r.SaveBest(int(seed), c.Models[""]); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := example(t, 0)
	want, _ := example(t, 2)
	if err := r.Best(got.Models[""]); err != nil || !slices.Equal(got.Models[""].Theta, want.Models[""].Theta) {
		t.Errorf("not the model that was kept last: %v", err)
	}
	if err := r.Best(got.Models["value"]); err == nil || !strings.Contains(err.Error(), "has the shape") {
		t.Errorf("a model of another shape: %v", err)
	}
}

func TestLineage(t *testing.T) {
	c, _ := example(t, 4)
	m := c.Models[""]
	base := &checkpoint.Lineage{Stage: "pretrain", Data: []checkpoint.Data{{Name: "a.txt", SHA256: "aa", Bytes: 7}}, Steps: 3, Kernels: []string{"portable"}}
	r := checkpoint.Run{Dir: t.TempDir(), Lineage: &checkpoint.Lineage{Stage: "sft", Parents: []checkpoint.Parent{checkpoint.ParentOf("init", m, base)}}}
	if err := errors.Join(r.Save(4, 0, c), r.Finish(5, m)); err != nil {
		t.Fatal(err)
	}
	for dir, steps := range map[string]int{filepath.Join(r.Dir, "model"): 5, filepath.Join(r.Dir, "checkpoints", "step-00000004"): 4} {
		got, err := checkpoint.ReadLineage(dir)
		if err != nil || got == nil {
			t.Fatal(err)
		}
		want := &checkpoint.Lineage{Stage: "sft", Parents: []checkpoint.Parent{{Role: "init", SHA256: checkpoint.ParametersSHA256(m), Lineage: base}}, Steps: steps, Kernels: []string{kernel.Name()}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", dir, got, want)
		}
	}
	if l, err := checkpoint.ReadLineage(t.TempDir()); l != nil || err != nil {
		t.Errorf("a directory without lineage: %v, %v", l, err)
	}
}

// SHA-256 of the little-endian bytes, worked out with sha256sum.
func TestDigest(t *testing.T) {
	d := checkpoint.NewDigest()
	d.Tokens([]int32{1, 258})
	if got, want := d.String(), "63666746b40cd3ee26094b3a844429e90b5a9837926e063100575aed05d44e7e"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	a, b := checkpoint.NewDigest(), checkpoint.NewDigest()
	c, _ := example(t, 1)
	a.Model(c.Models[""])
	c.Models[""].Theta[3] = -c.Models[""].Theta[3]
	b.Model(c.Models[""])
	if a.String() == b.String() {
		t.Error("a model and another have one digest")
	}
}
