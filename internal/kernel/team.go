package kernel

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Team is a set of goroutines that go through jobs of kernels together, the caller
// being one of them. Between jobs they wait in a short loop before they sleep, so
// that handing a job over costs no system call while jobs follow one another. A
// job is done when its tasks are: a helper that the machine lets wait holds
// nobody up. The zero Team is ready to start; one goroutine may drive it.
type Team struct {
	n     int      // members in work, 0 before Start
	loops []func() // of the helpers

	// the job: tasks from 0 on, taken in order by whoever is free
	run    atomic.Pointer[func(worker, task int)]
	board  atomic.Uint64 // number of the job, its tasks, and the next one to take
	done   atomic.Int64  // tasks done
	over   atomic.Bool   // reports whether the helpers are to go home
	first  uint64        // job number before the first job
	stints []Stint       // the members'

	mu       sync.Mutex
	sleepers atomic.Int64
	changed  *sync.Cond
	home     sync.WaitGroup
}

// taskBits is the width of a task number on the board.
const taskBits = 20

// post returns a board with a job of n tasks of which none is taken.
func post(job uint64, n int) uint64 { return job<<(2*taskBits) | uint64(n)<<taskBits }

// read returns the job number, the number of tasks and the next task of a board.
func read(board uint64) (job uint64, n, next int) {
	const mask = 1<<taskBits - 1
	return board >> (2 * taskBits), int(board >> taskBits & mask), int(board & mask)
}

// spins is how many looks a waiting member takes before it sleeps: some tens of microseconds.
const spins = 1 << 14

// Start brings n members together; Stop must follow.
func (t *Team) Start(n int) {
	if t.changed == nil {
		t.changed = sync.NewCond(&t.mu)
	}
	for len(t.loops) < n-1 {
		worker := len(t.loops) + 1
		t.loops = append(t.loops, func() { t.help(worker) })
	}
	for len(t.stints) < n {
		t.stints = append(t.stints, Stint{})
	}
	t.n = n
	t.first, _, _ = read(t.board.Load())
	t.over.Store(false)
	t.home.Add(n - 1)
	for _, loop := range t.loops[:n-1] {
		go loop()
	}
}

// Stop sends the helpers home and waits until they are gone.
func (t *Team) Stop() {
	t.over.Store(true)
	t.wake()
	t.home.Wait()
	t.n = 0
}

// Size returns the number of members at work, or 0.
func (t *Team) Size() int { return t.n }

// help is the loop of a helper.
func (t *Team) help(worker int) {
	defer t.home.Done()
	seen := t.first
	for {
		t.await(func() bool {
			job, _, _ := read(t.board.Load())
			return job != seen || t.over.Load()
		})
		if t.over.Load() {
			return
		}
		seen = t.work(worker)
	}
}

// await returns once ready holds. It looks often, then sleeps until wake.
func (t *Team) await(ready func() bool) {
	patience := spins
	if t.n > runtime.NumCPU() {
		patience = 1 // whoever is waited for may need this very processor
	}
	for range patience {
		if ready() {
			return
		}
	}
	t.mu.Lock()
	t.sleepers.Add(1)
	for !ready() {
		t.changed.Wait()
	}
	t.sleepers.Add(-1)
	t.mu.Unlock()
}

// wake makes sleeping members look again.
func (t *Team) wake() {
	if t.sleepers.Load() > 0 {
		t.mu.Lock()
		t.changed.Broadcast()
		t.mu.Unlock()
	}
}

// work takes tasks until none is left, and returns the number of the job seen last.
// A task is taken by moving the board from the state that it was read in, so what
// run held meanwhile is that job's.
func (t *Team) work(worker int) uint64 {
	for {
		t.stints[worker].Pass()
		board := t.board.Load()
		job, n, next := read(board)
		if next >= n {
			return job
		}
		run := t.run.Load()
		if !t.board.CompareAndSwap(board, board+1) {
			continue
		}
		(*run)(worker, next)
		if t.done.Add(1) == int64(n) {
			t.wake()
		}
	}
}

// Each calls *run once for each task from 0 to n-1 and returns when all are done.
// Which member gets a task is left to chance, so run must write only to what
// belongs to the task; worker numbers its scratch memory.
func (t *Team) Each(n int, run *func(worker, task int)) {
	if t.n <= 1 || n <= 1 {
		for task := range n {
			(*run)(0, task)
		}
		return
	}
	if n >= 1<<taskBits {
		panic(fmt.Sprintf("kernel: %d tasks at once, the most are %d", n, 1<<taskBits-1))
	}
	job, _, _ := read(t.board.Load())
	t.run.Store(run)
	t.done.Store(0)
	t.board.Store(post(job+1, n))
	t.wake()
	t.work(0)
	t.await(func() bool { return t.done.Load() == int64(n) })
}
