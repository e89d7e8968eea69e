package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rlhf/internal/report"
)

var out = flag.String("out", "", "write the example page to this file, to look at it")

// wave is a curve of n points that falls with a ripple.
func wave(name string, n int, from, to, ripple float64) report.Series {
	s := report.Series{Name: name}
	for i := range n {
		t := float64(i) / float64(max(n-1, 1))
		s.X = append(s.X, float64(10*i))
		s.Y = append(s.Y, to+(from-to)*math.Exp(-4*t)+ripple*math.Sin(float64(i*i)))
	}
	return s
}

func examplePage() report.Page {
	path := report.Series{Name: "run"}
	for i := range 55 {
		t := float64(i) / 54
		path.X = append(path.X, 4.6*(1-math.Exp(-3*t))+0.15*math.Sin(float64(7*i)))
		path.Y = append(path.Y, -0.1+1.6*(1-math.Exp(-2.4*t))+0.06*math.Cos(float64(5*i)))
	}
	return report.Page{
		Title:   "A small GPT before and after learning from rankings",
		Lead:    "Pretrained on 10,662 sentences, ranked by two simulated labelers, tuned with PPO: 3 minutes on two cores.",
		Verdict: report.Verdict{Tone: report.Good, Text: "It got better: the judge prefers after to before in 78.2\u00a0% of 500 answers (95\u00a0% interval 74.4\u00a0% to 81.6\u00a0%; exact sign test p\u00a0<\u00a00.0001)."},
		Facts: []report.Fact{
			{Label: "Win rate of after", Value: "78.2 %", Detail: "74.4 % to 81.6 %", Tone: report.Good},
			{Label: "Reward-model accuracy", Value: "69.1 %", Detail: "held-out pairs"},
			{Label: "KL of after from before", Value: "4.61", Detail: "nats an answer"},
			{Label: "Perplexity, after", Value: "24.2", Detail: "before 22.8; under sft"},
			{Label: "Distinct word pairs, after", Value: "0.71", Detail: "before 0.79", Tone: report.Bad},
		},
		Sections: []report.Section{
			{Title: "Before and after", Text: "A win rate of one half means no difference.",
				Intervals: []report.Intervals{{Title: "How often after is preferred", XLabel: "share of prompts, ties as half", Min: 0, Max: 1,
					Reference: 0.5, ReferenceLabel: "no difference",
					Rows: []report.Interval{{Label: "naive Bayes on the other half", Value: .782, Low: .744, High: .816},
						{Label: "reward model (trained on)", Value: .884, Low: .853, High: .909}},
					Caption: "391 wins, 109 losses, no ties."}},
				Charts: []report.Chart{{Title: "Response length", XLabel: "step", YLabel: "tokens an answer", Series: []report.Series{wave("", 55, 20, 18, .4)}}},
				Tables: []report.Table{{Caption: "Before and after in numbers", Columns: []string{"", "before", "after"},
					Rows: [][]string{{"mean score", "−0.21", "1.36"}, {"perplexity", "22.8", "24.2"}, {"distinct word pairs", "0.79", "0.71"}, {"tokens an answer", "19.4", "18.1"}}}}},
			{Title: "Learning from rankings", Charts: []report.Chart{
				{Title: "Reward against KL", XLabel: "KL from the reference, nats an answer", YLabel: "reward-model score", Path: true, Series: []report.Series{path},
					Caption: "Each point is a step; the open dot is the first, the full one the last."},
				{Title: "KL over steps", XLabel: "step", YLabel: "nats an answer", Series: []report.Series{wave("", 55, 0, 4.6, .15)}, References: []report.Reference{{Label: "target 5", Y: 5}}},
			}},
			{Title: "Losses", Charts: []report.Chart{
				{Title: "Pretraining", XLabel: "step", YLabel: "nats a token", Series: []report.Series{wave("train", 600, 6.9, 4.05, .06), wave("evaluation", 12, 6.5, 4.2, 0)}},
				{Title: "Reward model", XLabel: "step", YLabel: "loss a pair", Series: []report.Series{wave("train", 60, .7, .58, .02), wave("evaluation", 8, .69, .6, 0)}},
				{Title: "Reward-model accuracy", XLabel: "step", YLabel: "share of pairs", YMin: .4, YMax: 1, Series: []report.Series{wave("train", 60, .5, .7, .02), wave("evaluation", 8, .5, .68, 0)},
					References: []report.Reference{{Label: "labelers agree with each other", Y: .77}}},
				{Title: "Supervised fine-tuning", XLabel: "step"},
			}},
			{Title: "Samples", Text: "The first 3 of the 500 prompts, not picked by anyone.", Samples: []report.Samples{{Left: "Before", Right: "After", Pairs: []report.TextPair{
				{Prompt: "the film is a", Left: " confusing mess that never finds its own story , and the actors look as lost as we are .", Right: " warm and funny portrait of a family , told with a light hand and a great deal of heart .", LeftNote: "score −2.14", RightNote: "score 3.02", Preferred: report.Right},
				{Prompt: "there is no", Left: " reason to see it", Right: "", LeftNote: "score −1.00", RightNote: "score −1.50", Preferred: report.Left},
				{Prompt: "<script>alert(1)</script>", Left: "a & b", Right: "verylongwordwithoutanyspaces" + strings.Repeat("withoutanyspaces", 8)},
			}}}},
			{Title: "Settings", Tables: []report.Table{
				{Caption: "ppo", Folded: true, Columns: []string{"setting", "value"}, Rows: [][]string{{"kl_coef", "0.3"}, {"kl_controller", "adaptive"}, {"lr", "0.0002"}}},
				{Caption: "pretrain", Folded: true, Columns: []string{"setting", "value"}, Rows: [][]string{{"lr", "0.002"}, {"batch_size", "64"}}},
			}},
		},
		Footer: "Everything here was measured in this run.",
	}
}

