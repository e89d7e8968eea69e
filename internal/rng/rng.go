// Package rng gives the project's random streams: counter-based (Philox4x32-10,
// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), keyed
// by seed, purpose and index. A stream is a pure function of its key, so neither
// the number of threads nor the order of the work nor a restart changes a draw.
// There is no global generator and no seeding from the clock.
package rng

import (
	"hash/fnv"
	"math/bits"
	"math/rand/v2"
)

const (
	mul0  = 0xD2511F53
	mul1  = 0xCD9E8D57
	bump0 = 0x9E3779B9
	bump1 = 0xBB67AE85
)

// philox is the Philox4x32-10 block function.
func philox(ctr [4]uint32, key [2]uint32) [4]uint32 {
	for range 10 {
		hi0, lo0 := bits.Mul32(mul0, ctr[0])
		hi1, lo1 := bits.Mul32(mul1, ctr[2])
		ctr = [4]uint32{hi1 ^ ctr[1] ^ key[0], lo1, hi0 ^ ctr[3] ^ key[1], lo0}
		key[0] += bump0
		key[1] += bump1
	}
	return ctr
}

// key mixes the seed with the purpose (FNV-1a of its bytes).
func key(seed uint64, purpose string) [2]uint32 {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	mixed := philox([4]uint32{uint32(seed), uint32(seed >> 32), 0, 0},
		[2]uint32{uint32(h.Sum64()), uint32(h.Sum64() >> 32)})
	return [2]uint32{mixed[0], mixed[1]}
}

// source walks through the counter of one stream.
type source struct {
	key   [2]uint32
	index uint64
	n     uint64
}

// Uint64 implements rand.Source.
func (s *source) Uint64() uint64 {
	b := philox([4]uint32{uint32(s.index), uint32(s.index >> 32), uint32(s.n), uint32(s.n >> 32)}, s.key)
	s.n++
	return uint64(b[1])<<32 | uint64(b[0])
}

// New returns the stream of (seed, purpose, index). It may not be used concurrently.
func New(seed uint64, purpose string, index uint64) *rand.Rand {
	return rand.New(&source{key: key(seed, purpose), index: index})
}

// Stream draws single numbers by position: Draw k of stream (seed, purpose, index)
// without walking there. It may be used concurrently.
type Stream struct{ key [2]uint32 }

// At returns the random-access streams of (seed, purpose).
func At(seed uint64, purpose string) Stream { return Stream{key: key(seed, purpose)} }

// Float64 returns draw number position of stream index, uniform in [0, 1) with
// 53 bits; it equals the position-th Float64 of New with the same key.
func (s Stream) Float64(index, position uint64) float64 {
	src := source{key: s.key, index: index, n: position}
	return float64(src.Uint64()<<11>>11) / (1 << 53)
}
