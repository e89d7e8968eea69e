package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxRecord is the longest line of a file, and the longest element of a JSON array.
const maxRecord = 64 << 20

// record is a piece of a file with the line it begins at. Its bytes are valid until the next is read.
type record struct {
	line int
	raw  []byte
}

// lines yields every line without its end. A line that is too long is bad; the others after it are read.
func (f *File) lines() iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		in, err := f.Reader()
		if err != nil {
			yield(record{}, err)
			return
		}
		var long []byte // a line that the reader's window does not hold
		for n := 1; ; n++ {
			raw, err := in.ReadSlice('\n')
			size := len(raw)
			if err == bufio.ErrBufferFull {
				long = long[:0]
				for err == bufio.ErrBufferFull {
					if size <= maxRecord {
						long = append(long, raw...)
					}
					raw, err = in.ReadSlice('\n')
					size += len(raw)
				}
				long = append(long, raw...)
				raw = long
			}
			if err != nil && err != io.EOF {
				yield(record{}, f.fatal(n, err))
				return
			}
			if err == io.EOF && size == 0 {
				return
			}
			line := record{n, bytes.TrimSuffix(raw, []byte{'\n'})}
			var bad error
			if size > maxRecord {
				line, bad = record{}, f.bad(n, fmt.Errorf("found a line of %d bytes, expected at most %d", size, maxRecord))
			}
			if !yield(line, bad) || err == io.EOF {
				return
			}
		}
	}
}

