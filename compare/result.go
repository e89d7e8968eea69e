package compare

import (
	"bytes"
	"encoding/json"

	"rlhf/internal/stats"
)

// Result is what compare.json holds. Everything in it is measured in the study.
type Result struct {
	Before  string       `json:"before"` // names of the models, as given
	After   string       `json:"after"`
	Prompts int          `json:"prompts"`
	Judge   JudgeOutcome `json:"judge"`

	// KL is the mean over after's answers of the sum of logp_after - logp_before over
	// their tokens, in nats at the sampling temperature: an unbiased estimate of the
	// divergence of after from before per answer.
	KL              float64 `json:"kl"`
	KLStandardError float64 `json:"kl_standard_error"`

	Length Pair `json:"length"` // mean tokens of an answer, the stop token not counted

	// Perplexity is exp of the mean of -logp over the tokens of all answers under the
	// base model at temperature 1, the stop token counted.
	Perplexity Pair   `json:"perplexity"`
	Base       string `json:"base"` // name of the base model

	// Distinct2 is the share of distinct word pairs among all word pairs of all
	// completions; 0 if there is none.
	Distinct2 Pair `json:"distinct_2"`

	FinishReasons FinishReasons `json:"finish_reasons"`
	Settings      Settings      `json:"settings"`
	Samples       []Sample      `json:"samples"` // one for each prompt, in order
}

// JudgeOutcome is the verdict of a judge: wins and losses are after's.
type JudgeOutcome struct {
	Name     string     `json:"name"`
	WinRate  float64    `json:"win_rate"` // a tie counts one half
	Wins     int        `json:"wins"`
	Losses   int        `json:"losses"`
	Ties     int        `json:"ties"`
	Interval [2]float64 `json:"interval"` // Wilson, 95 %
	P        float64    `json:"p"`        // exact two-sided sign test of wins against losses
	Score    Pair       `json:"score"`    // mean scores

	// LongerWins is the share of decided pairs of differing length in which the longer
	// answer won; far from one half, length may explain the verdict. null if there is none.
	LongerWins *float64 `json:"longer_wins"`
}

// Pair is a number for each model.
type Pair struct {
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}

// FinishReasons counts how answers ended: "stop" with a stop token, "length" at the limit.
type FinishReasons struct {
	Before map[string]int `json:"before"`
	After  map[string]int `json:"after"`
}

// Settings are those of the study, as used.
type Settings struct {
	ResponseLength int     `json:"response_length"`
	Temperature    float64 `json:"temperature"`
	TieMargin      float64 `json:"tie_margin"`
	Seed           uint64  `json:"seed"`
}

// Sample is one prompt with both answers. Winner is "before", "after" or "tie".
type Sample struct {
	Prompt      string  `json:"prompt"`
	Before      string  `json:"before"`
	After       string  `json:"after"`
	BeforeScore float64 `json:"before_score"`
	AfterScore  float64 `json:"after_score"`
	KL          float64 `json:"kl"` // of after's answer
	Winner      string  `json:"winner"`
}

// Verdicts of a Sample.
const (
	winnerBefore = "before"
	winnerAfter  = "after"
	winnerTie    = "tie"
)

// JSON returns the result as indented JSON with a final newline. Equal results
// give equal bytes.
func (r Result) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// judge counts the verdicts on the samples, whose scores are set, and sets their winners.
func judge(name string, samples []Sample, lengths [2][]int, margin float64) JudgeOutcome {
	var w stats.WinRate
	var longerWon, lengthsDiffer int
	o := JudgeOutcome{Name: name}
	for i := range samples {
		s := &samples[i]
		o.Score.Before += s.BeforeScore
		o.Score.After += s.AfterScore
		longer := lengths[1][i] - lengths[0][i] // of after
		switch d := s.AfterScore - s.BeforeScore; {
		case d > margin:
			s.Winner = winnerAfter
			w.Wins++
		case d < -margin:
			s.Winner = winnerBefore
			w.Losses++
			longer = -longer
		default:
			s.Winner = winnerTie
			w.Ties++
			longer = 0
		}
		if longer != 0 {
			lengthsDiffer++
		}
		if longer > 0 {
			longerWon++
		}
	}
	o.Score.Before /= float64(len(samples))
	o.Score.After /= float64(len(samples))
	o.Wins, o.Losses, o.Ties = w.Wins, w.Losses, w.Ties
	o.WinRate, o.P = w.Value(), w.P()
	o.Interval[0], o.Interval[1] = w.Interval()
	if lengthsDiffer > 0 {
		share := float64(longerWon) / float64(lengthsDiffer)
		o.LongerWins = &share
	}
	return o
}
