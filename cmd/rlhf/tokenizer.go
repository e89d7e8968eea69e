package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"rlhf/configs"
	"rlhf/gpt/bpe"
	"rlhf/internal/dataset"
)

func (a *app) tokenizerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tokenizer", Short: "Train a byte-level BPE tokenizer; encode and decode with one; show one"}
	cmd.AddCommand(a.tokenizerTrainCommand(), a.tokenizerEncodeCommand(), a.tokenizerDecodeCommand(), a.tokenizerShowCommand())
	return cmd
}

func (a *app) tokenizerTrainCommand() *cobra.Command {
	var data, special []string
	var out string
	var o dataset.Options
	cmd := &cobra.Command{Use: "train --data FILE… --out DIR", Short: "Learn merges from text", Args: cobra.NoArgs}
	cmd.Flags().StringSliceVar(&data, "data", nil, "files and directories of text: .txt, .jsonl of {\"text\"}, .gz, .zst, .parquet")
	cmd.Flags().StringVar(&out, "out", "", "directory for vocab.json, merges.txt, tokenizer.json and the settings beside them")
	cmd.Flags().StringArrayVar(&special, "special", nil, "name of a special token beside <|endoftext|> and <|pad|>, like <|im_start|>; may be given several times")
	formatFlag(cmd, &o)
	skipFlag(cmd, &o)
	textFlags(cmd, &o)
	configs.AddFlags(cmd.Flags(), "tokenizer")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		o.Stdin, o.Report = a.in, &dataset.Report{}
		tok, documents, err := a.learnTokenizer(cmd.Context(), dataset.Texts(o, data...), c.Tokenizer.VocabSize, special)
		if err != nil {
			return err
		}
		for _, line := range o.Report.Lines() {
			a.say("%s", line)
		}
		if err := writeTokenizer(tok, out); err != nil {
			return err
		}
		a.say("trained a vocabulary of %d tokens on %s: %s", tok.VocabSize(), counted(documents, "text"), out)
		if tok.VocabSize() < c.Tokenizer.VocabSize {
			a.say("the texts have no more pairs to merge: %d tokens were asked for", c.Tokenizer.VocabSize)
		}
		return nil
	})
	return required(cmd, "data", "out")
}

// learnTokenizer trains a tokenizer of so many tokens, the special ones included, and counts the documents.
func (a *app) learnTokenizer(ctx context.Context, texts iter.Seq2[dataset.Document, error], vocabSize int, special []string) (*bpe.Tokenizer, int, error) {
	if least := 256 + 2 + len(special); vocabSize < least {
		return nil, 0, fmt.Errorf("%w: tokenizer.vocab_size: must be at least %d, the bytes and the special tokens (got %d)", configs.ErrSetting, least, vocabSize)
	}
	for i, name := range special {
		if slices.Contains(special[:i], name) || name == bpe.EndOfText || name == bpe.Pad {
			return nil, 0, fmt.Errorf("%w: --special: %q stands in the vocabulary already", configs.ErrSetting, name)
		}
	}
	documents := 0
	bar := a.progress("tokenizer")
	bar.Total(vocabSize)
	tok, err := bpe.TrainStream(ctx, func(yield func(string, error) bool) {
		for d, err := range texts {
			if d.Last && err == nil {
				documents++
			}
			if !yield(d.Text, err) {
				return
			}
		}
	}, vocabSize-len(special), func(bytes int64, tokens int) {
		bar.Set(tokens, fmt.Sprintf("tokens  %.0f MB of text", float64(bytes)/1e6))
	})
	bar.Done()
	if err != nil {
		return nil, 0, err
	}
	tok, _, err = tok.AddTokens(true, special...)
	return tok, documents, err
}

// trainTokenizer trains a tokenizer on texts in memory and writes its files to dir.
func trainTokenizer(texts []string, vocabSize int, dir string) (*bpe.Tokenizer, error) {
	tok, err := bpe.Train(texts, vocabSize)
	if err != nil {
		return nil, err
	}
	return tok, writeTokenizer(tok, dir)
}

func writeTokenizer(tok *bpe.Tokenizer, dir string) error {
	for name, data := range tok.Files() {
		if err := writeWhole(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) tokenizerEncodeCommand() *cobra.Command {
	var maxLength, cut int
	var side string
	var special bool
	cmd := a.tokenizerFilter("encode --model DIR < LINES", `Read lines {"text"}, write lines with {"tokens"} added`, func(tok *bpe.Tokenizer, o map[string]json.RawMessage) error {
		var text string
		if err := need(o, "text", &text); err != nil {
			return err
		}
		ids, err := encodeText(tok, text, special, maxLength, bpe.Side(side), &cut)
		if err != nil {
			return err
		}
		raw, err := json.Marshal(ids)
		o["tokens"] = raw
		return err
	})
	cmd.Flags().IntVar(&maxLength, "max_length", 0, "most tokens of a text, the special ones around it included; 0 is no limit")
	cmd.Flags().StringVar(&side, "truncation_side", "", "side that loses tokens of a text that is too long: left or right (default what the tokenizer's settings say, or right)")
	cmd.Flags().BoolVar(&special, "special", false, "names of special tokens in the text stand for them, and what the tokenizer puts around a text is added, as transformers does")
	filter := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if maxLength < 0 {
			return fmt.Errorf("--max_length: found %d, expected a length, or 0 for no limit", maxLength)
		}
		if side != "" && side != string(bpe.Left) && side != string(bpe.Right) {
			return fmt.Errorf("--truncation_side: found %q, expected left or right", side)
		}
		err := filter(cmd, args)
		if err == nil && cut > 0 {
			a.say("%s cut to %d tokens", counted(cut, "text"), maxLength)
		}
		return err
	}
	return cmd
}

// encodeText returns the ids of a text, at most max unless that is 0, and counts it if it was cut.
func encodeText(tok *bpe.Tokenizer, text string, special bool, max int, side bpe.Side, cut *int) ([]int32, error) {
	if side == "" {
		side = tok.TruncationSide()
	}
	var ids, whole []int32
	if special {
		ids = tok.EncodeSpecial(text)
		whole = tok.Around(ids)
	} else {
		ids = tok.Encode(text)
		whole = ids
	}
	if max == 0 || len(whole) <= max {
		return whole, nil
	}
	*cut++
	if special {
		return tok.AroundWithin(ids, max, side)
	}
	return bpe.Truncate(ids, max, side), nil
}

func (a *app) tokenizerDecodeCommand() *cobra.Command {
	var special bool
	cmd := a.tokenizerFilter("decode --model DIR < LINES", `Read lines {"tokens"}, write lines with {"text"} added`, func(tok *bpe.Tokenizer, o map[string]json.RawMessage) error {
		var ids []int32
		if err := need(o, "tokens", &ids); err != nil {
			return err
		}
		for i, id := range ids {
			if id < 0 || int(id) >= tok.VocabSize() {
				return fmt.Errorf("field \"tokens\": id %d at %d, the vocabulary has %d", id, i, tok.VocabSize())
			}
		}
		decode := tok.Decode
		if special {
			decode = tok.DecodeSpecial
		}
		var line jsonLines // which leaves <, > and & as they are
		err := line.add(decode(ids))
		o["text"] = bytes.TrimSpace(line.Bytes())
		return err
	})
	cmd.Flags().BoolVar(&special, "special", false, "write special tokens by their names, which are left out otherwise")
	return cmd
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
	cmd.Flags().StringVar(&model, "model", "", "directory with tokenizer.json, or vocab.json and merges.txt")
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
