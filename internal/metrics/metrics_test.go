package metrics

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestLinesAreSortedShortAndReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "metrics.jsonl")
	w, err := Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(1, map[string]float64{"b": .1, "a": 1e-9, "time/x": 3}), w.Write(2, map[string]float64{"a": 1.0 / 3}), w.Close()); err != nil {
		t.Fatal(err)
	}
	raw, _ := os.ReadFile(path)
	if want := "{\"step\":1,\"a\":1e-09,\"b\":0.1,\"time/x\":3}\n{\"step\":2,\"a\":0.3333333333333333}\n"; string(raw) != want {
		t.Errorf("got %s, want %s", raw, want)
	}
	records, err := Read(path)
	if err != nil || !reflect.DeepEqual(records, []Record{{1, map[string]float64{"b": .1, "a": 1e-9, "time/x": 3}}, {2, map[string]float64{"a": 1.0 / 3}}}) {
		t.Errorf("read %v, %v", records, err)
	}
}

func TestWhatIsNotFiniteIsRefusedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.jsonl")
	w, err := Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if err := w.Write(3, map[string]float64{"a": 1, "loss": bad}); err == nil || !strings.Contains(err.Error(), "step 3: loss is") {
			t.Errorf("%v: got %v", bad, err)
		}
	}
	w.Close()
	if raw, _ := os.ReadFile(path); len(raw) != 0 {
		t.Errorf("written: %s", raw)
	}
}

func TestOpenCutsBackToAStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.jsonl")
	for name, test := range map[string]struct {
		text string
		from int
		want string
	}{
		"later steps":   {"{\"step\":1,\"a\":1}\n{\"step\":2,\"a\":2}\n{\"step\":3,\"a\":3}\n", 2, "{\"step\":1,\"a\":1}\n{\"step\":2,\"a\":2}\n"},
		"cut off":       {"{\"step\":1,\"a\":1}\n{\"step\":2,\"a", 5, "{\"step\":1,\"a\":1}\n"},
		"begin anew":    {"{\"step\":1,\"a\":1}\n", 0, ""},
		"nothing there": {"", 4, ""},
	} {
		if err := os.WriteFile(path, []byte(test.text), 0o666); err != nil {
			t.Fatal(err)
		}
		w, err := Open(path, test.from)
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		if raw, _ := os.ReadFile(path); string(raw) != test.want {
			t.Errorf("%s: got %q, want %q", name, raw, test.want)
		}
	}
	os.WriteFile(path, []byte("{\"step\":1}\n{\"step\":\"x\"}\n{\"step\":2}\n"), 0o666)
	if _, err := Open(path, 2); err == nil || !strings.Contains(err.Error(), "m.jsonl:2:") {
		t.Errorf("a damaged line in the middle: %v", err)
	}
	if raw, _ := os.ReadFile(path); !strings.Contains(string(raw), "x") {
		t.Error("a refused file was changed")
	}
}

func TestReadNamesFileAndLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.jsonl")
	for text, want := range map[string]string{"{\"step\":1}\nnot json\n": "m.jsonl:2:", "{\"a\":1}\n": "m.jsonl:1: step", "{\"step\":1.5}\n": "expected a whole number", "{\"step\":1}\n{\"st": "m.jsonl:2: the line is cut off"} {
		os.WriteFile(path, []byte(text), 0o666)
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestNilDoesNothing(t *testing.T) {
	var w *Writer
	var p *Progress
	if err := errors.Join(w.Write(1, nil), w.Close()); err != nil {
		t.Error(err)
	}
	p.Total(3)
	p.Set(1, "")
	p.Done()
}

func TestProgressOffATerminalWritesPlainLines(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, "sft", 10)
	p.Set(1, "loss 2")
	if b.Len() != 0 {
		t.Errorf("a line after no time: %q", b.String())
	}
	p.last = p.last.Add(-2 * lineEvery)
	p.Set(4, "loss 1")
	p.Done()
	if got := b.String(); !strings.HasPrefix(got, "sft 4/10  loss 1  ") || strings.Count(got, "\n") != 1 || strings.Contains(got, "\r") {
		t.Errorf("got %q", got)
	}
}

// Half of what is left, by hand: of 40 steps the first 10 were there before, 20 more took 10 seconds, so the last 10 take 5.
func TestTimeLeft(t *testing.T) {
	for _, test := range []struct {
		from, n, total int
		want           string
	}{{10, 30, 40, ", about 5s left"}, {0, 40, 40, ""}, {7, 7, 40, ""}} {
		p := &Progress{from: test.from, total: test.total}
		if got := p.left(test.n, 10*time.Second); got != test.want {
			t.Errorf("%+v: got %q", test, got)
		}
	}
}
