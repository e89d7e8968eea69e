package report

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The SVG is drawn in colours that stand for a role; themed then puts the style
// sheet's variables in their place, so that one picture serves light and dark.
var (
	inkColour    = color.RGBA{0xF0, 0x00, 0x01, 0xFF}
	gridColour   = color.RGBA{0xF0, 0x00, 0x02, 0xFF}
	axisColour   = color.RGBA{0xF0, 0x00, 0x03, 0xFF}
	paperColour  = color.RGBA{0xF0, 0x00, 0x04, 0xFF}
	strongColour = color.RGBA{0xF0, 0x00, 0x05, 0xFF}
)

func seriesColour(i int) color.Color { return color.RGBA{0xF1, 0x00, uint8(i + 1), 0xFF} }

var themed = func() *strings.Replacer {
	pairs := []string{
		"#F00001", "var(--chart-ink)", "#F00002", "var(--chart-grid)", "#F00003", "var(--chart-axis)",
		"#F00004", "var(--surface)", "#F00005", "var(--ink)",
	}
	for i := range maxSeries {
		pairs = append(pairs, fmt.Sprintf("#F100%02X", i+1), fmt.Sprintf("var(--series-%d)", i+1))
	}
	return strings.NewReplacer(pairs...)
}()

// dashes tell the curves apart without colour; nil is a solid line.
var dashes = [maxSeries][]vg.Length{nil, {6, 3}, {2, 2.5}, {9, 3, 2, 3}, {12, 4}, {4, 2, 1, 2}}

