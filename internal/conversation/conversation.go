package conversation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/internal/chat"
	"rlhf/internal/dataset"
)

// Conversation is a talk between a user and a model, which keeps what it has
// computed of the turns so far. When its context is full, the oldest turns leave
// it, whole; a system message stays. It may not be used concurrently.
type Conversation struct {
	tok      *bpe.Tokenizer
	template chat.Template
	session  *gpt.Session
	config   gpt.SampleConfig // of a reply
	stops    []string         // strings that end one
	turns    []turn           // the system message first, if there is one
}

// turn is a message with the tokens it is in the context.
type turn struct {
	dataset.Message
	tokens []int32
}

// Reply is what the model said to a message.
type Reply struct {
	Text   string
	Reason string // "stop", "stop_string", "length" of max_new_tokens, "context" where that is full, or "interrupted"
}

// New begins a conversation. c says how to sample; its stop tokens and the stop strings are added to the template's.
func New(m *gpt.Model, tok *bpe.Tokenizer, template chat.Template, c gpt.SampleConfig, stops []string) (*Conversation, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	session, err := m.NewSession()
	if err != nil {
		return nil, err
	}
	c.StopTokens = slices.Concat(c.StopTokens, template.StopTokens())
	return &Conversation{tok: tok, template: template, session: session, config: c, stops: slices.Concat(template.StopStrings(), stops)}, nil
}

// Messages returns the messages in the context.
func (c *Conversation) Messages() (out []dataset.Message) {
	for _, t := range c.turns {
		out = append(out, t.Message)
	}
	return out
}

// Tokens returns how many tokens the turns take, and how many there is room for.
func (c *Conversation) Tokens() (used, positions int) { return length(c.turns), c.positions() }

func (c *Conversation) positions() int {
	if n := c.config.MaxLength; n > 0 {
		return min(n, c.session.Positions())
	}
	return c.session.Positions()
}

func length(turns []turn) (n int) {
	for _, t := range turns {
		n += len(t.tokens)
	}
	return n
}

// system returns how many of the turns are a system message.
func (c *Conversation) system() int {
	if len(c.turns) > 0 && c.turns[0].Role == "system" {
		return 1
	}
	return 0
}

// Reset forgets everything but the system message.
func (c *Conversation) Reset() { c.turns = c.turns[:c.system()] }

// Undo takes back the last message with its reply and reports whether there was one.
func (c *Conversation) Undo() bool {
	for k := len(c.turns) - 1; k >= c.system(); k-- {
		if c.turns[k].Role == "user" {
			c.turns = c.turns[:k]
			return true
		}
	}
	return false
}

// SetSystem makes text the system message, "" for none. It returns an error if the template has none, or if there is no
// room for it.
func (c *Conversation) SetSystem(text string) error {
	rest := c.turns[c.system():]
	if text == "" {
		c.turns = rest
		return nil
	}
	tokens, _, err := c.template.Message(dataset.Message{Role: "system", Content: text})
	if err != nil {
		return err
	}
	if n := len(tokens) + c.reserved(); n > c.positions() {
		return fmt.Errorf("the system message takes %d tokens, which with %d for a reply is more than the context of %d", len(tokens), c.reserved(), c.positions())
	}
	c.turns = slices.Concat([]turn{{dataset.Message{Role: "system", Content: text}, tokens}}, rest)
	return nil
}

// reserved is the room that a reply is sure of: what it may take, at most a quarter of the context.
func (c *Conversation) reserved() int {
	return len(c.template.Reply()) + min(c.config.MaxNewTokens, max(1, c.positions()/4))
}

