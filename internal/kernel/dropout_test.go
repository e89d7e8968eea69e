package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// masks returns the factors (rows, c) of a dropout: what it leaves of ones.
func masks(d Dropout, rows, c int) []float32 {
	ones, out := make([]float32, rows*c), make([]float32, rows*c)
	for i := range ones {
		ones[i] = 1
	}
	Drop(out, nil, ones, d, rows, c)
	return out
}

// The masks of one seed, as the generator gave them to a reimplementation in numpy (gpt/testdata/variants/make.py):
// the first 16 channels of two positions of a sequence, at a share of 0.5.
func TestMasksAreTheKnownOnes(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		d := Dropout{Salt: SiteSalt(2, 3, 1), P: .5}
		sequence := SequenceKey(7, 1000, 1<<40+3)
		for position, want := range map[int]string{0: ".xxxxxx..xxxx.xx", 4095: ".xx..x...x....xx"} {
			d.Keys = []uint64{RowKey(sequence, position)}
			got := ""
			for _, v := range masks(d, 1, 16) {
				switch v {
				case 0:
					got += "."
				case 2:
					got += "x"
				default:
					t.Fatalf("a factor is %v", v)
				}
			}
			if got != want {
				t.Errorf("position %d: got %s, want %s", position, got, want)
			}
		}
	})
}

// A mask does not depend on the instruction set, and its beginning not on its length; what is kept has the scale to the bit,
// plus is added, and y may be either input.
func TestDropIsTheSameEverywhere(t *testing.T) {
	d := Dropout{Salt: 5, P: .3}
	for n := range 4 {
		d.Keys = append(d.Keys, RowKey(SequenceKey(1, 2, 3), n))
	}
	var first []float32
	eachISA(t, func(t *testing.T) {
		whole := masks(d, 4, 100)
		if first == nil {
			first = whole
		}
		if !slices.Equal(first, whole) {
			t.Fatal("another instruction set, other masks")
		}
		for _, c := range []int{1, 7, 16, 33} {
			x, plus := normal(4*c), normal(4*c)
			got, in, add := make([]float32, 4*c), slices.Clone(x), slices.Clone(plus)
			Drop(got, plus, x, d, 4, c)
			Drop(in, plus, in, d, 4, c)
			Drop(add, add, x, d, 4, c)
			for n := range 4 {
				for j := range c {
					want := plus[n*c+j] + x[n*c+j]*whole[n*100+j]
					if got[n*c+j] != want || in[n*c+j] != want || add[n*c+j] != want {
						t.Fatalf("width %d, row %d, number %d: got %v, in place %v and %v, want %v", c, n, j, got[n*c+j], in[n*c+j], add[n*c+j], want)
					}
				}
			}
			rest := make([]float32, c)
			Drop(rest, nil, x[3*c:], d.From(3), 1, c)
			Drop(got, nil, x, d, 4, c)
			if !slices.Equal(rest, got[3*c:]) {
				t.Fatalf("width %d: the last row alone differs", c)
			}
		}
		if scale := 1 / (1 - float64(float32(.3))); slices.Max(first) != float32(scale) {
			t.Errorf("kept numbers are scaled by %v, want %v", slices.Max(first), scale)
		}
	})
}

