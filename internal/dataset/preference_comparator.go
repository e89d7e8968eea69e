package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
)

// LLM Comparator's file: one document of two models and their examples, whose score is above 0 where the first model's
// output is better. An example that this project wrote says in individual_rater_scores who judged what; of any other
// the mean score makes the ranking.

// readComparator yields the examples of a document one after another. It never holds the whole.
func readComparator(_ Options, f *File) iter.Seq2[Ranking, error] {
	return func(yield func(Ranking, error) bool) {
		in, err := f.Reader()
		if err != nil {
			yield(Ranking{}, err)
			return
		}
		d := document{splitter: splitter{in: in, line: 1}}
		var models []string
		err = d.fields(func(name string, value record) error {
			if name == "models" {
				models, err = comparatorModels(value.raw)
				return err
			}
			return nil
		}, "examples", func(r record) bool {
			var list []Ranking
			if models == nil {
				yield(Ranking{}, f.fatal(r.line, errors.New(`found "examples" before "models", expected the two models first`)))
				return false
			}
			o, err := parseObject(r.raw)
			if err == nil {
				list, err = readExample(o, models)
			}
			if err != nil {
				return yield(Ranking{}, f.bad(r.line, err))
			}
			for _, v := range list {
				if !yield(v, nil) {
					return false
				}
			}
			return true
		})
		if err != nil && err != errStopped {
			yield(Ranking{}, f.fatal(d.line, err))
		}
	}
}

var errStopped = errors.New("nothing more is wanted")

// document reads the fields of one large JSON object, of which one is a list that is too long to hold.
type document struct{ splitter }

// fields calls each for every field but the list, and item for every element of the list until it returns false.
func (d *document) fields(each func(string, record) error, list string, item func(record) bool) error {
	if err := d.expect('{'); err != nil {
		return err
	}
	seen := false
	for first := true; ; first = false {
		c, err := d.skip()
		if err != nil {
			return err
		}
		if c == '}' && first {
			break
		}
		if c != '"' {
			return fmt.Errorf("found %q, expected the name of a field", c)
		}
		key, err := d.value(c)
		if err != nil {
			return err
		}
		var name string
		if err := json.Unmarshal(key.raw, &name); err != nil {
			return err
		}
		if err := d.expect(':'); err != nil {
			return err
		}
		if name == list {
			seen = true
			err = d.items(list, item)
		} else if c, err = d.skip(); err == nil {
			var v record
			if v, err = d.value(c); err == nil {
				err = each(name, v)
			}
		}
		if err != nil {
			return err
		}
		if c, err = d.skip(); err != nil {
			return err
		}
		if c == '}' {
			break
		}
		if c != ',' {
			return fmt.Errorf("found %q, expected , or } after the field %q", c, name)
		}
	}
	if !seen {
		return fmt.Errorf("found no field %q", list)
	}
	if c, err := d.skip(); err == nil {
		return fmt.Errorf("found %q after the end of the document, expected nothing", c)
	}
	return nil
}

// items reads the elements of the list.
func (d *document) items(name string, item func(record) bool) error {
	if err := d.expect('['); err != nil {
		return fmt.Errorf("field %q: %w", name, err)
	}
	for first := true; ; first = false {
		c, err := d.skip()
		if err != nil {
			return err
		}
		if c == ']' && first {
			return nil
		}
		v, err := d.value(c)
		if err != nil {
			return err
		}
		if !item(v) {
			return errStopped
		}
		if c, err = d.skip(); err != nil {
			return err
		}
		if c == ']' {
			return nil
		}
		if c != ',' {
			return fmt.Errorf("found %q, expected , or ] in the list %q", c, name)
		}
	}
}

// skip returns the next byte that is no space.
func (d *document) skip() (byte, error) {
	for {
		c, err := d.in.ReadByte()
		switch {
		case err == io.EOF:
			return 0, errors.New("found the end of the file inside the document")
		case err != nil:
			return 0, err
		case c == '\n':
			d.line++
		case c != ' ' && c != '\t' && c != '\r':
			return c, nil
		}
	}
}

