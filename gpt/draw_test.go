package gpt_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"rlhf/gpt"
	"rlhf/internal/rng"
)

// settings are those of a row of testdata/sampling.json, named as in transformers; 0 stands for "not set".
type settings struct {
	Temperature       float32
	TopK              int      `json:"top_k"`
	TopP              float32  `json:"top_p"`
	MinP              float32  `json:"min_p"`
	RepetitionPenalty float32  `json:"repetition_penalty"`
	NumBeams          int      `json:"num_beams"`
	LengthPenalty     *float64 `json:"length_penalty"`
	EarlyStopping     any      `json:"early_stopping"`
	MaxNewTokens      int      `json:"max_new_tokens"`
}

func (s settings) config() gpt.SampleConfig {
	if s.Temperature == 0 {
		s.Temperature = 1
	}
	return gpt.SampleConfig{Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, RepetitionPenalty: s.RepetitionPenalty}
}

// sampled is testdata/sampling.json, made by sampling.py beside it with the PyTorch and transformers named in it.
type sampled struct {
	Settings []settings
	Filters  []struct {
		Before []int32
		Logits []float32
		Probs  [][]float64
	}
	Ties []struct {
		Before   []int32
		Logits   []float32
		Settings settings
		Probs    []float64
	}
	Greedy []struct {
		Prompt, Tokens []int32
		Penalty        float32
	}
	Beams []struct {
		Prompt, EOS []int32
		Settings    settings
		Scores      []float64
		Sequences   [][]int32
	}
}

func loadSampled(t *testing.T) (g sampled) {
	t.Helper()
	raw, err := os.ReadFile("testdata/sampling.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// sameProbabilities compares with float32 numbers of PyTorch, whose sums run in another order: 1e-5 of the value.
func sameProbabilities(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	for v := range want {
		if (got[v] == 0) != (want[v] == 0) || math.Abs(float64(got[v])-want[v]) > 1e-5*want[v] {
			t.Errorf("%s: token %d has probability %v, want %v", what, v, got[v], want[v])
		}
	}
}

func TestGoldenFilters(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		g := loadSampled(t)
		for i, row := range g.Filters {
			for k, s := range g.Settings {
				sameProbabilities(t, fmt.Sprintf("row %d, %+v", i, s), s.config().Probabilities(row.Logits, row.Before), row.Probs[k])
			}
		}
		for _, row := range g.Ties {
			sameProbabilities(t, fmt.Sprintf("%v, %+v", row.Logits, row.Settings), row.Settings.config().Probabilities(row.Logits, row.Before), row.Probs)
		}
		if len(g.Filters) < 9 || len(g.Settings) < 26 || len(g.Ties) < 28 {
			t.Errorf("%d rows, %d settings, %d rows of ties", len(g.Filters), len(g.Settings), len(g.Ties))
		}
	})
}

func TestGoldenSamplingProbabilities(t *testing.T) {
	_, g := loadGolden(t)
	logits := make([]float32, len(g.Sampling.Logits))
	for v, x := range g.Sampling.Logits {
		logits[v] = float32(x)
	}
	for name, c := range map[string]gpt.SampleConfig{
		"temperature .7":           {Temperature: .7},
		"temperature .7, top_k 5":  {Temperature: .7, TopK: 5},
		"temperature .7, top_p .8": {Temperature: .7, TopP: .8},
		"top_k 8, top_p .6":        {Temperature: 1, TopK: 8, TopP: .6},
		"min_p .2":                 {Temperature: 1, MinP: .2},
		"repetition_penalty 1.3":   {Temperature: 1, RepetitionPenalty: 1.3},
	} {
		if len(g.Sampling.Probs) != 6 || g.Sampling.Probs[name] == nil {
			t.Fatalf("golden.json has no probabilities for %s", name)
		}
		sameProbabilities(t, name, c.Probabilities(logits, g.Sampling.Prompt), g.Sampling.Probs[name])
	}
}

// The row that lm-human-preferences tests its top p with: it leaves out the token that crosses p, which transformers keeps.
func TestKnownTopP(t *testing.T) {
	logits := []float32{1, 1.01, 1.001, 0, 0, 0, 2}
	for _, test := range []struct {
		p            float32
		without, all []int
	}{
		{.7, []int{1, 2, 6}, []int{0, 1, 2, 6}},
		{.6, []int{1, 6}, []int{1, 2, 6}},
		{.5, []int{6}, []int{1, 6}},
		{.1, []int{6}, []int{6}},
	} {
		for within, want := range map[bool][]int{true: test.without, false: test.all} {
			var kept []int
			for v, share := range (gpt.SampleConfig{Temperature: 1, TopP: test.p, TopPWithin: within}).Probabilities(logits, nil) {
				if share > 0 {
					kept = append(kept, v)
				}
			}
			if !slices.Equal(kept, want) {
				t.Errorf("top p %v, the crossing token left out %v: keeps %v, want %v", test.p, within, kept, want)
			}
		}
	}
}

