package dataset_test

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"rlhf/internal/dataset"
)

// shared returns the path of a data set that stands on some machines beside the repository, or under RLHF_SHARED, and is no part of it.
func shared(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(cmp.Or(os.Getenv("RLHF_SHARED"), filepath.Join("..", "..", "..", "shared")), "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s on this machine", name)
	}
	return path
}

// The counts come from the data sets' descriptions and from PyYAML 6.0.4, Python's csv and json modules over the same files.
func TestRealData(t *testing.T) {
	for _, test := range []struct {
		name, file string
		options    dataset.Options
		want       int
		skipped    int
		groups     int
		notes      map[string]int
	}{
		// 201 conversations, 669 lines of which one has no text
		{"cornell", "cornell_m0", dataset.Options{}, 467, 0, 1, map[string]int{"lines without text in conversations": 1, "pairs left out for a line that is empty or missing": 1}},
		{"truthfulqa", "truthfulqa/TruthfulQA.csv", dataset.Options{}, 817, 0, 38, nil},
		{"truth finetuning", "truthfulqa/finetune_truth.jsonl", dataset.Options{}, 22434, 0, 0, nil},
		{"self-instruct", "self_instruct/seed_tasks.jsonl", dataset.Options{}, 175, 0, 175, nil},
		{"alpaca", "rasbt_instructions/instruction-data.json", dataset.Options{}, 1100, 0, 0, nil},
		// the sum over all files of lines less one; trivia.yml has a conversation that is no list
		{"chatterbot", "chatterbot_corpus", dataset.Options{SkipBad: true}, 2306, 1, 21, nil},
		{"chatterbot whole", "chatterbot_corpus", dataset.Options{SkipBad: true, Talk: dataset.TalkOptions{As: "whole"}}, 2025, 1, 21, nil},
		{"trees", "oasst_samples/en_100_tree.jsonl", dataset.Options{}, 100, 0, 100, nil},
		{"all paths", "oasst_samples/en_100_tree.jsonl", dataset.Options{Trees: dataset.TreeOptions{Paths: "all"}}, 546, 0, 100, nil},
		{"messages", "oasst_samples/en_100_message.jsonl", dataset.Options{}, 100, 0, 100, nil},
		{"german", "oasst_samples/en_100_tree.jsonl", dataset.Options{Trees: dataset.TreeOptions{Lang: "de"}}, 0, 0, 0, map[string]int{"trees left out whose language is another than de": 100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var report dataset.Report
			test.options.Report = &report
			got, err := dataset.Collect(dataset.Demonstrations(test.options, shared(t, test.file)))
			if err != nil {
				t.Fatal(err)
			}
			groups, notes := map[string]bool{}, map[string]int(nil)
			for _, d := range got {
				if d.Group != "" {
					groups[d.Group] = true
				}
			}
			for what, n := range report.Notes {
				if notes == nil {
					notes = map[string]int{}
				}
				notes[what] = n.Count
			}
			if len(got) != test.want || report.Read != test.want || report.Skipped != test.skipped || len(groups) != test.groups || !maps.Equal(notes, test.notes) {
				t.Errorf("%d demonstrations (read %d, skipped %d) in %d groups, notes %v; %q", len(got), report.Read, report.Skipped, len(groups), notes, report.Lines())
			}
		})
	}
}
