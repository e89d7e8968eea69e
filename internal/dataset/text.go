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
			Texts:  readTextObjects,
		},
		{
			Name: "text", About: "plain UTF-8 text, a document a file (--split_text paragraph or line for more)", Extensions: []string{".txt", ".md"},
			Detect: func(s Sample) bool { return !slices.Contains(notText, s.Ext) && s.Object == nil },
			Texts:  readText,
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
	return wholeText(f)
}

// wholeText yields a file that is not empty as one document, in pieces if it is long. A line that is no UTF-8 is bad and
// left out.
func wholeText(f *File) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		in, err := f.Reader()
		if err != nil {
			yield(Document{}, err)
			return
		}
		var held []byte
		line, first := 1, true // line is the one that held begins in
		for {
			n := len(held)
			held = slices.Grow(held, piece)[:n+piece]
			read, err := io.ReadFull(in, held[n:])
			held = held[:n+read]
			last := err == io.EOF || err == io.ErrUnexpectedEOF
			if err != nil && !last {
				yield(Document{}, f.fatal(line+bytes.Count(held, []byte{'\n'}), err))
				return
			}
			cut := len(held)
			if !last {
				cut = lastBorder(held)
			}
			if cut == 0 && !last {
				if len(held) < maxRecord {
					continue
				}
				yield(Document{}, f.fatal(line, fmt.Errorf("found no white space in %d bytes, expected text", len(held))))
				return
			}
			text, more := validLines(f, held[:cut], line, yield)
			if !more || last && text == "" && first {
				return
			}
			first = false
			if !yield(Document{text, last}, nil) || last {
				return
			}
			line += bytes.Count(held[:cut], []byte{'\n'})
			held = append(held[:0], held[cut:]...)
		}
	}
}

// lastBorder returns where the text can be cut (see Document), best before the end of a line; 0 if nowhere.
func lastBorder(text []byte) int {
	other := 0
	for i := len(text) - 1; i > 0; i-- {
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

// solid reports whether the text ends with a letter, a digit or an ASCII sign, which white space surely parts from what follows.
func solid(text []byte) bool {
	r, size := utf8.DecodeLastRune(text)
	if r == utf8.RuneError && size < 2 {
		return false
	}
	return r > ' ' && r < 0x7f || unicode.IsLetter(r) || unicode.IsNumber(r)
}

// validLines returns the text without the lines that are no UTF-8, which it yields as bad.
func validLines(f *File, raw []byte, line int, yield func(Document, error) bool) (string, bool) {
	if utf8.Valid(raw) {
		return string(raw), true
	}
	good := make([]byte, 0, len(raw))
	for each := range bytes.Lines(raw) {
		if utf8.Valid(each) {
			good = append(good, each...)
		} else if !yield(Document{}, f.bad(line, notUTF8(each))) {
			return "", false
		}
		if each[len(each)-1] == '\n' {
			line++
		}
	}
	return string(good), true
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
