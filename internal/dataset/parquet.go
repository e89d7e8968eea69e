package dataset

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/big"
	"os"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

const parquetExtension = ".parquet"

// parquetSample looks into the first row that can be read. If none can, what is wrong with the first is the error.
func (f *File) parquetSample() (Sample, error) {
	s := Sample{Path: f.Path, Ext: f.Ext()}
	var first error
	for each, err := range f.parquetRows() {
		if bad := new(Bad); err != nil && !errors.As(err, &bad) {
			return s, err
		}
		if err == nil {
			s.Object = each.object
			return s, nil
		}
		if first == nil {
			first = err
		}
	}
	return s, first
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
				o, err := rowObject(p.Schema(), each)
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
func rowObject(schema parquet.Node, row map[string]any) (o object, err error) {
	defer recovered(&err)
	o = object{}
	for _, column := range schema.Fields() {
		plain, err := plainValue(column, row[column.Name()])
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", column.Name(), err)
		}
		raw, err := json.Marshal(plain)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", column.Name(), err)
		}
		o[column.Name()] = raw
	}
	return o, nil
}

// plainValue returns a decoded value in the types that JSON knows, as the column's type means it.
func plainValue(node parquet.Node, value any) (any, error) {
	if isMap(node) && value != nil {
		return plainMap(node, reflect.ValueOf(value))
	}
	switch v := value.(type) {
	case nil:
		return nil, nil
	case []any:
		return plainList(node, v)
	case map[string]any:
		return plainGroup(node, v)
	}
	if !node.Leaf() {
		return nil, fmt.Errorf("found a value of type %T, expected a list or a group", value)
	}
	if _, ok := value.([]byte); ok && node.Type().Kind() == parquet.FixedLenByteArray {
		return nil, fmt.Errorf("found %d bytes of a fixed length, expected text", node.Type().Length())
	}
	return plainLeaf(node.Type().LogicalType(), value)
}

func plainList(node parquet.Node, list []any) (any, error) {
	element := node
	if !node.Leaf() {
		if fields := node.Fields(); len(fields) == 1 && fields[0].Repeated() {
			element = fields[0] // the group that repeats, whose one field the elements are
			if !element.Leaf() && len(element.Fields()) == 1 {
				element = element.Fields()[0]
			}
		}
	}
	out := make([]any, len(list))
	for i, each := range list {
		var err error
		if out[i], err = plainValue(element, each); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return out, nil
}

func plainGroup(node parquet.Node, group map[string]any) (any, error) {
	out := make(map[string]any, len(group))
	for _, field := range node.Fields() {
		plain, err := plainValue(field, group[field.Name()])
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", field.Name(), err)
		}
		out[field.Name()] = plain
	}
	return out, nil
}

// isMap reports whether a column is a map: a group of one group that repeats and has a key and a value.
func isMap(node parquet.Node) bool {
	if node.Leaf() || len(node.Fields()) != 1 {
		return false
	}
	entry := node.Fields()[0]
	return entry.Repeated() && !entry.Leaf() && len(entry.Fields()) == 2 && entry.Fields()[0].Name() == "key" && entry.Fields()[1].Name() == "value"
}

// plainMap reads a map column, which is decoded into a Go map of whatever its keys and values are.
func plainMap(node parquet.Node, value reflect.Value) (any, error) {
	if value.Kind() != reflect.Map {
		return nil, fmt.Errorf("found a value of type %s, expected a map", value.Type())
	}
	out := map[string]any{}
	for key, each := range value.Seq2() {
		for (each.Kind() == reflect.Pointer || each.Kind() == reflect.Interface) && !each.IsNil() {
			each = each.Elem()
		}
		var inner any
		if each.Kind() != reflect.Pointer && each.Kind() != reflect.Interface {
			inner = each.Interface()
		}
		plain, err := plainValue(node.Fields()[0].Fields()[1], inner)
		if err != nil {
			return nil, fmt.Errorf("key %v: %w", key, err)
		}
		out[fmt.Sprint(key.Interface())] = plain
	}
	return out, nil
}

// plainLeaf reads a value that is no list and no group. Times are written as RFC 3339 in UTC.
func plainLeaf(logical *format.LogicalType, value any) (any, error) {
	var as format.LogicalTypeValue
	if logical != nil {
		as = logical.Value
	}
	switch v := value.(type) {
	case bool, uint32, uint64:
		return v, nil
	case int32:
		if _, ok := as.(*format.DateType); ok {
			return time.Unix(int64(v)*86400, 0).UTC().Format(time.DateOnly), nil
		}
		return v, nil
	case int64:
		switch as := as.(type) {
		case *format.TimestampType:
			return timestamp(as.Unit, v), nil
		case *format.IntType:
			if !as.IsSigned {
				return uint64(v), nil
			}
		}
		return v, nil
	case string:
		return plainText(v)
	case []byte:
		return plainLeaf(logical, string(v))
	case float32:
		return plainNumber(float64(v))
	case float64:
		return plainNumber(v)
	case *big.Float:
		return json.Number(v.Text('f', -1)), nil
	case deprecated.Int96: // nanoseconds of a day by its Julian number
		return time.Unix((int64(v[2])-2440588)*86400, int64(uint64(v[1])<<32|uint64(v[0]))).UTC(), nil
	}
	return nil, fmt.Errorf("found a value of type %T, expected text, a number, a list or a group", value)
}

func timestamp(unit format.TimeUnit, v int64) time.Time {
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		return time.UnixMilli(v).UTC()
	case *format.MicroSeconds:
		return time.UnixMicro(v).UTC()
	}
	return time.Unix(0, v).UTC()
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
