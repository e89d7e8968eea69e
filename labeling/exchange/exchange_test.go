package exchange_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rlhf/internal/dataset"
	"rlhf/labeling/exchange"
	"rlhf/storage"
)

func open(t testing.TB) *storage.DB {
	t.Helper()
	db, err := storage.Open(context.Background(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func project(t testing.TB, db *storage.DB) storage.Project {
	t.Helper()
	p, err := db.Project(context.Background(), storage.DefaultProject)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shared returns the path of a data set that stands on some machines beside the repository, or under RLHF_SHARED.
func shared(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(cmp.Or(os.Getenv("RLHF_SHARED"), filepath.Join("..", "..", "..", "shared")), "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s on this machine", name)
	}
	return path
}

// lines are rankings in a form that does not depend on the order of rankings and of completions: a task lists these in its
// own order, whatever the order in a later labeler's file.
func lines(t *testing.T, list []dataset.Ranking) (out []string) {
	t.Helper()
	for _, r := range list {
		order := make([]int, len(r.Completions))
		keys := make([]string, len(r.Completions))
		for i, c := range r.Completions {
			raw, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			order[i], keys[i] = i, fmt.Sprintf("%s %d %d", raw, r.Ranks[i], slices.Index(r.Shown, i))
		}
		slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(keys[a], keys[b]) })
		s := r
		s.Completions, s.Ranks, s.Shown = nil, nil, nil
		place := make([]int, len(order))
		for to, from := range order {
			s.Completions, s.Ranks = append(s.Completions, r.Completions[from]), append(s.Ranks, r.Ranks[from])
			place[from] = to
		}
		for _, at := range r.Shown {
			s.Shown = append(s.Shown, place[at])
		}
		var b bytes.Buffer
		if err := dataset.WriteRanking(&b, s); err != nil {
			t.Fatal(err)
		}
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out
}

func same(t *testing.T, got, want []dataset.Ranking) {
	t.Helper()
	g, w := lines(t, got), lines(t, want)
	if len(g) != len(w) {
		t.Fatalf("%d rankings, want %d", len(g), len(w))
	}
	for i := range g {
		if g[i] != w[i] {
			t.Fatalf("got  %s\nwant %s", g[i], w[i])
		}
	}
}

func read(t *testing.T, o dataset.Options, path string) []dataset.Ranking {
	t.Helper()
	out, err := dataset.Collect(dataset.Compared(dataset.Rankings(o, path), nil))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

// export writes what a database holds and returns the file.
func export(t *testing.T, db *storage.DB, e exchange.Exporting) (string, exchange.Manifest) {
	t.Helper()
	var b bytes.Buffer
	m, err := exchange.Export(context.Background(), db, &b, e)
	if err != nil {
		t.Fatalf("%s: %v", e.Format, err)
	}
	ext := ".jsonl"
	if strings.HasPrefix(b.String(), "[") || e.Format == "llm-comparator" {
		ext = ".json"
	}
	path := filepath.Join(t.TempDir(), e.Format+ext)
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path, m
}

// through checks that everything of a file comes through the database, and returns it with what the import came to.
func through(t *testing.T, path string, o dataset.Options) (*storage.DB, exchange.Imported) {
	t.Helper()
	db := open(t)
	in, err := exchange.Rankings(context.Background(), db, exchange.Importing{Project: project(t, db), Read: o, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	out, m := export(t, db, exchange.Exporting{Format: "rankings"})
	var want []dataset.Ranking
	for _, r := range read(t, o, path) {
		if k := len(r.Completions); k <= storage.MaxK {
			want = append(want, r)
		}
	}
	if in.Rankings != len(want) || m.Counts.Rankings != len(want) || m.Lines != len(want) || m.Written.Lost != nil {
		t.Errorf("%+v, manifest %+v, of %d", in, m, len(want))
	}
	same(t, read(t, dataset.Options{Format: "rankings"}, out), want)
	return db, in
}

// Every real file comes through the database as it is. What the database cannot hold is counted: TruthfulQA has questions of
// more than 9 answers (counted with Python's csv module).
func TestRealFiles(t *testing.T) {
	for _, test := range []struct {
		path     string
		rankings int
		skipped  int
		lost     []exchange.Loss
	}{
		{"hh_rlhf/harmless-base-test.jsonl.gz", 2312, 0, nil},
		{"oasst_samples/en_100_tree.jsonl", 212, 0, nil},
		{"oasst_samples/ranked_groups_derived.json", 212, 0, nil},
		{"prometheus_prefs/autoj_testdata_pairwise.jsonl", 1392, 0, nil},
		{"prometheus_prefs/hhh_alignment_eval.json", 221, 0, nil},
		{"prometheus_prefs/hhh_pairs_derived.jsonl", 221, 0, nil},
		{"rasbt_instructions/instruction-data-with-preference.json", 1100, 0, nil},
		{"truthfulqa/TruthfulQA.csv", 679, 138, nil},
	} {
		t.Run(strings.ReplaceAll(test.path, "/", "_"), func(t *testing.T) {
			_, in := through(t, shared(t, test.path), dataset.Options{SkipBad: true})
			if in.Rankings != test.rankings || in.Skipped != test.skipped || !slices.Equal(in.Lost, test.lost) {
				t.Errorf("%+v", in)
			}
		})
	}
}
