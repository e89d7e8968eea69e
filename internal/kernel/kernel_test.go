package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// eachISA runs f on every instruction set this machine has.
func eachISA(t *testing.T, f func(t *testing.T)) {
	inUse := Name()
	defer Use(inUse)
	for _, name := range Names {
		if Use(name) == nil {
			t.Run(name, f)
		}
	}
}

var random = rand.New(rand.NewPCG(1, 2))

func normal(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	return x
}

// near fails unless got is within tolerance of want, relative to the size of the numbers involved. Float32 keeps 6e-8 of
// each addition; sums of some hundred terms of size 1 stay within 1e-5 of their scale.
func near(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	scale := 1.0
	for _, w := range want {
		scale = math.Max(scale, math.Abs(w))
	}
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i]) <= tolerance*scale) {
			t.Fatalf("%s: number %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

var matrixSizes = [][3]int{{1, 1, 1}, {1, 7, 13}, {7, 13, 33}, {13, 33, 7}, {50, 16, 100}, {33, 100, 64}, {0, 5, 5}, {25, 1, 40}}

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
			packed, back := make([]float32, PackedSize(k, o)), make([]float32, PackedSize(k, o))
			Pack(packed, w, k, o)
			wt := make([]float32, k*o)
			for i := range k {
				for j := range o {
					wt[j*k+i] = w[i*o+j]
				}
			}
			PackTransposed(back, wt, k, o)
			if !slices.Equal(packed, back) {
				t.Fatalf("%v: packing the transpose differs", s)
			}
			name := fmt.Sprint(s)
			with, plus := slices.Clone(product), slices.Clone(product)
			for i := range product {
				with[i] += float64(bias[i%o])
				plus[i] += float64(start[i])
			}
			y := make([]float32, rows*o)
			MatMul(y, o, x, k, packed, bias, rows, k, o)
			near(t, name+" with bias", y, with, 1e-5)
			MatMul(y, o, x, k, packed, nil, rows, k, o)
			near(t, name, y, product, 1e-5)
			sum := slices.Clone(start)
			MatMulAdd(sum, o, x, k, packed, rows, k, o)
			near(t, name+" added", sum, plus, 1e-5)

			// bits: any row alone, any panel alone
			one, split := make([]float32, o), make([]float32, rows*o)
			for n := range rows {
				MatMul(one, o, x[n*k:], k, packed, nil, 1, k, o)
				if !slices.Equal(one, y[n*o:(n+1)*o]) {
					t.Fatalf("%v: row %d alone differs", s, n)
				}
			}
			for p := range Panels(o) {
				MatMulPanels(split, o, x, k, packed, nil, rows, k, o, p, p+1)
			}
			if !slices.Equal(split, y) {
				t.Fatalf("%v: panel by panel differs", s)
			}
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

// slope is the central difference of f with respect to x[i], in float64.
func slope(x []float64, i int, f func([]float64) float64) float64 {
	const h = 1e-5
	y := slices.Clone(x)
	y[i] += h
	up := f(y)
	y[i] -= 2 * h
	return (up - f(y)) / (2 * h)
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

func naiveLayerNorm(x, gain, bias []float64) []float64 {
	C := float64(len(x))
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += v / C
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / C
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v-mean)/math.Sqrt(variance+1e-5)*gain[i] + bias[i]
	}
	return y
}

func dot64(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func TestLayerNorm(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, C := range []int{1, 7, 13, 33, 100} {
			const rows = 5
			x, gain, bias, dy := normal(rows*C), normal(C), normal(C), normal(rows*C)
			y, mean, rstd := make([]float32, rows*C), make([]float32, rows), make([]float32, rows)
			LayerNorm(y, mean, rstd, x, gain, bias, rows, C, 1e-5)
			before := normal(rows * C)
			dx, dgain, dbias := slices.Clone(before), make([]float32, C), make([]float32, C)
			LayerNormBackward(dx, dy, x, mean, rstd, gain, rows, C)
			LayerNormBackwardParams(dgain, dbias, dy, x, mean, rstd, rows, C, 0, C/2)
			LayerNormBackwardParams(dgain, dbias, dy, x, mean, rstd, rows, C, C/2, C)
			wantGain, wantBias := make([]float64, C), make([]float64, C)
			for n := range rows {
				row, d, g, b := wide(x[n*C:(n+1)*C]), wide(dy[n*C:(n+1)*C]), wide(gain), wide(bias)
				near(t, fmt.Sprint("layernorm ", C), y[n*C:(n+1)*C], naiveLayerNorm(row, g, b), 1e-5)
				want := make([]float64, C)
				for i := range C {
					want[i] = float64(before[n*C+i]) + slope(row, i, func(r []float64) float64 { return dot64(d, naiveLayerNorm(r, g, b)) })
					wantGain[i] += slope(g, i, func(g []float64) float64 { return dot64(d, naiveLayerNorm(row, g, b)) })
					wantBias[i] += d[i]
				}
				near(t, fmt.Sprint("layernorm dx ", C), dx[n*C:(n+1)*C], want, 2e-4) // a row of one number has a slope of rounding only
			}
			near(t, "layernorm dgain", dgain, wantGain, 2e-5)
			near(t, "layernorm dbias", dbias, wantBias, 2e-5)
		}
	})
}

