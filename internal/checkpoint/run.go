package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rlhf/gpt"
	"rlhf/internal/metrics"
)

// Run is where a stage's run lives: Dir holds config.yaml, metrics.jsonl,
// checkpoints/ and, at the end, model/.
type Run struct {
	Dir       string
	Config    []byte            // the resolved settings, kept as config.yaml; a run resumes only with equal ones
	Tokenizer Tokenizer         // written beside every model
	Resume    bool              // continue from the newest checkpoint, which must exist
	Progress  *metrics.Progress // nil shows nothing
}

func (r Run) checkpoints() string { return filepath.Join(r.Dir, "checkpoints") }

// Start begins or resumes a run: it restores c from the newest checkpoint if
// Resume is set, and returns the step the run stands at with its metrics file,
// cut back to that step. A run that would write over another, or go on with other
// settings than it began with, is an error, and nothing is written then.
func (r Run) Start(c Checkpoint) (step int, out *metrics.Writer, err error) {
	if r.Resume {
		if err := r.sameConfig(); err != nil {
			return 0, nil, fmt.Errorf("resume %s: %w", r.Dir, err)
		}
		var dir string
		if step, dir, err = Latest(r.checkpoints()); err != nil {
			return 0, nil, fmt.Errorf("resume %s: %w", r.Dir, err)
		}
		if err = Restore(dir, c); err != nil {
			return 0, nil, err
		}
	} else if err = r.begin(); err != nil {
		return 0, nil, err
	}
	out, err = metrics.Open(filepath.Join(r.Dir, "metrics.jsonl"), step)
	return step, out, err
}

func (r Run) configFile() string { return filepath.Join(r.Dir, "config.yaml") }

// begin makes the directory of a new run and keeps its settings.
func (r Run) begin() error {
	for _, name := range []string{"config.yaml", "checkpoints", "model", "metrics.jsonl"} {
		if _, err := os.Stat(filepath.Join(r.Dir, name)); err == nil {
			return fmt.Errorf("%s holds a run already (%s): resume it or name another directory", r.Dir, name)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.MkdirAll(r.Dir, 0o777); err != nil {
		return err
	}
	return writeFile(r.configFile(), r.Config)
}

// sameConfig returns an error that names the first line in which the settings differ from those the run began with.
func (r Run) sameConfig() error {
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

// Save writes the checkpoint of a step and keeps the newest limit ones (0: all).
func (r Run) Save(step, limit int, c Checkpoint) error {
	c.Tokenizer = r.Tokenizer
	if err := Save(StepDir(r.checkpoints(), step), c); err != nil {
		return err
	}
	return Prune(r.checkpoints(), limit)
}

// Finish writes the trained model to Dir/model.
func (r Run) Finish(m *gpt.Model) error {
	return SaveModel(filepath.Join(r.Dir, "model"), m, r.Tokenizer)
}
