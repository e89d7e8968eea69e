// Package compare is the before/after study: two models answer the same held-out
// prompts with the same random numbers, a judge that knows no names prefers, and
// the result says how often, how sure that is, and what it cost in divergence,
// length, fluency and variety. It trains nothing and reads no files; the human
// study in the labeling application is not here. Win rates follow the
// preference over the model before of InstructGPT (arXiv:2203.02155).
package compare

import (
	"context"
	"fmt"
	"math"

	"rlhf/gpt"
	"rlhf/internal/stats"
)

// Tokenizer turns text into token ids and back.
type Tokenizer interface {
	Encode(text string) []int32
	Decode(tokens []int32) string
}

// Side is one of the models of a study.
type Side struct {
	Name  string
	Model *gpt.Model
}

// Prompt is a prompt to answer. Tokens, if not nil, are what the models get;
// otherwise the tokenizer encodes Text.
type Prompt struct {
	Text   string
	Tokens []int32
}

// Study is what Run compares. It changes none of it.
type Study struct {
	Before, After Side
	Base          Side // measures perplexity; without a model it is Before
	Prompts       []Prompt
	Tokenizer     Tokenizer
	StopTokens    []int32 // each ends an answer
	Judge         Judge

	// Progress, if not nil, hears how many of the answers are written.
	Progress func(done, total int)
}

// check returns an error for a study that cannot be run.
func (s Study) check() error {
	if s.Before.Model == nil || s.After.Model == nil || s.Tokenizer == nil || s.Judge == nil {
		return fmt.Errorf("compare: needs two models, a tokenizer and a judge")
	}
	if len(s.Prompts) == 0 {
		return fmt.Errorf("compare: no prompts")
	}
	for _, other := range []Side{s.After, s.Base} {
		if v, w := s.Before.Model.Config.VocabSize, other.Model.Config.VocabSize; v != w {
			return fmt.Errorf("compare: %s has a vocabulary of %d, %s of %d; they cannot answer the same tokens",
				s.Before.Name, v, other.Name, w)
		}
	}
	return nil
}

// Run has both models answer the prompts and the judge compare the answers.
// Answer i of either model draws from random stream i, so equal models give equal
// answers, all ties and a KL of 0. Equal studies give equal results, whatever the
// number of threads.
func Run(ctx context.Context, c Config, s Study) (Result, error) {
	if s.Base.Model == nil {
		s.Base = s.Before
	}
	if err := c.Validate(); err != nil {
		return Result{}, fmt.Errorf("compare: %w", err)
	}
	if err := s.check(); err != nil {
		return Result{}, err
	}
	if c.Prompts > 0 && c.Prompts < len(s.Prompts) {
		s.Prompts = s.Prompts[:c.Prompts]
	}
	queries := s.queries()
	before, err := s.answer(ctx, c, s.Before, queries, 0)
	if err != nil {
		return Result{}, err
	}
	after, err := s.answer(ctx, c, s.After, queries, len(queries))
	if err != nil {
		return Result{}, err
	}
	r := Result{
		Before: s.Before.Name, After: s.After.Name, Base: s.Base.Name, Prompts: len(s.Prompts),
		Length:        Pair{mean(before.lengths), mean(after.lengths)},
		Distinct2:     Pair{distinct2(before.answers), distinct2(after.answers)},
		FinishReasons: FinishReasons{before.finish, after.finish},
		Settings:      Settings{c.ResponseLength, c.Temperature, c.TieMargin, c.Seed},
		Samples:       make([]Sample, len(s.Prompts)),
	}
	for i := range r.Samples {
		r.Samples[i] = Sample{Prompt: before.answers[i].Prompt, Before: before.answers[i].Completion, After: after.answers[i].Completion}
	}
	if err := s.score(ctx, r.Samples, before, after); err != nil {
		return Result{}, err
	}
	r.Judge = judge(s.Judge.Name(), r.Samples, [2][]int{before.lengths, after.lengths}, c.TieMargin)
	if err := s.divergence(ctx, c, &r, after); err != nil {
		return Result{}, err
	}
	if r.Perplexity.Before, err = perplexity(ctx, s.Base, before); err != nil {
		return Result{}, err
	}
	r.Perplexity.After, err = perplexity(ctx, s.Base, after)
	return r, err
}

// queries returns the prompts as the sampler takes them.
func (s Study) queries() []gpt.Query {
	queries := make([]gpt.Query, len(s.Prompts))
	for i, p := range s.Prompts {
		if p.Tokens == nil {
			p.Tokens = s.Tokenizer.Encode(p.Text)
		}
		queries[i] = gpt.Query{Tokens: p.Tokens, Episode: uint64(i)}
	}
	return queries
}

