package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/gpt/hf"
	"rlhf/internal/chat"
	"rlhf/internal/checkpoint"
	"rlhf/internal/dataset"
	"rlhf/internal/report"
)

// language is a model with its tokenizer.
type language struct {
	model *gpt.Model
	tok   *bpe.Tokenizer
	files checkpoint.Tokenizer

	lineage *checkpoint.Lineage // nil if it is not known
}

// loadLanguage reads a model directory that has a tokenizer.
func loadLanguage(dir string) (language, error) {
	m, err := hf.Load(dir)
	if err != nil {
		return language{}, err
	}
	tok, err := bpe.Load(dir)
	if err != nil {
		return language{}, err
	}
	if tok.VocabSize() > m.Config.VocabSize {
		return language{}, fmt.Errorf("%s: the tokenizer has %d tokens, the model %d", dir, tok.VocabSize(), m.Config.VocabSize)
	}
	s, err := hf.ReadSettings(dir)
	if err != nil {
		return language{}, err
	}
	files := tokenizerFiles(tok)
	files.Dropout = s.Dropout
	lineage, err := checkpoint.ReadLineage(dir)
	return language{m, tok, files, lineage}, err
}

// descends returns the lineage of a model that a stage makes from l and the data.
func (l language) descends(stage string, data []dataset.Source) *checkpoint.Lineage {
	out := &checkpoint.Lineage{Stage: stage, Parents: []checkpoint.Parent{checkpoint.ParentOf("init", l.model, l.lineage)}}
	out.Data = learntFrom(data)
	return out
}

// learntFrom returns the sources of data for a lineage.
func learntFrom(data []dataset.Source) (out []checkpoint.Data) {
	for _, s := range data {
		out = append(out, checkpoint.Data(s))
	}
	return out
}

// template returns the template of a name, which is looked for when it is first asked for: a tokenizer whose own
// template is none of ours serves well where there is no conversation.
func (l language) template(name string) func() (chat.Template, error) {
	return sync.OnceValues(func() (chat.Template, error) { return chat.Pick(name, l.tok) })
}

// speaking returns l with the template in its tokenizer's files, where other programs find it.
func (l language) speaking(t chat.Template) language {
	l.tok = l.tok.WithChatTemplate(t.Jinja())
	l.files.Files = tokenizerFiles(l.tok).Files
	return l
}

// tokenizerFiles returns a tokenizer's part of a model directory.
func tokenizerFiles(tok *bpe.Tokenizer) checkpoint.Tokenizer {
	t := checkpoint.Tokenizer{Files: tok.Files()}
	if id := tok.BOS(); id >= 0 {
		t.BOS = &id
	}
	if id := tok.EndOfText(); id >= 0 {
		t.EndOfText = &id
	}
	if id := tok.Pad(); id >= 0 {
		t.Pad = &id
	}
	return t
}

// stops returns the tokens that end a completion.
func (l language) stops() []int32 {
	if id := l.tok.EndOfText(); id >= 0 {
		return []int32{id}
	}
	return nil
}

// queries returns prompts as token ids, conversations up to where the assistant answers, and the tokens that end an answer.
func (l language) queries(prompts []dataset.Prompt, template string) (out [][]int32, stops []int32, err error) {
	stops = l.stops()
	for i, p := range prompts {
		tokens, talk, err := l.query(p, template)
		if err != nil {
			return nil, nil, fmt.Errorf("prompt %d: %w", i+1, err)
		}
		if talk != nil {
			stops = talk.StopTokens()
		}
		out = append(out, tokens)
	}
	return out, stops, nil
}

// query returns a prompt as token ids, with the template if it is a conversation.
func (l language) query(p dataset.Prompt, template string) ([]int32, *chat.Template, error) {
	switch {
	case p.Tokens != nil:
		return p.Tokens, nil, nil
	case l.tok == nil:
		return nil, nil, errors.New("found text, but the model has no tokenizer: expected {\"tokens\"}")
	case p.Messages == nil:
		return l.tok.Encode(p.Text), nil, nil
	}
	t, err := chat.Pick(template, l.tok)
	if err != nil {
		return nil, nil, err
	}
	tokens, _, err := t.Tokens(p.Messages)
	return append(tokens, t.Reply()...), &t, err
}

// withEnd returns the ids of text followed by the end-of-text token, if there is one.
func (l language) withEnd(text string) []int32 { return append(l.tok.Encode(text), l.stops()...) }

// writeWhole writes a file whole or not at all, making its directory if need be.
func writeWhole(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return report.WriteWhole(path, data)
}

// jsonLines collects results, one object a line.
type jsonLines struct{ bytes.Buffer }

func (j *jsonLines) add(v any) error {
	e := json.NewEncoder(&j.Buffer)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// reading is how commands read data sets: - is the standard input, and the first bad record ends the command.
func (a *app) reading() dataset.Options { return dataset.Options{Stdin: a.in} }
