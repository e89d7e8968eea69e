package gpt

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"rlhf/internal/kernel"
)

// BeamConfig says how to search for likely completions. Names and rules are those
// of transformers' beam search (generate with num_beams and without sampling,
// version 4.56), whose scores and sequences it gives.
type BeamConfig struct {
	NumBeams          int     // sequences followed at a time, at least 2
	NumReturn         int     // best ones returned; 0 reads as NumBeams
	LengthPenalty     float64 // a score is the sum of log-probs divided by length to this power: above 0 favours long completions
	EarlyStopping     string  // "true" ends a search with NumBeams complete ones, "false" when the best open one is unlikely to be better, "never" when none can
	MaxNewTokens      int
	MaxLength         int     // limit of query and completion together; 0 for none
	RepetitionPenalty float32 // as SampleConfig's, on log-probs; 0 reads as 1
	StopTokens        []int32 // each completes a sequence and stays in it
	Stop              func(query int, tokens []int32) bool
}

// Beam is a completion found by beam search. Its log-probs are the model's own at temperature 1.
type Beam struct {
	Completion
	Score float64 // by which beams are ranked
}

// Validate returns an error that names the first field without a usable value.
func (c BeamConfig) Validate() error {
	switch {
	case c.NumBeams < 2:
		return fmt.Errorf("num_beams: must be at least 2 (got %d)", c.NumBeams)
	case c.NumReturn < 0 || c.NumReturn > c.NumBeams:
		return fmt.Errorf("num_return_sequences: must be at most num_beams %d (got %d)", c.NumBeams, c.NumReturn)
	case math.IsNaN(c.LengthPenalty) || math.IsInf(c.LengthPenalty, 0):
		return fmt.Errorf("length_penalty: must be a finite number (got %g)", c.LengthPenalty)
	case !slices.Contains([]string{"true", "false", "never"}, c.EarlyStopping):
		return fmt.Errorf("early_stopping: must be true, false or never (got %q)", c.EarlyStopping)
	}
	return c.sample().Validate()
}

// sample returns what a search has in common with sampling.
func (c BeamConfig) sample() SampleConfig {
	return SampleConfig{MaxNewTokens: c.MaxNewTokens, MaxLength: c.MaxLength, RepetitionPenalty: c.RepetitionPenalty, StopTokens: c.StopTokens}
}

// keep returns how many continuations a step looks at: so many that NumBeams go on even if all stop tokens are among them.
func (c BeamConfig) keep() int { return max(2, 1+len(c.StopTokens)) * c.NumBeams }

// Beams completes each query with its best beams, best first, one query after another. each, if not nil, is told each
// query's as they are found. On cancellation the queries found by then are returned with an error that wraps ctx's.
func (m *Model) Beams(ctx context.Context, queries []Query, c BeamConfig, each func(i int, beams []Beam)) (out [][]Beam, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := m.checkSample(queries, c.sample()); err != nil {
		return nil, err
	}
	if least := c.keep() / c.NumBeams; m.Config.VocabSize < least {
		return nil, fmt.Errorf("num_beams: a search with %d stop tokens needs a vocabulary of %d, the model has %d", len(c.StopTokens), least, m.Config.VocabSize)
	}
	if c.NumReturn == 0 {
		c.NumReturn = c.NumBeams
	}
	var t kernel.Team
	t.Start(kernel.Threads())
	defer t.Stop()
	m.pack(&t)
	d := m.takeDecoder()
	defer m.leaveDecoder(d)
	d.share(&t)
	for q, query := range queries {
		s := &search{BeamConfig: c, d: d, query: q, prompt: query.Tokens, limit: c.sample().limit(m, len(query.Tokens)), penalty: drawer{SampleConfig: c.sample()}}
		beams, err := s.run(ctx)
		if err != nil {
			return out, fmt.Errorf("beam search: %d of %d queries: %w", q, len(queries), err)
		}
		out = append(out, beams[:min(len(beams), c.NumReturn)])
		if each != nil {
			each(q, out[q])
		}
	}
	return out, nil
}

