package bpe_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"rlhf/gpt/bpe"
)

// added.json was made with the tokenizers library; its head says how.
func TestAddedTokens(t *testing.T) {
	var file struct {
		Cases []struct {
			Name    string
			Patch   map[string]json.RawMessage
			Vectors []struct {
				Text                   string
				Special, Around, Plain []int32
				Decoded                string
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, "testdata/added.json")), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < 8 {
		t.Fatalf("%d cases", len(file.Cases))
	}
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			whole := map[string]json.RawMessage{}
			if err := json.Unmarshal([]byte(read(t, "testdata/tokenizer.json")), &whole); err != nil {
				t.Fatal(err)
			}
			for key, value := range c.Patch {
				whole[key] = value
			}
			raw, err := json.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := bpe.Load(write(t, map[string]string{"tokenizer.json": string(raw)}))
			if err != nil {
				t.Fatal(err)
			}
			again, err := bpe.Load(write(t, asText(loaded.Files())))
			if err != nil {
				t.Fatal(err)
			}
			for _, tok := range []*bpe.Tokenizer{loaded, again} {
				for _, v := range c.Vectors {
					if got := tok.EncodeSpecial(v.Text); !slices.Equal(got, v.Special) {
						t.Errorf("%q: special: got %v, want %v", v.Text, got, v.Special)
					}
					if got := tok.Around(tok.EncodeSpecial(v.Text)); !slices.Equal(got, v.Around) {
						t.Errorf("%q: around: got %v, want %v", v.Text, got, v.Around)
					}
					if got := tok.Encode(v.Text); !slices.Equal(got, v.Plain) {
						t.Errorf("%q: plain: got %v, want %v", v.Text, got, v.Plain)
					}
					if got := strings.ToValidUTF8(tok.Decode(v.Special), "\uFFFD"); got != v.Decoded {
						t.Errorf("%q: decoded: got %q, want %q", v.Text, got, v.Decoded)
					}
				}
			}
		})
	}
}

func TestAddTokens(t *testing.T) {
	base := load(t)
	tok, ids, err := base.AddTokens(true, "<|im_start|>", "<|im_end|>", bpe.Pad)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{1000, 1001, base.Pad()}; !slices.Equal(ids, want) {
		t.Errorf("special tokens: ids %v, want %v", ids, want)
	}
	// "the" is a token of the vocabulary.
	tok, ids, err = tok.AddTokens(false, "the", "日本", "é日", "<|im_end|>")
	if err != nil {
		t.Fatal(err)
	}
	the := base.Encode("the")
	if want := []int32{the[0], 1002, 1003, 1001}; len(the) != 1 || !slices.Equal(ids, want) {
		t.Errorf("plain tokens: ids %v, want %v", ids, want)
	}
	if base.VocabSize() != 1000 || tok.VocabSize() != 1004 || base.ID("<|im_end|>") != -1 || tok.ID("<|im_end|>") != 1001 {
		t.Errorf("%d and %d tokens, <|im_end|> is %d and %d", base.VocabSize(), tok.VocabSize(), base.ID("<|im_end|>"), tok.ID("<|im_end|>"))
	}
	text := "<|im_start|>the日本é日"
	if got, want := tok.EncodeSpecial(text), []int32{1000, the[0], 1002, 1003}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := tok.Encode(text), slices.Concat(base.Encode("<|im_start|>"), []int32{the[0], 1002, 1003}); !slices.Equal(got, want) {
		t.Errorf("text: got %v, want %v", got, want)
	}
	if got, want := tok.Decode(tok.EncodeSpecial(text)), "the日本é日"; got != want {
		t.Errorf("decoded %q, want %q", got, want)
	}
	if got, want := base.Encode(text), slices.Concat(base.Encode("<|im_start|>"), base.Encode("the日本é日")); !slices.Equal(got, want) {
		t.Errorf("the tokenizer that tokens were added to changed: got %v, want %v", got, want)
	}
	for _, name := range []string{"", "\xff", "é"} {
		if _, _, err := base.AddTokens(true, name); err == nil {
			t.Errorf("added a token %q", name)
		}
	}
}

