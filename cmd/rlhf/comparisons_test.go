package main

import (
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
		if err != nil || cut != 0 {
			t.Fatalf("%s: %v, %d cut", test.name, err, cut)
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
	long := dataset.Ranking{Prompt: "A", Completions: []dataset.Completion{{Text: string(make([]byte, 300))}, {Text: "b"}}, Ranks: []int{1, 2}}
	if got, cut, err := compareTokens(l, "auto", []dataset.Ranking{long}); err != nil || cut != 1 || len(got[0].Prompt)+len(got[0].Completions[0]) != 200 {
		t.Errorf("%d cut, %v", cut, err)
	}
}
