package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// fields is a JSON object in the order in which its fields were added.
type fields struct {
	names  []string
	values []any
	own    *Ranking // the row of the own format, instead
	left   int      // unknown fields left out, since the format has its own of their name, or means something by it
	never  string   // a name that an unknown field must not have, since the row would be another format's
}

func (f *fields) add(name string, value any) *fields {
	f.names, f.values = append(f.names, name), append(f.values, value)
	return f
}

// some adds a field that says something.
func (f *fields) some(name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case bool:
		if !v {
			return
		}
	case int64:
		if v == 0 {
			return
		}
	case []int:
		if v == nil {
			return
		}
	case []string:
		if v == nil {
			return
		}
	case *float64:
		if v == nil {
			return
		}
	case *bool:
		if v == nil {
			return
		}
	case time.Time:
		if v.IsZero() {
			return
		}
	case map[string]float64:
		if v == nil {
			return
		}
	case []Message:
		if v == nil {
			return
		}
	default:
		panic(fmt.Sprintf("dataset: no rule when a %T says something", value))
	}
	f.add(name, value)
}

// MarshalJSON writes the object on one line, without escapes for HTML.
func (f fields) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	if f.own != nil {
		err := encode(&b, f.own)
		return b.Bytes(), err
	}
	b.WriteByte('{')
	for i, name := range f.names {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encode(&b, name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := encode(&b, f.values[i]); err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func encode(b *bytes.Buffer, value any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line's end
	return nil
}

// columns are the fields of a ranking that other formats carry under the own format's names.
func (r *Ranking) columns() map[string]any {
	return map[string]any{"system": &r.System, "choice": &r.Choice, "labeler": &r.Labeler, "group_id": &r.GroupID, "created_at": &r.CreatedAt,
		"active_ms": &r.ActiveMS, "wall_ms": &r.WallMS, "comment": &r.Comment, "flags": &r.Flags, "confidence": &r.Confidence, "guideline": &r.Guideline,
		"extra": &r.Extra, "shown": &r.Shown}
}

// carried adds the columns that say something and the unknown fields, but for those the format says in its own way.
func (r Ranking) carried(o *fields, native ...string) {
	labeler := r.Labeler
	if labeler == Imported {
		labeler = ""
	}
	for _, c := range []struct {
		name  string
		value any
	}{
		{"system", r.System}, {"choice", r.Choice}, {"labeler", labeler}, {"group_id", r.GroupID}, {"created_at", r.CreatedAt}, {"active_ms", r.ActiveMS}, {"wall_ms", r.WallMS},
		{"comment", r.Comment}, {"flags", r.Flags}, {"confidence", r.Confidence}, {"guideline", r.Guideline}, {"extra", r.Extra}, {"shown", r.Shown},
	} {
		if !slices.Contains(native, c.name) {
			o.some(c.name, c.value)
		}
	}
	o.others(r.Meta)
}

// others adds the unknown fields, but for some.
func (f *fields) others(meta map[string]json.RawMessage, but ...string) {
	for _, name := range slices.Sorted(maps.Keys(meta)) {
		switch {
		case slices.Contains(but, name):
		case slices.Contains(f.names, name), name == f.never:
			f.left++
		default:
			f.add(name, meta[name])
		}
	}
}

// carry reads the columns that another format carries, and keeps every field that is not native in Meta. A column
// whose type is not ours is somebody else's of the same name, and is kept with the unknown ones.
func (r *Ranking) carry(o object, native ...string) {
	columns := r.columns()
	for name, raw := range o {
		if isNull(raw) || slices.Contains(native, name) {
			continue // a null says nothing
		}
		to, ours := columns[name]
		if !ours || !decodes(name, raw) || json.Unmarshal(raw, to) != nil {
			r.setMeta(name, raw)
		}
	}
	if r.Labeler == "" {
		r.Labeler = Imported
	}
}

// decodes reports whether a value is one that the column of this name may have.
func decodes(name string, raw json.RawMessage) bool {
	var scratch Ranking
	return json.Unmarshal(raw, scratch.columns()[name]) == nil && string(raw) != `""`
}

func (r *Ranking) setMeta(name string, raw json.RawMessage) {
	if r.Meta == nil {
		r.Meta = map[string]json.RawMessage{}
	}
	r.Meta[name] = compact(raw)
}

func (r *Ranking) dropMeta(name string) {
	if delete(r.Meta, name); len(r.Meta) == 0 {
		r.Meta = nil
	}
}

func isNull(raw json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(raw), []byte("null")) }

// compact is the value without the file's spaces, so that values read from a .json and from a .jsonl are equal.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}
