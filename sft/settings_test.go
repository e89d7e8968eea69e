package sft_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rlhf/gpt"
	"rlhf/internal/checkpoint"
	"rlhf/internal/metrics"
	"rlhf/sft"
)

// Two examples of which the second token on, or a span, is learnt; blocks of four share their border.
func TestPack(t *testing.T) {
	x := sft.Examples{{Tokens: []int32{1, 2, 3}}, sft.After(2, []int32{4, 5, 6, 7}), {Tokens: []int32{8, 9}}}
	got := sft.Pack(x, 4)
	want := sft.Examples{
		{Tokens: []int32{1, 2, 3, 4}, Learn: []sft.Span{{1, 3}}},
		{Tokens: []int32{4, 5, 6, 7}, Learn: []sft.Span{{2, 4}}},
		{Tokens: []int32{7, 8, 9}, Learn: []sft.Span{{1, 3}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Only the assistant's turns are learnt: a model that fits them keeps its loss on what users say.
func TestEveryTurnIsLearnt(t *testing.T) {
	c := config()
	c.NumTrainEpochs, c.LR, c.BatchSize, c.ResidPdrop = 80, 3e-2, 4, 0
	m := tiny(t)
	tokens := []int32{1, 2, 3, 4, 5, 6, 7, 8}
	data := sft.Examples{{Tokens: tokens, Learn: []sft.Span{{2, 3}, {5, 7}}}}
	if _, err := sft.Train(context.Background(), c, m, sft.Task{Train: data}, checkpoint.Run{Dir: t.TempDir()}, quiet); err != nil {
		t.Fatal(err)
	}
	var b gpt.Batch
	b.Append(tokens, gpt.NextTokens(tokens, 1))
	out, err := gpt.NewPass(m).Evaluate(b)
	if err != nil {
		t.Fatal(err)
	}
	for at, learnt := range map[int]bool{1: false, 2: true, 3: false, 5: true, 6: true, 7: false} {
		if nll := -float64(out.Logprobs[at-1]); (nll < .1) != learnt {
			t.Errorf("token %d has %v nats, learnt: %v", at, nll, learnt)
		}
	}
}

// train runs a short run and returns the trained model's bytes with the result.
func train(t *testing.T, c sft.Config, task sft.Task) (string, sft.Result) {
	t.Helper()
	dir := t.TempDir()
	r, err := sft.Train(context.Background(), c, tiny(t), task, checkpoint.Run{Dir: dir}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "model", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), r
}

// TestEverySettingChangesTheModel changes one setting after another.
func TestEverySettingChangesTheModel(t *testing.T) {
	task := sft.Task{Train: copying(64, 1), Eval: copying(16, 2)}
	base := config()
	base.ResidPdrop, base.EvalSteps = 0, 4
	want, _ := train(t, base, task)
	for name, change := range map[string]func(*sft.Config){
		"num_train_epochs": func(c *sft.Config) { c.NumTrainEpochs = 3 },
		"max_steps":        func(c *sft.Config) { c.MaxSteps = 5 },
		"batch_size":       func(c *sft.Config) { c.BatchSize = 4 },
		"batch_tokens":     func(c *sft.Config) { c.BatchTokens = 40 },
		"group_by_length":  func(c *sft.Config) { c.GroupByLength = true },
		"lr":               func(c *sft.Config) { c.LR = 2e-2 },
		"lr_scheduler":     func(c *sft.Config) { c.LRScheduler = "linear" },
		"min_lr_ratio":     func(c *sft.Config) { c.MinLRRatio = .5 },
		"warmup_steps":     func(c *sft.Config) { c.WarmupSteps = 5 },
		"warmup_ratio":     func(c *sft.Config) { c.WarmupSteps, c.WarmupRatio = 0, .5 },
		"weight_decay":     func(c *sft.Config) { c.WeightDecay = .1 },
		"adam_beta1":       func(c *sft.Config) { c.AdamBeta1 = .8 },
		"adam_beta2":       func(c *sft.Config) { c.AdamBeta2 = .99 },
		"adam_epsilon":     func(c *sft.Config) { c.AdamEpsilon = 1e-3 },
		"max_grad_norm":    func(c *sft.Config) { c.MaxGradNorm = .1 },
		"embd_pdrop":       func(c *sft.Config) { c.EmbdPdrop = .1 },
		"attn_pdrop":       func(c *sft.Config) { c.AttnPdrop = .1 },
		"resid_pdrop":      func(c *sft.Config) { c.ResidPdrop = .1 },
		"seed":             func(c *sft.Config) { c.Seed = 2 },
	} {
		c := base
		change(&c)
		if got, _ := train(t, c, task); got == want {
			t.Errorf("%s changes nothing", name)
		}
	}
}

// A batch worked through in parts has the gradient of the whole but for the order in which its terms are rounded: the
// mean is over all its tokens, however unequal the parts. Averaging the parts' means instead moves parameters by a
// hundred times the tolerance here.
func TestAccumulatedGradientsAreTheWholeBatchs(t *testing.T) {
	c := config()
	c.MaxSteps, c.BatchSize, c.WarmupSteps, c.AdamEpsilon, c.EmbdPdrop, c.AttnPdrop = 1, 64, 0, 1, .1, .1 // Adam's step is then in proportion to the gradient
	theta := func(tokens int) []float32 {
		c.MicroTokens = tokens
		m := tiny(t)
		if _, err := sft.Train(context.Background(), c, m, sft.Task{Train: copying(64, 1)}, checkpoint.Run{Dir: t.TempDir()}, quiet); err != nil {
			t.Fatal(err)
		}
		return m.Theta
	}
	before, want := tiny(t).Theta, theta(0)
	moved := 0.0
	for i, x := range want {
		moved = max(moved, math.Abs(float64(x-before[i])))
	}
	for _, tokens := range []int{1, 13, 40} {
		for i, x := range theta(tokens) {
			if d := math.Abs(float64(x - want[i])); d > 1e-4*moved {
				t.Fatalf("passes of %d tokens: parameter %d is %g off, of a step of up to %g", tokens, i, d, moved)
			}
		}
	}
}

// Every example comes once an epoch, whatever the batches are made by.
func TestBatchesCoverTheEpoch(t *testing.T) {
	var data sft.Examples
	for i := range 50 {
		data = append(data, sft.Example{Tokens: append([]int32{int32(i % 7), int32(i / 7)}, make([]int32, i%9)...)})
	}
	for name, change := range map[string]func(*sft.Config){
		"sequences": func(c *sft.Config) { c.BatchSize = 7 }, "tokens": func(c *sft.Config) { c.BatchTokens = 30 },
		"lengths": func(c *sft.Config) { c.BatchTokens, c.GroupByLength = 30, true }, "lengths of sequences": func(c *sft.Config) { c.GroupByLength = true },
	} {
		c := config()
		c.NumTrainEpochs = 2
		change(&c)
		seen := map[int]int{}
		source := watched{data, func(i int) { seen[i]++ }}
		if _, err := sft.Train(context.Background(), c, tiny(t), sft.Task{Train: source}, checkpoint.Run{Dir: t.TempDir()}, quiet); err != nil {
			t.Fatal(err)
		}
		for i := range data {
			if seen[i] != 3 { // once when it is checked, once an epoch
				t.Fatalf("%s: example %d was read %d times", name, i, seen[i])
			}
		}
	}
}

// watched tells which examples are read.
type watched struct {
	sft.Examples
	read func(i int)
}

func (w watched) At(i int) sft.Example {
	w.read(i)
	return w.Examples.At(i)
}

// A fifth of what is seen is pretraining data: of 64 examples a quarter more.
func TestPretrainShare(t *testing.T) {
	c := config()
	c.NumTrainEpochs, c.PretrainShare = 1, .2
	mixed := 0
	source := watched{copying(5, 9), func(int) { mixed++ }}
	with, _ := train(t, c, sft.Task{Train: copying(64, 1), Pretrain: source})
	if mixed != 16+5 { // and 5 when they are checked
		t.Errorf("%d pretraining sequences were read, want 21", mixed)
	}
	c.PretrainShare = 0
	if without, _ := train(t, c, sft.Task{Train: copying(64, 1)}); with == without {
		t.Error("mixing changes nothing")
	}
}

// scoredBy scores a continuation by hand.
type scoredBy func(sequence []int32) float32

func (s scoredBy) Scores(_ context.Context, sequences [][]int32) (out []float32, err error) {
	for _, x := range sequences {
		out = append(out, s(x))
	}
	return out, nil
}

func TestBestModelByLossAndByScore(t *testing.T) {
	c := config()
	c.NumTrainEpochs, c.LR, c.EvalSteps, c.LoadBestModelAtEnd = 30, 2e-2, 10, true
	few := copying(4, 3) // so few that their loss on others rises again
	task := sft.Task{Train: few, Eval: copying(40, 2), Prompts: [][]int32{{1, 2, 10}, {3, 4, 10}}, StopTokens: []int32{11}}
	for _, metric := range []string{"loss", "score"} {
		c.MetricForBestModel = metric
		rows := map[int]float64{}
		calls := 0
		task.Scorer = scoredBy(func([]int32) float32 { calls++; return float32(-math.Abs(float64(calls - 2*2))) }) // best at the second evaluation
		dir := t.TempDir()
		m := tiny(t)
		r, err := sft.Train(context.Background(), c, m, task, checkpoint.Run{Dir: dir}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		records, err := metrics.Read(filepath.Join(dir, "metrics.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range records {
			if v, ok := record.Values["eval/"+metric]; ok {
				rows[record.Step] = v
			}
		}
		best := 0
		for step, v := range rows {
			if best == 0 || metric == "loss" && v < rows[best] || metric == "score" && v > rows[best] {
				best = step
			}
		}
		if r.BestStep != best || r.BestStep == r.Steps {
			t.Errorf("%s: the run ends with step %d of %d, the best of %v is %d", metric, r.BestStep, r.Steps, rows, best)
		}
		if loss, err := sft.Loss(context.Background(), m, task.Eval); err != nil || loss != r.EvalLoss {
			t.Errorf("%s: the model's loss is %v, the result says %v: %v", metric, loss, r.EvalLoss, err)
		}
	}
}

func TestEarlyStopping(t *testing.T) {
	c := config()
	c.NumTrainEpochs, c.EvalSteps, c.EarlyStoppingPatience, c.MetricForBestModel = 50, 2, 3, "score"
	calls := 0
	task := sft.Task{Train: copying(32, 1), Prompts: [][]int32{{1, 10}}, Scorer: scoredBy(func([]int32) float32 { calls++; return []float32{1, 3, 2, 3, 1}[min(calls-1, 4)] })}
	// 3 at the second evaluation, then three that are not better
	if _, r := train(t, c, task); !r.Stopped || r.Steps != 10 {
		t.Errorf("stopped %v at step %d, want 10", r.Stopped, r.Steps)
	}
	calls = 0
	c.EarlyStoppingThreshold = 2 // 3 is no better than 1 by more than that
	if _, r := train(t, c, task); r.Steps != 8 {
		t.Errorf("with a threshold stopped at step %d, want 8", r.Steps)
	}
}

func TestSamplesOfEveryEvaluation(t *testing.T) {
	c := config()
	c.EvalSteps, c.MaxSteps, c.EvalMaxNewTokens = 2, 5, 3
	got := map[int][]sft.Sample{}
	task := sft.Task{Train: copying(32, 1), Prompts: [][]int32{{1, 2, 10}, {3, 10}}, Samples: func(step int, list []sft.Sample) error {
		got[step] = slices.Clone(list)
		return nil
	}}
	train(t, c, task)
	for _, step := range []int{2, 4, 5} {
		list := got[step]
		if len(list) != 2 || len(list[0].Completion) != 3 || !slices.Equal(list[1].Prompt, []int32{3, 10}) || list[0].Score == list[0].Score {
			t.Errorf("step %d: %+v", step, list)
		}
	}
	first := fmt.Sprint(got[5])
	c.EvalTemperature = 0
	train(t, c, task)
	if fmt.Sprint(got[5]) == first {
		t.Error("eval_temperature changes nothing")
	}
}

func TestRefusedEvaluations(t *testing.T) {
	ok := copying(4, 1)
	for want, change := range map[string]func(*sft.Config, *sft.Task){
		"pretrain_share: is 0.1, but there are no pretraining examples": func(c *sft.Config, _ *sft.Task) { c.PretrainShare = .1 },
		"pretrain_share: is 0, but there are pretraining examples":      func(_ *sft.Config, t *sft.Task) { t.Pretrain = ok },
		"metric_for_best_model: is score, but there is no reward model": func(c *sft.Config, _ *sft.Task) { c.LoadBestModelAtEnd, c.MetricForBestModel = true, "score" },
		"metric_for_best_model: is loss, but there are no evaluation":   func(c *sft.Config, _ *sft.Task) { c.LoadBestModelAtEnd = true },
		"early_stopping_patience: needs evaluations":                    func(c *sft.Config, _ *sft.Task) { c.EarlyStoppingPatience, c.EvalSteps = 1, 0 },
		"warmup_ratio: must be 0 if warmup_steps is not":                func(c *sft.Config, _ *sft.Task) { c.WarmupRatio = .1 },
		"max_length: must be 0 or at least 2":                           func(c *sft.Config, _ *sft.Task) { c.MaxLength = 1 },
		"metric_for_best_model: must be loss or score":                  func(c *sft.Config, _ *sft.Task) { c.MetricForBestModel = "bleu" },
		"tokens 3 to 2 are to be learnt, out of order": func(_ *sft.Config, t *sft.Task) {
			t.Train = sft.Examples{{Tokens: make([]int32, 5), Learn: []sft.Span{{3, 2}}}}
		},
	} {
		c, task := config(), sft.Task{Train: ok}
		change(&c, &task)
		if _, err := sft.Train(context.Background(), c, tiny(t), task, checkpoint.Run{Dir: t.TempDir()}, quiet); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