func render(t *testing.T, p report.Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Render(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExamplePage(t *testing.T) {
	html := render(t, examplePage())
	if *out != "" {
		if err := os.WriteFile(*out, []byte(html), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if again := render(t, examplePage()); again != html {
		t.Error("the same page gives other bytes")
	}
	for _, want := range []string{
		"78.2 %", "&lt;script&gt;alert(1)&lt;/script&gt;", "No points were recorded.", "(empty)", "preferred",
		"<td class=\"number\">24.2</td>", "40 of 55 points", "Curves of more than 400 points", "labelers agree with each other",
		"prefers-color-scheme: dark", "naive Bayes on the other half: 0.782 (0.744 to 0.816)",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	for _, unwanted := range []string{"<script", "ZgotmplZ", "http://", "https://", "@import", "url(", "#F0", "#F1", "font-family:Liberation", "NaN", "<?xml"} {
		if strings.Contains(html, unwanted) {
			t.Errorf("page holds %q", unwanted)
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	if err := report.WriteFile(path, examplePage()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != render(t, examplePage()) {
		t.Errorf("the file differs from the page (%v)", err)
	}
	bad := report.Page{Sections: []report.Section{{Charts: []report.Chart{{Series: []report.Series{{X: []float64{1}}}}}}}}
	if err := report.WriteFile(path, bad); err == nil {
		t.Error("a chart without y: got no error")
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(again, got) {
		t.Error("a refused page changed the file")
	}
	if err := report.WriteFile(filepath.Join(dir, "none", "report.html"), report.Page{}); err == nil || !strings.Contains(err.Error(), "report.html") {
		t.Errorf("a missing directory: got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("got %d entries in the directory, want the page alone", len(entries))
	}
}

// Every picture of the page is well-formed XML, twice (wide and narrow), with a
// description, a table beside it, and no colour but the style sheet's.
func TestPicturesAreThemedAndDescribed(t *testing.T) {
	html := render(t, examplePage())
	pictures := regexp.MustCompile(`(?s)<svg class="(wide|narrow)".*?</svg>`).FindAllString(html, -1)
	if len(pictures) != 14 {
		t.Fatalf("got %d pictures, want 7 in two sizes", len(pictures))
	}
	if n := strings.Count(html, "<summary>Numbers</summary>"); n != 7 {
		t.Errorf("got %d tables beside the pictures, want 7", n)
	}
	colour := regexp.MustCompile(`(?:fill|stroke):([^;"]+)`)
	for _, svg := range pictures {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %.200s", err, svg)
			}
		}
		if !strings.Contains(svg, `role="img" aria-label="`) {
			t.Errorf("no description: %.120s", svg)
		}
		for _, m := range colour.FindAllStringSubmatch(svg, -1) {
			if m[1] != "none" && !strings.HasPrefix(m[1], "var(--") {
				t.Errorf("colour %s is not the style sheet's", m[1])
			}
		}
	}
	style := regexp.MustCompile(`(?s)<style>.*</style>`).FindString(html)
	for _, m := range regexp.MustCompile(`var\((--[a-z0-9-]+)\)`).FindAllStringSubmatch(html, -1) {
		if strings.Count(style, m[1]+":") != 2 {
			t.Errorf("%s is not set for both light and dark", m[1])
		}
	}
}

func TestTextInPicturesIsEscaped(t *testing.T) {
	evil := `"><script>x</script>`
	html := render(t, report.Page{Title: evil, Lead: evil, Footer: evil, Sections: []report.Section{{Title: evil, Text: evil,
		Charts:    []report.Chart{{Title: evil, Caption: evil, XLabel: evil, YLabel: evil, Series: []report.Series{{Name: evil, X: []float64{1}, Y: []float64{1}}, {Name: evil}}, References: []report.Reference{{Label: evil}}}},
		Intervals: []report.Intervals{{Title: evil, XLabel: evil, ReferenceLabel: evil, Rows: []report.Interval{{Label: evil, Low: math.NaN()}}}},
		Tables:    []report.Table{{Caption: evil, Columns: []string{evil}, Rows: [][]string{{evil}}}},
		Samples:   []report.Samples{{Left: evil, Caption: evil, Pairs: []report.TextPair{{Prompt: evil, Left: evil, RightNote: evil}}}},
	}}})
	if strings.Contains(html, "<script") {
		t.Errorf("a text stands unescaped: %s", html[strings.Index(html, "<script")-200:][:300])
	}
}

// Data without extent, of any size, and steps that are whole.
func TestUnusualData(t *testing.T) {
	series := func(x, y []float64) []report.Series { return []report.Series{{X: x, Y: y}} }
	html := render(t, report.Page{Sections: []report.Section{{
		Charts: []report.Chart{
			{Title: "one point", Series: series([]float64{5}, []float64{3})},
			{Title: "constant", Series: series([]float64{5, 6, 7}, []float64{0, 0, 0})},
			{Title: "large", Series: series([]float64{0, 1e6}, []float64{1e7, 6e7})},
			{Title: "small", Series: series([]float64{0, 1}, []float64{1e-8, -3e-8})},
			{Title: "a path that stays", Path: true, Series: series([]float64{.1, .1}, []float64{2, 2})},
			{Title: "an empty path", Path: true},
			{Title: "sparse beside dense", Series: []report.Series{wave("train", 90, 2, 1, 0), {Name: "evaluation", X: []float64{370, 371}, Y: []float64{7, 6}}}},
		},
		Intervals: []report.Intervals{{Title: "no rows"}, {Title: "no extent", Rows: []report.Interval{{Value: .3, Low: .3, High: .3}}}},
	}}})
	for _, want := range []string{">1\u2009000\u2009000<", ">60\u2009000\u2009000<", "−2e−08", "Nothing was measured.",
		`<th scope="row" class="number">371</th><td class="number"></td><td class="number">6</td>`} {
		if !strings.Contains(html, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	for _, unwanted := range []string{">5.5<", "NaN", "Inf"} {
		if strings.Contains(html, unwanted) {
			t.Errorf("page holds %q", unwanted)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	chart := func(s ...report.Series) report.Section {
		return report.Section{Charts: []report.Chart{{Title: "c", Series: s}}}
	}
	tests := []struct {
		name    string
		section report.Section
		want    string
	}{
		{"not finite", chart(report.Series{Name: "s", X: []float64{1, 2}, Y: []float64{1, math.NaN()}}), `chart "c": series "s" point 1 (2, NaN): a value is not finite`},
		{"lengths", chart(report.Series{Name: "s", X: []float64{1}, Y: nil}), `series "s" has 1 x and 0 y`},
		{"x falls", chart(report.Series{Name: "s", X: []float64{2, 1}, Y: []float64{0, 0}}), `x falls at point 1 from 2 to 1`},
		{"many", chart(make([]report.Series, 7)...), "7 series, at most 6"},
		{"interval", report.Section{Intervals: []report.Intervals{{Title: "c", Rows: []report.Interval{{Label: "r", Value: math.Inf(1)}}}}}, `row "r"`},
		{"table", report.Section{Tables: []report.Table{{Caption: "t", Columns: []string{"a", "b"}, Rows: [][]string{{"1", "2"}, {"1"}}}}}, `table "t": row 2 has 1 cells, the table 2 columns`},
	}
	for _, test := range tests {
		var b bytes.Buffer
		err := report.Render(&b, report.Page{Sections: []report.Section{test.section}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
		if b.Len() > 0 {
			t.Errorf("%s: wrote %d bytes", test.name, b.Len())
		}
	}
}

func TestNumbers(t *testing.T) {
	tests := []struct{ got, want string }{
		{report.Number(0), "0"}, {report.Number(1234567), "1\u2009234\u2009567"}, {report.Number(-2.5), "−2.500"},
		{report.Number(22.83), "22.83"}, {report.Number(0.00123), "0.001230"}, {report.Number(1e-7), "1e−07"},
		{report.Number(math.NaN()), "–"}, {report.Number(9999), "9999"},
		{report.Fixed(-0.001, 2), "0.00"}, {report.Fixed(22.849, 1), "22.8"}, {report.Percent(0.7821), "78.2\u00a0%"},
		{report.Count(10662), "10\u2009662"}, {report.Count(1000), "1000"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}
