package main

import (
	"context"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/internal/checkpoint"
	"rlhf/internal/dataset"
	"rlhf/sft"
)

func (a *app) sftCommand() *cobra.Command {
	var data, eval []string
	var model, out string
	var resume bool
	cmd := &cobra.Command{Use: "sft --model DIR --data FILE… --out RUN", Short: "Fine-tune on demonstrations, with the loss on the completion only", Args: cobra.NoArgs}
	cmd.Flags().StringSliceVar(&data, "data", nil, ".jsonl files of {\"prompt\",\"completion\"}")
	cmd.Flags().StringSliceVar(&eval, "eval", nil, "files of the same kind to measure the loss on")
	cmd.Flags().StringVar(&model, "model", "", "model directory to start from")
	cmd.Flags().StringVar(&out, "out", "", "run directory; the model is written to RUN/model")
	cmd.Flags().BoolVar(&resume, "resume", false, "continue the run in --out from its newest checkpoint")
	configs.AddFlags(cmd.Flags(), "sft")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		base, err := loadLanguage(model)
		if err != nil {
			return err
		}
		var sets [2]sft.Examples
		for i, files := range [][]string{data, eval} {
			d, err := readDemonstrations(a.reading(), files)
			if err != nil {
				return err
			}
			var cut, dropped int
			if sets[i], cut, dropped = demonstrations(base, d); cut+dropped > 0 {
				a.say("%v: %d of %d completions cut to fit %d tokens, %d dropped whose prompt alone fills them", files, cut, len(d), base.model.Config.NPositions, dropped)
			}
		}
		r, err := a.sft(cmd.Context(), c.Config, base, sets[0], sets[1], checkpoint.Run{Dir: out, Config: c.YAML(false), Resume: resume})
		if err != nil {
			return err
		}
		a.say("trained %d steps, loss %.3f a token%s: %s/model", r.Steps, r.TrainLoss, evaluated(r), out)
		return nil
	})
	return required(cmd, "data", "model", "out")
}

// sft fine-tunes a model in place.
func (a *app) sft(ctx context.Context, c configs.Config, l language, train, eval sft.Examples, run checkpoint.Run) (sft.Result, error) {
	run.Tokenizer, run.Progress = l.files, a.progress("sft")
	return sft.Train(ctx, c.SFT, l.model, sft.Task{Train: train, Eval: eval}, run, a.log)
}

// demonstrations returns prompts with their completions and the end-of-text token. A completion too long for the
// model is cut; a prompt that leaves no room is dropped.
func demonstrations(l language, data []dataset.Demonstration) (out sft.Examples, cut, dropped int) {
	n := l.model.Config.NPositions
	for _, d := range data {
		prompt := l.tok.Encode(d.Prompt)
		tokens := append(prompt, l.withEnd(d.Completion)...)
		if len(tokens) > n {
			cut++
			tokens = tokens[:n]
		}
		if len(tokens) > max(len(prompt), 1) {
			out = append(out, sft.After(len(prompt), tokens))
		} else {
			dropped++
		}
	}
	return out, cut, dropped
}
