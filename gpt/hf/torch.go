package hf

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path"
	"slices"

	"github.com/nlpodyssey/gopickle/types"
)

// torchStorage is a storage of a file that torch.save wrote: a run of elements that tensors are views of.
type torchStorage struct {
	storageClass
	count  int64 // elements
	offset int64 // byte of the first, once known
	r      io.ReaderAt
	verify func() error // nil in a file without checksums
	within *torchStorage
	from   int64 // element of within at which this view of it begins
}

// torchTensor is a view of a storage, in elements.
type torchTensor struct {
	storage        *torchStorage
	offset         int
	shape, strides []int
}

// maxPickle is the longest pickle that is read. That of GPT-2's largest model has 150 KiB; with an optimizer's state, four times that.
const maxPickle = 4 << 20

// loadTorch reads what torch.save wrote: a zip file (torch 1.6 and later) or a file
// of pickles with the storages after them. The tensors of the value returned refer to
// r, which stays in use.
func loadTorch(r io.ReaderAt, size int64) (any, error) {
	head := make([]byte, min(512, size))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return loadTorchZip(r, size)
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return nil, errors.New("a tar file of torch before 0.1.10, expected a zip file or the pickles of torch.save")
	case len(head) > 0 && head[0] == 0x80:
		return loadTorchPickles(r, size)
	}
	return nil, fmt.Errorf("begins with %.16q, expected a zip file or the pickles of torch.save", head)
}

// loadTorchZip reads NAME/data.pkl and finds each storage K in NAME/data/K.
func loadTorchZip(r io.ReaderAt, size int64) (any, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, err
	}
	records := map[string]*zip.File{}
	root := ""
	for _, f := range archive.File {
		records[f.Name] = f
		if dir, file := path.Split(f.Name); file == "data.pkl" {
			root = dir
		}
	}
	main := records[root+"data.pkl"]
	switch {
	case main == nil:
		return nil, errors.New("a zip file without data.pkl, which torch.save writes")
	case records[root+"constants.pkl"] != nil:
		return nil, errors.New("a TorchScript program, expected weights")
	}
	if order := records[root+"byteorder"]; order != nil {
		if text, err := readRecord(order); err != nil {
			return nil, fmt.Errorf("byteorder: %w", err)
		} else if string(text) != "little" {
			return nil, fmt.Errorf("byteorder: found %.16q, expected \"little\"", text)
		}
	}
	text, err := readRecord(main)
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	storages := map[string]*torchStorage{}
	value, _, err := unpickle(text, func(id []any) (any, error) {
		s, key, err := newStorage(id, storages)
		if err != nil || s.r != nil {
			return s, err
		}
		return s, s.place(r, size, records[root+"data/"+key], key)
	})
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	return value, nil
}

// readRecord returns the bytes of a small file of the archive.
func readRecord(f *zip.File) ([]byte, error) {
	if f.UncompressedSize64 > maxPickle {
		return nil, fmt.Errorf("%d bytes, the most is %d", f.UncompressedSize64, maxPickle)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxPickle))
}

// place finds the elements of a storage in its file of the archive, which must not be compressed.
func (s *torchStorage) place(r io.ReaderAt, size int64, f *zip.File, key string) error {
	if f == nil {
		return fmt.Errorf("storage %.40q: the zip file has no data/%[1]s", key)
	}
	if f.Method != zip.Store {
		return fmt.Errorf("storage %.40q: compressed, expected stored as torch.save does", key)
	}
	at, err := f.DataOffset()
	if err != nil {
		return fmt.Errorf("storage %.40q: %w", key, err)
	}
	if uint64(s.count*s.width) != f.UncompressedSize64 || at < 0 || at > size || s.count*s.width > size-at {
		return fmt.Errorf("storage %.40q: %d bytes at byte %d of %d, expected %d elements of %s", key, f.UncompressedSize64, at, size, s.count, s.dtype)
	}
	s.r, s.offset = r, at
	checked := false
	s.verify = func() error {
		if checked {
			return nil
		}
		content, err := f.Open()
		if err != nil {
			return err
		}
		defer content.Close()
		if _, err := io.Copy(io.Discard, content); err != nil {
			return fmt.Errorf("storage %.40q: damaged: %w", key, err)
		}
		checked = true
		return nil
	}
	return nil
}

