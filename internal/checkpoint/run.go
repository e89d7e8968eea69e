package checkpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rlhf/gpt"
	"rlhf/gpt/hf"
	"rlhf/internal/kernel"
	"rlhf/internal/metrics"
)

// Run is where a stage's run lives: Dir holds config.yaml, metrics.jsonl,
// checkpoints/ and, at the end, model/.
type Run struct {
	Dir       string
	Config    []byte            // the resolved settings, kept as config.yaml; a run resumes only with equal ones
	Tokenizer Tokenizer         // written beside every model
	Resume    bool              // continue from the newest checkpoint, or from the beginning if none was reached
	Progress  *metrics.Progress // nil shows nothing

	// Inputs are digests of what the run begins with, by name: its data, the models
	// it starts from. They stand in every checkpoint, and a run resumes only with
	// equal ones. Checkpoints from before there were such digests are taken as they are.
	Inputs map[string]string

	// Lineage, if not nil, is written beside every model; Start and the saves fill in its steps and kernels.
	Lineage *Lineage

	// what Start resumed from, for Save; zero in a new run
	step    int
	kernels []string
}

func (r *Run) checkpoints() string { return filepath.Join(r.Dir, "checkpoints") }

// Check returns the error that Start would, if it is already clear that the run
// cannot begin or go on in Dir. It writes nothing.
func (r *Run) Check() error {
	if !r.Resume {
		return r.unused()
	}
	if err := r.sameConfig(); err != nil {
		return fmt.Errorf("resume %s: %w", r.Dir, err)
	}
	return nil
}

// Start begins or resumes a run: it restores c from the newest checkpoint if
// Resume is set, and returns the step the run stands at with its metrics file,
// cut back to that step. A run that would write over another, or go on with other
// settings or inputs than it began with, is an error, and nothing is written then.
// A run that goes on with another instruction set is not: log says what that means.
func (r *Run) Start(c Checkpoint, log *slog.Logger) (step int, out *metrics.Writer, err error) {
	if err = r.Check(); err != nil {
		return 0, nil, err
	}
	if r.Resume {
		step, err = r.resume(c, log)
	} else {
		err = r.begin()
	}
	if err != nil {
		return 0, nil, err
	}
	out, err = metrics.Open(filepath.Join(r.Dir, "metrics.jsonl"), step)
	return step, out, err
}

// resume restores c from the newest checkpoint. A run that was killed before its first one begins again.
func (r *Run) resume(c Checkpoint, log *slog.Logger) (step int, err error) {
	step, dir, err := Latest(r.checkpoints())
	if errors.Is(err, ErrNone) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("resume %s: %w", r.Dir, err)
	}
	from, err := restore(dir, c, r.sameInputs)
	if err != nil {
		return 0, err
	}
	r.step, r.kernels = step, from.kernels
	r.compareKernels(dir, log)
	return step, nil
}

// sameInputs returns an error that names the first input that differs from what the run began with.
func (r *Run) sameInputs(from origin) error {
	if from.inputs == nil {
		return nil
	}
	names := maps.Clone(from.inputs)
	maps.Copy(names, r.Inputs)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if now, then := r.Inputs[name], from.inputs[name]; now != then {
			return fmt.Errorf("resume %s: %s: found SHA-256 %q, the run began with %q", r.Dir, name, now, then)
		}
	}
	return nil
}

// compareKernels warns when the instruction set in use is another than the one that made the checkpoint resumed from.
func (r *Run) compareKernels(dir string, log *slog.Logger) {
	now := kernel.Name()
	if len(r.kernels) == 0 || r.kernels[len(r.kernels)-1] == now {
		return
	}
	then := r.kernels[len(r.kernels)-1]
	log.Warn("resumed on another instruction set: from here the run is no longer byte-identical to an uninterrupted one",
		"checkpoint", dir, "checkpoint_kernels", then, "kernels", now, "to_keep_it", "resume with RLHF_KERNEL="+then+" where the machine has it")
}

