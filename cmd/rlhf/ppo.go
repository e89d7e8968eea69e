package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	cmd.Flags().StringVar(&prompts, "prompts", "", ".jsonl file of {\"prompt\"} or {\"tokens\"}")
	cmd.Flags().StringVar(&out, "out", "", "run directory; the policy is written to RUN/model")
	cmd.Flags().BoolVar(&resume, "resume", false, "continue the run in --out from its newest checkpoint")
	configs.AddFlags(cmd.Flags(), "ppo")
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
		var queries [][]int32
		for _, p := range list {
			if p.Tokens == nil {
				p.Tokens = l.tok.Encode(p.Text)
			}
			queries = append(queries, p.Tokens)
		}
		r, err := a.ppo(cmd.Context(), c.PPO, l, judge, queries, checkpoint.Run{Dir: out, Config: c.YAML(false), Resume: resume})
		if err != nil {
			return err
		}
		a.say("trained %d steps on %d episodes, score %.2f, kl %.2f: %s/model", r.Steps, r.Episodes, r.Score, r.KL, out)
		return nil
	})
	return required(cmd, "model", "reward", "prompts", "out")
}

// ppo optimises l's model in place against the reward model, from which the value network starts.
func (a *app) ppo(ctx context.Context, c ppo.Config, l language, judge *gpt.Model, queries [][]int32, run checkpoint.Run) (ppo.Result, error) {
	run.Tokenizer, run.Progress = l.files, a.progress("ppo")
	samples, err := openSamples(run)
	if err != nil {
		return ppo.Result{}, err
	}
	task := ppo.Task{Queries: queries, StopToken: l.tok.EndOfText(), Scorer: &reward.Scorer{Model: judge},
		Samples: func(step int, list []ppo.Sample) error { return samples.write(l, step, list) }}
	return ppo.Train(ctx, c, ppo.Models{Policy: l.model, Ref: l.model.Clone(), Value: judge.Clone()}, task, run, a.log)
}

// samplesFile is a run's samples.jsonl.
type samplesFile struct{ path string }

// sampleLine is one line of it.
type sampleLine struct {
	Step     int     `json:"step"`
	Query    string  `json:"query"`
	Response string  `json:"response"`
	Score    float64 `json:"score"`
	KL       float64 `json:"kl"`
}

// openSamples names a run's samples and cuts a resumed run's back to its newest checkpoint.
func openSamples(run checkpoint.Run) (samplesFile, error) {
	s := samplesFile{filepath.Join(run.Dir, "samples.jsonl")}
	if !run.Resume {
		return s, nil
	}
	step, _, err := checkpoint.Latest(filepath.Join(run.Dir, "checkpoints"))
	if err != nil && !errors.Is(err, checkpoint.ErrNone) {
		return s, fmt.Errorf("resume %s: %w", run.Dir, err)
	}
	raw, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	var keep []byte
	for line := range bytes.Lines(raw) {
		var l sampleLine
		if json.Unmarshal(line, &l) == nil && l.Step <= step {
			keep = append(keep, line...)
		}
	}
	return s, writeWhole(s.path, keep)
}

func (s samplesFile) write(l language, step int, list []ppo.Sample) error {
	var lines jsonLines
	for _, x := range list {
		if err := lines.add(sampleLine{step, l.tok.Decode(x.Query), l.tok.Decode(x.Response), x.Score, x.KL}); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(lines.Bytes())
	return errors.Join(err, f.Close())
}
