// Package kernel holds the arithmetic of the Transformer: C kernels behind Go
// functions over flat float32 slices. It knows sizes and pointers, no model.
//
// Every kernel runs on the calling goroutine and writes each output element by
// one chain of additions whose order depends only on the element: not on the
// number of rows, nor on the range of rows or outputs a call covers. So work may
// be split by output in any way, over any number of threads, without changing a
// bit. Three builds of the same source exist (portable C, AVX2 with FMA,
// AVX-512); the best the machine has is chosen at start, or the one named by
// the environment variable RLHF_KERNEL. Results may differ between builds.
//
// A slice shorter than its sizes say is a programmer's mistake and panics.
// Kernels may be called concurrently as long as outputs do not overlap.
package kernel

/*
#cgo CFLAGS: -O3 -std=c11 -Wno-psabi
#cgo LDFLAGS: -lm
#include "call.h"

#cgo noescape k_pack
#cgo nocallback k_pack
#cgo noescape k_peak
#cgo nocallback k_peak
*/
import "C"

import (
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"
)

// Names lists the instruction sets from the fastest to the slowest.
var Names = []string{"avx512", "avx2", "portable"}

var refused error

func init() {
	if name := os.Getenv("RLHF_KERNEL"); name != "" {
		if err := Use(name); err != nil {
			refused = fmt.Errorf("RLHF_KERNEL: %w", err)
		}
	}
	for _, name := range Names {
		if Name() == "" && Use(name) == nil {
			return
		}
	}
}

// Refused returns the error of a RLHF_KERNEL that names no instruction set of this
// machine, or nil. A program checks it before it computes anything: another
// instruction set than the one asked for gives other results.
func Refused() error { return refused }

// sizes of the instruction set in use.
var (
	panel     int // outputs of a packed panel
	tileRows  int // rows of a matrix tile
	kblock    int // terms that a product packs at once
	outerRows int // rows that a weight gradient packs at once
	queries   int // queries that attention's backward pass takes at once
)

// Use makes later calls run on the named instruction set. It returns an error
// that lists the known ones if this machine or build does not have it. Buffers
// packed before are of no use afterwards; it must not run beside a kernel.
func Use(name string) error {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	if C.rlhf_kernel_select(s) == nil {
		return fmt.Errorf("kernel %q: not on this machine (known: %v)", name, Names)
	}
	k := C.rlhf_kernel
	panel, tileRows, kblock, outerRows, queries = int(k.panel), int(k.tile), int(k.kblock), int(k.outer_rows), int(k.queries)
	return nil
}

// Name returns the instruction set in use.
func Name() string {
	if C.rlhf_kernel == nil {
		return ""
	}
	return C.GoString(C.rlhf_kernel.name)
}

// f32 returns a pointer to the first element of x after checking that x holds n.
func f32(what string, x []float32, n int) *C.float {
	if len(x) < n {
		panic(fmt.Sprintf("kernel: %s holds %d floats, needs %d", what, len(x), n))
	}
	return (*C.float)(unsafe.Pointer(unsafe.SliceData(x)))
}

func i32(what string, x []int32, n int) *C.int32_t {
	if len(x) < n {
		panic(fmt.Sprintf("kernel: %s holds %d integers, needs %d", what, len(x), n))
	}
	return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(x)))
}

func i64(what string, x []int64, n int) *C.int64_t {
	if len(x) < n {
		panic(fmt.Sprintf("kernel: %s holds %d integers, needs %d", what, len(x), n))
	}
	return (*C.int64_t)(unsafe.Pointer(unsafe.SliceData(x)))
}

func f64(what string, x []float64, n int) *C.double {
	if len(x) < n {
		panic(fmt.Sprintf("kernel: %s holds %d doubles, needs %d", what, len(x), n))
	}
	return (*C.double)(unsafe.Pointer(unsafe.SliceData(x)))
}

// span returns the floats that rows rows of width floats, ld apart, reach over.
func span(rows, ld, width int) int {
	if rows == 0 {
		return 0
	}
	return (rows-1)*ld + width
}

func i(n int) C.int64_t { return C.int64_t(n) }

// roundUp returns the least multiple of unit that is not below n.
func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// PeakGFLOPS measures the machine's peak of fused multiply-adds on registers, in
// 1e9 operations a second (an addition and a multiplication count one each), on
// the instruction set in use and that many threads at once, for about a fifth of
// a second. It is what a kernel's speed can be compared with.
func PeakGFLOPS(threads int) float64 {
	const rounds = 1 << 20
	done := make([]float64, threads)
	var wg sync.WaitGroup
	start := time.Now()
	for t := range threads {
		wg.Go(func() {
			out := []float32{0}
			for time.Since(start) < 200*time.Millisecond {
				done[t] += float64(C.k_peak(f32("out", out, 1), rounds))
			}
		})
	}
	wg.Wait()
	total := 0.0
	for _, n := range done {
		total += n
	}
	return total / time.Since(start).Seconds() / 1e9
}
