package hf

import (
	"fmt"
	"path/filepath"
)

// Info is what a model directory holds.
type Info struct {
	Settings                  // Config with the head that the weights have
	Files    []string         // that hold weights, by name
	Bytes    int64            // of these files
	Dtypes   map[string]int64 // elements of the model by dtype, as safetensors names it
}

// ReadInfo reads what a model directory holds and checks that its tensors are those
// of its config.json, as Load does, but reads no more of them than it needs to tell
// whose head it is.
func ReadInfo(dir string) (Info, error) {
	i, err := readInfo(dir)
	if err != nil {
		return Info{}, fmt.Errorf("read model: %w", err)
	}
	return i, nil
}

func readInfo(dir string) (Info, error) {
	s, w, tensors, err := open(dir)
	if err != nil {
		return Info{}, err
	}
	defer w.close()
	i := Info{Settings: s, Bytes: w.bytes, Dtypes: map[string]int64{}}
	for _, f := range w.files {
		i.Files = append(i.Files, filepath.Base(f.Name()))
	}
	for _, t := range tensors {
		i.Dtypes[t.dtype] += int64(t.count())
	}
	return i, nil
}
