package labeling

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
)

// Client is a labeler's side of the JSON API. It may not be used concurrently.
type Client struct {
	base string
	http http.Client
}

// NewClient returns a client of the server at base, such as "http://127.0.0.1:8080".
func NewClient(base string) *Client {
	jar, _ := cookiejar.New(nil) // fails only for options
	return &Client{base: base, http: http.Client{Jar: jar}}
}

// SignIn begins a session.
func (c *Client) SignIn(ctx context.Context, name, password string) error {
	return c.call(ctx, "/api/session", map[string]string{"name": name, "password": password}, nil)
}

// Task is a task as the client got it.
type Task struct {
	ID          string
	Prompt      string
	Completions []string // in the order shown
}

// Next returns the labeler's next task, or nil when nothing is left.
func (c *Client) Next(ctx context.Context) (*Task, error) {
	var out nextJSON
	if err := c.call(ctx, "/api/tasks/next", struct{}{}, &out); err != nil || out.Task == nil {
		return nil, err
	}
	t := &Task{ID: out.Task.ID, Prompt: out.Task.Prompt.Text}
	for _, x := range out.Task.Completions {
		t.Completions = append(t.Completions, x.Text)
	}
	return t, nil
}

// Rank submits the ranks of a task's completions, in the order shown.
func (c *Client) Rank(ctx context.Context, id string, ranks []int, activeMS int64) error {
	in := rankingJSON{Ranks: slots(ranks), ActiveMS: activeMS, WallMS: activeMS, IdempotencyKey: id}
	for i := range ranks {
		in.Opened = append(in.Opened, slot(i)) // a program has read what it ranks
	}
	return c.call(ctx, "/api/tasks/"+id+"/ranking", in, nil)
}

func (c *Client) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s: %s: %s", path, answer.Status, bytes.TrimSpace(raw))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}
