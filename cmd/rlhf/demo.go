package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rlhf/compare"
	"rlhf/configs"
	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/internal/chat"
	"rlhf/internal/checkpoint"
	"rlhf/internal/dataset"
	"rlhf/internal/kernel"
	"rlhf/labeling/figures"
	"rlhf/ppo"
	"rlhf/sft"
)

// demo is one run of the whole loop.
type demo struct {
	*app
	c      configs.Resolved
	dir    string
	human  bool // a person ranks in the browser
	ranked int  // prompts whose completions are ranked
	data   demoData
	start  time.Time
	times  []stageTime

	tok        *bpe.Tokenizer
	base, sft  language
	judge      *gpt.Model // the reward model
	policy     language
	basic      sft.Result
	tuned      sft.Result
	sampled    []sampled
	agreement  figures.Agreement
	rankings   []dataset.Ranking
	rewarded   rewardOutcome
	optimised  ppo.Result
	study      compare.Result
	tasteRight float64 // accuracy of the labelers' taste on the judge's half of the labels
	judgeRight float64 // accuracy of the judge on the labelers' half
}

type stageTime struct {
	name string
	took time.Duration
}

func (a *app) demoCommand() *cobra.Command {
	d := &demo{app: a}
	var seed uint64
	cmd := &cobra.Command{Use: "demo", Short: "The whole loop on the embedded data, ending in report.html", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&d.dir, "out", filepath.Join("runs", "demo"), "directory of the run; an earlier one is moved aside")
	cmd.Flags().BoolVar(&d.human, "label", false, "rank in the browser yourself instead of the simulated labelers")
	cmd.Flags().IntVar(&d.ranked, "ranked", demoRanked, "prompts whose completions are ranked")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of everything that is drawn")
	configs.AddFlags(cmd.Flags(), "model", "tokenizer", "pretrain", "sft", "sample", "label", "reward", "ppo", "compare")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) (err error) {
		if a.preset == "" {
			a.preset = "demo"
		}
		if err := setSeeds(cmd.Flags(), seed); err != nil {
			return err
		}
		if d.c, err = a.settings(cmd.Flags()); err != nil {
			return err
		}
		return d.run(cmd.Context(), seed)
	})
	return cmd
}

// setSeeds gives every section's seed the same value, unless it has one of its own.
func setSeeds(flags *pflag.FlagSet, seed uint64) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		if strings.HasSuffix(f.Name, ".seed") && !f.Changed {
			err = errors.Join(err, flags.Set(f.Name, fmt.Sprint(seed)))
		}
	})
	return err
}

// run goes through the stages.
func (d *demo) run(ctx context.Context, seed uint64) (err error) {
	d.start = time.Now()
	if err := moveAside(d.dir); err != nil {
		return err
	}
	if err := writeWhole(filepath.Join(d.dir, "config.yaml"), d.c.YAML(false)); err != nil {
		return err
	}
	if d.data, err = newDemoData(seed); err != nil {
		return err
	}
	if d.ranked < demoShared || d.ranked > len(d.data.train) {
		return fmt.Errorf("--ranked: must be from %d to %d (got %d)", demoShared, len(d.data.train), d.ranked)
	}
	d.tasteRight, d.judgeRight = d.data.taste.Accuracy(d.data.judgeTexts, d.data.judgeLabels), d.data.judge.Accuracy(d.data.tasteTexts, d.data.tasteLabels)
	d.say("movie reviews (Pang & Lee 2005, CC BY 4.0): %d to learn from, %d held out; kernels: %s, %d threads", len(d.data.train), len(d.data.held), kernel.Name(), kernel.Threads())
	for _, stage := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"tokenizer", d.tokenizer}, {"pretrain", d.pretrainBase}, {"sft", d.tune}, {"sample", d.sampleTasks}, {"label", d.label},
		{"reward", d.learnReward}, {"ppo", d.optimise}, {"compare", d.compareModels},
	} {
		start := time.Now()
		if err := stage.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", stage.name, err)
		}
		d.times = append(d.times, stageTime{stage.name, time.Since(start)})
	}
	if err := d.writeReport(); err != nil {
		return err
	}
	fmt.Fprintln(d.out, verdict(d.study))
	d.say("open %s", filepath.Join(d.dir, "report.html"))
	return nil
}

// moveAside renames an earlier run, so that nothing of it is lost.
func moveAside(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for n := 1; ; n++ {
		to := fmt.Sprintf("%s.%d", dir, n)
		if _, err := os.Stat(to); errors.Is(err, fs.ErrNotExist) {
			return os.Rename(dir, to)
		}
	}
}

func (d *demo) stage(name string) checkpoint.Run {
	return checkpoint.Run{Dir: filepath.Join(d.dir, name), Config: d.c.YAML(false)}
}

// done prints a stage's result with the time since the demo began.
func (d *demo) done(format string, args ...any) {
	d.say("[%5.0f s] %s", time.Since(d.start).Seconds(), fmt.Sprintf(format, args...))
}

