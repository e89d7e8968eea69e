package report

import (
	"fmt"
	"html/template"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// renderedIntervals is a picture of intervals ready for the page.
type renderedIntervals struct {
	Intervals Intervals
	SVG       []template.HTML
	Table     Table
}

func renderIntervals(c Intervals) renderedIntervals {
	out := renderedIntervals{Intervals: c, Table: c.table()}
	if len(c.Rows) == 0 {
		return out
	}
	words := c.Title
	for _, r := range c.Rows {
		words += fmt.Sprintf("; %s %s", r.Label, r.words())
	}
	for _, s := range sizes {
		out.SVG = append(out.SVG, render(c.plot(s), s, 62+44*float64(len(c.Rows)), words))
	}
	return out
}

// words returns the estimate with its interval.
func (r Interval) words() string {
	if math.IsNaN(r.Low) || math.IsNaN(r.High) {
		return Fixed(r.Value, 3)
	}
	return fmt.Sprintf("%s (%s to %s)", Fixed(r.Value, 3), Fixed(r.Low, 3), Fixed(r.High, 3))
}

// plot draws the rows from top to bottom, each under its own label.
func (c Intervals) plot(s size) *plot.Plot {
	p := newPlot(s, c.XLabel)
	p.Y.Tick.Marker = plot.ConstantTicks(nil)
	p.Add(&plotter.Grid{Vertical: draw.LineStyle{Color: gridColour, Width: 1}})
	rows := float64(len(c.Rows))
	p.X.Min, p.X.Max = c.span()
	p.Y.Min, p.Y.Max = 0, rows+0.45
	if c.ReferenceLabel != "" {
		line := plotter.XYs{{X: c.Reference, Y: 0}, {X: c.Reference, Y: rows + 0.08}}
		p.Add(&plotter.Line{XYs: line, LineStyle: draw.LineStyle{Color: inkColour, Width: 1.2, Dashes: []vg.Length{3, 3}}})
		p.Add(label(s, c.Reference, rows+0.08, c.ReferenceLabel, draw.XCenter, vg.Point{Y: 2}))
	}
	for i, r := range c.Rows {
		y := rows - float64(i) - 0.72
		if !math.IsNaN(r.Low) && !math.IsNaN(r.High) {
			line := plotter.XYs{{X: r.Low, Y: y}, {X: r.High, Y: y}}
			p.Add(&plotter.Line{XYs: line, LineStyle: draw.LineStyle{Color: seriesColour(0), Width: 4}})
		}
		p.Add(dots(plotter.XYs{{X: r.Value, Y: y}}, strongColour, 6), dots(plotter.XYs{{X: r.Value, Y: y}}, seriesColour(0), 4.5))
		p.Add(label(s, p.X.Min, y, r.Label+": "+r.words(), draw.XLeft, vg.Point{X: 2, Y: 9}))
	}
	return p
}

// span returns the range of the axis.
func (c Intervals) span() (low, high float64) {
	if c.Min < c.Max {
		return c.Min, c.Max
	}
	low, high = math.Inf(1), math.Inf(-1)
	for _, r := range c.Rows {
		low, high = math.Min(low, r.Value), math.Max(high, r.Value)
		if !math.IsNaN(r.Low) && !math.IsNaN(r.High) {
			low, high = math.Min(low, r.Low), math.Max(high, r.High)
		}
	}
	if c.ReferenceLabel != "" {
		low, high = math.Min(low, c.Reference), math.Max(high, c.Reference)
	}
	room := math.Max(0.05*(high-low), 1e-9)
	return low - room, high + room
}
