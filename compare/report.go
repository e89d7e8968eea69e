package compare

import (
	"fmt"
	"os"
	"path/filepath"

	"rlhf/internal/report"
)

// Page returns the result as a page of its own with the first shown pairs of answers.
func (r Result) Page(shown int) report.Page {
	return report.Page{
		Title: fmt.Sprintf("%s and %s compared", r.Before, r.After),
		Lead: fmt.Sprintf("Both models answered the same %s prompts with the same random numbers; the judge “%s” compared the answers.",
			report.Count(r.Prompts), r.Judge.Name),
		Verdict:  r.Verdict(),
		Facts:    r.Facts(),
		Sections: []report.Section{r.Section(), r.SampleSection(shown), r.SettingsSection()},
	}
}

// significance is the p-value below which the verdict calls a preference clear.
const significance = 0.05

// Verdict says in a sentence whether the judge prefers after, and how sure that is.
func (r Result) Verdict() report.Verdict {
	j := r.Judge
	numbers := fmt.Sprintf("%s of %s answers, ties counted as half (95\u00a0%% interval %s to %s; exact sign test %s)",
		report.Percent(j.WinRate), report.Count(r.Prompts), report.Percent(j.Interval[0]), report.Percent(j.Interval[1]), pValue(j.P))
	switch {
	case j.P >= significance:
		return report.Verdict{Text: "No clear difference: the judge prefers after to before in " + numbers + "."}
	case j.WinRate > 0.5:
		return report.Verdict{Tone: report.Good, Text: "It got better: the judge prefers after to before in " + numbers + "."}
	}
	return report.Verdict{Tone: report.Bad, Text: "It got worse: the judge prefers after to before in only " + numbers + "."}
}

func pValue(p float64) string {
	if p < 0.0001 {
		return "p\u00a0<\u00a00.0001"
	}
	return "p\u00a0=\u00a0" + report.Fixed(p, 4)
}

// Facts returns the headline numbers: the win rate and what it cost.
func (r Result) Facts() []report.Fact {
	j := r.Judge
	win := report.Fact{Label: "Win rate of after", Value: report.Percent(j.WinRate),
		Detail: fmt.Sprintf("%s to %s", report.Percent(j.Interval[0]), report.Percent(j.Interval[1]))}
	if j.P < significance {
		win.Tone = report.Good
		if j.WinRate < 0.5 {
			win.Tone = report.Bad
		}
	}
	return []report.Fact{
		win,
		{Label: "KL of after from before", Value: report.Fixed(r.KL, 2), Detail: "± " + report.Fixed(r.KLStandardError, 2) + " nats an answer"},
		{Label: "Perplexity, after", Value: report.Fixed(r.Perplexity.After, 1),
			Detail: "before " + report.Fixed(r.Perplexity.Before, 1)},
		{Label: "Distinct word pairs, after", Value: report.Fixed(r.Distinct2.After, 2), Detail: "before " + report.Fixed(r.Distinct2.Before, 2)},
		{Label: "Answer length, after", Value: report.Fixed(r.Length.After, 1), Detail: fmt.Sprintf("before %s, in tokens", report.Fixed(r.Length.Before, 1))},
	}
}

// Section returns the comparison in numbers.
func (r Result) Section() report.Section {
	j := r.Judge
	return report.Section{
		Title: "Before and after",
		Text: fmt.Sprintf("Before is %s, after is %s. A win rate of one half means no difference. Divergence, perplexity and variety say "+
			"what the preference cost: a model that found one pleasing phrase wins as well, but its variety falls.", r.Before, r.After),
		Intervals: []report.Intervals{{
			Title: "How often after is preferred", XLabel: "share of prompts, ties as half", Min: 0, Max: 1,
			Reference: 0.5, ReferenceLabel: "no difference",
			Rows:    []report.Interval{{Label: j.Name, Value: j.WinRate, Low: j.Interval[0], High: j.Interval[1]}},
			Caption: fmt.Sprintf("%s wins, %s losses, %s ties.%s", report.Count(j.Wins), report.Count(j.Losses), report.Count(j.Ties), r.lengthBias()),
		}},
		Tables: []report.Table{{
			Caption: "Before and after in numbers", Columns: []string{"", "before", "after"},
			Rows: [][]string{
				row("mean score of the judge", j.Score, 3),
				row("perplexity under "+r.Base, r.Perplexity, 1),
				row("distinct word pairs", r.Distinct2, 3),
				row("tokens an answer", r.Length, 1),
				{"ended with a stop token", report.Count(r.FinishReasons.Before["stop"]), report.Count(r.FinishReasons.After["stop"])},
				{"cut at the limit", report.Count(r.FinishReasons.Before["length"]), report.Count(r.FinishReasons.After["length"])},
				{"KL from before, nats an answer", "0", report.Fixed(r.KL, 2)},
			},
		}},
	}
}

func row(label string, p Pair, decimals int) []string {
	return []string{label, report.Fixed(p.Before, decimals), report.Fixed(p.After, decimals)}
}

func (r Result) lengthBias() string {
	if r.Judge.LongerWins == nil {
		return ""
	}
	return fmt.Sprintf(" Where the lengths differ, the longer answer wins in %s.", report.Percent(*r.Judge.LongerWins))
}

// SampleSection returns the first shown pairs of answers side by side.
func (r Result) SampleSection(shown int) report.Section {
	s := report.Samples{Left: "Before", Right: "After"}
	for _, p := range r.Samples[:min(shown, len(r.Samples))] {
		pair := report.TextPair{
			Prompt: p.Prompt, Left: p.Before, Right: p.After,
			LeftNote: "score " + report.Fixed(p.BeforeScore, 2), RightNote: "score " + report.Fixed(p.AfterScore, 2),
		}
		switch p.Winner {
		case winnerBefore:
			pair.Preferred = report.Left
		case winnerAfter:
			pair.Preferred = report.Right
		}
		s.Pairs = append(s.Pairs, pair)
	}
	return report.Section{
		Title: "Samples", Samples: []report.Samples{s},
		Text: fmt.Sprintf("The first %s of the %s prompts, not picked by anyone, with both answers.", report.Count(len(s.Pairs)), report.Count(len(r.Samples))),
	}
}

// SettingsSection returns the settings of the study.
func (r Result) SettingsSection() report.Section {
	c := r.Settings
	return report.Section{Title: "Settings of the comparison", Tables: []report.Table{{
		Caption: "As used", Columns: []string{"setting", "value"},
		Rows: [][]string{
			{"prompts", report.Count(r.Prompts)}, {"response_length", report.Count(c.ResponseLength)},
			{"temperature", fmt.Sprint(c.Temperature)}, {"tie_margin", fmt.Sprint(c.TieMargin)}, {"seed", fmt.Sprint(c.Seed)},
			{"judge", r.Judge.Name},
		},
	}}}
}

// WriteFiles writes compare.json and compare.html, with the first shown pairs of
// answers, into a directory, which it makes if need be. Each file appears whole
// or not at all.
func (r Result) WriteFiles(dir string, shown int) error {
	data, err := r.JSON()
	if err != nil {
		return fmt.Errorf("write compare.json: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if err := report.WriteWhole(filepath.Join(dir, "compare.json"), data); err != nil {
		return err
	}
	return report.WriteFile(filepath.Join(dir, "compare.html"), r.Page(shown))
}
