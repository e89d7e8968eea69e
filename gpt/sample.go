package gpt

import (
	"context"
	"fmt"
	"slices"
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
	w := min(workers(), c.Slots, max(len(queries), 1))
	var wg sync.WaitGroup
	for k := range w {
		slots := c.Slots/w + btoi(k < c.Slots%w)
		wg.Go(func() { s.work(ctx, slots) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil && s.done.Load() < int64(len(queries)) {
		return s.out, fmt.Errorf("sample: %d of %d completions: %w", s.done.Load(), len(queries), err)
	}
	return s.out, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sampling is one call of Sample.
type sampling struct {
	m       *Model
	c       SampleConfig
	queries []Query
	out     []Completion
	stream  rng.Stream
	cap     int // positions of a slot's cache
	next    atomic.Int64
	done    atomic.Int64
	mu      sync.Mutex // serialises each
	each    func(i int, c Completion)
}

// slot is a sequence in work: the tokens not yet in its cache, and the cache.
type slot struct {
	query  int     // index, -1 for a free slot
	at     int     // positions in the cache
	feed   []int32 // tokens that the next step adds
	keys   []float32
	values []float32
}

// work runs one worker's slots until the queries run out.
func (s *sampling) work(ctx context.Context, n int) {
	c := s.m.Config
	nk, nv := kernel.AttentionSize(c.HeadDim(), s.cap)
	slots := make([]slot, n)
	for i := range slots {
		slots[i] = slot{query: -1, keys: make([]float32, c.NLayer*c.NHead*nk), values: make([]float32, c.NLayer*c.NHead*nv)}
	}
	step := &step{s: s}
	for ctx.Err() == nil {
		active := step.active[:0]
		for i := range slots {
			sl := &slots[i]
			if sl.query < 0 {
				q := int(s.next.Add(1)) - 1
				if q >= len(s.queries) {
					continue
				}
				sl.query, sl.at, sl.feed = q, 0, append(sl.feed[:0], s.queries[q].Tokens...)
			}
			active = append(active, sl)
		}
		step.active = active
		if len(active) == 0 {
			return
		}
		step.run()
	}
}

// step is the memory of one worker's steps.
type step struct {
	s         *sampling
	active    []*slot
	tokens    []int32
	positions []int32
	x         []float32
	layer     acts
	scratch   []float32
	last      []float32 // (slots, C)
	ln, mr    []float32
	logits    []float32 // (headRows, V)
}

// run adds each active slot's new tokens to its cache and draws its next token.
func (t *step) run() {
	m, C := t.s.m, t.s.m.Config.NEmbd
	t.tokens, t.positions = t.tokens[:0], t.positions[:0]
	for _, sl := range t.active {
		for i, token := range sl.feed {
			t.tokens, t.positions = append(t.tokens, token), append(t.positions, int32(sl.at+i))
		}
	}
	rows := len(t.tokens)
	t.x = grow(t.x, rows*C)
	t.layer.resize(rows, C)
	kernel.Embed(t.x, t.tokens, t.positions, m.p.wte, m.p.wpe, C)
	for l := range m.Config.NLayer {
		m.queryKeyValue(l, t.layer, t.x, rows)
		t.attend(l)
		m.afterAttention(l, t.layer, t.x, rows)
		t.x, t.layer.out = t.layer.out, t.x
	}
	t.draw()
}

// attend stores the new keys and values and computes attention over each slot's cache.
func (t *step) attend(l int) {
	c, cap := t.s.m.Config, t.s.cap
	C, hd := c.NEmbd, c.HeadDim()
	nk, nv := kernel.AttentionSize(hd, cap)
	t.scratch = grow(t.scratch, kernel.AttentionScratch(hd, cap))
	row := 0
	for _, sl := range t.active {
		t0, t1 := sl.at, sl.at+len(sl.feed)
		qkv, att := t.layer.qkv[row*3*C:], t.layer.att[row*C:]
		for h := range c.NHead {
			i := l*c.NHead + h
			keys, values := sl.keys[i*nk:(i+1)*nk], sl.values[i*nv:(i+1)*nv]
			kernel.AttentionStore(keys, values, qkv[C+h*hd:], qkv[2*C+h*hd:], 3*C, hd, cap, t0, t1)
			kernel.Attention(att[h*hd:], C, qkv[h*hd:], 3*C, keys, values, hd, cap, t0, t1, t.scratch)
		}
		row += t1 - t0
	}
}

// draw computes the logits after each slot's last token, a few slots at a time, and takes a token from each.
func (t *step) draw() {
	m, c := t.s.m, t.s.m.Config
	C, V, n := c.NEmbd, c.VocabSize, len(t.active)
	t.last, t.ln, t.mr = grow(t.last, n*C), grow(t.ln, n*C), grow(t.mr, 2*n)
	row := 0
	for i, sl := range t.active {
		row += len(sl.feed)
		copy(t.last[i*C:(i+1)*C], t.x[(row-1)*C:])
	}
	kernel.LayerNorm(t.ln, t.mr[:n], t.mr[n:], t.last, m.p.lnfw, m.p.lnfb, n, C, c.LayerNormEpsilon)
	t.logits = grow(t.logits, headRows*V)
	for i0 := 0; i0 < n; i0 += headRows {
		i1 := min(i0+headRows, n)
		kernel.MatMul(t.logits, V, t.ln[i0*C:], C, m.forward.head, nil, i1-i0, C, V)
		for i := i0; i < i1; i++ {
			t.take(t.active[i], t.logits[(i-i0)*V:(i-i0+1)*V])
		}
	}
}

// take draws a slot's next token and frees the slot if that ends its completion.
func (t *step) take(sl *slot, logits []float32) {
	s := t.s
	q := &s.queries[sl.query]
	out := &s.out[sl.query]
	sl.at += len(sl.feed)
	var token int32
	var logprob float32
	if s.c.Temperature == 0 {
		token, logprob = kernel.Greedy(logits, 1)
	} else {
		token, logprob = kernel.Sample(logits, 1/s.c.Temperature, s.stream.Float64(q.Episode, uint64(sl.at)))
	}
	out.Tokens, out.Logprobs = append(out.Tokens, token), append(out.Logprobs, logprob)
	out.Stopped = slices.Contains(s.c.StopTokens, token)
	if !out.Stopped && len(out.Tokens) < s.c.MaxNewTokens && sl.at < s.m.Config.NPositions-1 {
		sl.feed = append(sl.feed[:0], token)
		return
	}
	s.done.Add(1)
	if s.each != nil {
		s.mu.Lock()
		s.each(sl.query, *out)
		s.mu.Unlock()
	}
	sl.query = -1
}
