package gpt

import (
	"runtime"
	"sync"
	"sync/atomic"

	"rlhf/internal/kernel"
)

// team is a set of goroutines that go through a pass's jobs together, the caller
// being one of them. Between jobs they wait in a short loop before they sleep, so
// that handing a job over costs no system call while jobs follow one another. The
// zero team is ready to start; one goroutine may drive it.
type team struct {
	n     int      // members in work, 0 before start
	loops []func() // of the helpers

	// the job: tasks from 0 to tasks-1, taken in order by whoever is free
	run    func(worker, task int)
	tasks  int64
	next   atomic.Int64
	number atomic.Int64 // of the job; odd while the team is told to go home
	first  int64        // number before the first job
	left   atomic.Int64 // helpers that are not done with the job

	mu       sync.Mutex
	sleepers atomic.Int64
	changed  *sync.Cond
	home     sync.WaitGroup
}

// spins is how many looks a waiting member takes before it sleeps: about a tenth of a millisecond.
const spins = 1 << 15

// workers returns how many goroutines the engine works with.
func workers() int { return kernel.Threads() }

// start brings n members together; stop must follow.
func (t *team) start(n int) {
	if t.changed == nil {
		t.changed = sync.NewCond(&t.mu)
	}
	for len(t.loops) < n-1 {
		worker := len(t.loops) + 1
		t.loops = append(t.loops, func() { t.help(worker) })
	}
	t.n, t.first = n, t.number.Load()
	t.home.Add(n - 1)
	for _, loop := range t.loops[:n-1] {
		go loop()
	}
}

// stop sends the helpers home and waits until they are gone.
func (t *team) stop() {
	if t.n > 1 {
		t.left.Store(0)
		t.number.Add(1)
		t.wake()
		t.home.Wait()
		t.number.Add(1)
	}
	t.n = 0
}

// help is the loop of a helper.
func (t *team) help(worker int) {
	defer t.home.Done()
	seen := t.first
	for {
		number := t.await(func() bool { return t.number.Load() != seen })
		if number&1 == 1 {
			return
		}
		seen = number
		t.work(worker)
		if t.left.Add(-1) == 0 {
			t.wake()
		}
	}
}

// await returns the job's number once ready holds. It looks often, then sleeps until wake.
func (t *team) await(ready func() bool) int64 {
	patience := spins
	if t.n > runtime.NumCPU() {
		patience = 1 // whoever is waited for may need this very processor
	}
	for range patience {
		if ready() {
			return t.number.Load()
		}
	}
	t.mu.Lock()
	t.sleepers.Add(1)
	for !ready() {
		t.changed.Wait()
	}
	t.sleepers.Add(-1)
	t.mu.Unlock()
	return t.number.Load()
}

// wake makes sleeping members look again.
func (t *team) wake() {
	if t.sleepers.Load() > 0 {
		t.mu.Lock()
		t.changed.Broadcast()
		t.mu.Unlock()
	}
}

// work takes tasks until none is left.
func (t *team) work(worker int) {
	for {
		task := t.next.Add(1) - 1
		if task >= t.tasks {
			return
		}
		t.run(worker, int(task))
	}
}

// each calls run once for each task from 0 to n-1 and returns when all are done.
// Which member gets a task is left to chance, so run must write only to what
// belongs to the task; worker numbers its scratch memory.
func (t *team) each(n int, run func(worker, task int)) {
	if t.n <= 1 || n <= 1 {
		for task := range n {
			run(0, task)
		}
		return
	}
	t.run, t.tasks = run, int64(n)
	t.next.Store(0)
	t.left.Store(int64(t.n - 1))
	t.number.Add(2)
	t.wake()
	t.work(0)
	t.await(func() bool { return t.left.Load() == 0 })
}

// grow returns x resized to n, reusing its memory where it is large enough; old
// contents are not kept.
func grow[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n)
	}
	return x[:n]
}

// zeros is grow with all elements zero.
func zeros(x []float32, n int) []float32 {
	x = grow(x, n)
	clear(x)
	return x
}
