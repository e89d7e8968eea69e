package gpt

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"rlhf/internal/kernel"
)

// Query is a prompt to continue.
type Query struct {
	Tokens  []int32 // 1 to NPositions of them
	Episode uint64  // index of the random stream that its tokens are drawn from
}

// Completion is what the model wrote after a query.
type Completion struct {
	Tokens   []int32   // (T) ends with the stop token if Stopped
	Logprobs []float32 // (T) nats, at the sampling temperature over the whole vocabulary; the bits a Pass computes for the same tokens
	Stopped  bool      // reports whether a stop token ended it, rather than a limit
	Halted   bool      // reports whether SampleConfig.Stop ended it
}

// SampleConfig says how to sample. Filters and penalty are those of transformers'
// logits processors, in their order: repetition penalty, temperature, top k, top
// p, min p. They change which tokens are drawn, never a log-prob, which is the
// model's own at the temperature.
type SampleConfig struct {
	MaxNewTokens int     // limit; the model's NPositions limits too
	MaxLength    int     // limit of query and completion together; 0 for none
	Temperature  float32 // divides the logits; 0 takes the largest, with log-probs at temperature 1

	TopK              int     // keeps the k likeliest tokens, and any as likely as the last of them; 0 keeps all
	TopP              float32 // keeps the fewest likeliest tokens that together have at least this probability; 0 and 1 keep all
	TopPWithin        bool    // top p leaves out the token that crosses it, unless that is the first: lm-human-preferences' rule
	MinP              float32 // keeps the tokens at least this share as likely as the likeliest; 0 keeps all
	RepetitionPenalty float32 // divides the positive logits of tokens in the query and completion so far, multiplies the negative; 0 reads as 1

	StopTokens []int32 // each ends a completion and stays in it

	// Stop, if not nil, is told a completion's tokens after each of them and reports whether they end here; queries are
	// asked about at once, one of them by one caller at a time.
	Stop func(query int, tokens []int32) bool
	// Token, if not nil, is told each token as it is chosen, never two at a time.
	Token func(query int, token int32, logprob float32)

	Slots   int    // sequences in work at a time; 0 reads as 64
	Seed    uint64 // with Purpose, episode and position the key of each draw
	Purpose string
}

// Validate returns an error that names the first field without a usable value.
func (c SampleConfig) Validate() error {
	switch {
	case c.MaxNewTokens < 1:
		return fmt.Errorf("max_new_tokens: must be at least 1 (got %d)", c.MaxNewTokens)
	case c.MaxLength < 0:
		return fmt.Errorf("max_length: must not be negative (got %d)", c.MaxLength)
	case !(c.Temperature >= 0) || c.Slots < 0:
		return fmt.Errorf("temperature and slots must not be negative (got %g, %d)", c.Temperature, c.Slots)
	case c.TopK < 0:
		return fmt.Errorf("top_k: must not be negative (got %d)", c.TopK)
	case !(c.TopP >= 0 && c.TopP <= 1):
		return fmt.Errorf("top_p: must be from 0 to 1 (got %g)", c.TopP)
	case !(c.MinP >= 0 && c.MinP <= 1):
		return fmt.Errorf("min_p: must be from 0 to 1 (got %g)", c.MinP)
	case !(c.RepetitionPenalty >= 0):
		return fmt.Errorf("repetition_penalty: must be positive, or 0 for none (got %g)", c.RepetitionPenalty)
	}
	return nil
}

// limit returns the most tokens of a completion after n others.
func (c SampleConfig) limit(m *Model, n int) int {
	most := min(c.MaxNewTokens, m.Config.NPositions-n)
	if c.MaxLength > 0 {
		most = min(most, c.MaxLength-n)
	}
	return most
}

func (m *Model) checkSample(queries []Query, c SampleConfig) error {
	if m.Config.NLabels != 0 {
		return fmt.Errorf("sample: the model has a score head, not a language-model head")
	}
	if err := c.Validate(); err != nil {
		return err
	}
	for q, query := range queries {
		if err := m.checkQuery(query.Tokens, c.MaxLength); err != nil {
			return fmt.Errorf("query %d: %w", q, err)
		}
	}
	return nil
}

// checkQuery returns an error unless the model can continue tokens below maxLength, if that is not 0.
func (m *Model) checkQuery(tokens []int32, maxLength int) error {
	if n := len(tokens); n < 1 || n >= m.Config.NPositions {
		return fmt.Errorf("%d tokens, the model takes 1 to %d and needs room for one more", n, m.Config.NPositions-1)
	}
	if maxLength > 0 && len(tokens) >= maxLength {
		return fmt.Errorf("%d tokens, max_length %d leaves no room for one more", len(tokens), maxLength)
	}
	return m.checkTokens(tokens)
}

func (m *Model) checkTokens(tokens []int32) error {
	for _, t := range tokens {
		if t < 0 || int(t) >= m.Config.VocabSize {
			return fmt.Errorf("token id %d, the vocabulary has %d", t, m.Config.VocabSize)
		}
	}
	return nil
}

