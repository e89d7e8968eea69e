package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rlhf/gpt/bpe"
	"rlhf/internal/dataset"
)

func (a *app) dataCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "data", Short: "Convert data sets from and to the field's formats, and look into them"}
	cmd.AddCommand(a.dataFormatsCommand(), a.dataShowCommand(), a.dataImportCommand(), a.dataExportCommand())
	return cmd
}

func (a *app) dataFormatsCommand() *cobra.Command {
	return &cobra.Command{Use: "formats", Short: "List the formats that data is read from", Args: cobra.NoArgs, RunE: work(func(*cobra.Command, []string) error {
		wide := 0
		for _, f := range dataset.Formats() {
			wide = max(wide, len(f.Name))
		}
		for i, kind := range []dataset.Kind{dataset.KindText, dataset.KindDemonstrations, dataset.KindRankings} {
			fmt.Fprintf(a.out, "%s%s\n", []string{"", "\n"}[min(i, 1)], kind)
			for _, f := range dataset.Formats() {
				if !slices.Contains(f.Kinds(), kind) {
					continue
				}
				about := f.About
				if kind == dataset.KindRankings && f.WriteRankings != nil {
					about += "; also written"
				}
				for i, line := range wrap(about, 76-wide) {
					fmt.Fprintf(a.out, "  %-*s  %s\n", wide, []string{f.Name, ""}[min(i, 1)], line)
				}
			}
		}
		return nil
	})}
}

// reader is what the commands that read data are told about it.
type reader struct {
	dataset.Options
	as        string
	tokenizer string
	tokens    func(string) int // of the tokenizer; nil without one
}

// readerFlags adds the flags that say how data is read.
func (a *app) readerFlags(cmd *cobra.Command) *reader {
	r := &reader{Options: dataset.Options{Stdin: bufio.NewReaderSize(a.in, dataset.Window), Report: &dataset.Report{}}}
	f := cmd.Flags()
	f.StringVar(&r.as, "as", "", "what to read where a format holds several: text, demonstrations or rankings")
	f.BoolVar(&r.SkipBad, "skip_bad", false, "count records that cannot be read, and go on")
	f.StringVar(&r.Group, "group_field", "", "field of JSON that says what a demonstration belongs to, like a user")
	f.StringVar(&r.Text.Field, "text_field", "", "field of JSON that holds a document (default text)")
	f.StringVar(&r.Text.Split, "split_text", "file", "documents of a plain text: file, paragraph or line")
	f.StringVar(&r.Talk.As, "talk", "pairs", "lines of dialogue: pairs of neighbours, whole conversations, or answers to the first line")
	f.StringVar(&r.Trees.Paths, "paths", "best", "paths through trees of replies: best or all")
	f.StringVar(&r.Trees.Lang, "lang", "", "keep trees in this language only, like en")
	f.StringVar(&r.tokenizer, "tokenizer", "", "directory of a tokenizer to count tokens with")
	return r
}

// ready loads the tokenizer, if one is named.
func (r *reader) ready() error {
	if r.tokenizer == "" {
		return nil
	}
	tok, err := bpe.Load(r.tokenizer)
	if err != nil {
		return err
	}
	r.tokens = func(text string) int { return len(tok.Encode(text)) }
	return nil
}

// kind returns what to read. A format that holds several kinds must be told which.
func (r *reader) kind(files []string) (dataset.Kind, error) {
	wanted := dataset.Kind(r.as)
	if !slices.Contains([]dataset.Kind{"", dataset.KindText, dataset.KindDemonstrations, dataset.KindRankings}, wanted) {
		return "", fmt.Errorf("as: found %q, expected text, demonstrations or rankings", r.as)
	}
	if wanted != "" {
		return wanted, nil
	}
	format, err := dataset.FormatOf(r.Options, files...)
	if err != nil {
		return "", err
	}
	kinds := format.Kinds()
	if len(kinds) > 1 {
		return "", fmt.Errorf("%s: the format %s holds %s: say which with --as", files[0], format.Name, join(kinds, " and "))
	}
	return kinds[0], nil
}

func join[T ~string](list []T, with string) string {
	var out []string
	for _, s := range list {
		out = append(out, string(s))
	}
	return strings.Join(out, with)
}

// told yields records, says every few seconds how many there were, and ends when ctx does.
func told[T any](ctx context.Context, a *app, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		n, last := 0, time.Now()
		for v, err := range seq {
			if n++; n%1024 == 0 && err == nil {
				err = ctx.Err()
				if now := time.Now(); now.Sub(last) >= 10*time.Second {
					a.say("read %d so far", n)
					last = now
				}
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// tell prints what happened while reading.
func (a *app) tell(r *dataset.Report, kind dataset.Kind) {
	for _, line := range readLines(r, kind) {
		a.say("%s", line)
	}
}

// readLines returns what happened while reading, a line each.
func readLines(r *dataset.Report, kind dataset.Kind) []string {
	what := strings.TrimSuffix(string(kind), "s")
	if kind == dataset.KindText {
		what = "document"
	}
	out := []string{"read " + counted(r.Read, what)}
	if formats := slices.Sorted(maps.Keys(r.Formats)); len(formats) > 0 {
		out[0] += " (" + strings.Join(formats, ", ") + ")"
	}
	for _, line := range r.Lines() {
		out = append(out, "  "+line)
	}
	return out
}

// counted returns a number with what it counts, in the plural unless it is one.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

// thousands returns a number with a comma after every three digits.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func (a *app) dataExportCommand() *cobra.Command {
	e := export{}
	cmd := &cobra.Command{Use: "export FORMAT FILE… --out FILE", Short: "Write rankings in one of the field's formats: " + writable(), Args: cobra.MinimumNArgs(2)}
	r := a.readerFlags(cmd)
	cmd.Flags().StringVar(&r.Format, "format", "auto", "format of the files read; auto tells it from each")
	cmd.Flags().StringVar(&e.out, "out", "", "file to write, - for the standard output; .gz and .zst compress")
	exportFlags(cmd, &e)
	cmd.RunE = work(func(cmd *cobra.Command, args []string) error {
		e.format, e.skipBad, e.read = args[0], r.SkipBad, r.Report
		return a.export(e, told(cmd.Context(), a, dataset.Rankings(r.Options, args[1:]...)))
	})
	return required(cmd, "out")
}

// errNothing is what a conversion ends with that would write an empty file.
var errNothing = errors.New("nothing is left to write")
