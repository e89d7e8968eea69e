package dataset

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// Data sets that are read in the form in which they are published, and not written.

// readTruthfulQA yields a ranking for every question of TruthfulQA.csv.
func readTruthfulQA(_ Options, f *File) iter.Seq2[Ranking, error] {
	return func(yield func(Ranking, error) bool) {
		in, err := f.Reader()
		if err != nil {
			yield(Ranking{}, err)
			return
		}
		rows := csv.NewReader(in)
		head, err := rows.Read()
		if err != nil {
			yield(Ranking{}, f.fatal(1, err))
			return
		}
		for _, name := range truthfulColumns {
			if !slices.Contains(head, name) {
				yield(Ranking{}, f.fatal(1, fmt.Errorf("found the columns %q, expected one named %q", head, name)))
				return
			}
		}
		for {
			row, err := rows.Read()
			if err == io.EOF {
				return
			}
			if err != nil {
				line := 0
				if at := new(csv.ParseError); errors.As(err, &at) {
					line, err = at.StartLine, at.Err
				}
				// Behind a stray quote nothing tells where the next row begins; a row of a wrong length ends where it ends.
				if bad := f.bad(line, err); !errors.Is(err, csv.ErrFieldCount) || !yield(Ranking{}, bad) {
					if !errors.Is(err, csv.ErrFieldCount) {
						yield(Ranking{}, f.fatal(line, err))
					}
					return
				}
				continue
			}
			line, _ := rows.FieldPos(0)
			r, err := truthful(head, row)
			if err != nil {
				err = f.bad(line, err)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// truthfulColumns are those that make a ranking.
var truthfulColumns = []string{"Question", "Best Answer", "Correct Answers", "Incorrect Answers"}

// truthful ranks the best answer over the other correct ones, and these over the incorrect.
func truthful(head, row []string) (r Ranking, err error) {
	at := func(name string) string { return strings.TrimSpace(row[slices.Index(head, name)]) }
	r.Prompt, r.Labeler = at("Question"), Imported
	if r.Prompt == "" {
		return r, errors.New(`column "Question": found nothing, expected a question`)
	}
	best := at("Best Answer")
	add := func(answer string, rank int) {
		answer = strings.TrimSpace(answer)
		for _, c := range r.Completions {
			if c.Text == answer {
				return // the best answer stands among the correct ones too
			}
		}
		if answer != "" {
			r.Completions, r.Ranks = append(r.Completions, Completion{Text: answer}), append(r.Ranks, rank)
		}
	}
	add(best, 1)
	for _, answer := range strings.Split(at("Correct Answers"), ";") {
		add(answer, 2)
	}
	for _, answer := range strings.Split(at("Incorrect Answers"), ";") {
		add(answer, 3)
	}
	r.Ranks = dense(r.Ranks)
	for i, name := range head {
		if slices.Contains(truthfulColumns, name) || row[i] == "" {
			continue
		}
		raw, err := json.Marshal(row[i])
		if err != nil {
			return r, err
		}
		r.setMeta(strings.ToLower(name), raw)
	}
	return r, nil
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
