package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rlhf/configs"
	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/gpt/hf"
	"rlhf/internal/chat"
	"rlhf/internal/conversation"
	"rlhf/internal/dataset"
	"rlhf/internal/metrics"
)

// sampled is one line of the sample command's output. Log-probs are the model's own over the whole vocabulary, at the
// temperature (at 1 if that is 0), whatever filters chose the tokens.
type sampled struct {
	Prompt       string    `json:"prompt,omitempty"`
	PromptTokens []int32   `json:"prompt_tokens"`
	Sample       int       `json:"sample"`
	Completion   string    `json:"completion"` // without the stop text, unless that is kept
	Tokens       []int32   `json:"tokens"`     // all drawn, with the stop token and those of the stop text
	Logprobs     []float32 `json:"logprobs"`
	FinishReason string    `json:"finish_reason"`   // stop (a token), stop_string or length
	Score        *float64  `json:"score,omitempty"` // of a beam
	Model        string    `json:"model"`

	shown  string                     // the prompt as a labeler sees it
	others map[string]json.RawMessage // fields of the prompt's line that are carried through
}

// MarshalJSON appends the fields carried through, by name.
func (s sampled) MarshalJSON() ([]byte, error) {
	type plain sampled
	var out jsonLines
	if err := out.add(plain(s)); err != nil {
		return nil, err
	}
	line := strings.TrimSuffix(strings.TrimSpace(out.String()), "}")
	for _, name := range slices.Sorted(maps.Keys(s.others)) {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		line += "," + string(key) + ":" + string(s.others[name])
	}
	return []byte(line + "}"), nil
}

// carried returns the fields of a prompt's line that the output does not have itself.
func carried(fields map[string]json.RawMessage) map[string]json.RawMessage {
	out := maps.Clone(fields)
	for _, name := range []string{"prompt", "prompt_tokens", "sample", "completion", "tokens", "logprobs", "finish_reason", "score", "model"} {
		delete(out, name)
	}
	return out
}

// loadForIDs reads a model directory whose tokenizer files may be missing; tok is nil then.
func loadForIDs(dir string) (language, error) {
	missing := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return errors.Is(err, fs.ErrNotExist)
	}
	if !missing("config.json") && missing("vocab.json") && missing("tokenizer.json") {
		m, err := hf.Load(dir)
		return language{model: m}, err
	}
	return loadLanguage(dir)
}

// sampler completes prompts as settings say.
type sampler struct {
	c       configs.Sample
	l       language
	name    string
	prompts []dataset.Prompt
	queries []gpt.Query // N to a prompt
	config  gpt.SampleConfig
	stops   []string
	texts   []*conversation.Text // (queries) as their tokens come; nil if nobody needs them
	trim    bool                 // completions are messages
}

// newSampler encodes the prompts.
func newSampler(c configs.Sample, l language, prompts []dataset.Prompt, name, template string) (*sampler, error) {
	s := &sampler{c: c, l: l, name: name, prompts: prompts}
	s.config = gpt.SampleConfig{
		MaxNewTokens: c.MaxNewTokens, MaxLength: c.MaxLength, Temperature: float32(c.Temperature), TopK: c.TopK, TopP: float32(c.TopP), TopPWithin: c.TopPWithin,
		MinP: float32(c.MinP), RepetitionPenalty: float32(c.RepetitionPenalty), Slots: c.Slots, Seed: c.Seed, Purpose: "sample",
	}
	for _, id := range c.StopTokens {
		s.config.StopTokens = append(s.config.StopTokens, int32(id))
	}
	if l.tok != nil {
		s.config.StopTokens = append(s.config.StopTokens, l.stops()...)
	}
	var err error
	if s.stops, s.config.StopTokens, err = stopsOf(l.tok, c.Stop, s.config.StopTokens); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(prompts, func(p dataset.Prompt) bool { return p.Messages != nil }) {
		if err := s.useTemplate(template); err != nil {
			return nil, err
		}
	}
	for i, p := range prompts {
		tokens, err := s.encode(p, template)
		if err != nil {
			return nil, fmt.Errorf("prompt %d: %w", i, err)
		}
		if n := len(tokens); c.MaxLength > 0 && n >= c.MaxLength {
			return nil, fmt.Errorf("prompt %d: %d tokens, sample.max_length %d leaves no room for one more", i, n, c.MaxLength)
		}
		for range c.N {
			s.queries = append(s.queries, gpt.Query{Tokens: tokens, Episode: uint64(len(s.queries))})
		}
	}
	if len(s.stops) > 0 {
		s.follow(nil)
	}
	return s, nil
}

// stopsOf sorts stop texts into strings and, if they name special tokens, ids.
func stopsOf(tok *bpe.Tokenizer, stops []string, ids []int32) ([]string, []int32, error) {
	if len(stops) > 0 && tok == nil {
		return nil, nil, fmt.Errorf("%w: sample.stop: the model has no tokenizer (got %q)", configs.ErrSetting, stops)
	}
	var texts []string
	for _, stop := range stops {
		if special := tok.EncodeSpecial(stop); len(special) == 1 && tok.Decode(special) == "" {
			ids = append(ids, special[0])
		} else {
			texts = append(texts, stop)
		}
	}
	slices.Sort(ids)
	return texts, slices.Compact(ids), nil
}

// useTemplate makes all completions end where an assistant's turn does.
func (s *sampler) useTemplate(name string) error {
	if s.l.tok == nil {
		return errors.New("messages: the model has no tokenizer")
	}
	t, err := chat.Pick(name, s.l.tok)
	if err != nil {
		return err
	}
	s.trim = true
	s.stops = append(s.stops, t.StopStrings()...)
	s.config.StopTokens = append(s.config.StopTokens, t.StopTokens()...)
	slices.Sort(s.config.StopTokens)
	s.config.StopTokens = slices.Compact(s.config.StopTokens)
	return nil
}

