package bpe

import (
	"math"
	"math/bits"
)

// rank is a merge's place in the order, and what it makes.
type rank struct{ rank, merged int32 }

func pairKey(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// mix spreads the bits of a key over all of its hash: multiplied by 2⁶⁴ over the
// golden ratio, the two halves of the product are put together.
func mix(key uint64) uint64 {
	hi, lo := bits.Mul64(key^0x2545f4914f6cdd1d, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

// ranks is a hash table of merges by pair of ids: open addressing, at most half full.
type ranks struct {
	slots []pairRank
	shift uint
}

type pairRank struct {
	key uint64
	rank
}

// noPair is the key of an empty slot. Ids are not negative.
const noPair = math.MaxUint64

// newRanks makes a table for n merges.
func newRanks(n int) ranks {
	size := bits.Len(uint(2*n + 1))
	r := ranks{make([]pairRank, 1<<size), uint(64 - size)}
	for i := range r.slots {
		r.slots[i].key = noPair
	}
	return r
}

// find returns the rank of a pair; ok is false if it is not merged.
func (r *ranks) find(a, b int32) (found rank, ok bool) {
	key := pairKey(a, b)
	for i := mix(key) >> r.shift; ; i++ {
		s := &r.slots[i&uint64(len(r.slots)-1)]
		if s.key == key {
			return s.rank, true
		}
		if s.key == noPair {
			return rank{}, false
		}
	}
}

// add puts a pair into the table that is not there.
func (r *ranks) add(a, b int32, m rank) {
	key := pairKey(a, b)
	i := mix(key) >> r.shift
	for r.slots[i].key != noPair {
		i = (i + 1) & uint64(len(r.slots)-1)
	}
	r.slots[i] = pairRank{key, m}
}

// pairs is a hash table of the pairs of neighbours in a trainer's words: how often
// each stands there and in which words. It is at most half full.
type pairs struct {
	slots []pairPlaces
	used  int
	in    []inWord // element 0 ends every list
	free  uint32   // first of a list of elements that are free
}

type pairPlaces struct {
	key   uint64
	many  int64
	first uint32 // index in pairs.in of the first word with the pair; it may have lost it since
	turn  uint32 // the last merge that made it more frequent
}

// inWord is an element of a list of words.
type inWord struct{ word, next uint32 }

func newPairs() pairs {
	p := pairs{in: make([]inWord, 1)}
	p.resize(1 << 12)
	return p
}

// slot returns where a pair is in the table, or would go.
func (p *pairs) slot(key uint64) *pairPlaces {
	mask := uint64(len(p.slots) - 1)
	i := mix(key) & mask
	for p.slots[i].key != noPair && p.slots[i].key != key {
		i = (i + 1) & mask
	}
	return &p.slots[i]
}

// find returns a pair's place, nil if it has none. It is good until the next count.
func (p *pairs) find(key uint64) *pairPlaces {
	if s := p.slot(key); s.key == key {
		return s
	}
	return nil
}

// count adds many to the number of times that a pair stands in the texts. If that is
// positive, word is one in which it stands.
func (p *pairs) count(key uint64, many int64, word uint32) *pairPlaces {
	s := p.slot(key)
	if s.key == noPair {
		if 2*p.used >= len(p.slots) {
			p.tidy()
			s = p.slot(key)
		}
		p.used++
		*s = pairPlaces{key: key}
	}
	s.many += many
	if many > 0 && (s.first == 0 || p.in[s.first].word != word) {
		s.first = p.element(inWord{word, s.first})
	}
	return s
}

// element returns the index of a new element of a list.
func (p *pairs) element(e inWord) uint32 {
	if at := p.free; at != 0 {
		p.free, p.in[at] = p.in[at].next, e
		return at
	}
	p.in = append(p.in, e)
	return uint32(len(p.in) - 1)
}

// clear frees a pair's list and takes its count to 0; its slot stays until the table is tidied.
func (p *pairs) clear(s *pairPlaces) {
	last := s.first
	for last != 0 && p.in[last].next != 0 {
		last = p.in[last].next
	}
	if last != 0 {
		p.in[last].next, p.free = p.free, s.first
	}
	s.first, s.many = 0, 0
}

// tidy leaves out the pairs that stand nowhere, and makes room for more.
func (p *pairs) tidy() {
	live := 0
	for i := range p.slots {
		if s := &p.slots[i]; s.key != noPair && s.many == 0 {
			p.clear(s)
		} else if s.key != noPair {
			live++
		}
	}
	size := len(p.slots)
	if 3*live > size {
		size *= 2
	}
	p.resize(size)
}

// resize moves the pairs that stand somewhere to a table of that size.
func (p *pairs) resize(size int) {
	old := p.slots
	p.slots, p.used = make([]pairPlaces, size), 0
	for i := range p.slots {
		p.slots[i].key = noPair
	}
	for _, s := range old {
		if s.key != noPair && s.many > 0 {
			*p.slot(s.key) = s
			p.used++
		}
	}
}
