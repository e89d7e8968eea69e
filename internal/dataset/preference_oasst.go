package dataset

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
)

// Open-Assistant's message trees (oasst-data/oasst_data/schemas.py). Wherever two replies of an assistant or more are
// ranked, there is a ranking: one for every labeler's event, or else the one that was agreed on, 0 for the best.

// oasstNode is a message with what was said before it.
type oasstNode struct {
	object
	path []Message
	tree map[string]bool // ids seen
}

func readTree(note noting, tree object) (out []Ranking, err error) {
	root := tree // a message with its replies
	if tree.has("prompt") {
		if root, err = field[object](tree, "prompt"); err != nil {
			return nil, err
		}
	}
	more, err := optional[object](tree, "rlhf")
	if err != nil {
		return nil, err
	}
	n := oasstNode{object: root, tree: map[string]bool{}}
	if more.has("system_message") {
		system, err := field[string](more, "system_message")
		if err != nil {
			return nil, fmt.Errorf("field \"rlhf\": %w", err)
		}
		n.path = []Message{{"system", system}}
	}
	if err := n.walk(&out); err != nil {
		return nil, err
	}
	for i := range out {
		if tree.kind("origin") == "string" {
			out[i].setMeta("origin", tree["origin"])
		}
		out[i].carry(more, "labeler", "system_message")
	}
	if len(out) == 0 {
		note("trees without ranked replies, left out")
	}
	return out, nil
}

// walk adds the rankings of the replies to a message, and of those below it, and marks its place in errors.
func (n oasstNode) walk(out *[]Ranking) error {
	if len(n.path) > maxDepth {
		return fmt.Errorf("found a tree deeper than %d messages", maxDepth)
	}
	turn, err := oasstTurn(n.object)
	if err != nil {
		return err
	}
	id, err := field[string](n.object, "message_id")
	if err != nil {
		return err
	}
	if n.tree[id] {
		return fmt.Errorf("field \"message_id\": found %q twice in a tree", id)
	}
	n.tree[id] = true
	n.path = append(slices.Clip(n.path), turn)
	replies, err := optional[[]object](n.object, "replies")
	if err != nil {
		return fmt.Errorf("message %s: %w", id, err)
	}
	list, err := n.rankings(id, replies)
	if err != nil {
		return fmt.Errorf("message %s: %w", id, err)
	}
	*out = append(*out, list...)
	for _, reply := range replies {
		if err := (oasstNode{reply, n.path, n.tree}).walk(out); err != nil {
			return err
		}
	}
	return nil
}

func oasstTurn(o object) (m Message, err error) {
	name, err := field[string](o, "role")
	if err != nil {
		return m, err
	}
	known := false
	if m.Role, known = roleOf(name); !known || m.Role == "system" {
		return m, fmt.Errorf("field \"role\": found %q, expected prompter or assistant", name)
	}
	m.Content, err = field[string](o, "text")
	return m, err
}

// rankings returns those of the replies to a message.
func (n oasstNode) rankings(id string, replies []object) (out []Ranking, err error) {
	r := Ranking{Messages: n.path, Prompt: Transcript(n.path), Labeler: Imported, GroupID: id}
	if n.kind("lang") == "string" {
		r.setMeta("lang", n.object["lang"])
	}
	var ids []string
	for i, reply := range replies {
		role, err := field[string](reply, "role")
		if err != nil {
			return nil, err
		}
		gone, err := optional[bool](reply, "deleted")
		if err != nil {
			return nil, err
		}
		if kind := reply.kind("rank"); kind == "missing" || kind == "null" || role != "assistant" || gone {
			continue
		}
		rank, err := field[int](reply, "rank")
		if err != nil {
			return nil, err
		}
		c, replyID, err := oasstReply(reply, n.path, i)
		if err != nil {
			return nil, err
		}
		r.Completions, r.Ranks, ids = append(r.Completions, c), append(r.Ranks, rank), append(ids, replyID)
	}
	if len(ids) < 2 {
		return nil, nil
	}
	r.Ranks = dense(r.Ranks)
	if id == oasstID(n.path, -1, "") {
		r.GroupID = ""
	}
	if out, err = n.events(r, ids); err != nil || out != nil {
		return out, err
	}
	return []Ranking{r}, nil
}

