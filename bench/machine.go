package bench

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"rlhf/internal/kernel"
)

// Machine returns a line that names the processor, its cores, the instruction set
// and the fused multiply-adds it was measured to make.
func Machine(peak float64, threads int) string {
	return fmt.Sprintf("%s, %d cores; %s/%s, Go %s; kernels: %s; FMA peak of %d threads: %.0f GF/s",
		processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, strings.TrimPrefix(runtime.Version(), "go"), kernel.Name(), threads, peak)
}

// Peak returns the most that the machine's multiply-adds give on so many threads, in GF/s: the best of some tries.
func Peak(threads int) (best float64) {
	for range 5 {
		best = max(best, kernel.PeakGFLOPS(threads))
	}
	return best
}

// processor returns the processor's name, as Linux knows it.
func processor() string {
	if name := field("/proc/cpuinfo", "model name"); name != "" {
		return name
	}
	return "unknown processor"
}

// PeakRSS returns the most memory, in MiB, that the process ever had in use; 0 where Linux does not say.
func PeakRSS() float64 {
	kib, err := strconv.ParseFloat(strings.TrimSuffix(field("/proc/self/status", "VmHWM"), " kB"), 64)
	if err != nil {
		return 0
	}
	return kib / 1024
}

// field returns the first value of a "name: value" line.
func field(path, name string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// tick is Linux's unit of processor time.
const tick = 10 * time.Millisecond

// busyTime returns the time that the machine's processors have worked, all together, stolen time counted.
func busyTime() time.Duration {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	// cpu user nice system idle iowait irq softirq steal …
	return ticks(bytes.Fields(raw), 1, 2, 3, 6, 7, 8)
}

// processTime returns the processor time that a process has used.
func processTime(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// after the name in parentheses: state … utime stime, numbers 14 and 15 of the line
	return ticks(bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:]), 11, 12)
}

// ticks returns the sum of some fields.
func ticks(fields [][]byte, at ...int) (sum time.Duration) {
	for _, i := range at {
		if i < len(fields) {
			n, err := strconv.ParseInt(string(fields[i]), 10, 64)
			if err == nil {
				sum += time.Duration(n) * tick
			}
		}
	}
	return sum
}
