package bpe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Load reads the tokenizer of a model directory: vocab.json and merges.txt.
// Errors name file and line or token.
func Load(dir string) (*Tokenizer, error) {
	vocabPath, mergesPath := filepath.Join(dir, "vocab.json"), filepath.Join(dir, "merges.txt")
	vocab, err := os.ReadFile(vocabPath)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	merges, err := os.ReadFile(mergesPath)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	tokens, special, err := parseVocab(vocab)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %s: %w", vocabPath, err)
	}
	ranked, err := parseMerges(merges, tokens, special)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %s:%w", mergesPath, err)
	}
	t, err := build(tokens, special, ranked)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %s: %w", dir, err)
	}
	return t, nil
}

// parseVocab reads {"token": id, …}. The ids must be 0 to n-1, each once.
func parseVocab(raw []byte) (tokens []string, special []bool, err error) {
	var vocab map[string]int
	if err := json.Unmarshal(raw, &vocab); err != nil {
		return nil, nil, err
	}
	n := len(vocab)
	tokens, special = make([]string, n), make([]bool, n)
	seen := make([]bool, n)
	for name, id := range vocab {
		if id < 0 || id >= n {
			return nil, nil, fmt.Errorf("token %q: id %d, expected 0 to %d", name, id, n-1)
		}
		if seen[id] {
			return nil, nil, fmt.Errorf("token %q: id %d is taken twice", name, id)
		}
		seen[id] = true
		if name == EndOfText || name == Pad {
			tokens[id], special[id] = name, true
			continue
		}
		token, ok := hide(name)
		if !ok || token == "" {
			return nil, nil, fmt.Errorf("token %q: has a character that stands for no byte", name)
		}
		tokens[id] = token
	}
	return tokens, special, nil
}

// parseMerges reads lines of two tokens each. Errors begin with the line's number.
func parseMerges(raw []byte, tokens []string, special []bool) ([]merge, error) {
	ids := make(map[string]int32, len(tokens))
	for id, s := range tokens {
		if !special[id] {
			ids[s] = int32(id)
		}
	}
	var merges []merge
	for n, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || n == 0 && strings.HasPrefix(line, "#version") {
			continue
		}
		a, b, ok := strings.Cut(line, " ")
		if !ok || a == "" || b == "" || strings.Contains(b, " ") {
			return nil, fmt.Errorf("%d: found %q, expected two tokens with a space between", n+1, line)
		}
		var pair [2]int32
		for i, name := range []string{a, b} {
			token, ok := hide(name)
			id, known := ids[token]
			if !ok || !known {
				return nil, fmt.Errorf("%d: the vocabulary has no token %q", n+1, name)
			}
			pair[i] = id
		}
		if _, ok := ids[tokens[pair[0]]+tokens[pair[1]]]; !ok {
			return nil, fmt.Errorf("%d: the vocabulary has no token for the merge of %q", n+1, line)
		}
		merges = append(merges, merge{pair[0], pair[1]})
	}
	return merges, nil
}

// Files returns the tokenizer's part of a model directory, by file name, as
// transformers' GPT2Tokenizer reads it.
func (t *Tokenizer) Files() map[string][]byte {
	var vocab bytes.Buffer
	vocab.WriteByte('{')
	for id, token := range t.tokens {
		if !t.special[id] {
			token = show(token)
		}
		if id > 0 {
			vocab.WriteByte(',')
		}
		fmt.Fprintf(&vocab, "%s:%d", quote(token), id)
	}
	vocab.WriteByte('}')
	merges := []byte("#version: 0.2\n")
	for _, m := range t.merges {
		merges = append(merges, show(t.tokens[m.a])+" "+show(t.tokens[m.b])+"\n"...)
	}
	names := map[string]string{}
	if t.eot >= 0 {
		names["bos_token"], names["eos_token"], names["unk_token"] = EndOfText, EndOfText, EndOfText
	}
	if t.pad >= 0 {
		names["pad_token"] = Pad
	}
	settings := map[string]any{"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": false}
	for k, v := range names {
		settings[k] = v
	}
	return map[string][]byte{
		"vocab.json": vocab.Bytes(), "merges.txt": merges,
		"special_tokens_map.json": indent(names), "tokenizer_config.json": indent(settings),
	}
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
