package bpe

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// wordLength returns the length in bytes of the first word of a text that is not
// empty, as GPT-2 splits it:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// A byte that is no UTF-8 counts as neither letter, number nor space.
func wordLength(text string) int {
	if text[0] == '\'' {
		if n := contraction(text); n > 0 {
			return n
		}
	}
	start := 0
	if text[0] == ' ' && len(text) > 1 {
		start = 1
	}
	if kind, _ := classAt(text, start); kind != space {
		return run(text, start, kind)
	}
	// white space: all of it, but for the last one if a word follows
	n := run(text, 0, space)
	if n == len(text) {
		return n
	}
	_, last := utf8.DecodeLastRuneInString(text[:n])
	if n > last {
		return n - last
	}
	return n
}

// contraction returns the length of the ending of a contraction that a text which
// starts with an apostrophe starts with, 0 if there is none.
func contraction(text string) int {
	if len(text) > 1 {
		switch text[1] {
		case 's', 't', 'm', 'd':
			return 2
		}
	}
	if len(text) > 2 {
		switch text[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

type class uint8

const (
	space class = iota
	letter
	number
	other
	several // first byte of a character of several bytes, or of none
)

// classAt returns the class of the character at i, and its length.
func classAt(text string, i int) (class, int) {
	if k := classes[text[i]]; k != several {
		return k, 1
	}
	r, size := utf8.DecodeRuneInString(text[i:])
	if r < plane {
		return plane0()[r], size
	}
	return classOf(r), size
}

// run returns where in text the characters of one class end that begin at i.
func run(text string, i int, kind class) int {
	for i < len(text) {
		if classes[text[i]] == kind {
			i++
			continue
		}
		k, size := classAt(text, i)
		if k != kind {
			return i
		}
		i += size
	}
	return i
}

func classOf(r rune) class {
	switch {
	case unicode.IsLetter(r) || unicode.Is(recentLetters, r):
		return letter
	case unicode.IsNumber(r) || unicode.Is(recentNumbers, r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// classes are those of the characters of one byte.
var classes = func() (k [256]class) {
	for b := range k {
		if k[b] = several; b < utf8.RuneSelf {
			k[b] = classOf(rune(b))
		}
	}
	return k
}()

// plane is the number of characters that plane0 knows.
const plane = 1 << 16

// plane0 returns the classes of the first characters, made when a text first has one beyond ASCII.
var plane0 = sync.OnceValue(func() *[plane]class {
	var k [plane]class
	for r := range k {
		k[r] = classOf(rune(r))
	}
	return &k
})

// cut returns where a text of more than n bytes can be cut so that the words of
// its two parts are its own: before the first white space after n that follows
// something else, since no word goes on there. It is len(text) if there is no such place.
func cut(text string, n int) int {
	for i := max(n, 1); i < len(text); i++ {
		if k := classes[text[i]]; k == space && classes[text[i-1]] != space && classes[text[i-1]] != several {
			return i
		}
	}
	return len(text)
}

// Letters and numbers of Unicode 15.1 and 16, which the tokenizers library knows and
// package unicode, of version 15, does not.
var (
	recentLetters = &unicode.RangeTable{
		R16: []unicode.Range16{{0x1c89, 0x1c8a, 1}, {0xa7cb, 0xa7cd, 1}, {0xa7da, 0xa7dc, 1}},
		R32: []unicode.Range32{
			{0x105c0, 0x105f3, 1}, {0x10d4a, 0x10d65, 1}, {0x10d6f, 0x10d85, 1}, {0x10ec2, 0x10ec4, 1}, {0x11380, 0x11389, 1},
			{0x1138b, 0x1138b, 1}, {0x1138e, 0x1138e, 1}, {0x11390, 0x113b5, 1}, {0x113b7, 0x113b7, 1}, {0x113d1, 0x113d1, 1},
			{0x113d3, 0x113d3, 1}, {0x11bc0, 0x11be0, 1}, {0x13460, 0x143fa, 1}, {0x16100, 0x1611d, 1}, {0x16d40, 0x16d6c, 1},
			{0x18cff, 0x18cff, 1}, {0x1e5d0, 0x1e5ed, 1}, {0x1e5f0, 0x1e5f0, 1}, {0x2ebf0, 0x2ee5d, 1},
		},
	}
	recentNumbers = &unicode.RangeTable{R32: []unicode.Range32{
		{0x10d40, 0x10d49, 1}, {0x116d0, 0x116e3, 1}, {0x11bf0, 0x11bf9, 1}, {0x16130, 0x16139, 1}, {0x16d70, 0x16d79, 1},
		{0x1ccf0, 0x1ccf9, 1}, {0x1e5f1, 0x1e5fa, 1},
	}}
)