// madeBy returns the instruction sets that made the run up to a step, in order, one for each stretch. The step
// resumed from is not made anew when it is saved again.
func (r *Run) madeBy(step int) []string {
	now, n := kernel.Name(), len(r.kernels)
	if n > 0 && (step == r.step || r.kernels[n-1] == now) {
		return r.kernels
	}
	return append(slices.Clip(r.kernels), now)
}

func (r *Run) configFile() string { return filepath.Join(r.Dir, "config.yaml") }

// unused returns an error if Dir holds a run.
func (r *Run) unused() error {
	for _, name := range []string{"config.yaml", "checkpoints", "model", "metrics.jsonl"} {
		if _, err := os.Stat(filepath.Join(r.Dir, name)); err == nil {
			return fmt.Errorf("%s holds a run already (%s): resume it or name another directory", r.Dir, name)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// begin makes the directory of a new run and keeps its settings.
func (r *Run) begin() error {
	if err := os.MkdirAll(r.Dir, 0o777); err != nil {
		return err
	}
	temporary := r.configFile() + partial // a process killed here leaves all of config.yaml or none
	if err := writeFile(temporary, r.Config); err != nil {
		return err
	}
	return errors.Join(os.Rename(temporary, r.configFile()), syncDir(r.Dir))
}

// sameConfig returns an error that names the first line in which the settings differ from those the run began with.
func (r *Run) sameConfig() error {
	found, err := os.ReadFile(r.configFile())
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("it holds no run (no config.yaml)")
	}
	if err != nil {
		return err
	}
	now, then := strings.Split(string(r.Config), "\n"), strings.Split(string(found), "\n")
	for i := range max(len(now), len(then)) {
		if i >= len(now) || i >= len(then) || now[i] != then[i] {
			return fmt.Errorf("the settings differ from the run's config.yaml:%d: pass --config %s, or begin a new run", i+1, r.configFile())
		}
	}
	return nil
}

// Save writes the checkpoint of a step of a run that was started and keeps the newest limit ones (0: all).
func (r *Run) Save(step, limit int, c Checkpoint) (err error) {
	if c.Tokenizer, err = r.tokenizer(step); err != nil {
		return err
	}
	if err := save(StepDir(r.checkpoints(), step), c, origin{r.madeBy(step), r.Inputs}); err != nil {
		return err
	}
	return Prune(r.checkpoints(), limit)
}

func (r *Run) bestDir() string { return filepath.Join(r.Dir, "best") }

// SaveBest keeps m, the model of a step, in Dir/best, in place of what was best before.
func (r *Run) SaveBest(step int, m *gpt.Model) error { return r.saveModel(r.bestDir(), step, m) }

// Best sets m's parameters to those that SaveBest kept last.
func (r *Run) Best(m *gpt.Model) error {
	if err := settle(r.bestDir()); err != nil {
		return err
	}
	best, err := hf.Load(r.bestDir())
	if err != nil {
		return err
	}
	if best.Config != m.Config {
		return fmt.Errorf("load model %s: it has the shape %+v, expected %+v", r.bestDir(), best.Config, m.Config)
	}
	copy(m.Theta, best.Theta)
	m.Changed()
	return nil
}

// Finish writes the trained model, that of a step, to Dir/model.
func (r *Run) Finish(step int, m *gpt.Model) error {
	return r.saveModel(filepath.Join(r.Dir, "model"), step, m)
}

// Replace writes m in the place of the model that Finish wrote, of which it is another form, with its lineage.
func (r *Run) Replace(m *gpt.Model) error {
	dir := filepath.Join(r.Dir, "model")
	lineage, err := ReadLineage(dir)
	if err != nil {
		return err
	}
	t := r.Tokenizer
	if lineage != nil {
		if t, err = lineage.beside(t); err != nil {
			return err
		}
	}
	return SaveModel(dir, m, t)
}

func (r *Run) saveModel(dir string, step int, m *gpt.Model) error {
	t, err := r.tokenizer(step)
	if err != nil {
		return err
	}
	return SaveModel(dir, m, t)
}
