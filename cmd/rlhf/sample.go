package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/gpt"
	"rlhf/internal/dataset"
	"rlhf/storage"
)

// sampled is one line of the sample command's output.
type sampled struct {
	Prompt       string    `json:"prompt,omitempty"`
	PromptTokens []int32   `json:"prompt_tokens"`
	Sample       int       `json:"sample"`
	Completion   string    `json:"completion"`
	Tokens       []int32   `json:"tokens"` // with the stop token
	Logprobs     []float32 `json:"logprobs"`
	FinishReason string    `json:"finish_reason"` // stop or length
	Model        string    `json:"model"`
}

func (a *app) sampleCommand() *cobra.Command {
	var model, prompts, out, db, name string
	cmd := &cobra.Command{Use: "sample --model DIR --prompts FILE [--out FILE | --db FILE]", Short: "Write completions of prompts, as JSON lines or into the labeling database", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&model, "model", "", "model directory")
	cmd.Flags().StringVar(&prompts, "prompts", "", ".jsonl file of {\"prompt\"} or {\"tokens\"}")
	cmd.Flags().StringVar(&out, "out", "-", "file for the completions, - for the standard output")
	cmd.Flags().StringVar(&db, "db", "", "labeling database: adds a task for each prompt instead")
	cmd.Flags().StringVar(&name, "name", "", "the model's name in the output; its directory by default")
	configs.AddFlags(cmd.Flags(), "sample", "label")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		l, err := loadLanguage(model)
		if err != nil {
			return err
		}
		list, err := dataset.Collect(dataset.Prompts(a.reading(), prompts))
		if err != nil {
			return err
		}
		if name == "" {
			name = model
		}
		lines, err := a.sample(cmd.Context(), c.Sample, l, list, name)
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		if db != "" {
			if err != nil {
				return fmt.Errorf("nothing was added to %s: %w", db, err)
			}
			return a.addSamples(cmd.Context(), c, db, lines)
		}
		return a.writeSamples(out, lines, err)
	})
	return required(cmd, "model", "prompts")
}

// writeSamples writes completions; those of an interrupted run go to a file of their own name.
func (a *app) writeSamples(out string, lines []sampled, interrupted error) error {
	var text jsonLines
	for _, line := range lines {
		if err := text.add(line); err != nil {
			return err
		}
	}
	if out == "-" {
		_, err := a.out.Write(text.Bytes())
		return errors.Join(err, interrupted)
	}
	if interrupted != nil {
		out += ".partial"
		interrupted = fmt.Errorf("the finished ones are in %s: %w", out, interrupted)
	}
	return errors.Join(writeWhole(out, text.Bytes()), interrupted)
}

// sample draws N completions of each prompt. Completion k of prompt i comes from random stream i·N+k. On
// interruption it returns the finished ones with the error.
func (a *app) sample(ctx context.Context, c configs.Sample, l language, prompts []dataset.Prompt, name string) ([]sampled, error) {
	var queries []gpt.Query
	for _, p := range prompts {
		tokens := p.Tokens
		if tokens == nil {
			tokens = l.tok.Encode(p.Text)
		}
		for range c.N {
			queries = append(queries, gpt.Query{Tokens: tokens, Episode: uint64(len(queries))})
		}
	}
	bar := a.progress("sample")
	bar.Total(len(queries))
	done := 0
	completions, err := l.model.Sample(ctx, queries, gpt.SampleConfig{MaxNewTokens: c.MaxNewTokens, Temperature: float32(c.Temperature),
		StopTokens: l.stops(), Slots: c.Slots, Seed: c.Seed, Purpose: "sample"}, func(int, gpt.Completion) {
		done++
		bar.Set(done, "")
	})
	bar.Done()
	var out []sampled
	for i, completion := range completions {
		if completion.Tokens == nil || err != nil && !completion.Stopped && len(completion.Tokens) < c.MaxNewTokens {
			continue // not finished
		}
		reason := "length"
		if completion.Stopped {
			reason = "stop"
		}
		out = append(out, sampled{Prompt: prompts[i/c.N].Text, PromptTokens: queries[i].Tokens, Sample: i % c.N, Completion: l.tok.Decode(completion.Tokens),
			Tokens: completion.Tokens, Logprobs: completion.Logprobs, FinishReason: reason, Model: name})
	}
	return out, err
}

// addSamples adds one task for each prompt to the labeling database.
func (a *app) addSamples(ctx context.Context, c configs.Resolved, path string, lines []sampled) error {
	db, err := storage.Open(ctx, path)
	if err != nil {
		return err
	}
	defer db.Close()
	tasks, err := sampleTasks(c.Sample, lines, c.Label.Overlap)
	if err != nil {
		return err
	}
	if err := db.AddTasks(ctx, tasks); err != nil {
		return err
	}
	a.say("added %d tasks of %d completions to %s", len(tasks), c.Sample.N, path)
	return nil
}

// sampleTasks groups completions, N to a prompt, into tasks.
func sampleTasks(c configs.Sample, lines []sampled, overlap int) ([]storage.Task, error) {
	settings, err := json.Marshal(map[string]any{"temperature": c.Temperature, "max_new_tokens": c.MaxNewTokens, "seed": c.Seed})
	if err != nil {
		return nil, err
	}
	var tasks []storage.Task
	for i, line := range lines {
		if i%c.N == 0 {
			tasks = append(tasks, storage.Task{Prompt: line.Prompt, Tokens: line.PromptTokens, Overlap: overlap})
		}
		t := &tasks[len(tasks)-1]
		t.Completions = append(t.Completions, storage.Completion{Model: line.Model, Text: line.Completion, Tokens: line.Tokens, Sampling: settings})
	}
	return tasks, nil
}
