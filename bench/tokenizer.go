package bench

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"rlhf/gpt/bpe"
	"rlhf/internal/dataset"
	"rlhf/internal/rng"
)

// A generated text draws inventedShare of its longer words from inventedWords
// invented ones, the first of them most often, as Zipf's law has it. Without them it
// would have no more words than the reviews.
const (
	inventedWords = 200_000
	inventedShare = .12
)

// generate returns a text of about so many bytes: the embedded reviews in random
// order, one a line, with some words replaced. It is a function of the size.
func generate(bytes int) (string, error) {
	reviews, err := dataset.Reviews()
	if err != nil {
		return "", err
	}
	r := rng.New(1, "bench/text", 0)
	words := inventWords(reviews, r)
	var b strings.Builder
	for b.Len() < bytes {
		for i, word := range strings.Split(reviews[r.IntN(len(reviews))].Text, " ") {
			if i > 0 {
				b.WriteByte(' ')
			}
			if len(word) > 2 && r.Float64() < inventedShare {
				word = words[int(math.Pow(inventedWords, r.Float64()))%inventedWords]
			}
			b.WriteString(word)
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// inventWords draws words letter by letter, each letter after the three before it as often as in the reviews' words.
func inventWords(reviews []dataset.Review, r *rand.Rand) []string {
	known := map[string]bool{}
	for _, review := range reviews {
		for _, word := range strings.Fields(review.Text) {
			if strings.IndexFunc(word, func(r rune) bool { return r > 127 }) < 0 { // letters are bytes here
				known[word] = true
			}
		}
	}
	all := make([]string, 0, len(known))
	for word := range known {
		all = append(all, word)
	}
	slices.Sort(all)
	next := map[string][]byte{}
	for _, word := range all {
		for i := range len(word) {
			before := ("   " + word)[i : i+3]
			next[before] = append(next[before], word[i])
		}
		before := ("   " + word)[len(word):]
		next[before] = append(next[before], ' ') // the end
	}
	out := make([]string, inventedWords)
	for k := range out {
		word := []byte("   ")
		for letter := byte(0); letter != ' ' && len(word) < 20; {
			choice := next[string(word[len(word)-3:])]
			letter = choice[r.IntN(len(choice))]
			word = append(word, letter)
		}
		out[k] = strings.TrimSpace(string(word))
	}
	return out
}

// tokenizerInputs returns the text of a case and, for Encode, a tokenizer trained on it.
func tokenizerInputs(c Case) (text string, tok *bpe.Tokenizer, err error) {
	if text, err = generate(c.Bytes); err != nil || c.Kind == Learn {
		return text, nil, err
	}
	tok, err = bpe.Train([]string{text}, c.Shape.VocabSize)
	return text, tok, err
}

// openEncode is the ids of the text, as one or by lines, on one thread. The encoder remembers words, as the peer's does.
func openEncode(c Case) (Work, error) {
	text, tok, err := tokenizerInputs(c)
	if err != nil {
		return Work{}, err
	}
	texts := []string{text}
	if c.Lines {
		texts = strings.SplitAfter(text, "\n")
	}
	threads := runtime.GOMAXPROCS(c.Threads) // the garbage collector's too
	ids := make([][]int32, len(texts))
	encode := func() (float64, error) {
		for i, text := range texts {
			ids[i] = tok.Encode(text)
		}
		return 0, nil
	}
	digest := func() string {
		h := sha256.New()
		for _, ids := range ids {
			_ = binary.Write(h, binary.LittleEndian, ids) // a hash takes everything
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	return Work{Items: float64(len(text)) / 1e6, Iterate: encode, Digest: digest, Close: func() { runtime.GOMAXPROCS(threads) }}, nil
}

// openLearn is the training of a tokenizer on the text, line by line, on all threads.
func openLearn(c Case) (Work, error) {
	text, _, err := tokenizerInputs(c)
	if err != nil {
		return Work{}, err
	}
	lines := strings.SplitAfter(text, "\n")
	threads := runtime.GOMAXPROCS(c.Threads)
	size := 0
	train := func() (float64, error) {
		tok, err := bpe.Train(lines, c.Shape.VocabSize)
		if err == nil {
			size = tok.VocabSize()
		}
		return 0, err
	}
	digest := func() string { return fmt.Sprintf("%d tokens", size) }
	return Work{Items: float64(len(text)) / 1e6, Iterate: train, Digest: digest, Close: func() { runtime.GOMAXPROCS(threads) }}, nil
}

// writeTokenizerInputs writes text.txt and, for Encode, the tokenizer into dir.
func writeTokenizerInputs(dir string, c Case) error {
	text, tok, err := tokenizerInputs(c)
	if err != nil {
		return err
	}
	files := map[string][]byte{"text.txt": []byte(text)}
	if tok != nil {
		files["tokenizer.json"] = tok.Files()["tokenizer.json"]
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return err
		}
	}
	return nil
}
