package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/internal/checkpoint"
	"rlhf/sft"
)

func (a *app) pretrainCommand() *cobra.Command {
	var data, eval []string
	var tokenizer, out string
	var resume bool
	cmd := &cobra.Command{Use: "pretrain --tokenizer DIR --data FILE… --out RUN", Short: "Train a base GPT from scratch on text, every token a target", Args: cobra.NoArgs}
	cmd.Flags().StringSliceVar(&data, "data", nil, ".txt files, each one document, or .jsonl files of {\"text\"}")
	cmd.Flags().StringSliceVar(&eval, "eval", nil, "files of the same kind to measure the loss on")
	cmd.Flags().StringVar(&tokenizer, "tokenizer", "", "directory with vocab.json and merges.txt")
	cmd.Flags().StringVar(&out, "out", "", "run directory; the model is written to RUN/model")
	cmd.Flags().BoolVar(&resume, "resume", false, "continue the run in --out from its newest checkpoint")
	configs.AddFlags(cmd.Flags(), "model", "pretrain")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		tok, err := bpe.Load(tokenizer)
		if err != nil {
			return err
		}
		var sets [2]sft.Examples
		for i, files := range [][]string{data, eval} {
			texts, err := readTexts(a.reading(), files)
			if err != nil {
				return err
			}
			sets[i] = documents(tok, texts, c.Model.NPositions)
		}
		_, r, err := a.pretrain(cmd.Context(), c.Config, tok, sets[0], sets[1], checkpoint.Run{Dir: out, Config: c.YAML(false), Resume: resume})
		if err != nil {
			return err
		}
		a.say("trained %d steps, loss %.3f a token%s: %s/model", r.Steps, r.TrainLoss, evaluated(r), out)
		return nil
	})
	return required(cmd, "data", "tokenizer", "out")
}

// pretrain trains a model from scratch.
func (a *app) pretrain(ctx context.Context, c configs.Config, tok *bpe.Tokenizer, train, eval sft.Examples, run checkpoint.Run) (*gpt.Model, sft.Result, error) {
	m, err := gpt.New(gpt.Config{VocabSize: tok.VocabSize(), NPositions: c.Model.NPositions, NEmbd: c.Model.NEmbd, NLayer: c.Model.NLayer, NHead: c.Model.NHead, LayerNormEpsilon: 1e-5})
	if err != nil {
		return nil, sft.Result{}, err
	}
	m.Init(c.Model.Seed)
	run.Tokenizer, run.Progress = tokenizerFiles(tok), a.progress("pretrain")
	r, err := sft.Train(ctx, c.Pretrain, m, sft.Task{Train: train, Eval: eval}, run, a.log)
	return m, r, err
}

// documents returns texts, each ended by the end-of-text token, in pieces of at most n tokens.
func documents(tok *bpe.Tokenizer, texts []string, n int) sft.Examples {
	var out sft.Examples
	for _, text := range texts {
		ids := tok.Encode(text)
		if id := tok.EndOfText(); id >= 0 {
			ids = append(ids, id)
		}
		for len(ids) > 1 {
			end := min(n, len(ids))
			out = append(out, sft.Example{Tokens: ids[:end]})
			ids = ids[end:]
		}
	}
	return out
}

// evaluated describes the evaluation of a run, if there was one.
func evaluated(r sft.Result) string {
	if r.EvalLoss != r.EvalLoss {
		return ""
	}
	return fmt.Sprintf(", evaluated %.3f (perplexity %.1f)", r.EvalLoss, r.Perplexity)
}
