package gpt_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"rlhf/gpt"
)

// config returns the settings as a search of 9 new tokens, transformers' defaults where nothing is set.
func (s settings) beams(eos []int32) gpt.BeamConfig {
	c := gpt.BeamConfig{NumBeams: s.NumBeams, LengthPenalty: 1, EarlyStopping: "false", MaxNewTokens: 9, RepetitionPenalty: s.RepetitionPenalty, StopTokens: eos}
	if s.LengthPenalty != nil {
		c.LengthPenalty = *s.LengthPenalty
	}
	if s.EarlyStopping != nil {
		c.EarlyStopping = fmt.Sprint(s.EarlyStopping)
	}
	if s.MaxNewTokens > 0 {
		c.MaxNewTokens = s.MaxNewTokens
	}
	return c
}

// Sequences are transformers', and scores within 1e-5, what float32 sums in another order leave.
func TestGoldenBeams(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		m, _ := loadGolden(t)
		g := loadSampled(t)
		for _, row := range g.Beams {
			c := row.Settings.beams(row.EOS)
			what := fmt.Sprintf("%v, stop tokens %v, %+v", row.Prompt, row.EOS, c)
			got, err := m.Beams(context.Background(), []gpt.Query{{Tokens: row.Prompt}}, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(got[0]) != len(row.Scores) {
				t.Errorf("%s: %d beams, want %d", what, len(got[0]), len(row.Scores))
				continue
			}
			for k, b := range got[0] {
				if !slices.Equal(b.Tokens, row.Sequences[k]) || math.Abs(b.Score-row.Scores[k]) > 1e-5*math.Abs(row.Scores[k]) {
					t.Errorf("%s: beam %d is %v of score %v, want %v of %v", what, k, b.Tokens, b.Score, row.Sequences[k], row.Scores[k])
				}
			}
		}
		if len(g.Beams) < 190 {
			t.Errorf("%d beam searches", len(g.Beams))
		}
	})
}

// Beams have the log-probs that a pass computes, and are the same for any number of threads; so many beams that nothing is
// ever dropped find the best of all sequences.
func TestBeamsAreTheBestOfAllSequences(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 5, NPositions: 12, NEmbd: 8, NLayer: 2, NHead: 2}, 6)
	prompt := []int32{1, 2, 3}
	run := func(n int) []gpt.Beam {
		defer threads(n)()
		got, err := m.Beams(context.Background(), []gpt.Query{{Tokens: prompt}}, gpt.BeamConfig{NumBeams: 125, LengthPenalty: 1, EarlyStopping: "false", MaxNewTokens: 3}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	got := run(1)
	var b gpt.Batch
	var order []int
	for i := range 125 {
		tokens := append(slices.Clone(prompt), int32(i/25), int32(i/5%5), int32(i%5))
		b.Append(tokens, gpt.NextTokens(tokens, len(prompt)))
		order = append(order, i)
	}
	out, err := gpt.NewPass(m).Evaluate(b)
	if err != nil {
		t.Fatal(err)
	}
	score := func(i int) (sum float64) {
		for _, lp := range out.Logprobs[6*i+2 : 6*i+5] {
			sum += float64(lp) / 3
		}
		return sum
	}
	slices.SortFunc(order, func(a, b int) int { return int(math.Copysign(1, score(b)-score(a))) })
	for k, i := range order {
		if want := b.Tokens[6*i+3 : 6*i+6]; !slices.Equal(got[k].Tokens, want) || !slices.Equal(got[k].Logprobs, out.Logprobs[6*i+2:6*i+5]) || math.Abs(got[k].Score-score(i)) > 1e-12 {
			t.Fatalf("beam %d: %v of score %v, want %v of %v", k, got[k].Tokens, got[k].Score, want, score(i))
		}
	}
	for k, b := range run(3) {
		if !slices.Equal(b.Tokens, got[k].Tokens) || b.Score != got[k].Score {
			t.Fatalf("beam %d depends on the threads", k)
		}
	}
}

// Long prompts and many steps: every beam's log-probs are those of its own sequence, so no cache was mixed up.
func TestBeamsKeepTheirCachesApart(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 70, NPositions: 600, NEmbd: 12, NLayer: 2, NHead: 3}, 2)
	prompt := make([]int32, 420)
	for i := range prompt {
		prompt[i] = int32(i * 31 % 70)
	}
	c := gpt.BeamConfig{NumBeams: 6, NumReturn: 4, LengthPenalty: .5, EarlyStopping: "never", MaxNewTokens: 70, StopTokens: []int32{3}, RepetitionPenalty: 1.1}
	got, err := m.Beams(context.Background(), []gpt.Query{{Tokens: prompt}, {Tokens: prompt[:5]}}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(got[0]) != 4 || len(got[1]) != 4 {
		t.Fatalf("%d queries", len(got))
	}
	for q, beams := range got {
		for k, beam := range beams {
			tokens := slices.Concat([][]int32{prompt, prompt[:5]}[q], beam.Tokens)
			var b gpt.Batch
			b.Append(tokens, gpt.NextTokens(tokens, len(tokens)-len(beam.Tokens)))
			out, err := gpt.NewPass(m).Evaluate(b)
			if err != nil {
				t.Fatal(err)
			}
			if from := len(tokens) - len(beam.Tokens) - 1; !slices.Equal(out.Logprobs[from:len(tokens)-1], beam.Logprobs) {
				t.Errorf("query %d, beam %d of %d tokens: log-probs are not its own", q, k, len(beam.Tokens))
			}
		}
	}
}

func TestBeamsStop(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 70, NPositions: 60, NEmbd: 12, NLayer: 1, NHead: 3}, 2)
	c := gpt.BeamConfig{NumBeams: 3, LengthPenalty: 1, EarlyStopping: "true", MaxNewTokens: 20, Stop: func(_ int, tokens []int32) bool { return len(tokens) == 4 }}
	got, err := m.Beams(context.Background(), []gpt.Query{{Tokens: []int32{1}}}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range got[0] {
		if len(b.Tokens) != 4 || !b.Halted {
			t.Errorf("%d tokens, halted %v", len(b.Tokens), b.Halted)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	found, err := m.Beams(ctx, []gpt.Query{{Tokens: []int32{1}}, {Tokens: []int32{2}}}, c, func(int, []gpt.Beam) { cancel() })
	if !errors.Is(err, context.Canceled) || len(found) != 1 {
		t.Errorf("%d queries, error %v", len(found), err)
	}
	for _, test := range []struct {
		change func(*gpt.BeamConfig)
		want   string
	}{
		{func(c *gpt.BeamConfig) { c.NumBeams = 1 }, "num_beams: must be at least 2"},
		{func(c *gpt.BeamConfig) { c.NumReturn = 4 }, "num_return_sequences: must be at most num_beams 3"},
		{func(c *gpt.BeamConfig) { c.EarlyStopping = "soon" }, "early_stopping"},
		{func(c *gpt.BeamConfig) { c.LengthPenalty = math.NaN() }, "length_penalty"},
		{func(c *gpt.BeamConfig) { c.StopTokens = make([]int32, 80) }, "needs a vocabulary of 81"},
		{func(c *gpt.BeamConfig) { c.MaxNewTokens = 0 }, "max_new_tokens"},
	} {
		bad := c
		test.change(&bad)
		if _, err := m.Beams(context.Background(), []gpt.Query{{Tokens: []int32{1}}}, bad, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}
