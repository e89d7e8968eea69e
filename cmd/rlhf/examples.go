package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"rlhf/gpt/bpe"
	"rlhf/internal/chat"
	"rlhf/internal/corpus"
	"rlhf/internal/dataset"
	"rlhf/sft"
)

// texts is a set of documents as a stage learns from it.
type texts struct {
	corpus  *corpus.Corpus
	sources []dataset.Source
}

func (t texts) Close() error {
	if t.corpus == nil {
		return nil
	}
	return t.corpus.Close()
}

// source cuts the documents for a model of n positions: one after another in blocks, or each by itself.
func (t texts) source(packing bool, n int) sft.Source {
	if packing {
		return sequences{t.corpus.Blocks(n)}
	}
	return sequences{t.corpus.Pieces(n)}
}

// sequences is a corpus as a stage learns from it, every token a target.
type sequences struct{ corpus.Set }

// At returns example i.
func (s sequences) At(i int) sft.Example { return sft.Example{Tokens: s.IDs(i)} }

// readCorpus opens the token ids of the documents in files, below the directory
// cache, and makes them first unless they are there: encoded from the same files
// with the same tokenizer. Each document ends with the end-of-text token.
func (a *app) readCorpus(o dataset.Options, tok *bpe.Tokenizer, files []string, cache string) (texts, error) {
	sources, err := dataset.Sources(o, dataset.KindText, files...)
	if err != nil {
		return texts{}, err
	}
	key, err := corpusKey(o, tok, sources)
	if err != nil {
		return texts{}, err
	}
	path := filepath.Join(cache, key[:16]+".tokens")
	c, err := corpus.Open(path, key)
	switch {
	case err == nil:
		return texts{c, sources}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return texts{}, err
	}
	o.Report = &dataset.Report{}
	if err := a.encodeCorpus(o, tok, files, path, key); err != nil {
		return texts{}, err
	}
	if c, err = corpus.Open(path, key); err != nil {
		return texts{}, err
	}
	a.say("%s: %d tokens of %d documents", path, c.Len(), c.Documents())
	for _, line := range o.Report.Lines() {
		a.say("%s", line)
	}
	return texts{c, sources}, nil
}

// corpusKey returns the digest of everything that the ids depend on.
func corpusKey(o dataset.Options, tok *bpe.Tokenizer, sources []dataset.Source) (string, error) {
	h := sha256.New()
	files := tok.Files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %d\n%s\n", name, len(files[name]), files[name])
	}
	for i := range sources {
		sources[i].Name = "" // what a file is called changes no id
	}
	raw, err := json.Marshal([]any{sources, o.Format, o.SkipBad, o.Text})
	if err != nil {
		return "", err
	}
	h.Write(raw)
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (a *app) encodeCorpus(o dataset.Options, tok *bpe.Tokenizer, files []string, path, key string) (err error) {
	undo := missingDirs(filepath.Dir(path))
	defer func() {
		for _, dir := range undo {
			if err != nil {
				_ = os.Remove(dir) // made here, and empty again
			}
		}
	}()
	w, err := corpus.NewWriter(path, tok.VocabSize(), key)
	if err != nil {
		return err
	}
	bar := a.progress("encode")
	encode := tok.Encode
	for d, err := range dataset.Texts(o, files...) {
		if err != nil {
			return errors.Join(err, w.Discard())
		}
		ids := encode(d.Text)
		if encode = tok.Encode; !d.Last {
			encode = tok.EncodeRest // a document's later pieces begin no text
		}
		if id := tok.EndOfText(); id >= 0 && d.Last {
			ids = append(ids, id)
		}
		if err := w.Add(ids, d.Last); err != nil {
			return errors.Join(err, w.Discard())
		}
		bar.Set(o.Report.Read, "documents")
	}
	bar.Done()
	return w.Finish()
}

// missingDirs returns dir and those above it that do not exist yet, the innermost first.
func missingDirs(dir string) (out []string) {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return out
		}
		out = append(out, dir)
		dir = filepath.Dir(dir)
	}
}

// demonstrated is what demonstrations became.
type demonstrated struct {
	examples sft.Examples
	prompts  [][]int32 // what each example's first learnt turn follows
	read     int
	cut      int // examples cut to fit
	dropped  int // examples of which nothing to learn was left
	talks    bool
}

// say tells what did not fit.
func (d demonstrated) say(a *app, what string, n int) {
	if d.cut+d.dropped > 0 {
		a.say("%s: %d of %d cut to fit %d tokens, %d dropped of which nothing to learn was left", what, d.cut, d.read, n, d.dropped)
	}
}

