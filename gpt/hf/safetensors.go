package hf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// NamedTensor is one tensor of a safetensors file.
type NamedTensor struct {
	Name  string
	Shape []int
	Data  []float32 // row by row
}

// maxHeader is the largest header that the safetensors format allows.
const maxHeader = 100_000_000

type headerEntry struct {
	Dtype   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// EncodeSafetensors returns the tensors as a safetensors file in float32, in the
// order given. Equal tensors give equal bytes.
func EncodeSafetensors(tensors []NamedTensor) ([]byte, error) {
	var header bytes.Buffer
	header.WriteString(`{"__metadata__":{"format":"pt"}`)
	var offset int64
	for _, t := range tensors {
		size := 1
		for _, d := range t.Shape {
			size *= d
		}
		if size != len(t.Data) {
			return nil, fmt.Errorf("tensor %s: shape %v but %d elements", t.Name, t.Shape, len(t.Data))
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		entry, err := json.Marshal(headerEntry{"F32", t.Shape, [2]int64{offset, offset + int64(4*size)}})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&header, ",%s:%s", name, entry)
		offset += int64(4 * size)
	}
	header.WriteByte('}')
	for header.Len()%8 != 0 {
		header.WriteByte(' ')
	}
	out := make([]byte, 8, 8+header.Len()+int(offset))
	binary.LittleEndian.PutUint64(out, uint64(header.Len()))
	out = append(out, header.Bytes()...)
	for _, t := range tensors {
		for _, x := range t.Data {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
		}
	}
	return out, nil
}

// ReadSafetensors reads a safetensors file; F64, F32, F16 and BF16 are read. Errors
// name the file and the tensor.
func ReadSafetensors(path string) ([]NamedTensor, error) {
	w := weights{path: path}
	defer w.close()
	if err := w.open(path, readSafetensors); err != nil {
		return nil, err
	}
	return readAll(w.tensors)
}

// DecodeSafetensors reads the bytes of a safetensors file. The tensors come in
// the order of their data, which must fill the file without gap or overlap.
func DecodeSafetensors(raw []byte) ([]NamedTensor, error) {
	tensors, err := parseSafetensors(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, err
	}
	return readAll(tensors)
}

func readAll(tensors []stored) ([]NamedTensor, error) {
	out := make([]NamedTensor, 0, len(tensors))
	for _, t := range tensors {
		if widths[t.dtype] == 0 { // its shape says nothing of its size
			return nil, t.fail("%w", t.elements.read(nil, nil))
		}
		x := make([]float32, t.count())
		if err := t.read(x); err != nil {
			return nil, err
		}
		out = append(out, NamedTensor{t.name, t.shape, x})
	}
	return out, nil
}

// readSafetensors returns the tensors of an open file.
func readSafetensors(f *os.File, size int64) ([]stored, error) { return parseSafetensors(f, size) }

// parseSafetensors reads the header of a file of the given size.
func parseSafetensors(r io.ReaderAt, size int64) ([]stored, error) {
	if size < 8 {
		return nil, fmt.Errorf("%d bytes, a safetensors file has at least 8", size)
	}
	var length [8]byte
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || n > uint64(size-8) {
		return nil, fmt.Errorf("header of %d bytes, the file has %d after its length", n, size-8)
	}
	raw := make([]byte, n)
	if _, err := r.ReadAt(raw, 8); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(raw, &header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	entries := make([]entry, 0, len(header))
	for name, value := range header {
		if name == "__metadata__" {
			continue
		}
		e := entry{name: name}
		if err := json.Unmarshal(value, &e.headerEntry); err != nil {
			return nil, fmt.Errorf("tensor %s: header: %w", name, err)
		}
		entries = append(entries, e)
	}
	return layOut(entries, r, 8+int64(n), size)
}

// entry is a tensor of a header.
type entry struct {
	name string
	headerEntry
}

// layOut returns the tensors of a header in the order of their data, which stands in r from start to size.
func layOut(entries []entry, r io.ReaderAt, start, size int64) ([]stored, error) {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.Offsets[0], b.Offsets[0]), cmp.Compare(a.Offsets[1], b.Offsets[1]), strings.Compare(a.name, b.name))
	})
	at, room := int64(0), size-start
	tensors := make([]stored, 0, len(entries))
	for _, e := range entries {
		if e.Offsets[0] != at {
			return nil, fmt.Errorf("tensor %s: data begins at byte %d, expected %d", e.name, e.Offsets[0], at)
		}
		if e.Offsets[1] < at || e.Offsets[1] > room {
			return nil, fmt.Errorf("tensor %s: data ends at byte %d, the file has %d (is it cut off?)", e.name, e.Offsets[1], room)
		}
		have := e.Offsets[1] - at
		count := product(e.Shape, 8*have) // an element has a bit at least
		if width := int64(widths[e.Dtype]); count < 0 || width > 0 && count*width != have {
			return nil, fmt.Errorf("tensor %s: shape %v with %d bytes of %s", e.name, e.Shape, have, e.Dtype)
		}
		tensors = append(tensors, stored{name: e.name, shape: e.Shape, elements: elements{r: r, offset: start + at, dtype: e.Dtype}})
		at = e.Offsets[1]
	}
	if at != room {
		return nil, fmt.Errorf("%d bytes of data, the header speaks of %d", room, at)
	}
	return tensors, nil
}
