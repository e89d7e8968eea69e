package dataset

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

func demonstrationFormats() []Format {
	return []Format{
		{
			Name: "oasst", About: `Open-Assistant: a tree a line, {"prompt": {"text", "role", "replies": […]}}, or its messages (--paths, --lang)`, Extensions: jsonExtensions,
			Detect:         isTree,
			Demonstrations: readTrees, Uses: []string{"paths", "lang"},
		},
		{
			Name: "messages", About: `{"messages": [{"role", "content"}]}`, Extensions: jsonExtensions,
			Detect:         func(s Sample) bool { return s.Object.kind("messages") == "list" },
			Demonstrations: demonstrationReader(parseMessages), Uses: []string{"group_field"},
		},
		{
			Name: "sharegpt", About: `{"conversations": [{"from": human, gpt or system, "value"}], "system"?}`, Extensions: jsonExtensions,
			Detect:         func(s Sample) bool { return s.Object.kind("conversations") == "list" },
			Demonstrations: demonstrationReader(parseShareGPT), Uses: []string{"group_field"},
		},
		{
			Name: "prompt-completion", About: `{"prompt", "completion"}, each a text or a list of messages`, Extensions: jsonExtensions,
			Detect:         func(s Sample) bool { return s.Object.has("prompt", "completion") },
			Demonstrations: demonstrationReader(parsePromptCompletion), Uses: []string{"group_field"},
		},
		{
			Name: "self-instruct", About: `{"instruction", "instances": [{"input", "output"}]}: a demonstration an instance`, Extensions: jsonExtensions,
			Detect:         func(s Sample) bool { return s.Object.has("instruction", "instances") },
			Demonstrations: demonstrationReader(parseSelfInstruct), Uses: []string{"group_field"},
		},
		{
			Name: "alpaca", About: `{"instruction", "input", "output"}: the prompt is the instruction, and after a blank line the input if there is one`, Extensions: jsonExtensions,
			Detect: func(s Sample) bool { return s.Object.has("instruction", "output") },
			Demonstrations: demonstrationReader(func(o object) ([]Demonstration, error) {
				d, err := instruction(o, o)
				return []Demonstration{d}, err
			}), Uses: []string{"group_field"},
		},
		{
			Name: "truthfulqa", About: "TruthfulQA.csv: Question and Best Answer; the category is the group", Extensions: []string{".csv"},
			Detect:         isTruthfulQA,
			Demonstrations: readTruthfulQA,
		},
		{
			Name: "chatterbot", About: "ChatterBot's YAML: conversations as lists of lines (--talk pairs, whole or answers)", Extensions: []string{".yml", ".yaml"},
			Detect:         func(s Sample) bool { return s.Ext == ".yml" || s.Ext == ".yaml" },
			Demonstrations: readChatterBot, Uses: []string{"talk"},
		},
	}
}

// demonstrationReader returns the reader of a format of JSON, which also reads the field that says what a record belongs to.
func demonstrationReader(parse func(object) ([]Demonstration, error)) func(Options, *File) iter.Seq2[Demonstration, error] {
	return func(o Options, f *File) iter.Seq2[Demonstration, error] {
		return records(f, func(record object) ([]Demonstration, error) {
			list, err := parse(record)
			if err != nil || o.Group == "" {
				return list, err
			}
			group, err := groupOf(record, o.Group)
			for i := range list {
				list[i].Group = group
			}
			return list, err
		})
	}
}

// groupOf returns a field that is a text or a number as text.
func groupOf(o object, name string) (string, error) {
	if o.kind(name) == "number" {
		return string(o[name]), nil
	}
	return field[string](o, name)
}

// roleOf returns the role that a name stands for in one of the formats.
func roleOf(name string) (role string, ok bool) {
	switch strings.ToLower(name) {
	case "system":
		return "system", true
	case "user", "human", "prompter":
		return "user", true
	case "assistant", "gpt", "chatgpt", "bing", "bard", "model", "bot":
		return "assistant", true
	}
	return "", false
}

