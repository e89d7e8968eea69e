package report

import (
	"bytes"
	"fmt"
	"os"
)

// WriteFile renders the page into a file. The file appears whole or not at all.
func WriteFile(path string, p Page) error {
	var b bytes.Buffer
	if err := Render(&b, p); err != nil {
		return err
	}
	return WriteWhole(path, b.Bytes())
}

// WriteWhole writes data to path by way of path.partial, so that path never holds a
// part of them. What a killed process leaves of that, the next one replaces.
func WriteWhole(path string, data []byte) error {
	f, err := os.Create(path + ".partial")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // fails, rightly, once renamed
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
