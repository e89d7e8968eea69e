package dataset

import (
	"fmt"
	"slices"
	"strings"
)

// writeHH writes every pair as two transcripts. What HH-RLHF could not be split into again is an error: there a marker
// inside a text would be read as a turn.
func writeHH(r Ranking) (rows []*fields, err error) {
	prompt := r.Prompt
	verbatim := r.Messages == nil && isTranscript(prompt) && strings.HasSuffix(prompt, assistantMarker)
	if !verbatim {
		messages := r.Messages
		if messages == nil {
			messages = []Message{{"user", prompt}}
		}
		for _, m := range messages {
			if hasMarker(m.Content) {
				return nil, fmt.Errorf("the prompt holds %q or %q, which would be read as a turn", humanMarker, assistantMarker)
			}
		}
		if prompt = Transcript(messages); len(messages) == 1 {
			prompt = humanMarker + " " + messages[0].Content + assistantMarker
		}
	}
	for _, p := range r.pairs() {
		chosen, rejected := prompt+r.behind(p.chosen, verbatim), prompt+r.behind(p.rejected, verbatim)
		if n, err := splitTranscripts(chosen, rejected); !isTranscript(chosen) || err != nil || n != len(prompt) {
			return nil, fmt.Errorf("completions %d and %d would not be split from the prompt again, since they share a turn", p.chosen, p.rejected)
		}
		row := (&fields{never: "prompt"}).add("chosen", chosen).add("rejected", rejected)
		r.pairColumns(row, p)
		rows = append(rows, row)
	}
	return rows, nil
}

// behind is a completion as it stands behind the assistant's marker.
func (r Ranking) behind(i int, verbatim bool) string {
	c := r.Completions[i]
	if verbatim {
		return c.Text
	}
	if c.Messages != nil {
		return strings.TrimPrefix(Transcript(c.Messages), assistantMarker)
	}
	return " " + c.Text
}

// marked reports whether a completion holds the marker of a turn.
func marked(r Ranking) bool {
	return slices.ContainsFunc(r.Completions, func(c Completion) bool { return c.Messages == nil && hasMarker(c.Text) })
}

func hasMarker(text string) bool {
	return strings.Contains(text, humanMarker) || strings.Contains(text, assistantMarker)
}

// writeTRL writes {"prompt", "chosen", "rejected"} of texts.
func writeTRL(r Ranking) (rows []*fields) {
	for _, p := range r.pairs() {
		row := new(fields).add("prompt", r.Prompt).add("chosen", r.Completions[p.chosen].Text).add("rejected", r.Completions[p.rejected].Text)
		r.pairColumns(row, p)
		rows = append(rows, row)
	}
	return rows
}

// writeTRLChat writes {"prompt", "chosen", "rejected"} of messages.
func writeTRLChat(r Ranking) (rows []*fields) {
	prompt, transcript := r.conversation()
	for _, p := range r.pairs() {
		row := new(fields).add("prompt", prompt).add("chosen", r.Completions[p.chosen].turns(transcript)).add("rejected", r.Completions[p.rejected].turns(transcript))
		r.System = ""
		r.pairColumns(row, p)
		rows = append(rows, row)
	}
	return rows
}

// writeImplicit writes {"chosen", "rejected"}, each with the prompt before it. What would not be split there again is an error.
func writeImplicit(r Ranking) (rows []*fields, err error) {
	for _, p := range r.pairs() {
		chosen, rejected := r.Prompt+r.Completions[p.chosen].Text, r.Prompt+r.Completions[p.rejected].Text
		var back Ranking
		row := (&fields{never: "prompt"}).add("chosen", chosen).add("rejected", rejected)
		back.Completions = []Completion{{Text: chosen}, {Text: rejected}}
		if err := back.splitSides(); err != nil || back.Prompt != r.Prompt {
			return nil, fmt.Errorf("completions %d and %d would not be split from the prompt again, since they begin alike", p.chosen, p.rejected)
		}
		r.pairColumns(row, p)
		rows = append(rows, row)
	}
	return rows, nil
}

// writeImplicitChat writes {"chosen", "rejected"} of messages, each with the prompt before it.
func writeImplicitChat(r Ranking) (rows []*fields, err error) {
	prompt, transcript := r.conversation()
	for _, p := range r.pairs() {
		chosen := append(prompt[:len(prompt):len(prompt)], r.Completions[p.chosen].turns(transcript)...)
		rejected := append(prompt[:len(prompt):len(prompt)], r.Completions[p.rejected].turns(transcript)...)
		if commonMessages(chosen, rejected) != len(prompt) {
			return nil, fmt.Errorf("completions %d and %d would not be split from the prompt again, since they begin alike", p.chosen, p.rejected)
		}
		row := (&fields{never: "prompt"}).add("chosen", chosen).add("rejected", rejected)
		r.System = ""
		r.pairColumns(row, p)
		rows = append(rows, row)
	}
	return rows, nil
}

// writeUnpaired writes a row for every completion: its label, or else whether its rank is the best of ranks that differ.
func writeUnpaired(chat bool) func(Ranking) []*fields {
	return func(r Ranking) (rows []*fields) {
		prompt, transcript := r.conversation()
		differ := len(r.pairs()) > 0
		for i, c := range r.Completions {
			label := c.Label
			if label == nil && differ {
				good := r.Ranks[i] == 1
				label = &good
			}
			if label == nil {
				continue
			}
			row := new(fields)
			if chat {
				row.add("prompt", prompt).add("completion", c.turns(transcript))
			} else {
				row.add("prompt", r.Prompt).add("completion", c.Text)
			}
			row.add("label", *label)
			row.some("model", c.Model)
			row.some("score", c.Score)
			one := r
			if chat {
				one.System = ""
			}
			if len(r.Completions) > 1 {
				one.Shown, one.Choice, one.GroupID = nil, false, r.group()
			}
			one.carried(row)
			rows = append(rows, row)
		}
		return rows
	}
}

// writeInstructions writes {"instruction", "input", "chosen", "rejected"}.
func writeInstructions(r Ranking) (rows []*fields) {
	for _, p := range r.pairs() {
		row := new(fields).add("instruction", r.Prompt).add("input", "").add("chosen", r.Completions[p.chosen].Text).add("rejected", r.Completions[p.rejected].Text)
		r.pairColumns(row, p)
		rows = append(rows, row)
	}
	return rows
}

// writeInstances writes AI2's {"prompt", "completions": [{"model", "completion"}]}: what is to be ranked, without its ranks.
func writeInstances(r Ranking) []*fields {
	var list []*fields
	for _, c := range r.Completions {
		list = append(list, new(fields).add("model", c.Model).add("completion", c.Text))
	}
	return []*fields{new(fields).add("prompt", r.Prompt).add("completions", list)}
}
