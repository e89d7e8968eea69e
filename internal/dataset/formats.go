package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Format is one way in which data is stored. Its readers yield the records of one file in order; they yield a *Bad
// error for a record that cannot be read and go on, and any other error where nothing more can be read.
type Format struct {
	Name       string // as in data import NAME and --format NAME
	About      string // in a line: what it is, and the shape of a record
	Extensions []string
	// Detect reports whether a file that begins so is of this format. The first format in Formats that
	// says so is taken, among those that hold the kind of data wanted.
	Detect func(Sample) bool

	// The readers; one is nil if the format does not hold that kind of data.
	Texts          func(Options, *File) iter.Seq2[Document, error]
	Demonstrations func(Options, *File) iter.Seq2[Demonstration, error]
	Rankings       func(Options, *File) iter.Seq2[Ranking, error]

	// Uses names the options, as Options.set does, that the readers of texts and demonstrations heed.
	Uses []string

	// WriteRankings writes rankings in this format; nil if it cannot be written.
	WriteRankings func(io.Writer, iter.Seq2[Ranking, error]) error

	about map[Kind]string // where it differs from About
}

// As returns what the format is as data of a kind that it holds.
func (f Format) As(kind Kind) string {
	if about := f.about[kind]; about != "" {
		return about
	}
	return f.About
}

// The extensions of files that hold JSON, or its objects as rows.
var jsonExtensions = []string{".jsonl", ".json", ".parquet"}

// Formats returns all formats, those of preferences first. Where two could be meant, the one that asks for more stands first.
// What two tables say of one name is one format.
func Formats() (out []Format) {
	for _, f := range slices.Concat(preferenceFormats(), demonstrationFormats(), cornellFormats(), textFormats()) {
		if i := slices.IndexFunc(out, func(o Format) bool { return o.Name == f.Name }); i >= 0 {
			out[i] = out[i].with(f)
		} else {
			out = append(out, f)
		}
	}
	return out
}

// with returns the format with the readers that only the other has.
func (f Format) with(other Format) Format {
	f.about = maps.Clone(f.about)
	for _, kind := range other.Kinds() {
		if !f.holds(kind) {
			if f.about == nil {
				f.about = map[Kind]string{}
			}
			f.about[kind] = other.About
		}
	}
	f.Uses = slices.Concat(f.Uses, other.Uses)
	one, two := f.Detect, other.Detect
	f.Detect = func(s Sample) bool { return one(s) || two(s) }
	if f.Texts == nil {
		f.Texts = other.Texts
	}
	if f.Demonstrations == nil {
		f.Demonstrations = other.Demonstrations
	}
	if f.Rankings == nil {
		f.Rankings = other.Rankings
	}
	if f.WriteRankings == nil {
		f.WriteRankings = other.WriteRankings
	}
	return f
}

// Kinds returns what a format holds; the first is what it is read as if nothing else is asked for.
func (f Format) Kinds() (out []Kind) {
	for _, k := range []Kind{KindRankings, KindDemonstrations, KindText} {
		if f.holds(k) {
			out = append(out, k)
		}
	}
	return out
}

func (f Format) holds(k Kind) bool {
	switch k {
	case KindText:
		return f.Texts != nil
	case KindDemonstrations:
		return f.Demonstrations != nil
	case KindRankings:
		return f.Rankings != nil
	}
	return len(f.Kinds()) > 0
}

// Sample is the beginning of a file, as far as formats are told apart by it.
type Sample struct {
	Path   string
	Ext    string
	Raw    []byte // up to 256 KiB, decompressed
	Object object // the first JSON object of a file of JSON, as far as Raw holds it; nil in other files
}

// sample looks into a file without reading on.
func (f *File) sample() (Sample, error) {
	s := Sample{Path: f.Path, Ext: f.Ext()}
	if s.Ext == parquetExtension {
		return f.parquetSample()
	}
	in, err := f.Reader()
	if err != nil {
		return s, err
	}
	if s.Raw, err = in.Peek(Window); err != nil && err != io.EOF {
		return s, fmt.Errorf("%s: %w", f.Path, err)
	}
	s.Object = firstObject(s.Raw, s.Ext == ".jsonl")
	return s, nil
}

// firstObject returns the first object that the raw beginning of a file of JSON holds, or those of its fields that it
// holds whole. A broken line before it is passed over. If every line is a record, none goes on in the next.
func firstObject(raw []byte, everyLine bool) object {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '[' {
		raw = bytes.TrimSpace(raw[1:])
	}
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte{'\n'})
		if raw[0] == '{' {
			if everyLine {
				raw = line
			}
			if o := fieldsOf(raw); len(o) > 0 {
				return o
			}
		}
		raw = bytes.TrimSpace(rest)
	}
	return nil
}

// fieldsOf returns the whole fields at the beginning of an object.
func fieldsOf(raw []byte) object {
	if mended, found := withoutNaN(raw); found {
		raw = mended
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	o := object{}
	if _, err := d.Token(); err != nil {
		return o
	}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return o
		}
		o[name] = value
	}
	return o
}

// Detect returns the format of a file among those that hold a kind of data; "" is any kind.
func detect(f *File, kind Kind) (Format, error) {
	s, err := f.sample()
	if err != nil {
		return Format{}, err
	}
	var sole []Format // those that the file's name allows
	var known []string
	for _, format := range Formats() {
		if !format.holds(kind) {
			continue
		}
		if format.Detect(s) {
			return format, nil
		}
		known = append(known, format.Name)
		if slices.Contains(format.Extensions, s.Ext) {
			sole = append(sole, format)
		}
	}
	if len(sole) == 1 && kind != "" {
		return sole[0], nil // whose reader says what is missing
	}
	what := "no JSON object"
	if s.Object != nil {
		what = "a first record of " + s.Object.names()
	} else if len(s.Raw) == 0 {
		what = "an empty file"
	}
	if kind == "" {
		kind = "data"
	}
	return Format{}, fmt.Errorf("%s: found %s, which is no known format of %s; known: %s", f.Path, what, kind, strings.Join(known, ", "))
}

