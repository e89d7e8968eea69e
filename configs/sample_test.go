package configs

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func sampleFlags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(f, "sample", "chat")
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

// A list comes from YAML, from a flag given several times, and from the environment as YAML; the last source has all of it.
func TestLists(t *testing.T) {
	s := Sources{}
	want := func(stop []string, ids []int, origin string) {
		t.Helper()
		r, err := Load(s)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r.Sample.Stop, stop) || !reflect.DeepEqual(r.Sample.StopTokens, ids) || !strings.Contains(r.Origin("sample.stop"), origin) {
			t.Errorf("stop %q from %q, ids %v, want %q from %q, %v", r.Sample.Stop, r.Origin("sample.stop"), r.Sample.StopTokens, stop, origin, ids)
		}
		for _, origins := range []bool{false, true} {
			if strings.HasPrefix(origin, "environment") {
				break // which would win over the file
			}
			again, err := Load(Sources{File: file(t, string(r.YAML(origins)))})
			if err != nil || !reflect.DeepEqual(again.Config, r.Config) {
				t.Errorf("printed settings read back as %v, %v", again.Sample, err)
			}
		}
	}
	want(nil, nil, "default")
	s.File = file(t, "sample:\n  stop: [\"\\nUser:\", 'a, \"b\"', \"#\"]\n  stop_tokens:\n    - 7\n    - 0\n")
	want([]string{"\nUser:", `a, "b"`, "#"}, []int{7, 0}, "c.yaml:2")
	t.Setenv("RLHF_SAMPLE_STOP", `["x: y", "z"]`)
	want([]string{"x: y", "z"}, []int{7, 0}, "environment RLHF_SAMPLE_STOP")
	t.Setenv("RLHF_SAMPLE_STOP", "")
	s.Flags = sampleFlags(t, "--sample.stop", "one, two", "--sample.stop", "\"\n", "--sample.stop_tokens", "3")
	want([]string{"one, two", "\"\n"}, []int{3}, "flag --sample.stop")
	s = Sources{File: file(t, "sample: {stop: []}\n")}
	want(nil, nil, "c.yaml:1")
}

func TestSampleMistakesAreNamed(t *testing.T) {
	for _, test := range []struct{ yaml, want string }{
		{"stop: x", `c.yaml:2: sample.stop: found "x", expected a list of texts`},
		{"stop: [a, 3]", `c.yaml:2: sample.stop: element 1: found "3", expected text`},
		{"stop: [[a]]", "sample.stop: element 0: expected text"},
		{"stop: {a: b}", "expected a list of texts"},
		{"stop: [a, '']", "sample.stop: must not have an empty text"},
		{"stop_tokens: [1.5]", `element 0: found "1.5", expected a whole number`},
		{"stop_tokens: [-1]", "sample.stop_tokens: must be ids from 0 (got -1)"},
		{"top_k: -1", "sample.top_k: must not be negative (got -1)"},
		{"top_p: 0", "sample.top_p: must be above 0 and at most 1 (got 0)"},
		{"min_p: 1.5", "sample.min_p: must be from 0 to 1"},
		{"repetition_penalty: 0", "sample.repetition_penalty: must be above 0"},
		{"max_length: -1", "sample.max_length: must not be negative"},
		{"top_p_within: true", "sample.top_p_within: says nothing without top_p below 1"},
		{"keep_stop: true", "sample.keep_stop: says nothing without stop"},
		{"temperature: 0\n  top_p: 0.9", "sample.top_p: says nothing at temperature 0"},
		{"temperature: 0\n  top_k: 5", "sample.top_k: says nothing at temperature 0"},
		{"temperature: 0\n  min_p: .5", "sample.min_p: says nothing at temperature 0"},
		{"num_beams: 4", "sample.num_beams: a search draws nothing and needs temperature 0 (got num_beams 4, temperature 0.7)"},
		{"num_beams: 0", "sample.num_beams: must be at least 1"},
		{"num_beams: 2\n  temperature: 0", "sample.n: must be at most num_beams 2 (got 4)"},
		{"length_penalty: 2", "sample.length_penalty: is about beams"},
		{"early_stopping: never", "sample.early_stopping: is about beams"},
		{"early_stopping: true", `sample.early_stopping: found "true", expected text`},
		{"early_stopping: soon", "sample.early_stopping: must be true, false or never"},
	} {
		if _, err := Load(Sources{File: file(t, "sample:\n  "+test.yaml+"\n")}); err == nil || !errors.Is(err, ErrSetting) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.yaml, err, test.want)
		}
	}
	if _, err := Load(Sources{File: file(t, "chat:\n  top_p: 2\n")}); err == nil || !strings.Contains(err.Error(), "chat.top_p: must be above 0") {
		t.Errorf("chat: %v", err)
	}
	if _, err := Load(Sources{Flags: sampleFlags(t, "--sample.stop_tokens", "1", "--sample.stop_tokens", "x")}); err == nil || !strings.Contains(err.Error(), `flag --sample.stop_tokens: found "x", expected a whole number`) {
		t.Errorf("flag: %v", err)
	}
	t.Setenv("RLHF_SAMPLE_STOP", "a b")
	if _, err := Load(Sources{}); err == nil || !strings.Contains(err.Error(), `environment RLHF_SAMPLE_STOP: found "a b", expected a list of texts`) {
		t.Errorf("environment: %v", err)
	}
}
