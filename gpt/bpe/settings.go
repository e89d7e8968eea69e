package bpe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Keys of tokenizer_config.json.
const (
	prefixSpaceKey = "add_prefix_space"
	splitKey       = "split_special_tokens"
	addBOSKey      = "add_bos_token"
	decoderKey     = "added_tokens_decoder"
	additionalKey  = "additional_special_tokens"
	templateKey    = "chat_template"
	maxLengthKey   = "model_max_length"
	sideKey        = "truncation_side"
	classKey       = "tokenizer_class"
	tidyKey        = "clean_up_tokenization_spaces"
)

// settings is what tokenizer_config.json and special_tokens_map.json say.
type settings struct {
	kept        map[string]json.RawMessage // what Files writes as it was
	prefixSpace *bool
	addBOS      bool
	said        map[string]*Token // by role; nil is nobody
	additional  []Token
	decoder     []entry // added_tokens_decoder
	at          string  // path of the last file that was read
}

// token is a special token in a settings file: its name, or an object that has its attributes too.
type token Token

func (t *token) UnmarshalJSON(raw []byte) error {
	*t = token{}
	if raw[0] == '"' {
		return json.Unmarshal(raw, &t.Content)
	}
	return json.Unmarshal(raw, (*Token)(t))
}

// loadSettings reads the settings of a directory, which may have none.
func loadSettings(dir string) (settings, error) {
	s := settings{kept: map[string]json.RawMessage{}, said: map[string]*Token{}}
	for _, file := range []string{settingsFile, mapFile} { // the map has the last word, unless the settings list the added tokens
		if s.decoder != nil {
			break
		}
		path := filepath.Join(dir, file)
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return s, err
		}
		s.at = path
		all := map[string]json.RawMessage{}
		if err := unmarshal(path, raw, &all); err != nil {
			return s, err
		}
		if err := s.roles(path, raw, all); err != nil {
			return s, err
		}
		if file == settingsFile {
			s.kept = all
			if err := s.config(path, raw); err != nil {
				return s, err
			}
		}
	}
	// transformers writes a chat template into a file of its own since version 4.53.
	raw, err := os.ReadFile(filepath.Join(dir, templateFile))
	if err == nil {
		s.kept[templateKey] = quote(string(raw))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if template, err := chatTemplate(s.kept[templateKey]); err != nil {
		return s, fmt.Errorf("%s: %s: %w", filepath.Join(dir, settingsFile), templateKey, err)
	} else if template == "" {
		delete(s.kept, templateKey)
	}
	return s, nil
}

// roles reads which tokens are special.
func (s *settings) roles(path string, raw []byte, all map[string]json.RawMessage) error {
	for _, r := range new(roles).all() {
		value, ok := all[r.name]
		if !ok {
			continue
		}
		delete(all, r.name)
		var t *token
		if err := json.Unmarshal(value, &t); err != nil {
			return fmt.Errorf("%v: %s: found %.40s, expected the name of a token or an object with \"content\"", place{path, lineOf(raw, r.name)}, r.name, value)
		}
		if s.said[r.name] = (*Token)(t); t != nil && t.Content == "" {
			s.said[r.name] = nil
		}
	}
	value, ok := all[additionalKey]
	if !ok {
		return nil
	}
	delete(all, additionalKey)
	var list []token
	if err := json.Unmarshal(value, &list); err != nil {
		return fmt.Errorf("%v: %s: found %.40s, expected a list of tokens", place{path, lineOf(raw, additionalKey)}, additionalKey, value)
	}
	for _, t := range list {
		if t.Content == "" {
			return fmt.Errorf("%v: %s: found a token without a name", place{path, lineOf(raw, additionalKey)}, additionalKey)
		}
		s.additional = append(s.additional, Token(t))
	}
	return nil
}

