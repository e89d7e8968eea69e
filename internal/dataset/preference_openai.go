package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// The formats of OpenAI's summarize-from-feedback: comparisons of summaries, and ratings of a summary by axes.

// source returns the prompt that a summary answers, as that repository's policies saw it: its formats of queries for
// TL;DR and for CNN/DM. A post without title and subreddit stands for itself.
func source(info object) (string, error) {
	if info.has("post") {
		post, err := field[string](info, "post")
		if err != nil || !info.has("subreddit", "title") {
			return post, err
		}
		subreddit, err := field[string](info, "subreddit")
		if err != nil {
			return "", err
		}
		title, err := field[string](info, "title")
		return fmt.Sprintf("SUBREDDIT: r/%s\n\nTITLE: %s\n\nPOST: %s\n\nTL;DR:", subreddit, title, post), err
	}
	article, err := field[string](info, "article")
	return "Article:\n" + article + "\n\nTL;DR:\n", err
}

// readSource reads the prompt of a record and keeps its info.
func (r *Ranking) readSource(o object) error {
	info, err := field[object](o, "info")
	if err != nil {
		return err
	}
	if r.Prompt, err = source(info); err != nil {
		return fmt.Errorf("field \"info\": %w", err)
	}
	if len(info) > 1 {
		r.setMeta("info", o["info"])
	}
	return nil
}

// writeSource is the inverse of readSource.
func (r Ranking) writeSource(row *fields) {
	if raw, ok := r.Meta["info"]; ok {
		var info object
		if json.Unmarshal(raw, &info) == nil {
			if prompt, err := source(info); err == nil && prompt == r.Prompt {
				row.add("info", raw)
				return
			}
		}
	}
	row.add("info", new(fields).add("post", r.Prompt))
}

func readSummary(o object) (c Completion, err error) {
	if c.Text, err = field[string](o, "text"); err != nil {
		return c, err
	}
	if c.Model, err = optional[string](o, "policy"); err != nil {
		return c, err
	}
	c.Note, err = optional[string](o, "note")
	return c, err
}

// writeSummary is the inverse of readSummary.
func writeSummary(c Completion) *fields {
	row := new(fields).add("text", c.Text).add("policy", c.Model)
	if c.Note == "" {
		return row.add("note", nil)
	}
	return row.add("note", c.Note)
}

// readExtra reads the confidence and keeps what else "extra" holds.
func (r *Ranking) readExtra(o object) error {
	extra, err := optional[object](o, "extra")
	if err != nil {
		return err
	}
	if extra.kind("confidence") == "number" {
		confidence, err := field[float64](extra, "confidence")
		if err != nil {
			return fmt.Errorf("field \"extra\": %w", err)
		}
		r.Confidence = &confidence
		delete(extra, "confidence")
	}
	if len(extra) > 0 {
		raw, err := json.Marshal(extra)
		if err != nil {
			return err
		}
		r.setMeta("extra", raw)
	}
	return nil
}

func readComparison(o object) (r Ranking, err error) {
	if err := r.readSource(o); err != nil {
		return r, err
	}
	list, err := field[[]object](o, "summaries")
	if err != nil {
		return r, err
	}
	for i, each := range list {
		c, err := readSummary(each)
		if err != nil {
			return r, fmt.Errorf("field \"summaries\": summary %d: %w", i, err)
		}
		r.Completions = append(r.Completions, c)
	}
	choice, err := field[int](o, "choice")
	if err != nil {
		return r, err
	}
	if choice < 0 || choice >= len(list) {
		return r, fmt.Errorf("field \"choice\": found %d, expected an index of %d summaries, from 0", choice, len(list))
	}
	r.Ranks = chosen(len(list), choice)
	r.Choice = len(list) > 2
	if err := r.readExtra(o); err != nil {
		return r, err
	}
	if r.Labeler, err = optional[string](o, "worker"); err != nil {
		return r, err
	}
	r.carry(o, "info", "summaries", "choice", "worker", "extra")
	return r, nil
}

