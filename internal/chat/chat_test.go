package chat_test

import (
	"reflect"
	"strings"
	"testing"

	"rlhf/gpt/bpe"
	"rlhf/internal/chat"
	"rlhf/internal/dataset"
)

func tokenizer(t testing.TB) *bpe.Tokenizer {
	t.Helper()
	tok, err := bpe.Train([]string{"User: hello there\nAssistant: hello to you\nUser: how are you"}, 300)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

var talk = []dataset.Message{{Role: "user", Content: "hello"}, {Role: "assistant", Content: " hi there "}, {Role: "user", Content: "how are you"}, {Role: "assistant", Content: "fine"}}

func TestRendering(t *testing.T) {
	tok := tokenizer(t)
	for _, test := range []struct {
		name, want string
		written    []string // by the assistant, as it learns to write it
	}{
		{chat.Turns, "User: hello\nAssistant: hi there<|endoftext|>\nUser: how are you\nAssistant: fine<|endoftext|>\n", []string{" hi there<|endoftext|>", " fine<|endoftext|>"}},
		{chat.DialoGPT, "hello<|endoftext|> hi there <|endoftext|>how are you<|endoftext|>fine<|endoftext|>", []string{" hi there <|endoftext|>", "fine<|endoftext|>"}},
	} {
		c, err := chat.Pick(test.name, tok)
		if err != nil {
			t.Fatal(err)
		}
		tokens, turns, err := c.Tokens(talk)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.DecodeSpecial(tokens); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		for i, want := range test.written {
			turn := turns[2*i+1]
			if got := tok.DecodeSpecial(tokens[turn.WrittenFrom:turn.WrittenTo]); got != want {
				t.Errorf("%s: turn %d learns %q, want %q", test.name, i, got, want)
			}
		}
		if turns[0].From != 0 || turns[3].To != len(tokens) || turns[1].From != turns[0].To {
			t.Errorf("%s: turns %v of %d tokens", test.name, turns, len(tokens))
		}
	}
}

// A conversation that grows turn by turn has the tokens of the whole, whatever the template.
func TestGrowingConversation(t *testing.T) {
	tok := tokenizer(t)
	for _, name := range []string{chat.Turns, chat.DialoGPT} {
		c, err := chat.Pick(name, tok)
		if err != nil {
			t.Fatal(err)
		}
		whole, turns, err := c.Tokens(talk)
		if err != nil {
			t.Fatal(err)
		}
		var grown []int32
		for i := 0; i < len(talk); i += 2 {
			said, _, err := c.Message(talk[i])
			if err != nil {
				t.Fatal(err)
			}
			grown = append(append(grown, said...), c.Reply()...)
			answer := whole[turns[i+1].WrittenFrom:turns[i+1].WrittenTo] // as a sampler returns it, with the stop token
			grown = append(append(grown, answer...), c.Close(true)...)
			if want := strings.TrimSpace(talk[i+1].Content); strings.TrimSpace(c.Text(answer)) != want {
				t.Errorf("%s: the answer says %q, want %q", name, c.Text(answer), want)
			}
		}
		if !reflect.DeepEqual(grown, whole) {
			t.Errorf("%s: grown %q, whole %q", name, tok.DecodeSpecial(grown), tok.DecodeSpecial(whole))
		}
	}
}

func TestPick(t *testing.T) {
	tok := tokenizer(t)
	if c, err := chat.Pick(chat.Auto, tok); err != nil || c.Name != chat.Turns {
		t.Errorf("a plain tokenizer gets %q, %v", c.Name, err)
	}
	for _, name := range []string{chat.Turns, chat.DialoGPT} { // a model's directory says how it speaks
		c, err := chat.Pick(name, tok)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := chat.Pick(chat.Auto, tok.WithChatTemplate(c.Jinja())); err != nil || again.Name != name {
			t.Errorf("%s is taken for %q, %v", name, again.Name, err)
		}
	}
	if c, err := chat.Pick(chat.Auto, tok.WithChatTemplate("{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}")); err != nil || c.Name != chat.DialoGPT {
		t.Errorf("DialoGPT's own template is taken for %q, %v", c.Name, err)
	}
	if _, err := chat.Pick(chat.Auto, tok.WithChatTemplate("{{ bos_token }}")); err == nil || !strings.Contains(err.Error(), "the tokenizer's chat_template is none of") {
		t.Errorf("a foreign template: %v", err)
	}
	for name, want := range map[string]string{"llama": `found "llama", expected auto or chatml, dialogpt, turns`, chat.ChatML: "template chatml: the tokenizer has no special token <|im_start|>"} {
		if _, err := chat.Pick(name, tok); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	c, err := chat.Pick(chat.DialoGPT, tok)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Tokens([]dataset.Message{{Role: "system", Content: "x"}}); err == nil || !strings.Contains(err.Error(), `message 0: template dialogpt: has no role "system"`) {
		t.Errorf("got %v", err)
	}
}
