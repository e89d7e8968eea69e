package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/gpt"
	"rlhf/internal/checkpoint"
	"rlhf/internal/dataset"
	"rlhf/internal/rng"
	"rlhf/labeling/exchange"
	"rlhf/reward"
	"rlhf/storage"
)

func (a *app) rewardCommand() *cobra.Command {
	var data []string
	var db, project, model, out string
	var resume bool
	cmd := &cobra.Command{Use: "reward --model DIR (--db FILE | --data FILE…) --out RUN", Short: "Train a reward model on the rankings", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&db, "db", "", "labeling database with the rankings")
	cmd.Flags().StringVar(&project, "project", "", "project of the database; all by default")
	cmd.Flags().StringSliceVar(&data, "data", nil, "files of rankings instead, in any format that data formats lists")
	cmd.Flags().StringVar(&model, "model", "", "model directory to start from, usually the SFT model")
	cmd.Flags().StringVar(&out, "out", "", "run directory; the model is written to RUN/model")
	cmd.Flags().BoolVar(&resume, "resume", false, "continue the run in --out from its newest checkpoint")
	how := a.preferenceFlags(cmd)
	configs.AddFlags(cmd.Flags(), "reward", "chat.template")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		l, err := loadLanguage(model)
		if err != nil {
			return err
		}
		if (db == "") == (len(data) == 0) {
			return errors.New("rankings come from --db or from --data: name one of them")
		}
		rankings, err := a.readRankings(cmd.Context(), db, project, how, data)
		if err != nil {
			return err
		}
		_, r, err := a.reward(cmd.Context(), c.Reward, c.Chat.Template, l, rankings, checkpoint.Run{Dir: out, Config: c.YAML(false), Resume: resume})
		if err != nil {
			return err
		}
		a.say("%s: %s/model", r, out)
		return nil
	})
	return required(cmd, "model", "out")
}

// learntKinds are the kinds of tasks whose rankings a reward model learns from: answers to honeypots say who reads and not
// what is good, and a task that comes once more says what its labeler has said.
var learntKinds = []string{storage.KindNormal, storage.KindCalibration, storage.KindGold}

// readRankings reads the rankings of a database, of one project or all, or of files.
func (a *app) readRankings(ctx context.Context, path, project string, how *dataset.Options, files []string) (out []dataset.Ranking, err error) {
	if path == "" {
		return a.preferences(ctx, how, files)
	}
	db, err := storage.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	f := storage.Filter{Kinds: learntKinds}
	if project != "" {
		p, err := db.ProjectByName(ctx, project)
		if err != nil {
			return nil, err
		}
		f.Project = p.ID
	}
	err = db.Rankings(ctx, f, func(r storage.Ranking) error { out = append(out, exchange.Exchanged(r, false)); return nil })
	return out, err
}

// rankingsSource returns rankings, wherever they come from, as a source of data.
func rankingsSource(rankings []dataset.Ranking) (dataset.Source, error) {
	h := sha256.New()
	var n counter
	for _, r := range rankings {
		if err := dataset.WriteRanking(io.MultiWriter(h, &n), r); err != nil {
			return dataset.Source{}, err
		}
	}
	return dataset.Source{Name: "rankings", SHA256: hex.EncodeToString(h.Sum(nil)), Bytes: int64(n)}, nil
}

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// rewardOutcome is what reward-model training ended with.
type rewardOutcome struct {
	reward.Result
	Rankings, HeldOut int
	fitted
	Mean, Std float64 // of the scores before they were normalised
}

func (r rewardOutcome) String() string {
	s := fmt.Sprintf("trained on %d rankings (%d all ties, %d completions cut)", r.Rankings, r.Dropped, r.Cut)
	if r.CutPrompts > 0 {
		s += fmt.Sprintf(", %d prompts cut at their beginning", r.CutPrompts)
	}
	if r.Accuracy == r.Accuracy {
		s += fmt.Sprintf(", accuracy %.3f on %d held-out rankings", r.Accuracy, r.HeldOut)
	}
	return s
}

// reward trains a reward model that starts as l with a new head, normalises its scores over the ranked completions,
// and returns it.
func (a *app) reward(ctx context.Context, c reward.Config, template string, l language, rankings []dataset.Ranking, run checkpoint.Run) (*gpt.Model, rewardOutcome, error) {
	var o rewardOutcome
	comparisons, cut, err := compareTokens(l, template, rankings)
	if err != nil {
		return nil, o, err
	}
	train, held := splitByPrompt(rankings, comparisons, c.HeldOut, c.Seed)
	o.Rankings, o.HeldOut, o.fitted = len(train), len(held), cut
	m := l.model.WithHead(1)
	reward.InitHead(m, c.Seed)
	run.Tokenizer, run.Progress = l.files, a.progress("reward")
	source, err := rankingsSource(rankings)
	if err != nil {
		return nil, o, err
	}
	run.Lineage = l.descends("reward", []dataset.Source{source})
	if o.Result, err = reward.Train(ctx, c, m, train, held, run, a.log); err != nil {
		return nil, o, err
	}
	if c.TargetStd == 0 {
		return m, o, nil
	}
	var sequences [][]int32
	for _, x := range train {
		for _, completion := range x.Completions {
			sequences = append(sequences, append(append([]int32{}, x.Prompt...), completion...))
		}
	}
	scores, err := (&reward.Scorer{Model: m}).Scores(ctx, sequences)
	if err != nil {
		return nil, o, err
	}
	wide := make([]float64, len(scores))
	for i, s := range scores {
		wide[i] = float64(s)
	}
	o.Mean, o.Std = reward.Spread(wide)
	gain, bias, err := reward.Gain(wide, c.TargetMean, c.TargetStd)
	if err != nil {
		return nil, o, err
	}
	if err := reward.Normalise(m, gain, bias); err != nil {
		return nil, o, err
	}
	return m, o, run.Replace(m)
}

// splitByPrompt keeps a share of the prompts, with all their rankings, for evaluation.
func splitByPrompt(rankings []dataset.Ranking, comparisons []reward.Comparison, share float64, seed uint64) (train, held []reward.Comparison) {
	place := map[string]int{}
	for _, r := range rankings {
		if _, ok := place[r.Prompt]; !ok {
			place[r.Prompt] = len(place)
		}
	}
	rank := rng.New(seed, "reward/split", 0).Perm(len(place))
	for i, c := range comparisons {
		if rank[place[rankings[i].Prompt]] < int(share*float64(len(place))) {
			held = append(held, c)
		} else {
			train = append(train, c)
		}
	}
	return train, held
}
