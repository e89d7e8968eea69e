// Package conversation talks with a model turn by turn, and turns the tokens that
// a sampler draws into text as they come. It prints nothing and reads no input:
// commands and pages do.
package conversation

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"rlhf/gpt/bpe"
)

// Text is what a completion says, token by token, up to the first stop string. It
// hands text out in whole runes and never any that may turn out to belong to a
// stop string. Bytes that are no UTF-8 read as U+FFFD, one each.
type Text struct {
	tok     *bpe.Tokenizer
	stops   []string
	keep    bool
	raw     []byte // of the tokens so far, cut once stopped
	given   int    // bytes of raw handed out
	stopped bool
}

// NewText returns an empty text that ends where one of stops begins, or with keep at its end.
func NewText(tok *bpe.Tokenizer, stops []string, keep bool) *Text {
	return &Text{tok: tok, stops: stops, keep: keep}
}

// Add adds a token and returns what of the text has become certain. Special tokens say nothing.
func (t *Text) Add(token int32) string {
	if t.stopped {
		return ""
	}
	before := len(t.raw)
	t.raw = append(t.raw, t.tok.Decode([]int32{token})...)
	if end := t.find(before); end >= 0 {
		t.raw, t.stopped = t.raw[:end], true
		return t.Rest()
	}
	return t.give(len(t.raw) - t.uncertain())
}

// find returns where the text ends if a stop string is complete behind the first before bytes, or -1. Of several, the one
// that is complete first counts, and of those the longest.
func (t *Text) find(before int) int {
	begin, end := -1, -1
	for _, stop := range t.stops {
		from := max(0, before-len(stop)+1)
		at := bytes.Index(t.raw[from:], []byte(stop))
		if at < 0 {
			continue
		}
		if from, to := from+at, from+at+len(stop); end < 0 || to < end || to == end && from < begin {
			begin, end = from, to
		}
	}
	if t.keep {
		return end
	}
	return begin
}

// uncertain returns the length of the end that may be part of a stop string or of a rune.
func (t *Text) uncertain() int {
	n := 0
	for _, stop := range t.stops {
		for k := min(len(stop)-1, len(t.raw)); k > n; k-- {
			if bytes.HasSuffix(t.raw, []byte(stop[:k])) {
				n = k
			}
		}
	}
	for k := 1; k <= min(utf8.UTFMax-1, len(t.raw)); k++ {
		if tail := t.raw[len(t.raw)-k:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				n = max(n, k)
			}
			break
		}
	}
	return n
}

// give hands out raw up to end, unless that would cut a rune in two.
func (t *Text) give(end int) string {
	for end < len(t.raw) && end > t.given && !utf8.RuneStart(t.raw[end]) {
		end--
	}
	if end <= t.given {
		return ""
	}
	out := valid(t.raw[t.given:end])
	t.given = end
	return out
}

// Rest returns what has not been handed out, when no more tokens come.
func (t *Text) Rest() string {
	out := valid(t.raw[t.given:])
	t.given = len(t.raw)
	return out
}

// Stopped reports whether a stop string has ended the text.
func (t *Text) Stopped() bool { return t.stopped }

// String returns the whole text.
func (t *Text) String() string { return valid(t.raw) }

// valid returns raw with U+FFFD for each byte that is no UTF-8.
func valid(raw []byte) string {
	if utf8.Valid(raw) {
		return string(raw)
	}
	var b strings.Builder
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		b.WriteRune(r)
		raw = raw[size:]
	}
	return b.String()
}
