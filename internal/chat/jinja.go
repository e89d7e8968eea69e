package chat

import (
	"strings"

	"rlhf/gpt/bpe"
)

// jinja holds each template in the language of tokenizer_config.json's
// chat_template, so that transformers renders a conversation as we do.
var jinja = map[string]string{
	ChatML: `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}` +
		`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,
	DialoGPT: `{% for message in messages %}{{ message['content'] + eos_token }}{% endfor %}`,
	Turns: `{% for message in messages %}{% if message['role'] == 'user' %}{{ 'User: ' + message['content'].strip() + '\n' }}` +
		`{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'].strip() + eos_token + '\n' }}` +
		`{% else %}{{ message['content'] + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}`,
}

// Jinja returns the template as tokenizer_config.json holds it.
func (t Template) Jinja() string {
	if t.Name == Turns && t.tok.EndOfText() < 0 {
		return strings.ReplaceAll(jinja[Turns], " + eos_token", "")
	}
	return jinja[t.Name]
}

// auto returns the name of the template that the tokenizer's files name, or that fits its tokens.
func auto(tok *bpe.Tokenizer) (string, error) {
	if _, err := chatML(tok); err == nil {
		return ChatML, nil
	}
	return Turns, nil
}
