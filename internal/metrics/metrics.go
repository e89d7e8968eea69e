// Package metrics writes what a run measures: one JSON line a step for programs,
// and a progress bar for people. It computes nothing. Equal runs write equal
// lines, except for the values whose key begins with "time/".
package metrics

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
)

// Record is one line of a metrics file.
type Record struct {
	Step   int
	Values map[string]float64
}

// Writer appends records to a file. A nil Writer is valid and writes nothing.
// It may not be used concurrently.
type Writer struct {
	f    *os.File
	path string
}

// Open opens a metrics file for the steps after fromStep. Lines of later steps,
// left by a run that went on past its last checkpoint, and a last line that was
// cut off are dropped; fromStep 0 starts an empty file. The file is replaced in
// one rename, so nothing is lost if the process dies meanwhile.
func Open(path string, fromStep int) (*Writer, error) {
	var keep bytes.Buffer
	if fromStep > 0 {
		records, err := readTo(path, fromStep)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			line, err := encode(r)
			if err != nil {
				return nil, fmt.Errorf("%s: step %d: %w", path, r.Step, err)
			}
			keep.Write(line)
		}
	}
	temporary := path + ".partial"
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	if err := os.WriteFile(temporary, keep.Bytes(), 0o666); err != nil {
		return nil, err
	}
	if err := os.Rename(temporary, path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, err
	}
	return &Writer{f: f, path: path}, nil
}

// readTo returns the records up to a step; a damaged last line ends the file.
func readTo(path string, step int) ([]Record, error) {
	records, err := Read(path)
	var cut *CutError
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, &cut) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	var keep []Record
	for _, r := range records {
		if r.Step <= step {
			keep = append(keep, r)
		}
	}
	return keep, nil
}

// encode returns the line of a record: step first, then the keys in order, each
// number in the shortest form that reads back to the same bits.
func encode(r Record) ([]byte, error) {
	keys := make([]string, 0, len(r.Values))
	for k := range r.Values {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	line := append([]byte(`{"step":`), strconv.Itoa(r.Step)...)
	for _, k := range keys {
		v := r.Values[k]
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%s is %v", k, v)
		}
		name, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		line = append(append(append(line, ','), name...), ':')
		line = strconv.AppendFloat(line, v, 'g', -1, 64)
	}
	return append(line, '}', '\n'), nil
}

// Write appends one record. A value that is not finite is an error and nothing is written.
func (w *Writer) Write(step int, values map[string]float64) error {
	if w == nil {
		return nil
	}
	line, err := encode(Record{step, values})
	if err != nil {
		return fmt.Errorf("%s: step %d: %w", w.path, step, err)
	}
	_, err = w.f.Write(line)
	return err
}

// Close closes the file.
func (w *Writer) Close() error {
	if w == nil {
		return nil
	}
	return w.f.Close()
}

// CutError is returned by Read for a file whose last line was cut off; the
// records before it are returned with it.
type CutError struct {
	Path string
	Line int
}

func (e *CutError) Error() string {
	return fmt.Sprintf("%s:%d: the line is cut off", e.Path, e.Line)
}

// Read returns the records of a metrics file. Errors name file and line.
func Read(path string) ([]Record, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, raw)
}

func parse(path string, raw []byte) ([]Record, error) {
	var records []Record
	in := bufio.NewScanner(bytes.NewReader(raw))
	in.Buffer(nil, 1<<24)
	complete := len(raw) == 0 || raw[len(raw)-1] == '\n'
	lines := bytes.Count(raw, []byte{'\n'})
	for n := 1; in.Scan(); n++ {
		if !complete && n > lines {
			return records, &CutError{path, n}
		}
		values := map[string]float64{}
		if err := json.Unmarshal(in.Bytes(), &values); err != nil {
			return records, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		step, ok := values["step"]
		if !ok || step != math.Trunc(step) {
			return records, fmt.Errorf("%s:%d: step: found %v, expected a whole number", path, n, values["step"])
		}
		delete(values, "step")
		records = append(records, Record{int(step), values})
	}
	return records, in.Err()
}
