package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

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

func TestLayerNorm(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, C := range []int{1, 7, 13, 33, 100} {
			const rows = 5
			x, gain, bias, dy := normal(rows*C), normal(C), normal(C), normal(rows*C)
			y, mean, rstd := make([]float32, rows*C), make([]float32, rows), make([]float32, rows)
			LayerNorm(y, mean, rstd, x, gain, bias, rows, C, 1e-5)
			before := normal(rows * C)
			dx, dgain, dbias := slices.Clone(before), make([]float32, C), make([]float32, C)
			LayerNormBackward(dx, dx, dy, x, mean, rstd, gain, rows, C)
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