// chosen returns the ranks where one of k was chosen: 1 for it and 2 for the others.
func chosen(k, best int) []int {
	ranks := make([]int, k)
	for i := range ranks {
		ranks[i] = 2
	}
	ranks[best] = 1
	return ranks
}

// writeComparisons writes a choice as one comparison, and of any other ranking every ordered pair.
func writeComparisons(r Ranking) (rows []*fields) {
	if r.Choice {
		all := make([]int, len(r.Completions))
		for i := range all {
			all[i] = i
		}
		return append(rows, r.comparison(all, slices.Index(r.Ranks, 1)))
	}
	for _, p := range r.pairs() {
		if p.chosen < p.rejected {
			rows = append(rows, r.comparison([]int{p.chosen, p.rejected}, 0))
		} else {
			rows = append(rows, r.comparison([]int{p.rejected, p.chosen}, 1))
		}
	}
	return rows
}

func (r Ranking) comparison(of []int, choice int) *fields {
	row := new(fields)
	r.writeSource(row)
	var summaries []*fields
	for _, i := range of {
		summaries = append(summaries, writeSummary(r.Completions[i]))
	}
	row.add("summaries", summaries).add("choice", choice)
	if r.Labeler != Imported {
		row.add("worker", r.Labeler)
	}
	r.writeExtra(row)
	r.Shown = shownOf(r.Shown, of)
	r.carried(row, "labeler", "confidence", "extra", "choice")
	return row
}

// shownOf is the order in which some of the completions were shown, as indices into them.
func shownOf(shown, of []int) (out []int) {
	for _, i := range shown {
		if at := slices.Index(of, i); at >= 0 {
			out = append(out, at)
		}
	}
	return out
}

// writeExtra is the inverse of readExtra.
func (r Ranking) writeExtra(row *fields) {
	extra := new(fields)
	extra.some("confidence", r.Confidence)
	var more object
	if json.Unmarshal(r.Meta["extra"], &more) == nil {
		for _, name := range slices.Sorted(maps.Keys(more)) {
			extra.add(name, more[name])
		}
	}
	if len(extra.names) > 0 {
		row.add("extra", extra)
	}
}

func readAxes(o object) (r Ranking, err error) {
	if err := r.readSource(o); err != nil {
		return r, err
	}
	summary, err := field[object](o, "summary")
	if err != nil {
		return r, err
	}
	c, err := readSummary(summary)
	if err == nil {
		c.Ratings, err = ratings(summary, "axes")
	}
	if err != nil {
		return r, fmt.Errorf("field \"summary\": %w", err)
	}
	r.Completions, r.Ranks = []Completion{c}, []int{1}
	if r.Labeler, err = optional[string](o, "worker"); err != nil {
		return r, err
	}
	r.carry(o, "info", "summary", "worker")
	return r, nil
}

// ratings decodes an object of numbers. An axis that was not rated, null, is left out.
func ratings(o object, name string) (map[string]float64, error) {
	list, err := field[map[string]*float64](o, name)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for axis, rating := range list {
		if rating != nil {
			out[axis] = *rating
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("field %q: found %s, expected a rating or more", name, short(o[name]))
	}
	return out, nil
}

// writeAxes writes a row for every completion that was rated.
func writeAxes(r Ranking) (rows []*fields) {
	for _, c := range r.Completions {
		if c.Ratings == nil {
			continue
		}
		row := new(fields)
		r.writeSource(row)
		row.add("summary", writeSummary(c).add("axes", c.Ratings))
		if r.Labeler != Imported {
			row.add("worker", r.Labeler)
		}
		if len(r.Completions) > 1 {
			r.Shown, r.Choice = nil, false
		}
		r.carried(row, "labeler")
		rows = append(rows, row)
	}
	return rows
}
