package main

import (
	"fmt"

	"rlhf/internal/chat"
	"rlhf/internal/dataset"
	"rlhf/reward"
)

// comparer turns rankings of texts into rankings of token ids of the form that SFT learns from: plain prompts with
// completions as they stand, conversations by the template.
type comparer struct {
	l        language
	template func() (chat.Template, error) // asked for only where there is a conversation
	all      bool                          // also plain prompts are turns of a conversation
}

// fitted counts what was cut to fit the model.
type fitted struct {
	Cut        int // completions that lost their end
	CutPrompts int // prompts that lost their beginning, so that the completions kept theirs
}

// compareTokens returns rankings as token ids: the ids they were sampled as where those are known, else the texts' with
// what ends a completion.
func compareTokens(l language, template string, rankings []dataset.Ranking) (out []reward.Comparison, f fitted, err error) {
	x := comparer{l, l.template(template), template != chat.Auto}
	for i, r := range rankings {
		c, err := x.comparison(r)
		if err != nil {
			return nil, f, fmt.Errorf("ranking %d: %w", i+1, err)
		}
		f.fit(&c, l.model.Config.NPositions)
		out = append(out, c)
	}
	return out, f, nil
}

// fit makes a comparison one for a model of n positions. What is compared is the completions, so the prompt goes first, from
// its beginning, to the last token.
func (f *fitted) fit(c *reward.Comparison, n int) {
	longest := 0
	for _, tokens := range c.Completions {
		longest = max(longest, len(tokens))
	}
	if room := max(n-longest, 1); len(c.Prompt) > room {
		c.Prompt = c.Prompt[len(c.Prompt)-room:]
		f.CutPrompts++
	}
	for k, tokens := range c.Completions {
		if len(c.Prompt)+len(tokens) > n {
			c.Completions[k] = tokens[:n-len(c.Prompt)]
			f.Cut++
		}
	}
}

func (x comparer) comparison(r dataset.Ranking) (reward.Comparison, error) {
	c := reward.Comparison{Prompt: r.PromptTokens, Ranks: r.Ranks}
	messages, talks := x.conversation(r)
	if talks && c.Prompt == nil {
		t, err := x.template()
		if err != nil {
			return c, err
		}
		prompt, _, err := t.Tokens(messages)
		if err != nil {
			return c, err
		}
		c.Prompt = append(prompt, t.Reply()...)
	}
	prompt, texts := r.Plain()
	if c.Prompt == nil {
		c.Prompt = x.l.tok.Encode(prompt)
	}
	for i, completion := range r.Completions {
		tokens, err := completion.Tokens, error(nil)
		switch {
		case tokens != nil:
		case talks:
			tokens, err = x.answer(completion)
		default:
			tokens = x.l.withEnd(texts[i])
		}
		if err != nil {
			return c, fmt.Errorf("completion %d: %w", i+1, err)
		}
		c.Completions = append(c.Completions, tokens)
	}
	return c, nil
}

// conversation returns the messages that the completions of a ranking answer, and whether they are to be rendered as such.
func (x comparer) conversation(r dataset.Ranking) ([]dataset.Message, bool) {
	if r.Messages != nil {
		return r.Messages, true
	}
	var messages []dataset.Message
	if r.System != "" {
		messages = append(messages, dataset.Message{Role: "system", Content: r.System})
	}
	return append(messages, dataset.Message{Role: "user", Content: r.Prompt}), x.all
}

// answer returns what an assistant writes for a completion: one turn, or several with what the user says between them.
func (x comparer) answer(c dataset.Completion) ([]int32, error) {
	messages := c.Messages
	if messages == nil {
		messages = []dataset.Message{{Role: "assistant", Content: c.Text}}
	}
	if messages[0].Role != "assistant" {
		return nil, fmt.Errorf("found a first turn of %q, expected the assistant's", messages[0].Role)
	}
	t, err := x.template()
	if err != nil {
		return nil, err
	}
	tokens, turns, err := t.Tokens(messages)
	if err != nil {
		return nil, err
	}
	return tokens[turns[0].WrittenFrom:turns[len(turns)-1].WrittenTo], nil // the first mark stands in the prompt
}
