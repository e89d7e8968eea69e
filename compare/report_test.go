package compare_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rlhf/compare"
	"rlhf/internal/report"
)

var out = flag.String("out", "", "write an example page to this file, to look at it")

func TestPage(t *testing.T) {
	s := study(t, favour(t, 2, 0), favour(t, 2, 2))
	s.Prompts[0].Text = "a"
	r := run(t, config(), s)
	var b bytes.Buffer
	if err := report.Render(&b, r.Page(5)); err != nil {
		t.Fatal(err)
	}
	if *out != "" {
		if err := os.WriteFile(*out, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	html := b.String()
	for _, want := range []string{
		"before and after compared", "It got better", report.Percent(r.Judge.WinRate), report.Fixed(r.KL, 2), "The first 5 of the 40 prompts",
		"count of c", r.Samples[4].After, "response_length", "under before",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if n := strings.Count(html, `class="pair"`); n != 5 {
		t.Errorf("got %d pairs of samples, want 5", n)
	}
}

func TestVerdict(t *testing.T) {
	tests := []struct {
		wins, losses int
		p, rate      float64
		tone         report.Tone
		want         string
	}{
		{80, 20, 1e-9, 0.8, report.Good, "It got better: the judge prefers after to before in 80.0\u00a0% of 100 answers"},
		{20, 80, 1e-9, 0.2, report.Bad, "It got worse"},
		{52, 48, 0.76, 0.52, report.Neutral, "No clear difference"},
	}
	for _, test := range tests {
		r := compare.Result{Prompts: 100, Judge: compare.JudgeOutcome{Wins: test.wins, Losses: test.losses, WinRate: test.rate, P: test.p}}
		v := r.Verdict()
		if v.Tone != test.tone || !strings.HasPrefix(v.Text, test.want) {
			t.Errorf("%d:%d: got %+v, want %q", test.wins, test.losses, v, test.want)
		}
	}
}

func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	r := run(t, config(), study(t, model(t, 1), model(t, 2)))
	if err := r.WriteFiles(dir, 3); err != nil {
		t.Fatal(err)
	}
	want, _ := r.JSON()
	got, err := os.ReadFile(filepath.Join(dir, "compare.json"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("compare.json differs from the result (%v)", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "compare.html")); err != nil {
		t.Error(err)
	}
}