var fontStyle = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;?`)

// Sizes of a picture in CSS pixels: for two columns, and for a phone.
type size struct {
	class         string
	width, height float64
	fontSize      float64
	ticks         int // about how many on the horizontal axis
}

var sizes = []size{{"wide", 500, 280, 12, 6}, {"narrow", 330, 240, 12, 4}}

// render draws p and returns an inline SVG for the page.
func render(p *plot.Plot, s size, height float64, label string) template.HTML {
	c := vgsvg.NewWith(vgsvg.UseWH(vg.Length(s.width), vg.Length(height)))
	p.Draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		panic(fmt.Sprintf("report: writing to memory: %v", err)) // a bytes.Buffer does not fail
	}
	_, body, _ := strings.Cut(b.String(), "<svg")
	_, body, _ = strings.Cut(body, ">")
	body = themed.Replace(fontStyle.ReplaceAllString(body, ""))
	return template.HTML(fmt.Sprintf(`<svg class="%s" viewBox="0 0 %g %g" role="img" aria-label="%s">`,
		s.class, s.width, height, template.HTMLEscapeString(label)) + strings.TrimSpace(body))
}

// newPlot returns an empty plot in the page's style.
func newPlot(s size, xLabel string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle.Color = axisColour
		a.LineStyle.Width = 1
		a.Padding = 0
		a.Tick.LineStyle = draw.LineStyle{Color: axisColour, Width: 1}
		a.Tick.Length = 4
		a.Tick.Label.Font = textFont(s.fontSize - 1)
		a.Tick.Label.Color = inkColour
		a.Label.TextStyle.Font = textFont(s.fontSize)
		a.Label.TextStyle.Color = inkColour
		a.Label.Padding = 4
	}
	p.Y.LineStyle.Width = 0
	p.Y.Tick.LineStyle.Color = gridColour
	p.X.Label.Text = xLabel
	p.X.Tick.Marker = ticks{n: s.ticks}
	p.Y.Tick.Marker = ticks{n: 5}
	return p
}

func textFont(points float64) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: font.Length(points)}
}

// ticks puts about n marks at round numbers, or at whole ones.
type ticks struct {
	n     int
	whole bool
}

// Ticks implements plot.Ticker.
func (t ticks) Ticks(low, high float64) []plot.Tick {
	if !(high > low) {
		return []plot.Tick{{Value: low, Label: Number(low)}}
	}
	n := t.n
	step := math.Pow(10, math.Floor(math.Log10((high-low)/float64(n))))
	for _, k := range []float64{2, 2.5, 2} { // 2, 5, 10 times the power of ten
		if (high-low)/step <= float64(n)+0.5 {
			break
		}
		step *= k
	}
	if t.whole {
		step = max(step, 1)
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var out []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9; i++ {
		label := group(strconv.FormatFloat(i*step, 'f', decimals, 64))
		if step >= 1e9 || step < 1e-6 {
			label = Number(i * step)
		}
		out = append(out, plot.Tick{Value: i * step, Label: label})
	}
	return out
}

// grid returns horizontal lines at the marks.
func grid() *plotter.Grid {
	return &plotter.Grid{Horizontal: draw.LineStyle{Color: gridColour, Width: 1}}
}

// renderedChart is a picture ready for the page.
type renderedChart struct {
	Chart  Chart
	SVG    []template.HTML
	Legend []legendEntry
	Table  Table
	Empty  bool
	Note   string
}

type legendEntry struct {
	Name    string
	Colour  template.CSS
	Dash    string
	Summary string
}

func renderChart(c Chart) renderedChart {
	out := renderedChart{Chart: c, Table: c.table(), Empty: c.empty()}
	if out.Empty {
		return out
	}
	for i, s := range c.Series {
		if len(s.X) > drawnPoints {
			out.Note = fmt.Sprintf("Curves of more than %d points are drawn as means of neighbouring points.", drawnPoints)
		}
		if len(c.Series) > 1 {
			e := legendEntry{Name: s.Name, Colour: template.CSS(fmt.Sprintf("var(--series-%d)", i+1))}
			for _, d := range dashes[i] {
				e.Dash += fmt.Sprintf("%g ", float64(d))
			}
			out.Legend = append(out.Legend, e)
		}
	}
	for _, s := range sizes {
		out.SVG = append(out.SVG, render(c.plot(s), s, s.height, c.describe()))
	}
	return out
}

// plot draws the chart at a size.
func (c Chart) plot(s size) *plot.Plot {
	p := newPlot(s, c.XLabel)
	p.X.Tick.Marker = ticks{n: s.ticks, whole: c.wholeX()}
	p.Add(grid())
	for i, series := range c.Series {
		if len(series.X) == 0 {
			continue
		}
		if !c.Path {
			series = series.thinned()
		}
		points := make(plotter.XYs, len(series.X))
		for j := range points {
			points[j].X, points[j].Y = series.X[j], series.Y[j]
		}
		style := draw.LineStyle{Color: seriesColour(i), Width: 1.8, Dashes: dashes[i]}
		if c.Path {
			style.Width = 1
		}
		p.Add(&plotter.Line{XYs: points, LineStyle: style})
		if len(points) <= 12 || c.Path {
			p.Add(dots(points, seriesColour(i), 2.2))
		}
		if c.Path {
			p.Add(dots(points[:1], strongColour, 5), dots(points[:1], paperColour, 3.4), dots(points[len(points)-1:], strongColour, 5))
		}
	}
	c.scale(p)
	for _, r := range c.References {
		line := plotter.XYs{{X: p.X.Min, Y: r.Y}, {X: p.X.Max, Y: r.Y}}
		p.Add(&plotter.Line{XYs: line, LineStyle: draw.LineStyle{Color: inkColour, Width: 1, Dashes: []vg.Length{3, 3}}})
		if r.Label != "" {
			p.Add(label(s, p.X.Max, r.Y, r.Label, draw.XRight, vg.Point{Y: 3}))
		}
	}
	return p
}

// scale sets the axes' ranges.
func (c Chart) scale(p *plot.Plot) {
	for _, r := range c.References {
		p.Y.Min, p.Y.Max = math.Min(p.Y.Min, r.Y), math.Max(p.Y.Max, r.Y)
	}
	widen(&p.X, 0)
	widen(&p.Y, 0.06)
	if c.Path {
		widen(&p.X, 0.04)
	}
	if c.YMin < c.YMax {
		p.Y.Min, p.Y.Max = c.YMin, c.YMax
	}
}

// widen adds a share of an axis' range at both ends, or something if it is empty.
func widen(a *plot.Axis, share float64) {
	if a.Max-a.Min <= 1e-12*math.Max(1, math.Abs(a.Max)) {
		room := math.Max(math.Abs(a.Max)*0.1, 0.5)
		a.Min, a.Max = a.Min-room, a.Max+room
		return
	}
	room := share * (a.Max - a.Min)
	a.Min, a.Max = a.Min-room, a.Max+room
}

func dots(points plotter.XYs, c color.Color, radius vg.Length) *plotter.Scatter {
	return &plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{Color: c, Radius: radius, Shape: draw.CircleGlyph{}}}
}

// label returns a text at a point of the plot.
func label(s size, x, y float64, words string, align text.XAlignment, offset vg.Point) *plotter.Labels {
	return &plotter.Labels{
		XYs: plotter.XYs{{X: x, Y: y}}, Labels: []string{words}, Offset: offset,
		TextStyle: []text.Style{{
			Color: inkColour, Font: textFont(s.fontSize - 1), XAlign: align, YAlign: draw.YBottom, Handler: plot.DefaultTextHandler,
		}},
	}
}