// exampler turns demonstrations into examples of at most n tokens.
type exampler struct {
	l              language
	n              int
	template       func() (chat.Template, error) // asked for only where there is a conversation
	renderPairs    bool                          // also prompts with completions are turns of a conversation
	completionOnly bool
}

// newExampler returns one for the settings of the chat section; max_length is checked against the model.
func newExampler(l language, template string, c sft.Config) (exampler, error) {
	n, err := maxLength(c, l.model.Config.NPositions)
	if err != nil {
		return exampler{}, err
	}
	return exampler{l, n, l.template(template), template != chat.Auto, c.CompletionOnlyLoss}, nil
}

// maxLength returns the tokens of the longest example.
func maxLength(c sft.Config, nPositions int) (int, error) {
	if c.MaxLength > nPositions {
		return 0, fmt.Errorf("max_length: found %d, the model takes %d", c.MaxLength, nPositions)
	}
	if c.MaxLength > 0 {
		return c.MaxLength, nil
	}
	return nPositions, nil
}

// add renders a demonstration and adds it.
func (x exampler) add(d *demonstrated, one dataset.Demonstration) error {
	d.read++
	e, prompt, err := x.example(one, d)
	if err != nil {
		return fmt.Errorf("demonstration %d: %w", d.read, err)
	}
	if len(e.Tokens) > x.n {
		d.cut++
		e = cutTo(e, x.n)
	}
	if !x.completionOnly {
		e.Learn = nil
	}
	if learnable(e) {
		d.examples, d.prompts = append(d.examples, e), append(d.prompts, prompt)
	} else {
		d.dropped++
	}
	return nil
}

// example renders one demonstration, whatever its length, and returns also what its first learnt turn follows.
func (x exampler) example(one dataset.Demonstration, d *demonstrated) (e sft.Example, prompt []int32, err error) {
	if one.Messages == nil && !x.renderPairs {
		prompt = x.l.tok.Encode(one.Prompt)
		return sft.After(len(prompt), append(slices.Clip(prompt), x.l.withEnd(one.Completion)...)), prompt, nil
	}
	if one.Messages == nil {
		one.Messages = []dataset.Message{{Role: "user", Content: one.Prompt}, {Role: "assistant", Content: one.Completion}}
	}
	d.talks = true
	t, err := x.template()
	if err != nil {
		return e, nil, err
	}
	tokens, turns, err := t.Tokens(one.Messages)
	if err != nil {
		return e, nil, err
	}
	e = sft.Example{Tokens: tokens, Learn: []sft.Span{}}
	for i, turn := range turns {
		if one.Messages[i].Role == "assistant" && i >= one.Given {
			e.Learn = append(e.Learn, sft.Span{From: turn.WrittenFrom, To: turn.WrittenTo})
		}
	}
	if len(e.Learn) > 0 {
		prompt = tokens[:e.Learn[0].From]
	}
	return e, prompt, nil
}

// cutTo returns the first n tokens of an example.
func cutTo(e sft.Example, n int) sft.Example {
	out := sft.Example{Tokens: e.Tokens[:n], Learn: []sft.Span{}}
	for _, s := range e.Learn {
		if s.To = min(s.To, n); s.From < s.To {
			out.Learn = append(out.Learn, s)
		}
	}
	return out
}

// learnable reports whether an example has a token to learn.
func learnable(e sft.Example) bool {
	if e.Learn == nil {
		return len(e.Tokens) > 1
	}
	return slices.ContainsFunc(e.Learn, func(s sft.Span) bool { return s.To > max(s.From, 1) })
}

// readDemonstrations reads files as examples; none are read for no files.
func (a *app) readDemonstrations(o dataset.Options, x exampler, files []string) (d demonstrated, sources []dataset.Source, err error) {
	if len(files) == 0 {
		return d, nil, nil
	}
	if sources, err = dataset.Sources(o, dataset.KindDemonstrations, files...); err != nil {
		return d, nil, err
	}
	o.Report = &dataset.Report{}
	for one, err := range dataset.Demonstrations(o, files...) {
		if err != nil {
			return d, nil, err
		}
		if err := x.add(&d, one); err != nil {
			return d, nil, err
		}
	}
	d.say(a, fmt.Sprint(files), x.n)
	for _, line := range o.Report.Lines() {
		a.say("%s", line)
	}
	return d, sources, nil
}
