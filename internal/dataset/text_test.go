package dataset

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"rlhf/gpt/bpe"
)

// pieces returns what a text is cut into.
func pieces(t testing.TB, text []byte, size int) (out []string) {
	t.Helper()
	f := &File{Path: "-", stdin: bytes.NewReader(text)}
	defer f.Close()
	last := false
	for d, err := range wholeText(f, size) {
		if err != nil {
			t.Fatal(err)
		}
		if last {
			t.Fatal("a piece after the last")
		}
		out, last = append(out, d.Text), d.Last
	}
	if !last && len(text) > 0 {
		t.Fatal("no last piece")
	}
	return out
}

// The tokens of the pieces are those of the whole: GPT-2's splitting has a word border between them. The tokenizer is the
// one in bpe's testdata, made by the tokenizers package.
func checkPieces(t testing.TB, tok *bpe.Tokenizer, text string, size int) {
	t.Helper()
	list := pieces(t, []byte(text), size)
	if joined := strings.Join(list, ""); joined != strings.TrimPrefix(text, "\ufeff") {
		t.Fatalf("%q in pieces of %d is %q", text, size, list)
	}
	var ids []int32
	for _, p := range list {
		ids = append(ids, tok.Encode(p)...)
	}
	if want := tok.Encode(strings.Join(list, "")); !slices.Equal(ids, want) {
		t.Errorf("pieces %q: tokens %v, of the whole %v", list, ids, want)
	}
}

func testTokenizer(t testing.TB) *bpe.Tokenizer {
	t.Helper()
	tok, err := bpe.Load("../../gpt/bpe/testdata")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestPiecesHaveTheTokensOfTheWhole(t *testing.T) {
	tok := testTokenizer(t)
	if list := pieces(t, []byte("one two three four"), 9); !slices.Equal(list, []string{"one two", " three", " four"}) && !slices.Equal(list, []string{"one", " two three", " four"}) {
		t.Errorf("pieces %q", list)
	}
	if list := pieces(t, []byte("她说。\n他说。\n"), 13); len(list) != 3 && len(list) != 2 {
		t.Errorf("lines without spaces are not cut: %q", list)
	}
	alphabet := []string{"。", "\u0903", "\u200b", "\u180e", "\u2028", "\ue000", "a", "the", "'s", "'", "'ll", " ", "  ", "\n", "\n\n", "\r\n", "\t", "7", "…", "é", "日本", "\u00a0", "\u2003", "\u0085", "\x1c", "!", "?!", "\u0301", "🙂", "\x00", " \n "}
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var b strings.Builder
		for range random.IntN(60) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		checkPieces(t, tok, b.String(), 1+random.IntN(20))
	}
}

func FuzzPieces(f *testing.F) {
	tok := testTokenizer(f)
	f.Add("it's  a\r\n\r\nlong\ttext \n", 3)
	f.Add(" \u2003\n日本 語", 1)
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size < 1 || size > 100 || strings.ToValidUTF8(text, "") != text || strings.HasPrefix(text, "\ufeff") || len(text) > 10000 {
			return
		}
		if strings.HasPrefix(text, "\x1f\x8b") {
			return // compressed
		}
		checkPieces(t, tok, text, size)
	})
}

func TestTextIsSplit(t *testing.T) {
	const text = "one\r\ntwo\r\n\r\n \t\r\nthree\n\n\nfour"
	for split, want := range map[string][]string{
		"file": {text}, "": {text}, "line": {"one", "two", "three", "four"}, "paragraph": {"one\ntwo", "three", "four"},
	} {
		got, err := Collect(Texts(Options{Text: TextOptions{Split: split}}, file(t, "a.txt", text)))
		var texts []string
		for _, d := range got {
			if !d.Last {
				t.Errorf("%s: a piece of a short document", split)
			}
			texts = append(texts, d.Text)
		}
		if err != nil || !slices.Equal(texts, want) {
			t.Errorf("%s: got %q, %v", split, texts, err)
		}
	}
	if _, err := Collect(Texts(Options{Text: TextOptions{Split: "page"}}, file(t, "a.txt", text))); err == nil || err.Error() != `split_text: found "page", expected file, paragraph, line` {
		t.Error(err)
	}
	got, err := Collect(Texts(Options{Text: TextOptions{Field: "body"}}, file(t, "a.jsonl", `{"body":"b","text":5}`)))
	if err != nil || len(got) != 1 || got[0].Text != "b" {
		t.Errorf("field: %v, %v", got, err)
	}
	if got, err := Collect(Texts(Options{}, file(t, "empty.txt", ""))); err != nil || got != nil {
		t.Errorf("empty file: %v, %v", got, err)
	}
	if got, err := Collect(Texts(Options{}, file(t, "mark.txt", "\xef\xbb\xbfa"))); err != nil || got[0].Text != "a" {
		t.Errorf("byte order mark: %v, %v", got, err)
	}
}

