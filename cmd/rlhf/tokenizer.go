package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/gpt/bpe"
)

func (a *app) tokenizerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tokenizer", Short: "Train a byte-level BPE tokenizer; encode and decode with one"}
	cmd.AddCommand(a.tokenizerTrainCommand(), a.tokenizerEncodeCommand(), a.tokenizerDecodeCommand())
	return cmd
}

func (a *app) tokenizerTrainCommand() *cobra.Command {
	var data []string
	var out string
	cmd := &cobra.Command{Use: "train --data FILE… --out DIR", Short: "Learn merges from .txt files or .jsonl files of {\"text\"}", Args: cobra.NoArgs}
	cmd.Flags().StringSliceVar(&data, "data", nil, "files to learn from")
	cmd.Flags().StringVar(&out, "out", "", "directory for vocab.json and merges.txt")
	configs.AddFlags(cmd.Flags(), "tokenizer")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		texts, err := readTexts(a.reading(), data)
		if err != nil {
			return err
		}
		tok, err := trainTokenizer(texts, c.Tokenizer.VocabSize, out)
		if err != nil {
			return err
		}
		a.say("trained a vocabulary of %d tokens on %d texts: %s", tok.VocabSize(), len(texts), out)
		if tok.VocabSize() < c.Tokenizer.VocabSize {
			a.say("the texts have no more pairs to merge: %d tokens were asked for", c.Tokenizer.VocabSize)
		}
		return nil
	})
	return required(cmd, "data", "out")
}

// trainTokenizer trains a tokenizer and writes its files to dir.
func trainTokenizer(texts []string, vocabSize int, dir string) (*bpe.Tokenizer, error) {
	tok, err := bpe.Train(texts, vocabSize)
	if err != nil {
		return nil, err
	}
	for name, data := range tok.Files() {
		if err := writeWhole(filepath.Join(dir, name), data); err != nil {
			return nil, err
		}
	}
	return tok, nil
}

func (a *app) tokenizerEncodeCommand() *cobra.Command {
	return a.tokenizerFilter("encode --model DIR < LINES", `Read lines {"text"}, write lines with {"tokens"} added`, func(tok *bpe.Tokenizer, o map[string]json.RawMessage) error {
		var text string
		if err := need(o, "text", &text); err != nil {
			return err
		}
		ids := tok.Encode(text)
		raw, err := json.Marshal(ids)
		o["tokens"] = raw
		return err
	})
}

func (a *app) tokenizerDecodeCommand() *cobra.Command {
	return a.tokenizerFilter("decode --model DIR < LINES", `Read lines {"tokens"}, write lines with {"text"} added`, func(tok *bpe.Tokenizer, o map[string]json.RawMessage) error {
		var ids []int32
		if err := need(o, "tokens", &ids); err != nil {
			return err
		}
		for i, id := range ids {
			if id < 0 || int(id) >= tok.VocabSize() {
				return fmt.Errorf("field \"tokens\": id %d at %d, the vocabulary has %d", id, i, tok.VocabSize())
			}
		}
		raw, err := json.Marshal(tok.Decode(ids))
		o["text"] = raw
		return err
	})
}

// need decodes a field that must be there.
func need(o map[string]json.RawMessage, name string, into any) error {
	raw, ok := o[name]
	if !ok {
		return fmt.Errorf("field %q: missing", name)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("field %q: found %.40s", name, raw)
	}
	return nil
}

// tokenizerFilter is a command that changes JSON lines from the input, or from a file, one by one.
func (a *app) tokenizerFilter(use, short string, change func(*bpe.Tokenizer, map[string]json.RawMessage) error) *cobra.Command {
	var model, data string
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	cmd.Flags().StringVar(&model, "model", "", "directory with vocab.json and merges.txt")
	cmd.Flags().StringVar(&data, "data", "-", "file of JSON lines, - for the standard input")
	cmd.RunE = work(func(*cobra.Command, []string) error {
		tok, err := bpe.Load(model)
		if err != nil {
			return err
		}
		in := a.in
		if data != "-" {
			f, err := os.Open(data)
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		return filterLines(data, in, a.out, func(o map[string]json.RawMessage) error { return change(tok, o) })
	})
	return required(cmd, "model")
}

// filterLines writes every JSON object of r, changed, to w.
func filterLines(name string, r io.Reader, w io.Writer, change func(map[string]json.RawMessage) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 1<<16), 64<<20)
	var out jsonLines
	for n := 1; in.Scan(); n++ {
		var o map[string]json.RawMessage
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			return fmt.Errorf("%s:%d: not a JSON object: %w", name, n, err)
		}
		if err := change(o); err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if err := out.add(o); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err := out.WriteTo(w)
	return err
}