func oasstReply(reply object, path []Message, i int) (c Completion, id string, err error) {
	if c.Text, err = field[string](reply, "text"); err != nil {
		return c, "", err
	}
	if id, err = field[string](reply, "message_id"); err != nil {
		return c, "", err
	}
	if id != oasstID(path, i, c.Text) {
		c.ID = id
	}
	if c.Model, err = optional[string](reply, "model_name"); err != nil {
		return c, "", err
	}
	if c.Ratings, err = oasstLabels(reply); err != nil {
		return c, "", fmt.Errorf("field \"labels\": %w", err)
	}
	return c, id, nil
}

// oasstLabels reads {"name": {"value", "count"}}, or the lists of names and values that the flat data set has.
func oasstLabels(reply object) (out map[string]float64, err error) {
	labels, err := optional[object](reply, "labels")
	if err != nil {
		return nil, err
	}
	out = map[string]float64{}
	if labels.kind("name") == "list" {
		names, err := field[[]string](labels, "name")
		if err != nil {
			return nil, err
		}
		values, err := field[[]*float64](labels, "value")
		if err != nil {
			return nil, err
		}
		if len(names) != len(values) {
			return nil, fmt.Errorf("found %d names and %d values, expected as many", len(names), len(values))
		}
		for i, name := range names {
			if values[i] != nil {
				out[name] = *values[i]
			}
		}
	} else {
		for name := range labels {
			label, err := optional[object](labels, name)
			if err != nil {
				return nil, err
			}
			value, err := optional[*float64](label, "value")
			if err != nil {
				return nil, err
			}
			if value != nil {
				out[name] = *value
			}
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// leaf is a message of a flat data set, with those that answer it.
type leaf struct {
	object
	depth   int
	replies []*leaf
}

// gatherTrees makes trees of a data set whose records are messages that name their parents, a tree's after one another
// and a parent before its replies, as OpenAssistant/oasst1 is published. Trees that are nested pass.
func gatherTrees(f *File, objects iter.Seq2[located, error]) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		var root *leaf
		line := 0
		byID := map[string]*leaf{}
		flush := func() bool {
			tree := root
			root = nil
			clear(byID)
			return tree == nil || yield(located{tree.nested(), line}, nil)
		}
		for each, err := range objects {
			flat := err == nil && !each.has("prompt") && (each.kind("replies") != "list" || isEmpty(each.object["replies"]))
			if !flat {
				if err == nil && !flush() || !yield(each, err) {
					return
				}
				continue
			}
			id, err := field[string](each.object, "message_id")
			parent := ""
			if err == nil {
				parent, err = optional[string](each.object, "parent_id")
			}
			n := &leaf{object: each.object}
			switch {
			case err != nil:
			case parent == "":
				if !flush() {
					return
				}
				root, line = n, each.line
			case byID[parent] == nil:
				err = fmt.Errorf("field \"parent_id\": found %q, expected a message that came before it in its tree", parent)
			case byID[parent].depth == maxDepth:
				err = fmt.Errorf("found a tree deeper than %d messages", maxDepth)
			default:
				above := byID[parent]
				n.depth = above.depth + 1
				above.replies = append(above.replies, n)
			}
			if err != nil {
				if !yield(located{}, f.bad(each.line, err)) {
					return
				}
				continue
			}
			byID[id] = n
		}
		flush()
	}
}

// nested returns the message with its replies inside it.
func (l *leaf) nested() object {
	list := []object{}
	for _, r := range l.replies {
		list = append(list, r.nested())
	}
	raw, err := json.Marshal(list)
	if err != nil {
		panic(err) // JSON that was read can be written
	}
	l.object["replies"] = raw
	return l.object
}

// events returns a ranking for every labeler's event of the message; nil if it has none. An event has no ties: where
// there is but one and the agreed ranks follow its order, the ranks say what was tied.
func (n oasstNode) events(agreed Ranking, ids []string) (out []Ranking, err error) {
	events, err := optional[object](n.object, "events")
	if err != nil {
		return nil, err
	}
	list, err := optional[[]object](events, "ranking")
	if err != nil {
		return nil, fmt.Errorf("field \"events\": %w", err)
	}
	for i, event := range list {
		r := agreed
		order, err := field[[]string](event, "ranked_message_ids")
		if err == nil {
			r.Ranks, err = ranksIn(order, ids)
		}
		if err == nil {
			r.Labeler, err = optional[string](event, "user_id")
		}
		var flawed bool
		if err == nil {
			flawed, err = optional[bool](event, "not_rankable")
		}
		if err != nil {
			return nil, fmt.Errorf("field \"events\": ranking %d: %w", i, err)
		}
		if r.Labeler == "" {
			r.Labeler = Imported
		}
		if flawed {
			r.Flags = []string{NotRankable}
		}
		if len(list) == 1 && follows(agreed.Ranks, r.Ranks) {
			r.Ranks = agreed.Ranks
		}
		if len(list) > 1 && r.GroupID != "" {
			r.GroupID += "/" + r.Labeler
		}
		out = append(out, r)
	}
	return out, nil
}

func ranksIn(order, ids []string) ([]int, error) {
	ranks := make([]int, len(ids))
	for at, id := range order {
		i := slices.Index(ids, id)
		if i >= 0 && ranks[i] != 0 {
			return nil, fmt.Errorf("field \"ranked_message_ids\": found %q twice", id)
		}
		if i >= 0 { // a reply may have been removed since
			ranks[i] = at + 1
		}
	}
	if i := slices.Index(ranks, 0); i >= 0 {
		return nil, fmt.Errorf("field \"ranked_message_ids\": found no %q, which is a reply with a rank", ids[i])
	}
	return dense(ranks), nil
}

// follows reports whether ranks with ties contradict an order nowhere.
func follows(ranks, order []int) bool {
	for i := range ranks {
		for j := range ranks {
			if ranks[i] < ranks[j] && order[i] > order[j] {
				return false
			}
		}
	}
	return true
}

// oasstID is the id of a message that had none: of the last message of a path, or of the i-th reply to it.
func oasstID(path []Message, i int, text string) string {
	h := sha256.New()
	for _, m := range path {
		fmt.Fprintf(h, "%s\x00%s\x00", m.Role, m.Content)
	}
	fmt.Fprintf(h, "%d\x00%s", i, text)
	s := h.Sum(nil)
	return fmt.Sprintf("%x-%x-5%x-8%x-%x", s[:4], s[4:6], s[6:8], s[8:10], s[10:16])[:36]
}

// writeTree writes a ranking as a tree that is a chain down to the ranked replies.
func writeTree(r Ranking) *fields {
	path, transcript := r.conversation()
	more := new(fields)
	if path[0].Role == "system" {
		more.add("system_message", path[0].Content)
	}
	full := path
	if path[0].Role == "system" {
		path = path[1:]
	}
	top := oasstID(full[:len(full)-len(path)+1], -1, "")
	var replies []*fields
	parent := r.GroupID
	if parent == "" {
		parent = oasstID(full, -1, "")
	}
	ids := make([]string, len(r.Completions))
	for i, c := range r.Completions {
		text := c.turns(transcript)[0].Content
		if ids[i] = c.ID; c.ID == "" {
			ids[i] = oasstID(full, i, text)
		}
		reply := new(fields).add("message_id", ids[i]).add("parent_id", parent).add("text", text).add("role", "assistant").add("rank", r.Ranks[i]-1)
		reply.some("model_name", c.Model)
		if c.Ratings != nil {
			labels := new(fields)
			for _, name := range slices.Sorted(maps.Keys(c.Ratings)) {
				labels.add(name, new(fields).add("value", c.Ratings[name]).add("count", 1))
			}
			reply.add("labels", labels)
		}
		replies = append(replies, reply.add("replies", []int{}))
	}
	var node *fields
	for i := len(path) - 1; i >= 0; i-- {
		id := oasstID(full[:len(full)-len(path)+i+1], -1, "")
		if i == len(path)-1 {
			id = parent
		}
		node = r.oasstMessage(path[i], id, replies, i == len(path)-1, ids)
		replies = []*fields{node}
	}
	if len(path) == 1 {
		top = parent
	}
	r.GroupID, r.Flags = "", without(r.Flags, NotRankable)
	r.Meta = maps.Clone(r.Meta)
	r.dropMeta("lang")
	tree := new(fields).add("message_tree_id", top).add("tree_state", "ready_for_export").add("prompt", node)
	origin, ok := r.Meta["origin"]
	if ok {
		tree.add("origin", origin)
		r.dropMeta("origin")
	}
	r.carried(more, "labeler", "system")
	if len(more.names) > 0 {
		tree.add("rlhf", more)
	}
	return tree
}

func (r Ranking) oasstMessage(m Message, id string, replies []*fields, last bool, ids []string) *fields {
	role := m.Role
	if role == "user" {
		role = "prompter"
	}
	node := new(fields).add("message_id", id).add("text", m.Content).add("role", role)
	if lang, ok := r.Meta["lang"]; ok && last {
		node.add("lang", lang)
	}
	node.add("replies", replies)
	flawed := slices.Contains(r.Flags, NotRankable)
	if last && (r.Labeler != Imported || flawed) {
		order := r.byRank()
		var ranked []string
		for _, i := range order {
			ranked = append(ranked, ids[i])
		}
		event := new(fields).add("type", "ranking")
		if r.Labeler != Imported {
			event.add("user_id", r.Labeler)
		}
		event.add("ranking", order).add("ranked_message_ids", ranked).add("not_rankable", flawed)
		node.add("events", new(fields).add("ranking", []*fields{event}))
	}
	return node
}

// without returns the list but for one, nil if none is left.
func without[T comparable](flags []T, flag T) []T {
	out := slices.DeleteFunc(slices.Clone(flags), func(f T) bool { return f == flag })
	if len(out) == 0 {
		return nil
	}
	return out
}

// readRankedGroup reads {"context": [{"role", "text"}], "replies": [{"text", "rank", "message_id"}]}, a ranked group taken
// out of a tree.
func readRankedGroup(o object) (r Ranking, err error) {
	if r.Messages, err = turnsField(o, "context", "role", "text"); err != nil {
		return r, err
	}
	r.Prompt = Transcript(r.Messages)
	replies, err := field[[]object](o, "replies")
	if err != nil {
		return r, err
	}
	for i, reply := range replies {
		c := Completion{}
		if c.Text, err = field[string](reply, "text"); err == nil {
			c.ID, err = optional[string](reply, "message_id")
		}
		rank := 0.0
		if err == nil {
			rank, err = field[float64](reply, "rank")
		}
		if err == nil && (rank != math.Trunc(rank) || math.Abs(rank) > 1e6) {
			err = fmt.Errorf("field \"rank\": found %v, expected 0 for the best, 1 and so on", rank)
		}
		if err != nil {
			return r, fmt.Errorf("reply %d: %w", i, err)
		}
		r.Completions, r.Ranks = append(r.Completions, c), append(r.Ranks, int(rank))
	}
	r.Ranks = dense(r.Ranks)
	r.carry(o, "context", "replies")
	return r, nil
}
