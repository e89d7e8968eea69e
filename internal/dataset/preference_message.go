package dataset

import (
	"fmt"
	"strings"
)

// Transcript is the conversation as text: a lone user message is its content; any
// other is turns as in HH-RLHF, "\n\nHuman: …\n\nAssistant: …", the system message
// before them, and it ends with the marker of the assistant if somebody else spoke last.
func Transcript(messages []Message) string {
	if len(messages) == 1 && messages[0].Role == "user" {
		return messages[0].Content
	}
	var b strings.Builder
	for _, m := range messages {
		switch m.Role {
		case "user":
			b.WriteString(humanMarker + " " + m.Content)
		case "assistant":
			b.WriteString(assistantMarker + " " + m.Content)
		default:
			b.WriteString(m.Content)
		}
	}
	if n := len(messages); n > 0 && messages[n-1].Role != "assistant" {
		b.WriteString(assistantMarker)
	}
	return b.String()
}

// HH-RLHF's markers of turns.
const (
	humanMarker     = "\n\nHuman:"
	assistantMarker = "\n\nAssistant:"
)

// parseTranscript is the inverse of Transcript for a conversation of more than one
// message; ok reports that it is one, that is, that Transcript gives the text back.
func parseTranscript(text string) (out []Message, ok bool) {
	at := strings.Index(text, humanMarker)
	if at < 0 {
		return nil, false
	}
	if at > 0 {
		out = append(out, Message{"system", text[:at]})
	}
	for rest := text[at:]; rest != ""; {
		role := "user"
		body, isHuman := strings.CutPrefix(rest, humanMarker)
		if !isHuman {
			role, body = "assistant", strings.TrimPrefix(rest, assistantMarker)
		}
		end := len(body)
		for _, marker := range []string{humanMarker, assistantMarker} {
			if i := strings.Index(body, marker); i >= 0 {
				end = min(end, i)
			}
		}
		if role == "assistant" && body == "" {
			break // the marker that waits for the answer
		}
		out = append(out, Message{role, strings.TrimPrefix(body[:end], " ")})
		rest = body[end:]
	}
	return out, Transcript(out) == text
}

// conversationField decodes a field that is a conversation.
func conversationField(o object, name string) ([]Message, error) {
	return turnsField(o, name, "role", "content")
}

// turnsField decodes a field that is a conversation whose turns have fields of these names.
func turnsField(o object, name, role, content string) ([]Message, error) {
	out, err := messages(o, name, role, content)
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("field %q: found no message, expected one or more", name)
	}
	return out, err
}

// conversation returns what the completions answer as messages: the ranking's own, those of a prompt that is a
// transcript, or the prompt as the user's.
func (r Ranking) conversation() (out []Message, transcript bool) {
	if r.Messages != nil {
		return r.Messages, false
	}
	if list, ok := parseTranscript(r.Prompt); ok && list[len(list)-1].Role != "assistant" {
		if r.System != "" {
			list = append([]Message{{"system", r.System}}, list...)
		}
		return list, true
	}
	if r.System != "" {
		out = append(out, Message{"system", r.System})
	}
	return append(out, Message{"user", r.Prompt}), false
}

// turns returns a completion as messages. After a transcript its text begins with the space that stands behind the marker.
func (c Completion) turns(transcript bool) []Message {
	if c.Messages != nil {
		return c.Messages
	}
	text := c.Text
	if transcript {
		text = strings.TrimPrefix(text, " ")
	}
	return []Message{{"assistant", text}}
}

// answered sets a completion from the messages that follow the prompt.
func answered(list []Message) Completion {
	if len(list) == 1 && list[0].Role == "assistant" {
		return Completion{Text: list[0].Content}
	}
	return Completion{Messages: list, Text: Transcript(list)}
}

// commonMessages returns how many messages the two conversations share at their beginning, leaving each at least one.
func commonMessages(a, b []Message) (n int) {
	for n < min(len(a), len(b))-1 && a[n] == b[n] {
		n++
	}
	return n
}
