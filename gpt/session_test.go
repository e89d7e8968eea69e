package gpt_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"rlhf/gpt"
)

// A conversation of any appends, replies and rewinds has at each reply the bits of sampling its whole text from scratch,
// and of a training pass over it.
func TestSessionEqualsSamplingFromScratch(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		defer anyKernel(r)()
		defer threads(rapid.IntRange(1, 4).Draw(r, "threads"))()
		heads := rapid.IntRange(1, 6).Draw(r, "heads")
		m := random(t, gpt.Config{VocabSize: 90, NPositions: rapid.SampledFrom([]int{30, 700}).Draw(r, "positions"), NEmbd: 4 * heads, NLayer: 2, NHead: heads}, 4)
		s, err := m.NewSession()
		if err != nil {
			r.Fatal(err)
		}
		c := gpt.SampleConfig{Temperature: rapid.SampledFrom([]float32{0, .8}).Draw(r, "temperature"), RepetitionPenalty: rapid.SampledFrom([]float32{1, 1.3}).Draw(r, "penalty"),
			TopP: rapid.SampledFrom([]float32{0, .8}).Draw(r, "top p"), StopTokens: []int32{7}, Seed: 9, Purpose: "chat"}
		var text []int32
		for range 6 {
			if rapid.Bool().Draw(r, "rewind") {
				n := rapid.IntRange(0, len(text)).Draw(r, "to")
				if err := s.Rewind(n); err != nil {
					r.Fatal(err)
				}
				text = text[:n]
			}
			room := m.Config.NPositions - len(text)
			if room < 2 {
				continue
			}
			least := 0
			if len(text) == 0 {
				least = 1
			}
			said := rapid.SliceOfN(rapid.Int32Range(0, 89), least, min(room-1, 400)).Draw(r, "said")
			if err := s.Append(said...); err != nil {
				r.Fatal(err)
			}
			text = append(text, said...)
			c.MaxNewTokens = rapid.IntRange(1, 12).Draw(r, "new tokens")
			got, err := s.Generate(context.Background(), c, 3)
			if err != nil {
				r.Fatal(err)
			}
			want, err := m.Sample(context.Background(), []gpt.Query{{Tokens: text, Episode: 3}}, c, nil)
			if err != nil {
				r.Fatal(err)
			}
			if !slices.Equal(got.Tokens, want[0].Tokens) || !slices.Equal(got.Logprobs, want[0].Logprobs) || got.Stopped != want[0].Stopped {
				r.Fatalf("after %d tokens: got %v, want %v", len(text), got, want[0])
			}
			text = append(text, got.Tokens...)
			if !slices.Equal(s.Tokens(), text) || s.Len() != len(text) {
				r.Fatal("the session holds another text")
			}
		}
	})
}

// What a cancelled reply has written stays, and the conversation goes on from there.
func TestSessionKeepsWhatACancelledReplyWrote(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 50, NPositions: 64, NEmbd: 8, NLayer: 1, NHead: 2}, 1)
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(1, 2, 3); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	c := gpt.SampleConfig{MaxNewTokens: 20, Temperature: 1, Token: func(int, int32, float32) {
		if n++; n == 4 {
			cancel()
		}
	}}
	got, err := s.Generate(ctx, c, 0)
	if !errors.Is(err, context.Canceled) || len(got.Tokens) != 4 || s.Len() != 7 {
		t.Fatalf("%d tokens, session of %d, error %v", len(got.Tokens), s.Len(), err)
	}
	rest, err := s.Generate(context.Background(), c, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.MaxNewTokens = 24
	whole, err := m.Sample(context.Background(), []gpt.Query{{Tokens: []int32{1, 2, 3}}}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(slices.Concat(got.Tokens, rest.Tokens), whole[0].Tokens) {
		t.Error("a reply in two parts differs from the whole")
	}
}

func TestSessionRefusals(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 10, NPositions: 8, NEmbd: 8, NLayer: 1, NHead: 2}, 1)
	if _, err := m.WithHead(1).NewSession(); err == nil || !strings.Contains(err.Error(), "score head") {
		t.Errorf("reward model: %v", err)
	}
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	c := gpt.SampleConfig{MaxNewTokens: 3, Temperature: 1}
	generate := func() error { _, err := s.Generate(context.Background(), c, 0); return err }
	for _, test := range []struct {
		name string
		do   func() error
		want string
	}{
		{"nothing to continue", generate, "0 tokens"},
		{"too long", func() error { return s.Append(make([]int32, 9)...) }, "9 tokens, the model takes 8"},
		{"no such token", func() error { return s.Append(1, 10) }, "token id 10"},
		{"rewind", func() error { return s.Rewind(1) }, "rewind to 1 of 0 tokens"},
		{"full", func() error { return errors.Join(s.Append(make([]int32, 8)...), generate()) }, "needs room for one more"},
		{"settings", func() error { c.TopP = 2; return generate() }, "top_p"},
	} {
		if err := test.do(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// Tokens a second of one conversation, around different positions.
func BenchmarkSession(b *testing.B) {
	m, err := gpt.New(gpt.Config{VocabSize: 4096, NPositions: 4096, NEmbd: 384, NLayer: 6, NHead: 6, LayerNormEpsilon: 1e-5})
	if err != nil {
		b.Fatal(err)
	}
	m.Init(1)
	for _, at := range []struct {
		name string
		n    int
	}{{"100", 100}, {"2000", 2000}, {"4000", 4000}} {
		b.Run(at.name, func(b *testing.B) {
			s, err := m.NewSession()
			if err != nil {
				b.Fatal(err)
			}
			tokens := make([]int32, at.n-16)
			for i := range tokens {
				tokens[i] = int32(i * 31 % 4096)
			}
			if err := s.Append(tokens...); err != nil {
				b.Fatal(err)
			}
			c := gpt.SampleConfig{MaxNewTokens: 1, Temperature: 1}
			if _, err := s.Generate(context.Background(), c, 0); err != nil {
				b.Fatal(err)
			}
			c.MaxNewTokens = 32
			for b.Loop() {
				if err := s.Rewind(at.n - 16); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Generate(context.Background(), c, 0); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(32*float64(b.N)/b.Elapsed().Seconds(), "tok/s")
		})
	}
}
