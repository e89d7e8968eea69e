package metrics

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Progress shows how far a long command is: a bar on a terminal, otherwise a
// plain line every few seconds. A nil Progress is valid and shows nothing. It
// may not be used concurrently.
type Progress struct {
	w     io.Writer
	name  string
	total int
	bar   *progressbar.ProgressBar // nil off a terminal
	start time.Time
	last  time.Time
	shown int
}

// lineEvery is the time between two plain lines.
const lineEvery = 10 * time.Second

// NewProgress starts showing the progress of total steps on w.
func NewProgress(w io.Writer, name string, total int) *Progress {
	p := &Progress{w: w, name: name, total: total, start: time.Now(), shown: -1}
	p.last = p.start
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(name),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

// Total changes the number of steps.
func (p *Progress) Total(total int) {
	if p == nil {
		return
	}
	p.total = total
	if p.bar != nil {
		p.bar.ChangeMax(total)
	}
}

// Set says that n steps are done, with a short note such as the current loss.
func (p *Progress) Set(n int, note string) {
	if p == nil {
		return
	}
	if p.bar != nil {
		p.bar.Describe(p.name + " " + note)
		_ = p.bar.Set(n)
		return
	}
	if now := time.Now(); now.Sub(p.last) >= lineEvery {
		p.last = now
		p.line(n, note)
	}
}

func (p *Progress) line(n int, note string) {
	p.shown = n
	if note != "" {
		note = "  " + note
	}
	fmt.Fprintf(p.w, "%s %d/%d%s  %s\n", p.name, n, p.total, note, time.Since(p.start).Round(time.Second))
}

// Done ends the display.
func (p *Progress) Done() {
	if p != nil && p.bar != nil {
		_ = p.bar.Finish()
	}
}
