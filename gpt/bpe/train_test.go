package bpe_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"rlhf/gpt/bpe"
)

// Sennrich 2016's example, worked by hand: of equally frequent pairs the greater one goes first.
func TestTrainMergesInOrder(t *testing.T) {
	text := strings.Repeat("low ", 5) + strings.Repeat("lower ", 2) + strings.Repeat("widest ", 3) + strings.Repeat("newest ", 6)
	texts := strings.Fields(text) // no spaces, as in the paper
	tok, err := bpe.Train(texts, 256+6+2)
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]string{{"s", "t"}, {"e", "st"}, {"o", "w"}, {"l", "ow"}, {"w", "est"}, {"n", "e"}}
	if got := tok.Merges(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if tok.EndOfText() != 262 || tok.Pad() != 263 {
		t.Errorf("special tokens %d, %d; want 262, 263", tok.EndOfText(), tok.Pad())
	}
}

// Pairs that overlap themselves are merged from the left, and count as often as they stand there.
func TestTrainOverlap(t *testing.T) {
	tok, err := bpe.Train([]string{"aaaaa"}, 256+2+2) // 4 times a a; then aa aa once and aa a once
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Merges(), [][2]string{{"a", "a"}, {"aa", "aa"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// address_merges.txt was made by another program; LICENSES.md says how.
func TestTrainOnAddress(t *testing.T) {
	text, err := os.ReadFile("testdata/address.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/address_merges.txt")
	if err != nil {
		t.Fatal(err)
	}
	merges := strings.Split(strings.TrimSpace(string(want)), "\n")
	tok, err := bpe.Train([]string{string(text)}, 1000) // more than the text has pairs for
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.VocabSize(); got != 256+len(merges)+2 {
		t.Errorf("vocabulary of %d, want %d", got, 256+len(merges)+2)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(tok.Files()["merges.txt"])), "\n")[1:] {
		if i >= len(merges) || line != merges[i] {
			t.Fatalf("merge %d: got %q, want %q", i+1, line, append(merges, "none")[min(i, len(merges))])
		}
	}
}

func TestTrainErrors(t *testing.T) {
	for _, test := range []struct {
		texts []string
		size  int
		want  string
	}{
		{[]string{"a"}, 257, "vocab_size: must be at least 258"},
		{nil, 300, "no text"},
		{[]string{"", ""}, 300, "no text"},
	} {
		if _, err := bpe.Train(test.texts, test.size); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q, %d: got %v, want %q", test.texts, test.size, err, test.want)
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	text, err := os.ReadFile("testdata/address.txt")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := bpe.Train([]string{string(text)}, 600); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleTrain() {
	tok, _ := bpe.Train([]string{"low low lower"}, 256+2+2)
	ids := tok.Encode("low")
	fmt.Println(ids, tok.Decode(ids))
	// Output: [257] low
}
