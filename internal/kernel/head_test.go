package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

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

// headOf computes rows of logits (., V) through Head, so many blocks of the vocabulary at a time.
func headOf(lp, ent []float32, lse []float64, logits []float32, targets []int32, scale float32, V, blocks int) {
	parts, chosen := make([]float64, len(targets)*HeadParts(V)), make([]float32, len(targets))
	for v0 := 0; v0 < V; v0 += blocks * HeadBlock {
		HeadBlocks(parts, chosen, logits[v0:], V, targets, scale, v0, min(blocks*HeadBlock, V-v0), V)
	}
	Head(lp, ent, lse, parts, chosen, scale, V)
}

// testPortions checks that logits in other portions leave the same bits, forward and backward.
func testPortions(t *testing.T, logits []float32, targets []int32, lp, ent []float32, lse []float64, grad, dlp, dent []float32, scale float32, V int) {
	t.Helper()
	rows := len(targets)
	lp2, ent2, lse2 := make([]float32, rows), make([]float32, rows), make([]float64, rows)
	headOf(lp2, ent2, lse2, logits, targets, scale, V, 3)
	again := slices.Clone(logits)
	for v0 := 0; v0 < V; v0 += 2 * HeadBlock {
		HeadBackward(again[v0:], V, targets, dlp, dent, lse, ent, scale, v0, min(2*HeadBlock, V-v0))
	}
	if !slices.Equal(lp, lp2) || !slices.Equal(ent, ent2) || !slices.Equal(lse, lse2) || !slices.Equal(grad, again) {
		t.Fatalf("head %d: portions of the vocabulary change a bit", V)
	}
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
			headOf(lp, ent, lse, logits, targets, scale, V, 1)
			grad := slices.Clone(logits)
			HeadBackward(grad, V, targets, dlp, dent, lse, ent, scale, 0, V)
			testPortions(t, logits, targets, lp, ent, lse, grad, dlp, dent, scale, V)
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

// The exponential, seen through what a block of two logits 0 and z leaves, z*e^z, is within the units in the last
// place that it states, one rounding more, and half as much again where nothing is fused.
func TestExponential(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		parts, chosen := make([]float64, HeadParts(2)), make([]float32, 1)
		worst := 0.0
		for range 200_000 {
			z := float32(-87 * random.Float64())
			HeadBlocks(parts, chosen, []float32{0, z}, 2, []int32{0}, 1, 0, 2, 2)
			want := float64(z) * math.Exp(float64(z))
			_, exponent := math.Frexp(want)
			worst = math.Max(worst, math.Abs(parts[2]-want)/math.Ldexp(1, exponent-24))
		}
		if worst > 2.8 {
			t.Errorf("off by %.2f units in the last place", worst)
		}
	})
}

// Sample takes the token at which the cumulated probability passes u, with the bits of Head's log-prob.
func TestSample(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, V := range []int{1, 7, 700, 5000} {
			const scale = 1 / .7
			logits, parts := normal(V), make([]float64, HeadParts(V))
			row, cumulated := wide(logits), 0.0
			for _, want := range []int{0, V / 3, V - 1} {
				cumulated = 0
				for j := range want {
					lp, _ := naiveHead(row, j, scale)
					cumulated += math.Exp(lp)
				}
				lp, _ := naiveHead(row, want, scale)
				token, logprob := Sample(parts, logits, scale, cumulated+math.Exp(lp)/2)
				head, ent, lse := make([]float32, 1), make([]float32, 1), make([]float64, 1)
				headOf(head, ent, lse, logits, []int32{token}, scale, V, 2)
				if int(token) != want || logprob != head[0] {
					t.Errorf("V %d: token %d, want %d; log-prob %v, Head's %v", V, token, want, logprob, head[0])
				}
			}
			if token, _ := Sample(parts, logits, scale, math.Nextafter(1, 0)); int(token) < 0 || int(token) >= V {
				t.Errorf("V %d: u just below 1 gave %d", V, token)
			}
			logits[V/2], logits[V-1] = 9, 9
			if token, logprob := Greedy(parts, logits, 1); int(token) != V/2 && V > 1 || logprob > 0 {
				t.Errorf("V %d: greedy took %d with %v, the first largest is %d", V, token, logprob, V/2)
			}
		}
	})
}