// messages decodes a field that lists messages, whose fields have the names given.
func messages(o object, name, role, content string) (out []Message, err error) {
	list, err := field[[]object](o, name)
	if err != nil {
		return nil, err
	}
	for i, each := range list {
		who, err := field[string](each, role)
		if err != nil {
			return nil, fmt.Errorf("field %q, message %d: %w", name, i, err)
		}
		m := Message{}
		known := false
		if m.Role, known = roleOf(who); !known {
			return nil, fmt.Errorf("field %q, message %d: field %q: found %q, expected system, user or assistant", name, i, role, who)
		}
		if m.Content, err = field[string](each, content); err != nil {
			return nil, fmt.Errorf("field %q, message %d: %w", name, i, err)
		}
		out = append(out, m)
	}
	return out, nil
}

// conversation returns the demonstration of messages, of which one after the given ones must be an assistant's.
func conversation(list []Message, given int, name string) (Demonstration, error) {
	if !slices.ContainsFunc(list[given:], func(m Message) bool { return m.Role == "assistant" }) {
		return Demonstration{}, fmt.Errorf("field %q: found %d messages, expected one of an assistant among them", name, len(list)-given)
	}
	return Demonstration{Messages: list, Given: given}, nil
}

// parsePromptCompletion parses {"prompt", "completion"}, with the project's own "group".
func parsePromptCompletion(o object) ([]Demonstration, error) {
	var d Demonstration
	var err error
	if o.kind("prompt") == "list" {
		if d, err = parsePromptMessages(o); err != nil {
			return nil, err
		}
	} else {
		if d.Prompt, err = field[string](o, "prompt"); err != nil {
			return nil, err
		}
		if d.Completion, err = field[string](o, "completion"); err != nil {
			return nil, err
		}
	}
	d.Group, err = optional[string](o, "group")
	return []Demonstration{d}, err
}

// parsePromptMessages parses a prompt and a completion that are messages, of which only the completion's are to imitate.
func parsePromptMessages(o object) (Demonstration, error) {
	prompt, err := messages(o, "prompt", "role", "content")
	if err != nil {
		return Demonstration{}, err
	}
	completion, err := messages(o, "completion", "role", "content")
	if err != nil {
		return Demonstration{}, err
	}
	return conversation(append(prompt, completion...), len(prompt), "completion")
}

// parseMessages parses {"messages"}, with the project's own "given" and "group".
func parseMessages(o object) ([]Demonstration, error) {
	list, err := messages(o, "messages", "role", "content")
	if err != nil {
		return nil, err
	}
	given, err := optional[int](o, "given")
	if err != nil {
		return nil, err
	}
	if given < 0 || given > len(list) {
		return nil, fmt.Errorf("field \"given\": found %d, expected 0 to the %d messages", given, len(list))
	}
	d, err := conversation(list, given, "messages")
	if err != nil {
		return nil, err
	}
	d.Group, err = optional[string](o, "group")
	return []Demonstration{d}, err
}

// parseShareGPT parses {"conversations"}, whose messages may be named as ShareGPT does or by role and content.
func parseShareGPT(o object) ([]Demonstration, error) {
	list, err := field[[]object](o, "conversations")
	if err != nil {
		return nil, err
	}
	role, content := "from", "value"
	if len(list) > 0 && list[0].has("role") {
		role, content = "role", "content"
	}
	turns, err := messages(o, "conversations", role, content)
	if err != nil {
		return nil, err
	}
	system, err := optional[string](o, "system")
	if err != nil {
		return nil, err
	}
	if system != "" {
		turns = append([]Message{{"system", system}}, turns...)
	}
	d, err := conversation(turns, 0, "conversations")
	return []Demonstration{d}, err
}

// instruction joins an instruction with the input of an instance: the input, if there is one, after a blank line.
func instruction(o, instance object) (d Demonstration, err error) {
	if d.Prompt, err = field[string](o, "instruction"); err != nil {
		return d, err
	}
	input, err := optional[string](instance, "input")
	if err != nil {
		return d, err
	}
	if input != "" {
		d.Prompt += "\n\n" + input
	}
	d.Completion, err = field[string](instance, "output")
	return d, err
}

func parseSelfInstruct(o object) (out []Demonstration, err error) {
	instances, err := field[[]object](o, "instances")
	if err != nil {
		return nil, err
	}
	id, err := optional[string](o, "id")
	if err != nil {
		return nil, err
	}
	for i, each := range instances {
		d, err := instruction(o, each)
		if err != nil {
			return nil, fmt.Errorf("instance %d: %w", i, err)
		}
		d.Group = id
		out = append(out, d)
	}
	if out == nil {
		return nil, fmt.Errorf("field \"instances\": found none, expected at least one")
	}
	return out, nil
}
