package sft_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"rlhf/gpt/hf"
	"rlhf/internal/checkpoint"
	"rlhf/internal/metrics"
	"rlhf/sft"
)

// A run of transformers' Trainer with the same settings, every step of which takes all examples: the same losses, norms
// and learning rates, and the same weights at the end (testdata/make.py).
func TestTrainsAsTransformersTrainer(t *testing.T) {
	raw, err := os.ReadFile("testdata/trainer.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Examples []struct {
			Tokens []int32
			Prompt int
		}
		Loss     []float64
		GradNorm []float64 `json:"grad_norm"`
		LR       []float64
		Weights  map[string][]float32
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	model, err := hf.Load("testdata/start")
	if err != nil {
		t.Fatal(err)
	}
	var data sft.Examples
	for _, e := range golden.Examples {
		data = append(data, sft.After(e.Prompt, e.Tokens))
	}
	c := sft.DefaultConfig()
	c.NumTrainEpochs, c.BatchSize, c.LR, c.LRScheduler, c.MinLRRatio, c.WeightDecay = 8, 7, .01, "linear", 0, .1
	c.AdamBeta1, c.AdamBeta2, c.AdamEpsilon, c.MaxGradNorm, c.ResidPdrop, c.LoggingSteps = .8, .95, 1e-6, .5, 0, 1
	c.MicroTokens = 20 // a step in several passes is the step of the whole
	dir := t.TempDir()
	if _, err := sft.Train(context.Background(), c, model, sft.Task{Train: data}, checkpoint.Run{Dir: dir}, quiet); err != nil {
		t.Fatal(err)
	}
	records, err := metrics.Read(filepath.Join(dir, "metrics.jsonl"))
	if err != nil || len(records) != len(golden.Loss) {
		t.Fatalf("%d lines of metrics, want %d: %v", len(records), len(golden.Loss), err)
	}
	for i, r := range records {
		for _, check := range []struct {
			key             string
			want, tolerance float64 // the golden losses have four digits
		}{{"train/loss", golden.Loss[i], 1e-4}, {"train/grad_norm", golden.GradNorm[i], 1e-4 * golden.GradNorm[i]}, {"train/lr", golden.LR[i], 1e-9}} {
			if got := r.Values[check.key]; math.Abs(got-check.want) > check.tolerance {
				t.Errorf("step %d: %s is %v, Trainer's %v", r.Step, check.key, got, check.want)
			}
		}
	}
	for name, want := range golden.Weights {
		for i, got := range model.Tensor(name) {
			if math.Abs(float64(got-want[i])) > 2e-5 { // a run's worth of float32 rounding, of weights that moved by up to .08
				t.Fatalf("%s[%d] is %v, Trainer's %v", name, i, got, want[i])
			}
		}
	}
}
