// Package bpe is GPT-2's tokenizer: byte-level byte-pair encoding (Sennrich 2016,
// Radford 2019). It trains, loads, encodes and decodes. Every byte string has an
// encoding and comes back unchanged. It knows no model.
package bpe

import (
	"fmt"
	"strings"
	"sync"
)

// The names of the special tokens that Train makes. They stand for no text: Encode
// never produces them, and the two are distinct, so that a model can learn to stop
// without its padding being mistaken for that.
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

// A tokenizer remembers the encodings of so many words, none longer than so many
// bytes: 8 MiB of text at most.
const (
	cacheWords  = 1 << 16
	cacheLength = 128
)

// names are the special tokens of a vocabulary; "" is none.
type names struct{ eot, pad string }

// build completes a tokenizer from its tokens and merges.
func build(tokens []string, special []bool, merges []merge, called names) (*Tokenizer, error) {
	t := &Tokenizer{tokens: tokens, special: special, merges: merges, ids: make(map[string]int32, len(tokens)),
		ranks: make(map[uint64]rank, len(merges)), eot: -1, pad: -1, cache: map[string][]int32{}}
	for id, s := range tokens {
		switch {
		case !special[id]:
			t.ids[s] = int32(id)
		case s == called.eot:
			t.eot = int32(id)
		case s == called.pad:
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

// EndOfText returns the id of the token that ends a text, <|endoftext|> unless the
// directory it was loaded from says otherwise, or -1 if the vocabulary has none.
func (t *Tokenizer) EndOfText() int32 { return t.eot }

// Pad returns the id of the padding token, <|pad|> unless the directory it was
// loaded from says otherwise, or -1 if the vocabulary has none of its own.
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
	done := 0
	eot, pad := t.find(text, 0, t.eot), t.find(text, 0, t.pad)
	for min(eot, pad) < len(text) {
		at, id := eot, t.eot
		if pad < eot {
			at, id = pad, t.pad
		}
		ids = append(append(ids, t.Encode(text[done:at])...), id)
		done = at + len(t.tokens[id])
		if eot < done {
			eot = t.find(text, done, t.eot)
		}
		if pad < done {
			pad = t.find(text, done, t.pad)
		}
	}
	return append(ids, t.Encode(text[done:])...)
}

// find returns where the name of a special token next stands in text, len(text) if nowhere.
func (t *Tokenizer) find(text string, from int, id int32) int {
	if id < 0 {
		return len(text)
	}
	if i := strings.Index(text[from:], t.tokens[id]); i >= 0 {
		return from + i
	}
	return len(text)
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
	if ids = t.single(w); len(w) < longWord {
		ids = t.merge(ids)
	} else {
		ids = t.mergeLong(ids)
	}
	t.mu.Lock()
	if len(t.cache) < cacheWords && len(w) <= cacheLength {
		t.cache[strings.Clone(w)] = ids
	}
	t.mu.Unlock()
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
