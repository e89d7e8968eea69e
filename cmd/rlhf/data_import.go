package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rlhf/internal/dataset"
)

// conversion is one run of data import.
type conversion struct {
	app   *app
	read  *reader
	kind  dataset.Kind
	files []string
	sieve *dataset.Sieve
	split *dataset.Split
	out   *outputs
	n     int // records read, for errors
}

func (a *app) dataImportCommand() *cobra.Command {
	var out, parts string
	var filter dataset.Filter
	split := dataset.Split{}
	cmd := &cobra.Command{Use: "import FORMAT FILE… --out FILE", Short: "Convert data into the project's own JSON lines; FORMAT is one of data formats, or auto", Args: cobra.MinimumNArgs(2)}
	r := a.readerFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "file to write, - for the standard output; .gz and .zst compress")
	f.StringVar(&parts, "split", "", "parts with their shares, like train=.9,eval=.1: each is written to a file with its name before the extension")
	f.Uint64Var(&split.Seed, "seed", 1, "seed of the split")
	f.StringVar(&split.By, "by", "prompt", "what the split keeps together: records of one prompt, of one group, or none")
	f.IntVar(&filter.Dedup, "dedup", 0, "keep the first of the records whose prompts begin with the same so many characters; 0 keeps all")
	f.BoolVar(&filter.Exact, "dedup_exact", false, "keep the first of the records that are all the same")
	f.IntVar(&filter.MaxPerGroup, "max_per_group", 0, "keep the first so many records of a group; 0 keeps all")
	f.IntVar(&filter.MinChars, "min_chars", 0, "drop records with fewer characters")
	f.IntVar(&filter.MaxChars, "max_chars", 0, "drop records with more characters; 0 keeps all")
	f.IntVar(&filter.MinTokens, "min_tokens", 0, "drop records with fewer tokens of --tokenizer")
	f.IntVar(&filter.MaxTokens, "max_tokens", 0, "drop records with more tokens of --tokenizer; 0 keeps all")
	cmd.RunE = work(func(cmd *cobra.Command, args []string) error {
		r.Format = args[0]
		if err := r.ready(); err != nil {
			return err
		}
		filter.Tokens = r.tokens
		if err := filter.Validate(); err != nil {
			return err
		}
		c := &conversion{app: a, read: r, files: args[1:], sieve: dataset.NewSieve(filter), split: &split}
		var err error
		if parts != "" {
			if split.Parts, err = dataset.ParseParts(parts); err != nil {
				return err
			}
		}
		if err := split.Validate(); err != nil {
			return err
		}
		if c.kind, err = r.kind(c.files); err != nil {
			return err
		}
		if c.out, err = a.create(out, split.Parts); err != nil {
			return err
		}
		defer c.out.discard()
		return c.run(cmd.Context())
	})
	return required(cmd, "out")
}

// run converts, and writes everything or nothing.
func (c *conversion) run(ctx context.Context) error {
	var err error
	switch o := c.read.Options; c.kind {
	case dataset.KindText:
		err = c.documents(ctx)
	case dataset.KindDemonstrations:
		for d, e := range told(ctx, c.app, dataset.Demonstrations(o, c.files...)) {
			if err = c.record(d, e, func(w *dataset.Writer) error { return w.Demonstration(d) }); err != nil {
				break
			}
		}
	case dataset.KindRankings:
		for r, e := range told(ctx, c.app, dataset.Rankings(o, c.files...)) {
			if err = c.record(r, e, func(w *dataset.Writer) error { return w.Ranking(r) }); err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	total := 0
	for _, p := range c.out.parts {
		total += p.count
	}
	if total == 0 {
		c.report()
		return errNothing
	}
	if err := c.out.commit(); err != nil {
		return err
	}
	c.report()
	var list []string
	for _, p := range c.out.parts {
		list = append(list, fmt.Sprintf("%s to %s", thousands(p.count), p.path))
	}
	c.app.say("wrote %s", strings.Join(list, ", "))
	return nil
}

// record filters a record and writes it to its part.
func (c *conversion) record(r dataset.Record, err error, write func(*dataset.Writer) error) error {
	if err != nil {
		return err
	}
	c.n++
	keep, err := c.sieve.Keep(r)
	if err != nil {
		return fmt.Errorf("record %d: %w", c.n, err)
	}
	if !keep {
		return nil
	}
	p, err := c.part(r)
	if err != nil {
		return fmt.Errorf("record %d: %w", c.n, err)
	}
	p.count++
	return write(p.writer)
}

// part returns where a record goes.
func (c *conversion) part(r dataset.Record) (*output, error) {
	if len(c.out.parts) == 1 {
		return c.out.parts[0], nil
	}
	i, err := c.split.Part(r)
	return c.out.parts[i], err
}

// documents converts texts, whose pieces stay together.
func (c *conversion) documents(ctx context.Context) error {
	var to *output // of the document that is open
	for d, err := range c.sieve.Documents(told(ctx, c.app, dataset.Texts(c.read.Options, c.files...))) {
		if err != nil {
			return err
		}
		if to == nil {
			if to, err = c.part(d); err != nil {
				return err
			}
		}
		if err := to.writer.Document(d); err != nil {
			return err
		}
		if d.Last {
			to.count++
			to = nil
		}
	}
	return nil
}

// report says what was read and what was dropped.
func (c *conversion) report() {
	c.app.tell(c.read.Report, c.kind)
	for _, line := range c.sieve.Dropped.Lines() {
		c.app.say("  %s", line)
	}
}
