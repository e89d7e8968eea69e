package bpe

import (
	"math"
	"strings"
)

// The sizes of an encoder's tables, as powers of two.
const (
	shortBits = 15
	otherBits = 12
)

// encoder encodes words and remembers what it encoded. One goroutine may use it at
// a time. Its tables keep in a slot the latest two short words, the last one used
// first, and the latest other one.
type encoder struct {
	t      *Tokenizer
	short  [1 << shortBits][2]shortWord // 2 MiB
	others [1 << otherBits]otherWord
	ids    [longWord]int32 // of the word at hand
	ranks  [longWord]int32 // of the pairs of neighbours in it, noRank if they are not merged
}

// shortWord is a word of at most 16 bytes with at most 3 ids.
type shortWord struct {
	lo, hi uint64 // its bytes, then zeros
	n      uint8  // of bytes; 0 is an empty slot
	count  uint8  // of ids
	ids    [3]int32
}

// otherWord is one that is longer, up to keptWord bytes, or has more ids.
type otherWord struct {
	word string
	ids  []int32
}

// keptWord is the length in bytes of the longest word that an encoder remembers.
const keptWord = 128

const noRank = math.MaxInt32

// append appends the ids of the words of text.
func (e *encoder) append(ids []int32, text string) []int32 {
	for i := 0; i < len(text); {
		n := wordLength(text[i:])
		if n > 16 {
			ids = e.other(ids, text[i:i+n], hashLong(text[i:i+n]))
			i += n
			continue
		}
		lo, hi := key(text, i, n)
		hash := hashShort(lo, hi, n)
		slot := &e.short[hash>>(64-shortBits)]
		s := &slot[0]
		if s.lo != lo || s.hi != hi || int(s.n) != n {
			if slot[0], slot[1] = slot[1], slot[0]; s.lo != lo || s.hi != hi || int(s.n) != n {
				ids = e.miss(ids, text[i:i+n], lo, hi, hash)
				i += n
				continue
			}
		}
		if s.count == 1 {
			ids = append(ids, s.ids[0])
		} else {
			ids = append(ids, s.ids[:s.count]...)
		}
		i += n
	}
	return ids
}

// key returns the n bytes from i on, at most 16, as two words.
func key(text string, i, n int) (lo, hi uint64) {
	if i+16 <= len(text) {
		if lo = load8(text[i : i+8]); n <= 8 {
			return lo << (64 - 8*n) >> (64 - 8*n), 0
		}
		hi = load8(text[i+8 : i+16])
		return lo, hi << (128 - 8*n) >> (128 - 8*n)
	}
	for k := n - 1; k >= 0; k-- {
		hi = hi<<8 | lo>>56
		lo = lo<<8 | uint64(text[i+k])
	}
	return lo, hi
}

// load8 returns 8 bytes as a word.
func load8(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func hashShort(lo, hi uint64, n int) uint64 { return mix(lo ^ mix(hi^uint64(n))) }

// hashLong returns a hash of a word of more than 16 bytes.
func hashLong(s string) uint64 {
	hash := uint64(len(s))
	for ; len(s) >= 8; s = s[8:] {
		hash = mix(hash ^ load8(s[:8]))
	}
	for i := range len(s) {
		hash = mix(hash ^ uint64(s[i]))
	}
	return hash
}

// miss is append for a word that is not in its slot of the short ones, whose second word has become the first.
func (e *encoder) miss(ids []int32, word string, lo, hi, hash uint64) []int32 {
	slot := &e.short[hash>>(64-shortBits)]
	if o := &e.others[hash>>(64-otherBits)]; o.word == word { // it has more ids than go there
		slot[0], slot[1] = slot[1], slot[0]
		return append(ids, o.ids...)
	}
	n := len(ids)
	ids = e.encode(ids, word)
	if count := len(ids) - n; count <= 3 {
		s := shortWord{lo: lo, hi: hi, n: uint8(len(word)), count: uint8(count)}
		copy(s.ids[:], ids[n:])
		slot[0] = s
	} else {
		slot[0], slot[1] = slot[1], slot[0]
		e.keep(word, hash, ids[n:])
	}
	return ids
}

// other is append for a word of more than 16 bytes.
func (e *encoder) other(ids []int32, word string, hash uint64) []int32 {
	if o := &e.others[hash>>(64-otherBits)]; o.word == word {
		return append(ids, o.ids...)
	}
	n := len(ids)
	ids = e.encode(ids, word)
	if len(word) <= keptWord {
		e.keep(word, hash, ids[n:])
	}
	return ids
}

func (e *encoder) keep(word string, hash uint64, ids []int32) {
	o := &e.others[hash>>(64-otherBits)]
	o.word, o.ids = strings.Clone(word), append(o.ids[:0], ids...)
}

// encode appends the ids of one word without a look into the tables.
func (e *encoder) encode(ids []int32, word string) []int32 {
	if len(word) < longWord {
		return append(ids, e.merge(word)...)
	}
	return append(ids, e.t.mergeLong(e.t.single(word))...)
}

// merge encodes one word shorter than longWord: of all neighbouring pairs the one
// with the lowest rank is merged, everywhere from left to right, until none can be.
func (e *encoder) merge(word string) []int32 {
	n := len(word)
	ids, ranks := &e.ids, &e.ranks
	for i := range n {
		ids[i] = e.t.bytes[word[i]]
	}
	for i := range n - 1 {
		ranks[i] = e.rank(ids[i], ids[i+1])
	}
	for n > 1 {
		best, at := int32(noRank), 0
		for i, r := range ranks[:n-1] {
			if r < best {
				best, at = r, i
			}
		}
		if best == noRank {
			break
		}
		merged := e.t.merges[best].merged
		for i := at; i < n-1; i++ {
			if ranks[i] != best {
				continue
			}
			ids[i] = merged
			copy(ids[i+1:n-1], ids[i+2:n])
			copy(ranks[i:n-2], ranks[i+1:n-1])
			n--
			if i > 0 {
				ranks[i-1] = e.rank(ids[i-1], merged)
			}
			if i < n-1 {
				ranks[i] = e.rank(merged, ids[i+1])
			}
		}
	}
	return ids[:n]
}

// rank returns the rank of a pair, noRank if it is not merged.
func (e *encoder) rank(a, b int32) int32 {
	if r, ok := e.t.ranks.find(a, b); ok {
		return r.rank
	}
	return noRank
}
