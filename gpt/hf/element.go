package hf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// widths are the bytes of an element, by dtype as safetensors names it, of the kinds that are read.
var widths = map[string]int{"F64": 8, "F32": 4, "F16": 2, "BF16": 2}

// elements says where a tensor's elements stand in a file.
type elements struct {
	r       io.ReaderAt
	offset  int64        // byte of the first element
	dtype   string       // as safetensors names it; a dtype outside widths is refused when read
	strides []int        // steps between neighbours of each dimension, in elements; nil is row by row
	verify  func() error // checks the bytes before they are read; nil if the file has no checksum
}

// bufferBytes is what a tensor is read through, a multiple of every width.
const bufferBytes = 1 << 18

// read fills to with a tensor of the given shape, row by row, in float32.
func (e elements) read(to []float32, shape []int) error {
	if widths[e.dtype] == 0 {
		return fmt.Errorf("dtype %s, expected F32, F16, BF16 or F64", e.dtype)
	}
	if e.verify != nil {
		if err := e.verify(); err != nil {
			return err
		}
	}
	if e.strides == nil {
		return e.readRun(to)
	}
	all := make([]float32, span(shape, e.strides))
	if err := e.readRun(all); err != nil {
		return err
	}
	gather(to, all, shape, e.strides)
	return nil
}

// readRun fills to with elements that follow one another.
func (e elements) readRun(to []float32) error {
	width := widths[e.dtype]
	buffer := make([]byte, min(bufferBytes, width*len(to)))
	for at := e.offset; len(to) > 0; {
		n := min(len(to), len(buffer)/width)
		if _, err := e.r.ReadAt(buffer[:n*width], at); err != nil {
			return fmt.Errorf("byte %d: %w", at, err)
		}
		convert(to[:n], buffer, e.dtype)
		to, at = to[n:], at+int64(n*width)
	}
	return nil
}

// convert fills to from little-endian elements.
func convert(to []float32, from []byte, dtype string) {
	switch dtype {
	case "F64":
		for i := range to {
			to[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(from[8*i:])))
		}
	case "F32":
		for i := range to {
			to[i] = math.Float32frombits(binary.LittleEndian.Uint32(from[4*i:]))
		}
	case "BF16":
		for i := range to {
			to[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(from[2*i:])) << 16)
		}
	case "F16":
		for i := range to {
			to[i] = half(binary.LittleEndian.Uint16(from[2*i:]))
		}
	}
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

// product returns the number of elements of a shape, or -1 if a dimension is negative
// or the number is above most.
func product(shape []int, most int64) int64 {
	n := int64(1)
	for _, d := range shape {
		if d == 0 {
			return 0
		}
	}
	for _, d := range shape {
		if d < 0 || int64(d) > most || n > most/int64(d) {
			return -1
		}
		n *= int64(d)
	}
	if n > most {
		return -1
	}
	return n
}

// span returns how many elements lie from the first to the last of a tensor of at least one element.
func span(shape, strides []int) int {
	n := 1
	for i, d := range shape {
		n += (d - 1) * strides[i]
	}
	return n
}

// gather fills to, row by row, with the elements of from that the strides reach.
func gather(to, from []float32, shape, strides []int) {
	index := make([]int, len(shape))
	at := 0
	for i := range to {
		to[i] = from[at]
		for d := len(shape) - 1; d >= 0; d-- { // the odometer: at is the sum of index times strides
			index[d]++
			at += strides[d]
			if index[d] < shape[d] {
				break
			}
			at -= shape[d] * strides[d]
			index[d] = 0
		}
	}
}
