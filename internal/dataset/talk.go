package dataset

import "strings"

// TalkOptions says how conversations that are lists of lines are made into demonstrations.
type TalkOptions struct {
	// As is "pairs" or "" if every two neighbouring lines are a prompt and its completion, so that n lines give n−1;
	// "whole" if a conversation is one demonstration; "answers" if the lines after the first each answer the first.
	As string
}

// turn is a line of a conversation. Its text is empty if the line is, or is missing.
type turn struct {
	speaker string // "" if the data does not say; lines are then by turns
	text    string
}

// What is left out of a conversation, as a report counts it.
const (
	gapPairs   = "pairs left out for a line that is empty or missing"
	oneSpeaker = "conversations left out in which one speaker has all lines"
)

// demonstrations makes a conversation into demonstrations. A line that is empty or missing parts it in two.
func (o Options) demonstrations(turns []turn, group string, f *File, line int) []Demonstration {
	switch o.Talk.As {
	case "answers":
		return o.pairs(turns, func(int) int { return 0 }, group, f, line)
	case "whole":
		return o.conversations(turns, group, f, line)
	}
	return o.pairs(turns, func(i int) int { return i - 1 }, group, f, line)
}

// pairs makes a demonstration of every line but the first, with the line that prompts it.
func (o Options) pairs(turns []turn, prompt func(i int) int, group string, f *File, line int) (out []Demonstration) {
	for i := 1; i < len(turns); i++ {
		q, a := turns[prompt(i)].text, turns[i].text
		if q == "" || a == "" {
			o.Report.note(gapPairs, 1, f, line)
			continue
		}
		out = append(out, Demonstration{Prompt: q, Completion: a, Group: group})
	}
	return out
}

// conversations makes demonstrations of the runs of lines without a gap: the first speaker is the user, any other the
// assistant. What a speaker says in several lines is one turn.
func (o Options) conversations(turns []turn, group string, f *File, line int) (out []Demonstration) {
	for len(turns) > 0 {
		n := 0
		for n < len(turns) && turns[n].text != "" {
			n++
		}
		if d := (Demonstration{Messages: roles(turns[:n]), Group: group}); len(d.Messages) > 1 {
			out = append(out, d)
		} else if n > 0 {
			o.Report.note(oneSpeaker, 1, f, line)
		}
		if n < len(turns) {
			o.Report.note("conversations parted at a line that is empty or missing", 1, f, line)
			n++
		}
		turns = turns[n:]
	}
	return out
}

func roles(turns []turn) (out []Message) {
	for i, t := range turns {
		role := "user"
		if t.speaker != turns[0].speaker || t.speaker == "" && i%2 == 1 {
			role = "assistant"
		}
		if n := len(out); n > 0 && out[n-1].Role == role {
			out[n-1].Content += "\n" + t.text
		} else {
			out = append(out, Message{role, t.text})
		}
	}
	return out
}

// clean returns a line without the white space around it.
func clean(text string) string { return strings.TrimSpace(text) }