// answers are one model's answers to all prompts.
type answers struct {
	answers  []Answer
	queries  []int       // prompt lengths, in tokens
	lengths  []int       // answer lengths, without stop tokens
	logprobs [][]float32 // of the answers' tokens, at the sampling temperature
	finish   map[string]int
}

// answer samples one model's answers. done of all answers are written already.
func (s Study) answer(ctx context.Context, c Config, side Side, queries []gpt.Query, done int) (answers, error) {
	finished := 0
	completions, err := side.Model.Sample(ctx, queries, gpt.SampleConfig{
		MaxNewTokens: c.ResponseLength, Temperature: float32(c.Temperature), StopTokens: s.StopTokens,
		Seed: c.Seed, Purpose: "compare/sample",
	}, func(int, gpt.Completion) {
		if finished++; s.Progress != nil {
			s.Progress(done+finished, 2*len(queries))
		}
	})
	if err != nil {
		return answers{}, fmt.Errorf("compare: answers of %s: %w", side.Name, err)
	}
	a := answers{finish: map[string]int{"stop": 0, "length": 0}}
	for i, completion := range completions {
		text, reason := completion.Tokens, "length"
		if completion.Stopped {
			text, reason = text[:len(text)-1], "stop"
		}
		prompt := s.Prompts[i].Text
		if prompt == "" {
			prompt = s.Tokenizer.Decode(queries[i].Tokens)
		}
		tokens := append(append([]int32{}, queries[i].Tokens...), completion.Tokens...)
		a.answers = append(a.answers, Answer{Prompt: prompt, Completion: s.Tokenizer.Decode(text), Tokens: tokens})
		a.queries = append(a.queries, len(queries[i].Tokens))
		a.lengths = append(a.lengths, len(text))
		a.logprobs = append(a.logprobs, completion.Logprobs)
		a.finish[reason]++
	}
	return a, nil
}

// score sets the samples' scores.
func (s Study) score(ctx context.Context, samples []Sample, before, after answers) error {
	for k, a := range []answers{before, after} {
		scores, err := s.Judge.Scores(ctx, a.answers)
		if err != nil {
			return fmt.Errorf("compare: judge %s: %w", s.Judge.Name(), err)
		}
		if len(scores) != len(samples) {
			return fmt.Errorf("compare: judge %s: %d scores for %d answers", s.Judge.Name(), len(scores), len(samples))
		}
		for i, score := range scores {
			if math.IsNaN(score) || math.IsInf(score, 0) {
				return fmt.Errorf("compare: judge %s: score of prompt %d is %g", s.Judge.Name(), i, score)
			}
			if k == 0 {
				samples[i].BeforeScore = score
			} else {
				samples[i].AfterScore = score
			}
		}
	}
	return nil
}

// divergence sets the KL of the result and of its samples.
func (s Study) divergence(ctx context.Context, c Config, r *Result, after answers) error {
	ref, err := logprobs(ctx, s.Before, after, float32(c.Temperature))
	if err != nil {
		return err
	}
	n := float64(len(ref))
	for i := range ref {
		kl := 0.0
		for t, lp := range after.logprobs[i] {
			kl += float64(lp) - float64(ref[i][t])
		}
		r.Samples[i].KL = kl
		r.KL += kl / n
	}
	variance := 0.0
	for i := range ref {
		d := r.Samples[i].KL - r.KL
		variance += d * d / max(n-1, 1)
	}
	r.KLStandardError = math.Sqrt(variance / n)
	if math.IsNaN(r.KL) || math.IsInf(r.KL, 0) {
		return fmt.Errorf("compare: kl of %s against %s is %g", s.After.Name, s.Before.Name, r.KL)
	}
	return nil
}

// perplexity returns exp of the mean of -logp of the answers' tokens under base.
func perplexity(ctx context.Context, base Side, a answers) (float64, error) {
	answers, err := logprobs(ctx, base, a, 1)
	if err != nil {
		return 0, err
	}
	total, tokens := 0.0, 0
	for _, answer := range answers {
		for _, lp := range answer {
			total += float64(lp)
			tokens++
		}
	}
	p := math.Exp(-total / float64(tokens))
	if math.IsNaN(p) || math.IsInf(p, 0) {
		return 0, fmt.Errorf("compare: perplexity under %s is %g", base.Name, p)
	}
	return p, nil
}

func mean(x []int) float64 {
	sum := 0
	for _, v := range x {
		sum += v
	}
	return float64(sum) / float64(len(x))
}

func distinct2(a []Answer) float64 {
	texts := make([][]string, len(a))
	for i := range a {
		texts[i] = Words(a[i].Completion)
	}
	if d := stats.DistinctN(texts, 2); !math.IsNaN(d) {
		return d
	}
	return 0
}
