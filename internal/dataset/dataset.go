// Package dataset reads the data that the stages learn from and the labeling
// application shows, in the field's formats, and holds the embedded sample data.
// It knows text, not tokens, and trains nothing. Everything is a stream: no reader
// holds a whole data set, but for YAML and for the lines of the film dialogues, whose
// files have no order to stream in. A record that cannot be read is an error that
// names file, line and field, with what was found and expected; Options.SkipBad
// counts it instead.
package dataset

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // system, user or assistant
	Content string `json:"content"`
}

// Demonstration is a prompt with a completion to imitate, or a conversation whose
// assistant turns are to imitate.
type Demonstration struct {
	Prompt     string
	Completion string
	Messages   []Message // nil for a prompt with a completion, which are then empty
	Given      int       // the first messages, of any role, that are context and not to imitate
	Group      string    // what the demonstration belongs to (a user, a topic, a film); "" if the data does not say
}

// Document is a text, or a piece of one too long to hold.
//
// A piece that is not the last ends where a letter, mark, number or sign is followed by
// a space or the end of a line, with which the next piece begins. GPT-2's splitting has
// a word border there whatever stands around: none of its patterns goes on from what is
// no white space to what is, and the only one that looks ahead does so inside white
// space. So the tokens of the pieces are those of the whole.
type Document struct {
	Text string
	Last bool // the document ends here
}

// Kind is what a format holds.
type Kind string

// The kinds of data.
const (
	KindText           Kind = "text"
	KindDemonstrations Kind = "demonstrations"
	KindRankings       Kind = "rankings"
)

// Options says how data is read. The zero value finds out each file's format and ends at the first bad record.
type Options struct {
	Format  string    // a name in Formats; "" or "auto" tells it from a file's name and first record
	SkipBad bool      // counts a record that cannot be read in the Report and goes on
	Report  *Report   // filled while reading; nil is none
	Stdin   io.Reader // what the path "-" reads; nil makes it an error
	Group   string    // a field of JSON records, with text or a number, that says what they belong to, like a user
	Text    TextOptions
	Talk    TalkOptions
	Trees   TreeOptions
}

// Validate returns an error that names an option whose value is none of those known.
func (o Options) Validate() error {
	if !o.auto() {
		if _, err := Named(o.Format, ""); err != nil {
			return err
		}
	}
	for _, option := range []struct {
		name, value string
		known       []string
	}{
		{"split_text", o.Text.Split, []string{"file", "paragraph", "line"}},
		{"talk", o.Talk.As, []string{"pairs", "whole", "answers"}},
		{"paths", o.Trees.Paths, []string{"best", "all"}},
	} {
		if option.value != "" && !slices.Contains(option.known, option.value) {
			return fmt.Errorf("%s: found %q, expected %s", option.name, option.value, strings.Join(option.known, ", "))
		}
	}
	return nil
}

// set returns the names, as flags have them, of the options that only some formats heed and that are not at their defaults.
func (o Options) set() (out []string) {
	for _, option := range []struct{ name, value, usual string }{
		{"group_field", o.Group, ""}, {"text_field", o.Text.Field, ""}, {"split_text", o.Text.Split, "file"},
		{"talk", o.Talk.As, "pairs"}, {"paths", o.Trees.Paths, "best"}, {"lang", o.Trees.Lang, ""},
	} {
		if option.value != "" && option.value != option.usual {
			out = append(out, option.name)
		}
	}
	return out
}

// Report is what happened while reading.
type Report struct {
	Read    int             // records delivered; of a document each piece but the last counts nothing
	Skipped int             // records that could not be read
	Reasons []string        // of the first few of these, with file, line and field
	Ignored []string        // files in directories that no format claims by name
	Formats map[string]int  // files read, by format
	Notes   map[string]Note // what was mended or left out without a record being bad, by what it was
}

// Note counts something that happened while reading.
type Note struct {
	Count int    `json:"count"`
	First string `json:"first"` // where it happened first; "" if at no one line
}

const maxReasons = 5

func (r *Report) skip(err error) {
	if r == nil {
		return
	}
	r.Skipped++
	if len(r.Reasons) < maxReasons {
		r.Reasons = append(r.Reasons, err.Error())
	}
}

// note counts what happened at a line of a file.
func (r *Report) note(what string, count int, f *File, line int) {
	if r == nil || count == 0 {
		return
	}
	n, ok := r.Notes[what]
	if !ok {
		n.First = place(f.Path, line)
	}
	n.Count += count
	if r.Notes == nil {
		r.Notes = map[string]Note{}
	}
	r.Notes[what] = n
}

// tally counts what happened at no one line.
func (r *Report) tally(what string, count int) {
	if r == nil {
		return
	}
	if r.Notes == nil {
		r.Notes = map[string]Note{}
	}
	r.Notes[what] = Note{Count: r.Notes[what].Count + count}
}

func (r *Report) ignore(path string) {
	if r != nil {
		r.Ignored = append(r.Ignored, path)
	}
}

func (r *Report) format(name string) {
	if r == nil {
		return
	}
	if r.Formats == nil {
		r.Formats = map[string]int{}
	}
	r.Formats[name]++
}

// Lines returns the report for people, a statement a line; none of them is about the number read.
func (r *Report) Lines() (out []string) {
	for _, what := range slices.Sorted(maps.Keys(r.Notes)) {
		n := r.Notes[what]
		line := fmt.Sprintf("%s: %d", what, n.Count)
		if n.First != "" {
			line += ", the first at " + n.First
		}
		out = append(out, line)
	}
	if r.Skipped > 0 {
		out = append(out, fmt.Sprintf("skipped %d that could not be read:", r.Skipped))
		for _, reason := range r.Reasons {
			out = append(out, "  "+reason)
		}
		if more := r.Skipped - len(r.Reasons); more > 0 {
			out = append(out, fmt.Sprintf("  and %d more", more))
		}
	}
	if n := len(r.Ignored); n > 0 {
		list := strings.Join(r.Ignored[:min(n, maxReasons)], ", ")
		if n > maxReasons {
			list += fmt.Sprintf(" and %d more", n-maxReasons)
		}
		out = append(out, "ignored beside the data: "+list)
	}
	return out
}

// Bad is the error of a record that cannot be read although those after it can.
type Bad struct {
	File string
	Line int // the record's first line, or that of the mistake where it is known; of a Parquet file the row; 0 if the format has neither
	Err  error
}

func (b *Bad) Error() string {
	if b.Line == 0 {
		return fmt.Sprintf("%s: %v", b.File, b.Err)
	}
	return fmt.Sprintf("%s: %v", place(b.File, b.Line), b.Err)
}

// place names a line of a file, or a row of one that has no lines.
func place(path string, line int) string {
	if (&File{Path: path}).Ext() == parquetExtension {
		return fmt.Sprintf("%s: row %d", path, line)
	}
	return fmt.Sprintf("%s:%d", path, line)
}

func (b *Bad) Unwrap() error { return b.Err }

// Collect holds a whole data set, or returns the error that ended it.
func Collect[T any](seq iter.Seq2[T, error]) (out []T, err error) {
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
