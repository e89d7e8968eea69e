package bpe_test

import (
	"os"
	"reflect"
	"slices"
	"strconv"
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
		"added_tokens.json":       `{"[PAD]": 1000, "<|im start|>": 1001, "</s>": 0, "plain": 1002}`,
		"special_tokens_map.json": `{"eos_token": {"content": "</s>", "lstrip": false}, "pad_token": "[PAD]", "unk_token": null, "additional_special_tokens": ["<|im start|>"]}`,
		"tokenizer_config.json":   `{"eos_token": "other", "add_prefix_space": false}`,
	}
	tok, err := bpe.Load(write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if tok.EndOfText() != 0 || tok.Pad() != 1000 || tok.VocabSize() != 1003 {
		t.Errorf("end of text %d, pad %d, %d tokens", tok.EndOfText(), tok.Pad(), tok.VocabSize())
	}
	if got, want := tok.EncodeSpecial("it</s>[PAD]"), append(base.Encode("it"), 0, 1000); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := tok.Decode([]int32{0, 1000, 1001, 1002}); got != "plain" {
		t.Errorf("special tokens and a plain one decode to %q", got)
	}
	if got := tok.Encode("[PAD]plain"); !slices.Equal(got, append(base.Encode("[PAD]"), 1002)) {
		t.Errorf("text gave %v", got)
	}
	again, err := bpe.Load(write(t, asText(tok.Files())))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Files(), tok.Files()) || again.Pad() != 1000 {
		t.Error("files differ after a round trip")
	}
}

// gpt2Split is the expression in GPT-2's own program.
const gpt2Split = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

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
	config := func(settings string) map[string]string {
		return map[string]string{"vocab.json": vocab, "merges.txt": merges, "tokenizer_config.json": settings}
	}
	const level = `"pre_tokenizer": {
    "type": "ByteLevel",`
	split := func(sequence string) map[string]string {
		return changed(level, `"pre_tokenizer":{"type":"Sequence","pretokenizers":[`+sequence+`]},"unread":{"type":"",`)
	}
	after := func(processor string) map[string]string {
		return changed(`"post_processor": null`, `"post_processor":`+processor)
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
		{"prefix space", config(`{"add_prefix_space":"yes"}`), "tokenizer_config.json:1: add_prefix_space: found string, expected bool"},
		{"splitting special tokens", config(`{"split_special_tokens":true}`), "tokenizer_config.json:1: split_special_tokens: found true, expected false"},
		{"side", config("{\n\"truncation_side\":\"up\"}"), `tokenizer_config.json:2: truncation_side: found "up"`},
		{"max length", config(`{"model_max_length":-1}`), `tokenizer_config.json:1: model_max_length: found -1`},
		{"decoder id", config(`{"added_tokens_decoder":{"x":{"content":"a"}}}`), `added_tokens_decoder: found "x", expected an id`},
		{"decoder name", config(`{"added_tokens_decoder":{"7":{}}}`), `added_tokens_decoder: 7: found a token without a name`},
		{"decoder gap", config(`{"added_tokens_decoder":{"1007":{"content":"<x>"}}}`), `token "<x>": found id 1007, expected 0 to 1000`},
		{"decoder taken", config(`{"added_tokens_decoder":{"7":{"content":"<x>"}}}`), `is taken by another token`},
		{"role", config(`{"eos_token":["a"]}`), `tokenizer_config.json:1: eos_token: found ["a"]`},
		{"additional", config(`{"additional_special_tokens":{"a":1}}`), `additional_special_tokens: found {"a":1}, expected a list`},
		{"template", config(`{"chat_template":[{"name":"tool","template":"x"}]}`), `chat_template: found several templates`},
		{"no bos", config(`{"add_bos_token":true,"bos_token":null}`), `add_bos_token: found true, but no bos_token`},
		{"other bytes", config(`{"added_tokens_decoder":{"` + strconv.Itoa(int(load(t).Encode("\xe9")[0])) + `":{"content":"é"}}}`), `token "é": is the vocabulary's name for the bytes`},
		{"name", map[string]string{"vocab.json": vocab, "merges.txt": merges, "special_tokens_map.json": "{\n\"eos_token\": 7}"}, "special_tokens_map.json"},
		{"other model", changed(`"BPE"`, `"WordPiece"`), `tokenizer.json: model.type: found "WordPiece"`},
		{"normalizer", changed(`"normalizer": null`, `"normalizer": {"type":"NFC"}`), `tokenizer.json: normalizer: found "NFC", expected null`},
		{"decoder", changed(`"decoder": {`, `"decoder": {"type":"Metaspace"},"unread":{`), `tokenizer.json: decoder.type: found "Metaspace"`},
		{"no model", map[string]string{"tokenizer.json": `{"pre_tokenizer":{"type":"ByteLevel"}}`}, "tokenizer.json: model: missing"},
		{"twice in the whole", map[string]string{"tokenizer.json": "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\n\"model\":{\"type\":\"BPE\",\n\"vocab\":{\"a\":0,\n\"a\":1}}}"},
			`tokenizer.json:4: token "a" stands here a second time`},
		{"dropout", changed(`"dropout": null`, `"dropout": 0.1`), "tokenizer.json: model.dropout: found 0.1, expected 0"},
		{"suffix", changed(`"type": "BPE"`, `"type": "BPE","end_of_word_suffix":"</w>"`), `model.end_of_word_suffix: found "</w>", expected ""`},
		{"no splitting", changed(level, `"pre_tokenizer":null,"unread":{"type":"",`), `pre_tokenizer: found null, expected "ByteLevel"`},
		{"whitespace", changed(level, `"pre_tokenizer":{"type":"Whitespace"},"unread":{"type":"",`), `pre_tokenizer.type: found "Whitespace"`},
		{"digits", split(`{"type":"Digits"},{"type":"ByteLevel","use_regex":false}`), `pre_tokenizer.pretokenizers[0].type: found "Digits"`},
		{"other expression", split(`{"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Isolated"},{"type":"ByteLevel","use_regex":false}`),
			`pretokenizers[0].pattern: found "\\w+", expected GPT-2's`},
		{"both split", split(`{"type":"Split","pattern":{"Regex":` + strconv.Quote(gpt2Split) + `},"behavior":"Isolated"},{"type":"ByteLevel","add_prefix_space":false}`),
			`pretokenizers[1].use_regex: found true after a Split`},
		{"other processor", after(`{"type":"RobertaProcessing"}`), `post_processor.type: found "RobertaProcessing"`},
		{"unnamed special", after(`{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}],"special_tokens":{}}`),
			`post_processor.single[0]: token "<s>": is not among special_tokens`},
		{"no text", after(`{"type":"TemplateProcessing","single":[],"special_tokens":{}}`), `post_processor.single: expected the text A`},
		{"special that is none", after(`{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s"}},{"Sequence":{"id":"A"}}],"special_tokens":{"s":{"tokens":["<s>"]}}}`),
			`tokenizer.json: post_processor: token "<s>": found no added token of this name`},
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
