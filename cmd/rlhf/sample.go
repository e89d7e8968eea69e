package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rlhf/configs"
	"rlhf/internal/chat"
	"rlhf/internal/dataset"
	"rlhf/storage"
)

// sampleFlags are what the sample command is told beside its settings.
type sampleFlags struct {
	model, prompts, prompt, out, db, name, project string
	stream, text                                   bool
}

func (a *app) sampleCommand() *cobra.Command {
	var f sampleFlags
	cmd := &cobra.Command{Use: "sample --model DIR (--prompts FILE | --prompt TEXT) [--out FILE | --db FILE]", Short: "Write completions of prompts, as JSON lines or into the labeling database", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&f.model, "model", "", "model directory; without tokenizer files it takes and gives token ids")
	cmd.Flags().StringVar(&f.prompts, "prompts", "", ".jsonl file of {\"prompt\"}, {\"messages\"} or {\"tokens\"}, - for the standard input; other fields are carried through")
	cmd.Flags().StringVar(&f.prompt, "prompt", "", "a prompt itself; has one completion unless sample.n says otherwise")
	cmd.Flags().StringVar(&f.out, "out", "-", "file for the completions, - for the standard output")
	cmd.Flags().StringVar(&f.db, "db", "", "labeling database: adds a task for each prompt instead")
	cmd.Flags().StringVar(&f.project, "project", "default", "project that the tasks of --db are of; its overlap is theirs unless label.overlap is set")
	cmd.Flags().StringVar(&f.name, "name", "", "the model's name in the output; its directory by default")
	cmd.Flags().BoolVar(&f.stream, "stream", false, "write a JSON line for every token as it is drawn, and each completion's line when it ends")
	cmd.Flags().BoolVar(&f.text, "text", false, "with --prompt: write the completion alone, as it is drawn; so is done on a terminal")
	configs.AddFlags(cmd.Flags(), "sample", "chat.template", "label")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		if f.prompt != "" && c.Origin("sample.n") == "default" {
			c.Sample.N = 1
		}
		return a.runSample(cmd.Context(), c, f)
	})
	cmd.MarkFlagsOneRequired("prompts", "prompt")
	cmd.MarkFlagsMutuallyExclusive("prompts", "prompt")
	cmd.MarkFlagsMutuallyExclusive("stream", "text", "db", "out")
	return required(cmd, "model")
}

func (a *app) runSample(ctx context.Context, c configs.Resolved, f sampleFlags) error {
	alone := f.prompt != "" && c.Sample.N == 1 && c.Sample.NumBeams == 1
	if f.text && !alone {
		return fmt.Errorf("%w: --text: needs --prompt, sample.n 1 and no beams", configs.ErrSetting)
	}
	if f.stream && c.Sample.NumBeams > 1 {
		return fmt.Errorf("%w: --stream: a beam search (sample.num_beams %d) has no token before it ends", configs.ErrSetting, c.Sample.NumBeams)
	}
	if f.db != "" {
		if err := hasProject(ctx, f.db, f.project); err != nil { // before the work
			return err
		}
	}
	l, err := loadForIDs(f.model)
	if err != nil {
		return err
	}
	list := []dataset.Prompt{{Text: f.prompt}}
	if f.prompts != "" {
		if list, err = dataset.Collect(dataset.Prompts(a.reading(), f.prompts)); err != nil {
			return err
		}
	}
	if f.name == "" {
		f.name = f.model
	}
	s, err := newSampler(c.Sample, l, list, f.name, c.Chat.Template)
	if err != nil {
		return err
	}
	switch {
	case f.stream:
		return s.stream(ctx, a.out)
	case f.text || alone && f.out == "-" && f.db == "" && l.tok != nil && isTerminal(a.out):
		return s.write(ctx, a.out)
	}
	bar := a.progress("sample")
	lines, err := s.run(ctx, bar)
	bar.Done()
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if f.db != "" {
		if err != nil {
			return fmt.Errorf("nothing was added to %s: %w", f.db, err)
		}
		return a.addSamples(ctx, c, f, lines)
	}
	return a.writeSamples(f.out, lines, err)
}

// hasProject returns an error if a database has no project of the name.
func hasProject(ctx context.Context, path, name string) error {
	db, err := storage.Open(ctx, path)
	if err != nil {
		return err
	}
	_, err = db.ProjectByName(ctx, name)
	return errors.Join(err, db.Close())
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
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
	s, err := newSampler(c, l, prompts, name, chat.Auto)
	if err != nil {
		return nil, err
	}
	bar := a.progress("sample")
	defer bar.Done()
	return s.run(ctx, bar)
}

// addSamples adds one task for each prompt to the labeling database.
func (a *app) addSamples(ctx context.Context, c configs.Resolved, f sampleFlags, lines []sampled) error {
	db, err := storage.Open(ctx, f.db)
	if err != nil {
		return err
	}
	defer db.Close()
	project, err := db.ProjectByName(ctx, f.project)
	if err != nil {
		return err
	}
	overlap := project.Settings.Overlap
	if c.Origin("label.overlap") != "default" {
		overlap = c.Label.Overlap
	}
	tasks, err := sampleTasks(c.Sample, lines, overlap)
	if err != nil {
		return err
	}
	for i := range tasks {
		tasks[i].Project = project.ID
	}
	if err := db.AddTasks(ctx, tasks); err != nil {
		return err
	}
	a.say("added %d tasks of %d completions to %s", len(tasks), c.Sample.N, f.db)
	return nil
}

// sampleTasks groups completions, N to a prompt, into tasks.
func sampleTasks(c configs.Sample, lines []sampled, overlap int) ([]storage.Task, error) {
	settings, err := json.Marshal(drawnWith(c))
	if err != nil {
		return nil, err
	}
	var tasks []storage.Task
	for i, line := range lines {
		if i%c.N == 0 {
			tasks = append(tasks, storage.Task{Prompt: line.shown, Tokens: line.PromptTokens, Overlap: overlap})
		}
		t := &tasks[len(tasks)-1]
		t.Completions = append(t.Completions, storage.Completion{Model: line.Model, Text: line.Completion, Tokens: line.Tokens, Sampling: settings})
	}
	return tasks, nil
}

// drawnWith lists the settings that made completions what they are: those always of interest and those that are not as by default.
func drawnWith(c configs.Sample) map[string]any {
	out, by := map[string]any{"temperature": c.Temperature, "max_new_tokens": c.MaxNewTokens, "seed": c.Seed}, configs.Default().Sample
	for _, s := range []struct {
		name string
		set  bool
		is   any
	}{
		{"top_k", c.TopK != by.TopK, c.TopK}, {"top_p", c.TopP != by.TopP, c.TopP}, {"top_p_within", c.TopPWithin, true}, {"min_p", c.MinP != by.MinP, c.MinP},
		{"repetition_penalty", c.RepetitionPenalty != by.RepetitionPenalty, c.RepetitionPenalty}, {"stop", len(c.Stop) > 0, c.Stop},
		{"stop_tokens", len(c.StopTokens) > 0, c.StopTokens}, {"max_length", c.MaxLength > 0, c.MaxLength}, {"num_beams", c.NumBeams > 1, c.NumBeams},
		{"length_penalty", c.LengthPenalty != by.LengthPenalty, c.LengthPenalty}, {"early_stopping", c.EarlyStopping != by.EarlyStopping, c.EarlyStopping},
	} {
		if s.set {
			out[s.name] = s.is
		}
	}
	return out
}