// bySorting is a distribution by sorting the whole vocabulary, in float64.
func bySorting(logits []float32, c gpt.SampleConfig) []float64 {
	order := indices(len(logits))
	z := make([]float64, len(logits))
	for v := range z {
		z[v] = float64(logits[v] * (1 / c.Temperature))
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(z[b], z[a]), b-a) })
	if k := c.TopK; k > 0 && k < len(order) {
		for k < len(order) && z[order[k]] == z[order[c.TopK-1]] {
			k++
		}
		order = order[:k]
	}
	total := 0.0
	for _, v := range order {
		total += math.Exp(z[v] - z[order[0]])
	}
	if c.TopP > 0 && c.TopP < 1 {
		sum := 0.0
		for k, v := range order {
			if sum >= float64(c.TopP)*total {
				order = order[:k]
				break
			}
			sum += math.Exp(z[v] - z[order[0]])
		}
	}
	p, kept := make([]float64, len(z)), 0.0
	for _, v := range order {
		if w := math.Exp(z[v] - z[order[0]]); w >= float64(c.MinP) {
			p[v] = max(w, 1e-37) // the kernels' e^x ends at x = -87
			kept += w
		}
	}
	for v := range p {
		p[v] /= kept
	}
	return p
}

// Partial selection over vocabularies of many blocks keeps what sorting the whole vocabulary keeps; a boundary so near that
// float32 decides it otherwise may move by one token.
func TestFiltersEqualSortingTheWholeVocabulary(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		defer anyKernel(r)()
		logits := make([]float32, rapid.IntRange(1, 60_000).Draw(r, "vocabulary"))
		random, spread := rng.New(rapid.Uint64().Draw(r, "seed"), "test/row", 0), rapid.SampledFrom([]float64{0, .01, 1, 4, 30}).Draw(r, "spread")
		for v := range logits {
			logits[v] = float32(spread * random.NormFloat64())
		}
		c := gpt.SampleConfig{
			Temperature: rapid.SampledFrom([]float32{.2, 1, 5}).Draw(r, "temperature"),
			TopK:        rapid.SampledFrom([]int{0, 0, 1, 3, 50, 117, 118, 1000, 70_000}).Draw(r, "top k"),
			TopP:        rapid.SampledFrom([]float32{0, 0, .01, .5, .9, .999, 1}).Draw(r, "top p"),
			MinP:        rapid.SampledFrom([]float32{0, 0, .001, .1, .8, 1}).Draw(r, "min p"),
		}
		want, got := bySorting(logits, c), c.Probabilities(logits, nil)
		kept, other := 0, 0
		for v := range want {
			if want[v] > 0 {
				kept++
			}
			if (want[v] > 0) != (got[v] > 0) {
				other++
			}
		}
		if other > 1 || kept < 1000 && other == 1 && c.TopP == 0 {
			r.Fatalf("%d of %d tokens kept otherwise", other, kept)
		}
		for v := range want {
			if got[v] > 0 && want[v] > 0 && other == 0 && math.Abs(float64(got[v])-want[v]) > 2e-5*want[v]+1e-36 {
				r.Fatalf("token %d: probability %v, want %v", v, got[v], want[v])
			}
		}
	})
}

// Greedy decoding with a penalty is transformers'.
func TestGoldenRepetitionPenalty(t *testing.T) {
	m, _ := loadGolden(t)
	for _, row := range loadSampled(t).Greedy {
		got, err := m.Sample(context.Background(), []gpt.Query{{Tokens: row.Prompt}}, gpt.SampleConfig{MaxNewTokens: 9, RepetitionPenalty: row.Penalty}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got[0].Tokens, row.Tokens) {
			t.Errorf("%v at penalty %v: got %v, want %v", row.Prompt, row.Penalty, got[0].Tokens, row.Tokens)
		}
	}
}

