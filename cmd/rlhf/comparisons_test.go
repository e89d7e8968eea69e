package main

import (
	"strings"
	"testing"

	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/internal/dataset"
)

// What a reward model reads of a ranking is what SFT learns from the same words, written out by hand.
func TestComparisonsReadAsSFTWrites(t *testing.T) {
	tok, err := bpe.Train([]string{"User: hello there\nAssistant: hello to you\nUser: how are you"}, 300)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.New(gpt.Config{VocabSize: tok.VocabSize(), NPositions: 200, NEmbd: 4, NLayer: 1, NHead: 1, LayerNormEpsilon: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	l := language{model: m, tok: tok}
	talk := []dataset.Message{{Role: "system", Content: "Be kind."}, {Role: "user", Content: "Hi"}}
	for _, test := range []struct {
		name, template string
		ranking        dataset.Ranking
		prompt         string
		completions    []string
	}{
		{"plain", "auto", dataset.Ranking{Prompt: "A fine", Completions: []dataset.Completion{{Text: " film"}, {Text: " mess"}}}, "A fine", []string{" film<|endoftext|>", " mess<|endoftext|>"}},
		{"messages", "auto", dataset.Ranking{Messages: talk, Completions: []dataset.Completion{{Text: "Hello"}, {Text: "Go"}}},
			"Be kind.\nUser: Hi\nAssistant:", []string{" Hello<|endoftext|>", " Go<|endoftext|>"}},
		{"plain as turns", "turns", dataset.Ranking{System: "Be kind.", Prompt: "Hi", Completions: []dataset.Completion{{Text: "Hello"}, {Text: "Go"}}},
			"Be kind.\nUser: Hi\nAssistant:", []string{" Hello<|endoftext|>", " Go<|endoftext|>"}},
		{"several turns", "auto", dataset.Ranking{Messages: talk, Completions: []dataset.Completion{
			{Text: "x", Messages: []dataset.Message{{Role: "assistant", Content: "Hello"}, {Role: "user", Content: "So?"}, {Role: "assistant", Content: "Yes"}}}, {Text: "Go"}}},
			"Be kind.\nUser: Hi\nAssistant:", []string{" Hello<|endoftext|>\nUser: So?\nAssistant: Yes<|endoftext|>", " Go<|endoftext|>"}},
		{"sampled", "auto", dataset.Ranking{Prompt: "A", PromptTokens: tok.Encode("B"), Completions: []dataset.Completion{{Text: "x", Tokens: tok.Encode("y")}, {Text: "z"}}}, "B", []string{"y", "z<|endoftext|>"}},
	} {
		test.ranking.Ranks = []int{1, 2}
		got, cut, err := compareTokens(l, test.template, []dataset.Ranking{test.ranking})
		if err != nil || cut != (fitted{}) {
			t.Fatalf("%s: %v, %v cut", test.name, err, cut)
		}
		if text := tok.DecodeSpecial(got[0].Prompt); text != test.prompt {
			t.Errorf("%s: prompt %q, want %q", test.name, text, test.prompt)
		}
		for i, want := range test.completions {
			if text := tok.DecodeSpecial(got[0].Completions[i]); text != want {
				t.Errorf("%s: completion %q, want %q", test.name, text, want)
			}
		}
	}
	// a token a byte, and one for the end of a completion; the model takes 200
	for _, test := range []struct {
		prompt, completion int
		want               fitted
		tokens             [3]int // of the prompt and the completions
	}{
		{50, 100, fitted{}, [3]int{50, 101, 2}},
		{150, 100, fitted{CutPrompts: 1}, [3]int{99, 101, 2}},
		{150, 300, fitted{Cut: 1, CutPrompts: 1}, [3]int{1, 199, 2}},
	} {
		r := dataset.Ranking{Prompt: strings.Repeat("\x00", test.prompt-1) + "q", Ranks: []int{1, 2},
			Completions: []dataset.Completion{{Text: strings.Repeat("\x00", test.completion)}, {Text: "b"}}}
		got, cut, err := compareTokens(l, "auto", []dataset.Ranking{r})
		if err != nil {
			t.Fatal(err)
		}
		c := got[0]
		if tokens := [3]int{len(c.Prompt), len(c.Completions[0]), len(c.Completions[1])}; cut != test.want || tokens != test.tokens {
			t.Errorf("%+v: %v tokens, %+v", test, tokens, cut)
		}
		if last := tok.Decode(c.Prompt[len(c.Prompt)-1:]); last != "q" {
			t.Errorf("%+v: the prompt ends with %q", test, last)
		}
	}
}
