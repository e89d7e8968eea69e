package bpe_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rlhf/gpt/bpe"
)

// asText returns a tokenizer's files for write.
func asText(files map[string][]byte) map[string]string {
	out := map[string]string{}
	for name, data := range files {
		out[name] = string(data)
	}
	return out
}

func read(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestFilesRoundTrip(t *testing.T) {
	tok := load(t)
	again, err := bpe.Load(write(t, asText(tok.Files())))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Files(), tok.Files()) {
		t.Error("files differ after a round trip")
	}
	if got := string(tok.Files()["merges.txt"]); got != read(t, "testdata/merges.txt") {
		t.Error("merges.txt differs from the one that was read")
	}
}

// transformers 5 writes tokenizer.json and tokenizer_config.json, and neither vocab.json nor merges.txt.
func TestTokenizerJSON(t *testing.T) {
	tok, err := bpe.Load(write(t, map[string]string{"tokenizer.json": read(t, "testdata/tokenizer.json")}))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(tok.Files(), load(t).Files()) {
		t.Error("tokenizer.json gives another tokenizer than vocab.json and merges.txt")
	}
}

// Directories name their special tokens themselves, and some add them to a vocabulary later on.
func TestNamedSpecialTokens(t *testing.T) {
	base := load(t)
	vocab := string(base.Files()["vocab.json"])
	vocab = strings.Replace(vocab, bpe.EndOfText, "</s>", 1)
	vocab = strings.Replace(vocab, bpe.Pad, "<s>", 1)
	files := map[string]string{
		"vocab.json": vocab, "merges.txt": string(base.Files()["merges.txt"]),
		"added_tokens.json":       `{"[PAD]": 1000, "<|im start|>": 1001, "</s>": 0}`,
		"special_tokens_map.json": `{"eos_token": {"content": "</s>", "lstrip": false}, "pad_token": "[PAD]", "unk_token": null}`,
		"tokenizer_config.json":   `{"eos_token": "other", "add_prefix_space": false}`,
	}
	tok, err := bpe.Load(write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if tok.EndOfText() != 0 || tok.Pad() != 1000 || tok.VocabSize() != 1002 {
		t.Errorf("end of text %d, pad %d, %d tokens", tok.EndOfText(), tok.Pad(), tok.VocabSize())
	}
	if got, want := tok.EncodeSpecial("it</s>[PAD]"), append(base.Encode("it"), 0, 1000); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := tok.Decode([]int32{0, 1000, 1001}); got != "" {
		t.Errorf("special tokens decode to %q", got)
	}
	again, err := bpe.Load(write(t, asText(tok.Files())))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Files(), tok.Files()) || again.Pad() != 1000 {
		t.Error("files differ after a round trip")
	}
}

