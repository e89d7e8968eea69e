package corpus_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"rlhf/internal/corpus"
)

var source = strings.Repeat("ab", 32)

// write writes documents, in pieces of at most three ids, and returns the file's name.
func write(t interface {
	Helper()
	Fatal(...any)
}, dir string, vocabSize int, documents [][]int32) string {
	t.Helper()
	path := filepath.Join(dir, "tokens.bin")
	w, err := corpus.NewWriter(path, vocabSize, source)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents {
		for len(d) > 3 {
			if err := w.Add(d[:3], false); err != nil {
				t.Fatal(err)
			}
			d = d[3:]
		}
		if err := w.Add(d, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string) *corpus.Corpus {
	t.Helper()
	c, err := corpus.Open(path, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func all(s corpus.Set) (out [][]int32) {
	for i := range s.Len() {
		out = append(out, s.IDs(i))
	}
	return out
}

func TestBlocksAndPieces(t *testing.T) {
	dir := t.TempDir()
	c := open(t, write(t, dir, 1000, [][]int32{{1, 2, 3, 4, 5}, {6}, {7, 8}}))
	if c.Len() != 8 || c.Documents() != 3 {
		t.Errorf("%d ids, %d documents", c.Len(), c.Documents())
	}
	if got, want := all(c.Blocks(4)), [][]int32{{1, 2, 3, 4}, {4, 5, 6, 7}, {7, 8}}; !reflect.DeepEqual(got, want) {
		t.Errorf("blocks %v, want %v", got, want)
	}
	if got, want := all(c.Pieces(4)), [][]int32{{1, 2, 3, 4}, {4, 5}, {7, 8}}; !reflect.DeepEqual(got, want) {
		t.Errorf("pieces %v, want %v", got, want)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

// Whatever the documents and the width, every id but the first follows its predecessor in exactly one block, and
// every id of a document but its first does in exactly one piece.
func TestNothingIsWasted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vocab := rapid.SampledFrom([]int{10, 1 << 16, 1<<16 + 1, 200_000}).Draw(t, "vocabulary")
		id := rapid.Int32Range(0, int32(vocab-1))
		documents := rapid.SliceOfN(rapid.SliceOfN(id, 0, 20), 0, 8).Draw(t, "documents")
		n := rapid.IntRange(2, 9).Draw(t, "n")
		dir, err := os.MkdirTemp("", "corpus")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		c, err := corpus.Open(write(t, dir, vocab, documents), source)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		pairs := func(list [][]int32) (out [][2]int32) {
			for _, x := range list {
				for i := 1; i < len(x); i++ {
					out = append(out, [2]int32{x[i-1], x[i]})
				}
			}
			return out
		}
		for what, test := range map[string]struct {
			set  corpus.Set
			want [][]int32
		}{"blocks": {c.Blocks(n), [][]int32{slices.Concat(documents...)}}, "pieces": {c.Pieces(n), documents}} {
			got := all(test.set)
			if !reflect.DeepEqual(pairs(got), pairs(test.want)) {
				t.Fatalf("%s: %v of %v", what, got, documents)
			}
			for i, x := range got {
				if len(x) > n || len(x) < 2 || len(x) != test.set.Tokens(i) {
					t.Fatalf("%s: sequence of %d ids, said %d, the most is %d", what, len(x), test.set.Tokens(i), n)
				}
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	whole := write(t, t.TempDir(), 100, [][]int32{{1, 2, 3}, {4, 5}})
	raw, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x")
	for name, test := range map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"cut":     {func(b []byte) []byte { return b[:len(b)-1] }, "is it cut off?"},
		"short":   {func(b []byte) []byte { return b[:7] }, "7 bytes, a file of token ids has at least"},
		"other":   {func(b []byte) []byte { return append([]byte("PK"), b[2:]...) }, "found another kind of file"},
		"version": {func(b []byte) []byte { b[8] = 9; return b }, "found version 9"},
		"flipped": {func(b []byte) []byte { b[len(b)-20] ^= 1; return b }, "does not match its SHA-256"},
		"huge":    {func(b []byte) []byte { b[23] = 0x80; return b }, "is it cut off?"},
	} {
		if err := os.WriteFile(path, test.change(slices.Clone(raw)), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := corpus.Open(path, source); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	if _, err := corpus.Open(whole, strings.Repeat("cd", 32)); !errors.Is(err, corpus.ErrOther) {
		t.Errorf("another source: %v", err)
	}
	w, err := corpus.NewWriter(filepath.Join(t.TempDir(), "y"), 100, source)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add([]int32{1 << 16}, true); err == nil || !strings.Contains(err.Error(), "token id 65536 does not fit") {
		t.Errorf("got %v", err)
	}
	if err := w.Add([]int32{1}, false); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err == nil || !strings.Contains(err.Error(), "the last document does not end") {
		t.Errorf("got %v", err)
	}
	if _, err := corpus.NewWriter(whole, 100, "ab"); err == nil {
		t.Error("a source that is no SHA-256 was taken")
	}
}
