package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rlhf/gpt/bpe"
	"rlhf/internal/dataset"
)

func (a *app) tokenizerShowCommand() *cobra.Command {
	var data []string
	var o dataset.Options
	longest := 10
	cmd := &cobra.Command{Use: "show DIR", Short: "Show a tokenizer: its size, special tokens, settings, longest tokens, and how many bytes a token of some text has", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringSliceVar(&data, "data", nil, "files of text to count the tokens of")
	cmd.Flags().IntVar(&longest, "longest", longest, "number of longest tokens to show")
	formatFlag(cmd, &o)
	skipFlag(cmd, &o)
	textFlags(cmd, &o)
	cmd.RunE = work(func(cmd *cobra.Command, args []string) error {
		tok, err := bpe.Load(args[0])
		if err != nil {
			return err
		}
		var density string
		if len(data) > 0 {
			o.Stdin, o.Report = a.in, &dataset.Report{}
			if density, err = bytesPerToken(tok, dataset.Texts(o, data...)); err != nil {
				return err
			}
		}
		showTokenizer(a.out, tok, longest)
		if len(data) > 0 {
			fmt.Fprintf(a.out, "%s: %s\n", strings.Join(data, ", "), density)
			for _, line := range o.Report.Lines() {
				a.say("%s", line)
			}
		}
		return nil
	})
	return cmd
}

func showTokenizer(w io.Writer, tok *bpe.Tokenizer, longest int) {
	added, roles := tok.Added(), tok.Roles()
	fmt.Fprintf(w, "byte-level BPE of %s: 256 bytes, %s, %s beside them\n", counted(tok.VocabSize(), "token"), counted(len(tok.Merges()), "merge"), counted(len(added), "token"))
	for _, t := range added {
		notes := []string{map[bool]string{true: "special", false: "plain"}[t.Special]}
		for _, name := range slices.Sorted(maps.Keys(roles)) {
			if roles[name] == t.Content {
				notes = append(notes, name)
			}
		}
		for _, attribute := range []struct {
			name string
			has  bool
		}{{"single_word", t.SingleWord}, {"lstrip", t.LStrip}, {"rstrip", t.RStrip}} {
			if attribute.has {
				notes = append(notes, attribute.name)
			}
		}
		fmt.Fprintf(w, "  %6d  %-20s %s\n", t.ID, quoted(t.Content), strings.Join(notes, ", "))
	}
	around := "nothing"
	if ids := tok.Around(nil); len(ids) > 0 {
		around = tok.DecodeSpecial(ids)
	}
	maxLength := "none"
	if n := tok.ModelMaxLength(); n > 0 {
		maxLength = strconv.Itoa(n)
	}
	fmt.Fprintf(w, "add_prefix_space %v, model_max_length %s, truncation_side %s, around a text %s\n", tok.PrefixSpace(), maxLength, tok.TruncationSide(), around)
	if template := tok.ChatTemplate(); template != "" {
		fmt.Fprintf(w, "chat template %s\n", quoted(template))
	}
	if longest > 0 {
		fmt.Fprintf(w, "longest tokens: %s\n", strings.Join(longestTokens(tok, longest), " "))
	}
}

// longestTokens returns up to n tokens of the vocabulary, those of the most bytes, of equally long ones the first.
func longestTokens(tok *bpe.Tokenizer, n int) (out []string) {
	beside := map[int32]bool{}
	for _, t := range tok.Added() {
		beside[t.ID] = true
	}
	var tokens []string
	for id := range int32(tok.VocabSize()) {
		if !beside[id] {
			tokens = append(tokens, tok.Decode([]int32{id}))
		}
	}
	slices.SortStableFunc(tokens, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, t := range tokens[:min(n, len(tokens))] {
		out = append(out, quoted(t))
	}
	return out
}

// quoted returns s in quotes, at most 60 characters of it.
func quoted(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return strconv.Quote(string(r[:most])) + "…"
	}
	return strconv.Quote(s)
}

// bytesPerToken encodes texts and says how densely.
func bytesPerToken(tok *bpe.Tokenizer, texts func(func(dataset.Document, error) bool)) (string, error) {
	documents, bytes, tokens, goesOn := 0, 0, 0, false
	for d, err := range texts {
		if err != nil {
			return "", err
		}
		encode := tok.Encode
		if goesOn {
			encode = tok.EncodeRest
		}
		if goesOn = !d.Last; d.Last {
			documents++
		}
		bytes, tokens = bytes+len(d.Text), tokens+len(encode(d.Text))
	}
	return fmt.Sprintf("%s, %s, %s: %.2f bytes a token", counted(documents, "text"), counted(bytes, "byte"), counted(tokens, "token"), float64(bytes)/float64(max(1, tokens))), nil
}