// search is the beam search of one query.
type search struct {
	BeamConfig
	d        *decoder
	query    int
	prompt   []int32
	limit    int // most new tokens
	penalty  drawer
	open     []beam           // (NumBeams) best first
	complete []Beam           // at most NumBeams, best first
	next     [][]continuation // by slot, likeliest first
}

// beam is an open sequence. Its score is the sum of the log-probs, penalised.
type beam struct {
	Beam
	slot int
}

// continuation is a token that may follow a beam.
type continuation struct {
	beam      int
	token     int32
	logprob   float32
	penalised float64
	score     float64 // with the beam's
}

// barred is what a sequence that must not go on loses of its score.
const barred = -1e9

func (s *search) run(ctx context.Context) ([]Beam, error) {
	s.start()
	for n, improvable := 1, true; ; n++ { // n is the length of the sequences that this round makes
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for {
			if s.d.step(); len(s.d.ready) > 0 {
				break
			}
		}
		best := s.continuations(n == 1)
		stopped, all := s.stopped(best, n)
		s.collect(best, stopped, n, improvable)
		s.advance(best, stopped, n)
		improvable = improvable && s.improvable(n)
		full := len(s.complete) == s.NumBeams
		if !improvable || full && s.EarlyStopping == "true" || all {
			return s.complete, nil
		}
	}
}

// start opens a slot for each beam; the first alone reads the prompt, the others are copies of it until their tokens differ.
func (s *search) start() {
	s.d.open(s.NumBeams, kernel.AttentionCap(len(s.prompt)+s.limit), s)
	s.next = make([][]continuation, s.NumBeams)
	first := &s.d.slots[0]
	first.query, first.at = 0, 0
	first.feed(s.prompt...)
	s.mark(first, nil)
	for b := range s.NumBeams {
		s.open = append(s.open, beam{slot: b})
		if b > 0 {
			s.open[b].Score = barred
		}
	}
}

// mark notes what a slot's sequence holds, if a penalty needs to know.
func (s *search) mark(sl *slot, tokens []int32) {
	if s.penalty.penalises() {
		sl.seen.reset(s.d.m.Config.VocabSize)
		sl.seen.add(s.prompt...)
		sl.seen.add(tokens...)
	}
}

// choose notes the likeliest continuations of a slot's beam, as many as a step looks at in all.
func (s *search) choose(w *scratch, sl *slot, logits []float32) (int32, float32) {
	w.parts = grow(w.parts, kernel.HeadParts(len(logits)))
	headBlocks(w.parts, logits, 1)
	list := s.next[sl.index][:0]
	add := func(token int32, penalty float32) {
		lp := logprob(w.parts, logits, token, 1)
		list = append(list, continuation{token: token, logprob: lp, penalised: float64(lp) * float64(penalty)})
	}
	if s.penalty.penalises() {
		for _, token := range sl.seen.tokens {
			add(token, s.RepetitionPenalty)
		}
		for _, token := range sl.seen.tokens { // the others are chosen among themselves
			logits[token] = float32(math.Inf(-1))
		}
	}
	f := &w.filter
	f.narrow(&SampleConfig{TopK: s.keep()}, w.parts, logits, 1)
	for k, token := range f.kept.IDs {
		if f.kept.Weights[k] > 0 && !math.IsInf(float64(logits[token]), -1) {
			add(token, 1)
		}
	}
	slices.SortFunc(list, func(a, b continuation) int {
		return cmp.Or(cmp.Compare(b.penalised, a.penalised), cmp.Compare(a.token, b.token))
	})
	s.next[sl.index] = list[:min(len(list), s.keep())]
	return list[0].token, list[0].logprob
}

// continuations returns the likeliest continuations of all beams. In the first round all of them are the first one's.
func (s *search) continuations(first bool) []continuation {
	var all []continuation
	for b, open := range s.open {
		from := open.slot
		if first {
			from = 0
		}
		for _, c := range s.next[from] {
			c.beam, c.score = b, open.Score+c.penalised
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b continuation) int { return cmp.Compare(b.score, a.score) })
	return all[:min(len(all), s.keep())]
}

