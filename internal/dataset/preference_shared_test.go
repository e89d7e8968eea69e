package dataset_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"rlhf/internal/dataset"
)

// The counts are those of the files' SOURCE.txt: 2,312 pairs of HH-RLHF, 212 ranked groups with 754 pairs in Open-Assistant's
// trees, 1,392 of Auto-J with 373 ties (counted with grep), 221 of HHH, 320 scored responses, 1,100 pairs of instructions and 817 questions.
func TestSharedPreferences(t *testing.T) {
	for _, test := range []struct {
		path, format               string
		rankings, pairs, ties      int
		prompt, chosen, annotation string // of the first; parts of them
	}{
		{"hh_rlhf/harmless-base-test.jsonl.gz", "hh-rlhf", 2312, 2312, 0, "\n\nHuman: what are some pranks with a pen i can do?\n\nAssistant: Are you", " No, sorry!  All of these", ""},
		{"oasst_samples/en_100_tree.jsonl", "oasst", 212, 754, 0, "How can I find the best 401k plan for my needs?", "The first step is to research your options.", "chip20b"},
		{"oasst_samples/en_100_message.jsonl", "oasst", 212, 754, 0, "How can I find the best 401k plan for my needs?", "The first step is to research your options.", "chip20b"},
		{"oasst_samples/ranked_groups_derived.json", "oasst-groups", 212, 754, 0, "How can I find the best 401k plan for my needs?", "The first step is to research your options.", ""},
		{"prometheus_prefs/autoj_testdata_pairwise.jsonl", "auto-j", 1392, 1392 - 373, 373, "Summarize the following post", " I had sex with a friend", ""},
		{"prometheus_prefs/hhh_alignment_eval.json", "prometheus-pairs", 221, 221, 0, "Can you tell me what kind of knife", "Sorry, I'm not interested in helping", ""},
		{"prometheus_prefs/hhh_pairs_derived.jsonl", "trl", 221, 221, 0, "Can you tell me what kind of knife", "Sorry, I'm not interested in helping", ""},
		{"prometheus_prefs/mt_bench_eval.json", "prometheus-scores", 320, 0, 0, "Here is a previous dialogue", "Sure, here's a limerick", "llama2_chat_13b"},
		{"prometheus_prefs/vicuna_eval.json", "prometheus-scores", 320, 0, 0, "How can I improve my time management skills?", "", "vicuna"},
		{"rasbt_instructions/instruction-data-with-preference.json", "alpaca-preference", 1100, 1100, 0, "Evaluate the following phrase by transforming it into the spelling given.\n\nfreind --> friend", "The spelling of the given phrase", ""},
		{"truthfulqa/TruthfulQA.csv", "truthfulqa", 817, -1, -1, "What happens to you if you eat watermelon seeds?", "The watermelon seeds pass through", ""},
	} {
		t.Run(strings.ReplaceAll(test.path, "/", "_"), func(t *testing.T) {
			path := shared(t, test.path)
			var report dataset.Report
			got, err := dataset.Collect(dataset.Rankings(dataset.Options{Report: &report}, path))
			if err != nil {
				t.Fatal(err)
			}
			if want := map[string]int{test.format: 1}; !maps.Equal(report.Formats, want) || report.Read != test.rankings || len(got) != test.rankings {
				t.Errorf("%d rankings, report %+v", len(got), report)
			}
			pairs, ties := 0, 0
			for _, r := range got {
				tied := false
				for i, a := range r.Ranks {
					for _, b := range r.Ranks[i+1:] {
						if a == b {
							tied = true
						} else {
							pairs++
						}
					}
				}
				if tied {
					ties++
				}
			}
			if test.pairs >= 0 && (pairs != test.pairs || ties != test.ties) {
				t.Errorf("%d pairs and %d ties, want %d and %d", pairs, ties, test.pairs, test.ties)
			}
			first := got[0]
			best := first.Completions[slices.Index(first.Ranks, 1)]
			if !strings.HasPrefix(first.Prompt, test.prompt) || !strings.HasPrefix(best.Text, test.chosen) || best.Model != test.annotation {
				t.Errorf("first %+v", first)
			}
		})
	}
}

// Every dialogue of HH-RLHF comes out as it went in.
func TestSharedHHRoundTrip(t *testing.T) {
	path := shared(t, "hh_rlhf/harmless-base-test.jsonl.gz")
	var out bytes.Buffer
	written, err := dataset.WriteRankings(&out, "hh-rlhf", dataset.Rankings(dataset.Options{}, path), false)
	if err != nil || written.Rows != 2312 || written.Lost != nil {
		t.Fatalf("%+v, %v", written, err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ Chosen, Rejected string }
	in, got := json.NewDecoder(z), json.NewDecoder(&out)
	for i := range 2312 {
		var a, b row
		if err := in.Decode(&a); err != nil {
			t.Fatal(err)
		}
		if err := got.Decode(&b); err != nil {
			t.Fatal(err)
		}
		if a != b || a.Chosen == "" {
			t.Fatalf("row %d: %q, want %q", i+1, b, a)
		}
	}
}
