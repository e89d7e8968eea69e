package dataset

import (
	"fmt"
	"iter"
)

func convoKitFormat() Format {
	return Format{
		Name: "convokit", About: `ConvoKit's utterances.jsonl, as the film dialogues come today: {"id", "conversation_id", "speaker", "text", "reply-to"}`, Extensions: jsonExtensions,
		Detect: func(s Sample) bool {
			return s.Object.has("id", "conversation_id", "speaker", "text") || s.Object.has("id", "root", "user", "text")
		},
		Demonstrations: readConvoKit, Uses: []string{"talk"},
	}
}

// said is an utterance with the replies to it.
type said struct {
	turn
	id, conversation, above, film string
	replies                       []*said
}

// readConvoKit yields the exchanges of a file of utterances. Those of a conversation stand together, in any order; each
// names the one it answers.
func readConvoKit(o Options, f *File) iter.Seq2[Demonstration, error] {
	return func(yield func(Demonstration, error) bool) {
		var list []*said // of the conversation that is open
		begin := 1
		flush := func() bool {
			for _, turns := range o.threads(list, f, begin) {
				for _, d := range o.demonstrations(turns, list[0].film, f, begin) {
					if !yield(d, nil) {
						return false
					}
				}
			}
			list = list[:0]
			return true
		}
		for each, err := range f.objects() {
			var s *said
			if err == nil {
				if s, err = parseSaid(each.object); err != nil {
					err = f.bad(each.line, err)
				}
			}
			if err == nil && len(list) == maxTalk {
				err = f.fatal(begin, fmt.Errorf("found a conversation of more than %d utterances", maxTalk))
			}
			if err != nil {
				if !yield(Demonstration{}, err) {
					return
				}
				continue
			}
			if len(list) > 0 && list[0].conversation != s.conversation && !flush() {
				return
			}
			if len(list) == 0 {
				begin = each.line
			}
			list = append(list, s)
		}
		flush()
	}
}

// parseSaid parses an utterance, by the names of ConvoKit's fields or by their older ones.
func parseSaid(o object) (s *said, err error) {
	conversation, speaker, above := "conversation_id", "speaker", "reply-to"
	if !o.has(conversation) {
		conversation, speaker = "root", "user"
	}
	if !o.has(above) {
		above = "reply_to"
	}
	s = &said{}
	if s.id, err = field[string](o, "id"); err != nil {
		return nil, err
	}
	if s.conversation, err = field[string](o, conversation); err != nil {
		return nil, err
	}
	if s.speaker, err = field[string](o, speaker); err != nil {
		return nil, err
	}
	if s.text, err = field[string](o, "text"); err != nil {
		return nil, err
	}
	if s.above, err = optional[string](o, above); err != nil {
		return nil, err
	}
	s.text, s.film = clean(s.text), s.conversation
	if o.kind("meta") == "object" {
		meta, err := field[object](o, "meta")
		if err != nil {
			return nil, err
		}
		if film, err := optional[string](meta, "movie_id"); err == nil && film != "" {
			s.film = film
		}
	}
	return s, nil
}

// threads returns the runs of utterances in which each answers the one before. Where one has several answers, those after
// the first begin a run with it, or, where conversations are wanted whole, with all that came before it.
func (o Options) threads(list []*said, f *File, line int) (out [][]turn) {
	byID := make(map[string]*said, len(list))
	for _, s := range list {
		byID[s.id] = s
	}
	var first []*said
	for _, s := range list {
		if above := byID[s.above]; above != nil && above != s {
			above.replies = append(above.replies, s)
		} else {
			first = append(first, s)
		}
	}
	type step struct {
		at     *said
		before []turn
	}
	reached := 0
	for _, s := range first {
		for open := []step{{s, nil}}; len(open) > 0; {
			last := open[len(open)-1]
			open = open[:len(open)-1]
			run := append(last.before[:len(last.before):len(last.before)], last.at.turn)
			at := last.at
			reached++
			for len(at.replies) > 0 {
				for _, other := range at.replies[1:] {
					before := run[:len(run):len(run)]
					if o.Talk.As != "whole" {
						before = before[len(before)-1:]
					}
					open = append(open, step{other, before})
				}
				at = at.replies[0]
				run = append(run, at.turn)
				reached++
			}
			out = append(out, run)
		}
	}
	o.Report.note("utterances left out that answer one another in a circle", len(list)-reached, f, line)
	return out
}
