package bpe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	vocabFile     = "vocab.json"
	mergesFile    = "merges.txt"
	addedFile     = "added_tokens.json"
	mapFile       = "special_tokens_map.json"
	settingsFile  = "tokenizer_config.json"
	tokenizerFile = "tokenizer.json"
)

// Load reads the tokenizer of a model directory: vocab.json and merges.txt, or
// tokenizer.json where these are missing. Which tokens end and pad a text is read
// from special_tokens_map.json or tokenizer_config.json if there is one. Errors
// name file and line, what was found and what was expected.
func Load(dir string) (*Tokenizer, error) {
	t, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	return t, nil
}

func load(dir string) (*Tokenizer, error) {
	called, err := loadNames(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, vocabFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		whole, other := os.ReadFile(filepath.Join(dir, tokenizerFile))
		if other != nil {
			return nil, err
		}
		return parseTokenizer(filepath.Join(dir, tokenizerFile), whole, called)
	}
	if err != nil {
		return nil, err
	}
	var s source
	if s.vocab, err = parseVocab(path, raw); err != nil {
		return nil, err
	}
	path = filepath.Join(dir, addedFile)
	if raw, err = os.ReadFile(path); err == nil {
		s.added, err = parseVocab(path, raw)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	path = filepath.Join(dir, mergesFile)
	if raw, err = os.ReadFile(path); err != nil {
		return nil, err
	}
	if s.merges, err = parseMerges(path, raw); err != nil {
		return nil, err
	}
	return s.tokenizer(called)
}

// loadNames reads which tokens are special, and refuses by name a setting that this
// tokenizer does not follow.
func loadNames(dir string) (names, error) {
	called := names{EndOfText, Pad}
	for _, file := range []string{settingsFile, mapFile} { // the map has the last word
		path := filepath.Join(dir, file)
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return called, err
		}
		var settings struct {
			EOS         name  `json:"eos_token"`
			Pad         name  `json:"pad_token"`
			PrefixSpace *bool `json:"add_prefix_space"`
		}
		if err := unmarshal(path, raw, &settings); err != nil {
			return called, err
		}
		if settings.PrefixSpace != nil && *settings.PrefixSpace {
			return called, fmt.Errorf("%s: add_prefix_space: found true, expected false", path)
		}
		if settings.EOS != "" {
			called.eot = string(settings.EOS)
		}
		if settings.Pad != "" {
			called.pad = string(settings.Pad)
		}
	}
	return called, nil
}

// name is a token's name in a settings file: a string or an object that contains one.
type name string

func (n *name) UnmarshalJSON(raw []byte) error {
	if raw[0] != '{' {
		return json.Unmarshal(raw, (*string)(n))
	}
	var object struct{ Content string }
	err := json.Unmarshal(raw, &object)
	*n = name(object.Content)
	return err
}

// unmarshal is json.Unmarshal whose errors name file and line.
func unmarshal(path string, raw []byte, v any) error {
	err := json.Unmarshal(raw, v)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%v: %w", place{path, lineAt(raw, syntax.Offset)}, err)
	case errors.As(err, &kind):
		return fmt.Errorf("%v: %s: found %s, expected %s", place{path, lineAt(raw, kind.Offset)}, kind.Field, kind.Value, kind.Type)
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func lineAt(raw []byte, offset int64) int {
	return 1 + bytes.Count(raw[:min(int64(len(raw)), offset)], []byte{'\n'})
}

// parseVocab reads {"token": id, …}.
func parseVocab(path string, raw []byte) ([]entry, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	fail := func(format string, args ...any) ([]entry, error) {
		return nil, fmt.Errorf("%v: %s", place{path, lineAt(raw, d.InputOffset())}, fmt.Sprintf(format, args...))
	}
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return fail("expected an object of token names and ids")
	}
	var vocab []entry
	seen := map[string]bool{}
	line, at := 1, int64(0) // of the last entry's end
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fail("%v", err)
		}
		token := key.(string) // the decoder lets nothing else through in this place
		if seen[token] {
			return fail("token %q stands here a second time", token)
		}
		seen[token] = true
		var id int
		if err := d.Decode(&id); err != nil {
			return fail("token %q: expected its id, a whole number: %v", token, err)
		}
		line += bytes.Count(raw[at:d.InputOffset()], []byte{'\n'})
		at = d.InputOffset()
		vocab = append(vocab, entry{token, id, place{path, line}})
	}
	if _, err := d.Token(); err != nil {
		return fail("the object does not end: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fail("found more after the object")
	}
	return vocab, nil
}