func naiveGELU(x float64) float64 {
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+.044715*x*x*x)))
}

func TestElementwise(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		x := append(normal(100), -50, -10, -1e-6, 0, 1e-6, 10, 50)
		dy := normal(len(x))
		y, dx := make([]float32, len(x)), make([]float32, len(x))
		GELU(y, x)
		GELUBackward(dx, x, dy)
		for i := range x {
			near(t, fmt.Sprint("gelu ", x[i]), y[i:i+1], []float64{naiveGELU(float64(x[i]))}, 1e-6)
			want := float64(dy[i]) * slope([]float64{float64(x[i])}, 0, func(x []float64) float64 { return naiveGELU(x[0]) })
			near(t, fmt.Sprint("gelu slope ", x[i]), dx[i:i+1], []float64{want}, 2e-6)
			one := make([]float32, 1)
			if GELU(one, x[i:i+1]); one[0] != y[i] {
				t.Fatalf("gelu of %v alone differs", x[i])
			}
		}
		sum := slices.Clone(x)
		Add(sum, dy)
		for i := range sum {
			if sum[i] != x[i]+dy[i] {
				t.Fatalf("sum %d", i)
			}
		}
	})
}

// naiveAttention returns one head's outputs (T, hd) from q, k, v (T, hd).
func naiveAttention(q, k, v []float64, T, hd int) []float64 {
	out := make([]float64, T*hd)
	for i := range T {
		p, total := make([]float64, i+1), 0.0
		for j := range i + 1 {
			p[j] = math.Exp(dot64(q[i*hd:(i+1)*hd], k[j*hd:(j+1)*hd]) / math.Sqrt(float64(hd)))
			total += p[j]
		}
		for j := range i + 1 {
			for e := range hd {
				out[i*hd+e] += p[j] / total * v[j*hd+e]
			}
		}
	}
	return out
}