func TestLinesThatAreNoUTF8AreSkipped(t *testing.T) {
	const text = "good\nbad \xff\nfine\n\xfe\xfe\nlast"
	for _, split := range []string{"file", "line"} {
		var r Report
		got, err := Collect(Texts(Options{SkipBad: true, Report: &r, Text: TextOptions{Split: split}}, file(t, "a.txt", text)))
		joined := ""
		for _, d := range got {
			joined += d.Text + "|"
		}
		if want := map[string]string{"file": "good\nfine\nlast|", "line": "good|fine|last|"}[split]; err != nil || joined != want || r.Skipped != 2 {
			t.Errorf("%s: %q, %v, %+v", split, joined, err, r)
		}
		if len(r.Reasons) != 2 || !strings.HasSuffix(r.Reasons[0], "a.txt:2: found a byte 0xff, expected UTF-8") || !strings.HasSuffix(r.Reasons[1], "a.txt:4: found a byte 0xfe, expected UTF-8") {
			t.Errorf("%s: reasons %q", split, r.Reasons)
		}
	}
}

func pack(t *testing.T, with, text string) string {
	t.Helper()
	var b bytes.Buffer
	if with == "gz" {
		z := gzip.NewWriter(&b)
		z.Write([]byte(text))
		z.Close()
	} else {
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		z.Write([]byte(text))
		z.Close()
	}
	return b.String()
}

func TestCompressedFiles(t *testing.T) {
	for _, with := range []string{"gz", "zst"} {
		packed := pack(t, with, "{\"text\":\"a\"}\n")
		for _, name := range []string{"a.jsonl." + with, "a.jsonl"} { // told by its first bytes
			got, err := Collect(Texts(Options{}, file(t, name, packed+packed))) // two members
			if err != nil || len(got) != 2 || got[1].Text != "a" {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
		long := pack(t, with, strings.Repeat("some words\n", 100000))
		_, err := Collect(Texts(Options{}, file(t, "cut.txt."+with, long[:len(long)/2])))
		if err == nil || !strings.Contains(err.Error(), "cut.txt."+with) {
			t.Errorf("%s cut: %v", with, err)
		}
		_, err = Collect(Texts(Options{}, file(t, "no.txt."+with, "plain")))
		if want := "no.txt." + with + `: found "plai" at its beginning, expected a .` + with + " file"; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s not: %v", with, err)
		}
	}
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.txt": "b", "a/z.jsonl": `{"text":"z"}`, "a/y.txt.gz": pack(t, "gz", "y"), "a/y.pdf": "%PDF", ".hidden/h.txt": "h", ".x.txt": "x",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var r Report
	got, err := Collect(Texts(Options{Report: &r}, dir))
	if want := []Document{{"y", true}, {"z", true}, {"b", true}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if len(r.Ignored) != 1 || filepath.Base(r.Ignored[0]) != "y.pdf" || r.Formats["text"] != 2 || r.Formats["jsonl"] != 1 {
		t.Errorf("report %+v", r)
	}
	for name, text := range map[string]string{"a.jsonl": "", "b.jsonl.gz": pack(t, "gz", ""), "c.jsonl": `{"prompt":"p","completion":"c"}`} {
		if err := os.WriteFile(filepath.Join(dir, ".hidden", name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r = Report{}
	if got, err := Collect(Demonstrations(Options{Report: &r}, filepath.Join(dir, ".hidden"))); err != nil || len(got) != 1 || len(r.Ignored) != 3 {
		t.Errorf("among empty files and a text: %v, %v, %+v", got, err, r)
	}
	if err := os.Remove(filepath.Join(dir, ".hidden", "c.jsonl")); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	if _, err := Collect(Demonstrations(Options{}, empty)); err == nil || !strings.Contains(err.Error(), "no file below it has one of the extensions") {
		t.Error(err)
	}
	if _, err := Collect(Demonstrations(Options{}, filepath.Join(dir, ".hidden"))); err == nil || !strings.Contains(err.Error(), "found only texts and empty files below it, expected demonstrations") {
		t.Error(err)
	}
}

func TestStandardInput(t *testing.T) {
	got, err := Collect(Texts(Options{Stdin: strings.NewReader("words\n")}, "-"))
	if err != nil || len(got) != 1 || got[0].Text != "words\n" {
		t.Errorf("%v, %v", got, err)
	}
	got, err = Collect(Texts(Options{Stdin: strings.NewReader(pack(t, "zst", `{"text":"packed"}`))}, "-"))
	if err != nil || len(got) != 1 || got[0].Text != "packed" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err = Collect(Texts(Options{}, "-")); err == nil {
		t.Error("standard input was read without one")
	}
}

// What is held does not grow with the file.
func TestMemoryStaysFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 96 MiB")
	}
	path := filepath.Join(t.TempDir(), "long.txt")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("a line of words ", 16) + "\n")
	block := bytes.Repeat(line, 1<<12)
	size := 0
	for size < 96<<20 {
		n, err := f.Write(block)
		if err != nil {
			t.Fatal(err)
		}
		size += n
	}
	f.Close()
	most, read, n := uint64(0), 0, 0
	for d, err := range Texts(Options{}, path) {
		if err != nil {
			t.Fatal(err)
		}
		read += len(d.Text)
		if n++; n%16 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	if read != size || most > 24<<20 {
		t.Errorf("read %d of %d bytes, holding up to %d", read, size, most)
	}
}

func TestTextWithoutWords(t *testing.T) {
	_, err := Collect(Texts(Options{}, file(t, "a.txt", strings.Repeat("x", maxRecord+2*piece))))
	if err == nil || !strings.Contains(err.Error(), "a.txt:1: found no word's end in") {
		t.Error(fmt.Sprint(err)[:80])
	}
}
