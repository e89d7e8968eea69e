package compare

import (
	"context"
	"fmt"
)

// Answer is a model's answer to a prompt as a judge sees it.
type Answer struct {
	Prompt     string
	Completion string  // without the stop token
	Tokens     []int32 // prompt and completion as the model had them, with the stop token if it stopped
}

// Judge scores answers; of two answers to one prompt the one with the greater
// score is preferred. A judge does not learn which model wrote an answer.
type Judge interface {
	Name() string
	Scores(ctx context.Context, answers []Answer) ([]float64, error) // one for each answer
}

type textJudge struct {
	name  string
	score func(prompt, completion string) float64
}

// TextJudge returns a judge that scores texts.
func TextJudge(name string, score func(prompt, completion string) float64) Judge {
	return textJudge{name, score}
}

func (j textJudge) Name() string { return j.name }

func (j textJudge) Scores(ctx context.Context, answers []Answer) ([]float64, error) {
	out := make([]float64, len(answers))
	for i, a := range answers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out[i] = j.score(a.Prompt, a.Completion)
	}
	return out, nil
}

type tokenJudge struct {
	name   string
	scores func(ctx context.Context, sequences [][]int32) ([]float32, error)
}

// TokenJudge returns a judge that scores the tokens of prompt and completion, as
// a reward model does. It judges a model fairly only if the model was not trained
// on it.
func TokenJudge(name string, scores func(ctx context.Context, sequences [][]int32) ([]float32, error)) Judge {
	return tokenJudge{name, scores}
}

func (j tokenJudge) Name() string { return j.name }

func (j tokenJudge) Scores(ctx context.Context, answers []Answer) ([]float64, error) {
	sequences := make([][]int32, len(answers))
	for i, a := range answers {
		sequences[i] = a.Tokens
	}
	scores, err := j.scores(ctx, sequences)
	if err != nil {
		return nil, err
	}
	if len(scores) != len(answers) {
		return nil, fmt.Errorf("%d scores for %d answers", len(scores), len(answers))
	}
	out := make([]float64, len(scores))
	for i, s := range scores {
		out[i] = float64(s)
	}
	return out, nil
}
