// Package dataset reads the data that the stages learn from and the labeling
// application shows, in the field's formats, and holds the embedded sample data.
// It knows text, not tokens, and trains nothing. A line that cannot be read is an
// error that names file, line and field, with what was found and expected.
package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxLine is the longest line of a JSONL file.
const maxLine = 64 << 20

// lines calls each for every line of a JSONL file that is not blank.
func lines(path string, each func(line int, raw []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return readLines(path, f, each)
}

func readLines(path string, r io.Reader, each func(line int, raw []byte) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 1<<16), maxLine)
	n := 0
	for in.Scan() {
		n++
		raw := bytes.TrimSpace(in.Bytes())
		if len(raw) == 0 {
			continue
		}
		if err := each(n, raw); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", path, n+1, err)
	}
	return nil
}

// object is a line of JSONL with access by field.
type object map[string]json.RawMessage

func parse(raw []byte) (object, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if o == nil {
		return nil, fmt.Errorf("found null, expected a JSON object")
	}
	return o, nil
}

// field decodes a field that must be there.
func field[T any](o object, name string) (value T, err error) {
	raw, ok := o[name]
	if !ok {
		return value, fmt.Errorf("field %q: missing, the line has %s", name, o.names())
	}
	if err := json.Unmarshal(raw, &value); err != nil || bytes.Equal(raw, []byte("null")) {
		return value, fmt.Errorf("field %q: found %s, expected %T", name, short(raw), value)
	}
	return value, nil
}

// optional decodes a field that may be missing or null.
func optional[T any](o object, name string) (value T, err error) {
	if raw, ok := o[name]; !ok || bytes.Equal(raw, []byte("null")) {
		return value, nil
	}
	return field[T](o, name)
}

func (o object) names() string {
	if len(o) == 0 {
		return "no fields"
	}
	names := make([]string, 0, len(o))
	for name := range o {
		names = append(names, fmt.Sprintf("%q", name))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func short(raw []byte) string {
	if s := string(raw); utf8.RuneCountInString(s) <= 40 {
		return s
	}
	return string([]rune(string(raw))[:40]) + "…"
}

// Texts reads documents: a .txt file is one, every line {"text": …} of a .jsonl file is one.
func Texts(paths ...string) (texts []string, err error) {
	for _, path := range paths {
		if !strings.HasSuffix(path, ".jsonl") {
			raw, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			if !utf8.Valid(raw) {
				return nil, fmt.Errorf("%s:%d: not UTF-8", path, 1+bytes.Count(raw[:invalidAt(raw)], []byte{'\n'}))
			}
			texts = append(texts, string(raw))
			continue
		}
		err := lines(path, func(_ int, raw []byte) error {
			o, err := parse(raw)
			if err != nil {
				return err
			}
			text, err := field[string](o, "text")
			texts = append(texts, text)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// invalidAt returns the index of the first byte that is no UTF-8.
func invalidAt(raw []byte) int {
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(raw)
}

// Demonstration is a prompt with a completion to imitate.
type Demonstration struct{ Prompt, Completion string }

// Demonstrations reads lines {"prompt": …, "completion": …}.
func Demonstrations(paths ...string) (out []Demonstration, err error) {
	for _, path := range paths {
		err := lines(path, func(_ int, raw []byte) error {
			o, err := parse(raw)
			if err != nil {
				return err
			}
			var d Demonstration
			if d.Prompt, err = field[string](o, "prompt"); err != nil {
				return err
			}
			d.Completion, err = field[string](o, "completion")
			out = append(out, d)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Prompt is a prompt as text or as token ids, with the other fields of its line.
type Prompt struct {
	Text   string
	Tokens []int32 // nil if the line has text
	Fields map[string]json.RawMessage
}

// Prompts reads lines {"prompt": …} or {"tokens": […]}; other fields are kept.
func Prompts(path string) (out []Prompt, err error) {
	err = lines(path, func(_ int, raw []byte) error {
		o, err := parse(raw)
		if err != nil {
			return err
		}
		p := Prompt{Fields: o}
		if _, ok := o["tokens"]; ok {
			p.Tokens, err = field[[]int32](o, "tokens")
		} else {
			p.Text, err = field[string](o, "prompt")
		}
		out = append(out, p)
		return err
	})
	return out, err
}

// Completion is one text that answers a prompt.
type Completion struct {
	Model    string          `json:"model"`
	Text     string          `json:"text"`
	Tokens   []int32         `json:"tokens,omitempty"`
	Sampling json.RawMessage `json:"sampling,omitempty"`
}

// Group is a prompt with the completions to rank.
type Group struct {
	Prompt      string
	Tokens      []int32
	Completions []Completion
}

// Groups reads what is to be ranked: lines {"prompt": …, "completions": [{"model": …, "text": …}]}, with "completion"
// for "text" as AI2 writes it, or what the sample command writes, one line {"prompt": …, "sample": k, "completion": …}
// for each completion, the lines of a prompt one after another.
func Groups(path string) (out []Group, err error) {
	err = lines(path, func(_ int, raw []byte) error {
		o, err := parse(raw)
		if err != nil {
			return err
		}
		var g Group
		if g.Prompt, err = field[string](o, "prompt"); err != nil {
			return err
		}
		if _, ok := o["completions"]; ok {
			g.Tokens, err = optional[[]int32](o, "prompt_tokens")
			if err == nil {
				g.Completions, err = completions(o)
			}
			out = append(out, g)
			return err
		}
		c, err := sampled(o)
		if err != nil {
			return err
		}
		if n := len(out); n > 0 && out[n-1].Prompt == g.Prompt {
			out[n-1].Completions = append(out[n-1].Completions, c)
			return nil
		}
		if g.Tokens, err = optional[[]int32](o, "prompt_tokens"); err != nil {
			return err
		}
		g.Completions = []Completion{c}
		out = append(out, g)
		return nil
	})
	return out, err
}

// sampled reads a line of the sample command.
func sampled(o object) (c Completion, err error) {
	if c.Text, err = field[string](o, "completion"); err != nil {
		return c, err
	}
	if c.Tokens, err = optional[[]int32](o, "tokens"); err != nil {
		return c, err
	}
	c.Model, err = optional[string](o, "model")
	return c, err
}

// completions reads the field of that name.
func completions(o object) (out []Completion, err error) {
	list, err := field[[]object](o, "completions")
	if err != nil {
		return nil, err
	}
	for k, each := range list {
		var c Completion
		name := "text"
		if _, ok := each[name]; !ok {
			name = "completion"
		}
		if c.Text, err = field[string](each, name); err == nil {
			c.Model, err = optional[string](each, "model")
		}
		if err == nil {
			c.Tokens, err = optional[[]int32](each, "tokens")
		}
		if err == nil {
			c.Sampling, err = optional[json.RawMessage](each, "sampling")
		}
		if err != nil {
			return nil, fmt.Errorf("completion %d: %w", k, err)
		}
		out = append(out, c)
	}
	return out, nil
}