func (s *sampler) encode(p dataset.Prompt, template string) ([]int32, error) {
	tokens, _, err := s.l.query(p, template)
	return tokens, err
}

// follow turns tokens into text as they come and ends a completion at a stop string. each, if not nil, is given each
// token with what it adds to the text.
func (s *sampler) follow(each func(query int, token int32, logprob float32, text string)) {
	s.texts = make([]*conversation.Text, len(s.queries))
	for q := range s.texts {
		s.texts[q] = conversation.NewText(s.l.tok, s.stops, s.c.KeepStop)
	}
	s.config.Token = func(q int, token int32, logprob float32) {
		text := s.texts[q].Add(token)
		if each != nil {
			each(q, token, logprob, text)
		}
	}
	s.config.Stop = func(q int, _ []int32) bool { return s.texts[q].Stopped() }
}

// run completes the prompts and returns the lines. On interruption it returns the finished ones with the error.
func (s *sampler) run(ctx context.Context, bar *metrics.Progress) (out []sampled, err error) {
	if s.c.NumBeams > 1 {
		return s.search(ctx, bar)
	}
	bar.Total(len(s.queries))
	done := 0
	completions, err := s.l.model.Sample(ctx, s.queries, s.config, func(int, gpt.Completion) {
		done++
		bar.Set(done, "")
	})
	for q, c := range completions {
		if c.Tokens != nil {
			out = append(out, s.line(q, c))
		}
	}
	return out, err
}

// search finds the best N beams of each prompt.
func (s *sampler) search(ctx context.Context, bar *metrics.Progress) (out []sampled, err error) {
	var queries []gpt.Query
	for i := range s.prompts {
		queries = append(queries, s.queries[i*s.c.N])
	}
	c := gpt.BeamConfig{NumBeams: s.c.NumBeams, NumReturn: s.c.N, LengthPenalty: s.c.LengthPenalty, EarlyStopping: s.c.EarlyStopping, MaxNewTokens: s.c.MaxNewTokens,
		MaxLength: s.c.MaxLength, RepetitionPenalty: float32(s.c.RepetitionPenalty), StopTokens: s.config.StopTokens}
	if len(s.stops) > 0 {
		c.Stop = func(_ int, tokens []int32) bool { return s.textOf(tokens).Stopped() }
	}
	bar.Total(len(queries))
	found, err := s.l.model.Beams(ctx, queries, c, func(i int, _ []gpt.Beam) { bar.Set(i+1, "") })
	for i, beams := range found {
		for k, b := range beams {
			line := s.line(i*s.c.N+k, b.Completion)
			line.Score = &b.Score
			out = append(out, line)
		}
	}
	return out, err
}

// textOf returns the text of tokens, up to a stop string.
func (s *sampler) textOf(tokens []int32) *conversation.Text {
	t := conversation.NewText(s.l.tok, s.stops, s.c.KeepStop)
	for _, token := range tokens {
		t.Add(token)
	}
	return t
}

// line is the output for a query's completion.
func (s *sampler) line(q int, c gpt.Completion) sampled {
	p := s.prompts[q/s.c.N]
	out := sampled{Prompt: p.Text, PromptTokens: s.queries[q].Tokens, Sample: q % s.c.N, Tokens: c.Tokens, Logprobs: c.Logprobs, FinishReason: "length", Model: s.name,
		shown: p.Text, others: carried(p.Fields)}
	if s.l.tok != nil {
		out.Completion = s.textOf(c.Tokens).String()
		if s.trim && p.Messages != nil {
			out.Completion = strings.TrimSpace(out.Completion)
		}
		if p.Messages != nil || p.Tokens != nil {
			out.shown = s.l.tok.DecodeSpecial(out.PromptTokens)
		}
	}
	switch {
	case c.Stopped:
		out.FinishReason = "stop"
	case c.Halted:
		out.FinishReason = "stop_string"
	}
	return out
}

// drawn is a line of --stream: a token of a completion.
type drawn struct {
	Query   int     `json:"query"` // number of the prompt
	Sample  int     `json:"sample"`
	Token   int32   `json:"token"`
	Logprob float32 `json:"logprob"`
	Text    string  `json:"text"` // what has become certain of the completion: whole runes, no part of a stop string
}

// stream writes a line for every token, and each completion's when it ends.
func (s *sampler) stream(ctx context.Context, w io.Writer) error {
	var failed error
	write := func(v any) {
		var line jsonLines
		err := line.add(v)
		if err == nil {
			_, err = w.Write(line.Bytes())
		}
		failed = errors.Join(failed, err)
	}
	token := func(q int, token int32, logprob float32, text string) {
		write(drawn{q / s.c.N, q % s.c.N, token, logprob, text})
	}
	if s.l.tok != nil {
		s.follow(token)
	} else {
		s.config.Token = func(q int, id int32, logprob float32) { token(q, id, logprob, "") }
	}
	_, err := s.l.model.Sample(ctx, s.queries, s.config, func(q int, c gpt.Completion) { write(s.line(q, c)) })
	return errors.Join(err, failed)
}

// write writes the one completion as it is drawn, and a line break.
func (s *sampler) write(ctx context.Context, w io.Writer) error {
	var failed error
	put := func(text string) {
		if _, err := io.WriteString(w, text); err != nil {
			failed = err
		}
	}
	s.follow(func(_ int, _ int32, _ float32, text string) { put(text) })
	_, err := s.l.model.Sample(ctx, s.queries, s.config, nil)
	put(s.texts[0].Rest() + "\n")
	return errors.Join(err, failed)
}