// Draws follow the filtered distribution: Pearson's chi-square over the tokens kept stays below its mean plus five standard
// deviations, and no token outside is ever drawn.
func TestFilteredSamplingFollowsTheDistribution(t *testing.T) {
	m, g := loadGolden(t)
	const draws = 40_000
	queries := make([]gpt.Query, draws)
	for i := range queries {
		queries[i] = gpt.Query{Tokens: g.Sampling.Prompt, Episode: uint64(i)}
	}
	for name, c := range map[string]gpt.SampleConfig{
		"temperature .7, top_k 5":  {Temperature: .7, TopK: 5},
		"temperature .7, top_p .8": {Temperature: .7, TopP: .8},
		"min_p .2":                 {Temperature: 1, MinP: .2},
		"repetition_penalty 1.3":   {Temperature: 1, RepetitionPenalty: 1.3},
	} {
		c.MaxNewTokens, c.Seed = 1, 3
		got, err := m.Sample(context.Background(), queries, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		counts := make([]float64, m.Config.VocabSize)
		for _, c := range got {
			counts[c.Tokens[0]]++
		}
		chi, cells := 0.0, 0.0
		for v, n := range counts {
			p := g.Sampling.Probs[name][v]
			if p == 0 && n > 0 {
				t.Errorf("%s: token %d was drawn %v times", name, v, n)
			} else if want := draws * p; want >= 5 {
				chi += (n - want) * (n - want) / want
				cells++
			}
		}
		if limit := cells + 5*math.Sqrt(2*cells); chi > limit || cells < 5 {
			t.Errorf("%s: chi-square %v over %v tokens, limit %v", name, chi, cells, limit)
		}
	}
}

// Filters, penalties, stop conditions and lengths keep the promise: neither slots nor threads nor company change a token,
// and log-probs are the bits that a training pass computes at the temperature.
func TestFilteredSamplesDoNotDependOnSlotsOrThreads(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		defer anyKernel(r)()
		m := drawModel(r, t, 0)
		var q []gpt.Query
		for i, tokens := range drawSequences(r, m, 1, 20) {
			q = append(q, gpt.Query{Tokens: tokens, Episode: uint64(i)})
		}
		c := gpt.SampleConfig{
			MaxNewTokens: 12, MaxLength: rapid.SampledFrom([]int{0, 25}).Draw(r, "max length"), Temperature: rapid.SampledFrom([]float32{0, .7, 1}).Draw(r, "temperature"),
			TopK: rapid.SampledFrom([]int{0, 5}).Draw(r, "top k"), TopP: rapid.SampledFrom([]float32{0, .8}).Draw(r, "top p"), MinP: rapid.SampledFrom([]float32{0, .1}).Draw(r, "min p"),
			RepetitionPenalty: rapid.SampledFrom([]float32{0, 1.4}).Draw(r, "penalty"), Seed: 5, Slots: rapid.IntRange(1, 9).Draw(r, "slots"),
			Stop: func(_ int, tokens []int32) bool {
				return len(tokens) > 2 && tokens[len(tokens)-1]%3 == tokens[len(tokens)-2]%3
			},
		}
		run := func(n int, q []gpt.Query) []gpt.Completion {
			defer threads(n)()
			out, err := m.Sample(context.Background(), q, c, nil)
			if err != nil {
				r.Fatal(err)
			}
			return out
		}
		want := run(1, q)
		c.Slots = 3
		got := run(rapid.IntRange(2, 8).Draw(r, "threads"), q)
		alone := run(2, q[:1])
		b := gpt.Batch{Temperature: c.Temperature}
		for i := range q {
			if !slices.Equal(got[i].Tokens, want[i].Tokens) || !slices.Equal(got[i].Logprobs, want[i].Logprobs) || got[i].Halted != want[i].Halted {
				r.Fatalf("completion %d depends on slots or threads", i)
			}
			if n := len(q[i].Tokens) + len(got[i].Tokens); c.MaxLength > 0 && n > c.MaxLength {
				r.Fatalf("completion %d ends at %d tokens", i, n)
			}
			tokens := slices.Concat(q[i].Tokens, got[i].Tokens)
			b.Append(tokens, gpt.NextTokens(tokens, len(q[i].Tokens)))
		}
		if !slices.Equal(alone[0].Tokens, want[0].Tokens) {
			r.Fatal("a completion depends on its company")
		}
		out, err := gpt.NewPass(m).Evaluate(b)
		if err != nil {
			r.Fatal(err)
		}
		row := 0
		for i := range q {
			from := row + len(q[i].Tokens) - 1
			if trained := out.Logprobs[from : from+len(got[i].Tokens)]; !slices.Equal(trained, got[i].Logprobs) {
				r.Fatalf("sequence %d: trained %v, sampled %v", i, trained, got[i].Logprobs)
			}
			row += b.Lens[i]
		}
	})
}

func TestStopAndTokenCallbacks(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 50, NPositions: 40, NEmbd: 16, NLayer: 1, NHead: 2}, 3)
	queries := []gpt.Query{{Tokens: []int32{1}}, {Tokens: []int32{2, 3}, Episode: 1}, {Tokens: []int32{4}, Episode: 2}}
	told := make([][]int32, 3)
	c := gpt.SampleConfig{MaxNewTokens: 20, Temperature: 1, Seed: 1, Stop: func(q int, tokens []int32) bool { return len(tokens) == 4+q },
		Token: func(q int, token int32, _ float32) { told[q] = append(told[q], token) }}
	got, err := m.Sample(context.Background(), queries, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	for q, completion := range got {
		if len(completion.Tokens) != 4+q || !completion.Halted || completion.Stopped || !slices.Equal(told[q], completion.Tokens) {
			t.Errorf("query %d: %d tokens, halted %v, stopped %v; told %v", q, len(completion.Tokens), completion.Halted, completion.Stopped, told[q])
		}
	}
}

