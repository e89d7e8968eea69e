package kernel

import (
	"fmt"
	"slices"
	"testing"
)

var matrixSizes = [][3]int{{1, 1, 1}, {1, 7, 13}, {7, 13, 33}, {13, 33, 7}, {50, 16, 100}, {33, 100, 64}, {0, 5, 5}, {25, 1, 40}, {14, 1100, 70}}

// transposed returns the transpose of w (k, o).
func transposed(w []float32, k, o int) []float32 {
	wt := make([]float32, k*o)
	for i := range k {
		for j := range o {
			wt[j*k+i] = w[i*o+j]
		}
	}
	return wt
}

func TestMatMul(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, s := range matrixSizes {
			rows, k, o := s[0], s[1], s[2]
			x, w, bias, start := normal(rows*k), normal(k*o), normal(o), normal(rows*o)
			product := make([]float64, rows*o)
			for n := range rows {
				for j := range o {
					for i := range k {
						product[n*o+j] += float64(x[n*k+i]) * float64(w[i*o+j])
					}
				}
			}
			wt := transposed(w, k, o)
			packed, back := make([]float32, PackedSize(k, o)), make([]float32, PackedSize(k, o))
			Pack(packed, Rows(w, o), k, o, 0, Panels(o))
			for p := range Panels(o) {
				Pack(back, Columns(wt, k), k, o, p, p+1)
			}
			if !slices.Equal(packed, back) {
				t.Fatalf("%v: packing the transpose differs", s)
			}
			with, plus, both, gelu := slices.Clone(product), slices.Clone(product), slices.Clone(product), make([]float64, rows*o)
			for i := range product {
				with[i] += float64(bias[i%o])
				plus[i] += float64(start[i])
				both[i] += float64(bias[i%o]) + float64(start[i])
				gelu[i] = naiveGELU(with[i])
			}
			scratch := make([]float32, MatMulScratch())
			var plain []float32
			for layout, m := range map[string]Matrix{"packed": Packed(packed), "rows": Rows(w, o), "columns": Columns(wt, k)} {
				name := fmt.Sprint(s, layout)
				y, activated := make([]float32, rows*o), make([]float32, rows*o)
				p := Product{Y: y, LdY: o, X: x, LdX: k, W: m, Rows: rows, K: k, O: o}
				run := func(p Product) []float32 {
					MatMul(p, 0, Panels(o), scratch)
					return slices.Clone(p.Y)
				}
				got := run(p)
				near(t, name, got, product, 2e-5)
				if plain != nil && !slices.Equal(plain, got) {
					t.Fatalf("%s: the layout changed a bit", name)
				}
				plain = got
				more := p
				more.Bias, more.Activated = bias, activated
				near(t, name+" with bias", run(more), with, 2e-5)
				near(t, name+" activated", activated, gelu, 2e-5)
				more.Residual, more.LdResidual, more.Activated = start, o, nil
				near(t, name+" with bias and residual", run(more), both, 2e-5)
				copy(y, start)
				p.Residual, p.LdResidual = y, o
				near(t, name+" added", run(p), plus, 2e-5)
			}
			p := Product{LdY: o, X: x, LdX: k, W: Packed(packed), Rows: rows, K: k, O: o}
			testSplits(t, p, plain)
		}
	})
}

// testSplits checks that any row alone and any panel alone have the bits of the whole product.
func testSplits(t *testing.T, p Product, whole []float32) {
	t.Helper()
	one, split := make([]float32, p.O), make([]float32, p.Rows*p.O)
	for n := range p.Rows {
		row := p
		row.Y, row.X, row.Rows = one, p.X[n*p.K:], 1
		MatMul(row, 0, Panels(p.O), nil)
		if !slices.Equal(one, whole[n*p.O:(n+1)*p.O]) {
			t.Fatalf("%d x %d x %d: row %d alone differs", p.Rows, p.K, p.O, n)
		}
	}
	p.Y = split
	for panel := range Panels(p.O) {
		MatMul(p, panel, panel+1, nil)
	}
	if !slices.Equal(split, whole) {
		t.Fatalf("%d x %d x %d: panel by panel differs", p.Rows, p.K, p.O)
	}
}

// Products of parts of the terms, added up in order, have the bits of the whole: a product may be worked through in runs.
func TestMatMulInRuns(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const rows, k, o = 5, 700, 40
		x, w := normal(rows*k), normal(k*o)
		scratch := make([]float32, MatMulScratch())
		whole, parts := make([]float32, rows*o), make([]float32, rows*o)
		MatMul(Product{Y: whole, LdY: o, X: x, LdX: k, W: Rows(w, o), Rows: rows, K: k, O: o}, 0, Panels(o), scratch)
		for k0 := 0; k0 < k; k0 += 128 {
			n := min(128, k-k0)
			MatMul(Product{Y: parts, LdY: o, X: x[k0:], LdX: k, W: Rows(w[k0*o:], o), Residual: parts, LdResidual: o, Rows: rows, K: n, O: o}, 0, Panels(o), scratch)
		}
		if !slices.Equal(whole, parts) {
			t.Error("runs of terms change a bit")
		}
	})
}

func TestOuterAndColumnSum(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, s := range append(matrixSizes, [3]int{300, 29, 70}) {
			rows, k, o := s[0], s[1], s[2]
			a, d, start := normal(rows*k), normal(rows*o), normal(k*o)
			want, sums := make([]float64, k*o), make([]float64, o)
			for i := range want {
				want[i] = float64(start[i])
			}
			for n := range rows {
				for j := range o {
					sums[j] += float64(d[n*o+j])
					for i := range k {
						want[i*o+j] += float64(a[n*k+i]) * float64(d[n*o+j])
					}
				}
			}
			scratch := make([]float32, OuterScratch(k))
			whole, parts := slices.Clone(start), slices.Clone(start)
			Outer(whole, o, a, k, d, o, rows, 0, k, o, scratch)
			near(t, fmt.Sprint(s), whole, want, 2e-5)
			// bits: any range of dw's rows, the rows in two calls
			cut := rows / 3
			for k0 := 0; k0 < k; k0 += 5 {
				Outer(parts, o, a, k, d, o, cut, k0, min(k0+5, k), o, scratch)
				Outer(parts, o, a[cut*k:], k, d[cut*o:], o, rows-cut, k0, min(k0+5, k), o, scratch)
			}
			if !slices.Equal(parts, whole) {
				t.Fatalf("%v: in parts differs", s)
			}
			db := make([]float32, o)
			ColumnSum(db, d, o, rows, 0, o/2)
			ColumnSum(db, d, o, rows, o/2, o)
			near(t, fmt.Sprint(s, " column sums"), db, sums, 2e-5)
		}
	})
}
