// Package corpus keeps the token ids of documents in a file that is mapped into
// memory, so that data sets larger than memory can be learnt from, in any order,
// with memory that stays flat. The file carries the digest of what it was made from
// and of what it holds. The package knows ids, neither text nor models.
package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/edsrzf/mmap-go"
)

// ErrOther is returned by Open for a whole file that was made from something else.
var ErrOther = errors.New("made from other data or with another tokenizer")

// Corpus is an open file. It may be read by several goroutines at once. Close it after use.
type Corpus struct {
	path   string
	head   header
	memory mmap.MMap
}

// header begins a file: eight bytes of magic, then these fields, little-endian. After it come the ids, of width
// bytes each, then where each document ends, in ids, of eight bytes each.
type header struct {
	Version   uint32
	Width     uint32 // bytes of an id: 2 up to a vocabulary of 65,536, else 4
	Tokens    uint64
	Documents uint64
	Source    [sha256.Size]byte // digest of what the file was made from
	Content   [sha256.Size]byte // of everything after the header
}

const (
	magic      = "rlhftoks"
	version    = 1
	headerSize = len(magic) + 4 + 4 + 8 + 8 + 2*sha256.Size
)

func (h header) encode() []byte {
	out, err := binary.Append([]byte(magic), binary.LittleEndian, h)
	if err != nil {
		panic(err) // a struct of fixed size always has an encoding
	}
	return out
}

// Open maps a file that Writer made from source, the digest in hexadecimal digits.
// It checks the whole file; a damaged or cut one is an error that says how, one made
// from something else wraps ErrOther.
func Open(path, source string) (*Corpus, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping stays
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < int64(headerSize) {
		return nil, fmt.Errorf("%s: %d bytes, a file of token ids has at least %d", path, info.Size(), headerSize)
	}
	c := &Corpus{path: path}
	if c.memory, err = mmap.Map(f, mmap.RDONLY, 0); err != nil {
		return nil, fmt.Errorf("%s: map into memory: %w", path, err)
	}
	if err := c.check(source); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), c.Close())
	}
	return c, nil
}

func (c *Corpus) check(source string) error {
	if string(c.memory[:len(magic)]) != magic {
		return errors.New("found another kind of file, expected one of token ids")
	}
	if _, err := binary.Decode(c.memory[len(magic):], binary.LittleEndian, &c.head); err != nil {
		return err
	}
	h, rest := c.head, uint64(len(c.memory)-headerSize)
	if h.Version != version || h.Width != 2 && h.Width != 4 {
		return fmt.Errorf("found version %d with ids of %d bytes, expected version %d with 2 or 4", h.Version, h.Width, version)
	}
	if h.Tokens > rest || h.Documents > rest || h.Tokens*uint64(h.Width)+8*h.Documents != rest {
		return fmt.Errorf("%d bytes, expected %d ids of %d bytes and %d documents: is it cut off?", len(c.memory), h.Tokens, h.Width, h.Documents)
	}
	if sha256.Sum256(c.memory[headerSize:]) != h.Content {
		return errors.New("damaged: its content does not match its SHA-256")
	}
	if got := hex.EncodeToString(h.Source[:]); got != source {
		return fmt.Errorf("%w (found %s, expected %s)", ErrOther, got, source)
	}
	return nil
}

// Close ends the use of the corpus and of all that was made of it.
func (c *Corpus) Close() error { return c.memory.Unmap() }

// Len returns the number of ids.
func (c *Corpus) Len() int { return int(c.head.Tokens) }

// Documents returns the number of documents.
func (c *Corpus) Documents() int { return int(c.head.Documents) }

// ids returns a copy of the ids from to to-1.
func (c *Corpus) ids(from, to int) []int32 {
	out := make([]int32, to-from)
	if c.head.Width == 2 {
		raw := c.memory[headerSize+2*from : headerSize+2*to]
		for i := range out {
			out[i] = int32(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		return out
	}
	raw := c.memory[headerSize+4*from : headerSize+4*to]
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}

// end returns where document d ends.
func (c *Corpus) end(d int) int {
	at := headerSize + c.Len()*int(c.head.Width) + 8*d
	return int(binary.LittleEndian.Uint64(c.memory[at:]))
}

// Set is a corpus cut into sequences.
type Set struct {
	c     *Corpus
	n     int    // longest sequence
	parts []part // of documents; nil for blocks
}

// part is a sequence within a document.
type part struct {
	from   int
	length int32
}

// Blocks cuts the corpus into sequences of n ids without regard to documents, n at
// least 2. Each begins with the last id of the one before, so that every id but the
// first is the next one of some other in a block; the last may be shorter.
func (c *Corpus) Blocks(n int) Set { return Set{c: c, n: n} }

// Pieces cuts every document by itself into sequences of at most n ids, n at least
// 2, in the same way. Documents of one id have none.
func (c *Corpus) Pieces(n int) Set {
	s := Set{c: c, n: n, parts: []part{}}
	from := 0
	for d := range c.Documents() {
		end := c.end(d)
		for ; from+1 < end; from += n - 1 {
			s.parts = append(s.parts, part{from, int32(min(n, end-from))})
		}
		from = end
	}
	return s
}

// Len returns the number of sequences.
func (s Set) Len() int {
	if s.parts != nil {
		return len(s.parts)
	}
	return max(0, (s.c.Len()-1+s.n-2)/(s.n-1))
}

// Tokens returns the length of sequence i.
func (s Set) Tokens(i int) int {
	if s.parts != nil {
		return int(s.parts[i].length)
	}
	return min(s.n, s.c.Len()-i*(s.n-1))
}

// IDs returns a copy of sequence i.
func (s Set) IDs(i int) []int32 {
	from := i * (s.n - 1)
	if s.parts != nil {
		from = s.parts[i].from
	}
	return s.c.ids(from, from+s.Tokens(i))
}
