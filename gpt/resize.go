package gpt

import (
	"fmt"
	"math"

	"rlhf/internal/kernel"
	"rlhf/internal/rng"
)

// NewRows says what the rows of added tokens begin as.
type NewRows string

const (
	// RowsMean takes the mean of the old rows (Hewitt, "Initializing new word embeddings
	// for pretrained language models", 2021).
	RowsMean NewRows = "mean"

	// RowsMeanResizing is transformers' resize_token_embeddings by default: normal around
	// the mean of the old rows, with their covariance times 1e-9; the mean alone if the
	// covariance is not positive definite.
	RowsMeanResizing NewRows = "mean_resizing"

	// RowsNormal is the same with mean_resizing=False: normal with standard deviation 0.02,
	// as a new model's.
	RowsNormal NewRows = "normal"
)

// Resized returns a copy with a vocabulary of size tokens: of the token embedding, and
// of a head of its own, the last rows are cut off, or new ones added as how says. Those
// are drawn from streams of seed and token. All else is equal. It returns an error if
// size is below 1 or how is unknown.
func (m *Model) Resized(size int, how NewRows, seed uint64) (*Model, error) {
	switch how {
	case RowsMean, RowsMeanResizing, RowsNormal:
	default:
		return nil, fmt.Errorf("new rows: found %q, expected %q, %q or %q", how, RowsMean, RowsMeanResizing, RowsNormal)
	}
	c := m.Config
	c.VocabSize = size
	out, err := New(c)
	if err != nil {
		return nil, err
	}
	olds, kept := m.Config.Tensors(), min(size, m.Config.VocabSize)
	for i, t := range c.Tensors() {
		from, to := m.Theta[olds[i].Offset:][:olds[i].Size()], out.Theta[t.Offset:][:t.Size()]
		if t.Name != "transformer.wte.weight" && t.Name != "lm_head.weight" {
			copy(to, from)
			continue
		}
		copy(to, from[:kept*c.NEmbd])
		if size > kept {
			addRows(to, from, c.NEmbd, how, seed, "gpt/resize/"+t.Name)
		}
	}
	out.Changed()
	return out, nil
}

// addRows fills the rows of table (size, C) that come after those of old (V, C).
func addRows(table, old []float32, C int, how NewRows, seed uint64, purpose string) {
	mean, factor := make([]float64, C), []float64(nil)
	if how != RowsNormal {
		mean = meanRow(old, C)
	}
	if how == RowsMeanResizing {
		factor = cholesky(covariance(old, mean, C), C)
	}
	z := make([]float64, C)
	for at := len(old); at < len(table); at += C {
		row := table[at : at+C]
		r := rng.New(seed, purpose, uint64(at/C))
		for i := range z {
			z[i] = r.NormFloat64()
		}
		for i := range row {
			v := mean[i]
			switch {
			case how == RowsNormal:
				v = 0.02 * z[i]
			case factor != nil: // mean + sqrt(1e-9 covariance) z
				for j := range i + 1 {
					v += math.Sqrt(1e-9) * factor[i*C+j] * z[j]
				}
			}
			row[i] = float32(v)
		}
	}
}

// meanRow returns the mean of the rows of x (V, C).
func meanRow(x []float32, C int) []float64 {
	mean := make([]float64, C)
	for i, v := range x {
		mean[i%C] += float64(v)
	}
	for i := range mean {
		mean[i] /= float64(len(x) / C)
	}
	return mean
}

// covariance returns the rows' covariance (C, C), divided by their number as transformers does. Some rows' products add
// up in float32, the sums in float64.
func covariance(x []float32, mean []float64, C int) []float64 {
	const some, share = 512, 24 // rows at a time, and rows of the result in a task
	total, part, centered := make([]float64, C*C), make([]float32, C*C), make([]float32, some*C)
	V, n := len(x)/C, 0
	scratches := make([][]float32, kernel.Threads())
	run := func(worker, task int) {
		i0, i1 := task*share, min(task*share+share, C)
		scratches[worker] = grow(scratches[worker], kernel.OuterScratch(i1-i0))
		clear(part[i0*C : i1*C])
		kernel.Outer(part, C, centered, C, centered, C, n, i0, i1, C, scratches[worker])
		for k := i0 * C; k < i1*C; k++ {
			total[k] += float64(part[k]) / float64(V)
		}
	}
	var t kernel.Team
	t.Start(kernel.Threads())
	defer t.Stop()
	for row := 0; row < V; row += some {
		n = min(some, V-row)
		for k, v := range x[row*C : (row+n)*C] {
			centered[k] = float32(float64(v) - mean[k%C])
		}
		t.Each((C+share-1)/share, &run)
	}
	return total
}

// cholesky turns a (C, C), symmetric, into its lower factor, or returns nil if it is not positive definite: if what
// remains of a variance is nothing that a covariance in float32, as transformers', could tell from its rounding.
func cholesky(a []float64, C int) []float64 {
	for j := range C {
		for i := j; i < C; i++ {
			v := a[i*C+j]
			for k := range j {
				v -= a[i*C+k] * a[j*C+k]
			}
			if i > j {
				a[i*C+j] = v / a[j*C+j]
				continue
			}
			if !(v > 1e-5*a[j*C+j]) {
				return nil
			}
			a[j*C+j] = math.Sqrt(v)
		}
	}
	return a
}
