package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/internal/checkpoint"
	"rlhf/internal/dataset"
	"rlhf/sft"
)

// pretraining is what the pretrain command is told.
type pretraining struct {
	data, eval            []string
	model, tokenizer, out string
	cache, prompts        string
	resume                bool
	options               dataset.Options
	c                     configs.Resolved
	l                     language
	train, held           texts
}

func (a *app) pretrainCommand() *cobra.Command {
	p := &pretraining{}
	cmd := &cobra.Command{Use: "pretrain (--tokenizer DIR | --model DIR) --data FILE… --out RUN", Short: "Train a base GPT on text, every token a target, from scratch or from a model", Args: cobra.NoArgs}
	f := cmd.Flags()
	f.StringSliceVar(&p.data, "data", nil, "files and directories of text: .txt, .jsonl of {\"text\"}, .gz, .zst, .parquet")
	f.StringSliceVar(&p.eval, "eval", nil, "files of the same kinds to measure the loss on")
	f.StringVar(&p.tokenizer, "tokenizer", "", "directory of the tokenizer of a new model")
	f.StringVar(&p.model, "model", "", "model directory to go on from, with its tokenizer")
	f.StringVar(&p.out, "out", "", "run directory; the model is written to RUN/model")
	f.StringVar(&p.cache, "cache", "", "directory in which the encoded data is kept for other runs too (default RUN/cache)")
	f.StringVar(&p.prompts, "prompts", "", "JSON lines of {\"prompt\"} to continue at every evaluation (default: the beginnings of the evaluation data)")
	f.BoolVar(&p.resume, "resume", false, "continue the run in --out from its newest checkpoint")
	formatFlag(cmd, &p.options)
	skipFlag(cmd, &p.options)
	textFlags(cmd, &p.options)
	configs.AddFlags(f, "model", "pretrain")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) (err error) {
		if p.c, err = a.settings(cmd.Flags()); err != nil {
			return err
		}
		if p.c.Pretrain.CompletionOnlyLoss {
			return fmt.Errorf("%w: pretrain.completion_only_loss: text has no completions", configs.ErrSetting)
		}
		return p.run(cmd.Context(), a)
	})
	return required(cmd, "data", "out")
}

// start loads the model to go on from, or makes a new one.
func (p *pretraining) start() (err error) {
	if (p.model == "") == (p.tokenizer == "") {
		return errors.New("name a --tokenizer for a new model, or a --model to go on from")
	}
	if p.model != "" {
		p.l, err = loadLanguage(p.model)
		return err
	}
	tok, err := bpe.Load(p.tokenizer)
	if err != nil {
		return err
	}
	p.l, err = newLanguage(tok, p.c.Model)
	return err
}

// newLanguage returns a new model for a tokenizer.
func newLanguage(tok *bpe.Tokenizer, c configs.Model) (language, error) {
	m, err := gpt.New(gpt.Config{VocabSize: tok.VocabSize(), NPositions: c.NPositions, NEmbd: c.NEmbd, NLayer: c.NLayer, NHead: c.NHead, LayerNormEpsilon: 1e-5})
	if err != nil {
		return language{}, err
	}
	m.Init(c.Seed)
	return language{model: m, tok: tok, files: tokenizerFiles(tok)}, nil
}

func (p *pretraining) run(ctx context.Context, a *app) error {
	run := checkpoint.Run{Dir: p.out, Config: p.c.YAML(false), Resume: p.resume}
	if err := run.Check(); err != nil {
		return err
	}
	if err := p.start(); err != nil {
		return err
	}
	c := p.c.Pretrain
	n, err := maxLength(c, p.l.model.Config.NPositions)
	if err != nil {
		return fmt.Errorf("pretrain.%w", err)
	}
	if p.cache == "" {
		p.cache = filepath.Join(p.out, "cache")
	}
	task := sft.Task{StopTokens: p.l.stops()}
	if p.train, err = a.readCorpus(p.options, p.l.tok, p.data, p.cache); err != nil {
		return err
	}
	defer p.train.Close()
	task.Train = p.train.source(c.Packing, n)
	if len(p.eval) > 0 {
		if p.held, err = a.readCorpus(p.options, p.l.tok, p.eval, p.cache); err != nil {
			return err
		}
		defer p.held.Close()
		task.Eval = p.held.source(c.Packing, n)
	}
	if task.Prompts, err = p.beginnings(a, n); err != nil {
		return err
	}
	run.Lineage = p.l.descends("pretrain", p.train.sources)
	if p.model == "" {
		run.Lineage.Parents = nil
	}
	r, err := a.learn(ctx, "pretrain", c, p.l, task, run)
	if err != nil {
		return err
	}
	a.say("%s: %s/model", trained(r), p.out)
	return a.writeRunReport(p.out, "Pretraining", p.c)
}

// beginnings returns the prompts to continue at every evaluation.
func (p *pretraining) beginnings(a *app, n int) (out [][]int32, err error) {
	c := p.c.Pretrain
	if p.prompts != "" {
		list, err := dataset.Collect(dataset.Prompts(a.reading(), p.prompts))
		if err != nil {
			return nil, err
		}
		out, _, err = p.l.queries(list, p.c.Chat.Template)
		return fitting(out, n, len(out)), err
	}
	if p.held.corpus == nil {
		return nil, nil
	}
	const beginning = 16
	pieces := p.held.corpus.Pieces(n)
	for i := range min(pieces.Len(), c.EvalPrompts) {
		ids := pieces.IDs(i)
		out = append(out, ids[:min(beginning, (len(ids)+1)/2)])
	}
	return fitting(out, n, c.EvalPrompts), nil
}

// fitting returns up to most prompts that leave room for a continuation within n tokens.
func fitting(prompts [][]int32, n, most int) (out [][]int32) {
	for _, p := range prompts {
		if len(p) > 0 && len(p) < n && len(out) < most {
			out = append(out, p)
		}
	}
	return out
}

// documents returns texts, each ended by the end-of-text token, in pieces of at most n tokens.
func documents(tok *bpe.Tokenizer, texts []string, n int) sft.Examples {
	var out sft.Examples
	for _, text := range texts {
		ids := tok.Encode(text)
		if id := tok.EndOfText(); id >= 0 {
			ids = append(ids, id)
		}
		for from := 0; from+1 < len(ids); from += n - 1 { // they overlap in a token, so that every one but the first follows another
			out = append(out, sft.Example{Tokens: ids[from:min(from+n, len(ids))]})
		}
	}
	return out
}

// trained describes what a run of pretraining or SFT ended with.
func trained(r sft.Result) string {
	s := fmt.Sprintf("trained %d steps, loss %.3f a token%s", r.Steps, r.TrainLoss, evaluated(r))
	if r.Stopped {
		s += ", stopped early"
	}
	if r.BestStep != r.Steps {
		s += fmt.Sprintf(", the model is that of step %d", r.BestStep)
	}
	return s
}

// evaluated describes the evaluation of a run, if there was one.
func evaluated(r sft.Result) (s string) {
	if r.EvalLoss == r.EvalLoss {
		s = fmt.Sprintf(", evaluated %.3f (perplexity %.1f)", r.EvalLoss, r.Perplexity)
	}
	if r.Score == r.Score {
		s += fmt.Sprintf(", score %.3f", r.Score)
	}
	return s
}
