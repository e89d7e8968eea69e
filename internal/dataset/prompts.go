package dataset

import (
	"encoding/json"
	"fmt"
	"iter"
)

// Prompt is a prompt as text, as messages or as token ids, with all fields of its line.
type Prompt struct {
	Text     string
	Messages []Message // nil if the line has none; else an assistant's is to follow
	Tokens   []int32   // nil if the line has none
	Fields   map[string]json.RawMessage
}

// Prompts reads lines {"prompt": …}, {"messages": […]} or {"tokens": […]}; other fields are kept.
func Prompts(o Options, paths ...string) iter.Seq2[Prompt, error] {
	return readAs(o, paths, func(f *File) iter.Seq2[Prompt, error] {
		return record1(f, func(o object) (p Prompt, err error) {
			p.Fields = o
			switch {
			case o.has("tokens"):
				p.Tokens, err = field[[]int32](o, "tokens")
			case o.has("messages"):
				p.Messages, err = promptMessages(o)
			default:
				p.Text, err = field[string](o, "prompt")
			}
			return p, err
		})
	})
}

// promptMessages decodes a conversation that the user spoke last in.
func promptMessages(o object) ([]Message, error) {
	list, err := messages(o, "messages", "role", "content")
	if err != nil {
		return nil, err
	}
	if n := len(list); n == 0 || list[n-1].Role != "user" {
		return nil, fmt.Errorf("field \"messages\": found %d messages, expected the last to be a user's", n)
	}
	return list, nil
}

// readAs yields the records of files of JSON that are all of one form, which no format has a name for.
func readAs[T any](o Options, paths []string, reader func(*File) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		files, err := expand(o, jsonExtensions, paths)
		if err != nil {
			var zero T
			yield(zero, err)
			return
		}
		for _, f := range files {
			more := deliver(o, reader(f), yield)
			f.Close()
			if !more {
				return
			}
		}
	}
}

// Completion is one text that answers a prompt.
type Completion struct {
	Model    string             `json:"model"`
	Text     string             `json:"text"`
	Messages []Message          `json:"messages,omitempty"` // the turns, if it is more than an assistant's one; Text is then their Transcript
	ID       string             `json:"id,omitempty"`       // the source's name for it
	Tokens   []int32            `json:"tokens,omitempty"`
	Sampling json.RawMessage    `json:"sampling,omitempty"`
	Score    *float64           `json:"score,omitempty"`   // a judge's or a reward model's; nil if there is none
	Label    *bool              `json:"label,omitempty"`   // whether it is good, judged without any other; nil if not judged so
	Ratings  map[string]float64 `json:"ratings,omitempty"` // the labeler's ratings by axis
	Note     string             `json:"note,omitempty"`    // the labeler's note on it
}

// Group is a prompt with the completions to rank.
type Group struct {
	Prompt      string
	Messages    []Message // the conversation that Prompt is the Transcript of; nil for a plain prompt
	System      string    // instruction above a plain prompt
	Tokens      []int32
	Completions []Completion
	Ranks       []int  // of a file of rankings; nil if it only asks for them
	Comment     string // of a file of rankings
}

// Groups reads what is to be ranked: lines {"prompt": …, "completions": [{"model": …, "text": …}]}, with "completion"
// for "text" as AI2 writes it, and "messages" in place of "prompt" for a conversation; what the sample command writes,
// one line {"prompt": …, "sample": k, "completion": …} for each completion, the lines of a prompt one after another; or
// rankings in any format.
func Groups(o Options, paths ...string) iter.Seq2[Group, error] {
	return readAs(o, paths, func(f *File) iter.Seq2[Group, error] {
		if format, ok := rankedFormat(o, f); ok {
			o.Report.format(format.Name)
			return rankedGroups(Compared(format.Rankings(o, f), o.Report))
		}
		return func(yield func(Group, error) bool) {
			var open *Group // lines of the sample command, as long as their prompt stays the same
			flush := func() bool {
				g := open
				open = nil
				return g == nil || yield(*g, nil)
			}
			for l, err := range record1(f, parseGroup) {
				switch {
				case err != nil:
					if !yield(Group{}, err) {
						return
					}
				case l.sampled && open != nil && open.Prompt == l.Prompt:
					open.Completions = append(open.Completions, l.Completions...)
				default:
					if !flush() {
						return
					}
					if !l.sampled {
						if !yield(l.Group, nil) {
							return
						}
						continue
					}
					open = &l.Group
				}
			}
			flush()
		}
	})
}

// rankedFormat returns the format of a file of rankings; ok is false if it is none.
func rankedFormat(o Options, f *File) (format Format, ok bool) {
	if o.Format == "ai2" {
		return format, false
	}
	if !o.auto() {
		format, err := Named(o.Format, KindRankings)
		return format, err == nil && format.Rankings != nil
	}
	s, err := f.sample()
	if err != nil {
		return format, false // as the reader of lines will say
	}
	for _, format := range Formats() {
		if format.Rankings != nil && format.Detect(s) {
			return format, true
		}
	}
	return format, false
}

// rankedGroups yields what rankings are of.
func rankedGroups(seq iter.Seq2[Ranking, error]) iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		for r, err := range seq {
			if !yield(Group{r.Prompt, r.Messages, r.System, r.PromptTokens, r.Completions, r.Ranks, r.Comment}, err) {
				return
			}
		}
	}
}

// groupLine is a group, or one completion of one.
type groupLine struct {
	Group
	sampled bool
}

func parseGroup(o object) (l groupLine, err error) {
	if kind := o.kind("messages"); kind != "missing" && kind != "null" {
		if l.Messages, err = conversationField(o, "messages"); err != nil {
			return l, err
		}
		l.Prompt = Transcript(l.Messages)
	} else if l.Prompt, err = field[string](o, "prompt"); err != nil {
		return l, err
	}
	if l.System, err = optional[string](o, "system"); err != nil {
		return l, err
	}
	if l.Tokens, err = optional[[]int32](o, "prompt_tokens"); err != nil {
		return l, err
	}
	if o.has("completions") {
		l.Completions, err = completions(o)
		return l, err
	}
	c, err := sampled(o)
	l.Completions, l.sampled = []Completion{c}, true
	return l, err
}

// sampled reads a line of the sample command.
func sampled(o object) (c Completion, err error) {
	if c.Text, err = field[string](o, "completion"); err != nil {
		return c, err
	}
	if c.Tokens, err = optional[[]int32](o, "tokens"); err != nil {
		return c, err
	}
	c.Model, err = optional[string](o, "model")
	return c, err
}

// completions reads the field of that name.
func completions(o object) (out []Completion, err error) {
	list, err := field[[]object](o, "completions")
	if err != nil {
		return nil, err
	}
	for k, each := range list {
		var c Completion
		name := "text"
		if _, ok := each[name]; !ok {
			name = "completion"
		}
		if c.Text, err = field[string](each, name); err == nil {
			c.Model, err = optional[string](each, "model")
		}
		if err == nil {
			err = c.readRest(each)
		}
		if err != nil {
			return nil, fmt.Errorf("completion %d: %w", k, err)
		}
		out = append(out, c)
	}
	return out, nil
}