// The share that is kept is right within five standard deviations: of all draws, of neighbours, and of what two masks agree on
// that differ in one part of their key.
func TestMasksLookIndependent(t *testing.T) {
	const rows, c = 256, 512
	within := func(what string, n, hits int, p float64) {
		t.Helper()
		if z := (float64(hits) - float64(n)*p) / math.Sqrt(float64(n)*p*(1-p)); math.Abs(z) > 5 {
			t.Errorf("%s: %d of %d, expected %.4f of them: off by %.1f standard deviations", what, hits, n, p, z)
		}
	}
	draw := func(seed, step, sequence uint64, layer, site, head int, share float32) []float32 {
		d := Dropout{Salt: SiteSalt(layer, site, head), P: share}
		key := SequenceKey(seed, step, sequence)
		for position := range rows {
			d.Keys = append(d.Keys, RowKey(key, position))
		}
		return masks(d, rows, c)
	}
	for _, share := range []float32{.001, .1, .5, .9} {
		p := 1 - float64(share)
		mask := draw(1, 2, 3, 4, 1, 0, share)
		kept, next, below := 0, 0, 0
		for i, v := range mask {
			if v == 0 {
				continue
			}
			kept++
			if i%c > 0 && mask[i-1] != 0 {
				next++
			}
			if i >= c && mask[i-c] != 0 {
				below++
			}
		}
		within(fmt.Sprint("kept at ", share), rows*c, kept, p)
		within(fmt.Sprint("neighbours both kept at ", share), rows*(c-1), next, p*p)
		within(fmt.Sprint("positions both kept at ", share), (rows-1)*c, below, p*p)
		for what, other := range map[string][]float32{
			"seeds": draw(2, 2, 3, 4, 1, 0, share), "steps": draw(1, 3, 3, 4, 1, 0, share), "sequences": draw(1, 2, 4, 4, 1, 0, share),
			"layers": draw(1, 2, 3, 5, 1, 0, share), "sites": draw(1, 2, 3, 4, 2, 0, share), "heads": draw(1, 2, 3, 4, 1, 1, share),
			"seed and step exchanged": draw(2, 1, 3, 4, 1, 0, share), "layer and site exchanged": draw(1, 2, 3, 1, 4, 0, share),
		} {
			both := 0
			for i, v := range mask {
				if v != 0 && other[i] != 0 {
					both++
				}
			}
			within(fmt.Sprintf("two %s at %v", what, share), rows*c, both, p*p)
		}
	}
}

// Attention with dropout is the naive one with the same masks, gradients too; whatever range of queries is asked for.
func TestAttentionWithDropout(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const share = .4
		for _, s := range [][3]int{{1, 1, 0}, {13, 5, 4}, {70, 17, 0}, {75, 64, 33}} {
			T, hd, t0 := s[0], s[1], s[2]
			ld := 3 * hd
			qkv, do := normal(T*ld), normal(T*hd)
			d := Dropout{Salt: SiteSalt(0, 1, 2), P: share}
			for n := range T {
				d.Keys = append(d.Keys, RowKey(9, n))
			}
			mask := wide(masks(d, T, T))
			cap := AttentionCap(T)
			nk, nv := AttentionSize(hd, cap)
			kt, v, scratch := make([]float32, nk), make([]float32, nv), make([]float32, AttentionScratch(hd, cap))
			AttentionStore(kt, v, qkv[hd:], qkv[2*hd:], ld, hd, cap, 0, T)
			out, some := make([]float32, T*hd), make([]float32, T*hd)
			Attention(out, hd, qkv, ld, kt, v, d, hd, cap, 0, T, scratch)
			Attention(some[t0*hd:], hd, qkv[t0*ld:], ld, kt, v, d.From(t0), hd, cap, t0, T, scratch)
			if !slices.Equal(out[t0*hd:], some[t0*hd:]) {
				t.Fatalf("%v: some queries differ", s)
			}
			parts := [][]float64{nil, nil, nil}
			for which := range parts {
				for n := range T {
					parts[which] = append(parts[which], wide(qkv[n*ld+which*hd:][:hd])...)
				}
			}
			near(t, fmt.Sprint("attention with dropout ", s), out, naiveMaskedAttention(parts[0], parts[1], parts[2], mask, T, hd), 1e-5)

			dqkv := make([]float32, T*ld)
			back := make([]float32, AttentionBackwardScratch(hd, T))
			AttentionBackward(dqkv, qkv, ld, do[t0*hd:], hd, d.From(t0), hd, hd, T, t0, T, back)
			wanted := slices.Concat(make([]float64, t0*hd), wide(do[t0*hd:]))
			for which := range 3 {
				for _, i := range []int{0, T*hd/2 + hd/2, T*hd - 1} {
					want := slope(parts[which], i, func(x []float64) float64 {
						p := slices.Clone(parts)
						p[which] = x
						return dot64(wanted, naiveMaskedAttention(p[0], p[1], p[2], mask, T, hd))
					})
					near(t, fmt.Sprint("gradient with dropout ", s, which, i), dqkv[i/hd*ld+which*hd+i%hd:][:1], []float64{want}, 3e-5)
				}
			}
		}
	})
}
