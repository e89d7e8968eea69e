package figures

import (
	"maps"
	"slices"

	"rlhf/internal/stats"
	"rlhf/storage"
)

// Overall is the key of the rating from 1 to 7.
const Overall = "overall"

// answers are those to one question, by response.
type answers struct {
	all   shares
	units map[int64]*stats.Unit // by completion
}

func (c *Collector) addAnswers(v storage.Verdict) {
	for _, i := range v.Items {
		for key, x := range i.Ratings {
			a := c.answers[key]
			if a == nil {
				a = &answers{units: map[int64]*stats.Unit{}}
				c.answers[key] = a
			}
			a.all.add(v.PromptID, x, 1)
			if v.Kind == storage.KindRepeat {
				continue // by the same labeler
			}
			u := a.units[i.CompletionID]
			if u == nil {
				u = &stats.Unit{Prompt: v.PromptID}
				a.units[i.CompletionID] = u
			}
			u.Values = append(u.Values, x)
		}
	}
}

// answered lists the questions, overall first.
func (c *Collector) answered() []Answer {
	keys := slices.SortedFunc(maps.Keys(c.answers), func(a, b string) int {
		if (a == Overall) != (b == Overall) {
			if a == Overall {
				return -1
			}
			return 1
		}
		return byName(func(s string) string { return s })(a, b)
	})
	out := []Answer{}
	for _, key := range keys {
		a := c.answers[key]
		scale := stats.Nominal
		one := Answer{Key: key, Share: a.all.estimate("answers/" + key)}
		if key == Overall {
			one.Share, one.Mean = nil, one.Share
			scale = stats.Ordinal
		}
		var units []stats.Unit
		shared := 0
		for _, id := range slices.Sorted(maps.Keys(a.units)) {
			u := *a.units[id]
			units = append(units, u)
			if len(u.Values) >= 2 {
				shared++
			}
		}
		one.Alpha = estimate(stats.MeasureAlpha(units, scale, rounds, stream("answers/alpha/"+key)), shared)
		out = append(out, one)
	}
	return out
}
