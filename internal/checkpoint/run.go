package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rlhf/gpt"
	"rlhf/internal/metrics"
)

// Run is where a stage's run lives: Dir holds metrics.jsonl, checkpoints/ and, at
// the end, model/.
type Run struct {
	Dir       string
	Tokenizer Tokenizer         // written beside every model
	Resume    bool              // continue from the newest checkpoint, which must exist
	Progress  *metrics.Progress // nil shows nothing
}

func (r Run) checkpoints() string { return filepath.Join(r.Dir, "checkpoints") }

// Start begins or resumes a run: it restores c from the newest checkpoint if
// Resume is set, and returns the step the run stands at with its metrics file,
// cut back to that step. A run that would write over another is an error.
func (r Run) Start(c Checkpoint) (step int, out *metrics.Writer, err error) {
	if r.Resume {
		var dir string
		if step, dir, err = Latest(r.checkpoints()); err != nil {
			return 0, nil, fmt.Errorf("resume %s: %w", r.Dir, err)
		}
		if err = Restore(dir, c); err != nil {
			return 0, nil, err
		}
	} else if err = r.unused(); err != nil {
		return 0, nil, err
	}
	out, err = metrics.Open(filepath.Join(r.Dir, "metrics.jsonl"), step)
	return step, out, err
}

// unused returns an error if the directory holds a run.
func (r Run) unused() error {
	for _, name := range []string{"checkpoints", "model", "metrics.jsonl"} {
		if _, err := os.Stat(filepath.Join(r.Dir, name)); err == nil {
			return fmt.Errorf("%s holds a run already (%s): resume it or name another directory", r.Dir, name)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
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
