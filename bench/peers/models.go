package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"rlhf/bench"
)

// modelsCheck is the name of the check that -only selects.
const modelsCheck = "models"

// mostDifference is what two sides that compute in float32 may differ by, in
// log-probs of about 4 and scores of about 1.
const mostDifference = 5e-5

// checkModels writes models and has the peer read them, reads the peer's, and prints
// a table. A difference or a warning is an error.
func checkModels(ctx context.Context, o options, w io.Writer) error {
	dir, err := os.MkdirTemp("", "bench-models-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ask := bench.Models{Ours: filepath.Join(dir, "ours"), Theirs: filepath.Join(dir, "theirs")}
	if err := bench.WriteModels(ask.Ours); err != nil {
		return err
	}
	peer, err := startPeer(ctx, o)
	if err != nil {
		return err
	}
	defer peer.Close()
	reply, err := peer.Ask(bench.Request{Models: &ask})
	if err != nil {
		return err
	}
	theirs, err := bench.CheckModels(ask.Theirs)
	if err != nil {
		return err
	}
	fmt.Fprint(w, "| written by | read by | model | largest difference of log-probs or scores | warnings |\n|---|---|---|---|---|\n")
	bad := 0
	for _, side := range []struct {
		writer, reader string
		checks         []bench.ModelCheck
	}{{"rlhf", "transformers", reply.Models}, {"transformers, PyTorch", "rlhf", theirs}} {
		if len(side.checks) == 0 {
			return errors.New("a side read no model")
		}
		for _, c := range side.checks {
			said := "none"
			if len(c.Warnings) > 0 {
				said = strings.ReplaceAll(strings.Join(c.Warnings, "; "), "\n", " ")
			}
			if fmt.Fprintf(w, "| %s | %s | %s | %.1e | %s |\n", side.writer, side.reader, c.Name, c.Difference, said); !(c.Difference <= mostDifference) || len(c.Warnings) > 0 {
				bad++
			}
		}
	}
	fmt.Fprintln(w)
	if bad > 0 {
		return fmt.Errorf("%d models differ by more than %g or came with a warning", bad, mostDifference)
	}
	return nil
}