// config reads the other settings, and leaves in kept those that stand for themselves.
func (s *settings) config(path string, raw []byte) error {
	var c struct {
		PrefixSpace *bool            `json:"add_prefix_space"`
		AddBOS      bool             `json:"add_bos_token"`
		Split       bool             `json:"split_special_tokens"`
		Decoder     map[string]token `json:"added_tokens_decoder"`
		MaxLength   *float64         `json:"model_max_length"`
		Side        *Side            `json:"truncation_side"`
	}
	if err := unmarshal(path, raw, &c); err != nil {
		return err
	}
	if c.Split {
		return fmt.Errorf("%v: %s: found true, expected false: Encode is what takes special tokens for text", place{path, lineOf(raw, splitKey)}, splitKey)
	}
	if c.Side != nil && *c.Side != Left && *c.Side != Right {
		return fmt.Errorf("%v: %s: found %q, expected \"left\" or \"right\"", place{path, lineOf(raw, sideKey)}, sideKey, *c.Side)
	}
	if c.MaxLength != nil && *c.MaxLength < 1 {
		return fmt.Errorf("%v: %s: found %g, expected a positive number", place{path, lineOf(raw, maxLengthKey)}, maxLengthKey, *c.MaxLength)
	}
	for key, t := range c.Decoder {
		at := place{path, lineOf(raw, decoderKey)}
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return fmt.Errorf("%v: %s: found %q, expected an id", at, decoderKey, key)
		}
		if t.Content == "" {
			return fmt.Errorf("%v: %s: %s: found a token without a name", at, decoderKey, key)
		}
		t.ID = int32(id)
		s.decoder = append(s.decoder, entry{t.Content, int(id), at, Token(t)})
	}
	slices.SortFunc(s.decoder, func(a, b entry) int { return a.id - b.id })
	s.prefixSpace, s.addBOS = c.PrefixSpace, c.AddBOS
	for _, key := range []string{prefixSpaceKey, addBOSKey, decoderKey, classKey, tidyKey} {
		delete(s.kept, key)
	}
	return nil
}

// chatTemplate returns the template of a setting, of several the one called default.
func chatTemplate(raw json.RawMessage) (string, error) {
	var one string
	if len(raw) == 0 || json.Unmarshal(raw, &one) == nil { // null leaves one empty
		return one, nil
	}
	var several []struct{ Name, Template string }
	if err := json.Unmarshal(raw, &several); err != nil {
		return "", fmt.Errorf("found %.40s, expected a text or a list of {\"name\", \"template\"}", raw)
	}
	for _, t := range several {
		if t.Name == "default" && t.Template != "" {
			return t.Template, nil
		}
	}
	return "", errors.New("found several templates, expected one of them to be called \"default\"")
}

// ChatTemplate returns the directory's chat template, in Jinja's language, of several
// the one called default; "" if there is none.
func (t *Tokenizer) ChatTemplate() string {
	template, _ := chatTemplate(t.settings[templateKey]) // checked when it was read
	return template
}

// WithChatTemplate returns a tokenizer that has this chat template; "" is none.
func (t *Tokenizer) WithChatTemplate(template string) *Tokenizer {
	n := t.clone()
	n.settings = maps.Clone(t.settings)
	if n.settings == nil {
		n.settings = map[string]json.RawMessage{}
	}
	if delete(n.settings, templateKey); template != "" {
		n.settings[templateKey] = quote(template)
	}
	n.index()
	return n
}

// ModelMaxLength returns model_max_length, the most tokens that the directory's model
// takes; 0 if it does not say or says a number beyond any length.
func (t *Tokenizer) ModelMaxLength() int {
	var n float64
	if raw, ok := t.settings[maxLengthKey]; !ok || json.Unmarshal(raw, &n) != nil || n > 1<<31-1 {
		return 0
	}
	return int(n)
}

// PrefixSpace reports whether a space goes before text that begins with none.
func (t *Tokenizer) PrefixSpace() bool { return t.prefixSpace }

// Side is an end of a text.
type Side string

// The sides, by transformers' names.
const (
	Left  Side = "left"
	Right Side = "right"
)

// TruncationSide returns the side that the directory's truncation_side says loses
// tokens when a text is too long: Right unless it says otherwise.
func (t *Tokenizer) TruncationSide() Side {
	side := Right
	if raw, ok := t.settings[sideKey]; ok {
		_ = json.Unmarshal(raw, &side) // checked when it was read
	}
	return side
}

// Truncate returns at most max of ids, a part of the slice itself: what is too much
// is taken from the side.
func Truncate(ids []int32, max int, side Side) []int32 {
	switch {
	case len(ids) <= max:
		return ids
	case side == Left:
		return ids[len(ids)-max:]
	}
	return ids[:max]
}

// AroundWithin is Around of as many ids as leave the whole max tokens, by Truncate. It
// is an error if the tokens around are more than that alone.
func (t *Tokenizer) AroundWithin(ids []int32, max int, side Side) ([]int32, error) {
	around := len(t.around[0]) + len(t.around[1])
	if max < around {
		return nil, fmt.Errorf("max_length: found %d, expected at least %d for the tokens around a text", max, around)
	}
	return t.Around(Truncate(ids, max-around, side)), nil
}
