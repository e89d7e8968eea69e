package bpe_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
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

// The merges are those of the whole text however it comes and however many processors count it.
func TestTrainStream(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < 2_000_000 { // some portions
		for range 1 + rnd.IntN(7) {
			b.WriteByte("etaoinshrdlu"[rnd.IntN(1+rnd.IntN(12))])
		}
		b.WriteString([]string{" ", " ", "\n", ", ", "\u00a0"}[rnd.IntN(5)])
	}
	text := b.String()
	want, err := bpe.Train([]string{text}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	pieces := func(yield func(string, error) bool) {
		for rest := text; rest != ""; {
			n := min(len(rest), 1+rnd.IntN(100_000))
			for n < len(rest) && (rest[n] != ' ' || rest[n-1] < 'a') {
				n++
			}
			if !yield(rest[:n], nil) {
				return
			}
			rest = rest[n:]
		}
	}
	for _, threads := range []int{1, 3} {
		runtime.GOMAXPROCS(threads)
		last, tokens := int64(0), 0
		got, err := bpe.TrainStream(t.Context(), pieces, 1000, func(bytes int64, n int) {
			if bytes < last || n < tokens {
				t.Errorf("progress went from %d bytes and %d tokens to %d and %d", last, tokens, bytes, n)
			}
			last, tokens = bytes, n
		})
		runtime.GOMAXPROCS(runtime.NumCPU())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Merges(), want.Merges()) {
			t.Errorf("on %d threads the merges differ", threads)
		}
		if last != int64(len(text)) || tokens < 512 {
			t.Errorf("progress ended at %d of %d bytes and %d tokens", last, len(text), tokens)
		}
	}
}

func TestTrainStreamEnds(t *testing.T) {
	wrong := errors.New("wrong")
	endless := func(yield func(string, error) bool) {
		for yield("a text that goes on", nil) {
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := bpe.TrainStream(ctx, endless, 300, func(int64, int) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	_, err = bpe.TrainStream(t.Context(), func(yield func(string, error) bool) {
		if yield("a", nil) && yield("", wrong) {
			t.Error("went on after an error")
		}
	}, 300, nil)
	if !errors.Is(err, wrong) {
		t.Errorf("bad text: %v", err)
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
