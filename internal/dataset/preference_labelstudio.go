package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Label Studio's JSON of annotated tasks. A ranker's list cannot state ties: those are written as buckets rank_1, rank_2
// and so on, which is this project's convention. What an annotation of theirs has no place for stands in its "rlhf".

// studioPairs are the names by which templates call the two texts of a pairwise comparison.
var studioPairs = [][2]string{{"answer1", "answer2"}, {"text1", "text2"}, {"response1", "response2"}, {"left", "right"}}

// studioTask is a task of Label Studio while it is read.
type studioTask struct {
	Ranking          // what all its annotations share
	places  []string // by which results name the completions
	data    object
}

func readStudio(note noting, task object) (out []Ranking, err error) {
	t, err := readStudioTask(task)
	if err != nil {
		return nil, err
	}
	annotations, err := optional[[]object](task, "annotations")
	if err != nil {
		return nil, err
	}
	if len(annotations) == 0 {
		note("tasks without an annotation, left out")
	}
	for i, a := range annotations {
		cancelled, err := optional[bool](a, "was_cancelled")
		if err == nil && cancelled {
			note("annotations that were cancelled, left out")
			continue
		}
		var r Ranking
		if err == nil {
			r, err = t.annotation(a)
		}
		if err != nil {
			return nil, fmt.Errorf("annotation %d: %w", i, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func readStudioTask(task object) (t studioTask, err error) {
	if t.data, err = field[object](task, "data"); err != nil {
		return t, err
	}
	if t.data.kind("messages") == "list" {
		if t.Messages, err = conversationField(t.data, "messages"); err != nil {
			return t, fmt.Errorf("field \"data\": %w", err)
		}
	}
	if t.Prompt, err = field[string](t.data, "prompt"); err != nil {
		return t, fmt.Errorf("field \"data\": %w", err)
	}
	native := []string{"prompt", "messages", "items", "system"}
	if t.System, err = optional[string](t.data, "system"); err != nil {
		return t, fmt.Errorf("field \"data\": %w", err)
	}
	if t.data.has("items") {
		err = t.readItems()
	} else {
		native = append(native, t.readPair()...)
	}
	if err == nil && len(t.Completions) == 0 {
		err = fmt.Errorf("found %s, expected a list of items or two texts such as %q and %q", t.data.names(), studioPairs[0][0], studioPairs[0][1])
	}
	if err != nil {
		return t, fmt.Errorf("field \"data\": %w", err)
	}
	for name, raw := range t.data {
		if !isNull(raw) && !slices.Contains(native, name) {
			t.setMeta(name, raw)
		}
	}
	return t, nil
}

func (t *studioTask) readItems() error {
	items, err := field[[]object](t.data, "items")
	if err != nil {
		return err
	}
	for i, item := range items {
		var c Completion
		name := "body"
		if !item.has(name) {
			name = "title" // an item of one line
		}
		id := ""
		if c.Text, err = field[string](item, name); err == nil {
			id, err = field[string](item, "id")
		}
		if err == nil {
			c.Model, err = optional[string](item, "model")
		}
		if err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
		if slices.Contains(t.places, id) {
			return fmt.Errorf("item %d: field \"id\": found %q twice", i, id)
		}
		if id != studioID(i) {
			c.ID = id
		}
		t.Completions, t.places = append(t.Completions, c), append(t.places, id)
	}
	return nil
}

// studioID is the id of an item whose completion has none.
func studioID(i int) string { return "c" + strconv.Itoa(i) }

// readPair reads the two texts of a pairwise template, and returns the names of the fields that were read.
func (t *studioTask) readPair() []string {
	for _, names := range studioPairs {
		first, err := field[string](t.data, names[0])
		if err != nil {
			continue
		}
		t.Completions, t.places = []Completion{{Text: first}}, names[:1]
		if second, err := field[string](t.data, names[1]); err == nil {
			t.Completions, t.places = append(t.Completions, Completion{Text: second}), names[:]
		}
		for i := range t.Completions {
			t.Completions[i].Model, _ = optional[string](t.data, names[i]+"_model")
		}
		return []string{names[0], names[1], names[0] + "_model", names[1] + "_model"}
	}
	return nil
}

// annotation reads one labeler's annotation of the task.
func (t *studioTask) annotation(a object) (r Ranking, err error) {
	r = t.Ranking
	r.Completions, r.Meta = slices.Clone(t.Completions), maps.Clone(t.Meta)
	results, err := field[[]object](a, "result")
	if err != nil {
		return r, err
	}
	var pairwise []int
	others := map[string]float64{}
	for i, result := range results {
		kind, err := field[string](result, "type")
		if err != nil {
			return r, fmt.Errorf("result %d: %w", i, err)
		}
		value, err := field[object](result, "value")
		if err != nil {
			return r, fmt.Errorf("result %d: %w", i, err)
		}
		switch kind {
		case "ranker":
			r.Ranks, err = t.ranker(value)
		case "pairwise":
			pairwise, err = t.pairwise(value)
		case "rating":
			err = t.rating(&r, result, value, others)
		case "textarea":
			err = r.studioComment(value)
		}
		if err != nil {
			return r, fmt.Errorf("result %d: %w", i, err)
		}
	}
	if r.Ranks == nil {
		r.Ranks = pairwise
	}
	if r.Ranks == nil {
		r.Ranks = ranksByJudgement(r.Completions)
	}
	if r.Ranks == nil {
		return r, fmt.Errorf("field \"result\": found no ranker, no pairwise choice and no ratings of all completions by one name")
	}
	if len(others) > 0 {
		raw, err := json.Marshal(others)
		if err != nil {
			return r, err
		}
		r.setMeta("ratings", raw)
	}
	return r, t.by(&r, a)
}

// ranker reads the ids from best to worst, or the buckets rank_1, rank_2 and so on.
func (t *studioTask) ranker(value object) ([]int, error) {
	ranks := make([]int, len(t.places))
	place := func(id string, rank int) error {
		i := slices.Index(t.places, id)
		if i < 0 || ranks[i] != 0 {
			return fmt.Errorf("field \"ranker\": found the id %q, expected each of %q once", id, t.places)
		}
		ranks[i] = rank
		return nil
	}
	if value.kind("ranker") == "list" {
		ids, err := field[[]string](value, "ranker")
		if err != nil {
			return nil, err
		}
		for i, id := range ids {
			if err := place(id, i+1); err != nil {
				return nil, err
			}
		}
	} else {
		buckets, err := field[map[string][]string](value, "ranker")
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(buckets)) {
			n, err := strconv.Atoi(strings.TrimPrefix(name, "rank_"))
			if len(buckets[name]) == 0 {
				continue
			}
			if err != nil || n < 1 || !strings.HasPrefix(name, "rank_") {
				return nil, fmt.Errorf("field \"ranker\": found the bucket %q, expected rank_1, rank_2 and so on", name)
			}
			for _, id := range buckets[name] {
				if err := place(id, n); err != nil {
					return nil, err
				}
			}
		}
	}
	if i := slices.Index(ranks, 0); i >= 0 {
		return nil, fmt.Errorf("field \"ranker\": found no rank of the item %q", t.places[i])
	}
	return dense(ranks), nil
}

// dense returns the ranks without gaps, in the same order and with the same ties.
func dense(ranks []int) []int {
	distinct := slices.Compact(slices.Sorted(slices.Values(ranks)))
	out := make([]int, len(ranks))
	for i, rank := range ranks {
		at, _ := slices.BinarySearch(distinct, rank)
		out[i] = at + 1
	}
	return out
}

func (t *studioTask) pairwise(value object) ([]int, error) {
	selected, err := field[string](value, "selected")
	if err != nil {
		return nil, err
	}
	if len(t.places) != 2 {
		return nil, fmt.Errorf("found a pairwise choice among %d completions, expected 2", len(t.places))
	}
	switch selected {
	case "left":
		return []int{1, 2}, nil
	case "right":
		return []int{2, 1}, nil
	}
	return nil, fmt.Errorf("field \"selected\": found %q, expected left or right", selected)
}

// rating adds a rating to the completion it is of, or to the others if it is of none.
func (t *studioTask) rating(r *Ranking, result, value object, others map[string]float64) error {
	rating, err := field[float64](value, "rating")
	if err != nil {
		return err
	}
	name, err := field[string](result, "from_name")
	if err != nil {
		return err
	}
	of, err := optional[string](result, "to_name")
	if err != nil {
		return err
	}
	i := slices.Index(t.places, of)
	if i < 0 {
		others[name] = rating
		return nil
	}
	c := &r.Completions[i]
	if c.Ratings == nil {
		c.Ratings = map[string]float64{}
	}
	c.Ratings[name] = rating
	return nil
}

func (r *Ranking) studioComment(value object) error {
	if value.kind("text") == "string" {
		var err error
		r.Comment, err = field[string](value, "text")
		return err
	}
	lines, err := field[[]string](value, "text")
	r.Comment = strings.Join(lines, "\n")
	return err
}

// ranksOf ranks by score, the highest first; equal scores are a tie.
func ranksOf(scores []float64) []int {
	distinct := slices.Compact(slices.Sorted(slices.Values(scores)))
	out := make([]int, len(scores))
	for i, s := range scores {
		at, _ := slices.BinarySearch(distinct, s)
		out[i] = len(distinct) - at
	}
	return out
}

// by reads who made an annotation, when and in what time.
func (t *studioTask) by(r *Ranking, a object) (err error) {
	if rest, err := optional[object](a, "rlhf"); err != nil {
		return err
	} else {
		r.carry(rest, "labeler", "created_at", "active_ms", "comment")
	}
	if r.Labeler, err = studioUser(a); err != nil {
		return err
	}
	if r.CreatedAt, err = optional[time.Time](a, "created_at"); err != nil {
		return err
	}
	seconds, err := optional[float64](a, "lead_time")
	if err != nil {
		return err
	}
	r.ActiveMS = int64(math.Round(seconds * 1000))
	rest := object{}
	for name, raw := range a {
		if !isNull(raw) && !slices.Contains([]string{"result", "rlhf", "completed_by", "created_at", "lead_time", "was_cancelled"}, name) {
			rest[name] = compact(raw)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	raw, err := json.Marshal(rest)
	if err == nil {
		r.setMeta("annotation", raw)
	}
	return err
}

// studioUser reads completed_by: a number, a name, or a user with an email.
func studioUser(a object) (string, error) {
	switch a.kind("completed_by") {
	case "missing", "null":
		return Imported, nil
	case "number":
		id, err := field[int64](a, "completed_by")
		return strconv.FormatInt(id, 10), err
	case "string":
		return field[string](a, "completed_by")
	}
	user, err := field[object](a, "completed_by")
	if err != nil {
		return "", err
	}
	if user.has("email") {
		name, err := field[string](user, "email")
		if err == nil && name != "" {
			return name, nil
		}
	}
	id, err := field[int64](user, "id")
	return strconv.FormatInt(id, 10), err
}
