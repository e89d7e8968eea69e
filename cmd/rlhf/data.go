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
		for _, kind := range []dataset.Kind{dataset.KindText, dataset.KindDemonstrations, dataset.KindRankings} {
			fmt.Fprintf(a.out, "%s\n", kind)
			a.listFormats(func(f dataset.Format) (string, bool) {
				return f.As(kind), slices.Contains(f.Kinds(), kind)
			})
			fmt.Fprintln(a.out)
		}
		fmt.Fprintln(a.out, "rankings, only written")
		a.listFormats(func(f dataset.Format) (string, bool) { return f.About, len(f.Kinds()) == 0 })
		return nil
	})}
}

// listFormats prints the formats that show returns something about.
func (a *app) listFormats(show func(dataset.Format) (about string, ok bool)) {
	const indent = 22 // the longest name and two spaces
	for _, f := range dataset.Formats() {
		about, ok := show(f)
		if !ok {
			continue
		}
		for i, line := range wrap(about, 78-indent) {
			fmt.Fprintf(a.out, "  %-*s%s\n", indent, []string{f.Name, ""}[min(i, 1)], line)
		}
	}
}

// reader is what the commands that read data are told about it.
type reader struct {
	dataset.Options
	as        string
	tokenizer string
	tokens    func(string) int // of the tokenizer; nil without one
}

// newReader returns a reader with the one flag that all of these commands have.
func (a *app) newReader(cmd *cobra.Command) *reader {
	r := &reader{Options: dataset.Options{Stdin: bufio.NewReaderSize(a.in, dataset.Window), Report: &dataset.Report{}}}
	skipFlag(cmd, &r.Options)
	return r
}

// readerFlags adds the flags that say how data of any kind is read.
func (a *app) readerFlags(cmd *cobra.Command) *reader {
	r := a.newReader(cmd)
	f := cmd.Flags()
	f.StringVar(&r.as, "as", "", "what to read where a format holds several: text, demonstrations or rankings")
	f.StringVar(&r.Group, "group_field", "", "field of JSON that says what a demonstration belongs to, like a user")
	textFlags(cmd, &r.Options)
	talkFlags(cmd, &r.Options)
	f.StringVar(&r.tokenizer, "tokenizer", "", "directory of a tokenizer to count tokens with")
	return r
}

// check checks the flags, and loads the tokenizer if one is named.
func (r *reader) check() error {
	if err := r.Validate(); err != nil {
		return err
	}
	if !slices.Contains([]dataset.Kind{"", dataset.KindText, dataset.KindDemonstrations, dataset.KindRankings}, dataset.Kind(r.as)) {
		return fmt.Errorf("as: found %q, expected text, demonstrations or rankings", r.as)
	}
	if r.tokenizer == "" {
		return nil
	}
	tok, err := bpe.Load(r.tokenizer)
	if err != nil {
		return failure{err}
	}
	r.tokens = func(text string) int { return len(tok.Encode(text)) }
	return nil
}

// kind returns what to read. A format that holds several kinds must be told which.
func (r *reader) kind(files []string) (dataset.Kind, error) {
	if r.as != "" {
		return dataset.Kind(r.as), nil
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
	r := a.newReader(cmd)
	formatFlag(cmd, &r.Options)
	cmd.Flags().StringVar(&e.out, "out", "", "file to write, - for the standard output; .gz and .zst compress")
	exportFlags(cmd, &e)
	cmd.PreRunE = func(*cobra.Command, []string) error { return r.check() }
	cmd.RunE = work(func(cmd *cobra.Command, args []string) error {
		e.format, e.skipBad, e.read = args[0], r.SkipBad, r.Report
		return a.export(e, told(cmd.Context(), a, dataset.Rankings(r.Options, args[1:]...)))
	})
	return required(cmd, "out")
}

// errNothing is what a conversion ends with that would write an empty file.
var errNothing = errors.New("nothing is left to write")
