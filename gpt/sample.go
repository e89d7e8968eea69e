package gpt

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"rlhf/internal/kernel"
	"rlhf/internal/rng"
)

// Query is a prompt to continue.
type Query struct {
	Tokens  []int32 // 1 to NPositions of them
	Episode uint64  // index of the random stream that its tokens are drawn from
}

// Completion is what the model wrote after a query.
type Completion struct {
	Tokens   []int32   // (T) ends with the stop token if Stopped
	Logprobs []float32 // (T) nats, at the sampling temperature; the bits a Pass computes for the same tokens
	Stopped  bool      // reports whether a stop token ended it, rather than a limit
}

// SampleConfig says how to sample.
type SampleConfig struct {
	MaxNewTokens int     // limit; the model's NPositions limits too
	Temperature  float32 // divides the logits; 0 takes the largest, with log-probs at temperature 1
	StopTokens   []int32 // each ends a completion and stays in it
	Slots        int     // sequences in work at a time; 0 reads as 64
	Seed         uint64  // with Purpose, episode and position the key of each draw
	Purpose      string
}

func (m *Model) checkSample(queries []Query, c SampleConfig) error {
	if m.Config.NLabels != 0 {
		return fmt.Errorf("sample: the model has a score head, not a language-model head")
	}
	if c.MaxNewTokens < 1 {
		return fmt.Errorf("max_new_tokens: must be at least 1 (got %d)", c.MaxNewTokens)
	}
	if c.Temperature < 0 || c.Slots < 0 {
		return fmt.Errorf("temperature and slots must not be negative (got %g, %d)", c.Temperature, c.Slots)
	}
	for q, query := range queries {
		if n := len(query.Tokens); n < 1 || n >= m.Config.NPositions {
			return fmt.Errorf("query %d: %d tokens, the model takes 1 to %d and needs room for one more", q, n, m.Config.NPositions-1)
		}
		for _, t := range query.Tokens {
			if t < 0 || int(t) >= m.Config.VocabSize {
				return fmt.Errorf("query %d: token id %d, the vocabulary has %d", q, t, m.Config.VocabSize)
			}
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
		longest = max(longest, len(q.Tokens))
	}
	s := &sampling{
		m: m, c: c, queries: queries, out: make([]Completion, len(queries)), each: each,
		stream: rng.At(c.Seed, c.Purpose), cap: kernel.AttentionCap(min(longest+c.MaxNewTokens, m.Config.NPositions)),
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
	c       SampleConfig
	queries []Query
	out     []Completion
	stream  rng.Stream
	cap     int // positions of a slot's cache
	next    atomic.Int64
	mu      sync.Mutex // guards done and serialises each
	done    int
	each    func(i int, c Completion)
}

// slots returns how many sequences are in work at a time.
func (s *sampling) slots() int {
	c := s.m.Config
	return max(1, min(s.c.Slots, len(s.queries), cacheFloats/slotFloats(c, s.cap)))
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
	d.work = make([]scratch, t.Size())
	d.crew.begin(t, d.work)
	d.run(ctx, s, slots)
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
			if len(d.work) == 0 {
				d.work = make([]scratch, 1)
			}
			d.crew.team, d.crew.work = nil, d.work[:1]
			d.run(ctx, s, share)
		})
	}
	wg.Wait()
}

// take returns the next query to complete, or -1.
func (s *sampling) take() int {
	if q := s.next.Add(1) - 1; q < int64(len(s.queries)) {
		return int(q)
	}
	return -1
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
