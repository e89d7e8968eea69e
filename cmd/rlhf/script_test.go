package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// damage clears the second half of a file but for its last 4096 bytes: damage FILE.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	raw := []byte(ts.ReadFile(args[0]))
	clear(raw[len(raw)/2 : len(raw)-4096])
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

// peerModel copies a model that PyTorch or transformers wrote, one of gpt/hf/testdata, into the work directory: peermodel NAME.
func peerModel(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.CopyFS(ts.MkAbs(args[0]), os.DirFS(filepath.Join(testdata, args[0]))))
}

// testdata is gpt/hf/testdata; scripts run elsewhere.
var testdata, _ = filepath.Abs("../../gpt/hf/testdata")

// killed runs rlhf as its arguments say, with --out OUT, kills it (SIGKILL) again and again at random moments,
// resumes it, and at last lets it end: killed OUT arguments…
func killed(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath("rlhf")
	ts.Check(err)
	command := func() *exec.Cmd {
		line := append(slices.Clone(args[1:]), "--out", args[0])
		if _, err := os.Stat(ts.MkAbs(filepath.Join(args[0], "config.yaml"))); err == nil {
			line = append(line, "--resume")
		}
		cmd := exec.Command(path, line...)
		cmd.Dir = ts.MkAbs(".")
		cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RLHF_") }) // as for exec in scripts
		return cmd
	}
	kills, longest := 0, 500
	for range 20 {
		cmd := command()
		var said bytes.Buffer
		cmd.Stderr = &said
		ts.Check(cmd.Start())
		moment := time.Duration(20+rand.IntN(longest)) * time.Millisecond
		timer := time.AfterFunc(moment, func() { _ = cmd.Process.Kill() }) // it may have ended
		err := cmd.Wait()
		timer.Stop()
		if err == nil && kills > 0 {
			break
		}
		if err == nil { // it was faster: once more, to be killed sooner
			longest = longest/2 + 1
			ts.Check(os.RemoveAll(ts.MkAbs(args[0])))
			continue
		}
		if cmd.ProcessState.ExitCode() != -1 {
			ts.Fatalf("it failed before it was killed: %s", said.String())
		}
		kills++
	}
	ts.Logf("killed %d times", kills)
	if kills == 0 {
		ts.Fatalf("it was never killed")
	}
	out, err := command().CombinedOutput()
	if err != nil {
		ts.Fatalf("the last resume: %v: %s", err, out)
	}
}

// sameRun compares what two runs left, byte by byte, but for times: samerun A B.
func sameRun(ts *testscript.TestScript, _ bool, args []string) {
	var files [2]map[string]string
	for i, dir := range args {
		files[i] = map[string]string{}
		root := ts.MkAbs(dir)
		ts.Check(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil || name == "report.html" { // which tells the memory used
				return err
			}
			raw, err := os.ReadFile(path)
			if name == "metrics.jsonl" {
				raw = times.ReplaceAll(raw, nil)
			}
			files[i][name] = string(raw)
			return err
		}))
	}
	for _, name := range slices.Sorted(maps.Keys(files[0])) {
		if other, ok := files[1][name]; !ok || other != files[0][name] {
			ts.Fatalf("%s differs, or is in one run only", name)
		}
		delete(files[1], name)
	}
	if len(files[1]) > 0 {
		ts.Fatalf("%s has also %v", args[1], slices.Collect(maps.Keys(files[1])))
	}
}

var times = regexp.MustCompile(`"time/[^,}]*`)
