package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rlhf/internal/dataset"
)

// preferenceFlags adds the flags that say how files of preferences are read.
func (a *app) preferenceFlags(cmd *cobra.Command) *dataset.Options {
	o := a.reading()
	o.Report = &dataset.Report{}
	formatFlag(cmd, &o)
	skipFlag(cmd, &o)
	return &o
}

// preferences reads rankings of any format. Completions that were judged alone are compared with the others of their
// prompt. What was left out is said.
func (a *app) preferences(ctx context.Context, o *dataset.Options, files []string) (out []dataset.Ranking, err error) {
	if len(files) == 0 {
		return nil, nil
	}
	for r, err := range dataset.Compared(told(ctx, a, dataset.Rankings(*o, files...)), o.Report) {
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	a.tell(o.Report, dataset.KindRankings)
	return out, nil
}

// export is how rankings are written.
type export struct {
	format   string
	out      string
	manifest bool
	skipBad  bool
	read     *dataset.Report // of the files that the rankings come from; nil if they come from a database
}

// manifest is what stands in FILE.manifest.json beside a file of rankings.
type manifest struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	dataset.Written
}

// export writes rankings whole or not at all, and says what the format does not hold of them.
func (a *app) export(e export, seq iter.Seq2[dataset.Ranking, error]) error {
	if e.manifest && e.out == "-" {
		return errors.New("manifest: the standard output has no file to stand beside: name one with --out")
	}
	files, err := a.create(e.out, nil)
	if err != nil {
		return err
	}
	defer files.discard()
	written, err := dataset.WriteRankings(files.parts[0].w, e.format, seq, e.skipBad)
	if err != nil {
		return err
	}
	if err := files.commit(); err != nil {
		return err
	}
	if e.manifest {
		if err := writeManifest(e.out, written); err != nil {
			return err
		}
	}
	if e.read != nil {
		a.tell(e.read, dataset.KindRankings)
	}
	if e.out != "-" {
		a.say("wrote %s as %s of %s to %s", counted(written.Rankings, "ranking"), counted(written.Rows, "row"), e.format, e.out)
	}
	for _, line := range written.Lines() {
		a.say("  %s", line)
	}
	return nil
}

// fileSum returns a file's size and SHA-256.
func fileSum(path string) (size int64, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	if err != nil {
		return 0, "", fmt.Errorf("read %s: %w", path, err)
	}
	return size, hex.EncodeToString(h.Sum(nil)), nil
}

func writeManifest(path string, w dataset.Written) error {
	size, sum, err := fileSum(path)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(manifest{filepath.Base(path), size, sum, w}, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(path+".manifest.json", append(raw, '\n'))
}

// exportFlags adds the flags that say how rankings are written.
func exportFlags(cmd *cobra.Command, e *export) {
	cmd.Flags().BoolVar(&e.manifest, "manifest", false, "write FILE.manifest.json beside the file: its rows, rankings, losses, size and SHA-256")
}

// writable is a flag's list of the formats that rankings are written in.
func writable() string { return strings.Join(dataset.Writable(), ", ") }
