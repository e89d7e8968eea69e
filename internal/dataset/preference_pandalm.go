package dataset

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// PandaLM's comparisons of two responses: {"cmp_key": "model_model", "instruction", "input", "response1", "response2",
// "annotator1": 1, 2, or 0 for a tie, "annotator2", …}.

const (
	pandaAnnotator = "annotator"
	pandaModels    = "models" // written beside cmp_key where that does not tell the two apart
)

// readPanda makes a ranking of each annotator's verdict.
func readPanda(_ noting, o object) (out []Ranking, err error) {
	var r Ranking
	if r.Prompt, err = instructed(o); err != nil {
		return nil, err
	}
	r.Completions = make([]Completion, 2)
	native := []string{"instruction", "input", "response1", "response2"}
	for i := range r.Completions {
		if r.Completions[i].Text, err = field[string](o, fmt.Sprint("response", i+1)); err != nil {
			return nil, err
		}
	}
	key, err := optional[string](o, "cmp_key")
	if err != nil {
		return nil, err
	}
	models, err := optional[[]string](o, pandaModels)
	if err != nil {
		return nil, err
	}
	if models == nil {
		models = strings.Split(key, "_")
	}
	if len(models) == 2 {
		r.Completions[0].Model, r.Completions[1].Model = models[0], models[1]
		native = append(native, "cmp_key", pandaModels)
	}
	var names []string
	for name := range o {
		if number, ok := strings.CutPrefix(name, pandaAnnotator); ok && strings.Trim(number, "0123456789") == "" && number != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	r.carry(o, append(native, names...)...)
	for _, name := range names {
		verdict, err := field[int](o, name)
		if err != nil || verdict < 0 || verdict > 2 {
			return nil, fmt.Errorf("field %q: found %s, expected 1, 2 or 0 for a tie", name, short(o[name]))
		}
		one := r
		one.Completions = slices.Clone(r.Completions)
		one.Ranks = [][]int{{1, 1}, {1, 2}, {2, 1}}[verdict]
		if one.Labeler == Imported && len(names) > 1 {
			one.Labeler = name
		}
		out = append(out, one)
	}
	return out, nil
}

// instructed is a prompt of an instruction and, after a blank line, the input if there is one.
func instructed(o object) (prompt string, err error) {
	if prompt, err = field[string](o, "instruction"); err != nil {
		return "", err
	}
	input, err := optional[string](o, "input")
	if input != "" {
		prompt += "\n\n" + input
	}
	return prompt, err
}

// writePanda writes every pair of a ranking as one annotator's.
func writePanda(r Ranking) (rows []*fields) {
	for a := range r.Completions {
		for b := a + 1; b < len(r.Completions); b++ {
			if r.Choice && r.Ranks[a] == r.Ranks[b] {
				continue // nobody compared them
			}
			first, second := r.Completions[a], r.Completions[b]
			row := new(fields)
			if models := []string{first.Model, second.Model}; first.Model != "" || second.Model != "" {
				key := strings.Join(models, "_")
				row.add("cmp_key", key)
				if strings.Count(key, "_") != 1 {
					row.add(pandaModels, models)
				}
			}
			verdict := 0
			if r.Ranks[a] != r.Ranks[b] {
				verdict = 1
				if r.Ranks[a] > r.Ranks[b] {
					verdict = 2
				}
			}
			row.add("instruction", r.Prompt).add("input", "").add("response1", first.Text).add("response2", second.Text).add(pandaAnnotator+"1", verdict)
			pair := r
			pair.GroupID = r.group()
			if pair.Shown = shownOf(r.Shown, []int{a, b}); len(r.Completions) > 2 {
				pair.Choice = false
			}
			pair.carried(row)
			rows = append(rows, row)
		}
	}
	return rows
}

// withoutNaN returns JSON with null for each NaN that stands for a value, as pandas and Python's json module write what is
// missing; found reports whether there is any.
func withoutNaN(raw []byte) (out []byte, found bool) {
	inside := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inside && c == '\\':
			i++
			out = append(out, c)
			if i < len(raw) {
				out = append(out, raw[i])
			}
			continue
		case c == '"':
			inside = !inside
		case !inside && bytes.HasPrefix(raw[i:], []byte("NaN")):
			out, found = append(out, "null"...), true
			i += len("NaN") - 1
			continue
		}
		out = append(out, raw[i])
	}
	return out, found
}
