// Package repotest tests the repository itself: who may import whom, one package
// comment each, no setting without a use, presets that load, files of a readable
// size, and a README that names every package. It has no code of its own but
// what its tests need, and reads files with go/parser rather than by running the
// go command, whose cache would hide a change.
package repotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Root is the repository's directory as seen from this package's tests.
const Root = "../.."

// File is a parsed Go file.
type File struct {
	Path    string // below Root, with slashes
	Package string // directory below Root
	Test    bool
	Syntax  *ast.File
}

// Imports returns the import paths.
func (f File) Imports() (paths []string) {
	for _, i := range f.Syntax.Imports {
		paths = append(paths, strings.Trim(i.Path.Value, `"`))
	}
	return paths
}

// Files parses every Go file of the repository.
func Files() (files []File, err error) {
	set := token.NewFileSet()
	err = Walk(func(path string) error {
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		syntax, err := parser.ParseFile(set, filepath.Join(Root, path), nil, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, File{Path: path, Package: filepath.ToSlash(filepath.Dir(path)), Test: strings.HasSuffix(path, "_test.go"), Syntax: syntax})
		return nil
	})
	return files, err
}

// Walk calls f for every file of the repository that belongs to it.
func Walk(f func(path string) error) error {
	return filepath.WalkDir(Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(Root, path)
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && rel != "." && (name == ".git" || name == ".venv-peers" || name == "bin" || name == "runs" || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		return f(filepath.ToSlash(rel))
	})
}

// Lines returns how many lines a file of the repository has.
func Lines(path string) (int, error) {
	raw, err := os.ReadFile(filepath.Join(Root, path))
	return strings.Count(string(raw), "\n"), err
}
