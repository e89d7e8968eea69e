package bpe_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"rlhf/gpt/bpe"
)

func load(t testing.TB) *bpe.Tokenizer {
	t.Helper()
	tok, err := bpe.Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// vectors.json was made with the tokenizers package; its head says how.
func TestVectors(t *testing.T) {
	tok := load(t)
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Text string
			IDs  []int32
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range file.Vectors {
		if got := tok.EncodeSpecial(v.Text); !slices.Equal(got, v.IDs) {
			t.Errorf("%q: got %v, want %v", v.Text, got, v.IDs)
		}
		if got := tok.DecodeSpecial(v.IDs); got != v.Text {
			t.Errorf("%v: got %q, want %q", v.IDs, got, v.Text)
		}
	}
}

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

func TestSplitting(t *testing.T) {
	tok, err := bpe.Train([]string{"a"}, 258)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", " ", "  a", "a  b", "\n\n x", "it's  '", "don't", "x \t", "\u00a0 y", "１２ ab", "\xff\xfe a"} {
		if got := tok.Decode(tok.Encode(text)); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	}
}

func TestSpecialTokensAreNotText(t *testing.T) {
	tok := load(t)
	if tok.EndOfText() == tok.Pad() || tok.EndOfText() < 0 || tok.Pad() < 0 {
		t.Fatalf("end of text %d, pad %d", tok.EndOfText(), tok.Pad())
	}
	for _, id := range tok.Encode("<|endoftext|><|pad|>") {
		if id == tok.EndOfText() || id == tok.Pad() {
			t.Errorf("text gave the special token %d", id)
		}
	}
	if got := tok.Decode([]int32{tok.EndOfText(), tok.Pad(), -1, 1 << 20}); got != "" {
		t.Errorf("special tokens decode to %q", got)
	}
}

func TestFilesRoundTrip(t *testing.T) {
	tok := load(t)
	dir := t.TempDir()
	for name, data := range tok.Files() {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	again, err := bpe.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Files(), tok.Files()) {
		t.Error("files differ after a round trip")
	}
	want, _ := os.ReadFile("testdata/merges.txt")
	if got := string(tok.Files()["merges.txt"]); got != string(want) {
		t.Error("merges.txt differs from the one that was read")
	}
}

func TestLoadErrors(t *testing.T) {
	vocab, merges := load(t).Files()["vocab.json"], load(t).Files()["merges.txt"]
	tests := []struct{ name, vocab, merges, want string }{
		{"no json", "{", string(merges), "vocab.json: unexpected end"},
		{"gap", `{"a":0,"b":2}`, "", `vocab.json: token "b": id 2, expected 0 to 1`},
		{"no byte", `{"€":0}`, "", "stands for no byte"},
		{"one token", string(vocab), "#version: 0.2\nab\n", `merges.txt:2: found "ab"`},
		{"unknown token", string(vocab), "#version: 0.2\nt h\nzzz q\n", `merges.txt:3: the vocabulary has no token "zzz"`},
		{"unknown merge", string(vocab), "Q Z\n", "merges.txt:1: the vocabulary has no token for the merge"},
		{"few bytes", `{"a":0}`, "", "no token for byte 0x00"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			os.WriteFile(filepath.Join(dir, "vocab.json"), []byte(test.vocab), 0o666)
			os.WriteFile(filepath.Join(dir, "merges.txt"), []byte(test.merges), 0o666)
			_, err := bpe.Load(dir)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := bpe.Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "vocab.json") {
		t.Errorf("empty directory: got %v", err)
	}
}

func TestConcurrentEncode(t *testing.T) {
	tok := load(t)
	want := tok.Encode("Alice was beginning to get very tired")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			fresh := load(t)
			for range 50 {
				if !slices.Equal(tok.Encode("Alice was beginning to get very tired"), want) || !slices.Equal(fresh.Encode("Alice was beginning to get very tired"), want) {
					t.Error("encodings differ")
				}
			}
		})
	}
	wg.Wait()
}

func FuzzRoundTrip(f *testing.F) {
	for _, s := range []string{"", "hello  world", "it's\n\n 12 ¼ 好", "\xff\x00\xc3"} {
		f.Add([]byte(s))
	}
	tok := load(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := tok.Decode(tok.Encode(string(b))); got != string(b) {
			t.Errorf("%q came back as %q", b, got)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"a":0}`), []byte("a b"))
	f.Fuzz(func(t *testing.T, vocab, merges []byte) {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "vocab.json"), vocab, 0o666)
		os.WriteFile(filepath.Join(dir, "merges.txt"), merges, 0o666)
		if tok, err := bpe.Load(dir); err == nil {
			tok.Encode("any text")
		}
	})
}
