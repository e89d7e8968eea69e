package main

import (
	"context"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/gpt"
	"rlhf/gpt/hf"
	"rlhf/internal/checkpoint"
	"rlhf/internal/dataset"
	"rlhf/ppo"
	"rlhf/reward"
)

func (a *app) ppoCommand() *cobra.Command {
	var model, rewardDir, prompts, out string
	var resume bool
	cmd := &cobra.Command{Use: "ppo --model DIR --reward DIR --prompts FILE --out RUN", Short: "Optimise the policy against the reward model", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&model, "model", "", "model directory of the policy's start, which is also the reference")
	cmd.Flags().StringVar(&rewardDir, "reward", "", "model directory of the reward model, which is also the value network's start")
	cmd.Flags().StringVar(&prompts, "prompts", "", ".jsonl file of {\"prompt\"}, {\"messages\"} or {\"tokens\"}")
	cmd.Flags().StringVar(&out, "out", "", "run directory; the policy is written to RUN/model")
	cmd.Flags().BoolVar(&resume, "resume", false, "continue the run in --out from its newest checkpoint")
	configs.AddFlags(cmd.Flags(), "ppo", "chat.template")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		l, err := loadLanguage(model)
		if err != nil {
			return err
		}
		judge, err := hf.Load(rewardDir)
		if err != nil {
			return err
		}
		list, err := dataset.Collect(dataset.Prompts(a.reading(), prompts))
		if err != nil {
			return err
		}
		queries, stops, err := l.queries(list, c.Chat.Template)
		if err != nil {
			return err
		}
		run := checkpoint.Run{Dir: out, Config: c.YAML(false), Resume: resume}
		source, err := dataset.SourceOf(prompts)
		if err != nil {
			return err
		}
		run.Lineage = l.descends("ppo", []dataset.Source{source})
		rewarded, err := checkpoint.ReadLineage(rewardDir)
		if err != nil {
			return err
		}
		run.Lineage.Parents = append(run.Lineage.Parents, checkpoint.ParentOf("reward", judge, rewarded))
		r, err := a.ppo(cmd.Context(), c.PPO, l, judge, queries, stops, run)
		if err != nil {
			return err
		}
		a.say("trained %d steps on %d episodes, score %.2f, kl %.2f: %s/model", r.Steps, r.Episodes, r.Score, r.KL, out)
		return nil
	})
	return required(cmd, "model", "reward", "prompts", "out")
}

// ppo optimises l's model in place against the reward model, from which the value network starts.
func (a *app) ppo(ctx context.Context, c ppo.Config, l language, judge *gpt.Model, queries [][]int32, stops []int32, run checkpoint.Run) (ppo.Result, error) {
	run.Tokenizer, run.Progress = l.files, a.progress("ppo")
	samples, err := openSamples(run)
	if err != nil {
		return ppo.Result{}, err
	}
	stop := int32(-1)
	if len(stops) > 0 {
		stop = stops[0]
	}
	task := ppo.Task{Queries: queries, StopToken: stop, Scorer: &reward.Scorer{Model: judge},
		Samples: func(step int, list []ppo.Sample) error {
			lines := make([]sampleLine, len(list))
			for i, x := range list {
				lines[i] = sampleLine{step, l.tok.Decode(x.Query), l.tok.Decode(x.Response), &x.Score, &x.KL}
			}
			return samples.write(lines)
		}}
	return ppo.Train(ctx, c, ppo.Models{Policy: l.model, Ref: l.model.Clone(), Value: judge.Clone()}, task, run, a.log)
}