func TestAttention(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, s := range [][2]int{{1, 1}, {7, 8}, {13, 5}, {33, 32}, {70, 17}, {20, 64}} {
			T, hd := s[0], s[1]
			C, ld := 2*hd, 6*hd // the second of two heads
			qkv, do := normal(T*ld), normal(T*C)
			head := func(which int) []float64 {
				var out []float64
				for i := range T {
					at := i*ld + which*C + hd
					out = append(out, wide(qkv[at:at+hd])...)
				}
				return out
			}
			cap := AttentionCap(T)
			nk, nv := AttentionSize(hd, cap)
			kt, v, scratch := make([]float32, nk), make([]float32, nv), make([]float32, AttentionScratch(hd, cap))
			AttentionStore(kt, v, qkv[C+hd:], qkv[2*C+hd:], ld, hd, cap, 0, T)
			out := make([]float32, T*C)
			Attention(out[hd:], C, qkv[hd:], ld, kt, v, hd, cap, 0, T, scratch)
			want, got := naiveAttention(head(0), head(1), head(2), T, hd), []float32{}
			for i := range T {
				got = append(got, out[i*C+hd:(i+1)*C]...)
			}
			near(t, fmt.Sprint("attention ", s), got, want, 1e-5)

			// bits: one query alone over a cache filled position by position, in a larger cap
			large := AttentionCap(T + 40)
			nk, nv = AttentionSize(hd, large)
			kt2, v2, one := make([]float32, nk), make([]float32, nv), make([]float32, C)
			scratch = make([]float32, AttentionScratch(hd, large))
			for i := range T {
				AttentionStore(kt2, v2, qkv[i*ld+C+hd:], qkv[i*ld+2*C+hd:], ld, hd, large, i, i+1)
				Attention(one[hd:], C, qkv[i*ld+hd:], ld, kt2, v2, hd, large, i, i+1, scratch)
				if !slices.Equal(one[hd:], out[i*C+hd:(i+1)*C]) {
					t.Fatalf("attention %v: position %d decoded alone differs", s, i)
				}
			}

			dqkv := make([]float32, T*ld)
			AttentionBackward(dqkv[hd:], qkv[hd:], ld, do[hd:], C, C, hd, T, make([]float32, AttentionBackwardScratch(hd, T)))
			var d []float64
			for i := range T {
				d = append(d, wide(do[i*C+hd:(i+1)*C])...)
			}
			for which := range 3 {
				parts := [][]float64{head(0), head(1), head(2)}
				for _, i := range []int{0, T*hd/2 + hd/2, T*hd - 1} {
					want := slope(parts[which], i, func(x []float64) float64 {
						p := slices.Clone(parts)
						p[which] = x
						return dot64(d, naiveAttention(p[0], p[1], p[2], T, hd))
					})
					near(t, fmt.Sprint("attention backward ", s, which, i), dqkv[i/hd*ld+which*C+hd+i%hd:][:1], []float64{want}, 2e-5)
				}
			}
		}
	})
}

func TestEmbed(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const C = 13
		wte, wpe := normal(5*C), normal(4*C)
		tokens, positions := []int32{4, 0, 4}, []int32{0, 3, 1}
		x, dx := make([]float32, 3*C), normal(3*C)
		Embed(x, tokens, positions, wte, wpe, C)
		dwte, dwpe := make([]float32, 5*C), make([]float32, 4*C)
		EmbedBackward(dwte, dwpe, dx, tokens, positions, C, 0, 7)
		EmbedBackward(dwte, dwpe, dx, tokens, positions, C, 7, C)
		for i := range C {
			if x[C+i] != wte[i]+wpe[3*C+i] || dwte[4*C+i] != dx[i]+dx[2*C+i] || dwpe[3*C+i] != dx[C+i] || dwte[C+i] != 0 {
				t.Fatalf("column %d", i)
			}
		}
	})
}

// naiveHead returns log-prob and entropy of a row at a scale.
func naiveHead(row []float64, target int, scale float64) (logprob, entropy float64) {
	top, total := math.Inf(-1), 0.0
	for _, z := range row {
		top = math.Max(top, z*scale)
	}
	for _, z := range row {
		total += math.Exp(z*scale - top)
	}
	lse := top + math.Log(total)
	for _, z := range row {
		entropy -= math.Exp(z*scale-lse) * (z*scale - lse)
	}
	return row[target]*scale - lse, entropy
}

func TestHead(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, V := range []int{1, 7, 33, 600, 5000} {
			const rows, scale = 3, 1 / .7
			logits, dlp, dent := normal(rows*V), normal(rows), normal(rows)
			for i := range logits {
				logits[i] *= 4
			}
			targets := []int32{0, int32(V / 2), int32(V - 1)}
			lp, ent, lse := make([]float32, rows), make([]float32, rows), make([]float64, rows)
			Head(lp, ent, lse, logits, targets, scale, V)
			grad := slices.Clone(logits)
			HeadBackward(grad, targets, dlp, dent, lse, ent, scale, V)
			for n := range rows {
				row := wide(logits[n*V : (n+1)*V])
				wantLP, wantEnt := naiveHead(row, int(targets[n]), scale)
				near(t, fmt.Sprint("head ", V), []float32{lp[n], ent[n]}, []float64{wantLP, wantEnt}, 3e-6)
				for _, j := range []int{0, V / 2, V / 3, V - 1} {
					want := slope(row, j, func(r []float64) float64 {
						a, b := naiveHead(r, int(targets[n]), scale)
						return float64(dlp[n])*a + float64(dent[n])*b
					})
					near(t, fmt.Sprint("head backward ", V, j), grad[n*V+j:][:1], []float64{want}, 2e-5)
				}
			}
		}
	})
}