// A byte that is named as padding goes on standing for text.
func TestByteAsPadding(t *testing.T) {
	base := load(t)
	files := asText(base.Files())
	files["special_tokens_map.json"] = `{"pad_token": "!"}`
	tok, err := bpe.Load(write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if want := base.Encode("!"); tok.Pad() != want[0] || tok.Decode(tok.Encode("ha!")) != "ha!" {
		t.Errorf("padding is %d, want %d; text came back as %q", tok.Pad(), want[0], tok.Decode(tok.Encode("ha!")))
	}
}

func TestAround(t *testing.T) {
	files := asText(load(t).Files())
	delete(files, "tokenizer.json")
	delete(files, "special_tokens_map.json")
	files["tokenizer_config.json"] = `{"add_bos_token": true, "bos_token": "<s>", "truncation_side": "left", "model_max_length": 512}`
	tok, err := bpe.Load(write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if tok.BOS() != 1000 || tok.ModelMaxLength() != 512 || tok.TruncationSide() != bpe.Left {
		t.Errorf("<s> is %d, at most %d tokens, loses them on the %s", tok.BOS(), tok.ModelMaxLength(), tok.TruncationSide())
	}
	for _, test := range []struct {
		max  int
		side bpe.Side
		want []int32
	}{{9, bpe.Left, []int32{1000, 5, 6, 7}}, {3, bpe.Left, []int32{1000, 6, 7}}, {3, bpe.Right, []int32{1000, 5, 6}}, {1, bpe.Right, []int32{1000}}} {
		if got, err := tok.AroundWithin([]int32{5, 6, 7}, test.max, test.side); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%d, %s: got %v and error %v, want %v", test.max, test.side, got, err, test.want)
		}
	}
	if _, err := tok.AroundWithin([]int32{5}, 0, bpe.Left); err == nil || !strings.Contains(err.Error(), "max_length: found 0, expected at least 1") {
		t.Errorf("no room for <s>: %v", err)
	}
	again, err := bpe.Load(write(t, asText(tok.Files())))
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Around(nil); !slices.Equal(got, []int32{1000}) || again.ModelMaxLength() != 512 {
		t.Errorf("after a round trip %v stands around a text of at most %d tokens", got, again.ModelMaxLength())
	}
}

func TestChatTemplate(t *testing.T) {
	base := load(t)
	tok := base.WithChatTemplate("{% for m in messages %}<{{ m.content }}>\n{% endfor %}")
	files := asText(tok.Files())
	again, err := bpe.Load(write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if got := again.ChatTemplate(); got != tok.ChatTemplate() || got == "" || base.ChatTemplate() != "" {
		t.Errorf("template %q came back as %q; without: %q", tok.ChatTemplate(), got, base.ChatTemplate())
	}
	files["chat_template.jinja"] = "{{ newer }}"
	files["tokenizer_config.json"] = `{"chat_template": [{"name": "tool", "template": "a"}, {"name": "default", "template": "b"}], "errors": "replace"}`
	if again, err = bpe.Load(write(t, files)); err != nil || again.ChatTemplate() != "{{ newer }}" {
		t.Errorf("template %q, error %v", again.ChatTemplate(), err)
	}
	delete(files, "chat_template.jinja")
	if again, err = bpe.Load(write(t, files)); err != nil || again.ChatTemplate() != "b" {
		t.Errorf("template %q, error %v", again.ChatTemplate(), err)
	}
	if config := string(again.Files()["tokenizer_config.json"]); !strings.Contains(config, `"tool"`) || !strings.Contains(config, `"errors": "replace"`) {
		t.Errorf("a setting was lost: %s", config)
	}
	if got := again.WithChatTemplate("").ChatTemplate(); got != "" {
		t.Errorf("template %q was not taken away", got)
	}
}

// Text comes back whole whatever tokens were added, but for the white space that one of them takes and the spaces of add_prefix_space.
func FuzzAddedTokens(f *testing.F) {
	tok, _, err := load(f).AddTokens(false, "ab", "abc", "éñ日", " the", "\n")
	if err != nil {
		f.Fatal(err)
	}
	if tok, _, err = tok.AddTokens(true, "<a>", "<a><b>", "<"); err != nil {
		f.Fatal(err)
	}
	files := asText(tok.Files())
	files["tokenizer_config.json"] = strings.Replace(files["tokenizer_config.json"], `"add_prefix_space": false`, `"add_prefix_space": true`, 1)
	spaced, err := bpe.Load(write(f, files))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "<a><b>abc", " the\n<a", "\xffé\xc3<", "éñ日ab ab"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text := string(b)
		if got := tok.Decode(tok.Encode(text)); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
		if got := tok.DecodeSpecial(tok.EncodeSpecial(text)); got != text {
			t.Errorf("with special tokens %q came back as %q", text, got)
		}
		want := strings.ReplaceAll(text, " ", "")
		if got := strings.ReplaceAll(spaced.Decode(spaced.Encode(text)), " ", ""); got != want {
			t.Errorf("with prefix spaces %q came back as %q", text, got)
		}
	})
}
