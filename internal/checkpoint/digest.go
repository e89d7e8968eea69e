package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"

	"rlhf/gpt"
)

// Digest hashes what a run begins with, for Run.Inputs. Make one with NewDigest.
type Digest struct {
	h     hash.Hash
	block []byte
}

// NewDigest returns a digest of nothing so far.
func NewDigest() *Digest { return &Digest{h: sha256.New()} }

// Ints adds the number of values and the values.
func (d *Digest) Ints(values ...int) {
	d.block = binary.LittleEndian.AppendUint64(d.block[:0], uint64(len(values)))
	for _, v := range values {
		d.block = binary.LittleEndian.AppendUint64(d.block, uint64(v))
	}
	d.h.Write(d.block)
}

// Tokens adds the number of ids and the ids.
func (d *Digest) Tokens(ids []int32) {
	d.block = binary.LittleEndian.AppendUint64(d.block[:0], uint64(len(ids)))
	for _, id := range ids {
		d.block = binary.LittleEndian.AppendUint32(d.block, uint32(id))
	}
	d.h.Write(d.block)
}

// Model adds a model's parameters, bit by bit.
func (d *Digest) Model(m *gpt.Model) {
	d.Ints(len(m.Theta))
	const piece = 1 << 16
	for from := 0; from < len(m.Theta); from += piece {
		d.block = d.block[:0]
		for _, x := range m.Theta[from:min(from+piece, len(m.Theta))] {
			d.block = binary.LittleEndian.AppendUint32(d.block, math.Float32bits(x))
		}
		d.h.Write(d.block)
	}
}

// String returns the SHA-256 in hexadecimal digits.
func (d *Digest) String() string { return hex.EncodeToString(d.h.Sum(nil)) }
