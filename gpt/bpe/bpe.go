// Package bpe is GPT-2's tokenizer: byte-level byte-pair encoding (Sennrich 2016,
// Radford 2019). It trains, loads, encodes, decodes and writes the files that the
// tokenizers and transformers libraries read. Every byte string has an encoding and
// comes back unchanged. It knows no model, and it renders no chat template.
package bpe

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// The names of the special tokens that Train makes. They stand for no text: Encode
// never produces them, and the two are distinct, so that a model can learn to stop
// without its padding being mistaken for that.
const (
	EndOfText = "<|endoftext|>"
	Pad       = "<|pad|>"
)

// Tokenizer turns text into token ids and back. It does not change, and is safe for
// concurrent use.
type Tokenizer struct {
	tokens  []string         // bytes of each id; the name of an added token
	ids     map[string]int32 // of the bytes and of what the merges make, by bytes
	merges  []merge          // in order of rank
	ranks   ranks            // by pair of ids
	bytes   [256]int32       // ids of the single bytes
	outside []bool           // by id: not part of the model's vocabulary in files, only added to it

	added       []Token          // by id
	names       map[string]int32 // ids of added tokens
	special     []bool           // by id: stands for no text
	matchers    []matcher        // of added tokens, in the order of their turns
	insideText  bool             // an added token is not special
	roles       roles
	prefixSpace bool    // each piece of text that begins with no space gets one
	around      [2]side // what Around puts before and after a text

	settings map[string]json.RawMessage // tokenizer_config.json, but for what the fields above say

	mu   sync.Mutex
	idle []*encoder
}

type merge struct{ a, b, merged int32 }

type side []int32

// build completes a tokenizer that has its tokens, merges and added tokens.
func (t *Tokenizer) build() error {
	t.ids, t.ranks = make(map[string]int32, len(t.merges)+256), newRanks(len(t.merges))
	for id, s := range t.tokens {
		if len(s) == 1 && !t.outside[id] {
			t.ids[s], t.bytes[s[0]] = int32(id), int32(id)
		}
	}
	for b := range 256 {
		if _, ok := t.ids[string([]byte{byte(b)})]; !ok {
			return fmt.Errorf("the vocabulary has no token for byte 0x%02x", b)
		}
	}
	for r, m := range t.merges {
		t.ids[t.tokens[m.merged]] = m.merged
		t.ranks.add(m.a, m.b, rank{int32(r), m.merged})
	}
	t.index()
	return nil
}

// clone returns a copy that has still to be indexed. The slices are the same.
func (t *Tokenizer) clone() *Tokenizer {
	return &Tokenizer{tokens: t.tokens, ids: t.ids, merges: t.merges, ranks: t.ranks, bytes: t.bytes, outside: t.outside, added: t.added,
		roles: t.roles, prefixSpace: t.prefixSpace, around: t.around, settings: t.settings}
}

// VocabSize returns the number of ids, added tokens included.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Merges returns the merges in order of rank, as pairs of byte strings.
func (t *Tokenizer) Merges() [][2]string {
	out := make([][2]string, len(t.merges))
	for i, m := range t.merges {
		out[i] = [2]string{t.tokens[m.a], t.tokens[m.b]}
	}
	return out
}

// Encode returns the ids of text. The names of special tokens in it are text like
// any other; those of added tokens that are not special stand for these, as
// tokenizers does it with encode_special_tokens. If the tokenizer has
// add_prefix_space, a space goes before each piece of text between added tokens that
// begins with none.
func (t *Tokenizer) Encode(text string) []int32 { return t.encode(text, false) }

// EncodeSpecial returns the ids of text in which the names of all added tokens stand
// for these tokens, the leftmost one first and of several that begin there the
// longest, as the tokenizers library reads text. Text from strangers goes through
// Encode.
func (t *Tokenizer) EncodeSpecial(text string) []int32 { return t.encode(text, true) }

func (t *Tokenizer) encode(text string, special bool) []int32 {
	e := t.encoder()
	defer t.release(e)
	ids := make([]int32, 0, len(text)/3+1)
	if !special && !t.insideText {
		return e.piece(ids, text)
	}
	for _, p := range t.split(text, special) {
		if p.id < 0 {
			ids = e.piece(ids, text[p.from:p.to])
		} else {
			ids = append(ids, p.id)
		}
	}
	return ids
}

// piece appends the ids of a text without added tokens.
func (e *encoder) piece(ids []int32, text string) []int32 {
	if e.t.prefixSpace && text != "" && text[0] != ' ' {
		text = " " + text
	}
	return e.append(ids, text)
}

// EncodeAll is Encode for many texts, on all processors.
func (t *Tokenizer) EncodeAll(texts []string) [][]int32 {
	out := make([][]int32, len(texts))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(texts)) {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < len(texts); i = int(next.Add(1) - 1) {
				out[i] = t.Encode(texts[i])
			}
		})
	}
	wg.Wait()
	return out
}

// encoder returns one that nobody uses.
func (t *Tokenizer) encoder() *encoder {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.idle); n > 0 {
		e := t.idle[n-1]
		t.idle = t.idle[:n-1]
		return e
	}
	return &encoder{t: t}
}

// release gives an encoder back. More than the processors can use are not kept.
func (t *Tokenizer) release(e *encoder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) < runtime.GOMAXPROCS(0) {
		t.idle = append(t.idle, e)
	}
}

// Decode returns the text of ids. Special tokens and ids outside the vocabulary
// stand for no text and are left out. The text of Encode's ids is what was encoded,
// with the spaces that add_prefix_space put into it, and without the white space that
// an added token with lstrip or rstrip took.
func (t *Tokenizer) Decode(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if id >= 0 && int(id) < len(t.tokens) && !t.special[id] {
			b.WriteString(t.tokens[id])
		}
	}
	return b.String()
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
