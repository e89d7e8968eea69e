package dataset

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// TreeOptions says how trees of messages are made into demonstrations.
type TreeOptions struct {
	Paths string // "best" or "" follows the best-ranked reply at every message; "all" makes each path to a leaf one demonstration
	Lang  string // a language like "en": trees whose first message is in another are left out; "" keeps all
}

// node is a message of Open-Assistant with the replies to it.
type node struct {
	message Message
	lang    string
	rank    int // among its siblings, 0 is best; past them all where none is given
	deleted bool
	replies []*node
}

const unranked = 1 << 30

// readTrees yields the demonstrations in Open-Assistant's trees: a tree a line, {"message_tree_id", "prompt": {…,
// "replies"}}; a line per first message with its replies; or a line per message of a tree that refers to the one above
// it by "parent_id", the messages of a tree one after another, each after its parent.
func readTrees(o Options, f *File) iter.Seq2[Demonstration, error] {
	return func(yield func(Demonstration, error) bool) {
		var tree *treeLine // as far as it is read from lines of messages
		byID := map[string]*node{}
		flush := func() bool {
			list := o.paths(tree, f)
			tree = nil
			clear(byID)
			for _, d := range list {
				if !yield(d, nil) {
					return false
				}
			}
			return true
		}
		for each, err := range f.objects() {
			var n treeLine
			if err == nil {
				if n, err = parseTreeLine(each.object); err != nil {
					err = f.bad(each.line, err)
				}
				n.line = each.line
			}
			if err == nil && n.parent != "" {
				above := byID[n.parent]
				if above == nil {
					err = f.bad(n.line, fmt.Errorf("field \"parent_id\": found %q, expected a message that came before it in its tree", n.parent))
				} else {
					above.replies = append(above.replies, n.node)
					byID[n.id] = n.node
				}
			}
			if err != nil {
				if !yield(Demonstration{}, err) {
					return
				}
				continue
			}
			if n.parent == "" {
				if !flush() {
					return
				}
				tree, byID[n.id] = &n, n.node
			}
		}
		flush()
	}
}

// treeLine is a message of a line, with its replies if they are nested.
type treeLine struct {
	*node
	id, parent string
	line       int
}

func parseTreeLine(o object) (t treeLine, err error) {
	if o.has("prompt") {
		if o, err = field[object](o, "prompt"); err != nil {
			return t, err
		}
	}
	if t.id, err = field[string](o, "message_id"); err != nil {
		return t, err
	}
	if t.parent, err = optional[string](o, "parent_id"); err != nil {
		return t, err
	}
	t.node, err = parseNode(o, 0)
	return t, err
}

// maxDepth is how deep replies may be nested.
const maxDepth = 1000

func parseNode(o object, depth int) (*node, error) {
	n := &node{rank: unranked}
	text, err := field[string](o, "text")
	if err != nil {
		return nil, err
	}
	who, err := field[string](o, "role")
	if err != nil {
		return nil, err
	}
	role, ok := roleOf(who)
	if !ok {
		return nil, fmt.Errorf("field \"role\": found %q, expected prompter or assistant", who)
	}
	n.message = Message{role, text}
	if n.lang, err = optional[string](o, "lang"); err != nil {
		return nil, err
	}
	if n.deleted, err = optional[bool](o, "deleted"); err != nil {
		return nil, err
	}
	if o.kind("rank") != "null" && o.kind("rank") != "missing" {
		if n.rank, err = field[int](o, "rank"); err != nil {
			return nil, err
		}
	}
	replies, err := optional[[]object](o, "replies")
	if err != nil {
		return nil, err
	}
	if depth == maxDepth {
		return nil, fmt.Errorf("field \"replies\": found more than %d of them one inside another", maxDepth)
	}
	for i, each := range replies {
		reply, err := parseNode(each, depth+1)
		if err != nil {
			return nil, fmt.Errorf("reply %d: %w", i, err)
		}
		n.replies = append(n.replies, reply)
	}
	return n, nil
}

// paths returns the demonstrations of a tree, which may be nil. Each ends with an assistant's message.
func (o Options) paths(t *treeLine, f *File) (out []Demonstration) {
	if t == nil {
		return nil
	}
	if o.Trees.Lang != "" && t.lang != o.Trees.Lang {
		o.Report.note("trees left out whose language is another than "+o.Trees.Lang, 1, f, t.line)
		return nil
	}
	var path []Message
	var walk func(n *node) (answered bool)
	walk = func(n *node) (answered bool) {
		path = append(path, n.message)
		defer func() { path = path[:len(path)-1] }()
		replies := slices.DeleteFunc(slices.Clone(n.replies), func(r *node) bool { return r.deleted })
		slices.SortStableFunc(replies, func(a, b *node) int { return cmp.Compare(a.rank, b.rank) })
		if o.Trees.Paths != "all" {
			replies = replies[:min(1, len(replies))]
		}
		for _, r := range replies {
			answered = walk(r) || answered
		}
		if !answered && n.message.Role == "assistant" {
			out = append(out, Demonstration{Messages: slices.Clone(path), Group: t.id})
			return true
		}
		return answered
	}
	if t.deleted || !walk(t.node) {
		o.Report.note("trees left out that have no answer", 1, f, t.line)
	}
	return out
}

// isTree reports whether a file's first record is a message of Open-Assistant, or a tree of them.
func isTree(s Sample) bool {
	o := s.Object
	if o.kind("prompt") == "object" {
		o, _ = field[object](o, "prompt")
	}
	return o.has("message_id", "role", "text") && (o.has("replies") || o.has("parent_id")) || s.Object.has("message_tree_id")
}
