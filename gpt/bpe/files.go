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
	"strings"
)

const (
	vocabFile     = "vocab.json"
	mergesFile    = "merges.txt"
	addedFile     = "added_tokens.json"
	mapFile       = "special_tokens_map.json"
	settingsFile  = "tokenizer_config.json"
	templateFile  = "chat_template.jinja"
	tokenizerFile = "tokenizer.json"
)

// Load reads the tokenizer of a model directory: tokenizer.json or, without that,
// vocab.json, merges.txt and added_tokens.json, as transformers does.
// tokenizer_config.json has the last word on the attributes of added tokens and on
// add_prefix_space; special_tokens_map.json is read for who plays which part only if
// that lists no added tokens. What the tokenizer cannot follow is refused by name;
// how a text is cut short or padded is the caller's. Errors name file and line, what was found and what was expected.
func Load(dir string) (*Tokenizer, error) {
	t, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	return t, nil
}

func load(dir string) (*Tokenizer, error) {
	set, err := loadSettings(dir)
	if err != nil {
		return nil, err
	}
	var s source
	path := filepath.Join(dir, tokenizerFile)
	if raw, err := os.ReadFile(path); err == nil {
		s, err = parseTokenizer(path, raw)
		if err != nil {
			return nil, err
		}
		return s.tokenizer(set)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if s, err = loadVocabulary(dir, set); err != nil {
		return nil, err
	}
	return s.tokenizer(set)
}

// loadVocabulary reads vocab.json and merges.txt, and added_tokens.json unless the settings list what was added.
func loadVocabulary(dir string, set settings) (s source, err error) {
	path := filepath.Join(dir, vocabFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	if s.vocab, err = parseVocab(path, 1, raw); err != nil {
		return s, err
	}
	path = filepath.Join(dir, addedFile)
	if raw, err = os.ReadFile(path); err == nil && set.decoder == nil {
		s.added, err = parseVocab(path, 1, raw)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	for i := range s.added {
		s.added[i].token.Normalized = true
	}
	path = filepath.Join(dir, mergesFile)
	if raw, err = os.ReadFile(path); err != nil {
		return s, err
	}
	s.merges, err = parseMerges(path, raw)
	return s, err
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

// lineOf returns the line of a file's first mention of a key, 0 if there is none.
func lineOf(raw []byte, key string) int {
	if i := bytes.Index(raw, quote(key)); i >= 0 {
		return lineAt(raw, int64(i))
	}
	return 0
}

func lineAt(raw []byte, offset int64) int {
	return 1 + bytes.Count(raw[:min(int64(len(raw)), offset)], []byte{'\n'})
}

// parseVocab reads {"token": id, …}, which begins in a line of a file.
func parseVocab(path string, first int, raw []byte) ([]entry, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	fail := func(format string, args ...any) ([]entry, error) {
		return nil, fmt.Errorf("%v: %s", place{path, first - 1 + lineAt(raw, d.InputOffset())}, fmt.Sprintf(format, args...))
	}
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return fail("expected an object of token names and ids")
	}
	var vocab []entry
	seen := map[string]bool{}
	line, at := first, int64(0) // of the last entry's end
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
		vocab = append(vocab, entry{name: token, id: id, at: place{path, line}})
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
