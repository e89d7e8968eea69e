package report

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Chart is a picture of curves.
type Chart struct {
	Title   string
	Caption string // what to see in it
	XLabel  string
	YLabel  string
	Series  []Series

	// References are horizontal lines to compare with.
	References []Reference

	// YMin and YMax fix the vertical axis if YMin < YMax; otherwise it fits the data.
	YMin, YMax float64

	// Path joins the points in their given order rather than by x and marks the first
	// and the last: the way of a run through a plane.
	Path bool
}

// Series is a named curve.
type Series struct {
	Name string
	X, Y []float64 // (N) each; by ascending X unless the chart is a path
}

// Reference is a horizontal line with a name.
type Reference struct {
	Label string
	Y     float64
}

// Intervals is a picture of estimates with their intervals, one a row.
type Intervals struct {
	Title   string
	Caption string
	XLabel  string
	Rows    []Interval

	// Reference is a vertical line to compare with, drawn if it has a label.
	Reference      float64
	ReferenceLabel string

	// Min and Max fix the axis if Min < Max; otherwise it fits the data.
	Min, Max float64
}

// Interval is an estimate with its interval. NaN ends mean that there is none.
type Interval struct {
	Label            string
	Value, Low, High float64
}

// maxSeries is how many curves the page has colours for.
const maxSeries = 6

var errNotFinite = errors.New("a value is not finite")

func (c Chart) check() error {
	if len(c.Series) > maxSeries {
		return fmt.Errorf("%d series, at most %d can be told apart", len(c.Series), maxSeries)
	}
	for _, s := range c.Series {
		if len(s.X) != len(s.Y) {
			return fmt.Errorf("series %q has %d x and %d y", s.Name, len(s.X), len(s.Y))
		}
		for i := range s.X {
			if !finite(s.X[i]) || !finite(s.Y[i]) {
				return fmt.Errorf("series %q point %d (%g, %g): %w", s.Name, i, s.X[i], s.Y[i], errNotFinite)
			}
			if i > 0 && !c.Path && s.X[i] < s.X[i-1] {
				return fmt.Errorf("series %q: x falls at point %d from %g to %g", s.Name, i, s.X[i-1], s.X[i])
			}
		}
	}
	for _, r := range c.References {
		if !finite(r.Y) {
			return fmt.Errorf("reference %q: %w", r.Label, errNotFinite)
		}
	}
	return nil
}

func (c Intervals) check() error {
	for _, r := range c.Rows {
		if !finite(r.Value) {
			return fmt.Errorf("row %q: %w", r.Label, errNotFinite)
		}
	}
	if !finite(c.Reference) {
		return fmt.Errorf("reference %q: %w", c.ReferenceLabel, errNotFinite)
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// empty reports whether there is nothing to draw.
func (c Chart) empty() bool {
	for _, s := range c.Series {
		if len(s.X) > 0 {
			return false
		}
	}
	return true
}

// wholeX reports whether every x is a whole number, as steps are.
func (c Chart) wholeX() bool {
	for _, s := range c.Series {
		for _, x := range s.X {
			if x != math.Trunc(x) {
				return false
			}
		}
	}
	return true
}

// drawnPoints is the most points of a curve that are drawn one by one.
const drawnPoints = 400

// thinned returns the series, or the means of equal runs of neighbouring points if
// it has more than a picture can show.
func (s Series) thinned() Series {
	n := len(s.X)
	if n <= drawnPoints {
		return s
	}
	out := Series{Name: s.Name}
	for k := range drawnPoints {
		i, j := k*n/drawnPoints, (k+1)*n/drawnPoints
		var x, y float64
		for t := i; t < j; t++ {
			x += s.X[t] / float64(j-i)
			y += s.Y[t] / float64(j-i)
		}
		out.X, out.Y = append(out.X, x), append(out.Y, y)
	}
	return out
}

// tableRows is the most rows of a table beside a picture.
const tableRows = 40

// table returns the chart's numbers; long curves are thinned to every k-th point
// and the caption says so.
func (c Chart) table() Table {
	t := Table{Caption: "The numbers of this picture"}
	if c.Path {
		return c.pathTable(t)
	}
	var xs []float64
	t.Columns = []string{orName(c.XLabel, "x")}
	for _, s := range c.Series {
		xs = append(xs, s.X...)
		t.Columns = append(t.Columns, orName(s.Name, c.YLabel))
	}
	slices.Sort(xs)
	xs = slices.Compact(xs)
	for _, i := range t.thin(len(xs), c.sparse(xs)) {
		row := []string{Number(xs[i])}
		for _, s := range c.Series {
			cell := ""
			if j, ok := slices.BinarySearch(s.X, xs[i]); ok {
				cell = Number(s.Y[j])
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (c Chart) pathTable(t Table) Table {
	t.Columns = []string{"point", orName(c.XLabel, "x"), orName(c.YLabel, "y")}
	if len(c.Series) == 0 {
		return t
	}
	s := c.Series[0]
	for _, i := range t.thin(len(s.X), nil) {
		t.Rows = append(t.Rows, []string{Count(i + 1), Number(s.X[i]), Number(s.Y[i])})
	}
	return t
}

// sparse returns the indices in xs of the points of curves that are short enough
// to stand in the table whole, as those of an evaluation every so many steps.
func (c Chart) sparse(xs []float64) []int {
	var out []int
	for _, s := range c.Series {
		if len(s.X) <= tableRows/2 {
			for _, x := range s.X {
				i, _ := slices.BinarySearch(xs, x)
				out = append(out, i)
			}
		}
	}
	return out
}

// thin returns the indices of about tableRows of n rows, evenly spread, with the
// first, the last and those that must stay, and says in the caption if some are
// left out.
func (t *Table) thin(n int, stay []int) []int {
	var kept []int
	if n <= tableRows {
		for i := range n {
			kept = append(kept, i)
		}
		return kept
	}
	for k := range tableRows {
		kept = append(kept, k*(n-1)/(tableRows-1))
	}
	kept = append(kept, stay...)
	slices.Sort(kept)
	kept = slices.Compact(kept)
	if len(kept) < n {
		t.Caption += fmt.Sprintf(" (%d of %d points)", len(kept), n)
	}
	return kept
}

func (c Intervals) table() Table {
	t := Table{Caption: "The numbers of this picture", Columns: []string{"", "value", "from", "to"}}
	for _, r := range c.Rows {
		t.Rows = append(t.Rows, []string{r.Label, Number(r.Value), Number(r.Low), Number(r.High)})
	}
	return t
}

func orName(name, otherwise string) string {
	if name != "" {
		return name
	}
	return otherwise
}

// describe says in words what a screen reader should know of the picture.
func (c Chart) describe() string {
	text := c.Title + ": "
	for i, s := range c.Series {
		if n := len(s.X); n > 0 {
			if i > 0 {
				text += "; "
			}
			if s.Name != "" {
				text += s.Name + " "
			}
			text += fmt.Sprintf("from %s to %s", Number(s.Y[0]), Number(s.Y[n-1]))
			if c.Path {
				text += fmt.Sprintf(" while %s goes from %s to %s", orName(c.XLabel, "x"), Number(s.X[0]), Number(s.X[n-1]))
			}
		}
	}
	return text
}
