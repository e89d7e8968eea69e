package dataset

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

const parquetExtension = ".parquet"

// parquetSample looks into the first row.
func (f *File) parquetSample() (Sample, error) {
	s := Sample{Path: f.Path, Ext: f.Ext()}
	for each, err := range f.parquetRows() {
		if bad := new(Bad); err != nil && !errors.As(err, &bad) {
			return s, err
		}
		if s.Object = each.object; s.Object != nil {
			break
		}
	}
	return s, nil
}

// rowsAtOnce is how many rows of a Parquet file are decoded at a time.
const rowsAtOnce = 16

// parquetRows yields the rows of a Parquet file as the objects that a line of JSON would hold: strings, numbers, lists
// and nested groups, whatever the compression of the pages. Only a few rows are held at a time. A row that no JSON can
// say, with bytes that are not text, is bad; a damaged file ends it.
func (f *File) parquetRows() iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		file, err := os.Open(f.Path)
		if err != nil {
			yield(located{}, err)
			return
		}
		defer file.Close()
		p, err := openParquet(file)
		if err != nil {
			yield(located{}, fmt.Errorf("%s: not a Parquet file that can be read: %w", f.Path, err))
			return
		}
		at := 0
		for i, group := range p.RowGroups() {
			rows := group.Rows()
			for each, err := range decodeRows(p.Schema(), rows) {
				at++
				if err != nil {
					rows.Close()
					yield(located{}, f.fatal(at, fmt.Errorf("row group %d: %w", i, err)))
					return
				}
				o, err := rowObject(each)
				if err != nil {
					err = f.bad(at, err)
				}
				if !yield(located{o, at}, err) {
					rows.Close()
					return
				}
			}
			if err := rows.Close(); err != nil {
				yield(located{}, f.fatal(at, err))
				return
			}
		}
		if int64(at) != p.NumRows() {
			yield(located{}, f.fatal(at, fmt.Errorf("found the end after %d rows, expected the %d that the file says it has", at, p.NumRows())))
		}
	}
}

// openParquet opens a file. The library panics on some damaged ones.
func openParquet(file *os.File) (p *parquet.File, err error) {
	defer recovered(&err)
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFooter(file, info.Size()); err != nil {
		return nil, err
	}
	return parquet.OpenFile(file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
}

// checkFooter returns an error for a file whose end does not say where its description begins, for which the library
// would ask whatever memory the damaged length says.
func checkFooter(file *os.File, size int64) error {
	const magic = "PAR1"
	var head [4]byte
	var end [8]byte
	if size < int64(len(head)+len(end)) {
		return fmt.Errorf("found %d bytes, expected %d or more", size, len(head)+len(end))
	}
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return err
	}
	if _, err := file.ReadAt(end[:], size-int64(len(end))); err != nil {
		return err
	}
	if string(head[:]) != magic || string(end[4:]) != magic {
		return fmt.Errorf("found %q and %q at its ends, expected %s", head, end[4:], magic)
	}
	if n := int64(binary.LittleEndian.Uint32(end[:])); n > size-int64(len(head)+len(end)) {
		return fmt.Errorf("found a description of %d bytes in a file of %d", n, size)
	}
	return nil
}

// recovered turns a panic into an error.
func recovered(err *error) {
	if what := recover(); what != nil {
		*err = fmt.Errorf("damaged: %v", what)
	}
}

// decodeRows yields the rows of a group as maps, lists and values. The first error ends it.
func decodeRows(schema *parquet.Schema, rows parquet.Rows) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		buffer := make([]parquet.Row, rowsAtOnce)
		for {
			list, err := nextRows(schema, rows, buffer)
			for _, each := range list {
				if !yield(each, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

func nextRows(schema *parquet.Schema, rows parquet.Rows, buffer []parquet.Row) (out []map[string]any, err error) {
	defer recovered(&err)
	n, end := rows.ReadRows(buffer)
	for _, row := range buffer[:n] {
		var value any
		if err := schema.Reconstruct(&value, row); err != nil {
			return out, err
		}
		fields, ok := value.(map[string]any)
		if !ok {
			return out, fmt.Errorf("found a row of %T, expected columns with names", value)
		}
		out = append(out, fields)
	}
	if n == 0 && end == nil {
		end = errors.New("found no more rows and no end")
	}
	return out, end
}

// rowObject is a row as the object of its JSON. A column that is null stands in it as null.
func rowObject(row map[string]any) (object, error) {
	o := object{}
	for name, value := range row {
		plain, err := plainValue(value)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
		var raw json.RawMessage
		if raw, err = json.Marshal(plain); err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
		o[name] = raw
	}
	return o, nil
}

// plainValue returns a decoded value in the types that JSON knows.
func plainValue(value any) (any, error) {
	switch v := value.(type) {
	case nil, bool, int32, int64, uint32, uint64:
		return v, nil
	case string:
		return plainText(v)
	case []byte:
		return plainText(string(v))
	case float32:
		return plainNumber(float64(v))
	case float64:
		return plainNumber(v)
	case time.Time:
		return v.UTC(), nil
	case []any:
		out := make([]any, len(v))
		for i, each := range v {
			plain, err := plainValue(each)
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
			out[i] = plain
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, each := range v {
			plain, err := plainValue(each)
			if err != nil {
				return nil, fmt.Errorf("field %q: %w", name, err)
			}
			out[name] = plain
		}
		return out, nil
	}
	return nil, fmt.Errorf("found a value of type %T, expected text, a number, a list or a group", value)
}

func plainText(s string) (any, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("found bytes that are not UTF-8, expected text")
	}
	return s, nil
}

func plainNumber(x float64) (any, error) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil, fmt.Errorf("found %v, expected a finite number", x)
	}
	return x, nil
}
