package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// stored is a tensor in a file, its elements not read yet.
type stored struct {
	name  string
	shape []int
	file  string
	elements
}

// fail is an error about the tensor.
func (s stored) fail(format string, args ...any) error {
	err := fmt.Errorf("tensor %s: %w", s.name, fmt.Errorf(format, args...))
	if s.file == "" { // bytes in memory
		return err
	}
	return fmt.Errorf("%s: %w", s.file, err)
}

// read fills to (the product of the shape) row by row.
func (s stored) read(to []float32) error {
	if err := s.elements.read(to, s.shape); err != nil {
		return s.fail("%w", err)
	}
	return nil
}

// weights are the tensors of one or several files, open for reading.
type weights struct {
	path    string // the file, or the index of several
	tensors []stored
	files   []*os.File
	bytes   int64 // of all files
}

func (w *weights) close() {
	for _, f := range w.files {
		f.Close() // read only: nothing is lost
	}
}

// The files that hold weights, in the order in which transformers looks for them.
const (
	weightsFile  = "model.safetensors"
	weightsIndex = "model.safetensors.index.json"
	torchFile    = "pytorch_model.bin"
	torchIndex   = "pytorch_model.bin.index.json"
)

// openWeights opens the weights of a model directory and reads what tensors they hold.
func openWeights(dir string) (*weights, error) {
	for _, name := range []string{weightsFile, weightsIndex, torchFile, torchIndex} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		w := &weights{path: path}
		read := readTorch
		if name == weightsFile || name == weightsIndex {
			read = readSafetensors
		}
		var err error
		if name == weightsIndex || name == torchIndex {
			err = w.openShards(read)
		} else {
			err = w.open(path, read)
		}
		if err != nil {
			w.close()
			return nil, err
		}
		return w, nil
	}
	return nil, fmt.Errorf("%s: no weights: expected %s or %s, whole or with an index of several files", dir, weightsFile, torchFile)
}

// open opens one file and adds its tensors.
func (w *weights) open(path string, read func(*os.File, int64) ([]stored, error)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	w.files = append(w.files, f)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w.bytes += info.Size()
	tensors, err := read(f, info.Size())
	if err != nil {
		if pointsElsewhere(f) {
			err = errors.New("a pointer of Git LFS, expected the weights themselves (git lfs pull fetches them)")
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	for i := range tensors {
		tensors[i].file = path
	}
	w.tensors = append(w.tensors, tensors...)
	return nil
}

// pointsElsewhere reports whether a file is what Git LFS leaves in the place of a large one.
func pointsElsewhere(f *os.File) bool {
	const lfs = "version https://git-lfs."
	head := make([]byte, len(lfs))
	n, _ := f.ReadAt(head, 0)
	return string(head[:n]) == lfs
}

// openShards opens the files of an index: {"weight_map": {tensor: file}}. Every tensor
// must stand in its file, and every file hold only its own.
func (w *weights) openShards(read func(*os.File, int64) ([]stored, error)) error {
	raw, err := os.ReadFile(w.path)
	if err != nil {
		return err
	}
	places, err := parseIndex(raw)
	if err != nil {
		return locate(w.path, raw, err)
	}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(places))) {
		if err := w.open(filepath.Join(filepath.Dir(w.path), name), read); err != nil {
			return err
		}
	}
	found := map[string]bool{}
	for _, t := range w.tensors {
		place, listed := places[t.name]
		switch {
		case !listed:
			return t.fail("not in the weight_map of %s", w.path)
		case place != filepath.Base(t.file):
			return t.fail("the weight_map of %s expects it in %s", w.path, place)
		}
		found[t.name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(places)) {
		if !found[name] {
			return fmt.Errorf("%s: weight_map: tensor %s: expected in %s, which does not hold it", w.path, name, places[name])
		}
	}
	return nil
}

// parseIndex returns the file of each tensor. Files stand beside the index.
func parseIndex(raw []byte) (map[string]string, error) {
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, err
	}
	if len(index.WeightMap) == 0 {
		return nil, errors.New("weight_map: missing or empty, expected the file of each tensor")
	}
	for _, tensor := range slices.Sorted(maps.Keys(index.WeightMap)) {
		name := index.WeightMap[tensor]
		if name == "" || name != filepath.Base(name) || !filepath.IsLocal(name) || name == "." {
			return nil, fmt.Errorf("weight_map: tensor %.80q: found %.80q, expected the name of a file beside the index", tensor, name)
		}
	}
	return index.WeightMap, nil
}

// find returns the tensor that has one of the names.
func (w *weights) find(names ...string) (stored, bool) {
	for _, t := range w.tensors {
		if slices.Contains(names, t.name) {
			return t, true
		}
	}
	return stored{}, false
}

// same reports whether two tensors have one shape and the same elements. Of neither more than a part is in memory.
func same(a, b stored) (bool, error) {
	if !slices.Equal(a.shape, b.shape) {
		return false, nil
	}
	if a.r == b.r && a.offset == b.offset && a.dtype == b.dtype && slices.Equal(a.strides, b.strides) {
		return true, nil // torch.save stores a tied head once
	}
	if a.elements.strides != nil || b.elements.strides != nil {
		return sameElements(a, b, make([]float32, a.count()), make([]float32, b.count()))
	}
	x, y := make([]float32, bufferBytes/4), make([]float32, bufferBytes/4)
	for at, n := 0, a.count(); at < n; at += len(x) {
		k := min(len(x), n-at)
		if same, err := sameElements(a.part(at, k), b.part(at, k), x[:k], y[:k]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// sameElements reads a to x and b to y and reports whether they are equal.
func sameElements(a, b stored, x, y []float32) (bool, error) {
	if err := a.read(x); err != nil {
		return false, err
	}
	if err := b.read(y); err != nil {
		return false, err
	}
	return slices.Equal(x, y), nil
}

// count returns the number of elements.
func (s stored) count() int {
	n := 1
	for _, d := range s.shape {
		n *= d
	}
	return n
}

// part returns n elements from at on of a tensor that stands row by row.
func (s stored) part(at, n int) stored {
	s.offset += int64(at * widths[s.dtype])
	s.shape = []int{n}
	return s
}

// transposed returns the tensor (a, b) as (b, a).
func (s stored) transposed() stored {
	strides := s.strides
	if strides == nil {
		strides = []int{s.shape[1], 1}
	}
	s.shape, s.strides = []int{s.shape[1], s.shape[0]}, []int{strides[1], strides[0]}
	return s
}

// locate adds file and line to an error of json.Unmarshal.
func locate(path string, raw []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	line := func(offset int64) int { return 1 + bytes.Count(raw[:min(int64(len(raw)), offset)], []byte{'\n'}) }
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%d: %w", path, line(syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("%s:%d: %s: found %s, expected %s", path, line(kind.Offset), kind.Field, kind.Value, kind.Type)
	}
	return fmt.Errorf("%s: %w", path, err)
}
