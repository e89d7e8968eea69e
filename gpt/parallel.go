package gpt

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// workers returns how many goroutines parallel uses at most.
func workers() int { return runtime.GOMAXPROCS(0) }

// parallel calls f once for each task from 0 to n-1, on as many goroutines as
// there are processors, and returns when all are done. Which worker gets a task
// is left to chance, so f must write only to what belongs to the task; worker
// numbers its scratch memory.
func parallel(n int, f func(worker, task int)) {
	w := min(workers(), n)
	if w <= 1 {
		for task := range n {
			f(0, task)
		}
		return
	}
	var next atomic.Int64
	run := func(worker int) {
		for {
			task := int(next.Add(1)) - 1
			if task >= n {
				return
			}
			f(worker, task)
		}
	}
	var wg sync.WaitGroup
	for worker := 1; worker < w; worker++ {
		wg.Go(func() { run(worker) })
	}
	run(0)
	wg.Wait()
}

// grow returns x resized to n, reusing its memory where it is large enough; old
// contents are not kept.
func grow[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n)
	}
	return x[:n]
}
