package dataset

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// readChatterBot yields the demonstrations of a file {categories: […], conversations: [[line, …], …]}. Their group is
// the file's first category. The file is held whole, as YAML must be.
func readChatterBot(o Options, f *File) iter.Seq2[Demonstration, error] {
	return func(yield func(Demonstration, error) bool) {
		list, topic, err := conversationsOf(f)
		if err != nil {
			yield(Demonstration{}, err)
			return
		}
		for _, n := range list {
			turns, err := linesOf(n)
			if err != nil {
				if !yield(Demonstration{}, f.bad(n.Line, err)) {
					return
				}
				continue
			}
			for _, d := range o.demonstrations(turns, topic, f, n.Line) {
				if !yield(d, nil) {
					return
				}
			}
		}
	}
}

// conversationsOf parses a file into its conversations and its first category.
func conversationsOf(f *File) (list []*yaml.Node, topic string, err error) {
	in, err := f.Reader()
	if err != nil {
		return nil, "", err
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxRecord+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%s: %w", f.Path, err)
	case len(raw) > maxRecord:
		return nil, "", fmt.Errorf("%s: found more than %d bytes of YAML", f.Path, maxRecord)
	case !utf8.Valid(raw):
		at := invalidAt(raw)
		return nil, "", f.fatal(1+strings.Count(string(raw[:at]), "\n"), notUTF8(raw))
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, "", fmt.Errorf("%s: not YAML: %s", f.Path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, "", f.fatal(1, errors.New("found no mapping, expected one with categories and conversations"))
	}
	fields := doc.Content[0].Content
	for i := 0; i+1 < len(fields); i += 2 {
		value := fields[i+1]
		switch fields[i].Value {
		case "categories":
			if len(value.Content) > 0 {
				topic = value.Content[0].Value
			}
		case "conversations":
			if value.Kind != yaml.SequenceNode {
				return nil, "", f.fatal(value.Line, fmt.Errorf("conversations: found %s, expected a list", nodeKind(value)))
			}
			list = value.Content
		}
	}
	if list == nil {
		return nil, "", f.fatal(1, errors.New("conversations: missing or empty"))
	}
	return list, topic, nil
}

// linesOf returns the lines of a conversation.
func linesOf(n *yaml.Node) (out []turn, err error) {
	if n.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("found %s, expected a conversation: a list of lines", nodeKind(n))
	}
	if len(n.Content) < 2 {
		return nil, fmt.Errorf("found a conversation of %d lines, expected at least 2", len(n.Content))
	}
	for i, line := range n.Content {
		if line.Kind == yaml.AliasNode {
			line = line.Alias
		}
		if line.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d of the conversation: found %s, expected a text", i+1, nodeKind(line))
		}
		out = append(out, turn{"", clean(line.Value)})
	}
	return out, nil
}

func nodeKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	case yaml.AliasNode:
		return "an alias"
	}
	return fmt.Sprintf("%q", short([]byte(n.Value)))
}