// values yields the values of a file of JSON: the elements of its array, or values that follow one another.
func (f *File) values() iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		in, err := f.Reader()
		if err != nil {
			yield(record{}, err)
			return
		}
		s := splitter{in: in, line: 1}
		for {
			r, err := s.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(record{}, f.fatal(s.line, err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// splitter finds where the values of a stream of JSON begin and end, without decoding them.
type splitter struct {
	in    *bufio.Reader
	line  int
	array bool // inside the file's array
	ended bool // after it
	count int
	raw   []byte
}

// next returns the next value, or io.EOF.
func (s *splitter) next() (record, error) {
	comma := false
	for {
		c, err := s.in.ReadByte()
		if err == io.EOF && s.array {
			return record{}, errors.New("found the end of the file, expected ] at the end of the array")
		}
		if err != nil {
			return record{}, err
		}
		switch {
		case c == '\n':
			s.line++
		case c == ' ' || c == '\t' || c == '\r':
		case s.ended:
			return record{}, fmt.Errorf("found %q after the end of the array, expected nothing", c)
		case c == '[' && s.count == 0 && !s.array:
			s.array = true
		case c == ']' && s.array && !comma:
			s.array, s.ended = false, true
		case c == ',' && s.array && !comma && s.count > 0:
			comma = true
		case c == ',' || c == ']' || c == '}' || s.array && s.count > 0 && !comma:
			return record{}, fmt.Errorf("found %q, expected a JSON value", c)
		default:
			s.count++
			return s.value(c)
		}
	}
}

// value reads the value that begins with c.
func (s *splitter) value(c byte) (record, error) {
	begin := s.line
	s.raw = append(s.raw[:0], c)
	depth, quoted := 0, c == '"'
	if c == '{' || c == '[' {
		depth = 1
	}
	scalar := depth == 0 && !quoted
	for depth > 0 || quoted || scalar {
		c, err := s.in.ReadByte()
		if err == io.EOF && scalar {
			break
		}
		if err == io.EOF {
			return record{}, fmt.Errorf("found the end of the file inside the value that begins at line %d", begin)
		}
		if err != nil {
			return record{}, err
		}
		if scalar && strings.IndexByte(" \t\r\n,]}", c) >= 0 {
			if err := s.in.UnreadByte(); err != nil {
				return record{}, err
			}
			break
		}
		if len(s.raw) == maxRecord {
			return record{}, fmt.Errorf("the value that begins at line %d has more than %d bytes", begin, maxRecord)
		}
		s.raw = append(s.raw, c)
		switch {
		case c == '\n':
			s.line++
		case quoted && c == '\\':
			if c, err = s.in.ReadByte(); err != nil {
				return record{}, fmt.Errorf("found the end of the file inside the value that begins at line %d", begin)
			}
			s.raw = append(s.raw, c)
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return record{begin, s.raw}, nil
}

// located is an object with the line of the file that it begins at, or the row that it is.
type located struct {
	object
	line int
}

// objects yields every object of a file: of every line that is not blank, or, in a .json file and where the file begins
// with an array, of every value; of every row of a Parquet file. One that is no object is bad.
func (f *File) objects() iter.Seq2[located, error] {
	if f.Ext() == parquetExtension {
		return f.parquetRows()
	}
	return func(yield func(located, error) bool) {
		in, err := f.Reader()
		if err != nil {
			yield(located{}, err)
			return
		}
		split := f.lines()
		if f.Ext() == ".json" || f.Ext() != ".jsonl" && startsArray(in) {
			split = f.values()
		}
		for r, err := range split {
			o := located{line: r.line}
			if err == nil {
				raw := bytes.TrimSpace(r.raw)
				if len(raw) == 0 {
					continue
				}
				if o.object, err = parseObject(raw); err != nil {
					err = f.bad(r.line+linesBefore(raw, err), err)
				}
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// linesBefore returns how many lines of a value end before the mistake in its syntax, if err is one.
func linesBefore(raw []byte, err error) int {
	syntax := new(json.SyntaxError)
	if !errors.As(err, &syntax) {
		return 0
	}
	return bytes.Count(raw[:min(int(syntax.Offset), len(raw))], []byte{'\n'})
}

// records yields what parse makes of every object of a file.
func records[T any](f *File, parse func(object) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for o, err := range f.objects() {
			var list []T
			if err == nil {
				if list, err = parse(o.object); err != nil {
					err = f.bad(o.line, err)
				}
			}
			if err != nil {
				if !yield(zero, err) {
					return
				}
				continue
			}
			for _, v := range list {
				if !yield(v, nil) {
					return
				}
			}
		}
	}
}

// record1 yields what parse makes of every object, where that is one record.
func record1[T any](f *File, parse func(object) (T, error)) iter.Seq2[T, error] {
	return records(f, func(o object) ([]T, error) {
		v, err := parse(o)
		return []T{v}, err
	})
}

func startsArray(in *bufio.Reader) bool {
	raw, _ := in.Peek(512)
	return bytes.HasPrefix(bytes.TrimSpace(raw), []byte{'['})
}

// object is a JSON object with access by field.
type object map[string]json.RawMessage

func parseObject(raw []byte) (object, error) {
	var o object
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("found a byte %#x, expected UTF-8", raw[invalidAt(raw)])
	}
	err := json.Unmarshal(raw, &o)
	if err != nil {
		if mended, ok := withoutNaN(raw); ok {
			err = json.Unmarshal(mended, &o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if o == nil {
		return nil, errors.New("found null, expected a JSON object")
	}
	return o, nil
}

// field decodes a field that must be there.
func field[T any](o object, name string) (value T, err error) {
	raw, ok := o[name]
	if !ok {
		return value, fmt.Errorf("field %q: missing, the line has %s", name, o.names())
	}
	if s, ok := any(&value).(*string); ok && len(raw) > 1 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		*s = string(raw[1 : len(raw)-1]) // most texts: checked when the object was parsed, and without escapes
		return value, nil
	}
	if err := json.Unmarshal(raw, &value); err != nil || bytes.Equal(raw, []byte("null")) {
		var fresh T
		return fresh, fmt.Errorf("field %q: found %s, expected %s", name, short(raw), expected(value))
	}
	return value, nil
}

// expected names a Go type as a reader of JSON knows it.
func expected(v any) string {
	switch v.(type) {
	case []object:
		return "a list of objects"
	case object:
		return "an object"
	case []string:
		return "a list of strings"
	}
	return fmt.Sprintf("%T", v)
}

// optional decodes a field that may be missing or null.
func optional[T any](o object, name string) (value T, err error) {
	if raw, ok := o[name]; !ok || bytes.Equal(raw, []byte("null")) {
		return value, nil
	}
	return field[T](o, name)
}

// has reports whether the fields are all there.
func (o object) has(names ...string) bool {
	for _, name := range names {
		if _, ok := o[name]; !ok {
			return false
		}
	}
	return true
}

// names lists the fields for an error, the first of them if there are many.
func (o object) names() string {
	const most = 12
	if len(o) == 0 {
		return "no fields"
	}
	names := slices.Sorted(maps.Keys(o))
	more := ""
	if n := len(names); n > most {
		names, more = names[:most], fmt.Sprintf(" and %d more", n-most)
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%q", short([]byte(name)))
	}
	return strings.Join(names, ", ") + more
}

// kind returns what a field's value is: string, number, list, object, bool, null or missing.
func (o object) kind(name string) string {
	raw := bytes.TrimSpace(o[name])
	if len(raw) == 0 {
		return "missing"
	}
	switch raw[0] {
	case '"':
		return "string"
	case '[':
		return "list"
	case '{':
		return "object"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}

func short(raw []byte) string {
	if s := string(raw); utf8.RuneCountInString(s) <= 40 {
		return s
	}
	return string([]rune(string(raw))[:40]) + "…"
}

// invalidAt returns the index of the first byte that is no UTF-8.
func invalidAt(raw []byte) int {
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(raw)
}
