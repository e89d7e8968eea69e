package chat

import (
	"fmt"
	"strings"

	"rlhf/gpt/bpe"
)

// jinja holds each template in the language of tokenizer_config.json's
// chat_template, so that transformers renders a conversation as we do.
var jinja = map[string]string{
	ChatML: `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}` +
		`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,
	DialoGPT: `{% for message in messages %}{{ message['content'] }}{{ eos_token }}{% endfor %}`,
	Turns: `{% for message in messages %}{% if message['role'] == 'user' %}{{ 'User: ' + message['content'].strip() + '\n' }}` +
		`{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'].strip() + eos_token + '\n' }}` +
		`{% else %}{{ message['content'] + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}`,
}

// Jinja returns the template as tokenizer_config.json holds it.
func (t Template) Jinja() string {
	if t.Name == Turns && t.tok.EndOfText() < 0 {
		return withoutEnd(jinja[Turns])
	}
	return jinja[t.Name]
}

// auto returns the name of the template that the tokenizer's files name, or that fits
// its tokens. A template that is none of ours is an error: what another one does to a
// conversation would have to be guessed.
func auto(tok *bpe.Tokenizer) (string, error) {
	if text := tok.ChatTemplate(); text != "" {
		for _, name := range Names {
			if squeeze(text) == squeeze(jinja[name]) || squeeze(text) == squeeze(withoutEnd(jinja[name])) {
				return name, nil
			}
		}
		return "", fmt.Errorf("template: the tokenizer's chat_template is none of %s; name one of them", strings.Join(Names, ", "))
	}
	if _, err := chatML(tok); err == nil {
		return ChatML, nil
	}
	return Turns, nil
}

// withoutEnd returns a template for tokenizers without an end-of-text token.
func withoutEnd(text string) string { return strings.ReplaceAll(text, " + eos_token", "") }

// squeeze removes what changes nothing: white space outside of text, and the two ways of quoting a key.
func squeeze(text string) string {
	text = strings.NewReplacer("message.content", "message['content']", "message.role", "message['role']", "\"", "'", "{%-", "{%", "-%}", "%}").Replace(text)
	return strings.Join(strings.Fields(text), "")
}