// Named returns the format of a name, or an error that lists those that hold the kind; "" is any kind.
func Named(name string, kind Kind) (Format, error) {
	var known []string
	for _, format := range Formats() {
		if format.Name == name && format.holds(kind) {
			return format, nil
		}
		if format.holds(kind) {
			known = append(known, format.Name)
		}
	}
	if kind == "" {
		kind = "data"
	}
	return Format{}, fmt.Errorf("format %q: found none of %s by this name; known: %s", name, kind, strings.Join(known, ", "))
}

// auto reports whether the format is to be found out.
func (o Options) auto() bool { return o.Format == "" || o.Format == "auto" }

// extensions returns those of the files that are read from directories.
func (o Options) extensions(kind Kind) (out []string, err error) {
	if !o.auto() {
		format, err := Named(o.Format, kind)
		return format.Extensions, err
	}
	for _, format := range Formats() {
		if format.holds(kind) {
			out = append(out, format.Extensions...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// heeded returns an error if an option is set that none of the formats that data was read in heeds.
func (o Options) heeded(kind Kind, formats []Format) error {
	for _, name := range o.set() {
		heeds := func(f Format) bool { return kind != KindRankings && slices.Contains(f.Uses, name) }
		if len(formats) > 0 && !slices.ContainsFunc(formats, heeds) {
			return fmt.Errorf("%s: found it set, but %s of the format %s have no use for it", name, kind, formats[0].Name)
		}
	}
	return nil
}

// formatOf returns the format to read a file in.
func (o Options) formatOf(f *File, kind Kind) (Format, error) {
	if o.auto() {
		return detect(f, kind)
	}
	return Named(o.Format, kind)
}

// FormatOf returns the format that the options name, or that of the first file that paths name. It reads nothing of the
// standard input if that is a *bufio.Reader of Window bytes.
func FormatOf(o Options, paths ...string) (Format, error) {
	if !o.auto() {
		return Named(o.Format, "")
	}
	o.Report = nil
	files, err := o.files("", paths)
	if err != nil {
		return Format{}, err
	}
	var first error
	for _, f := range files {
		format, err := detect(f, "")
		packed, beside := f.packed, besides(f)
		f.Close()
		switch {
		case f.Path == "-" && packed:
			return Format{}, errors.New("-: found compressed data on the standard input, expected the name of its format with it")
		case err == nil:
			return format, nil
		case first == nil:
			first = err
		}
		if !f.listed || !beside {
			break
		}
	}
	return Format{}, first
}

// besides reports whether a file may only stand beside data: a text like a README, or an empty file.
func besides(f *File) bool {
	if f.Ext() == ".txt" || f.Ext() == ".md" {
		return true
	}
	in, err := f.Reader()
	if err != nil {
		return false
	}
	_, err = in.Peek(1)
	return err == io.EOF
}

// files returns the files that paths name, for data of a kind.
func (o Options) files(kind Kind, paths []string) ([]*File, error) {
	extensions, err := o.extensions(kind)
	if err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	files, err := expand(o, extensions, paths)
	if err != nil {
		return nil, err
	}
	if kind != KindText && (o.auto() || o.Format == "cornell") {
		files = pairCornell(o.Report, files)
	}
	return files, nil
}

// read yields the records of files one after another, as the options say.
func read[T any](o Options, kind Kind, paths []string, reader func(Format) func(Options, *File) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		files, err := o.files(kind, paths)
		if err != nil {
			yield(zero, err)
			return
		}
		var used []Format
		for _, f := range files {
			format, err := o.formatOf(f, kind)
			if err != nil && f.listed && besides(f) {
				f.Close()
				o.Report.ignore(f.Path)
				continue
			}
			if err != nil {
				f.Close()
				yield(zero, err)
				return
			}
			if !slices.ContainsFunc(used, func(u Format) bool { return u.Name == format.Name }) {
				used = append(used, format)
			}
			if err := o.heeded(kind, used); err != nil && !o.auto() {
				f.Close()
				yield(zero, err)
				return
			}
			o.Report.format(format.Name)
			more := deliver(o, reader(format)(o, f), yield)
			f.Close()
			if !more {
				return
			}
		}
		if err := o.heeded(kind, used); err != nil {
			yield(zero, err)
			return
		}
		if used == nil && len(files) > 0 {
			yield(zero, fmt.Errorf("%s: found only texts and empty files below it, expected %s", strings.Join(paths, ", "), kind))
		}
	}
}

// Texts reads documents, and pieces of those too long to hold.
func Texts(o Options, paths ...string) iter.Seq2[Document, error] {
	return read(o, KindText, paths, func(f Format) func(Options, *File) iter.Seq2[Document, error] { return f.Texts })
}

// Demonstrations reads prompts with completions, and conversations.
func Demonstrations(o Options, paths ...string) iter.Seq2[Demonstration, error] {
	return read(o, KindDemonstrations, paths, func(f Format) func(Options, *File) iter.Seq2[Demonstration, error] { return f.Demonstrations })
}

// Rankings reads preferences.
func Rankings(o Options, paths ...string) iter.Seq2[Ranking, error] {
	return read(o, KindRankings, paths, func(f Format) func(Options, *File) iter.Seq2[Ranking, error] { return f.Rankings })
}
