package bpe

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// contractions are split off, in this order, wherever an apostrophe starts a word.
var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// wordLength returns the length in bytes of the first word of a text that is not
// empty, as GPT-2 splits it:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// A byte that is no UTF-8 counts as neither letter, number nor space.
func wordLength(text string) int {
	for _, c := range contractions {
		if strings.HasPrefix(text, c) {
			return len(c)
		}
	}
	start := 0
	if text[0] == ' ' && len(text) > 1 {
		start = 1
	}
	r, _ := utf8.DecodeRuneInString(text[start:])
	if kind := classOf(r); kind != space {
		return start + run(text[start:], kind)
	}
	// white space: all of it, but for the last one if a word follows
	n := run(text, space)
	if n == len(text) {
		return n
	}
	_, last := utf8.DecodeLastRuneInString(text[:n])
	if n > last {
		return n - last
	}
	return n
}

type class int

const (
	space class = iota
	letter
	number
	other
)

func classOf(r rune) class {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// run returns the length of the longest beginning of text that is all of one class.
func run(text string, kind class) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if classOf(r) != kind {
			return i
		}
		i += size
	}
	return len(text)
}
