package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Source is a file that data comes from.
type Source struct {
	Name   string `json:"name"`   // without its directory
	SHA256 string `json:"sha256"` // of its bytes, in hexadecimal digits
	Bytes  int64  `json:"bytes"`
}

// Sources returns the files that paths name for data of a kind, in the order in
// which they are read, each with the digest of its content. Standard input is an
// error: it cannot be read twice.
func Sources(o Options, kind Kind, paths ...string) (out []Source, err error) {
	o.Report = nil // who reads the files reports
	files, err := o.files(kind, paths)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		for _, path := range []string{f.Path, f.Beside} {
			if path == "" {
				continue
			}
			s, err := SourceOf(path)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// SourceOf returns one file with the digest of its content. Standard input is an error.
func SourceOf(path string) (Source, error) {
	if path == "-" {
		return Source{}, fmt.Errorf("-: standard input cannot be learnt from, which takes more than one reading: write it to a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return Source{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return Source{filepath.Base(path), hex.EncodeToString(h.Sum(nil)), n}, err
}
