package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Data sets that are read in the form in which they are published, and not written.

// readTruths yields a ranking for every question of TruthfulQA.csv.
func readTruths(_ Options, f *File) iter.Seq2[Ranking, error] {
	return func(yield func(Ranking, error) bool) {
		t, err := openTable(f, truthColumns...)
		if err != nil {
			yield(Ranking{}, err)
			return
		}
		for row, err := range t.rows() {
			var r Ranking
			if err == nil {
				if r, err = rankTruths(row); err != nil {
					err = f.bad(row.line, err)
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// truthColumns are those that make a ranking.
var truthColumns = []string{"Question", "Best Answer", "Correct Answers", "Incorrect Answers"}

// rankTruths ranks the best answer over the other correct ones, and these over the incorrect.
func rankTruths(row row) (r Ranking, err error) {
	var texts [4]string
	for i, name := range truthColumns {
		if texts[i], err = row.get(name); err != nil {
			return r, err
		}
	}
	r.Prompt, r.Labeler = texts[0], Imported
	for rank, list := range texts[1:] {
		answers := []string{list}
		if rank > 0 {
			answers = strings.Split(list, ";")
		}
		for _, answer := range answers {
			answer = strings.TrimSpace(answer)
			again := slices.ContainsFunc(r.Completions, func(c Completion) bool { return c.Text == answer })
			if answer != "" && !again { // the best answer stands among the correct ones too
				r.Completions, r.Ranks = append(r.Completions, Completion{Text: answer}), append(r.Ranks, rank+1)
			}
		}
	}
	r.Ranks = dense(r.Ranks)
	for i, name := range row.names {
		if slices.Contains(truthColumns, name) || row.values[i] == "" {
			continue
		}
		raw, err := json.Marshal(row.values[i])
		if err != nil {
			return r, err
		}
		r.setMeta(strings.ToLower(name), raw)
	}
	return r, r.check()
}

// Prometheus's prompts to its judge hold the instruction and the response between these lines.
const (
	judgeInstruction = "###The instruction to evaluate:\n"
	judgeResponse    = "\n\n###Response to evaluate:\n"
)

// judged takes the instruction and the response out of a prompt to Prometheus's judge.
func judged(o object, name string) (prompt, response string, err error) {
	text, err := field[string](o, name)
	if err != nil {
		return "", "", err
	}
	_, rest, found := strings.Cut(text, judgeInstruction)
	prompt, response, both := strings.Cut(rest, judgeResponse)
	end := len(response)
	for _, next := range []string{"\n\n###Reference Answer", "\n\n###Score Rubrics:"} {
		if i := strings.LastIndex(response, next); i >= 0 {
			end = min(end, i)
		}
	}
	if !found || !both || end == len(response) {
		return "", "", fmt.Errorf("field %q: found %s, expected %q, %q and the rubrics", name, short(o[name]), strings.TrimSpace(judgeInstruction), strings.TrimSpace(judgeResponse))
	}
	return prompt, response[:end], nil
}

// readJudgedPair reads {"chosen_instruction", "rejected_instruction"}, the HHH set as Prometheus evaluates it.
func readJudgedPair(o object) (r Ranking, err error) {
	prompt, chosen, err := judged(o, "chosen_instruction")
	if err != nil {
		return r, err
	}
	other, rejected, err := judged(o, "rejected_instruction")
	if err != nil {
		return r, err
	}
	if prompt != other {
		return r, errors.New(`fields "chosen_instruction" and "rejected_instruction": found two instructions to evaluate, expected the same`)
	}
	r.Prompt, r.Completions, r.Ranks = prompt, []Completion{{Text: chosen}, {Text: rejected}}, []int{1, 2}
	r.carry(o, "chosen_instruction", "rejected_instruction")
	return r, nil
}

// readJudged reads {"instruction", "response_source", "gpt4_score"}: the mean of the judge's scores of one response.
func readJudged(o object) (r Ranking, err error) {
	var c Completion
	if r.Prompt, c.Text, err = judged(o, "instruction"); err != nil {
		return r, err
	}
	if c.Model, err = optional[string](o, "response_source"); err != nil {
		return r, err
	}
	scores, err := field[[]float64](o, "gpt4_score")
	if err != nil {
		return r, err
	}
	if len(scores) == 0 {
		return r, errors.New(`field "gpt4_score": found no score, expected one or more`)
	}
	mean := 0.0
	for _, s := range scores {
		mean += s / float64(len(scores))
	}
	c.Score = &mean
	r.Completions, r.Ranks, r.Labeler = []Completion{c}, []int{1}, "gpt-4"
	r.carry(o, "instruction", "response_source")
	return r, nil
}

// readRankLists reads {"prompt", "completions": ["…"], "ranks": [[0], [2, 1]]}: lists of the tied, the best first.
func readRankLists(o object) (r Ranking, err error) {
	if o.kind("prompt") == "list" {
		if r.Messages, err = conversationField(o, "prompt"); err != nil {
			return r, err
		}
		r.Prompt = Transcript(r.Messages)
	} else if r.Prompt, err = field[string](o, "prompt"); err != nil {
		return r, err
	}
	texts, err := field[[]string](o, "completions")
	if err != nil {
		return r, err
	}
	models, err := optional[[]string](o, "models")
	if err != nil {
		return r, err
	}
	if models != nil && len(models) != len(texts) {
		return r, fmt.Errorf("field \"models\": found %d for %d completions", len(models), len(texts))
	}
	lists, err := field[[][]int](o, "ranks")
	if err != nil {
		return r, err
	}
	r.Ranks = make([]int, len(texts))
	for i, list := range lists {
		for _, k := range list {
			if k < 0 || k >= len(texts) || r.Ranks[k] != 0 {
				return r, fmt.Errorf("field \"ranks\": found %v, expected each of 0 to %d once", lists, len(texts)-1)
			}
			r.Ranks[k] = i + 1
		}
	}
	if slices.Contains(r.Ranks, 0) {
		return r, fmt.Errorf("field \"ranks\": found %v, expected each of 0 to %d once", lists, len(texts)-1)
	}
	r.Ranks = dense(r.Ranks)
	for i, text := range texts {
		c := Completion{Text: text}
		if models != nil {
			c.Model = models[i]
		}
		r.Completions = append(r.Completions, c)
	}
	r.carry(o, "prompt", "completions", "models", "ranks")
	return r, nil
}

func writeRankLists(r Ranking) []*fields {
	row := new(fields)
	if r.Messages != nil {
		row.add("prompt", r.Messages)
	} else {
		row.add("prompt", r.Prompt)
	}
	var texts, models []string
	named := false
	for _, c := range r.Completions {
		texts, models, named = append(texts, c.Text), append(models, c.Model), named || c.Model != ""
	}
	row.add("completions", texts)
	if named {
		row.add("models", models)
	}
	var lists [][]int
	for _, i := range r.byRank() {
		if r.Ranks[i] > len(lists) {
			lists = append(lists, nil)
		}
		lists[len(lists)-1] = append(lists[len(lists)-1], i)
	}
	row.add("ranks", lists)
	r.carried(row)
	return []*fields{row}
}
