package main

import (
	"fmt"
	"path/filepath"

	"rlhf/configs"
	"rlhf/internal/kernel"
	"rlhf/internal/metrics"
	"rlhf/internal/report"
)

// writeRunReport writes a run's report.html: its curves, what the model wrote at the first and the last evaluation,
// and the settings.
func (a *app) writeRunReport(dir, title string, c configs.Resolved) error {
	r, err := metrics.Read(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		return err
	}
	samples, err := readSamples(dir)
	if err != nil {
		return err
	}
	p := report.Page{Title: title, Lead: filepath.Base(dir), Facts: runFacts(r)}
	p.Sections = append(p.Sections, report.Section{Title: "Learning", Charts: runCharts(r)})
	if s := samplesSection(samples); s != nil {
		p.Sections = append(p.Sections, *s)
	}
	settings := map[string]string{}
	for key, value := range c.Values() {
		settings[key] = fmt.Sprint(value)
	}
	machine := report.Table{Caption: "Run", Columns: []string{"", "value"}, Rows: [][]string{
		{"kernels", kernel.Name()}, {"threads", fmt.Sprint(kernel.Threads())}, {"peak memory, MiB", fmt.Sprint(peakMemory() >> 20)},
	}}
	p.Sections = append(p.Sections, report.Section{Title: "This run", Tables: []report.Table{machine, report.Settings("All settings", settings)}})
	path := filepath.Join(dir, "report.html")
	if err := report.WriteFile(path, p); err != nil {
		return err
	}
	a.say("curves and samples: %s", path)
	return nil
}

// runFacts returns the numbers that a run ended with.
func runFacts(r []metrics.Record) (out []report.Fact) {
	for _, f := range []struct {
		key, label, detail string
		digits             int
	}{
		{"train/loss", "training loss", "nats a token, the last line of metrics", 3}, {"eval/loss", "held-out loss", "nats a token, the last evaluation", 3},
		{"eval/perplexity", "perplexity", "of the held-out data", 1}, {"eval/score", "score", "the reward model's, mean of the continuations", 3},
		{"time/tokens_per_second", "tokens a second", "learnt, the last line of metrics", 0},
	} {
		if s := report.Curve("", r, f.key); len(s.Y) > 0 {
			out = append(out, report.Fact{Label: f.label, Value: report.Fixed(s.Y[len(s.Y)-1], f.digits), Detail: f.detail})
		}
	}
	return out
}

// runCharts returns the curves that a run has points of.
func runCharts(r []metrics.Record) (out []report.Chart) {
	for _, c := range []report.Chart{
		{Title: "Loss", XLabel: "step", YLabel: "nats a token", Series: []report.Series{report.Curve("training", r, "train/loss"), report.Curve("held out", r, "eval/loss")}},
		{Title: "Score", Caption: "The reward model's, of continuations of the same prompts with the same draws.", XLabel: "step", YLabel: "score",
			Series: []report.Series{report.Curve("continuations", r, "eval/score")}},
		{Title: "Learning rate", XLabel: "step", YLabel: "lr", Series: []report.Series{report.Curve("lr", r, "train/lr")}},
		{Title: "Gradient norm", Caption: "Before clipping, of the step at the line of metrics.", XLabel: "step", YLabel: "norm", Series: []report.Series{report.Curve("norm", r, "train/grad_norm")}},
		{Title: "Speed", XLabel: "step", YLabel: "learnt tokens a second", Series: []report.Series{report.Curve("tokens a second", r, "time/tokens_per_second")}},
	} {
		var with []report.Series
		for _, s := range c.Series {
			if len(s.X) > 0 {
				with = append(with, s)
			}
		}
		if c.Series = with; len(with) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// samplesSection shows the continuations of the first evaluation beside those of the last; nil if there are none.
func samplesSection(lines []sampleLine) *report.Section {
	if len(lines) == 0 {
		return nil
	}
	first, last := lines[0].Step, lines[len(lines)-1].Step
	s := report.Samples{Left: fmt.Sprintf("step %d", first), Right: fmt.Sprintf("step %d", last), Caption: "The same prompts with the same draws."}
	for _, l := range lines {
		if l.Step == first {
			s.Pairs = append(s.Pairs, report.TextPair{Prompt: l.Query, Left: l.Response, LeftNote: scoreNote(l.Score)})
		}
	}
	k := 0
	for _, l := range lines {
		if l.Step == last && k < len(s.Pairs) {
			s.Pairs[k].Right, s.Pairs[k].RightNote = l.Response, scoreNote(l.Score)
			k++
		}
	}
	return &report.Section{Title: "Continuations", Text: "What the model writes after prompts of the evaluation data.", Samples: []report.Samples{s}}
}

func scoreNote(score *float64) string {
	if score == nil {
		return ""
	}
	return "score " + report.Fixed(*score, 2)
}
