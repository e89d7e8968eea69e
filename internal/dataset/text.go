package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"unicode"
	"unicode/utf8"
)

// TextOptions says how text is made into documents.
type TextOptions struct {
	Split string // of a plain text: "file" or "" makes it one document, "paragraph" splits at blank lines, "line" at lines
	Field string // of a line of .jsonl; "" is "text"
}

// piece is about how much of a long document is held at once.
const piece = 1 << 20

var notText = []string{".jsonl", ".json", ".csv", ".tsv", ".yml", ".yaml", ".parquet", ".zip", ".xml"}

func textFormats() []Format {
	return []Format{
		{
			Name: "jsonl", About: `a document a line: {"text": …} (--text_field names another field)`, Extensions: jsonExtensions,
			Detect: func(s Sample) bool { return s.Object.kind("text") == "string" },
			Texts:  readTextObjects, Uses: []string{"text_field"},
		},
		{
			Name: "text", About: "plain UTF-8 text, a document a file (--split_text paragraph or line for more)", Extensions: []string{".txt", ".md"},
			Detect: func(s Sample) bool { return !slices.Contains(notText, s.Ext) && s.Object == nil },
			Texts:  readText, Uses: []string{"split_text"},
		},
	}
}

func readTextObjects(o Options, f *File) iter.Seq2[Document, error] {
	name := o.Text.Field
	if name == "" {
		name = "text"
	}
	return record1(f, func(o object) (Document, error) {
		text, err := field[string](o, name)
		return Document{text, true}, err
	})
}

func readText(o Options, f *File) iter.Seq2[Document, error] {
	if o.Text.Split == "paragraph" || o.Text.Split == "line" {
		return splitText(f, o.Text.Split == "line")
	}
	return wholeText(f, piece)
}

// wholeText yields a file that is not empty as one document, in pieces of about size bytes if it is longer. A line that
// is no UTF-8 is bad and left out.
func wholeText(f *File, size int) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		in, err := f.Reader()
		if err != nil {
			yield(Document{}, err)
			return
		}
		var raw, text []byte     // read but not looked at; fit to be a document
		looked, searched := 0, 0 // how much of raw has no end of a word, of text no border
		bad := func(line int, err error) bool { return yield(Document{}, f.bad(line, err)) }
		for line, first := 1, true; ; {
			n := len(raw)
			raw = slices.Grow(raw, size)[:n+size]
			read, err := io.ReadFull(in, raw[n:])
			raw = raw[:n+read]
			last := err == io.EOF || err == io.ErrUnexpectedEOF
			if err != nil && !last {
				yield(Document{}, f.fatal(line+bytes.Count(raw, []byte{'\n'}), err))
				return
			}
			end := wholeLines(raw, looked, last)
			if looked = 0; end == 0 {
				looked = len(raw)
			}
			var more bool
			if text, more = appendValid(text, raw[:end], line, bad); !more {
				return
			}
			line += bytes.Count(raw[:end], []byte{'\n'})
			raw = append(raw[:0], raw[end:]...)
			cut := len(text)
			if !last {
				cut = lastBorder(text, searched)
			}
			switch {
			case cut == 0 && !last && len(text)+len(raw) > maxRecord:
				yield(Document{}, f.fatal(line, fmt.Errorf("found no word's end in %d bytes, expected text", len(text)+len(raw))))
				return
			case cut == 0 && (first || !last):
			case !yield(Document{string(text[:cut]), last}, nil):
				return
			default:
				first = false
			}
			if last {
				return
			}
			if searched = 0; cut == 0 {
				searched = len(text)
			}
			text = append(text[:0], text[cut:]...)
		}
	}
}

// wholeLines returns where the last line of raw ends; where a line is longer than raw, the last word's. The bytes before
// from are known to have neither.
func wholeLines(raw []byte, from int, last bool) int {
	if last {
		return len(raw)
	}
	for _, end := range []byte{'\n', ' '} {
		if i := bytes.LastIndexByte(raw[from:], end); i >= 0 {
			return from + i + 1
		}
	}
	return 0
}

// appendValid appends the lines of raw that are UTF-8 to text. The first is of the number given.
func appendValid(text, raw []byte, line int, bad func(line int, err error) bool) ([]byte, bool) {
	if utf8.Valid(raw) {
		return append(text, raw...), true
	}
	for each := range bytes.Lines(raw) {
		if utf8.Valid(each) {
			text = append(text, each...)
		} else if !bad(line, notUTF8(each)) {
			return nil, false
		}
		line++
	}
	return text, true
}

// lastBorder returns where the text can be cut at its index from or after it (see Document), best before the end of a
// line; 0 if nowhere.
func lastBorder(text []byte, from int) int {
	other := 0
	for i := len(text) - 1; i >= max(from, 1); i-- {
		c := text[i]
		if (c != '\n' && c != ' ' && c != '\r' && c != '\t') || !solid(text[:i]) {
			continue
		}
		if c == '\n' || c == '\r' {
			return i
		}
		if other == 0 {
			other = i
		}
		if other-i > piece/2 {
			break // lines this long are not worth looking for
		}
	}
	return other
}

// solid reports whether the text ends with a rune that nobody takes for white space.
func solid(text []byte) bool {
	r, size := utf8.DecodeLastRune(text)
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f
	}
	return size > 1 && unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S)
}

func notUTF8(raw []byte) error {
	return fmt.Errorf("found a byte %#x, expected UTF-8", raw[invalidAt(raw)])
}

// splitText yields every line, or every run of lines between blank ones, that is not blank.
func splitText(f *File, everyLine bool) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		var held []byte
		flush := func() bool {
			text := string(bytes.TrimRight(held, "\n"))
			held = held[:0]
			return text == "" || yield(Document{text, true}, nil)
		}
		for line, err := range f.lines() {
			if err != nil {
				if !yield(Document{}, err) {
					return
				}
				continue
			}
			raw := bytes.TrimSuffix(line.raw, []byte{'\r'})
			blank := len(bytes.TrimSpace(raw)) == 0
			switch {
			case !utf8.Valid(raw):
				if !yield(Document{}, f.bad(line.line, notUTF8(raw))) {
					return
				}
			case blank || everyLine:
				if !blank {
					held = append(held, raw...)
				}
				if !flush() {
					return
				}
			case len(held)+len(raw) > maxRecord:
				if !yield(Document{}, f.bad(line.line, errors.New("found a paragraph longer than 64 MiB"))) {
					return
				}
				held = held[:0]
			default:
				held = append(append(held, raw...), '\n')
			}
		}
		flush()
	}
}
