package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is a file of comma-separated values whose first line names the columns.
type table struct {
	f     *File
	in    *csv.Reader
	names []string
}

// row is a line of a table with the line of the file that it begins at.
type row struct {
	names  []string
	values []string
	line   int
}

// openTable reads the first line of a table, which must name the columns.
func openTable(f *File, columns ...string) (*table, error) {
	in, err := f.Reader()
	if err != nil {
		return nil, err
	}
	t := &table{f: f, in: csv.NewReader(in)}
	t.in.ReuseRecord = true
	names, err := t.in.Read()
	if err == io.EOF {
		return nil, f.fatal(1, errors.New("found an empty file, expected names of columns"))
	}
	if err != nil {
		return nil, f.fatal(1, csvError(err))
	}
	t.names = slices.Clone(names)
	for _, name := range columns {
		if !slices.Contains(t.names, name) {
			return nil, f.fatal(1, fmt.Errorf("column %q: missing, the file has %q", name, t.names))
		}
	}
	return t, nil
}

// rows yields the lines after the first. A row is valid until the next is read.
func (t *table) rows() iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for {
			values, err := t.in.Read()
			if err == io.EOF {
				return
			}
			line := 0
			if len(values) > 0 {
				line, _ = t.in.FieldPos(0)
			}
			parse := new(csv.ParseError)
			switch {
			case errors.As(err, &parse) && errors.Is(err, csv.ErrFieldCount):
				err = t.f.bad(line, fmt.Errorf("found %d columns, expected %d as the first line has", len(values), len(t.names)))
			case errors.As(err, &parse):
				err = t.f.bad(parse.StartLine, csvError(err))
			case err != nil:
				yield(row{}, t.f.fatal(line, err))
				return
			default:
				for i, v := range values {
					if !utf8.ValidString(v) {
						err = t.f.bad(line, fmt.Errorf("column %q: %w", t.names[i], notUTF8([]byte(v))))
						break
					}
				}
			}
			if !yield(row{t.names, values, line}, err) {
				return
			}
		}
	}
}

// csvError says in our words what is wrong with a line of a table.
func csvError(err error) error {
	parse := new(csv.ParseError)
	if !errors.As(err, &parse) {
		return err
	}
	return fmt.Errorf("not comma-separated values, at line %d column %d: %w", parse.Line, parse.Column, parse.Err)
}

// get returns a column that must not be blank.
func (r row) get(name string) (string, error) {
	value := strings.TrimSpace(r.values[slices.Index(r.names, name)])
	if value == "" {
		return "", fmt.Errorf("column %q: found nothing, expected a text", name)
	}
	return value, nil
}

func isTruthfulQA(s Sample) bool {
	if s.Ext != ".csv" {
		return false
	}
	head, _, _ := bytes.Cut(s.Raw, []byte{'\n'})
	names, err := csv.NewReader(bytes.NewReader(head)).Read()
	return err == nil && slices.Contains(names, "Question") && slices.Contains(names, "Best Answer")
}

func readTruthfulQA(_ Options, f *File) iter.Seq2[Demonstration, error] {
	return func(yield func(Demonstration, error) bool) {
		t, err := openTable(f, "Question", "Best Answer")
		if err != nil {
			yield(Demonstration{}, err)
			return
		}
		for r, err := range t.rows() {
			var d Demonstration
			if err == nil {
				if d, err = truth(r); err != nil {
					err = f.bad(r.line, err)
				}
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// truth makes a question of TruthfulQA a demonstration, whose group is the category if the file has it.
func truth(r row) (d Demonstration, err error) {
	if d.Prompt, err = r.get("Question"); err != nil {
		return d, err
	}
	if d.Completion, err = r.get("Best Answer"); err != nil {
		return d, err
	}
	if slices.Contains(r.names, "Category") {
		d.Group, err = r.get("Category")
	}
	return d, err
}
