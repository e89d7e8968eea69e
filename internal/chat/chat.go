// Package chat turns conversations into token ids and says which of these an
// assistant writes. A Template is a way of marking whose turn it is; each turn is
// encoded by itself, so that what is learnt from a whole conversation is what a
// model sees when a conversation grows turn by turn. It knows no model.
package chat

import (
	"fmt"
	"slices"
	"strings"

	"rlhf/gpt/bpe"
	"rlhf/internal/dataset"
)

// The names of the templates.
const (
	// ChatML marks every turn with special tokens and its role:
	// <|im_start|>user⏎Hello<|im_end|>⏎. The tokenizer must have both.
	ChatML = "chatml"

	// DialoGPT ends every turn with the end-of-text token and marks no role, as
	// DialoGPT was trained (arXiv:1911.00536).
	DialoGPT = "dialogpt"

	// Turns is for models without special tokens: "User: Hello⏎Assistant: Hi" with
	// the end-of-text token after what the assistant says, and a line for each turn.
	Turns = "turns"

	// Auto is the template that the tokenizer's files name, else ChatML if the
	// tokenizer has its tokens, else Turns.
	Auto = "auto"
)

// Names lists the templates.
var Names = []string{ChatML, DialoGPT, Turns}

const (
	imStart = "<|im_start|>"
	imEnd   = "<|im_end|>"
)

// Template renders the turns of conversations as ids of one tokenizer.
type Template struct {
	Name string

	tok   *bpe.Tokenizer
	roles map[string]turn
	stops []int32
	ends  []string
}

// turn is how a role's turns are written.
type turn struct {
	open  []int32
	space bool // a space stands before the content, which is trimmed
	close []int32
	ends  int // tokens of close that end the turn, and that an assistant learns to write
}

// Pick returns the template of a name, or the one that Auto stands for. It returns an
// error for an unknown name and for a template whose tokens the tokenizer does not have.
func Pick(name string, tok *bpe.Tokenizer) (Template, error) {
	if name == Auto {
		var err error
		if name, err = auto(tok); err != nil {
			return Template{}, err
		}
	}
	switch name {
	case ChatML:
		return chatML(tok)
	case DialoGPT:
		return dialoGPT(tok)
	case Turns:
		return turns(tok), nil
	}
	return Template{}, fmt.Errorf("template: found %q, expected %s or %s", name, Auto, strings.Join(Names, ", "))
}

// special returns the id of a special token, or an error if the tokenizer has none of this name.
func special(tok *bpe.Tokenizer, template, name string) (int32, error) {
	ids := tok.EncodeSpecial(name)
	if len(ids) != 1 {
		return 0, fmt.Errorf("template %s: the tokenizer has no special token %s", template, name)
	}
	return ids[0], nil
}

func chatML(tok *bpe.Tokenizer) (Template, error) {
	t := Template{Name: ChatML, tok: tok, roles: map[string]turn{}}
	start, err := special(tok, ChatML, imStart)
	if err != nil {
		return t, err
	}
	end, err := special(tok, ChatML, imEnd)
	if err != nil {
		return t, err
	}
	for _, role := range []string{"system", "user", "assistant"} {
		t.roles[role] = turn{open: append([]int32{start}, tok.Encode(role+"\n")...), close: append([]int32{end}, tok.Encode("\n")...), ends: 1}
	}
	t.stops = []int32{end}
	if id := tok.EndOfText(); id >= 0 && id != end {
		t.stops = append(t.stops, id)
	}
	return t, nil
}

func dialoGPT(tok *bpe.Tokenizer) (Template, error) {
	end := tok.EndOfText()
	if end < 0 {
		return Template{}, fmt.Errorf("template %s: the tokenizer has no end-of-text token", DialoGPT)
	}
	each := turn{close: []int32{end}, ends: 1}
	return Template{Name: DialoGPT, tok: tok, roles: map[string]turn{"user": each, "assistant": each}, stops: []int32{end}}, nil
}

func turns(tok *bpe.Tokenizer) Template {
	newline := tok.Encode("\n")
	assistant := turn{open: tok.Encode("Assistant:"), space: true, close: newline, ends: len(newline)}
	t := Template{Name: Turns, tok: tok, ends: []string{"\nUser:"}}
	if end := tok.EndOfText(); end >= 0 {
		assistant.close, assistant.ends = append([]int32{end}, newline...), 1
		t.stops = []int32{end}
	}
	t.roles = map[string]turn{
		"system":    {close: newline},
		"user":      {open: tok.Encode("User:"), space: true, close: newline},
		"assistant": assistant,
	}
	return t
}

// Turn is where a message stands in the tokens of a conversation.
type Turn struct {
	From, To               int // with its marks
	WrittenFrom, WrittenTo int // what its author writes: the content and, for an assistant, the token that ends a turn
}

// Message returns the tokens of one turn, and where in them its content stands. It
// returns an error for a role that the template does not have.
func (t Template) Message(m dataset.Message) ([]int32, Turn, error) {
	r, ok := t.roles[m.Role]
	if !ok {
		return nil, Turn{}, fmt.Errorf("template %s: has no role %q", t.Name, m.Role)
	}
	text := m.Content
	if r.space {
		text = " " + strings.TrimSpace(text)
	}
	out := slices.Clone(r.open)
	written := Turn{WrittenFrom: len(out)}
	out = append(out, t.tok.Encode(text)...)
	written.WrittenTo = len(out)
	if m.Role == "assistant" {
		written.WrittenTo += r.ends
	}
	out = append(out, r.close...)
	written.To = len(out)
	return out, written, nil
}

// Tokens returns a conversation, turn after turn.
func (t Template) Tokens(messages []dataset.Message) (tokens []int32, turns []Turn, err error) {
	for i, m := range messages {
		each, turn, err := t.Message(m)
		if err != nil {
			return nil, nil, fmt.Errorf("message %d: %w", i, err)
		}
		at := len(tokens)
		turns = append(turns, Turn{at, at + turn.To, at + turn.WrittenFrom, at + turn.WrittenTo})
		tokens = append(tokens, each...)
	}
	return tokens, turns, nil
}

// Reply returns the tokens after which an assistant's turn is written.
func (t Template) Reply() []int32 { return slices.Clone(t.roles["assistant"].open) }

// Close returns the tokens that follow what the assistant wrote, to complete its
// turn; written says whether it ended with a stop token.
func (t Template) Close(stopped bool) []int32 {
	r := t.roles["assistant"]
	if stopped {
		return slices.Clone(r.close[r.ends:])
	}
	return slices.Clone(r.close)
}

// StopTokens returns the tokens each of which ends an assistant's turn.
func (t Template) StopTokens() []int32 { return slices.Clone(t.stops) }

// StopStrings returns the texts each of which begins somebody else's turn.
func (t Template) StopStrings() []string { return slices.Clone(t.ends) }

// Text returns what an assistant's tokens say, without marks.
func (t Template) Text(tokens []int32) string {
	text := t.tok.Decode(tokens)
	if t.roles["assistant"].space {
		text = strings.TrimSpace(text)
	}
	return text
}
