package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/gpt/hf"
	"rlhf/internal/checkpoint"
	"rlhf/internal/dataset"
	"rlhf/internal/report"
)

// language is a model with its tokenizer.
type language struct {
	model *gpt.Model
	tok   *bpe.Tokenizer
	files checkpoint.Tokenizer
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
	return language{m, tok, files}, nil
}

// tokenizerFiles returns a tokenizer's part of a model directory.
func tokenizerFiles(tok *bpe.Tokenizer) checkpoint.Tokenizer {
	t := checkpoint.Tokenizer{Files: tok.Files()}
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

// readTexts reads whole documents into memory.
func readTexts(o dataset.Options, files []string) (out []string, err error) {
	if len(files) == 0 {
		return nil, nil
	}
	var pieces []string
	for d, err := range dataset.Texts(o, files...) {
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, d.Text)
		if d.Last {
			out = append(out, strings.Join(pieces, ""))
			pieces = pieces[:0]
		}
	}
	return out, nil
}

// readDemonstrations reads prompts with completions; conversations are refused.
func readDemonstrations(o dataset.Options, files []string) (out []dataset.Demonstration, err error) {
	for d, err := range dataset.Demonstrations(o, files...) {
		if err == nil && d.Messages != nil {
			err = fmt.Errorf("demonstration %d: found messages, expected a prompt and a completion that are texts", len(out)+1)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}
