package hf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/types"
)

// What of Python a weights file may name: ordered dictionaries, the functions that
// rebuild tensors, and their storages. Nothing is run: each name stands for a value
// of this package that notes its arguments.
var globals = map[string]any{
	"collections.OrderedDict":         &types.OrderedDictClass{},
	"torch._utils._rebuild_tensor_v2": rebuildTensor{},
	"torch._utils._rebuild_tensor":    rebuildTensor{},
	"torch._utils._rebuild_parameter": rebuildParameter{},
	"torch.DoubleStorage":             storageClass{"F64", 8},
	"torch.FloatStorage":              storageClass{"F32", 4},
	"torch.HalfStorage":               storageClass{"F16", 2},
	"torch.BFloat16Storage":           storageClass{"BF16", 2},
	"torch.LongStorage":               storageClass{"I64", 8},
	"torch.IntStorage":                storageClass{"I32", 4},
	"torch.ShortStorage":              storageClass{"I16", 2},
	"torch.CharStorage":               storageClass{"I8", 1},
	"torch.ByteStorage":               storageClass{"U8", 1},
	"torch.BoolStorage":               storageClass{"BOOL", 1},
}

// storageClass is the kind of a storage: its dtype as safetensors names it, and the bytes of an element.
type storageClass struct {
	dtype string
	width int64
}

// rebuildTensor stands for the function that makes a tensor of a storage.
type rebuildTensor struct{}

// Call returns a *torchTensor for (storage, offset, size, stride, …).
func (rebuildTensor) Call(args ...any) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("a tensor of %d arguments, expected storage, offset, size and stride", len(args))
	}
	storage, isStorage := args[0].(*torchStorage)
	offset, isInt := args[1].(int)
	shape, err := ints(args[2])
	if err != nil {
		return nil, fmt.Errorf("a tensor's size: %w", err)
	}
	strides, err := ints(args[3])
	if err != nil {
		return nil, fmt.Errorf("a tensor's stride: %w", err)
	}
	if !isStorage || !isInt || len(shape) != len(strides) {
		return nil, fmt.Errorf("a tensor of %T, %T, size %v and stride %v, expected a storage, an offset and two tuples of one length", args[0], args[1], shape, strides)
	}
	return &torchTensor{storage, offset, shape, strides}, nil
}

// rebuildParameter stands for the function that makes a parameter of a tensor.
type rebuildParameter struct{}

// Call returns the tensor.
func (rebuildParameter) Call(args ...any) (any, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("a parameter without its tensor")
	}
	t, ok := args[0].(*torchTensor)
	if !ok {
		return nil, fmt.Errorf("a parameter of %T, expected a tensor", args[0])
	}
	return t, nil
}

func ints(v any) ([]int, error) {
	t, ok := v.(*types.Tuple)
	if !ok {
		return nil, fmt.Errorf("found %T, expected a tuple", v)
	}
	out := make([]int, 0, t.Len())
	for _, x := range *t {
		n, ok := x.(int)
		if !ok || n < 0 {
			return nil, fmt.Errorf("found %T in it, expected whole numbers", x)
		}
		out = append(out, n)
	}
	return out, nil
}

// unpickle builds the pickle at the beginning of raw and returns what follows it.
// storage answers the pickle's references to storages.
func unpickle(raw []byte, storage func(id []any) (any, error)) (value any, rest []byte, err error) {
	n, err := scan(raw)
	if err != nil {
		return nil, nil, err
	}
	defer func() { // the stack machine trusts some lengths
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed pickle: %v", r)
		}
	}()
	u := pickle.NewUnpickler(bytes.NewReader(raw[:n]))
	u.FindClass = func(module, name string) (any, error) {
		if v, ok := globals[module+"."+name]; ok {
			return v, nil
		}
		return nil, refused(module + "." + name)
	}
	u.PersistentLoad = func(id any) (any, error) {
		t, ok := id.(*types.Tuple)
		if !ok {
			return nil, fmt.Errorf("a reference by %T, expected a tuple", id)
		}
		return storage(*t)
	}
	if value, err = u.Load(); err != nil {
		return nil, nil, fmt.Errorf("pickle: %w", err)
	}
	return value, raw[n:], nil
}

func refused(global string) error {
	return fmt.Errorf("refused: it names %.80q, which is no class of tensors", global)
}

// maxMarks is how deep a pickle's marks may stand; torch.save needs five.
const maxMarks = 64

// The operations of a pickle that torch.save writes, by what follows them: so many
// bytes, or so many bytes that hold a length, and then that length.
var (
	plainOps = map[byte]int{
		'.': 0, '(': 0, ')': 0, '}': 0, ']': 0, 't': 0, 'l': 0, 'd': 0, 'e': 0, 'u': 0, 's': 0, 'a': 0, 'R': 0, 'b': 0, 'Q': 0, 'N': 0,
		'\x85': 0, '\x86': 0, '\x87': 0, '\x88': 0, '\x89': 0,
		'q': 1, 'h': 1, 'K': 1, 'M': 2, 'J': 4, 'r': 4, 'j': 4, 'G': 8,
	}
	countedOps = map[byte]int{'U': 1, '\x8a': 1, 'X': 4, 'T': 4}
	markEnds   = []byte("tldeu")
)

// scan walks over a pickle without building anything and returns its length. It
// lets through only what torch.save writes: no name but those in globals, and no
// length that the bytes do not have.
func scan(raw []byte) (int, error) {
	marks := 0
	for at := 0; at < len(raw); {
		op, rest := raw[at], raw[at+1:]
		next := 0 // bytes after the operation
		switch {
		case op == '\x80':
			if len(rest) > 0 && rest[0] != 2 {
				return 0, fmt.Errorf("pickle protocol %d, expected 2, which torch.save writes", rest[0])
			}
			next = 1
		case op == 'c':
			module, more, ok := bytes.Cut(rest, []byte{'\n'})
			name, _, ok2 := bytes.Cut(more, []byte{'\n'})
			if !ok || !ok2 {
				return 0, fmt.Errorf("pickle: byte %d: a name without end", at)
			}
			if global := string(module) + "." + string(name); globals[global] == nil {
				return 0, refused(global)
			}
			next = len(module) + len(name) + 2
		case countedOps[op] > 0:
			n := countedOps[op]
			if len(rest) < n {
				return 0, fmt.Errorf("pickle: byte %d: cut off", at)
			}
			length := int(rest[0])
			if n == 4 {
				length = int(binary.LittleEndian.Uint32(rest))
			}
			if op == '\x8a' && length == 0 {
				return 0, fmt.Errorf("pickle: byte %d: a number of no bytes", at)
			}
			next = n + length
		default:
			n, known := plainOps[op]
			if !known {
				return 0, fmt.Errorf("pickle: byte %d: operation 0x%02x is none that torch.save writes", at, op)
			}
			next = n
		}
		if next > len(rest) {
			return 0, fmt.Errorf("pickle: byte %d: cut off", at)
		}
		switch {
		case op == '.':
			return at + 1, nil
		case op == '(':
			marks++
		case slices.Contains(markEnds, op):
			marks--
		}
		if marks > maxMarks {
			return 0, fmt.Errorf("pickle: byte %d: %d marks deep, the most is %d", at, marks, maxMarks)
		}
		at += 1 + next
	}
	return 0, fmt.Errorf("pickle: %d bytes without an end", len(raw))
}
