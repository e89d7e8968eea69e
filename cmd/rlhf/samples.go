package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rlhf/internal/checkpoint"
)

// samplesFile is a run's samples.jsonl.
type samplesFile struct{ path string }

// sampleLine is one line of it.
type sampleLine struct {
	Step     int      `json:"step"`
	Query    string   `json:"query"`
	Response string   `json:"response"`
	Score    *float64 `json:"score,omitempty"`
	KL       *float64 `json:"kl,omitempty"`
}

// known returns a number for a sampleLine; NaN is none.
func known(x float64) *float64 {
	if x != x {
		return nil
	}
	return &x
}

// openSamples names a run's samples and cuts a resumed run's back to its newest checkpoint.
func openSamples(run checkpoint.Run) (samplesFile, error) {
	s := samplesFile{filepath.Join(run.Dir, "samples.jsonl")}
	if !run.Resume {
		return s, nil
	}
	step, _, err := checkpoint.Latest(filepath.Join(run.Dir, "checkpoints"))
	if err != nil && !errors.Is(err, checkpoint.ErrNone) {
		return s, fmt.Errorf("resume %s: %w", run.Dir, err)
	}
	raw, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	var keep []byte
	for line := range bytes.Lines(raw) {
		var l sampleLine
		if json.Unmarshal(line, &l) == nil && l.Step <= step {
			keep = append(keep, line...)
		}
	}
	return s, writeWhole(s.path, keep)
}

func (s samplesFile) write(list []sampleLine) error {
	var lines jsonLines
	for _, x := range list {
		if err := lines.add(x); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(lines.Bytes())
	return errors.Join(err, f.Close())
}

// readSamples returns the lines of a run's samples.jsonl; none if there is no such file.
func readSamples(dir string) (out []sampleLine, err error) {
	path := filepath.Join(dir, "samples.jsonl")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		var l sampleLine
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		out = append(out, l)
	}
	return out, nil
}
