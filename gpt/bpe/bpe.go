// Package bpe is GPT-2's tokenizer: byte-level byte-pair encoding (Sennrich 2016,
// Radford 2019). It trains, loads, encodes and decodes. Every byte string has an
// encoding and comes back unchanged. It knows no model.
package bpe

import (
	"fmt"
	"math"
	"strings"
	"sync"
)

// The special tokens. They stand for no text: encoding never produces them, and
// the two are distinct, so that a model can learn to stop without its padding
// being mistaken for that.
const (
	EndOfText = "<|endoftext|>"
	Pad       = "<|pad|>"
)

// Tokenizer turns text into token ids and back. It is safe for concurrent use.
type Tokenizer struct {
	tokens  []string         // bytes of each id; the name of a special token
	special []bool           // by id
	ids     map[string]int32 // of ordinary tokens, by bytes
	merges  []merge          // in order of rank
	ranks   map[uint64]rank  // by pair of ids
	bytes   [256]int32       // ids of the single bytes
	eot     int32            // -1 if there is none
	pad     int32            // -1 if there is none

	mu    sync.RWMutex
	cache map[string][]int32 // encodings of words
}

type merge struct{ a, b int32 }

type rank struct{ rank, merged int32 }

func pairKey(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// cacheSize is how many words a tokenizer remembers.
const cacheSize = 1 << 16

// build completes a tokenizer from its tokens and merges.
func build(tokens []string, special []bool, merges []merge) (*Tokenizer, error) {
	t := &Tokenizer{tokens: tokens, special: special, merges: merges, ids: make(map[string]int32, len(tokens)),
		ranks: make(map[uint64]rank, len(merges)), eot: -1, pad: -1, cache: map[string][]int32{}}
	for id, s := range tokens {
		switch {
		case !special[id]:
			t.ids[s] = int32(id)
		case s == EndOfText:
			t.eot = int32(id)
		case s == Pad:
			t.pad = int32(id)
		}
	}
	for b := range 256 {
		id, ok := t.ids[string([]byte{byte(b)})]
		if !ok {
			return nil, fmt.Errorf("the vocabulary has no token for byte 0x%02x", b)
		}
		t.bytes[b] = id
	}
	for r, m := range merges {
		merged, ok := t.ids[tokens[m.a]+tokens[m.b]]
		if !ok {
			return nil, fmt.Errorf("merge %d: the vocabulary has no token %q", r+1, tokens[m.a]+tokens[m.b])
		}
		if _, ok := t.ranks[pairKey(m.a, m.b)]; ok {
			return nil, fmt.Errorf("merge %d: %q and %q are merged twice", r+1, tokens[m.a], tokens[m.b])
		}
		t.ranks[pairKey(m.a, m.b)] = rank{int32(r), merged}
	}
	return t, nil
}

// VocabSize returns the number of ids, special tokens included.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// EndOfText returns the id of <|endoftext|>, or -1 if the vocabulary has none.
func (t *Tokenizer) EndOfText() int32 { return t.eot }

// Pad returns the id of <|pad|>, or -1 if the vocabulary has none.
func (t *Tokenizer) Pad() int32 { return t.pad }

// Merges returns the merges in order of rank, as pairs of byte strings.
func (t *Tokenizer) Merges() [][2]string {
	out := make([][2]string, len(t.merges))
	for i, m := range t.merges {
		out[i] = [2]string{t.tokens[m.a], t.tokens[m.b]}
	}
	return out
}

// Encode returns the ids of text. The names of special tokens in it are text like any other.
func (t *Tokenizer) Encode(text string) []int32 {
	ids := make([]int32, 0, len(text)/3+1)
	for text != "" {
		n := wordLength(text)
		ids = append(ids, t.word(text[:n])...)
		text = text[n:]
	}
	return ids
}

// EncodeSpecial returns the ids of text in which the names of the vocabulary's
// special tokens stand for these tokens, as transformers reads text. Text from
// strangers goes through Encode.
func (t *Tokenizer) EncodeSpecial(text string) []int32 {
	var ids []int32
	for text != "" {
		at, name, id := len(text), "", int32(-1)
		for _, s := range []struct {
			name string
			id   int32
		}{{EndOfText, t.eot}, {Pad, t.pad}} {
			if i := strings.Index(text, s.name); s.id >= 0 && i >= 0 && i < at {
				at, name, id = i, s.name, s.id
			}
		}
		ids = append(ids, t.Encode(text[:at])...)
		if id >= 0 {
			ids = append(ids, id)
		}
		text = text[at+len(name):]
	}
	return ids
}

// DecodeSpecial is Decode that writes special tokens by their names.
func (t *Tokenizer) DecodeSpecial(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if id >= 0 && int(id) < len(t.tokens) {
			b.WriteString(t.tokens[id])
		}
	}
	return b.String()
}

// word returns the ids of one word, which the caller must not change.
func (t *Tokenizer) word(w string) []int32 {
	t.mu.RLock()
	ids, ok := t.cache[w]
	t.mu.RUnlock()
	if ok {
		return ids
	}
	ids = t.merge(w)
	t.mu.Lock()
	if len(t.cache) < cacheSize {
		t.cache[strings.Clone(w)] = ids
	}
	t.mu.Unlock()
	return ids
}

// merge encodes one word: of all neighbouring pairs the one with the lowest rank
// is merged, everywhere, until none can be.
func (t *Tokenizer) merge(w string) []int32 {
	ids := make([]int32, len(w))
	for i := range len(w) {
		ids[i] = t.bytes[w[i]]
	}
	for len(ids) > 1 {
		best, at := rank{rank: math.MaxInt32}, -1
		for i := range len(ids) - 1 {
			if r, ok := t.ranks[pairKey(ids[i], ids[i+1])]; ok && r.rank < best.rank {
				best, at = r, i
			}
		}
		if at < 0 {
			break
		}
		a, b := ids[at], ids[at+1]
		out := ids[:at]
		for i := at; i < len(ids); i++ {
			if i+1 < len(ids) && ids[i] == a && ids[i+1] == b {
				out = append(out, best.merged)
				i++
			} else {
				out = append(out, ids[i])
			}
		}
		ids = out
	}
	return ids
}

// Decode returns the text of ids. Special tokens and ids outside the vocabulary
// stand for no text and are left out.
func (t *Tokenizer) Decode(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if id >= 0 && int(id) < len(t.tokens) && !t.special[id] {
			b.WriteString(t.tokens[id])
		}
	}
	return b.String()
}
