package dataset

import (
	"fmt"
	"iter"
)

// TalkOptions says how conversations are made into demonstrations.
type TalkOptions struct {
	Whole bool // a conversation is one demonstration; otherwise each of its neighbouring lines are a prompt and a completion
}

func demonstrationFormats() []Format {
	return []Format{
		{
			Name: "prompt-completion", About: `{"prompt": …, "completion": …}, each a text or a list of messages`, Extensions: jsonExtensions,
			Detect:         func(s Sample) bool { return s.Object.has("prompt", "completion") },
			Demonstrations: func(_ Options, f *File) iter.Seq2[Demonstration, error] { return record1(f, promptCompletion) },
		},
	}
}

// promptCompletion parses {"prompt", "completion"}.
func promptCompletion(o object) (d Demonstration, err error) {
	if o.kind("prompt") == "list" || o.kind("completion") == "list" {
		return listsCompletion(o)
	}
	if d.Prompt, err = field[string](o, "prompt"); err == nil {
		d.Completion, err = field[string](o, "completion")
	}
	return d, err
}

// listsCompletion parses a prompt and a completion that are messages.
func listsCompletion(o object) (d Demonstration, err error) {
	if d.Messages, err = messages(o, "prompt"); err != nil {
		return d, err
	}
	d.Given = len(d.Messages)
	completion, err := messages(o, "completion")
	d.Messages = append(d.Messages, completion...)
	return d, err
}

// messages decodes a field of [{"role", "content"}].
func messages(o object, name string) (out []Message, err error) {
	list, err := field[[]object](o, name)
	if err != nil {
		return nil, err
	}
	for i, each := range list {
		var m Message
		if m.Role, err = field[string](each, "role"); err == nil {
			m.Content, err = field[string](each, "content")
		}
		if err != nil {
			return nil, fmt.Errorf("field %q, message %d: %w", name, i, err)
		}
		out = append(out, m)
	}
	return out, nil
}
