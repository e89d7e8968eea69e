package hf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
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

// ReadSafetensors reads a safetensors file; F32, F16 and BF16 are read. Errors
// name the file and the tensor.
func ReadSafetensors(path string) ([]NamedTensor, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	tensors, err := DecodeSafetensors(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tensors, nil
}

// DecodeSafetensors reads the bytes of a safetensors file. The tensors come in
// the order of their data, which must fill the file without gap or overlap.
func DecodeSafetensors(raw []byte) ([]NamedTensor, error) {
	if len(raw) < 8 {
		return nil, fmt.Errorf("%d bytes, a safetensors file has at least 8", len(raw))
	}
	n := binary.LittleEndian.Uint64(raw)
	if n > maxHeader || n > uint64(len(raw)-8) {
		return nil, fmt.Errorf("header of %d bytes, the file has %d after its length", n, len(raw)-8)
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(raw[8:8+n], &header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	data := raw[8+n:]
	type found struct {
		name string
		headerEntry
	}
	var entries []found
	for name, value := range header {
		if name == "__metadata__" {
			continue
		}
		var e headerEntry
		if err := json.Unmarshal(value, &e); err != nil {
			return nil, fmt.Errorf("tensor %s: header: %w", name, err)
		}
		entries = append(entries, found{name, e})
	}
	slices.SortFunc(entries, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.Offsets[0], b.Offsets[0]), strings.Compare(a.name, b.name))
	})
	var at int64
	tensors := make([]NamedTensor, 0, len(entries))
	for _, e := range entries {
		if e.Offsets[0] != at {
			return nil, fmt.Errorf("tensor %s: data begins at byte %d, expected %d", e.name, e.Offsets[0], at)
		}
		if e.Offsets[1] < at || e.Offsets[1] > int64(len(data)) {
			return nil, fmt.Errorf("tensor %s: data ends at byte %d, the file has %d (is it cut off?)", e.name, e.Offsets[1], len(data))
		}
		x, err := decode(e.headerEntry, data[at:e.Offsets[1]])
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", e.name, err)
		}
		tensors = append(tensors, NamedTensor{e.name, e.Shape, x})
		at = e.Offsets[1]
	}
	if at != int64(len(data)) {
		return nil, fmt.Errorf("%d bytes of data, the header speaks of %d", len(data), at)
	}
	return tensors, nil
}

// decode returns the elements of one tensor as float32.
func decode(e headerEntry, data []byte) ([]float32, error) {
	width := map[string]int{"F32": 4, "F16": 2, "BF16": 2}[e.Dtype]
	if width == 0 {
		return nil, fmt.Errorf("dtype %s, expected F32, F16 or BF16", e.Dtype)
	}
	size := 1
	for _, d := range e.Shape {
		if d < 0 || d > 0 && size > len(data)/d {
			return nil, fmt.Errorf("shape %v with %d bytes of %s", e.Shape, len(data), e.Dtype)
		}
		size *= d
	}
	if size*width != len(data) {
		return nil, fmt.Errorf("shape %v with %d bytes of %s", e.Shape, len(data), e.Dtype)
	}
	x := make([]float32, size)
	for i := range x {
		switch e.Dtype {
		case "F32":
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		case "BF16":
			x[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16)
		case "F16":
			x[i] = half(binary.LittleEndian.Uint16(data[2*i:]))
		}
	}
	return x, nil
}

// half converts an IEEE 754 binary16 number.
func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, int(h>>10&31), uint32(h&0x3ff)
	switch exponent {
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	case 0:
		x := float32(fraction) / (1 << 24)
		if sign != 0 {
			return -x
		}
		return x
	}
	return math.Float32frombits(sign | uint32(exponent-15+127)<<23 | fraction<<13)
}
