package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeDir writes files, by path below it, as the directory dir, whole or not at all.
func writeDir(dir string, files map[string][]byte) error {
	if err := settle(dir); err != nil {
		return err
	}
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
		if err := os.Rename(dir, dir+replaced); err != nil {
			return err
		}
	}
	if err := os.Rename(temporary, dir); err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	for _, d := range []string{parent, filepath.Dir(parent)} { // the parent may be new too
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return settle(dir)
}

// settle finishes what a killed process left undone when it replaced dir: the old
// directory gets its name back if there is no new one, and goes if there is.
func settle(dir string) error {
	if _, err := os.Stat(dir + replaced); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return os.Rename(dir+replaced, dir)
	}
	return os.RemoveAll(dir + replaced)
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
		name, old := strings.CutSuffix(e.Name(), replaced)
		if old {
			if err := settle(filepath.Join(checkpoints, name)); err != nil {
				return nil, err
			}
		}
		var step int
		if _, err := fmt.Sscanf(name, "step-%d", &step); err == nil && filepath.Base(StepDir("", step)) == name {
			out = append(out, step)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
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

// Prune removes all but the newest keep checkpoints, and what a killed process left
// half-written; keep 0 removes no checkpoint.
func Prune(checkpoints string, keep int) error {
	all, err := steps(checkpoints)
	if err != nil {
		return err
	}
	if keep <= 0 {
		keep = len(all)
	}
	for _, step := range all[:max(0, len(all)-keep)] {
		if err := os.RemoveAll(StepDir(checkpoints, step)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(checkpoints)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), partial) {
			if err := os.RemoveAll(filepath.Join(checkpoints, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