// Long prompts are added in parts, and the memory of a step does not grow with slots times prompts.
func TestPromptsInParts(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 50, NPositions: 700, NEmbd: 8, NLayer: 2, NHead: 1}, 3)
	var queries []gpt.Query
	for i := range 40 {
		tokens := make([]int32, 1+i*17)
		for k := range tokens {
			tokens[k] = int32((i*31 + k*k) % 50)
		}
		queries = append(queries, gpt.Query{Tokens: tokens, Episode: uint64(i)})
	}
	c := gpt.SampleConfig{MaxNewTokens: 5, Temperature: 1, Seed: 1}
	got, err := m.Sample(context.Background(), queries, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b gpt.Batch
	for i, q := range queries {
		tokens := slices.Concat(q.Tokens, got[i].Tokens)
		b.Append(tokens, gpt.NextTokens(tokens, len(q.Tokens)))
	}
	out, err := gpt.NewPass(m).Evaluate(b)
	if err != nil {
		t.Fatal(err)
	}
	row := 0
	for i, q := range queries {
		from := row + len(q.Tokens) - 1
		if !slices.Equal(out.Logprobs[from:from+len(got[i].Tokens)], got[i].Logprobs) {
			t.Errorf("query %d of %d tokens: trained and sampled log-probs differ", i, len(q.Tokens))
		}
		row += b.Lens[i]
	}
}

// Filters and penalties allocate nothing once they have seen a vocabulary.
func TestFiltersAllocateNothingPerToken(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 700, NPositions: 64, NEmbd: 16, NLayer: 2, NHead: 2}, 1)
	queries := []gpt.Query{{Tokens: []int32{1, 2, 3}}, {Tokens: []int32{4}, Episode: 1}}
	for _, c := range []gpt.SampleConfig{{Temperature: 1, TopK: 40, TopP: .9, MinP: .01, RepetitionPenalty: 1.2}, {Temperature: 1, TopP: .95}, {RepetitionPenalty: 1.3}} {
		allocations := func(tokens int) float64 {
			c.MaxNewTokens = tokens
			return leastAllocations(func() {
				if _, err := m.Sample(context.Background(), queries, c, nil); err != nil {
					t.Fatal(err)
				}
			})
		}
		if few, many := allocations(3), allocations(50); many > few {
			t.Errorf("%+v: %v allocations for 3 tokens, %v for 50", c, few, many)
		}
	}
}

// Tokens a second of a small model with GPT-2's vocabulary, where filters cost most, without any and with each.
func BenchmarkFilters(b *testing.B) {
	m, err := gpt.New(gpt.Config{VocabSize: 50257, NPositions: 128, NEmbd: 128, NLayer: 2, NHead: 4, LayerNormEpsilon: 1e-5})
	if err != nil {
		b.Fatal(err)
	}
	m.Init(1)
	for i, x := range m.Tensor("transformer.ln_f.weight") { // logits as spread as a trained model's: standard deviation 2.3
		m.Tensor("transformer.ln_f.weight")[i] = x * 10
	}
	m.Changed()
	for _, test := range []struct {
		name string
		c    gpt.SampleConfig
	}{
		{"none", gpt.SampleConfig{}}, {"top_k 50", gpt.SampleConfig{TopK: 50}}, {"top_k 1000", gpt.SampleConfig{TopK: 1000}}, {"top_p .9", gpt.SampleConfig{TopP: .9}},
		{"top_p .99", gpt.SampleConfig{TopP: .99}}, {"min_p .05", gpt.SampleConfig{MinP: .05}}, {"repetition_penalty 1.2", gpt.SampleConfig{RepetitionPenalty: 1.2}},
		{"all", gpt.SampleConfig{TopK: 50, TopP: .9, MinP: .05, RepetitionPenalty: 1.2}},
	} {
		b.Run(test.name, func(b *testing.B) {
			var queries []gpt.Query
			for i := range 64 {
				queries = append(queries, gpt.Query{Tokens: []int32{int32(i), 1, 2, 3}, Episode: uint64(i)})
			}
			c := test.c
			c.MaxNewTokens, c.Temperature = 16, 1
			for b.Loop() {
				if _, err := m.Sample(context.Background(), queries, c, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(64*16*float64(b.N)/b.Elapsed().Seconds(), "tok/s")
		})
	}
}
