package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"rlhf/internal/kernel"
)

// Request is one line to a worker: a case to measure for some seconds, or, with
// Hello, a question for its versions. Its first case the worker builds, warms up
// and keeps; with Seconds 0 it does no more than that.
type Request struct {
	Hello   bool    `json:"hello,omitempty"`
	Case    *Case   `json:"case,omitempty"`
	Variant string  `json:"variant,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Models  *Models `json:"models,omitempty"` // to a peer: instead of all these
}

// Models asks a peer to read the models that WriteModels wrote below Ours, and to
// write models of its own, with what it computes, below Theirs.
type Models struct {
	Ours   string `json:"ours"`
	Theirs string `json:"theirs"`
}

// Reply is one line from a worker.
type Reply struct {
	Rate     float64           `json:"rate"`             // of the kind's unit
	GFlops   float64           `json:"gflops"`           // 10⁹ operations a second; 0 if not counted
	PeakRSS  float64           `json:"peak_rss_mib"`     // of the worker's life; 0 if unknown
	Digest   string            `json:"digest,omitempty"` // of what the last iteration made, where sides must agree
	Versions map[string]string `json:"versions,omitempty"`
	Models   []ModelCheck      `json:"models,omitempty"`
	Error    string            `json:"error,omitempty"`
}

// Serve is a worker of ours: it answers requests until in ends.
func Serve(in io.Reader, out io.Writer) error {
	var work *Work
	lines, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var request Request
		if err := lines.Decode(&request); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		reply, err := answer(request, &work)
		if err != nil {
			reply.Error = err.Error()
		}
		if err := replies.Encode(reply); err != nil {
			return err
		}
	}
	if work != nil {
		work.Close()
	}
	return nil
}

// answer measures; the first time it builds the workload and warms it up first.
func answer(request Request, work **Work) (Reply, error) {
	c := request.Case
	if c == nil {
		return Reply{}, errors.New("a request needs a case")
	}
	if *work == nil {
		kernel.SetThreads(c.Threads)
		w, err := Open(*c)
		if err != nil {
			return Reply{}, err
		}
		*work = &w
		for range c.Warmups {
			if _, err := w.Iterate(); err != nil {
				return Reply{}, err
			}
		}
	}
	if request.Seconds == 0 {
		return Reply{PeakRSS: PeakRSS()}, nil
	}
	return Measure(**work, request.Seconds)
}

// Measure runs iterations until so many seconds have passed, at least one.
func Measure(w Work, seconds float64) (Reply, error) {
	n, total, start := 0, 0.0, time.Now()
	for n == 0 || time.Since(start).Seconds() < seconds {
		flops, err := w.Iterate()
		if err != nil {
			return Reply{}, err
		}
		n, total = n+1, total+flops
	}
	elapsed := time.Since(start).Seconds()
	reply := Reply{Rate: w.Items * float64(n) / elapsed, GFlops: total / elapsed / 1e9, PeakRSS: PeakRSS()}
	if w.Digest != nil {
		reply.Digest = w.Digest()
	}
	return reply, nil
}

// Worker is a process that answers requests. It may not be used concurrently.
type Worker struct {
	Busiest float64 // processors that other processes used during a measurement, the most so far
	Awake   float64 // processors that this worker used while nobody asked, the most so far

	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	asleep  time.Time     // since when nobody asks
	settled time.Duration // processor time it had used by then
}

// Start starts a worker: a program that reads requests from its standard input
// and writes replies to its standard output. It is killed when ctx ends.
func Start(ctx context.Context, program string, args ...string) (*Worker, error) {
	w := &Worker{cmd: exec.CommandContext(ctx, program, args...)}
	w.cmd.Stderr = os.Stderr
	in, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.in, w.out = in, bufio.NewReader(out)
	return w, w.cmd.Start()
}

// StartOurs starts a worker of this program, which calls Serve when its first argument is "-child".
func StartOurs(ctx context.Context) (*Worker, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return Start(ctx, program, "-child")
}

// Ask sends a request and waits for the reply. An error of the worker's is an error.
func (w *Worker) Ask(request Request) (Reply, error) {
	w.wake()
	line, err := json.Marshal(request)
	if err != nil {
		return Reply{}, err
	}
	start, busy, own := time.Now(), busyTime(), processTime(w.cmd.Process.Pid)
	if _, err := w.in.Write(append(line, '\n')); err != nil {
		return Reply{}, err
	}
	answer, err := w.out.ReadBytes('\n')
	if err != nil {
		return Reply{}, fmt.Errorf("the worker ended without an answer: %w", err)
	}
	w.settled, w.asleep = processTime(w.cmd.Process.Pid), time.Now()
	if others := (busyTime() - busy) - (w.settled - own); request.Seconds > 0 {
		w.Busiest = max(w.Busiest, others.Seconds()/time.Since(start).Seconds())
	}
	var reply Reply
	if err := json.Unmarshal(answer, &reply); err != nil {
		return Reply{}, fmt.Errorf("the worker's answer %q: %w", answer, err)
	}
	if reply.Error != "" {
		return Reply{}, fmt.Errorf("the worker says: %s", reply.Error)
	}
	return reply, nil
}

// wake notes how busy the worker was since its last answer.
func (w *Worker) wake() {
	if since := time.Since(w.asleep); !w.asleep.IsZero() && since > time.Second {
		used := processTime(w.cmd.Process.Pid) - w.settled
		w.Awake = max(w.Awake, used.Seconds()/since.Seconds())
	}
}

// Close ends the worker and waits for it.
func (w *Worker) Close() error {
	w.in.Close()
	return w.cmd.Wait()
}