// parseMerges reads lines of two tokens each.
func parseMerges(path string, raw []byte) ([]pair, error) {
	var merges []pair
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || n == 1 && strings.HasPrefix(line, "#version") {
			continue
		}
		a, b, ok := strings.Cut(line, " ")
		if !ok || a == "" || b == "" || strings.Contains(b, " ") {
			return nil, fmt.Errorf("%v: found %q, expected two tokens with a space between", place{path, n}, line)
		}
		merges = append(merges, pair{a, b, place{path, n}})
	}
	return merges, nil
}

// parseTokenizer reads tokenizer.json, the file of the tokenizers library, and
// refuses by name what is not GPT-2's way.
func parseTokenizer(path string, raw []byte, called names) (*Tokenizer, error) {
	var file struct {
		Added []struct {
			ID      int    `json:"id"`
			Content string `json:"content"`
		} `json:"added_tokens"`
		Normalizer any `json:"normalizer"`
		Split      struct {
			Type        string `json:"type"`
			PrefixSpace bool   `json:"add_prefix_space"`
			Regex       *bool  `json:"use_regex"`
		} `json:"pre_tokenizer"`
		Model struct {
			Type   string            `json:"type"`
			Vocab  json.RawMessage   `json:"vocab"`
			Merges []json.RawMessage `json:"merges"`
		} `json:"model"`
	}
	if err := unmarshal(path, raw, &file); err != nil {
		return nil, err
	}
	switch {
	case file.Model.Type != "BPE":
		return nil, fmt.Errorf("%s: model.type: found %q, expected \"BPE\"", path, file.Model.Type)
	case file.Normalizer != nil:
		return nil, fmt.Errorf("%s: normalizer: found one, expected null", path)
	case file.Split.Type != "ByteLevel":
		return nil, fmt.Errorf("%s: pre_tokenizer.type: found %q, expected \"ByteLevel\"", path, file.Split.Type)
	case file.Split.PrefixSpace:
		return nil, fmt.Errorf("%s: pre_tokenizer.add_prefix_space: found true, expected false", path)
	case file.Split.Regex != nil && !*file.Split.Regex:
		return nil, fmt.Errorf("%s: pre_tokenizer.use_regex: found false, expected true", path)
	}
	var s source
	var err error
	if s.vocab, err = parseVocab(path+": model.vocab", file.Model.Vocab); err != nil {
		return nil, err
	}
	for _, a := range file.Added {
		s.added = append(s.added, entry{a.Content, a.ID, place{path: path + ": added_tokens"}})
	}
	for n, m := range file.Model.Merges {
		at := place{path: fmt.Sprintf("%s: model.merges[%d]", path, n)}
		var two []string
		var line string
		if json.Unmarshal(m, &line) == nil {
			two = strings.Split(line, " ")
		} else if err := json.Unmarshal(m, &two); err != nil {
			return nil, fmt.Errorf("%v: found %s, expected two tokens", at, m)
		}
		if len(two) != 2 {
			return nil, fmt.Errorf("%v: found %s, expected two tokens", at, m)
		}
		s.merges = append(s.merges, pair{two[0], two[1], at})
	}
	return s.tokenizer(called)
}

// Files returns the tokenizer's part of a model directory, by file name, as
// transformers' GPT2Tokenizer reads it. Equal tokenizers give equal bytes.
func (t *Tokenizer) Files() map[string][]byte {
	var vocab, added []byte
	for id, token := range t.tokens {
		to := &vocab
		switch {
		case !t.special[id]:
			token = show(token)
		case int32(id) != t.eot && int32(id) != t.pad:
			to = &added
		}
		*to = fmt.Appendf(*to, ",%s:%d", quote(token), id)
	}
	merges := []byte("#version: 0.2\n")
	for _, m := range t.merges {
		merges = append(merges, show(t.tokens[m.a])+" "+show(t.tokens[m.b])+"\n"...)
	}
	called := map[string]string{}
	if t.eot >= 0 {
		eot := t.tokens[t.eot]
		called["bos_token"], called["eos_token"], called["unk_token"] = eot, eot, eot
	}
	if t.pad >= 0 {
		called["pad_token"] = t.tokens[t.pad]
	}
	settings := map[string]any{"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": false}
	for k, v := range called {
		settings[k] = v
	}
	files := map[string][]byte{
		vocabFile: slices.Concat([]byte("{"), vocab[1:], []byte("}")), mergesFile: merges,
		mapFile: indent(called), settingsFile: indent(settings),
	}
	if added != nil {
		files[addedFile] = slices.Concat([]byte("{"), added[1:], []byte("}"))
	}
	return files
}

// quote is JSON without the escapes that HTML wants.
func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always has an encoding
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

func indent(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // maps of strings and bools always have an encoding
	return b.Bytes()
}