func (d *document) expect(want byte) error {
	c, err := d.skip()
	if err == nil && c != want {
		err = fmt.Errorf("found %q, expected %q", c, want)
	}
	return err
}

func comparatorModels(raw []byte) ([]string, error) {
	var list []object
	if err := json.Unmarshal(raw, &list); err != nil || len(list) != 2 {
		return nil, fmt.Errorf("field \"models\": found %s, expected two objects with a name", short(raw))
	}
	var out []string
	for _, each := range list {
		name, err := field[string](each, "name")
		if err != nil {
			return nil, fmt.Errorf("field \"models\": %w", err)
		}
		out = append(out, name)
	}
	return out, nil
}

func readExample(o object, models []string) ([]Ranking, error) {
	var r Ranking
	var err error
	if r.Prompt, err = field[string](o, "input_text"); err != nil {
		return nil, err
	}
	for i, name := range []string{"output_text_a", "output_text_b"} {
		text, err := field[string](o, name)
		if err != nil {
			return nil, err
		}
		r.Completions = append(r.Completions, Completion{Text: text, Model: models[i]})
	}
	score, err := field[float64](o, "score")
	if err != nil {
		return nil, err
	}
	raters, err := optional[[]object](o, "individual_rater_scores")
	if err != nil {
		return nil, err
	}
	if ours, err := r.raters(o, raters); err != nil || ours != nil {
		return ours, err
	}
	r.Ranks, r.Labeler = ranksOf([]float64{score, 0}), Imported
	custom, err := optional[object](o, "custom_fields")
	if err != nil {
		return nil, err
	}
	for name, raw := range o {
		if !isNull(raw) && !slices.Contains([]string{"input_text", "output_text_a", "output_text_b", "custom_fields"}, name) && !isEmpty(raw) {
			r.setMeta(name, raw)
		}
	}
	for name, raw := range custom {
		if _, taken := o[name]; taken {
			return nil, fmt.Errorf("field \"custom_fields\": found %q, which is the name of a field of examples", name)
		}
		if !isNull(raw) {
			r.setMeta(name, raw)
		}
	}
	return []Ranking{r}, nil
}

// isEmpty reports whether the value is a list or an object of nothing.
func isEmpty(raw json.RawMessage) bool {
	s := string(compact(raw))
	return s == "[]" || s == "{}"
}

// raters returns a ranking for every rater whose score this project wrote.
func (r Ranking) raters(o object, raters []object) (out []Ranking, err error) {
	for i, rater := range raters {
		if !rater.has("rlhf") {
			return nil, nil
		}
		more, err := field[object](rater, "rlhf")
		if err != nil {
			return nil, fmt.Errorf("rater %d: %w", i, err)
		}
		one := r
		one.Completions = slices.Clone(r.Completions)
		score, err := field[float64](rater, "score")
		if err == nil {
			one.Comment, err = optional[string](rater, "rationale")
		}
		if err != nil {
			return nil, fmt.Errorf("rater %d: %w", i, err)
		}
		one.Ranks = ranksOf([]float64{score, 0})
		custom, err := optional[object](o, "custom_fields")
		if err != nil {
			return nil, err
		}
		for name, raw := range custom {
			one.setMeta(name, raw)
		}
		if tags, ok := o["tags"]; ok && !isEmpty(tags) {
			one.setMeta("tags", tags)
		}
		one.carry(more, "comment")
		out = append(out, one)
	}
	return out, nil
}

// comparatorWriter writes a document as it gets the examples. All must be of the same two models.
type comparatorWriter struct {
	w      io.Writer
	models []string
	count  int // examples written
	others int // pairs of other models
}

