package corpus

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// Writer makes a file of token ids, whole or not at all. It holds a few buffers,
// whatever the length of the data.
type Writer struct {
	path  string
	head  header
	ids   *spool // with room for the header before them
	ends  *spool
	block []byte
	open  bool // ids of a document that has not ended
}

// spool is a temporary file that is being written.
type spool struct {
	f *os.File
	w *bufio.Writer
}

func newSpool(path string) (*spool, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &spool{f, bufio.NewWriterSize(f, 1<<20)}, nil
}

func (s *spool) discard() error {
	if s == nil {
		return nil
	}
	return errors.Join(s.f.Close(), os.Remove(s.f.Name()))
}

// NewWriter begins the file path for ids below vocabSize. source is the digest, in
// hexadecimal digits, of what they are made from. Finish or Discard must follow.
func NewWriter(path string, vocabSize int, source string) (*Writer, error) {
	digest, err := hex.DecodeString(source)
	if err != nil || len(digest) != sha256.Size {
		return nil, fmt.Errorf("source: found %q, expected the digits of a SHA-256", source)
	}
	w := &Writer{path: path, head: header{Version: version, Width: 2}}
	copy(w.head.Source[:], digest)
	if vocabSize > 1<<16 {
		w.head.Width = 4
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	if w.ids, err = newSpool(path + ".partial"); err != nil {
		return nil, err
	}
	if w.ends, err = newSpool(path + ".ends.partial"); err != nil {
		return nil, errors.Join(err, w.ids.discard())
	}
	_, err = w.ids.w.Write(make([]byte, headerSize))
	return w, err
}

// Add adds ids to the document in work and ends it if last.
func (w *Writer) Add(ids []int32, last bool) error {
	w.block = w.block[:0]
	for _, id := range ids {
		if id < 0 || w.head.Width == 2 && id >= 1<<16 {
			return fmt.Errorf("token id %d does not fit into %d bytes", id, w.head.Width)
		}
		if w.head.Width == 2 {
			w.block = binary.LittleEndian.AppendUint16(w.block, uint16(id))
		} else {
			w.block = binary.LittleEndian.AppendUint32(w.block, uint32(id))
		}
	}
	w.head.Tokens += uint64(len(ids))
	w.open = !last
	if _, err := w.ids.w.Write(w.block); err != nil || !last {
		return err
	}
	w.head.Documents++
	_, err := w.ends.w.Write(binary.LittleEndian.AppendUint64(w.block[:0], w.head.Tokens))
	return err
}

// Finish completes the file. The last document must have ended.
func (w *Writer) Finish() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", w.path, errors.Join(err, w.Discard()))
		}
	}()
	if w.open {
		return errors.New("the last document does not end")
	}
	if err := w.ends.w.Flush(); err != nil {
		return err
	}
	if _, err := w.ends.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(w.ids.w, w.ends.f); err != nil {
		return err
	}
	if err := w.ids.w.Flush(); err != nil {
		return err
	}
	content := sha256.New()
	if err := contentOf(w.ids.f, content); err != nil {
		return err
	}
	copy(w.head.Content[:], content.Sum(nil))
	if _, err := w.ids.f.WriteAt(w.head.encode(), 0); err != nil {
		return err
	}
	if err := w.ids.f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(w.ids.f.Name(), w.path); err != nil {
		return err
	}
	err = errors.Join(w.ids.f.Close(), w.ends.discard())
	w.ids, w.ends = nil, nil
	return err
}

// contentOf hashes what follows the header.
func contentOf(f *os.File, h hash.Hash) error {
	if _, err := f.Seek(int64(headerSize), io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(h, f)
	return err
}

// Discard removes what was written. After Finish it does nothing.
func (w *Writer) Discard() error {
	err := errors.Join(w.ids.discard(), w.ends.discard())
	w.ids, w.ends = nil, nil
	return err
}
