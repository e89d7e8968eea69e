package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Writer writes records in the project's own formats, one JSON object a line. It writes as it goes and should be given
// a buffered writer.
type Writer struct {
	w      io.Writer
	encode *json.Encoder
	inner  int // bytes of the document that is open
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer) *Writer {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &Writer{w: w, encode: e}
}

// Demonstration writes {"prompt", "completion"} or {"messages", "given"}, with "group" if there is one. "given" is left
// out if it is 0.
func (w *Writer) Demonstration(d Demonstration) error {
	if d.Messages != nil {
		return w.encode.Encode(struct {
			Messages []Message `json:"messages"`
			Given    int       `json:"given,omitempty"`
			Group    string    `json:"group,omitempty"`
		}{d.Messages, d.Given, d.Group})
	}
	return w.encode.Encode(struct {
		Prompt     string `json:"prompt"`
		Completion string `json:"completion"`
		Group      string `json:"group,omitempty"`
	}{d.Prompt, d.Completion, d.Group})
}

// Ranking writes a ranking.
func (w *Writer) Ranking(r Ranking) error { return WriteRanking(w.w, r) }

// Document writes {"text"}, piece by piece.
func (w *Writer) Document(d Document) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d.Text); err != nil {
		return err
	}
	text := b.Bytes()[1 : b.Len()-2] // without the quotes and the line's end
	line := make([]byte, 0, len(text)+16)
	if w.inner == 0 {
		line = append(line, `{"text":"`...)
	}
	line = append(line, text...)
	if d.Last {
		line = append(line, "\"}\n"...)
	}
	w.inner += len(line)
	if w.inner > maxRecord {
		return errors.New("found a document that makes a line of more than 64 MiB, which could not be read again: split it, or use the file as it is")
	}
	if d.Last {
		w.inner = 0
	}
	_, err := w.w.Write(line)
	return err
}
