package compare_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"rlhf/compare"
	"rlhf/gpt"
	"rlhf/internal/kernel"
)

// letters is a tokenizer of the letters a to y, with 25 as the stop token.
type letters struct{}

func (letters) Encode(text string) []int32 {
	var out []int32
	for _, c := range text {
		out = append(out, c-'a')
	}
	return out
}

func (letters) Decode(tokens []int32) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteRune('a' + t)
	}
	return b.String()
}

const stop = 25

func model(t *testing.T, seed uint64) *gpt.Model {
	t.Helper()
	m, err := gpt.New(gpt.Config{VocabSize: 26, NPositions: 24, NEmbd: 16, NLayer: 2, NHead: 2, LayerNormEpsilon: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(seed)
	return m
}

// favour returns a model that writes token with a log-prob raised by by: the last
// normalisation is scaled to nothing, so the logits are wte times its bias alone,
// which makes every distribution known by hand.
func favour(t *testing.T, token int, by float32) *gpt.Model {
	t.Helper()
	m := model(t, 1)
	C := m.Config.NEmbd
	clear(m.Tensor("transformer.ln_f.weight"))
	bias := m.Tensor("transformer.ln_f.bias")
	wte := m.Tensor("transformer.wte.weight")
	clear(bias)
	bias[0] = 1
	for v := range m.Config.VocabSize {
		wte[v*C] = 0
	}
	wte[token*C] = by
	m.Changed()
	return m
}

func study(t *testing.T, before, after *gpt.Model) compare.Study {
	t.Helper()
	var prompts []compare.Prompt
	for i := range 40 {
		prompts = append(prompts, compare.Prompt{Text: strings.Repeat(string(rune('a'+i%7)), 1+i%5)})
	}
	return compare.Study{
		Before: compare.Side{Name: "before", Model: before}, After: compare.Side{Name: "after", Model: after},
		Prompts: prompts, Tokenizer: letters{}, StopTokens: []int32{stop},
		Judge: compare.TextJudge("count of c", func(_, completion string) float64 {
			return float64(strings.Count(completion, "c"))
		}),
	}
}

func config() compare.Config {
	c := compare.DefaultConfig()
	c.ResponseLength, c.Temperature, c.Prompts = 8, 1, 0
	return c
}

func run(t *testing.T, c compare.Config, s compare.Study) compare.Result {
	t.Helper()
	r, err := compare.Run(context.Background(), c, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEqualModelsTie(t *testing.T) {
	m := model(t, 3)
	r := run(t, config(), study(t, m, m.Clone()))
	if r.KL != 0 || r.KLStandardError != 0 {
		t.Errorf("kl: got %v (error %v), want exactly 0", r.KL, r.KLStandardError)
	}
	if j := r.Judge; j.Ties != 40 || j.WinRate != 0.5 || j.P != 1 || j.LongerWins != nil {
		t.Errorf("judge: got %+v, want 40 ties", j)
	}
	if r.Perplexity.Before != r.Perplexity.After || r.Distinct2.Before != r.Distinct2.After || r.Length.Before != r.Length.After {
		t.Errorf("equal models differ: %+v", r)
	}
}

// Both models' distributions are known: uniform over 26, and e^3 to 25 for c. Per
// token the divergence is p (3 - ln Z) + (1-p)(-ln Z) + ln 26 with Z = e^3 + 25,
// p = e^3/Z; and tokens end an answer with probability (1-p)/25.
func TestKnownModels(t *testing.T) {
	c := config()
	s := study(t, favour(t, 2, 0), favour(t, 2, 3))
	s.Prompts = make([]compare.Prompt, 1500)
	for i := range s.Prompts {
		s.Prompts[i] = compare.Prompt{Text: "ab"}
	}
	s.StopTokens = nil
	r := run(t, c, s)
	z := math.Exp(3) + 25
	p := math.Exp(3) / z
	perToken := p*3 - math.Log(z) + math.Log(26)
	if want := 8 * perToken; math.Abs(r.KL-want) > 4*r.KLStandardError || r.KLStandardError > want/20 {
		t.Errorf("kl: got %v (error %v), want %v", r.KL, r.KLStandardError, want)
	}
	if got := r.Perplexity.After; math.Abs(got-26) > 1e-3 {
		t.Errorf("perplexity under a uniform base: got %v, want 26", got)
	}
	if r.Judge.Score.After < 8*p*0.95 || r.Judge.Score.After > 8*p*1.05 {
		t.Errorf("mean count of c: got %v, want about %v", r.Judge.Score.After, 8*p)
	}
	if r.Judge.WinRate < 0.9 || r.Judge.Interval[0] < 0.9 || r.Judge.P > 1e-9 {
		t.Errorf("a model that favours c does not win: %+v", r.Judge)
	}
	if r.Length != (compare.Pair{Before: 8, After: 8}) || r.FinishReasons.After["length"] != 1500 {
		t.Errorf("length, finish: got %v, %v", r.Length, r.FinishReasons)
	}
	// At temperature 2 the divergence is that of logits 1.5.
	c.Temperature = 2
	z = math.Exp(1.5) + 25
	p = math.Exp(1.5) / z
	r = run(t, c, s)
	if want := 8 * (p*1.5 - math.Log(z) + math.Log(26)); math.Abs(r.KL-want) > 4*r.KLStandardError {
		t.Errorf("kl at temperature 2: got %v (error %v), want %v", r.KL, r.KLStandardError, want)
	}
	// The model after as the base finds its own answers likelier.
	s.Base = s.After
	if r := run(t, config(), s); r.Perplexity.After >= r.Perplexity.Before || r.Base != "after" {
		t.Errorf("base after: got perplexity %+v of %q", r.Perplexity, r.Base)
	}
}

func TestStopTokenIsNotText(t *testing.T) {
	s := study(t, favour(t, stop, 50), favour(t, 2, 50))
	r := run(t, config(), s)
	if r.FinishReasons.Before["stop"] != 40 || r.Length.Before != 0 || r.Samples[0].Before != "" {
		t.Errorf("before always stops: got %v, length %v, text %q", r.FinishReasons.Before, r.Length.Before, r.Samples[0].Before)
	}
	if r.Samples[0].After != "cccccccc" || r.Samples[0].Prompt != "a" || r.Samples[0].Winner != "after" {
		t.Errorf("sample: got %+v", r.Samples[0])
	}
	if l := r.Judge.LongerWins; l == nil || *l != 1 {
		t.Errorf("longer wins: got %v, want 1", l)
	}
}

func TestTiesAndMargin(t *testing.T) {
	s := study(t, model(t, 1), model(t, 2))
	lengths := map[string]float64{}
	s.Judge = compare.TokenJudge("script", func(_ context.Context, sequences [][]int32) ([]float32, error) {
		out := make([]float32, len(sequences))
		for i := range out {
			out[i] = float32(i % 4) // 0 1 2 3
			if len(lengths) > 0 {
				out[i] = 1.5
			}
		}
		lengths["called"] = 1
		return out, nil
	})
	c := config()
	c.TieMargin = 0.5
	// Before scores 0 1 2 3, after 1.5: of four after wins one, ties two, loses one.
	j := run(t, c, s).Judge
	if j.Wins != 10 || j.Ties != 20 || j.Losses != 10 || j.WinRate != 0.5 || j.P != 1 {
		t.Errorf("got %+v, want 10 wins, 20 ties, 10 losses", j)
	}
	if j.Score != (compare.Pair{Before: 1.5, After: 1.5}) {
		t.Errorf("scores: got %+v", j.Score)
	}
}

func TestSettingsMatter(t *testing.T) {
	s := study(t, model(t, 1), model(t, 2))
	base, _ := run(t, config(), s).JSON()
	for _, change := range []func(*compare.Config){
		func(c *compare.Config) { c.Prompts = 7 },
		func(c *compare.Config) { c.ResponseLength = 3 },
		func(c *compare.Config) { c.Temperature = 0 },
		func(c *compare.Config) { c.Seed = 9 },
		func(c *compare.Config) { c.TieMargin = 100 },
	} {
		c := config()
		change(&c)
		r := run(t, c, s)
		r.Settings = compare.Settings{ResponseLength: 8, Temperature: 1, TieMargin: 1e-6, Seed: 1}
		if got, _ := r.JSON(); bytes.Equal(got, base) {
			t.Errorf("%+v changes nothing", c)
		}
	}
}

func TestSameBytes(t *testing.T) {
	s := study(t, model(t, 1), model(t, 2))
	first, err := run(t, config(), s).JSON()
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.SetThreads(kernel.Threads())
	kernel.SetThreads(1)
	second, _ := run(t, config(), s).JSON()
	if !bytes.Equal(first, second) {
		t.Error("one thread gives other bytes")
	}
	var m map[string]any
	if err := json.Unmarshal(first, &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"before", "after", "prompts", "judge", "kl", "length", "perplexity", "distinct_2", "finish_reasons", "samples"} {
		if _, ok := m[key]; !ok {
			t.Errorf("compare.json has no %q", key)
		}
	}
	judge := m["judge"].(map[string]any)
	for _, key := range []string{"name", "win_rate", "wins", "losses", "ties", "interval", "p"} {
		if _, ok := judge[key]; !ok {
			t.Errorf("compare.json has no judge.%s", key)
		}
	}
}

func TestRefusals(t *testing.T) {
	bad := errors.New("no verdict")
	small := model(t, 1)
	small.Config.VocabSize = 20
	tests := []struct {
		name   string
		change func(*compare.Config, *compare.Study)
		want   string
	}{
		{"response length", func(c *compare.Config, _ *compare.Study) { c.ResponseLength = 0 }, "response_length: must be at least 1 (got 0)"},
		{"temperature", func(c *compare.Config, _ *compare.Study) { c.Temperature = math.NaN() }, "temperature: must be from 0"},
		{"prompts", func(c *compare.Config, _ *compare.Study) { c.Prompts = -1 }, "prompts: must not be negative (got -1)"},
		{"margin", func(c *compare.Config, _ *compare.Study) { c.TieMargin = -1 }, "tie_margin: must not be negative (got -1)"},
		{"shown", func(c *compare.Config, _ *compare.Study) { c.ShownSamples = -1 }, "shown_samples: must not be negative (got -1)"},
		{"no prompts", func(_ *compare.Config, s *compare.Study) { s.Prompts = nil }, "no prompts"},
		{"no judge", func(_ *compare.Config, s *compare.Study) { s.Judge = nil }, "a judge"},
		{"vocabulary", func(_ *compare.Config, s *compare.Study) { s.After.Model = small }, "before has a vocabulary of 26, after of 20"},
		{"long prompt", func(_ *compare.Config, s *compare.Study) { s.Prompts[3].Text = strings.Repeat("a", 30) }, "answers of before"},
		{"judge fails", func(_ *compare.Config, s *compare.Study) {
			s.Judge = compare.TokenJudge("j", func(context.Context, [][]int32) ([]float32, error) { return nil, bad })
		}, "judge j: no verdict"},
		{"judge NaN", func(_ *compare.Config, s *compare.Study) {
			s.Judge = compare.TextJudge("j", func(string, string) float64 { return math.NaN() })
		}, "judge j: score of prompt 0 is NaN"},
	}
	for _, test := range tests {
		c, s := config(), study(t, model(t, 1), model(t, 2))
		test.change(&c, &s)
		if _, err := compare.Run(context.Background(), c, s); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := study(t, model(t, 1), model(t, 2))
	heard := ""
	s.Progress = func(done, total int) { heard = fmt.Sprint(done, " of ", total) }
	if _, err := compare.Run(ctx, config(), s); err != nil || heard != "80 of 80" {
		t.Errorf("progress: got %q, %v", heard, err)
	}
	cancel()
	if _, err := compare.Run(ctx, config(), s); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}
