package bpe

import "slices"

// byteOrder returns the bytes in the order of GPT-2's first 256 ids: those that
// print as themselves, then the others.
func byteOrder() []byte {
	var order []byte
	for b := range 256 {
		if printsAsItself(b) {
			order = append(order, byte(b))
		}
	}
	for b := range 256 {
		if !printsAsItself(b) {
			order = append(order, byte(b))
		}
	}
	return order
}

func printsAsItself(b int) bool {
	return b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE && b <= 0xFF
}

// visible maps bytes to the characters that stand for them in vocabulary files, and back.
var visible, invisible = func() ([256]rune, map[rune]byte) {
	var to [256]rune
	from := map[rune]byte{}
	next := rune(256)
	for b := range 256 {
		if to[b] = rune(b); !printsAsItself(b) {
			to[b] = next
			next++
		}
		from[to[b]] = byte(b)
	}
	return to, from
}()

// show writes a token's bytes as in vocabulary files.
func show(token string) string {
	out := make([]rune, len(token))
	for i := range len(token) {
		out[i] = visible[token[i]]
	}
	return string(out)
}

// hide is the inverse of show; ok is false for a character that stands for no byte.
func hide(s string) (token string, ok bool) {
	var out []byte
	for _, r := range s {
		b, ok := invisible[r]
		if !ok {
			return "", false
		}
		out = append(out, b)
	}
	return string(slices.Clip(out)), true
}
