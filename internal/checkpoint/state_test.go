package checkpoint_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rlhf/internal/checkpoint"
	"rlhf/internal/kernel"
)

// replaceState puts another state.json into a checkpoint, with the hashes that make it a whole one.
func replaceState(t *testing.T, dir, text string) {
	t.Helper()
	type sum struct {
		Size   int    `json:"size"`
		SHA256 string `json:"sha256"`
	}
	var manifest struct {
		Files          map[string]sum `json:"files"`
		OptimizerSteps map[string]int `json:"optimizer_steps"`
		SHA256         string         `json:"sha256"`
	}
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	manifest.Files["state.json"] = sum{len(text), fmt.Sprintf("%x", sha256.Sum256([]byte(text)))}
	manifest.SHA256 = ""
	for range 2 { // the manifest's own hash is that of itself without one
		if raw, err = json.MarshalIndent(manifest, "", "  "); err != nil {
			t.Fatal(err)
		}
		if manifest.SHA256 == "" {
			manifest.SHA256 = fmt.Sprintf("%x", sha256.Sum256(raw))
		}
	}
	for name, data := range map[string]string{"state.json": text, "manifest.json": string(raw) + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// kernelsIn returns the instruction sets that a checkpoint's state.json lists.
func kernelsIn(t *testing.T, dir string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Kernels []string }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file.Kernels
}

// otherKernel returns an instruction set that is not in use.
func otherKernel() string {
	return kernel.Names[slices.IndexFunc(kernel.Names, func(name string) bool { return name != kernel.Name() })]
}

// startRun begins a run and saves its step 3.
func startRun(t *testing.T) checkpoint.Run {
	t.Helper()
	r := checkpoint.Run{Dir: filepath.Join(t.TempDir(), "run")}
	c, _ := example(t, 3)
	_, out, err := r.Start(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	out.Close()
	if err := r.Save(3, 0, c); err != nil {
		t.Fatal(err)
	}
	return checkpoint.Run{Dir: r.Dir, Resume: true}
}

// The stage's own fields stand in state.json as encoding/json writes them, in alphabetical order.
func TestStateFile(t *testing.T) {
	r := startRun(t)
	got, err := os.ReadFile(filepath.Join(r.Dir, "checkpoints/step-00000003/state.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{
  "kernels": [
    %q
  ],
  "kl_coef": 0.30000000000000004,
  "step": 3
}
`, kernel.Name())
	if string(got) != want {
		t.Errorf("state.json is\n%swant\n%s", got, want)
	}
}

// stateOf returns the state.json of step 3 with a list of instruction sets; without one as it was written before there was such a list.
func stateOf(kernels []string) string {
	text := "{\n  \"step\": 3,\n  \"kl_coef\": 0.30000000000000004"
	if kernels != nil {
		text += ",\n  \"kernels\": [\n    \"" + strings.Join(kernels, "\",\n    \"") + "\"\n  ]"
	}
	return text + "\n}\n"
}

func TestKernelsOfAResumedRun(t *testing.T) {
	now, other := kernel.Name(), otherKernel()
	tests := []struct {
		name     string
		recorded []string // in the checkpoint resumed from
		warned   string
		same     []string // listed when the step resumed from is saved again
		later    []string // listed by a later step
	}{
		{"the one in use", []string{now}, "", []string{now}, []string{now}},
		{"another", []string{other}, other, []string{other}, []string{other, now}},
		{"another before", []string{other, now}, "", []string{other, now}, []string{other, now}},
		{"another since", []string{now, other}, other, []string{now, other}, []string{now, other, now}},
		{"one of another machine", []string{"neon"}, "neon", []string{"neon"}, []string{"neon", now}},
		{"not recorded", nil, "", []string{now}, []string{now}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := startRun(t)
			from := filepath.Join(r.Dir, "checkpoints/step-00000003")
			replaceState(t, from, stateOf(test.recorded))
			c, s := example(t, 0)
			var said bytes.Buffer
			step, out, err := r.Start(c, withoutTime(&said))
			if err != nil || step != 3 || s.Step != 3 {
				t.Fatalf("resumed at %d with the state of %d: %v", step, s.Step, err)
			}
			out.Close()
			want := ""
			if test.warned != "" {
				want = "level=WARN msg=\"resumed on another instruction set: from here the run is no longer byte-identical to an uninterrupted one\"" +
					" checkpoint=" + from + " checkpoint_kernels=" + test.warned + " kernels=" + now +
					" to_keep_it=\"resume with RLHF_KERNEL=" + test.warned + " where the machine has it\"\n"
			}
			if said.String() != want {
				t.Errorf("said %q, want %q", said.String(), want)
			}
			for step, want := range map[int][]string{3: test.same, 4: test.later, 5: test.later} {
				if err := r.Save(step, 0, c); err != nil {
					t.Fatal(err)
				}
				if got := kernelsIn(t, checkpoint.StepDir(filepath.Dir(from), step)); !slices.Equal(got, want) {
					t.Errorf("step %d lists %q, want %q", step, got, want)
				}
			}
		})
	}
}

// withoutTime logs as cmd does but for the time.
func withoutTime(to *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestBadStateIsRefused(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown field", `{"step": 3, "kl_coef": 0.3, "kernels": ["avx2"], "lam": 1}`, `state.json: json: unknown field "lam"`},
		{"wrong type", `{"step": "3", "kernels": ["avx2"]}`, "state.json: json: cannot unmarshal string"},
		{"kernels of another type", `{"step": 3, "kernels": 5}`, "state.json: kernels: json: cannot unmarshal number"},
		{"no kernels", `{"step": 3, "kernels": []}`, "state.json: kernels: found [], expected names"},
		{"nameless kernels", `{"step": 3, "kernels": ["avx2", ""]}`, "state.json: kernels: found "},
		{"cut off", `{"step": 3`, "state.json: unexpected end"},
		{"more after the end", `{"step": 3} {}`, "state.json: invalid character"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := startRun(t)
			replaceState(t, filepath.Join(r.Dir, "checkpoints/step-00000003"), test.text)
			c, s := example(t, 2)
			before := slices.Clone(c.Models[""].Theta)
			if _, _, err := r.Start(c, quiet); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if !slices.Equal(c.Models[""].Theta, before) || s.Step != 2 {
				t.Error("a refused checkpoint changed something")
			}
		})
	}
	for want, state := range map[string]any{
		`state: its field "kernels" is the checkpoint's own`: struct {
			Kernels int `json:"kernels"`
		}{},
		"state: it is a int, expected a struct":   5,
		"state: it is a <nil>, expected a struct": nil,
	} {
		if err := checkpoint.Save(t.TempDir(), checkpoint.Checkpoint{State: state}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
