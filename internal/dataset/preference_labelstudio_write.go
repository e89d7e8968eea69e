package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// studioKeys are the fields of Meta that belong to an annotation and not to its task.
var studioKeys = []string{"annotation", "ratings"}

// sameTask reports whether two rankings are of the same completions of the same prompt, in the same order.
func sameTask(a, b Ranking, ofRanking ...string) bool {
	bare := func(r Ranking) []byte {
		r.Completions = slices.Clone(r.Completions)
		for i := range r.Completions {
			r.Completions[i].Ratings = nil
		}
		meta := maps.Clone(r.Meta)
		for _, name := range ofRanking {
			delete(meta, name)
		}
		raw, _ := json.Marshal(Ranking{Prompt: r.Prompt, Messages: r.Messages, System: r.System, Completions: r.Completions, Meta: meta})
		return raw
	}
	return string(bare(a)) == string(bare(b))
}

// writeStudio writes the rankings of a task, with a ranker.
func writeStudio(id int, rankings []Ranking) *fields {
	r := rankings[0]
	data := r.studioData()
	var items []*fields
	for i, c := range r.Completions {
		item := new(fields).add("id", c.place(i)).add("title", slot(i)).add("body", c.Text)
		item.some("model", c.Model)
		items = append(items, item)
	}
	data.add("items", items)
	data.others(r.Meta, studioKeys...)
	return studioTaskRow(id, data, rankings, func(r Ranking) []*fields {
		return append([]*fields{result("rank", "results", "ranker", new(fields).add("ranker", r.buckets()))}, r.studioRatings(r.studioPlaces())...)
	})
}

// writeStudioPairs writes every strictly ordered pair of a ranking as a task with a pairwise choice.
func writeStudioPairs(id int, rankings []Ranking) (rows []*fields) {
	for _, r := range rankings {
		for _, p := range r.pairs() {
			two := r
			two.Completions, two.Ranks = []Completion{r.Completions[p.chosen], r.Completions[p.rejected]}, []int{1, 2}
			two.Shown = shownOf(r.Shown, []int{p.chosen, p.rejected})
			if p.chosen > p.rejected { // the order of the ranking stays
				slices.Reverse(two.Completions)
				slices.Reverse(two.Ranks)
				two.Shown = shownOf(r.Shown, []int{p.rejected, p.chosen})
			}
			if two.GroupID = r.group(); len(r.Completions) > 2 {
				two.Choice = false
			}
			data := two.studioData()
			for i, name := range studioPairs[0] {
				data.add(name, two.Completions[i].Text)
			}
			for i, name := range studioPairs[0] {
				data.some(name+"_model", two.Completions[i].Model)
			}
			data.others(two.Meta, studioKeys...)
			rows = append(rows, studioTaskRow(id+len(rows), data, []Ranking{two}, func(r Ranking) []*fields {
				selected := "left"
				if r.Ranks[0] == 2 {
					selected = "right"
				}
				return append([]*fields{result("comparison", studioPairs[0][0], "pairwise", new(fields).add("selected", selected))}, r.studioRatings(studioPairs[0][:])...)
			}))
		}
	}
	return rows
}

func studioTaskRow(id int, data *fields, rankings []Ranking, results func(Ranking) []*fields) *fields {
	var annotations []*fields
	for _, r := range rankings {
		a := new(fields)
		var rest object
		if raw, ok := r.Meta["annotation"]; ok {
			json.Unmarshal(raw, &rest)
		}
		for _, name := range slices.Sorted(maps.Keys(rest)) {
			a.add(name, rest[name])
		}
		if n, err := strconv.Atoi(r.Labeler); err == nil && strconv.Itoa(n) == r.Labeler {
			a.add("completed_by", n)
		} else if r.Labeler != Imported {
			a.add("completed_by", r.Labeler)
		}
		a.add("was_cancelled", false)
		if r.ActiveMS != 0 {
			a.add("lead_time", float64(r.ActiveMS)/1000)
		}
		if !r.CreatedAt.IsZero() {
			a.add("created_at", r.CreatedAt.Format(time.RFC3339Nano))
		}
		list := results(r)
		if r.Comment != "" {
			list = append(list, result("comment", "prompt", "textarea", new(fields).add("text", []string{r.Comment})))
		}
		a.add("result", list)
		r.Meta = nil
		more := new(fields)
		if r.carried(more, "labeler", "created_at", "active_ms", "comment", "system"); len(more.names) > 0 {
			a.add("rlhf", more)
		}
		annotations = append(annotations, a)
	}
	row := new(fields).add("id", id).add("data", data).add("annotations", annotations).add("predictions", []int{})
	row.left = data.left
	return row
}

func (r Ranking) studioData() *fields {
	data := new(fields).add("prompt", r.Prompt)
	data.some("messages", r.Messages)
	data.some("system", r.System)
	return data
}

func result(from, to, kind string, value *fields) *fields {
	return new(fields).add("from_name", from).add("to_name", to).add("type", kind).add("value", value)
}

// place is the id of a completion in lists of items.
func (c Completion) place(i int) string {
	if c.ID != "" {
		return c.ID
	}
	return studioID(i)
}

func (r Ranking) studioPlaces() (out []string) {
	for i, c := range r.Completions {
		out = append(out, c.place(i))
	}
	return out
}

// slot is the letter under which a completion is shown.
func slot(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return strconv.Itoa(i + 1)
}

// buckets are the ids of the completions by rank.
func (r Ranking) buckets() *fields {
	out := new(fields)
	for rank := 1; slices.Contains(r.Ranks, rank); rank++ {
		var ids []string
		for i, c := range r.Completions {
			if r.Ranks[i] == rank {
				ids = append(ids, c.place(i))
			}
		}
		out.add(fmt.Sprintf("rank_%d", rank), ids)
	}
	return out
}

// studioRatings are the results of the completions' ratings and of those that are of none of them.
func (r Ranking) studioRatings(places []string) (out []*fields) {
	for i, c := range r.Completions {
		for _, name := range slices.Sorted(maps.Keys(c.Ratings)) {
			out = append(out, result(name, places[i], "rating", new(fields).add("rating", c.Ratings[name])))
		}
	}
	var others map[string]float64
	if json.Unmarshal(r.Meta["ratings"], &others) == nil {
		for _, name := range slices.Sorted(maps.Keys(others)) {
			out = append(out, result(name, "results", "rating", new(fields).add("rating", others[name])))
		}
	}
	return out
}
