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

func BenchmarkPar(b *testing.B) {
	for _, s := range [][3]int{{256, 384, 1536}, {256, 1536, 384}, {256, 128, 512}, {96, 384, 1536}} {
		rows, k, o := s[0], s[1], s[2]
		w := normal(k * o)
		p := make([]float32, PackedSize(k, o))
		Pack(p, Rows(w, o), k, o, 0, Panels(o))
		for n, m := range map[string]Matrix{"packed": Packed(p), "rows": Rows(w, o), "cols": Columns(w, k)} {
			for _, th := range []int{1, 2} {
				b.Run(fmt.Sprint(s, n, th), func(b *testing.B) {
					ch := make(chan int)
					for range th {
						x, y := make([]float32, rows*k), make([]float32, rows*o)
						sc := make([]float32, MatMulScratch())
						go func() {
							for range b.N {
								MatMul(Product{Y: y, LdY: o, X: x, LdX: k, W: m, Rows: rows, K: k, O: o}, 0, Panels(o), sc)
							}
							ch <- 1
						}()
					}
					for range th {
						<-ch
					}
					b.ReportMetric(float64(th)*float64(2*rows*k*o)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
				})
			}
		}
	}
	for _, th := range []int{1, 2} {
		b.Run(fmt.Sprint("outer", th), func(b *testing.B) {
			ch := make(chan int)
			rows, k, o := 2048, 384, 1536
			for range th {
				a, d, w := make([]float32, rows*k), make([]float32, rows*o), make([]float32, k*o)
				sc := make([]float32, OuterScratch(192))
				go func() {
					for range b.N {
						for k0 := 0; k0 < k; k0 += 192 {
							Outer(w, o, a, k, d, o, rows, k0, min(k0+192, k), o, sc)
						}
					}
					ch <- 1
				}()
			}
			for range th {
				<-ch
			}
			b.ReportMetric(float64(th)*float64(2*rows*k*o)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
		})
		b.Run(fmt.Sprint("peak", th), func(b *testing.B) { b.ReportMetric(PeakGFLOPS(th), "GF/s") })
	}
}

func BenchmarkPeak(b *testing.B) {
	for _, isa := range Names {
		Use(isa)
		for th := 1; th <= 2; th++ {
			b.Run(fmt.Sprint(isa, th), func(b *testing.B) { b.ReportMetric(PeakGFLOPS(th), "GF/s") })
		}
	}
	Use("avx512")
}

func BenchmarkCold(b *testing.B) {
	for _, s := range [][3]int{{32, 384, 1536}, {64, 384, 1536}, {16, 768, 3072}, {8, 768, 3072}, {1, 768, 3072}} {
		rows, k, o := s[0], s[1], s[2]
		count := 100 << 20 / 4 / k / o
		var ps [][]float32
		for range count {
			p := make([]float32, PackedSize(k, o))
			for i := range p {
				p[i] = float32(i & 15)
			}
			ps = append(ps, p)
		}
		for _, th := range []int{1, 2} {
			b.Run(fmt.Sprint(s, th), func(b *testing.B) {
				ch := make(chan int)
				for t := range th {
					x, y := make([]float32, rows*k), make([]float32, rows*o)
					go func() {
						for n := range b.N {
							MatMul(Product{Y: y, LdY: o, X: x, LdX: k, W: Packed(ps[(n+t*count/2)%count]), Rows: rows, K: k, O: o}, 0, Panels(o), nil)
						}
						ch <- 1
					}()
				}
				for range th {
					<-ch
				}
				b.ReportMetric(float64(th)*float64(2*rows*k*o)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
				b.ReportMetric(float64(th)*float64(4*k*o)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, s := range [][4]int{{48, 4, 32, 4}, {48, 6, 64, 6}, {90, 4, 32, 4}} {
		T, nh, hd, L := s[0], s[1], s[2], s[3]
		C := nh * hd
		cap := AttentionCap(96)
		nk, nv := AttentionSize(hd, cap)
		slots := 32
		per := L * nh * (nk + nv)
		for _, th := range []int{1, 2} {
			b.Run(fmt.Sprint(s, th), func(b *testing.B) {
				ch := make(chan int)
				for range th {
					cache := make([]float32, slots*per)
					sl := make([]Slots, L)
					for l := range L {
						for k := range slots {
							sl[l].Cache = append(sl[l].Cache, int64(k*per+l*nh*(nk+nv)))
							sl[l].Rows = append(sl[l].Rows, int64(k))
							sl[l].Feeds = append(sl[l].Feeds, 1)
							sl[l].At = append(sl[l].At, int64(T-1))
						}
					}
					qkv, o := make([]float32, slots*3*C), make([]float32, slots*C)
					sc := make([]float32, AttentionCachedScratch(C, nh, cap))
					go func() {
						for range b.N {
							for l := range L {
								AttentionCached(o, qkv, cache, sl[l], 0, slots, C, nh, cap, sc)
							}
						}
						ch <- 1
					}()
				}
				for range th {
					<-ch
				}
				b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(L*slots*nh)*1e9, "ns/head")
			})
		}
	}
}
