package kernel

import (
	"runtime"
	"sync/atomic"
	"time"
)

var threads atomic.Int64

func init() { SetThreads(runtime.GOMAXPROCS(0)) }

// Threads returns how many goroutines run kernels side by side: at start GOMAXPROCS.
func Threads() int { return int(threads.Load()) }

// SetThreads makes it n, at least 1, and GOMAXPROCS one more. Go's monitor takes a
// processor away from whoever is in C for longer than 20 microseconds unless
// another one is idle, and then looks every 20 microseconds. It must not run beside a pass, a sampler or an optimizer.
func SetThreads(n int) {
	threads.Store(int64(max(n, 1)))
	runtime.GOMAXPROCS(max(n, 1) + 1)
}

// Stint is the time a goroutine has been running kernels since it last passed
// through Go's scheduler. From one that has not for ten milliseconds Go's monitor
// takes the processor at each of its looks, however short the calls into C are.
type Stint struct{ began time.Time }

// Pass passes through the scheduler if the stint has lasted four milliseconds.
func (s *Stint) Pass() {
	if now := time.Now(); now.Sub(s.began) > 4*time.Millisecond {
		runtime.Gosched()
		s.began = now
	}
}
