package main

import (
	"reflect"
	"strings"
	"testing"

	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/internal/dataset"
	"rlhf/sft"
)

// What SFT learns of demonstrations, written out by hand: the text, and of it what is learnt.
func TestExamplesOfDemonstrations(t *testing.T) {
	tok, err := bpe.Train([]string{"ab"}, 258) // a token a byte
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.New(gpt.Config{VocabSize: tok.VocabSize(), NPositions: 64, NEmbd: 4, NLayer: 1, NHead: 1, LayerNormEpsilon: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	talk := []dataset.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "b"}, {Role: "user", Content: "c"}, {Role: "assistant", Content: "d"}}
	for _, test := range []struct {
		name, template string
		change         func(*sft.Config)
		in             dataset.Demonstration
		text           string
		learnt         []string // nil for all but the first token
		cut, dropped   int
	}{
		{name: "plain", template: "auto", in: dataset.Demonstration{Prompt: "ab", Completion: " cd"}, text: "ab cd<|endoftext|>", learnt: []string{" cd<|endoftext|>"}},
		{name: "plain as turns", template: "turns", in: dataset.Demonstration{Prompt: "a", Completion: "b"}, text: "User: a\nAssistant: b<|endoftext|>\n", learnt: []string{" b<|endoftext|>"}},
		{name: "every turn", template: "auto", in: dataset.Demonstration{Messages: talk}, text: "User: a\nAssistant: b<|endoftext|>\nUser: c\nAssistant: d<|endoftext|>\n",
			learnt: []string{" b<|endoftext|>", " d<|endoftext|>"}},
		{name: "context given", template: "auto", in: dataset.Demonstration{Messages: talk, Given: 3}, text: "User: a\nAssistant: b<|endoftext|>\nUser: c\nAssistant: d<|endoftext|>\n",
			learnt: []string{" d<|endoftext|>"}},
		{name: "every token", template: "auto", change: func(c *sft.Config) { c.CompletionOnlyLoss = false }, in: dataset.Demonstration{Prompt: "ab", Completion: "c"}, text: "abc<|endoftext|>"},
		{name: "cut", template: "auto", change: func(c *sft.Config) { c.MaxLength = 4 }, in: dataset.Demonstration{Prompt: "ab", Completion: "cdef"}, text: "abcd", learnt: []string{"cd"}, cut: 1},
		{name: "dropped", template: "auto", change: func(c *sft.Config) { c.MaxLength = 2 }, in: dataset.Demonstration{Prompt: "ab", Completion: "c"}, cut: 1, dropped: 1},
	} {
		c := sft.DefaultConfig()
		if test.change != nil {
			test.change(&c)
		}
		x, err := newExampler(language{model: m, tok: tok}, test.template, c)
		if err != nil {
			t.Fatal(err)
		}
		var got demonstrated
		if err := x.add(&got, test.in); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got.cut != test.cut || got.dropped != test.dropped || got.read != 1 {
			t.Errorf("%s: %d cut, %d dropped", test.name, got.cut, got.dropped)
		}
		if len(got.examples) != 1-test.dropped {
			t.Fatalf("%s: %d examples", test.name, len(got.examples))
		}
		if test.dropped > 0 {
			continue
		}
		e := got.examples[0]
		if text := tok.DecodeSpecial(e.Tokens); text != test.text {
			t.Errorf("%s: text %q, want %q", test.name, text, test.text)
		}
		var learnt []string
		for _, s := range e.Learn {
			learnt = append(learnt, tok.DecodeSpecial(e.Tokens[s.From:s.To]))
		}
		if !reflect.DeepEqual(learnt, test.learnt) {
			t.Errorf("%s: learns %q, want %q", test.name, learnt, test.learnt)
		}
	}
}

// A tokenizer whose chat template is none of ours is in the way of conversations only.
func TestForeignTemplates(t *testing.T) {
	tok, err := bpe.Train([]string{"ab"}, 258)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.New(gpt.Config{VocabSize: tok.VocabSize(), NPositions: 64, NEmbd: 4, NLayer: 1, NHead: 1, LayerNormEpsilon: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	l := language{model: m, tok: tok.WithChatTemplate("{{ bos_token }}")}
	x, err := newExampler(l, "auto", sft.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	var got demonstrated
	if err := x.add(&got, dataset.Demonstration{Prompt: "a", Completion: "b"}); err != nil {
		t.Errorf("a plain demonstration: %v", err)
	}
	talk := []dataset.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "b"}}
	if err := x.add(&got, dataset.Demonstration{Messages: talk}); err == nil || !strings.Contains(err.Error(), "demonstration 2: template: the tokenizer's chat_template is none of") {
		t.Errorf("a conversation: %v", err)
	}
	ranking := dataset.Ranking{Prompt: "a", Completions: []dataset.Completion{{Text: "b"}, {Text: "c"}}, Ranks: []int{1, 2}}
	if _, _, err := compareTokens(l, "auto", []dataset.Ranking{ranking}); err != nil {
		t.Errorf("a plain ranking: %v", err)
	}
}