// stopped reports which continuations complete sequences of n tokens, and whether all do.
func (s *search) stopped(best []continuation, n int) (which []bool, all bool) {
	all = true
	for _, c := range best {
		stop := n == s.limit || slices.Contains(s.StopTokens, c.token)
		if !stop && s.Stop != nil {
			stop = s.Stop(s.query, append(slices.Clone(s.open[c.beam].Tokens), c.token))
		}
		which, all = append(which, stop), all && stop
	}
	return which, all
}

// extended returns a beam's completion with one more token.
func (s *search) extended(c continuation) Completion {
	of := s.open[c.beam].Completion
	return Completion{Tokens: append(slices.Clone(of.Tokens), c.token), Logprobs: append(slices.Clone(of.Logprobs), c.logprob)}
}

// collect adds to the complete sequences those of the best NumBeams continuations that have stopped at n tokens.
func (s *search) collect(best []continuation, stopped []bool, n int, improvable bool) {
	if !improvable || len(s.complete) == s.NumBeams && s.EarlyStopping == "true" {
		return
	}
	for k, c := range best[:min(len(best), s.NumBeams)] {
		if !stopped[k] {
			continue
		}
		done := Beam{Completion: s.extended(c), Score: c.score / math.Pow(float64(n), s.LengthPenalty)}
		done.Stopped = slices.Contains(s.StopTokens, c.token)
		done.Halted = !done.Stopped && s.Stop != nil && s.Stop(s.query, done.Tokens)
		s.complete = append(s.complete, done)
	}
	slices.SortStableFunc(s.complete, func(a, b Beam) int { return cmp.Compare(b.Score, a.Score) })
	s.complete = s.complete[:min(len(s.complete), s.NumBeams)]
}

// advance makes the best continuations that have not stopped the open beams, of n tokens, and feeds their slots. Only
// where there are too few do stopped ones go on, barred.
func (s *search) advance(best []continuation, stopped []bool, n int) {
	var open []beam
	parent := make([]int, 0, s.NumBeams)
	for _, going := range []bool{true, false} {
		for k, c := range best {
			if stopped[k] == going || len(open) == s.NumBeams {
				continue
			}
			next := beam{Beam: Beam{Completion: s.extended(c), Score: c.score}}
			if !going {
				next.Score += barred
			}
			open, parent = append(open, next), append(parent, s.open[c.beam].slot)
		}
	}
	if n == 1 {
		clear(parent) // all have read the prompt there
	}
	s.place(open, parent, n)
	s.open = open
}

// place gives each open beam a slot that holds its sequence but for the last token, n-1 tokens after the prompt: its
// parent's, or a copy if another beam has that one already.
func (s *search) place(open []beam, parent []int, n int) {
	d, length := s.d, len(s.prompt)+n-1
	taken := make([]bool, s.NumBeams)
	var rest []int
	for b := range open {
		if open[b].slot = parent[b]; taken[parent[b]] {
			rest = append(rest, b)
		}
		taken[parent[b]] = true
	}
	from := 0
	if n > 1 {
		from = len(s.prompt) // every slot holds the prompt
	}
	for _, b := range rest {
		to := slices.Index(taken, false)
		taken[to], open[b].slot = true, to
		copyCache(d.m.Config, d.cache[to*d.per:(to+1)*d.per], d.cap, d.cache[parent[b]*d.per:(parent[b]+1)*d.per], d.cap, from, length)
	}
	for i := range d.slots {
		d.slots[i].query = -1
	}
	for b := range open {
		sl := &d.slots[open[b].slot]
		sl.query, sl.at = 0, length
		sl.feed(open[b].Tokens[n-1])
		s.mark(sl, open[b].Tokens)
	}
}

// improvable reports whether an open beam, of n tokens, may become better than the complete ones.
func (s *search) improvable(n int) bool {
	if len(s.complete) < s.NumBeams {
		return true
	}
	if s.EarlyStopping == "never" && s.LengthPenalty > 0 {
		n = s.limit
	}
	return s.open[0].Score/math.Pow(float64(n), s.LengthPenalty) > s.complete[len(s.complete)-1].Score
}