// newStorage returns the storage that a pickle refers to: ("storage", class, key, device, elements) and, in the
// older format, nil or a view (key, offset, elements) of it. The same key is the same storage.
func newStorage(id []any, known map[string]*torchStorage) (*torchStorage, string, error) {
	if len(id) < 5 || len(id) > 6 || id[0] != "storage" {
		return nil, "", fmt.Errorf("a reference of %d parts, expected a storage's five", len(id))
	}
	class, isClass := id[1].(storageClass)
	key, isText := id[2].(string)
	count, isInt := id[4].(int)
	if !isClass || !isText || !isInt || count < 0 || int64(count) > maxElements {
		return nil, "", fmt.Errorf("a storage of %T, %T and %T, expected a class, a key and a number of elements", id[1], id[2], id[4])
	}
	s := known[key]
	if s == nil {
		s = &torchStorage{storageClass: class, count: int64(count)}
		known[key] = s
	} else if s.storageClass != class || s.count != int64(count) {
		return nil, "", fmt.Errorf("storage %.40q: found as %d elements of %s and %d of %s", key, s.count, s.dtype, count, class.dtype)
	}
	if len(id) == 6 && id[5] != nil {
		view, err := s.view(id[5])
		return view, key, err
	}
	return s, key, nil
}

// maxElements keeps products with an element's width far from overflow.
const maxElements = 1 << 50

// view returns the part of a storage that (key, offset, elements) names.
func (s *torchStorage) view(v any) (*torchStorage, error) {
	t, ok := v.(*types.Tuple)
	if !ok || t.Len() != 3 {
		return nil, fmt.Errorf("a view by %T, expected key, offset and elements", v)
	}
	from, ok := t.Get(1).(int)
	count, ok2 := t.Get(2).(int)
	if !ok || !ok2 || from < 0 || count < 0 || int64(from) > s.count || int64(count) > s.count-int64(from) {
		return nil, fmt.Errorf("a view of %d elements from %d of a storage of %d", count, from, s.count)
	}
	return &torchStorage{storageClass: s.storageClass, count: int64(count), within: s, from: int64(from)}, nil
}

// The older format: the magic number, the version, facts about the machine, the
// value, the keys of the storages in order, and then each storage's number of
// elements and bytes.
const (
	torchMagic   = "1950a86a20f9469cfc6c" // of torch/serialization.py
	torchVersion = 1001
)

func loadTorchPickles(r io.ReaderAt, size int64) (any, error) {
	head := make([]byte, min(size, 5*maxPickle)) // the pickles stand here
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	storages := map[string]*torchStorage{}
	var parts [5]any
	rest := head
	for i := range parts {
		var err error
		raw := rest[:min(len(rest), maxPickle)]
		var after []byte
		if parts[i], after, err = unpickle(raw, func(id []any) (any, error) {
			s, _, err := newStorage(id, storages)
			return s, err
		}); err != nil {
			return nil, err
		}
		rest = rest[len(raw)-len(after):]
		if err := checkTorchPart(i, parts[i]); err != nil {
			return nil, err
		}
	}
	keys, ok := parts[4].(*types.List)
	if !ok {
		return nil, fmt.Errorf("keys of storages: found %T, expected a list", parts[4])
	}
	at := int64(len(head) - len(rest))
	for _, k := range *keys {
		key, _ := k.(string)
		s := storages[key]
		if s == nil || s.r != nil {
			return nil, fmt.Errorf("keys of storages: %.40q: unknown or there twice", key)
		}
		next, err := s.placeAfter(r, size, at)
		if err != nil {
			return nil, fmt.Errorf("storage %.40q: %w", key, err)
		}
		at = next
	}
	if at != size {
		return nil, fmt.Errorf("%d bytes after the last storage", size-at)
	}
	return parts[3], nil
}

// checkTorchPart checks what must stand in the pickles before the value.
func checkTorchPart(i int, v any) error {
	switch i {
	case 0:
		if n, ok := v.(*big.Int); !ok || n.Text(16) != torchMagic {
			return fmt.Errorf("magic number: found %T, expected 0x%s of torch.save", v, torchMagic)
		}
	case 1:
		if v != torchVersion {
			return fmt.Errorf("version: found %T, expected %d", v, torchVersion)
		}
	case 2:
		pairs, _ := dictionary(v)
		little := slices.ContainsFunc(pairs, func(p pair) bool { return p.key == "little_endian" && p.value == true })
		if !little {
			return errors.New("little_endian: found none that is true, expected little-endian numbers")
		}
	}
	return nil
}