func (d *demo) tokenizer(context.Context) (err error) {
	d.tok, err = trainTokenizer(d.data.texts(d.data.train), d.c.Tokenizer.VocabSize, filepath.Join(d.dir, "tokenizer"))
	if err == nil {
		d.done("tokenizer: %d tokens", d.tok.VocabSize())
	}
	return err
}

func (d *demo) pretrainBase(ctx context.Context) (err error) {
	n := d.c.Model.NPositions
	train, eval := documents(d.tok, d.data.texts(d.data.train), n), documents(d.tok, d.data.texts(d.data.held), n)
	if d.base, err = newLanguage(d.tok, d.c.Model); err != nil {
		return err
	}
	run := d.stage("pretrain")
	run.Lineage = &checkpoint.Lineage{Stage: "pretrain", Data: learntFrom(dataset.EmbeddedSources())}
	if d.basic, err = d.learn(ctx, "pretrain", d.c.Pretrain, d.base, sft.Task{Train: train, Eval: eval}, run); err != nil {
		return err
	}
	if d.base.lineage, err = checkpoint.ReadLineage(filepath.Join(run.Dir, "model")); err != nil {
		return err
	}
	d.done("base GPT: %.2f million parameters, %d steps%s", float64(len(d.base.model.Theta))/1e6, d.basic.Steps, evaluated(d.basic))
	return nil
}

func (d *demo) tune(ctx context.Context) (err error) {
	x, err := newExampler(d.base, chat.Auto, d.c.SFT)
	if err != nil {
		return err
	}
	var train, eval demonstrated
	for to, list := range map[*demonstrated][]demoReview{&train: d.data.train, &eval: d.data.held} {
		for _, one := range d.data.demonstrations(list) {
			if err := x.add(to, one); err != nil {
				return err
			}
		}
	}
	d.sft = d.base
	d.sft.model = d.base.model.Clone()
	run := d.stage("sft")
	run.Lineage = d.base.descends("sft", dataset.EmbeddedSources())
	if d.tuned, err = d.learn(ctx, "sft", d.c.SFT, d.sft, sft.Task{Train: train.examples, Eval: eval.examples}, run); err != nil {
		return err
	}
	if d.sft.lineage, err = checkpoint.ReadLineage(filepath.Join(run.Dir, "model")); err != nil {
		return err
	}
	d.done("SFT: %d steps%s", d.tuned.Steps, evaluated(d.tuned))
	return nil
}

func (d *demo) learnReward(ctx context.Context) (err error) {
	if d.judge, d.rewarded, err = d.reward(ctx, d.c.Reward, d.c.Chat.Template, d.sft, d.rankings, d.stage("reward")); err != nil {
		return err
	}
	d.done("reward model: %s", d.rewarded)
	return nil
}

func (d *demo) optimise(ctx context.Context) (err error) {
	var queries [][]int32
	for _, r := range d.data.train {
		queries = append(queries, d.tok.Encode(r.prompt))
	}
	d.policy = d.sft
	d.policy.model = d.sft.model.Clone()
	run := d.stage("ppo")
	rewarded, err := checkpoint.ReadLineage(filepath.Join(d.dir, "reward", "model"))
	if err != nil {
		return err
	}
	run.Lineage = d.sft.descends("ppo", dataset.EmbeddedSources())
	run.Lineage.Parents = append(run.Lineage.Parents, checkpoint.ParentOf("reward", d.judge, rewarded))
	if d.optimised, err = d.ppo(ctx, d.c.PPO, d.policy, d.judge, queries, d.sft.stops(), run); err != nil {
		return err
	}
	d.done("PPO: %d episodes, score %.2f, kl %.2f", d.optimised.Episodes, d.optimised.Score, d.optimised.KL)
	return nil
}

func (d *demo) compareModels(ctx context.Context) (err error) {
	s := compare.Study{
		Before: compare.Side{Name: "the SFT model", Model: d.sft.model}, After: compare.Side{Name: "the PPO policy", Model: d.policy.model},
		Base: compare.Side{Name: "the pretrained base", Model: d.base.model}, Tokenizer: d.tok, StopTokens: d.sft.stops(),
		Judge: compare.TextJudge("half of the human labels that no stage has seen", d.data.judge.SensibleTaste),
	}
	for _, r := range d.data.held {
		s.Prompts = append(s.Prompts, compare.Prompt{Text: r.prompt})
	}
	if d.study, err = d.compare(ctx, d.c.Compare, s); err != nil {
		return err
	}
	if err := d.study.WriteFiles(d.dir, d.c.Compare.ShownSamples); err != nil {
		return err
	}
	d.done("compared on %d held-out prompts", d.study.Prompts)
	return nil
}

// peakMemory returns the most memory the process has held, in bytes.
func peakMemory() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Maxrss * 1024
}