// Sample completes the queries and returns the completions in their order. A
// finished sequence leaves its slot to the next query at once; as every draw
// comes from the stream of (Seed, Purpose, Episode, position), neither slots nor
// threads change a token. each, if not nil, is called as each completion
// finishes, in no fixed order but never twice at a time. On cancellation the
// error wraps ctx's and the completions finished by then are returned, the
// others being zero.
func (m *Model) Sample(ctx context.Context, queries []Query, c SampleConfig, each func(i int, c Completion)) ([]Completion, error) {
	if err := m.checkSample(queries, c); err != nil {
		return nil, err
	}
	if len(queries) == 0 {
		return nil, nil
	}
	if c.Slots == 0 {
		c.Slots = 64
	}
	longest := 0
	for _, q := range queries {
		longest = max(longest, len(q.Tokens)+c.limit(m, len(q.Tokens)))
	}
	s := &sampling{
		m: m, queries: queries, out: make([]Completion, len(queries)), each: each,
		drawer: newDrawer(c), cap: kernel.AttentionCap(longest),
	}
	slots := s.slots()
	var t kernel.Team
	t.Start(kernel.Threads())
	m.pack(&t)
	if n := len(m.Theta); n > aloneFloats || n > smallFloats && slots < 8*t.Size() {
		s.decode(ctx, &t, slots)
		t.Stop()
	} else {
		t.Stop()
		s.decodeAlone(ctx, slots)
	}
	if err := ctx.Err(); err != nil && s.done < len(queries) {
		return s.out, fmt.Errorf("sample: %d of %d completions: %w", s.done, len(queries), err)
	}
	return s.out, nil
}

// aloneFloats is the size of a model up to which every worker decodes slots of its own, waiting for nobody. Beyond, or
// beyond smallFloats if each would have few slots, all workers share each step's operations: reading the weights takes
// longest then, and they pass once for all slots.
const (
	aloneFloats = 16 << 20
	smallFloats = 1 << 20
)

// cacheFloats bounds the keys and values of all slots: 1 GiB. Where that holds fewer than the slots asked for, fewer are in work.
const cacheFloats = 1 << 28

// sampling is one call of Sample.
type sampling struct {
	m       *Model
	drawer  drawer
	queries []Query
	out     []Completion
	cap     int // positions of a slot's cache
	next    atomic.Int64
	mu      sync.Mutex // guards done and serialises callbacks
	done    int
	each    func(i int, c Completion)
}

// slots returns how many sequences are in work at a time.
func (s *sampling) slots() int {
	return max(1, min(s.drawer.Slots, len(s.queries), cacheFloats/slotFloats(s.m.Config, s.cap)))
}

// slotFloats returns the keys and values of a slot of cap positions.
func slotFloats(c Config, cap int) int {
	nk, nv := kernel.AttentionSize(c.HeadDim(), cap)
	return c.NLayer * c.NHead * (nk + nv)
}

// decode completes the queries with all of the team's workers at each step.
func (s *sampling) decode(ctx context.Context, t *kernel.Team, slots int) {
	d := s.m.takeDecoder()
	defer s.m.leaveDecoder(d)
	d.share(t)
	s.run(ctx, d, slots)
}

// decodeAlone completes them with workers that have slots of their own.
func (s *sampling) decodeAlone(ctx context.Context, slots int) {
	w := min(kernel.Threads(), slots)
	var wg sync.WaitGroup
	for k := range w {
		share := slots*(k+1)/w - slots*k/w
		wg.Go(func() {
			d := s.m.takeDecoder()
			defer s.m.leaveDecoder(d)
			d.single()
			s.run(ctx, d, share)
		})
	}
	wg.Wait()
}

// run works with d until the queries run out or ctx ends.
func (s *sampling) run(ctx context.Context, d *decoder, slots int) {
	d.open(slots, s.cap, s)
	for ctx.Err() == nil {
		busy := false
		for i := range d.slots {
			busy = d.slots[i].query >= 0 || s.begin(&d.slots[i]) || busy
		}
		if !busy {
			return
		}
		d.step()
		for k, i := range d.ready {
			s.take(&d.slots[i], d.chosen[k], d.logprobs[k])
		}
	}
	for i := range d.slots { // what is half done does not count
		if q := d.slots[i].query; q >= 0 {
			s.out[q] = Completion{}
		}
	}
}

// begin gives a free slot the next query and reports whether there was one.
func (s *sampling) begin(sl *slot) bool {
	q := s.next.Add(1) - 1
	if q >= int64(len(s.queries)) {
		return false
	}
	tokens := s.queries[q].Tokens
	sl.query, sl.at = int(q), 0
	sl.feed(tokens...)
	if s.drawer.penalises() {
		sl.seen.reset(s.m.Config.VocabSize)
		sl.seen.add(tokens...)
	}
	n := s.drawer.limit(s.m, len(tokens))
	s.out[q] = Completion{Tokens: make([]int32, 0, n), Logprobs: make([]float32, 0, n)}
	return true
}

func (s *sampling) choose(w *scratch, sl *slot, logits []float32) (int32, float32) {
	return s.drawer.draw(w, logits, &sl.seen, s.queries[sl.query].Episode, uint64(sl.at))
}

// take adds a token to a slot's completion and frees the slot if that ends it.
func (s *sampling) take(sl *slot, token int32, logprob float32) {
	out, c := &s.out[sl.query], &s.drawer.SampleConfig
	out.Tokens, out.Logprobs = append(out.Tokens, token), append(out.Logprobs, logprob)
	if c.Token != nil {
		s.mu.Lock()
		c.Token(sl.query, token, logprob)
		s.mu.Unlock()
	}
	out.Stopped = slices.Contains(c.StopTokens, token)
	out.Halted = !out.Stopped && c.Stop != nil && c.Stop(sl.query, out.Tokens)
	if !out.Stopped && !out.Halted && len(out.Tokens) < cap(out.Tokens) {
		sl.feed(token)
		if s.drawer.penalises() {
			sl.seen.add(token)
		}
		return
	}
	s.finished(sl.query)
	sl.query = -1
}

// finished counts a completion and reports it.
func (s *sampling) finished(query int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	if s.each != nil {
		s.each(query, s.out[query])
	}
}
