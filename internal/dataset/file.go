package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// File is one input of a reader. It is opened at its first use.
type File struct {
	Path   string // "-" is the standard input
	Beside string // a second file that the first is read with; "" if none

	listed bool // found in a directory
	stdin  io.Reader
	in     *bufio.Reader
	packed bool // compressed
	close  []func()
}

// Window is how far a file can be looked into before it is read.
const Window = 256 << 10

// Ext returns the extension of the file's name below that of its compression, in lower case.
func (f *File) Ext() string {
	name := strings.ToLower(f.Path)
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	return filepath.Ext(name)
}

// Reader returns the content, decompressed and without a byte order mark. It is the same reader at every call.
func (f *File) Reader() (*bufio.Reader, error) {
	if f.in != nil {
		return f.in, nil
	}
	raw, err := f.open()
	if err != nil {
		return nil, err
	}
	packed := bufio.NewReaderSize(raw, 64<<10)
	in, err := f.unpack(packed)
	f.packed = in != io.Reader(packed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	f.in = bufio.NewReaderSize(in, Window)
	switch mark, _ := f.in.Peek(3); {
	case bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")):
		_, err = f.in.Discard(3)
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		err = fmt.Errorf("%s: found UTF-16, expected UTF-8", f.Path)
	}
	return f.in, err
}

func (f *File) open() (io.Reader, error) {
	if f.Path == "-" {
		if f.stdin == nil {
			return nil, errors.New("-: standard input cannot be read here")
		}
		return f.stdin, nil
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	f.close = append(f.close, func() { file.Close() })
	return file, nil
}

// unpack decompresses what gzip or zstd wrote, whatever the name says; a name that promises what the file is not is an error.
func (f *File) unpack(in *bufio.Reader) (io.Reader, error) {
	magic, _ := in.Peek(4)
	ext := strings.ToLower(filepath.Ext(f.Path))
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		return unpacked{z}, err
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}), ext == ".zst" && len(magic) == 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:], []byte{0x2a, 0x4d, 0x18}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		f.close = append(f.close, z.Close)
		return unpacked{z}, nil
	case ext == ".gz" || ext == ".zst":
		return nil, fmt.Errorf("found %q at its beginning, expected a %s file", magic, ext)
	}
	return in, nil
}

// unpacked reads what was compressed. Its end before its time is an error unlike that of a file which is shorter than wanted.
type unpacked struct{ in io.Reader }

func (u unpacked) Read(p []byte) (int, error) {
	n, err := u.in.Read(p)
	if err == io.ErrUnexpectedEOF {
		err = errors.New("found the end of the file inside its compressed data")
	}
	return n, err
}

// Close ends the use of a file.
func (f *File) Close() {
	for _, c := range slices.Backward(f.close) {
		c()
	}
	f.close, f.in = nil, nil
}

// bad returns the error of a record.
func (f *File) bad(line int, err error) error { return &Bad{f.Path, line, err} }

// fatal returns an error after which nothing of the file can be read.
func (f *File) fatal(line int, err error) error {
	return fmt.Errorf("%s: %w", place(f.Path, line), err)
}

// expand returns the files that paths name. A directory stands for those below it, in the order of their names,
// that have one of the extensions; the others are reported.
func expand(o Options, extensions []string, paths []string) (out []*File, err error) {
	for _, path := range paths {
		if path == "-" {
			out = append(out, &File{Path: path, stdin: o.Stdin})
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, &File{Path: path})
			continue
		}
		found, err := walk(o, extensions, path)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no file below it has one of the extensions %s", path, strings.Join(extensions, " "))
		}
		out = append(out, found...)
	}
	return out, nil
}

// walk returns the files below a directory. Names that begin with a period are passed over.
func walk(o Options, extensions []string, dir string) (out []*File, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := path != dir && strings.HasPrefix(d.Name(), ".")
		switch {
		case d.IsDir() && hidden:
			return fs.SkipDir
		case d.IsDir() || hidden:
			return nil
		}
		f := &File{Path: path, listed: true}
		info, err := os.Stat(path) // through a link
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() && slices.Contains(extensions, f.Ext()) {
			out = append(out, f)
		} else {
			o.Report.ignore(path)
		}
		return nil
	})
	return out, err
}
