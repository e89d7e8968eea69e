package compare

import (
	"fmt"
	"math"
)

// Bayes is a multinomial naive Bayes classifier of texts by their words, with
// add-one smoothing (Manning 2008, "Introduction to Information Retrieval",
// section 13.2): simple enough to fit on a few thousand human judgements in a
// moment, and independent of every model that is trained here. It may be used
// concurrently.
type Bayes struct {
	prior   float64            // log-odds of the positive class
	logOdds map[string]float64 // by word
}

// FitBayes fits a classifier to texts and their labels. It returns an error if
// the lengths differ or if a class has no text.
func FitBayes(texts []string, positive []bool) (*Bayes, error) {
	if len(texts) != len(positive) {
		return nil, fmt.Errorf("fit naive bayes: %d texts, %d labels", len(texts), len(positive))
	}
	type counts struct{ texts, words float64 }
	var class [2]counts // negative, positive
	byWord := map[string][2]float64{}
	for i, text := range texts {
		k := 0
		if positive[i] {
			k = 1
		}
		class[k].texts++
		for _, w := range Words(text) {
			n := byWord[w]
			n[k]++
			byWord[w] = n
			class[k].words++
		}
	}
	if class[0].texts == 0 || class[1].texts == 0 {
		return nil, fmt.Errorf("fit naive bayes: %g negative and %g positive texts, need at least one of each",
			class[0].texts, class[1].texts)
	}
	b := &Bayes{prior: math.Log(class[1].texts / class[0].texts), logOdds: make(map[string]float64, len(byWord))}
	vocabulary := float64(len(byWord))
	for w, n := range byWord {
		p, q := (n[1]+1)/(class[1].words+vocabulary), (n[0]+1)/(class[0].words+vocabulary)
		b.logOdds[w] = math.Log(p / q)
	}
	return b, nil
}

// LogOdds returns log P(positive|text) - log P(negative|text) in nats. Words that
// the fit has not seen do not count.
func (b *Bayes) LogOdds(text string) float64 {
	sum := b.prior
	for _, w := range Words(text) {
		sum += b.logOdds[w]
	}
	return sum
}

// Accuracy returns the share of texts whose log-odds have the sign of their label;
// log-odds of zero count one half. NaN without texts.
func (b *Bayes) Accuracy(texts []string, positive []bool) float64 {
	right := 0.0
	for i, text := range texts {
		switch odds := b.LogOdds(text); {
		case odds == 0:
			right += 0.5
		case odds > 0 == positive[i]:
			right++
		}
	}
	return right / float64(len(texts))
}

// Judge returns the classifier as a judge: the score of an answer is the log-odds
// of prompt and completion together, so that a word which the prompt ends within
// is read whole.
func (b *Bayes) Judge(name string) Judge {
	return TextJudge(name, func(prompt, completion string) float64 { return b.LogOdds(prompt + completion) })
}

// Fewest words of a sensible completion, and what an insensible one costs, in nats.
const (
	sensibleWords   = 4
	insensiblePrice = 1.5
)

// SensibleTaste returns how much a labeler of the demo likes a completion: the
// log-odds of the whole text, less 1.5 if the completion has fewer than four
// words or repeats a word pair. Without the second part the warmest
// continuation would be "beautiful, beautiful, beautiful".
func (b *Bayes) SensibleTaste(prompt, completion string) float64 {
	taste := b.LogOdds(prompt + completion)
	if len(Words(completion)) < sensibleWords || RepeatsWordPair(completion) {
		taste -= insensiblePrice
	}
	return taste
}