// Add adds a message of the user's and returns how many messages left the context to make room for it and a reply. A
// message that has no room, even alone, is an error and changes nothing.
func (c *Conversation) Add(message string) (left int, err error) {
	m := dataset.Message{Role: "user", Content: message}
	tokens, _, err := c.template.Message(m)
	if err != nil {
		return 0, err
	}
	if n := length(c.turns[:c.system()]) + len(tokens) + c.reserved(); n > c.positions() {
		return 0, fmt.Errorf("the message takes %d tokens, the context has room for %d", len(tokens), max(0, len(tokens)-n+c.positions()))
	}
	c.turns = append(c.turns, turn{m, tokens})
	return c.makeRoom(), nil
}

// makeRoom lets the oldest messages go, each with the reply to it, until there is room for one more reply.
func (c *Conversation) makeRoom() (left int) {
	system := c.system()
	for length(c.turns)+c.reserved() > c.positions() {
		n := 1
		for c.turns[system+n].Role != "user" {
			n++
		}
		c.turns = slices.Delete(c.turns, system, system+n)
		left += n
	}
	return left
}

// Reply has the model answer the message added last, and adds what it says. show is given the text as it is written. If
// ctx ends, what was written by then is the reply.
func (c *Conversation) Reply(ctx context.Context, show func(text string)) (Reply, error) {
	if err := c.sync(c.template.Reply()); err != nil {
		return Reply{}, err
	}
	text, begun := NewText(c.tok, c.stops, false), false
	say := func(piece string) {
		if !begun {
			piece = strings.TrimLeft(piece, " \n")
		}
		if piece != "" {
			begun = true
			show(piece)
		}
	}
	config := c.config
	config.Token = func(_ int, token int32, _ float32) { say(text.Add(token)) }
	config.Stop = func(int, []int32) bool { return text.Stopped() }
	done, err := c.session.Generate(ctx, config, 0)
	interrupted := err != nil && ctx.Err() != nil
	if err != nil && !interrupted {
		return Reply{}, err
	}
	say(text.Rest())
	content := strings.TrimSpace(text.String())
	c.turns = append(c.turns, turn{dataset.Message{Role: "assistant", Content: content}, c.written(done, text)})
	reply := Reply{Text: content, Reason: "length"}
	switch {
	case interrupted:
		reply.Reason = "interrupted"
	case done.Halted:
		reply.Reason = "stop_string"
	case done.Stopped:
		reply.Reason = "stop"
	case len(done.Tokens) < config.MaxNewTokens:
		reply.Reason = "context"
	}
	return reply, nil
}

// written returns the tokens of a reply's turn: those drawn, but for what belongs to a stop string, and the turn's marks.
func (c *Conversation) written(done gpt.Completion, text *Text) []int32 {
	tokens, end := done.Tokens, c.template.Close(false)
	switch n := len(tokens); {
	case done.Stopped && len(end) > 0 && tokens[n-1] == end[0]:
		return slices.Concat(c.template.Reply(), tokens, c.template.Close(true))
	case done.Stopped:
		tokens = tokens[:n-1]
	case text.Stopped():
		tokens = c.within(tokens, len(text.raw), string(text.raw))
	}
	return slices.Concat(c.template.Reply(), tokens, end)
}

// within returns the tokens that stand whole in the first n bytes of what they say, and the ids of the rest of raw, that text.
func (c *Conversation) within(tokens []int32, n int, raw string) []int32 {
	at := 0
	for k, token := range tokens {
		piece := len(c.tok.Decode([]int32{token}))
		if at+piece > n {
			return slices.Concat(tokens[:k], c.tok.Encode(raw[at:]))
		}
		at += piece
	}
	return tokens
}

// sync makes the session hold the turns and what follows. What it has of them already stays as it is.
func (c *Conversation) sync(after []int32) error {
	var want []int32
	for _, t := range c.turns {
		want = append(want, t.tokens...)
	}
	want = append(want, after...)
	have, same := c.session.Tokens(), 0
	for same < min(len(have), len(want)) && have[same] == want[same] {
		same++
	}
	if err := c.session.Rewind(same); err != nil {
		return err
	}
	return c.session.Append(want[same:]...)
}
