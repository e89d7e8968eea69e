package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"rlhf/internal/dataset"
)

// exits runs rlhf and checks its exit code and that it says one line: exits CODE TEXT rlhf-arguments…
// The text must be in the line on standard error.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code text arguments…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("rlhf", args[2:]...)
	got := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if text := strings.TrimSuffix(ts.ReadFile("stderr"), "\n"); got != want || !strings.Contains(text, args[1]) || strings.Contains(text, "\n") {
		ts.Fatalf("%v: exit code %d, want %d; said %q, want one line with %q", args[2:], got, want, text, args[1])
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("%v: wrote %q to standard output", args[2:], out)
	}
}

// waits until a file holds a text: waits FILE TEXT.
func waits(ts *testscript.TestScript, _ bool, args []string) {
	for range 3000 {
		if raw, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && bytes.Contains(raw, []byte(args[1])) {
			return
		}
		time.Sleep(10 * time.Millisecond) // between two looks at the file
	}
	ts.Fatalf("%s never held %q", args[0], args[1])
}

// flipBit damages a file: flipbit FILE.
func flipBit(ts *testscript.TestScript, _ bool, args []string) {
	raw := []byte(ts.ReadFile(args[0]))
	raw[len(raw)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o666))
}

// writeBytes writes a file of any bytes, written as in a Go string: bytes FILE TEXT.
func writeBytes(ts *testscript.TestScript, _ bool, args []string) {
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o666))
}

// reviewFiles writes the first embedded reviews as a user's own files would be: reviews.jsonl of {"text"},
// demonstrations.jsonl of {"prompt","completion"} and prompts.jsonl of {"prompt"}.
func reviewFiles(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	reviews, err := dataset.Reviews()
	ts.Check(err)
	var files [3]bytes.Buffer
	for _, r := range reviews[:n] {
		words := strings.SplitAfterN(r.Text, " ", 4)
		if len(words) < 4 {
			continue
		}
		prompt := strings.TrimSpace(strings.Join(words[:3], ""))
		for i, line := range []map[string]string{{"text": r.Text}, {"prompt": prompt, "completion": " " + words[3]}, {"prompt": prompt}} {
			ts.Check(json.NewEncoder(&files[i]).Encode(line))
		}
	}
	for i, name := range []string{"reviews.jsonl", "demonstrations.jsonl", "prompts.jsonl"} {
		ts.Check(os.WriteFile(ts.MkAbs(name), files[i].Bytes(), 0o666))
	}
}
