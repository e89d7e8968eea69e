// Package report writes results as report.html: one self-contained page that
// opens without a network, in light and dark, on a desk and on a phone, with
// pictures as SVG (gonum plot) and the numbers of each picture in a table beside
// it. It knows nothing of stages, runs or files: a page is plain data, and equal
// pages give equal bytes.
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

// Page is a report.
type Page struct {
	Title    string
	Lead     string // one sentence that says what happened
	Verdict  Verdict
	Facts    []Fact // the numbers that matter most
	Sections []Section
	Footer   string
}

// Verdict says in words whether it got better. The zero value shows nothing.
type Verdict struct {
	Tone Tone
	Text string
}

// Tone colours a statement, which also says in words what the colour says.
type Tone string

// The tones.
const (
	Neutral Tone = ""
	Good    Tone = "good"
	Bad     Tone = "bad"
)

// Fact is a number of the headline.
type Fact struct {
	Label  string
	Value  string
	Detail string // a line below: the interval, what it is compared with
	Tone   Tone
}

// Section is a part of the page. What is empty is left out.
type Section struct {
	Title     string
	Text      string // a paragraph above the pictures
	Charts    []Chart
	Intervals []Intervals
	Tables    []Table
	Samples   []Samples
}

// Table is a table of text. Columns whose cells are all numbers stand right-aligned.
type Table struct {
	Caption string
	Columns []string
	Rows    [][]string
	Folded  bool // shows the caption only, until opened
}

// Samples are pairs of texts side by side.
type Samples struct {
	Left, Right string // names of the sides
	Caption     string
	Pairs       []TextPair
}

// TextPair is one prompt with the texts of both sides.
type TextPair struct {
	Prompt      string
	Left, Right string
	LeftNote    string // beside the side's name, as a score
	RightNote   string
	Preferred   Side
}

// Side is a side of a pair.
type Side int

// The sides of a pair.
const (
	Neither Side = iota
	Left
	Right
)

//go:embed page.tmpl
var pageText string

//go:embed style.css
var styleText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"style":     func() template.CSS { return template.CSS(styleText) },
	"chart":     renderChart,
	"intervals": renderIntervals,
	"numeric":   Table.numeric,
	"anchor":    func(i int) string { return fmt.Sprintf("section-%d", i+1) },
	"open":      func(t []Table) []Table { return pick(t, false) },
	"folded":    func(t []Table) []Table { return pick(t, true) },
	"answer":    func(side, note, text string, preferred bool) answer { return answer{side, note, text, preferred} },
	"left":      func(s Side) bool { return s == Left },
	"right":     func(s Side) bool { return s == Right },
}).Parse(pageText))

// pick returns the tables that are folded, or those that are not.
func pick(tables []Table, folded bool) []Table {
	var out []Table
	for _, t := range tables {
		if t.Folded == folded {
			out = append(out, t)
		}
	}
	return out
}

// answer is one side of a pair, for the template.
type answer struct {
	Side, Note, Text string
	Preferred        bool
}

// Render writes the page as HTML. Every text is escaped. It returns an error,
// with nothing written, for a chart whose data are not finite or do not match.
func Render(w io.Writer, p Page) error {
	for _, s := range p.Sections {
		for _, c := range s.Charts {
			if err := c.check(); err != nil {
				return fmt.Errorf("render %q: chart %q: %w", p.Title, c.Title, err)
			}
		}
		for _, c := range s.Intervals {
			if err := c.check(); err != nil {
				return fmt.Errorf("render %q: chart %q: %w", p.Title, c.Title, err)
			}
		}
		for _, t := range s.Tables {
			for i, row := range t.Rows {
				if len(row) != len(t.Columns) {
					return fmt.Errorf("render %q: table %q: row %d has %d cells, the table %d columns",
						p.Title, t.Caption, i+1, len(row), len(t.Columns))
				}
			}
		}
	}
	var b bytes.Buffer
	if err := page.Execute(&b, p); err != nil {
		return fmt.Errorf("render %q: %w", p.Title, err)
	}
	_, err := w.Write(b.Bytes())
	return err
}
