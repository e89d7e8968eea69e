package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"rlhf/internal/dataset"
)

// outputs are files that are written as streams under temporary names, and appear all together or not at all.
type outputs struct{ parts []*output }

// output is one of them.
type output struct {
	path   string
	w      io.Writer
	writer *dataset.Writer
	count  int // records written
	file   *os.File
	ends   []func() error // what flushes, from the outside in
}

// create opens the file for every part, whose name stands before the extension of path; without parts it is path, and
// "-" is the standard output.
func (a *app) create(path string, parts []dataset.Part) (*outputs, error) {
	if path == "-" {
		if len(parts) > 0 {
			return nil, errors.New("out: found -, expected a file to name the parts after")
		}
		b := bufio.NewWriter(a.out)
		return &outputs{[]*output{{path: "standard output", w: b, writer: dataset.NewWriter(b), ends: []func() error{b.Flush}}}}, nil
	}
	paths := []string{path}
	if len(parts) > 0 {
		paths = paths[:0]
		for _, p := range parts {
			paths = append(paths, partPath(path, p.Name))
		}
	}
	o := &outputs{}
	for _, path := range paths {
		out, err := createOne(path)
		if err != nil {
			o.discard()
			return nil, err
		}
		o.parts = append(o.parts, out)
	}
	return o, nil
}

// partPath puts a name before the extension of a file's name and that of its compression.
func partPath(path, name string) string {
	dir, base := filepath.Split(path)
	packed := ""
	if ext := filepath.Ext(base); ext == ".gz" || ext == ".zst" {
		base, packed = strings.TrimSuffix(base, ext), ext
	}
	ext := filepath.Ext(base)
	return filepath.Join(dir, strings.TrimSuffix(base, ext)+"."+name+ext+packed)
}

func createOne(path string) (*output, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	o := &output{path: path, file: f}
	var sink io.Writer = f
	switch filepath.Ext(path) {
	case ".gz":
		z := gzip.NewWriter(f)
		sink, o.ends = z, []func() error{z.Close}
	case ".zst":
		z, err := zstd.NewWriter(f)
		if err != nil {
			return nil, err
		}
		sink, o.ends = z, []func() error{z.Close}
	}
	b := bufio.NewWriterSize(sink, 1<<20)
	o.w, o.writer = b, dataset.NewWriter(b)
	o.ends = append([]func() error{b.Flush}, o.ends...)
	return o, nil
}

// commit finishes the files and gives them their names.
func (o *outputs) commit() error {
	for _, p := range o.parts {
		for _, end := range p.ends {
			if err := end(); err != nil {
				return fmt.Errorf("write %s: %w", p.path, err)
			}
		}
		if p.file == nil {
			continue
		}
		if err := errors.Join(p.file.Chmod(0o644), p.file.Sync(), p.file.Close()); err != nil {
			return fmt.Errorf("write %s: %w", p.path, err)
		}
	}
	for _, p := range o.parts {
		if p.file == nil {
			continue
		}
		if err := os.Rename(p.file.Name(), p.path); err != nil {
			return fmt.Errorf("write %s: %w", p.path, err)
		}
	}
	return nil
}

// discard removes what commit did not name.
func (o *outputs) discard() {
	for _, p := range o.parts {
		if p.file != nil {
			p.file.Close()
			os.Remove(p.file.Name()) // fails, rightly, once renamed
		}
	}
}