// placeAfter finds a storage at byte at, its number of elements first, and returns where it ends.
func (s *torchStorage) placeAfter(r io.ReaderAt, size, at int64) (int64, error) {
	var count [8]byte
	if _, err := r.ReadAt(count[:], at); err != nil {
		return 0, fmt.Errorf("byte %d: %w (is it cut off?)", at, err)
	}
	if n := binary.LittleEndian.Uint64(count[:]); n != uint64(s.count) {
		return 0, fmt.Errorf("byte %d: found %d elements, expected %d", at, n, s.count)
	}
	at += 8
	if s.count*s.width > size-at {
		return 0, fmt.Errorf("byte %d: %d elements of %s, the file ends at %d (is it cut off?)", at, s.count, s.dtype, size)
	}
	s.r, s.offset = r, at
	return at + s.count*s.width, nil
}

// stored returns a tensor of the file called name.
func (t *torchTensor) stored(name string) (stored, error) {
	s := t.storage
	from := int64(0)
	if s.within != nil {
		s, from = s.within, s.from
	}
	if s.r == nil {
		return stored{}, fmt.Errorf("tensor %s: its storage is not in the file", name)
	}
	if !t.fits() {
		return stored{}, fmt.Errorf("tensor %s: shape %v with strides %v from element %d, its storage has %d", name, t.shape, t.strides, t.offset, t.storage.count)
	}
	e := elements{r: s.r, offset: s.offset + (from+int64(t.offset))*s.width, dtype: s.dtype, verify: s.verify}
	if !inOrder(t.shape, t.strides) {
		e.strides = t.strides
	}
	return stored{name: name, shape: t.shape, elements: e}, nil
}

// fits reports whether every element lies in the storage, and no more elements are
// asked for than it has: a shape alone cannot make a small file large.
func (t *torchTensor) fits() bool {
	room := t.storage.count - int64(t.offset)
	n := product(t.shape, t.storage.count)
	if room < 0 || n < 0 {
		return false
	}
	last := int64(0) // index of the last element
	for i, d := range t.shape {
		if n > 0 && d > 1 {
			if int64(t.strides[i]) > room/int64(d-1) {
				return false
			}
			if last += int64(d-1) * int64(t.strides[i]); last >= room {
				return false
			}
		}
	}
	return n == 0 || last < room
}

// inOrder reports whether strides are those of a tensor that stands row by row.
func inOrder(shape, strides []int) bool {
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && strides[i] != step {
			return false
		}
		step *= shape[i]
	}
	return true
}

// pair is an entry of a dictionary.
type pair struct{ key, value any }

// dictionary returns the entries of a dictionary, and whether v is one.
func dictionary(v any) (pairs []pair, ok bool) {
	switch d := v.(type) {
	case *types.Dict:
		for _, e := range *d {
			pairs = append(pairs, pair{e.Key, e.Value})
		}
	case *types.OrderedDict:
		for e := d.List.Front(); e != nil; e = e.Next() {
			entry := e.Value.(*types.OrderedDictEntry)
			pairs = append(pairs, pair{entry.Key, entry.Value})
		}
	default:
		return nil, false
	}
	return pairs, true
}

// stateDict returns the tensors of a dictionary of names and tensors.
func stateDict(v any) ([]stored, error) {
	pairs, ok := dictionary(v)
	if !ok {
		return nil, fmt.Errorf("found %T, expected a dictionary of tensors", v)
	}
	tensors := make([]stored, 0, len(pairs))
	for _, p := range pairs {
		name, ok := p.key.(string)
		if !ok {
			return nil, fmt.Errorf("a key: found %T, expected a tensor's name", p.key)
		}
		t, ok := p.value.(*torchTensor)
		if !ok {
			return nil, fmt.Errorf("entry %.60q: found %T, expected a tensor", name, p.value)
		}
		s, err := t.stored(name)
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, s)
	}
	return tensors, nil
}

// readTorch returns the tensors of pytorch_model.bin.
func readTorch(f *os.File, size int64) ([]stored, error) {
	v, err := loadTorch(f, size)
	if err != nil {
		return nil, err
	}
	return stateDict(v)
}