// Sample takes the token at which the cumulated probability passes u, with the bits of Head's log-prob.
func TestSample(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, V := range []int{1, 7, 700, 5000} {
			const scale = 1 / .7
			logits := normal(V)
			row, cumulated := wide(logits), 0.0
			for _, want := range []int{0, V / 3, V - 1} {
				cumulated = 0
				for j := range want {
					lp, _ := naiveHead(row, j, scale)
					cumulated += math.Exp(lp)
				}
				lp, _ := naiveHead(row, want, scale)
				token, logprob := Sample(logits, scale, cumulated+math.Exp(lp)/2)
				head, ent, lse := make([]float32, 1), make([]float32, 1), make([]float64, 1)
				Head(head, ent, lse, logits, []int32{token}, scale, V)
				if int(token) != want || logprob != head[0] {
					t.Errorf("V %d: token %d, want %d; log-prob %v, Head's %v", V, token, want, logprob, head[0])
				}
			}
			if token, _ := Sample(logits, scale, math.Nextafter(1, 0)); int(token) < 0 || int(token) >= V {
				t.Errorf("V %d: u just below 1 gave %d", V, token)
			}
			logits[V/2], logits[V-1] = 9, 9
			if token, logprob := Greedy(logits, 1); int(token) != V/2 && V > 1 || logprob > 0 {
				t.Errorf("V %d: greedy took %d with %v, the first largest is %d", V, token, logprob, V/2)
			}
		}
	})
}

func TestScoreHead(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, C := range []int{1, 7, 33} {
			x, w, dy, start := normal(3*C), normal(C), normal(3), normal(3*C)
			y, dx := make([]float32, 3), slices.Clone(start)
			Dot(y, x, w, 3, C)
			DotBackward(dx, dy, w, 3, C)
			want, wantDx := make([]float64, 3), make([]float64, 3*C)
			for n := range 3 {
				want[n] = dot64(wide(x[n*C:(n+1)*C]), wide(w))
				for i := range C {
					wantDx[n*C+i] = float64(start[n*C+i]) + float64(dy[n])*float64(w[i])
				}
			}
			near(t, "dot", y, want, 1e-5)
			near(t, "dot backward", dx, wantDx, 1e-6)
		}
	})
}

func TestOptimizerKernels(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range []int{1, 7, 33, 100} {
			theta, m, v, g := normal(n), normal(n), normal(n), normal(n)
			for i := range v {
				v[i] = v[i] * v[i]
			}
			want, sum := make([]float64, n), 0.0
			for i := range want {
				gi := .5 * float64(g[i])
				mi, vi := .9*float64(m[i])+.1*gi, .95*float64(v[i])+.05*gi*gi
				want[i] = float64(theta[i])*.99 - .01*mi/(math.Sqrt(vi)*1.5+1e-8)
				sum += float64(g[i]) * float64(g[i])
			}
			if got := SumSquares(g); math.Abs(got-sum) > 1e-12*sum {
				t.Errorf("sum of squares %v, want %v", got, sum)
			}
			AdamW(theta, m, v, g, AdamWStep{GradScale: .5, Beta1: .9, Beta2: .95, StepSize: .01, RsqrtBias2: 1.5, Eps: 1e-8, Keep: .99})
			near(t, "adamw", theta, want, 1e-6)
		}
	})
}

func TestMistakesPanicWithTheSizes(t *testing.T) {
	defer func() {
		if msg := fmt.Sprint(recover()); !strings.Contains(msg, "kernel: x holds 3 floats, needs 4") {
			t.Errorf("panicked with %q", msg)
		}
	}()
	MatMul(make([]float32, 2), 1, make([]float32, 3), 2, make([]float32, PackedSize(2, 1)), nil, 2, 2, 1)
}

func TestUseRefusesWhatIsNotThere(t *testing.T) {
	before := Name()
	if err := Use("sse9"); err == nil || !strings.Contains(err.Error(), `kernel "sse9": not on this machine`) || Name() != before {
		t.Errorf("got %v, in use %s", err, Name())
	}
}
