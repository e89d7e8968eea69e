package bpe

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// splits.json was made with GPT-2's own expression; its head says how.
func TestWordLength(t *testing.T) {
	raw, err := os.ReadFile("testdata/splits.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Splits [][2]json.RawMessage // text, words
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Splits) < 100 {
		t.Fatalf("%d texts", len(file.Splits))
	}
	for _, s := range file.Splits {
		var text string
		var want, got []string
		if err := json.Unmarshal(s[0], &text); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(s[1], &want); err != nil {
			t.Fatal(err)
		}
		for rest := text; rest != ""; {
			n := wordLength(rest)
			got, rest = append(got, rest[:n]), rest[n:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// Characters that are younger than Go's tables, as ByteLevel of tokenizers 0.22.2 splits them.
func TestRecentCharacters(t *testing.T) {
	for text, want := range map[string]int{"a\u1c89b": 5, "a\U000143fab": 6, "1\U0001ccf92": 6, "a\U0001ccf9": 1, "1\u1c89": 1, "a\U00011bc0 ": 5} {
		if got := wordLength(text); got != want {
			t.Errorf("%q: first word of %d bytes, want %d", text, got, want)
		}
	}
}

// The quick way and the plain way must agree on every word.
func TestMergeLong(t *testing.T) {
	tok, err := Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	e := tok.encoder()
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, letters := range []string{"a", "the", "aeinrst", "abcdefghijklmnopqrstuvwxyz", " \n\x00\xff\xe2\x80"} {
		for n := range longWord {
			b := make([]byte, n)
			for i := range b {
				b[i] = letters[rnd.IntN(len(letters))]
			}
			want, got := e.merge(string(b)), tok.mergeLong(tok.single(string(b)))
			if !slices.Equal(got, want) {
				t.Fatalf("%q: got %v, want %v", b, got, want)
			}
		}
	}
	long := strings.Repeat("thethereinthe", 1<<16) // would take hours in the plain way
	if got := tok.Decode(tok.Encode(long)); got != long {
		t.Error("a long word did not come back")
	}
	for _, e := range tok.idle {
		for _, w := range e.others {
			if len(w.word) > keptWord {
				t.Errorf("a word of %d bytes is kept", len(w.word))
			}
		}
	}
}
