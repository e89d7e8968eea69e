package bpe_test

import (
	"compress/bzip2"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// The vectors were made with other programs; the head of each file says how.
func TestVectors(t *testing.T) {
	for path, tok := range map[string]*bpe.Tokenizer{"testdata/vectors.json": load(t), "testdata/gpt2_vectors.json": gpt2(t)} {
		raw, err := os.ReadFile(path)
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
			t.Fatalf("%s: no vectors", path)
		}
		for _, v := range file.Vectors {
			if got := tok.EncodeSpecial(v.Text); !slices.Equal(got, v.IDs) {
				t.Errorf("%s: %q: got %v, want %v", path, v.Text, got, v.IDs)
			}
			if got := tok.DecodeSpecial(v.IDs); got != v.Text {
				t.Errorf("%s: %v: got %q, want %q", path, v.IDs, got, v.Text)
			}
		}
	}
}

// gpt2 returns the tokenizer of GPT-2. Its vocabulary follows from its merges: the
// 256 bytes, in the order of every vocabulary that Train makes, what the merges
// make, and <|endoftext|>.
func gpt2(t *testing.T) *bpe.Tokenizer {
	t.Helper()
	f, err := os.Open("testdata/gpt2_merges.txt.bz2")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	merges, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := bpe.Train([]string{"a"}, 258)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	if err := json.Unmarshal(bytes.Files()["vocab.json"], &ids); err != nil {
		t.Fatal(err)
	}
	delete(ids, bpe.EndOfText)
	delete(ids, bpe.Pad)
	for _, line := range strings.Split(strings.TrimSpace(string(merges)), "\n")[1:] {
		ids[strings.Replace(line, " ", "", 1)] = len(ids)
	}
	ids[bpe.EndOfText] = len(ids)
	if len(ids) != 50257 {
		t.Fatalf("%d tokens, GPT-2 has 50257", len(ids))
	}
	vocab, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := bpe.Load(write(t, map[string]string{"vocab.json": string(vocab), "merges.txt": string(merges)}))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
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

func TestEncodeSpecial(t *testing.T) {
	tok := load(t)
	eot, pad := tok.EndOfText(), tok.Pad()
	for _, test := range []struct {
		text string
		want []int32
	}{
		{"", nil},
		{"<|pad|>", []int32{pad}},
		{"<|endoftext|><|endoftext|><|pad|><|endoftext|>", []int32{eot, eot, pad, eot}},
		{"it<|pad|>it", slices.Concat(tok.Encode("it"), []int32{pad}, tok.Encode("it"))},
		{"<|endoftext|", tok.Encode("<|endoftext|")},
		{"<|pad<|pad|>", append(tok.Encode("<|pad"), pad)},
	} {
		if got := tok.EncodeSpecial(test.text); !slices.Equal(got, test.want) {
			t.Errorf("%q: got %v, want %v", test.text, got, test.want)
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

// Words that are remembered, forgotten and of every length have the ids that they have alone.
func TestEncodeAll(t *testing.T) {
	tok := load(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	var texts []string
	for range 60 {
		var b strings.Builder
		for range 200 {
			b.WriteString([]string{" ", "", "\n", "'"}[rnd.IntN(4)])
			for range rnd.IntN(40) {
				b.WriteByte("the quick é"[rnd.IntN(12)])
			}
		}
		texts = append(texts, b.String())
	}
	for i, ids := range tok.EncodeAll(texts) {
		fresh, _, err := tok.AddTokens(false) // remembers nothing
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ids, fresh.Encode(texts[i])) || tok.Decode(ids) != texts[i] {
			t.Fatalf("text %d differs", i)
		}
	}
	if got := tok.EncodeAll(nil); len(got) != 0 {
		t.Errorf("no texts gave %v", got)
	}
}

func TestEncodeRest(t *testing.T) {
	files := asText(load(t).Files())
	delete(files, "tokenizer.json")
	files["tokenizer_config.json"] = `{"add_prefix_space": true}`
	tok, err := bpe.Load(write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	plain := load(t)
	if got, want := tok.Encode("the\n"), plain.Encode(" the\n"); !slices.Equal(got, want) {
		t.Errorf("a text: got %v, want %v", got, want)
	}
	if got, want := tok.EncodeRest("\nthe"), plain.Encode("\nthe"); !slices.Equal(got, want) {
		t.Errorf("the rest of one: got %v, want %v", got, want)
	}
}

func BenchmarkEncode(b *testing.B) {
	tok := load(b)
	text := strings.Repeat(read(b, "testdata/address.txt"), 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Encode(text)
	}
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
