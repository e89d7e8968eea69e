package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/gpt/hf"
	"rlhf/internal/checkpoint"
	"rlhf/internal/dataset"
	"rlhf/reward"
	"rlhf/sft"
)

// tuning is what the sft command is told.
type tuning struct {
	data, eval, pretrainData []string
	model, out, reward       string
	cache                    string
	resume                   bool
	options                  dataset.Options
	c                        configs.Resolved
	l                        language
}

func (a *app) sftCommand() *cobra.Command {
	t := &tuning{}
	cmd := &cobra.Command{Use: "sft --model DIR --data FILE… --out RUN", Short: "Fine-tune on demonstrations, with the loss on what the assistant says", Args: cobra.NoArgs}
	f := cmd.Flags()
	f.StringSliceVar(&t.data, "data", nil, "demonstrations in any format of rlhf data formats")
	f.StringSliceVar(&t.eval, "eval", nil, "files of the same kinds to measure the loss on, and whose prompts are continued")
	f.StringSliceVar(&t.pretrainData, "pretrain_data", nil, "text to mix in, sft.pretrain_share of all sequences")
	f.StringVar(&t.model, "model", "", "model directory to start from")
	f.StringVar(&t.reward, "reward", "", "reward model directory that scores the continuations of every evaluation")
	f.StringVar(&t.out, "out", "", "run directory; the model is written to RUN/model")
	f.StringVar(&t.cache, "cache", "", "directory in which encoded pretraining data is kept (default RUN/cache)")
	f.BoolVar(&t.resume, "resume", false, "continue the run in --out from its newest checkpoint")
	formatFlag(cmd, &t.options)
	skipFlag(cmd, &t.options)
	textFlags(cmd, &t.options)
	talkFlags(cmd, &t.options)
	configs.AddFlags(f, "sft", "chat.template")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) (err error) {
		if t.c, err = a.settings(cmd.Flags()); err != nil {
			return err
		}
		run := checkpoint.Run{Dir: t.out, Config: t.c.YAML(false), Resume: t.resume}
		if err := run.Check(); err != nil {
			return err
		}
		if t.l, err = loadLanguage(t.model); err != nil {
			return err
		}
		return t.run(cmd.Context(), a, run)
	})
	return required(cmd, "data", "model", "out")
}

func (t *tuning) run(ctx context.Context, a *app, run checkpoint.Run) error {
	c := t.c.SFT
	x, err := newExampler(t.l, t.c.Chat.Template, c)
	if err != nil {
		return fmt.Errorf("sft.%w", err)
	}
	train, sources, err := a.readDemonstrations(t.options, x, t.data)
	if err != nil {
		return err
	}
	held, _, err := a.readDemonstrations(t.options, x, t.eval)
	if err != nil {
		return err
	}
	task := sft.Task{Train: packed(train.examples, c.Packing, x.n), Eval: packed(held.examples, c.Packing, x.n), StopTokens: t.l.stops()}
	if train.talks {
		spoken, err := x.template()
		if err != nil {
			return err
		}
		task.StopTokens = spoken.StopTokens()
		t.l = t.l.speaking(spoken)
	}
	prompts := held.prompts
	if len(prompts) == 0 {
		prompts = train.prompts
	}
	task.Prompts = fitting(prompts, x.n, c.EvalPrompts)
	if err := t.mix(a, &task, x.n); err != nil {
		return err
	}
	run.Lineage = t.l.descends("sft", sources)
	if err := t.judge(&task, run.Lineage); err != nil {
		return err
	}
	r, err := a.learn(ctx, "sft", c, t.l, task, run)
	if err != nil {
		return err
	}
	a.say("%s: %s/model", trained(r), t.out)
	return a.writeRunReport(t.out, "Supervised fine-tuning", t.c)
}

// mix adds the pretraining data, if there is any.
func (t *tuning) mix(a *app, task *sft.Task, n int) error {
	if len(t.pretrainData) == 0 {
		return nil
	}
	if t.cache == "" {
		t.cache = filepath.Join(t.out, "cache")
	}
	o := t.options
	o.Format = "auto" // --format is that of the demonstrations
	text, err := a.readCorpus(o, t.l.tok, t.pretrainData, t.cache)
	if err != nil {
		return err
	}
	task.Pretrain = text.source(true, n) // open until the process ends
	return nil
}

// judge adds the reward model, if there is one.
func (t *tuning) judge(task *sft.Task, lineage *checkpoint.Lineage) error {
	if t.reward == "" {
		return nil
	}
	m, err := hf.Load(t.reward)
	if err != nil {
		return err
	}
	if got, want := m.Config.VocabSize, t.l.tok.VocabSize(); got < want {
		return fmt.Errorf("%s: the reward model has %d tokens, the tokenizer %d", t.reward, got, want)
	}
	if got, want := m.Config.NPositions, t.l.model.Config.NPositions; got < want {
		return fmt.Errorf("%s: the reward model takes %d tokens, the model %d", t.reward, got, want)
	}
	if t.c.SFT.EvalPrompts == 0 {
		return errors.New("sft.eval_prompts: is 0, but a reward model is to score continuations")
	}
	known, err := checkpoint.ReadLineage(t.reward)
	if err != nil {
		return err
	}
	lineage.Parents = append(lineage.Parents, checkpoint.ParentOf("reward", m, known))
	task.Scorer = &reward.Scorer{Model: m}
	return nil
}

// packed returns examples as they are or in blocks of n tokens.
func packed(x sft.Examples, packing bool, n int) sft.Source {
	if packing {
		return sft.Pack(x, n)
	}
	return x
}

// learn runs pretraining or SFT: the loop is the same.
func (a *app) learn(ctx context.Context, stage string, c sft.Config, l language, task sft.Task, run checkpoint.Run) (sft.Result, error) {
	run.Tokenizer, run.Progress = l.files, a.progress(stage)
	samples, err := openSamples(run)
	if err != nil {
		return sft.Result{}, err
	}
	task.Samples = func(step int, list []sft.Sample) error {
		lines := make([]sampleLine, len(list))
		for i, x := range list {
			lines[i] = sampleLine{Step: step, Query: l.tok.DecodeSpecial(x.Prompt), Response: l.tok.DecodeSpecial(x.Completion), Score: known(x.Score)}
		}
		return samples.write(lines)
	}
	return sft.Train(ctx, c, l.model, task, run, a.log)
}
