package main

import (
	"fmt"
	"path/filepath"
	"time"

	"rlhf/internal/dataset"
	"rlhf/internal/kernel"
	"rlhf/internal/metrics"
	"rlhf/internal/report"
	"rlhf/labeling/figures"
)

// writeReport writes report.html from what the run measured.
func (d *demo) writeReport() error {
	records := map[string][]metrics.Record{}
	for _, stage := range []string{"pretrain", "sft", "reward", "ppo"} {
		list, err := metrics.Read(filepath.Join(d.dir, stage, "metrics.jsonl"))
		if err != nil {
			return err
		}
		records[stage] = list
	}
	p := report.Page{
		Title: "Learning from rankings, before and after",
		Lead: fmt.Sprintf("A GPT of %.2f million parameters, trained from scratch on movie reviews, learnt from %s rankings to continue a review more warmly and still sensibly.",
			float64(len(d.base.model.Theta))/1e6, report.Count(len(d.rankings))),
		Verdict:  d.study.Verdict(),
		Facts:    d.study.Facts(),
		Sections: []report.Section{d.study.SampleSection(d.c.Compare.ShownSamples), d.ppoSection(records["ppo"]), d.rewardSection(records["reward"]), d.lossSection(records), d.study.Section(), d.runSection()},
		Footer:   dataset.Licence(),
	}
	return report.WriteFile(filepath.Join(d.dir, "report.html"), p)
}

func (d *demo) ppoSection(r []metrics.Record) report.Section {
	return report.Section{
		Title: "PPO",
		Text: "The policy earns the reward model's score and pays for its distance from the SFT model, measured as KL divergence in nats an episode. " +
			"In the first minibatch of every batch the ratio of new to old probabilities is exactly 1, since sampler and trainer compute the same bits.",
		Charts: []report.Chart{
			{Title: "Reward against KL", Caption: "The way of the policy, batch by batch.", XLabel: "KL, nats an episode", YLabel: "score", Path: true,
				Series: []report.Series{report.Trajectory("policy", r, "objective/kl", "objective/score")}},
			{Title: "Score", XLabel: "batch", YLabel: "score", Series: []report.Series{report.Curve("score", r, "objective/score"), report.Curve("score less KL penalty", r, "objective/score_total")}},
			{Title: "KL", XLabel: "batch", YLabel: "nats an episode", Series: []report.Series{report.Curve("KL", r, "objective/kl")}, References: d.klTarget()},
			{Title: "Response length", XLabel: "batch", YLabel: "tokens", Series: []report.Series{report.Curve("tokens", r, "objective/length")}},
		},
	}
}

func (d *demo) klTarget() []report.Reference {
	if d.c.PPO.KLController != "adaptive" {
		return nil
	}
	return []report.Reference{{Label: "target", Y: d.c.PPO.KLTarget}}
}

func (d *demo) rewardSection(r []metrics.Record) report.Section {
	s := report.Section{
		Title: "Rankings and reward model",
		Text:  fmt.Sprintf("%s rankings of %d completions each went through the labeling server into the database%s. Ties teach nothing and are left out.", report.Count(len(d.rankings)), d.c.Sample.N, d.agreed()),
		Charts: []report.Chart{
			{Title: "Accuracy", Caption: "Share of pairs that the scores order as the labeler did.", XLabel: "step", YLabel: "accuracy",
				Series:     []report.Series{report.Curve("training", r, "train/accuracy"), report.Curve("held out", r, "eval/accuracy")},
				References: []report.Reference{{Label: "chance", Y: .5}}},
			{Title: "Loss of the reward model", XLabel: "step", YLabel: "nats a prompt", Series: []report.Series{report.Curve("training", r, "train/loss"), report.Curve("held out", r, "eval/loss")}},
		},
	}
	if d.agreement.Pairs > 0 {
		s.Intervals = []report.Intervals{{Title: "Agreement of the labelers", XLabel: "share of pairs", Min: 0, Max: 1, Rows: []report.Interval{
			bar("strict", d.agreement.Strict), bar("ties as half", d.agreement.TiesHalf),
		}}}
	}
	return s
}

// bar draws an estimate that has an interval or else its value alone.
func bar(label string, e *figures.Estimate) report.Interval {
	i := report.Interval{Label: label, Value: e.Value, Low: e.Value, High: e.Value}
	if e.Low != nil {
		i.Low, i.High = *e.Low, *e.High
	}
	return i
}

func (d *demo) lossSection(r map[string][]metrics.Record) report.Section {
	chart := func(title string, records []metrics.Record) report.Chart {
		return report.Chart{Title: title, XLabel: "step", YLabel: "nats a token",
			Series: []report.Series{report.Curve("training", records, "train/loss"), report.Curve("held out", records, "eval/loss")}}
	}
	return report.Section{Title: "Base model and SFT", Text: "Cross-entropy on training batches and on reviews that are not trained on.",
		Charts: []report.Chart{chart("Pretraining", r["pretrain"]), chart("SFT, on the completion only", r["sft"])}}
}

func (d *demo) runSection() report.Section {
	times := report.Table{Caption: "Time", Columns: []string{"stage", "seconds"}}
	for _, t := range d.times {
		times.Rows = append(times.Rows, []string{t.name, report.Fixed(t.took.Seconds(), 1)})
	}
	times.Rows = append(times.Rows, []string{"all", report.Fixed(time.Since(d.start).Seconds(), 1)})
	machine := report.Table{Caption: "Run", Columns: []string{"", "value"}, Rows: [][]string{
		{"kernels", kernel.Name()}, {"threads", fmt.Sprint(kernel.Threads())}, {"peak memory, MiB", fmt.Sprint(peakMemory() >> 20)},
		{"the labelers' taste is right on the judge's labels", report.Percent(d.tasteRight)}, {"the judge is right on theirs", report.Percent(d.judgeRight)},
	}}
	settings := map[string]string{}
	for key, value := range d.c.Values() {
		settings[key] = fmt.Sprint(value)
	}
	return report.Section{Title: "This run", Tables: []report.Table{times, machine, report.Settings("All settings", settings)}}
}
