package bench_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"sync"
	"testing"

	"rlhf/bench"
	"rlhf/gpt"
	"rlhf/internal/kernel"
)

// peak is measured once.
var peak = sync.OnceValue(func() float64 { return bench.Peak(kernel.Threads()) })

// Benchmark runs every case on all processors, with -short without those that take minutes. It reports the case's rate, the
// achieved GF/s and their share of what the processors' multiply-adds give.
func Benchmark(b *testing.B) {
	for _, c := range bench.Cases(kernel.Threads()) {
		b.Run(c.Name, func(b *testing.B) {
			if c.Slow && testing.Short() {
				b.Skip("takes minutes")
			}
			w, err := bench.Open(c)
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			for range c.Warmups {
				if _, err := w.Iterate(); err != nil {
					b.Fatal(err)
				}
			}
			total := 0.0
			for b.Loop() {
				flops, err := w.Iterate()
				if err != nil {
					b.Fatal(err)
				}
				total += flops
			}
			seconds := b.Elapsed().Seconds()
			b.ReportMetric(w.Items*float64(b.N)/seconds, c.Kind.Unit())
			b.ReportMetric(total/seconds/1e9, "GF/s")
			b.ReportMetric(100*total/seconds/1e9/peak(), "%peak")
		})
	}
}

// tiny is a case of each kind that takes no time.
func tiny(kind bench.Kind) bench.Case {
	return bench.Case{
		Name: "tiny", Kind: kind, Shape: bench.Shape{NLayer: 1, NHead: 1, NEmbd: 8, VocabSize: 300, NPositions: 64}, Threads: 1, Warmups: 1,
		Batch: 4, Length: 40, New: 6, Ragged: true, Epochs: 2, LR: 1e-5, KLCoef: .05, Temperature: .7,
	}
}

func TestServe(t *testing.T) {
	defer kernel.SetThreads(kernel.Threads())
	for _, kind := range []bench.Kind{bench.Train, bench.Sample, bench.PPO} {
		c := tiny(kind)
		var in, out bytes.Buffer
		for _, seconds := range []float64{0, 1e-9, 1e-9} {
			if err := json.NewEncoder(&in).Encode(bench.Request{Case: &c, Seconds: seconds}); err != nil {
				t.Fatal(err)
			}
		}
		if err := bench.Serve(&in, &out); err != nil {
			t.Fatal(err)
		}
		replies := json.NewDecoder(&out)
		for i := range 3 {
			var r bench.Reply
			if err := replies.Decode(&r); err != nil {
				t.Fatal(err)
			}
			if r.Error != "" || (r.Rate > 0) != (i > 0) || (r.GFlops > 0) != (i > 0) {
				t.Errorf("%s: reply %d is %+v, expected nothing measured at first, then a rate", kind, i, r)
			}
		}
	}
}

func TestServeAnswersMistakes(t *testing.T) {
	wrong := tiny("sleep")
	raw, _ := json.Marshal(bench.Request{Case: &wrong, Seconds: 1})
	for _, in := range []string{"{}", string(raw)} {
		var out bytes.Buffer
		if err := bench.Serve(strings.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), `"error":"`) {
			t.Errorf("request %s: answered %s", in, &out)
		}
	}
}

// One layer of 2 channels, a vocabulary of 5, three tokens, two of them with a head: 12·2² weights a token twice, six pairs
// of positions with 4·2 each, and two rows of 5·2 products.
func TestForward(t *testing.T) {
	c := gpt.Config{NLayer: 1, NHead: 1, NEmbd: 2, VocabSize: 5, NPositions: 8}
	if got, want := bench.Forward(c, 3, 2), 3*96.+48+40; got != want {
		t.Errorf("forward %v, want %v", got, want)
	}
	if got, want := bench.Sampling(c, 2, 2), bench.Forward(c, 3, 2); got != want { // tokens 1 to 3 pass, tokens 3 and 4 are drawn
		t.Errorf("sampling %v, want %v", got, want)
	}
	c.NLabels = 1
	if got, want := bench.Training(c, 3, 1), 3*(3*96.+48+4); got != want {
		t.Errorf("training with a score head %v, want %v", got, want)
	}
}

// The sizes are what the tables call them.
func TestCases(t *testing.T) {
	for name, c := range map[string]struct {
		shape bench.Shape
		want  float64
	}{"0.9M": {bench.Small, .9e6}, "10.9M": {bench.Medium, 10.9e6}, "124M": {bench.GPT2, 124e6}} {
		if got := float64(c.shape.Config(0).NumParams()); math.Abs(got-c.want) > .05*c.want {
			t.Errorf("%s has %.0f parameters", name, got)
		}
	}
	for _, c := range bench.Cases(2) {
		if (c.Threads != 2) != (c.Kind == bench.Encode) || len(c.Variants) == 0 || c.Title == "" {
			t.Errorf("case %+v is not complete", c)
		}
	}
}
