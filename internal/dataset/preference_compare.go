package dataset

import (
	"iter"
	"maps"
	"slices"
)

// Plain returns the texts that a language model of plain text reads: the prompt, the system prompt before it, and each
// completion as it continues the prompt. Behind a conversation of several turns that is with the space that stands
// behind the assistant's marker.
func (r Ranking) Plain() (prompt string, completions []string) {
	prompt = r.Prompt
	if r.System != "" {
		prompt = r.System + "\n\n" + prompt
	}
	turns := r.Messages != nil && !(len(r.Messages) == 1 && r.Messages[0].Role == "user")
	for i, c := range r.Completions {
		text := c.Text
		if turns {
			text = r.behind(i, false)
		}
		completions = append(completions, text)
	}
	return prompt, completions
}

// Compared yields rankings that compare: those of two completions or more as they come, and at the end one for every
// prompt and labeler of the completions that were judged alone, the labels and scores of which rank them. That is how
// unpaired preferences and ratings are learnt from. The latter are held until then; what cannot be compared, since it
// is alone with its prompt or was judged by another measure, is counted in the notes of the report, which may be nil.
func Compared(seq iter.Seq2[Ranking, error], report *Report) iter.Seq2[Ranking, error] {
	type key struct{ prompt, system, labeler string }
	return func(yield func(Ranking, error) bool) {
		alone := map[key][]Ranking{}
		var order []key
		for r, err := range seq {
			if err != nil || len(r.Completions) > 1 {
				if !yield(r, err) {
					return
				}
				continue
			}
			k := key{r.Prompt, r.System, r.Labeler}
			if alone[k] == nil {
				order = append(order, k)
			}
			alone[k] = append(alone[k], r)
		}
		for _, k := range order {
			list := alone[k]
			for len(list) > 0 {
				some := list[:min(len(list), maxCompletions)]
				list = list[len(some):]
				r, ok := together(some)
				if !ok {
					report.tally("completions judged alone that nothing of their prompt compares with, left out", len(some))
					continue
				}
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// together makes a ranking of completions that were judged alone; ok is false if they were not judged by the same.
func together(list []Ranking) (r Ranking, ok bool) {
	if len(list) < 2 {
		return r, false
	}
	r = Ranking{Prompt: list[0].Prompt, Messages: list[0].Messages, System: list[0].System, PromptTokens: list[0].PromptTokens, Labeler: list[0].Labeler, GroupID: list[0].GroupID}
	for _, one := range list {
		r.Completions = append(r.Completions, one.Completions[0])
	}
	if r.Ranks = ranksByJudgement(r.Completions); r.Ranks == nil {
		return r, false
	}
	return r, true
}

// ranksByJudgement ranks completions by their labels, their scores or the rating that all of them have, "overall" if
// that is one; nil if they have none of these in common.
func ranksByJudgement(list []Completion) []int {
	measures := []func(Completion) (float64, bool){
		func(c Completion) (float64, bool) {
			if c.Label == nil {
				return 0, false
			}
			if *c.Label {
				return 1, true
			}
			return 0, true
		},
		func(c Completion) (float64, bool) {
			if c.Score == nil {
				return 0, false
			}
			return *c.Score, true
		},
	}
	for _, name := range append([]string{"overall"}, slices.Sorted(maps.Keys(list[0].Ratings))...) {
		measures = append(measures, func(c Completion) (float64, bool) {
			rating, ok := c.Ratings[name]
			return rating, ok
		})
	}
	for _, measure := range measures {
		var by []float64
		for _, c := range list {
			if x, ok := measure(c); ok {
				by = append(by, x)
			}
		}
		if len(by) == len(list) {
			return ranksOf(by)
		}
	}
	return nil
}