func TestLoadErrors(t *testing.T) {
	vocab, merges := string(load(t).Files()["vocab.json"]), string(load(t).Files()["merges.txt"])
	one := `{"a":0}`
	whole := read(t, "testdata/tokenizer.json")
	changed := func(old, new string) map[string]string {
		if !strings.Contains(whole, old) {
			t.Fatalf("tokenizer.json has no %s", old)
		}
		return map[string]string{"tokenizer.json": strings.Replace(whole, old, new, 1)}
	}
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing", nil, "vocab.json: no such file"},
		{"no merges", map[string]string{"vocab.json": vocab}, "merges.txt: no such file"},
		{"not json", map[string]string{"vocab.json": "{\n\"a\":0,\n?"}, "vocab.json:3: invalid character '?'"},
		{"cut off", map[string]string{"vocab.json": "{\n\"a\":0"}, "vocab.json:2: the object does not end"},
		{"array", map[string]string{"vocab.json": "[1]"}, "vocab.json:1: expected an object"},
		{"trailing", map[string]string{"vocab.json": one + "\n{}"}, "vocab.json:2: found more after the object"},
		{"fraction", map[string]string{"vocab.json": "{\"a\":0,\n\"b\":1.5}"}, `vocab.json:2: token "b": expected its id`},
		{"twice", map[string]string{"vocab.json": "{\"a\":0,\n\"a\":1}"}, `vocab.json:2: token "a" stands here a second time`},
		{"gap", map[string]string{"vocab.json": "{\"a\":0,\n\"b\":2}", "merges.txt": ""}, `vocab.json:2: token "b": found id 2, expected 0 to 1`},
		{"same id", map[string]string{"vocab.json": `{"a":0,"b":0}`, "merges.txt": ""}, `token "b": id 0 is taken`},
		{"no byte", map[string]string{"vocab.json": `{"€":0}`, "merges.txt": ""}, "stands for no byte"},
		{"few bytes", map[string]string{"vocab.json": one, "merges.txt": ""}, "vocab.json: the vocabulary has no token for byte 0x00"},
		{"one token", map[string]string{"vocab.json": vocab, "merges.txt": "#version: 0.2\nab\n"}, `merges.txt:2: found "ab", expected two tokens`},
		{"three tokens", map[string]string{"vocab.json": vocab, "merges.txt": "#version: 0.2\na b c\n"}, `merges.txt:2: found "a b c"`},
		{"unknown token", map[string]string{"vocab.json": vocab, "merges.txt": "#version: 0.2\nh e\nzzz q\n"}, `merges.txt:3: the vocabulary has no token "zzz"`},
		{"unknown merge", map[string]string{"vocab.json": vocab, "merges.txt": "Q Z\n"}, `merges.txt:1: the vocabulary has no token "QZ"`},
		{"merged twice", map[string]string{"vocab.json": vocab, "merges.txt": "h e\n\nh e\n"}, "merges.txt:3: \"h\" and \"e\" are merged a second time"},
		{"added elsewhere", map[string]string{"vocab.json": vocab, "merges.txt": merges, "added_tokens.json": `{"<|pad|>":5}`},
			`added_tokens.json:1: token "<|pad|>": found id 5, expected 1`},
		{"prefix space", map[string]string{"vocab.json": vocab, "merges.txt": merges, "tokenizer_config.json": `{"add_prefix_space":true}`},
			"tokenizer_config.json: add_prefix_space: found true"},
		{"name", map[string]string{"vocab.json": vocab, "merges.txt": merges, "special_tokens_map.json": "{\n\"eos_token\": 7}"}, "special_tokens_map.json"},
		{"other model", changed(`"BPE"`, `"WordPiece"`), `tokenizer.json: model.type: found "WordPiece"`},
		{"normalizer", changed(`"normalizer": null`, `"normalizer": {"type":"NFC"}`), "tokenizer.json: normalizer"},
		{"splitting", changed(`"use_regex": true`, `"use_regex": false`), "use_regex: found false"},
		{"bad merge", changed(`"merges": [`, `"merges": [["a"],`), `tokenizer.json: model.merges[0]: found ["a"]`},
		{"whole cut off", map[string]string{"tokenizer.json": whole[:2000]}, "tokenizer.json:"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := bpe.Load(write(t, test.files))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// A tokenizer that loads is one that works: whatever the files hold.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"a":0}`), []byte("a b"), []byte(`{"eos_token":"a"}`))
	f.Add([]byte(read(f, "testdata/vocab.json")), []byte("h e\n"), []byte("{}"))
	f.Fuzz(func(t *testing.T, vocab, merges, settings []byte) {
		tok, err := bpe.Load(write(t, map[string]string{
			"vocab.json": string(vocab), "merges.txt": string(merges), "special_tokens_map.json": string(settings)}))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %v", err)
			}
			return
		}
		if got := tok.Decode(tok.Encode("any text")); got != "any text" {
			t.Errorf("came back as %q", got)
		}
	})
}

func FuzzTokenizerJSON(f *testing.F) {
	raw := read(f, "testdata/tokenizer.json")
	f.Add([]byte(raw))
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if tok, err := bpe.Load(write(t, map[string]string{"tokenizer.json": string(raw)})); err == nil {
			tok.Encode("any text")
		}
	})
}
