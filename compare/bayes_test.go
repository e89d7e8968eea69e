package compare_test

import (
	"context"
	"math"
	"reflect"
	"testing"

	"rlhf/compare"
)

// The worked example of Manning 2008, table 13.1: P(c|d) is proportional to
// 3/4 (3/7)^3 1/14 1/14, the other class's to 1/4 (2/9)^3 2/9 2/9.
func TestBayesOnTheTextbookExample(t *testing.T) {
	texts := []string{"Chinese Beijing Chinese", "Chinese Chinese Shanghai", "Chinese Macao", "Tokyo Japan Chinese"}
	labels := []bool{true, true, true, false}
	b, err := compare.FitBayes(texts, labels)
	if err != nil {
		t.Fatal(err)
	}
	china := 3.0 / 4 * 27 / 343 / 14 / 14
	other := 1.0 / 4 * 8 / 729 * 4 / 81
	want := math.Log(china / other)
	for _, text := range []string{"Chinese Chinese Chinese Tokyo Japan", "japan CHINESE, tokyo! chinese unseen chinese"} {
		if got := b.LogOdds(text); math.Abs(got-want) > 1e-12 {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	// "Tokyo Japan": 3/4 /14^2 against 1/4 (2/9)^2, so not China.
	if got := b.Accuracy([]string{"Chinese", "Tokyo Japan", "Tokyo Japan"}, []bool{true, true, false}); got != 2.0/3 {
		t.Errorf("accuracy: got %v, want 2/3", got)
	}
	scores, err := b.Judge("odds").Scores(context.Background(), []compare.Answer{{Prompt: "Chi", Completion: "nese"}, {Prompt: "Chinese"}})
	if err != nil || scores[0] != scores[1] {
		t.Errorf("a word across the boundary: got %v, %v, want two equal scores", scores, err)
	}
}

func TestFitBayesRefuses(t *testing.T) {
	for _, labels := range [][]bool{{true}, {true, true}, {false, false}, nil} {
		if _, err := compare.FitBayes([]string{"good", "bad"}, labels); err == nil {
			t.Errorf("labels %v: got no error", labels)
		}
	}
}

func TestWords(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{"It isn't 'great' , is it ?", []string{"it", "isn't", "great", "is", "it"}},
		{"Crème brûlée—deux fois; 007", []string{"crème", "brûlée", "deux", "fois", "007"}},
		{"don’t", []string{"don't"}},
		{" ' -- ", []string{}},
	}
	for _, test := range tests {
		if got := compare.Words(test.text); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}

// Fitted on "warm" against "cold" (a text of each): log-odds of warm are
// ln(2/3) - ln(1/3) = ln 2, cold -ln 2, no other word counts.
func TestSensibleTaste(t *testing.T) {
	b, err := compare.FitBayes([]string{"warm", "cold"}, []bool{true, false})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, prompt, completion string
		want                     float64
	}{
		{"sensible", "it is", " a warm and gentle film", math.Ln2},
		{"cold but sensible", "it is", " a cold and tedious film", -math.Ln2},
		{"prompt counts", "a warm", " and gentle little film", math.Ln2},
		{"three words", "it is", " a warm film", math.Ln2 - 1.5},
		{"four words", "it is", " a warm film .  again", math.Ln2},
		{"repeated pair", "it is", " warm film , warm film", 2*math.Ln2 - 1.5},
		{"repeated word, no pair", "it is", " warm , and warm again", 2 * math.Ln2},
		{"overlapping pair", "it is", " so so so warm", math.Ln2 - 1.5},
		{"pair shared with the prompt only", "a film and", " a film about warm seas", math.Ln2},
	}
	for _, test := range tests {
		if got := b.SensibleTaste(test.prompt, test.completion); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