// write writes the rankings of one task as an example for every pair of completions of the two models.
func (c *comparatorWriter) write(rankings []Ranking) error {
	r := rankings[0]
	for a := range r.Completions {
		for b := a + 1; b < len(r.Completions); b++ {
			if r.Choice && r.Ranks[a] == r.Ranks[b] {
				continue // nobody compared them
			}
			if c.models == nil {
				c.models = []string{r.Completions[a].Model, r.Completions[b].Model}
				if err := c.begin(); err != nil {
					return err
				}
			}
			i, j := a, b
			if c.models[0] != c.models[1] && r.Completions[a].Model == c.models[1] {
				i, j = b, a
			}
			if r.Completions[i].Model != c.models[0] || r.Completions[j].Model != c.models[1] {
				if len(r.Completions) > 2 {
					c.others++
					continue
				}
				return fmt.Errorf("found the models %q and %q, expected %q and %q: the format compares two", r.Completions[a].Model, r.Completions[b].Model, c.models[0], c.models[1])
			}
			if err := c.example(rankings, i, j); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *comparatorWriter) begin() error {
	var b bytes.Buffer
	b.WriteString(`{"metadata":{"source_path":"rlhf","custom_fields_schema":[]},"models":[`)
	for i, name := range c.models {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encode(&b, new(fields).add("name", name)); err != nil {
			return err
		}
	}
	b.WriteString(`],"examples":[`)
	_, err := c.w.Write(b.Bytes())
	return err
}

func (c *comparatorWriter) example(rankings []Ranking, a, b int) error {
	r := rankings[0]
	row := new(fields).add("input_text", r.Prompt)
	if tags, ok := r.Meta["tags"]; ok {
		row.add("tags", tags)
	} else {
		row.add("tags", []string{})
	}
	row.add("output_text_a", r.Completions[a].Text).add("output_text_b", r.Completions[b].Text)
	custom := new(fields)
	if len(rankings) == 1 && r.judgedThere(a, b) {
		row.add("score", r.Meta["score"])
		if raters, ok := r.Meta["individual_rater_scores"]; ok {
			row.add("individual_rater_scores", raters)
		} else {
			row.add("individual_rater_scores", []int{})
		}
		r.Meta = maps.Clone(r.Meta)
		r.dropMeta("score")
		r.dropMeta("individual_rater_scores")
	} else {
		score, raters := c.rate(rankings, a, b)
		row.add("score", score).add("individual_rater_scores", raters)
	}
	custom.others(r.Meta, "tags")
	row.add("custom_fields", custom)
	var text bytes.Buffer
	if c.count++; c.count > 1 {
		text.WriteByte(',')
	}
	text.WriteByte('\n')
	if err := encode(&text, row); err != nil {
		return err
	}
	_, err := c.w.Write(text.Bytes())
	return err
}

// judgedThere reports whether the score of the example that a ranking was read from says all of it.
func (r Ranking) judgedThere(a, b int) bool {
	var score float64
	if json.Unmarshal(r.Meta["score"], &score) != nil || len(r.Completions) != 2 {
		return false
	}
	ranks, more := ranksOf([]float64{score, 0}), new(fields)
	r.Meta = nil
	r.carried(more)
	return len(more.names) == 0 && r.Ranks[a] == ranks[0] && r.Ranks[b] == ranks[1]
}

// rate returns what each labeler said of two completions, 1 for the first, and the mean of it.
func (c *comparatorWriter) rate(rankings []Ranking, a, b int) (mean float64, raters []*fields) {
	sum := 0.0
	for _, each := range rankings {
		score := float64(sign(each.Ranks[b] - each.Ranks[a]))
		sum += score
		if each.Shown = shownOf(each.Shown, []int{a, b}); len(each.Completions) > 2 {
			each.Choice = false
		}
		row := new(fields).add("score", score).add("rating_label", [...]string{"B is better", "same", "A is better"}[int(score)+1]).
			add("is_flipped", len(each.Shown) > 0 && each.Shown[0] == 1).add("rationale", each.Comment)
		each.Meta = nil
		more := new(fields)
		each.carried(more, "comment")
		raters = append(raters, row.add("rlhf", more))
	}
	return sum / float64(len(rankings)), raters
}

// end closes the document; without any example it is one of two models without names.
func (c *comparatorWriter) end() error {
	if c.models == nil {
		c.models = []string{"", ""}
		if err := c.begin(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(c.w, "\n]}\n")
	return err
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
