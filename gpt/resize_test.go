package gpt_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"rlhf/gpt"
)

// resizedTables are the tensors that have a row a token.
var resizedTables = []string{"transformer.wte.weight", "lm_head.weight"}

func TestResizedKeepsTheRest(t *testing.T) {
	for _, labels := range []int{0, 1} {
		m := random(t, gpt.Config{VocabSize: 10, NPositions: 8, NEmbd: 8, NLayer: 2, NHead: 2, NLabels: labels, OwnHead: labels == 0, NInner: 9}, 1)
		for _, size := range []int{4, 10, 13} {
			out, err := m.Resized(size, gpt.RowsMean, 1)
			if err != nil {
				t.Fatal(err)
			}
			want := m.Config
			want.VocabSize = size
			if out.Config != want {
				t.Errorf("got %+v, want %+v", out.Config, want)
			}
			for _, tensor := range out.Config.Tensors() {
				got, old := out.Tensor(tensor.Name), m.Tensor(tensor.Name)
				if slices.Contains(resizedTables, tensor.Name) {
					n := min(size, 10) * 8
					if len(got) != size*8 || !slices.Equal(got[:n], old[:n]) {
						t.Errorf("%d tokens: the old rows of %s changed", size, tensor.Name)
					}
				} else if !slices.Equal(got, old) {
					t.Errorf("%d tokens: %s changed", size, tensor.Name)
				}
			}
		}
	}
}

// By hand: the mean of (1, 2), (3, 8) and (5, -1) is (3, 3), that of (0, 0), (0, 3) and (9, 0) is (3, 1).
func TestResizedMean(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 3, NPositions: 1, NEmbd: 2, NLayer: 1, NHead: 1, OwnHead: true}, 1)
	copy(m.Tensor("transformer.wte.weight"), []float32{1, 2, 3, 8, 5, -1})
	copy(m.Tensor("lm_head.weight"), []float32{0, 0, 0, 3, 9, 0})
	out, err := m.Resized(5, gpt.RowsMean, 1)
	if err != nil {
		t.Fatal(err)
	}
	if wte, head := out.Tensor("transformer.wte.weight")[6:], out.Tensor("lm_head.weight")[6:]; !slices.Equal(wte, []float32{3, 3, 3, 3}) || !slices.Equal(head, []float32{3, 1, 3, 1}) {
		t.Errorf("new rows %v and %v", wte, head)
	}
}

// New rows, less the mean and through the inverse of the factor that transformers draws with, are standard normal numbers:
// sums and products of 20,000 rows are within five standard deviations. Where it draws nothing, rows are its rows.
func TestResizedAsTransformers(t *testing.T) {
	raw, err := os.ReadFile("testdata/variants/resize.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Cases []struct {
			VocabSize int `json:"vocab_size"`
			Drawn     []struct {
				Mean   []float64
				Factor [][]float64
			}
			Rows [][]float64
		}
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	_, model := loadVariants(t)
	const added = 20_000
	for _, c := range g.Cases {
		m, err := model("gelu_new").Resized(c.VocabSize, gpt.RowsMean, 0)
		if err != nil {
			t.Fatal(err)
		}
		out, err := m.Resized(c.VocabSize+added, gpt.RowsMeanResizing, 5)
		if err != nil {
			t.Fatal(err)
		}
		for k, name := range resizedTables {
			C := m.Config.NEmbd
			rows := out.Tensor(name)[c.VocabSize*C:]
			if len(c.Drawn) == 0 {
				for i, v := range rows {
					if math.Abs(float64(v)-c.Rows[k][i%C]) > 1e-6 {
						t.Fatalf("%d tokens, %s: a new row has %v, want the mean %v", c.VocabSize, name, v, c.Rows[k][i%C])
					}
				}
				continue
			}
			testNormal(t, name, rows, c.Drawn[k].Mean, c.Drawn[k].Factor)
		}
		if len(c.Drawn) == 0 != (c.VocabSize <= 10) {
			t.Errorf("%d tokens of 10 channels: %d distributions", c.VocabSize, len(c.Drawn))
		}
	}
}

// testNormal checks that the rows (., C) are drawn from the distribution of mean and lower factor (C, C).
func testNormal(t *testing.T, name string, rows []float32, mean []float64, factor [][]float64) {
	t.Helper()
	C := len(mean)
	n := float64(len(rows) / C)
	sums, products := make([]float64, C), make([]float64, C*C)
	for at := 0; at < len(rows); at += C {
		z := make([]float64, C)
		for i := range z {
			z[i] = float64(rows[at+i]) - mean[i]
			for j := range i {
				z[i] -= factor[i][j] * z[j]
			}
			z[i] /= factor[i][i]
			sums[i] += z[i]
			for j := range i + 1 {
				products[i*C+j] += z[i] * z[j]
			}
		}
	}
	for i := range C {
		// the means of both sides differ by their rounding in float32, which is up to some hundredths of these tiny deviations
		if s := sums[i] / math.Sqrt(n); math.Abs(s) > 5+.01*math.Sqrt(n) {
			t.Errorf("%s: the mean of channel %d is off by %v standard deviations", name, i, s)
		}
		for j := range i + 1 {
			want, sd := 0.0, 1.0
			if i == j {
				want, sd = 1, math.Sqrt2
			}
			if s := (products[i*C+j]/n - want) / sd * math.Sqrt(n); math.Abs(s) > 5 {
				t.Errorf("%s: the product of channels %d and %d is off by %v standard deviations", name, i, j, s)
			}
		}
	}
}

// Rows are a function of seed and token: another size, or number of threads, draws the same; another seed or table does not.
func TestResizedNormal(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 1000, NPositions: 1, NEmbd: 40, NLayer: 1, NHead: 1, OwnHead: true}, 1)
	rows := func(size int, how gpt.NewRows, seed uint64, table string, threadCount int) []float32 {
		defer threads(threadCount)()
		out, err := m.Resized(size, how, seed)
		if err != nil {
			t.Fatal(err)
		}
		return out.Tensor(table)[1000*40:]
	}
	for _, how := range []gpt.NewRows{gpt.RowsNormal, gpt.RowsMeanResizing} {
		few, many := rows(1002, how, 3, resizedTables[0], 1), rows(2000, how, 3, resizedTables[0], 3)
		if !slices.Equal(few, many[:80]) {
			t.Errorf("%s: a row depends on the size or the number of threads", how)
		}
		if slices.Equal(few, rows(1002, how, 4, resizedTables[0], 1)) || slices.Equal(few, rows(1002, how, 3, resizedTables[1], 1)) || slices.Equal(few[:40], few[40:]) {
			t.Errorf("%s: seed, table or token do not matter", how)
		}
	}
	factor := make([][]float64, 40)
	for i := range factor {
		factor[i] = make([]float64, 40)
		factor[i][i] = .02
	}
	testNormal(t, "normal", rows(11_000, gpt.RowsNormal, 3, resizedTables[0], 2), make([]float64, 40), factor)
}

func TestResizedRefusals(t *testing.T) {
	m := random(t, gpt.Config{VocabSize: 3, NPositions: 1, NEmbd: 2, NLayer: 1, NHead: 1}, 1)
	if _, err := m.Resized(0, gpt.RowsMean, 1); err == nil || !strings.Contains(err.Error(), "vocab_size: must be at least 1 (got 0)") {
		t.Errorf("got %v", err)
	}
	if _, err := m.Resized(4, "zero", 1); err == nil || !strings.Contains(err.Error(), `new rows: found "zero", expected "mean", "mean_resizing" or "normal"`) {
		t.Errorf("got %v", err)
	}
}
