package main

import (
	"strings"

	"rlhf/compare"
	"rlhf/internal/dataset"
	"rlhf/internal/rng"
)

// Numbers of the demo's split: reviews whose text no stage sees, prompts that are
// ranked, and words of a prompt.
const (
	demoHeldOut     = 600
	demoRanked      = 3600 // unless --ranked says otherwise
	demoShared      = 5    // every fifth ranked prompt goes to both labelers
	demoPromptWords = 3    // to 6
)

// demoReview is a review as the demo uses it: its first words are a prompt.
type demoReview struct {
	dataset.Review
	prompt, rest string
}

// demoData is the split of the embedded reviews. Texts are split into training
// and held-out ones; human labels into a half for the labelers' taste and a half
// for the judge, each over all reviews. No stage sees a label itself.
type demoData struct {
	train, held              []demoReview
	taste, judge             *compare.Bayes
	tasteTexts, judgeTexts   []string
	tasteLabels, judgeLabels []bool
}

// newDemoData splits the reviews by seed.
func newDemoData(seed uint64) (d demoData, err error) {
	reviews, err := dataset.Reviews()
	if err != nil {
		return d, err
	}
	words := rng.New(seed, "demo/prompts", 0)
	for i, at := range rng.New(seed, "demo/split", 0).Perm(len(reviews)) {
		r := demoReview{Review: reviews[at]}
		if i%2 == 0 {
			d.tasteTexts, d.tasteLabels = append(d.tasteTexts, r.Text), append(d.tasteLabels, r.Positive)
		} else {
			d.judgeTexts, d.judgeLabels = append(d.judgeTexts, r.Text), append(d.judgeLabels, r.Positive)
		}
		parts := strings.SplitAfter(r.Text, " ")
		n := demoPromptWords + words.IntN(4)
		if len(parts) < n+4 {
			continue // too short to be cut
		}
		r.prompt = strings.TrimSuffix(strings.Join(parts[:n], ""), " ")
		r.rest = strings.TrimPrefix(r.Text, r.prompt)
		if len(d.held) < demoHeldOut {
			d.held = append(d.held, r)
		} else {
			d.train = append(d.train, r)
		}
	}
	if d.taste, err = compare.FitBayes(d.tasteTexts, d.tasteLabels); err != nil {
		return d, err
	}
	d.judge, err = compare.FitBayes(d.judgeTexts, d.judgeLabels)
	return d, err
}

func (demoData) texts(reviews []demoReview) (out []string) {
	for _, r := range reviews {
		out = append(out, r.Text)
	}
	return out
}

func (demoData) demonstrations(reviews []demoReview) (out []dataset.Demonstration) {
	for _, r := range reviews {
		out = append(out, dataset.Demonstration{Prompt: r.prompt, Completion: r.rest})
	}
	return out
}
