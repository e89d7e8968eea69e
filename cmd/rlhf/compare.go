package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rlhf/compare"
	"rlhf/configs"
	"rlhf/gpt/hf"
	"rlhf/internal/dataset"
	"rlhf/reward"
)

func (a *app) compareCommand() *cobra.Command {
	var before, after, base, judge, prompts, out string
	cmd := &cobra.Command{Use: "compare --before DIR --after DIR --judge DIR --prompts FILE --out DIR", Short: "Two models answer the same held-out prompts, a judge prefers", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&before, "before", "", "model directory")
	cmd.Flags().StringVar(&after, "after", "", "model directory")
	cmd.Flags().StringVar(&base, "base", "", "model directory that measures perplexity; --before by default")
	cmd.Flags().StringVar(&judge, "judge", "", "model directory of a reward model; it judges fairly only if neither model was trained on it")
	cmd.Flags().StringVar(&prompts, "prompts", "", ".jsonl file of {\"prompt\"}, {\"messages\"} or {\"tokens\"} that no stage has seen")
	cmd.Flags().StringVar(&out, "out", "", "directory for compare.json and compare.html")
	configs.AddFlags(cmd.Flags(), "compare", "chat.template")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		study := compare.Study{}
		first, err := loadLanguage(before)
		if err != nil {
			return err
		}
		study.Before, study.Tokenizer = compare.Side{Name: before, Model: first.model}, first.tok
		second, err := hf.Load(after)
		if err != nil {
			return err
		}
		study.After = compare.Side{Name: after, Model: second}
		if base != "" {
			m, err := hf.Load(base)
			if err != nil {
				return err
			}
			study.Base = compare.Side{Name: base, Model: m}
		}
		scorer, err := hf.Load(judge)
		if err != nil {
			return err
		}
		study.Judge = compare.TokenJudge(judge, (&reward.Scorer{Model: scorer}).Scores)
		list, err := dataset.Collect(dataset.Prompts(a.reading(), prompts))
		if err != nil {
			return err
		}
		queries, stops, err := first.queries(list, c.Chat.Template)
		if err != nil {
			return err
		}
		study.StopTokens = stops
		for i, p := range list {
			if p.Messages != nil {
				p.Text = first.tok.DecodeSpecial(queries[i])
			}
			study.Prompts = append(study.Prompts, compare.Prompt{Text: p.Text, Tokens: queries[i]})
		}
		r, err := a.compare(cmd.Context(), c.Compare, study)
		if err != nil {
			return err
		}
		if err := r.WriteFiles(out, c.Compare.ShownSamples); err != nil {
			return err
		}
		fmt.Fprintln(a.out, verdict(r))
		a.say("%s/compare.html", out)
		return nil
	})
	return required(cmd, "before", "after", "judge", "prompts", "out")
}

// compare runs a study and shows how far it is.
func (a *app) compare(ctx context.Context, c compare.Config, study compare.Study) (compare.Result, error) {
	bar := a.progress("compare")
	study.Progress = func(done, total int) {
		bar.Total(total)
		bar.Set(done, "")
	}
	r, err := compare.Run(ctx, c, study)
	bar.Done()
	return r, err
}

// verdict is a study's outcome in one line.
func verdict(r compare.Result) string {
	return fmt.Sprintf("%s prefers after in %.1f %% of %d prompts (95 %% %.1f to %.1f, p %.2g); kl %.2f; length %.1f → %.1f; perplexity %.1f → %.1f; distinct-2 %.2f → %.2f",
		r.Judge.Name, 100*r.Judge.WinRate, r.Prompts, 100*r.Judge.Interval[0], 100*r.Judge.Interval[1], r.Judge.P, r.KL,
		r.Length.Before, r.Length.After, r.Perplexity.Before, r.Perplexity.After, r.Distinct2.Before, r.Distinct2.After)
}
