package bench_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rlhf/bench"
	"rlhf/gpt/bpe"
)

func TestTokenizerCases(t *testing.T) {
	digests := map[string]string{}
	for name, c := range map[string]bench.Case{
		"text":  {Kind: bench.Encode, Bytes: 60_000},
		"lines": {Kind: bench.Encode, Bytes: 60_000, Lines: true},
		"more":  {Kind: bench.Encode, Bytes: 70_000},
		"train": {Kind: bench.Learn, Bytes: 60_000},
	} {
		c.Threads, c.Shape.VocabSize = 1, 600
		w, err := bench.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		r, err := bench.Measure(w, 1e-9)
		w.Close()
		if err != nil {
			t.Fatal(err)
		}
		if r.Rate <= 0 {
			t.Errorf("%s: measured %+v", name, r)
		}
		digests[name] = r.Digest
	}
	if digests["train"] != "600 tokens" {
		t.Errorf("training made %s, want 600 tokens", digests["train"])
	}
	// Lines of reviews end between two words, so that the ids of all are those of the text.
	if digests["text"] != digests["lines"] || digests["text"] == digests["more"] || len(digests["text"]) != 64 {
		t.Errorf("digests %v", digests)
	}
}

// What the peer is given is what our side works on.
func TestTokenizerInputs(t *testing.T) {
	dir := t.TempDir()
	c := bench.Case{Kind: bench.Encode, Threads: 1, Bytes: 60_000, Shape: bench.Shape{VocabSize: 600}}
	if err := bench.WriteInputs(dir, c); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "text.txt"))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := bpe.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, word := range strings.Fields(string(raw)) {
		words[word] = true
	}
	if len(raw) < 60_000 || len(raw) > 61_000 || tok.VocabSize() != 600 || len(words) < 2500 {
		t.Errorf("%d bytes of %d words, %d tokens", len(raw), len(words), tok.VocabSize())
	}
	if got := tok.Decode(tok.Encode(string(raw))); got != string(raw) {
		t.Error("the text does not come back")
	}
}
