package dataset

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// What is mended in lines of ISO-8859-1, as a report counts it.
const (
	windowsBytes = "bytes read as Windows-1252, which ISO-8859-1 leaves to controls"
	strayBytes   = "stray control bytes left out"
	utf8Lines    = "lines that were UTF-8 already"
)

// latin1 decodes a line of ISO-8859-1 from a file that mixes encodings, as the film dialogues do. Bytes that stand for
// controls there are read as Windows-1252, whose quotes and dashes they are in practice; what is a control in both is
// left out; a line that is UTF-8 beyond ASCII is taken as that. All three are noted.
func (o Options) latin1(raw []byte, f *File, line int) string {
	raw = bytes.TrimRight(raw, "\r")
	if plain(raw) {
		return string(raw)
	}
	if utf8.Valid(raw) && bytes.ContainsFunc(raw, func(r rune) bool { return r > 0x9f }) {
		o.Report.note(utf8Lines, 1, f, line)
		return string(o.withoutControls([]rune(string(raw)), f, line))
	}
	decoded := make([]rune, 0, len(raw))
	windows := 0
	for _, b := range raw {
		r := charmap.Windows1252.DecodeByte(b)
		if b >= 0x80 && b < 0xa0 && r != utf8.RuneError && r >= 0xa0 {
			windows++
		}
		decoded = append(decoded, r)
	}
	o.Report.note(windowsBytes, windows, f, line)
	return string(o.withoutControls(decoded, f, line))
}

// plain reports whether a line is ASCII without controls.
func plain(raw []byte) bool {
	for _, b := range raw {
		if b < ' ' && b != '\t' || b >= 0x7f {
			return false
		}
	}
	return true
}

func (o Options) withoutControls(text []rune, f *File, line int) []rune {
	kept := text[:0]
	for _, r := range text {
		if (r >= ' ' && r < 0x7f || r >= 0xa0 || r == '\t') && r != utf8.RuneError {
			kept = append(kept, r)
		}
	}
	o.Report.note(strayBytes, len(text)-len(kept), f, line)
	return kept
}
