package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"

	"rlhf/internal/dataset"
	"rlhf/storage"
)

// Exporting says what goes out, and how.
type Exporting struct {
	Project   storage.Project // the zero Project takes the rankings of all
	Format    string          // a name in dataset.Writable
	Names     bool            // labelers by name; else by pseudonym
	Decisions bool            // the reviewers' decisions too, as rankings with the flag Decision
	SkipBad   bool            // count rankings that the format cannot hold, and go on
}

// Decision is the flag of a ranking that is a reviewer's decision.
const Decision = "decision"

// Manifest says what a file of rankings holds. The counts of rankings, tasks, labelers, completions and ties are those of
// the database, counted again in the transaction that the rankings were read in.
type Manifest struct {
	File    string `json:"file,omitempty"`
	Project string `json:"project,omitempty"` // "" for all
	storage.Counts
	Decisions int             `json:"decisions,omitempty"` // that follow the rankings, counted in none of these
	Names     bool            `json:"names,omitempty"`     // labelers are called by name, not by pseudonym
	Lines     int             `json:"lines"`
	Bytes     int64           `json:"bytes"`
	SHA256    string          `json:"sha256"`
	Written   dataset.Written `json:"written"` // what the format holds of them, and what it does not
}

// Export writes the rankings as one stream and returns what it wrote. It is an error if what was written is not what the
// database counts.
func Export(ctx context.Context, db Database, w io.Writer, e Exporting) (m Manifest, err error) {
	m = Manifest{Project: e.Project.Name, Names: e.Names}
	f := storage.Filter{Project: e.Project.ID}
	err = db.View(ctx, func(v *storage.View) error {
		var read tally
		out := &measured{w: w, hash: sha256.New()}
		if m.Written, err = dataset.WriteRankings(out, e.Format, e.rankings(ctx, v, f, &read), e.SkipBad); err != nil {
			return err
		}
		if m.Counts, err = v.Count(ctx, f); err != nil {
			return err
		}
		if found := read.counts(); found != m.Counts {
			return fmt.Errorf("wrote %+v, but the database counts %+v: it is damaged, see label check", found, m.Counts)
		}
		if m.Decisions = read.decisions; m.Written.Rankings+m.Written.LeftOut+m.Written.Skipped != m.Counts.Rankings+m.Decisions {
			return fmt.Errorf("wrote %d, left out %d and skipped %d of %d rankings", m.Written.Rankings, m.Written.LeftOut, m.Written.Skipped, m.Counts.Rankings+m.Decisions)
		}
		m.Lines, m.Bytes, m.SHA256 = out.lines, out.bytes, hex.EncodeToString(out.hash.Sum(nil))
		return nil
	})
	return m, err
}

// rankings yields what is exported and counts it.
func (e Exporting) rankings(ctx context.Context, v *storage.View, f storage.Filter, read *tally) iter.Seq2[dataset.Ranking, error] {
	return func(yield func(dataset.Ranking, error) bool) {
		stopped := errors.New("stopped")
		err := v.Rankings(ctx, f, func(r storage.Ranking) error {
			read.add(r)
			if !yield(Exchanged(r, e.Names), nil) {
				return stopped
			}
			return nil
		})
		if err == nil && e.Decisions {
			err = v.Decisions(ctx, f, func(r storage.Ranking) error {
				read.decisions++
				r.Flags = []string{Decision}
				if !yield(Exchanged(r, e.Names), nil) {
					return stopped
				}
				return nil
			})
		}
		if err != nil && !errors.Is(err, stopped) {
			yield(dataset.Ranking{}, err)
		}
	}
}

// tally counts rankings as they are read, by task.
type tally struct {
	storage.Counts
	task      int64
	labelers  map[int64]bool
	decisions int
}

func (t *tally) add(r storage.Ranking) {
	if r.TaskID != t.task {
		t.Tasks++
		t.task = r.TaskID
	}
	if t.labelers == nil {
		t.labelers = map[int64]bool{}
	}
	t.labelers[r.LabelerID] = true
	t.Rankings++
	t.Completions += len(r.Completions)
	best := 0
	for _, rank := range r.Ranks {
		best = max(best, rank)
	}
	if best < len(r.Ranks) && !r.Choice { // ranks have no gap
		t.Ties++
	}
	if r.Extra {
		t.Extra++
	}
}

func (t *tally) counts() storage.Counts {
	c := t.Counts
	c.Labelers = len(t.labelers)
	return c
}

// measured counts and digests what is written through it.
type measured struct {
	w     io.Writer
	hash  hash.Hash
	lines int
	bytes int64
}

func (m *measured) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.hash.Write(p[:n])
	m.bytes += int64(n)
	m.lines += bytes.Count(p[:n], []byte{'\n'})
	return n, err
}
