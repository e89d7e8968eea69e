package checkpoint_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rlhf/internal/checkpoint"
)

// restored loads a directory and fails the test unless it holds exactly what was saved at some step.
func restored(t *testing.T, dir string) state {
	t.Helper()
	c, s := example(t, 0)
	if err := checkpoint.Restore(dir, c); err != nil {
		t.Fatal(err)
	}
	want, _ := example(t, uint64(s.Step))
	for name := range want.Models {
		if !slices.Equal(c.Models[name].Theta, want.Models[name].Theta) || !slices.Equal(c.Optimizers[name].M, want.Optimizers[name].M) {
			t.Fatalf("%s: model %q is not that of step %d", dir, name, s.Step)
		}
	}
	return *s
}

// TestKilledWhileSaving kills a real process that saves over and over, some new
// checkpoints and some in the place of old ones, and shows that the newest loads
// and that no one it had saved is lost or broken.
func TestKilledWhileSaving(t *testing.T) {
	if dir := os.Getenv("RLHF_TEST_SAVE_INTO"); dir != "" {
		saveForever(t, dir)
	}
	for k := range 12 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileSaving$")
		cmd.Env = append(os.Environ(), "RLHF_TEST_SAVE_INTO="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		time.Sleep(time.Duration(k) * 3700 * time.Microsecond) // each time at another moment of a save
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // reports the kill
		if err != nil || line != "three are saved\n" {
			t.Fatalf("the process that saves said %q, %v", line, err)
		}
		step, latest, err := checkpoint.Latest(dir)
		if err != nil || step < 3 {
			t.Fatalf("killed after %d saves or more, the newest is %d: %v", 3, step, err)
		}
		restored(t, latest)
		for step := 1; step <= 3; step++ {
			restored(t, checkpoint.StepDir(dir, step))
		}
	}
}

// saveForever saves steps 1 to 3, says so, and goes on replacing them and adding others until it is killed.
func saveForever(t *testing.T, dir string) {
	for n := 1; ; n++ {
		c, _ := example(t, uint64(n%7))
		step := (n-1)%5 + 1
		if err := checkpoint.Save(checkpoint.StepDir(dir, step), c); err != nil {
			t.Fatal(err)
		}
		if n == 3 {
			os.Stdout.WriteString("three are saved\n")
		}
	}
}

// A kill may fall between any two of the steps by which a directory is replaced.
func TestEveryMomentOfReplacing(t *testing.T) {
	old, _ := example(t, 1)
	fresh, _ := example(t, 2)
	rename := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name  string
		stage func(t *testing.T, dir, other string) // dir holds step 1, other step 2
		want  int
	}{
		{"nothing but a half-written new one", func(t *testing.T, dir, other string) {
			rename(t, other, dir+".partial")
			if err := os.Remove(filepath.Join(dir+".partial", "manifest.json")); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"new one whole, old one still there", func(t *testing.T, dir, other string) { rename(t, other, dir+".partial") }, 1},
		{"old one moved away", func(t *testing.T, dir, other string) {
			rename(t, other, dir+".partial")
			rename(t, dir, dir+".old")
		}, 1},
		{"new one in its place", func(t *testing.T, dir, other string) {
			rename(t, dir, dir+".old")
			rename(t, other, dir)
		}, 2},
		{"old one half removed", func(t *testing.T, dir, other string) {
			rename(t, dir, dir+".old")
			rename(t, other, dir)
			if err := os.Remove(filepath.Join(dir+".old", "state.json")); err != nil {
				t.Fatal(err)
			}
		}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			dir, other := checkpoint.StepDir(root, 5), filepath.Join(t.TempDir(), "other")
			if err := checkpoint.Save(dir, old); err != nil {
				t.Fatal(err)
			}
			if err := checkpoint.Save(other, fresh); err != nil {
				t.Fatal(err)
			}
			test.stage(t, dir, other)
			step, latest, err := checkpoint.Latest(root)
			if err != nil || step != 5 || latest != dir {
				t.Fatalf("got %d, %s, %v", step, latest, err)
			}
			if got := restored(t, dir); got.Step != test.want {
				t.Errorf("step %d, want %d", got.Step, test.want)
			}
			if err := checkpoint.Save(dir, fresh); err != nil {
				t.Fatal(err)
			}
			if got := restored(t, dir); got.Step != 2 {
				t.Errorf("after saving again step %d, want 2", got.Step)
			}
			if err := checkpoint.Prune(root, 0); err != nil {
				t.Fatal(err)
			}
			if entries, _ := os.ReadDir(root); len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}
