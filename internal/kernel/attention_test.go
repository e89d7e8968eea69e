package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// naiveAttention returns one head's outputs (T, hd) from q, k, v (T, hd).
func naiveAttention(q, k, v []float64, T, hd int) []float64 {
	ones := make([]float64, T*T)
	for i := range ones {
		ones[i] = 1
	}
	return naiveMaskedAttention(q, k, v, ones, T, hd)
}

// naiveMaskedAttention is naiveAttention whose probabilities, (T, T), are multiplied by mask.
func naiveMaskedAttention(q, k, v, mask []float64, T, hd int) []float64 {
	out := make([]float64, T*hd)
	for i := range T {
		p, total := make([]float64, i+1), 0.0
		for j := range i + 1 {
			p[j] = math.Exp(dot64(q[i*hd:(i+1)*hd], k[j*hd:(j+1)*hd]) / math.Sqrt(float64(hd)))
			total += p[j]
		}
		for j := range i + 1 {
			for e := range hd {
				out[i*hd+e] += mask[i*T+j] * p[j] / total * v[j*hd+e]
			}
		}
	}
	return out
}

func TestAttention(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, s := range [][2]int{{1, 1}, {7, 8}, {13, 5}, {33, 32}, {70, 17}, {20, 64}, {130, 64}} {
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
			Attention(out[hd:], C, qkv[hd:], ld, kt, v, Dropout{}, hd, cap, 0, T, scratch)
			want, got := naiveAttention(head(0), head(1), head(2), T, hd), []float32{}
			for i := range T {
				got = append(got, out[i*C+hd:(i+1)*C]...)
			}
			near(t, fmt.Sprint("attention ", s), got, want, 1e-5)
			testCached(t, qkv, out, T, hd)

			// bits: one query alone over a cache filled position by position, in a larger cap
			large := AttentionCap(T + 40)
			nk, nv = AttentionSize(hd, large)
			kt2, v2, one := make([]float32, nk), make([]float32, nv), make([]float32, C)
			scratch = make([]float32, AttentionScratch(hd, large))
			for i := range T {
				AttentionStore(kt2, v2, qkv[i*ld+C+hd:], qkv[i*ld+2*C+hd:], ld, hd, large, i, i+1)
				Attention(one[hd:], C, qkv[i*ld+hd:], ld, kt2, v2, Dropout{}, hd, large, i, i+1, scratch)
				if !slices.Equal(one[hd:], out[i*C+hd:(i+1)*C]) {
					t.Fatalf("attention %v: position %d decoded alone differs", s, i)
				}
			}

			dqkv := make([]float32, T*ld)
			scratch = make([]float32, AttentionBackwardScratch(hd, T))
			AttentionBackward(dqkv[hd:], qkv[hd:], ld, do[hd:], C, Dropout{}, C, hd, T, 0, T, scratch)
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

// testCached checks that both heads, computed from a cache that grows by one position or by several, have the bits of
// out (T, 2hd), whose second head is filled in.
func testCached(t *testing.T, qkv, out []float32, T, hd int) {
	t.Helper()
	const heads = 2
	C := heads * hd
	cap := AttentionCap(T + 5)
	nk, nv := AttentionSize(hd, cap)
	cache, got := make([]float32, 7+heads*(nk+nv)), make([]float32, T*C)
	scratch := make([]float32, AttentionCachedScratch(C, heads, cap))
	for i := range cache {
		cache[i] = float32(math.NaN()) // what is not filled yet must not count
	}
	for at := 0; at < T; {
		feed := min(1+at%4*3, T-at)
		s := Slots{Cache: []int64{-1, 7}, Rows: []int64{-1, int64(at)}, Feeds: []int64{-1, int64(feed)}, At: []int64{-1, int64(at)}}
		if at%2 == 0 {
			AttentionCached(got, qkv, cache, s, 1, 2, C, heads, 0, heads, cap, scratch)
		} else { // one head after the other
			AttentionCached(got, qkv, cache, s, 1, 2, C, heads, 1, heads, cap, scratch)
			AttentionCached(got, qkv, cache, s, 1, 2, C, heads, 0, 1, cap, scratch)
		}
		at += feed
	}
	for n := range T {
		if !slices.Equal(got[n*C+hd:(n+1)*C], out[n*C+hd:(n+1)*C]) {
			t.Fatalf("attention (%d, %d): position %d from a cache differs", T, hd, n)
		}
	}
}

// Gradients of a few queries' outputs are those of all queries when the others' output gradients are zero.
func TestAttentionBackwardOfSomeQueries(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const T, hd, t0, t1 = 75, 13, 9, 70
		ld := 3 * hd
		qkv, do := normal(T*ld), normal(T*hd)
		for n := range T {
			if n < t0 || n >= t1 {
				clear(do[n*hd : (n+1)*hd])
			}
		}
		whole, some := make([]float32, T*ld), normal(T*ld)
		scratch := make([]float32, AttentionBackwardScratch(hd, T))
		AttentionBackward(whole, qkv, ld, do, hd, Dropout{}, hd, hd, T, 0, T, scratch)
		AttentionBackward(some, qkv, ld, do[t0*hd:], hd, Dropout{}, hd, hd, T, t0, t1, scratch)
		if !slices.Equal(whole, some) {
			t.Error("gradients of some queries differ")
		}
	})
}
