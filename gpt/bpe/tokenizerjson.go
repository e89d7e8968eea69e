package bpe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// gpt2Split is GPT-2's expression, which wordLength follows.
const gpt2Split = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// tokenizerJSON is tokenizer.json, the file of the tokenizers library. Its truncation
// and padding are not read: transformers sets both anew with each call.
type tokenizerJSON struct {
	Added         []addedToken    `json:"added_tokens"`
	Normalizer    *component      `json:"normalizer"`
	PreTokenizer  *component      `json:"pre_tokenizer"`
	PostProcessor *component      `json:"post_processor"`
	Decoder       *component      `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

type addedToken struct {
	ID int32 `json:"id"`
	Token
}

// component is a normalizer, pre-tokenizer, post-processor or decoder: the fields of those known here.
type component struct {
	Type string `json:"type"`

	PrefixSpace *bool `json:"add_prefix_space"` // ByteLevel
	Regex       *bool `json:"use_regex"`

	Pattern  struct{ String, Regex *string } `json:"pattern"` // Split
	Behavior string                          `json:"behavior"`
	Invert   bool                            `json:"invert"`

	PreTokenizers []component `json:"pretokenizers"` // Sequence
	Processors    []component `json:"processors"`

	Single   []templatePart          `json:"single"` // TemplateProcessing
	Specials map[string]templateName `json:"special_tokens"`
}

// templatePart is a text or a special token.
type templatePart struct {
	Sequence     *struct{ ID string }
	SpecialToken *struct{ ID string }
}

type templateName struct {
	Tokens []string `json:"tokens"`
}

// parseTokenizer reads tokenizer.json, and refuses by name what is not GPT-2's way.
func parseTokenizer(path string, raw []byte) (s source, err error) {
	var file tokenizerJSON
	if err := unmarshal(path, raw, &file); err != nil {
		return s, err
	}
	if file.Normalizer != nil {
		return s, fmt.Errorf("%s: normalizer: found %q, expected null", path, file.Normalizer.Type)
	}
	if file.Decoder != nil && file.Decoder.Type != "ByteLevel" {
		return s, fmt.Errorf("%s: decoder.type: found %q, expected \"ByteLevel\"", path, file.Decoder.Type)
	}
	if s.prefixSpace, err = file.PreTokenizer.split(); err != nil {
		return s, fmt.Errorf("%s: pre_tokenizer%w", path, err)
	}
	s.around, s.aroundAt = &[2][]string{}, path+": post_processor"
	if err := file.PostProcessor.around(s.around); err != nil {
		return s, fmt.Errorf("%s: post_processor%w", path, err)
	}
	if err := s.model(path, raw, file.Model); err != nil {
		return s, err
	}
	for i, a := range file.Added {
		at := place{path: fmt.Sprintf("%s: added_tokens[%d]", path, i)}
		if a.Content == "" {
			return s, fmt.Errorf("%v: found a token without content", at)
		}
		s.added = append(s.added, entry{a.Content, int(a.ID), at, a.Token})
	}
	return s, nil
}

// split checks a pre-tokenizer and returns its add_prefix_space. Errors begin with the path from it to the field.
func (c *component) split() (prefixSpace bool, err error) {
	switch {
	case c == nil:
		return false, errors.New(`: found null, expected "ByteLevel"`)
	case c.Type == "ByteLevel":
		if c.Regex != nil && !*c.Regex {
			return false, errors.New(".use_regex: found false, expected true")
		}
		return c.PrefixSpace == nil || *c.PrefixSpace, nil // the library's default is true
	case c.Type == "Sequence" && len(c.PreTokenizers) == 1:
		if prefixSpace, err = c.PreTokenizers[0].split(); err != nil {
			return false, fmt.Errorf(".pretokenizers[0]%w", err)
		}
		return prefixSpace, nil
	case c.Type == "Sequence" && len(c.PreTokenizers) == 2:
		return false, c.splitThenBytes()
	case c.Type == "Sequence":
		return false, fmt.Errorf(".pretokenizers: found %d, expected a Split and a ByteLevel", len(c.PreTokenizers))
	}
	return false, fmt.Errorf(".type: found %q, expected \"ByteLevel\"", c.Type)
}

// splitThenBytes checks the form in which a Split with GPT-2's expression does what ByteLevel does elsewhere.
func (c *component) splitThenBytes() error {
	split, level := c.PreTokenizers[0], c.PreTokenizers[1]
	switch {
	case split.Type != "Split":
		return fmt.Errorf(".pretokenizers[0].type: found %q, expected \"Split\"", split.Type)
	case split.Pattern.Regex == nil || *split.Pattern.Regex != gpt2Split:
		found := "no expression"
		if split.Pattern.Regex != nil {
			found = fmt.Sprintf("%q", *split.Pattern.Regex)
		}
		return fmt.Errorf(".pretokenizers[0].pattern: found %s, expected GPT-2's %q", found, gpt2Split)
	case split.Behavior != "Isolated" || split.Invert:
		return fmt.Errorf(".pretokenizers[0].behavior: found %q with invert %v, expected \"Isolated\" with false", split.Behavior, split.Invert)
	case level.Type != "ByteLevel":
		return fmt.Errorf(".pretokenizers[1].type: found %q, expected \"ByteLevel\"", level.Type)
	case level.Regex == nil || *level.Regex:
		return errors.New(".pretokenizers[1].use_regex: found true after a Split, expected false")
	case level.PrefixSpace == nil || *level.PrefixSpace:
		return errors.New(".pretokenizers[1].add_prefix_space: found true after a Split, where it would go before every word; expected false")
	}
	return nil
}

// around reads what a post-processor puts around a text. Errors begin with the path from it to the field.
func (c *component) around(sides *[2][]string) error {
	switch {
	case c == nil || c.Type == "ByteLevel": // which changes offsets only
		return nil
	case c.Type == "Sequence":
		for i := range c.Processors {
			if err := c.Processors[i].around(sides); err != nil {
				return fmt.Errorf(".processors[%d]%w", i, err)
			}
		}
		return nil
	case c.Type != "TemplateProcessing":
		return fmt.Errorf(".type: found %q, expected \"ByteLevel\" or \"TemplateProcessing\"", c.Type)
	}
	if len(sides[0])+len(sides[1]) > 0 {
		return errors.New(": found a second one that adds tokens, expected one")
	}
	side := 0
	for i, p := range c.Single {
		switch {
		case p.Sequence != nil && p.Sequence.ID == "A" && side == 0:
			side = 1
		case p.SpecialToken != nil:
			special, ok := c.Specials[p.SpecialToken.ID]
			if !ok {
				return fmt.Errorf(".single[%d]: token %q: is not among special_tokens", i, p.SpecialToken.ID)
			}
			sides[side] = append(sides[side], special.Tokens...)
		default:
			return fmt.Errorf(".single[%d]: expected a special token, or once the text A", i)
		}
	}
	if side == 0 {
		return errors.New(".single: expected the text A in it")
	}
	return nil
}

// model reads the model: vocabulary and merges. It is a part of whole.
func (s *source) model(path string, whole, raw []byte) error {
	var m struct {
		Type         string          `json:"type"`
		Dropout      float64         `json:"dropout"`
		Prefix       string          `json:"continuing_subword_prefix"`
		Suffix       string          `json:"end_of_word_suffix"`
		ByteFallback bool            `json:"byte_fallback"`
		IgnoreMerges bool            `json:"ignore_merges"`
		Vocab        json.RawMessage `json:"vocab"`
		Merges       json.RawMessage `json:"merges"`
	}
	if len(raw) == 0 {
		return fmt.Errorf("%s: model: missing", path)
	}
	if err := unmarshal(path+": model", raw, &m); err != nil {
		return err
	}
	for _, setting := range []struct {
		name            string
		found, expected any
	}{
		{"type", m.Type, "BPE"}, {"dropout", m.Dropout, 0.}, {"continuing_subword_prefix", m.Prefix, ""},
		{"end_of_word_suffix", m.Suffix, ""}, {"byte_fallback", m.ByteFallback, false}, {"ignore_merges", m.IgnoreMerges, false},
	} {
		if setting.found != setting.expected {
			return fmt.Errorf("%s: model.%s: found %#v, expected %#v", path, setting.name, setting.found, setting.expected)
		}
	}
	var err error
	if s.vocab, err = parseVocab(path, lineAt(whole, int64(max(0, bytes.Index(whole, m.Vocab)))), m.Vocab); err != nil {
		return err
	}
	var merges []json.RawMessage
	if err := unmarshal(path+": model.merges", m.Merges, &merges); err != nil {
		return err
	}
	for n, m := range merges {
		at := place{path: fmt.Sprintf("%s: model.merges[%d]", path, n)}
		var two []string
		var line string
		if json.Unmarshal(m, &line) == nil {
			two = strings.Split(line, " ")
		} else if err := json.Unmarshal(m, &two); err != nil {
			return fmt.Errorf("%v: found %s, expected two tokens", at, m)
		}
		if len(two) != 2 {
			return fmt.Errorf("%v: found %s, expected two tokens", at, m)
		}
		s.merges = append(s.merges, pair{two[0], two[1], at})
	}
	return nil
}
