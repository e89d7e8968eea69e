package kernel

import (
	"fmt"
	"testing"
)

func BenchmarkMM(b *testing.B) {
	for _, s := range [][3]int{{192, 128, 512}, {384, 128, 512}, {192, 512, 128}, {384, 512, 128}, {128, 384, 1536}, {256, 384, 1536}, {256, 1536, 384}, {128, 768, 3072}, {128, 3072, 768}, {256, 768, 3072}, {256, 3072, 768}, {32, 128, 512}, {32, 384, 1536}, {8, 768, 3072}, {1, 768, 3072}} {
		rows, k, o := s[0], s[1], s[2]
		x, w, y := normal(rows*k), normal(k*o), normal(rows*o)
		p := make([]float32, PackedSize(k, o))
		Pack(p, Rows(w, o), k, o, 0, Panels(o))
		sc := make([]float32, MatMulScratch())
		for n, m := range map[string]Matrix{"packed": Packed(p), "rows": Rows(w, o), "cols": Columns(w, k)} {
			b.Run(fmt.Sprint(s, n), func(b *testing.B) {
				for b.Loop() {
					MatMul(Product{Y: y, LdY: o, X: x, LdX: k, W: m, Rows: rows, K: k, O: o}, 0, Panels(o), sc)
				}
				b.ReportMetric(float64(2*rows*k*o)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
			})
		}
	}
}
func BenchmarkOuter(b *testing.B) {
	for _, s := range [][3]int{{2048, 128, 384}, {2048, 128, 512}, {2048, 512, 128}, {2048, 384, 1536}, {256, 768, 3072}, {256, 3072, 768}} {
		rows, k, o := s[0], s[1], s[2]
		a, d, w := normal(rows*k), normal(rows*o), normal(k*o)
		sc := make([]float32, OuterScratch(k))
		for _, kr := range []int{48, 64, 96, 128, 192} {
			b.Run(fmt.Sprint(s, kr), func(b *testing.B) {
				for b.Loop() {
					for k0 := 0; k0 < k; k0 += kr {
						Outer(w, o, a, k, d, o, rows, k0, min(k0+kr, k), o, sc)
					}
				}
				b.ReportMetric(float64(2*rows*k*o)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
			})
		}
	}
}
func BenchmarkAttn(b *testing.B) {
	for _, s := range [][2]int{{64, 32}, {128, 64}, {88, 32}, {1024, 64}} {
		T, hd := s[0], s[1]
		C := 4 * hd
		ld := 3 * C
		qkv, do := normal(T*ld), normal(T*C)
		cap := AttentionCap(T)
		nk, nv := AttentionSize(hd, cap)
		kt, v, scratch := make([]float32, nk), make([]float32, nv), make([]float32, AttentionScratch(hd, cap))
		out := make([]float32, T*C)
		d := make([]float32, T*ld)
		sc := make([]float32, AttentionBackwardScratch(hd, T))
		b.Run(fmt.Sprint("fwd", s), func(b *testing.B) {
			for b.Loop() {
				AttentionStore(kt, v, qkv[C:], qkv[2*C:], ld, hd, cap, 0, T)
				Attention(out, C, qkv, ld, kt, v, hd, cap, 0, T, scratch)
			}
			b.ReportMetric(float64(2*T*T*hd)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
		})
		b.Run(fmt.Sprint("bwd", s), func(b *testing.B) {
			for b.Loop() {
				AttentionBackward(d, qkv, ld, do, C, C, hd, T, 0, T, sc)
			}
			b.ReportMetric(float64(5*T*T*hd)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
		})
	}
	// decode
	for _, s := range [][3]int{{64, 4, 32}, {64, 6, 64}} {
		T, nh, hd := s[0], s[1], s[2]
		C := nh * hd
		cap := AttentionCap(T)
		nk, nv := AttentionSize(hd, cap)
		slots := 32
		cache := normal(slots * nh * (nk + nv))
		sl := Slots{}
		for k := range slots {
			sl.Cache = append(sl.Cache, int64(k*nh*(nk+nv)))
			sl.Rows = append(sl.Rows, int64(k))
			sl.Feeds = append(sl.Feeds, 1)
			sl.At = append(sl.At, int64(T-1))
		}
		qkv, o := normal(slots*3*C), normal(slots*C)
		sc := make([]float32, AttentionCachedScratch(C, nh, cap))
		b.Run(fmt.Sprint("decode", s), func(b *testing.B) {
			for b.Loop() {
				AttentionCached(o, qkv, cache, sl, 0, slots, C, nh, cap, sc)
			}
			b.ReportMetric(float64(4*T*C*slots)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
		})
	}
}
