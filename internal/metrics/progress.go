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
	from  int // steps done before the display began, as of a resumed run
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

// From says that n steps were done before the display began, as in a resumed run.
func (p *Progress) From(n int) {
	if p != nil {
		p.from = n
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
	took := time.Since(p.start)
	fmt.Fprintf(p.w, "%s %d/%d%s  %s%s\n", p.name, n, p.total, note, took.Round(time.Second), p.left(n, took))
}

// left says how long the rest will take at the speed so far.
func (p *Progress) left(n int, took time.Duration) string {
	if n <= p.from || n >= p.total {
		return ""
	}
	rest := time.Duration(float64(took) * float64(p.total-n) / float64(n-p.from))
	return fmt.Sprintf(", about %s left", rest.Round(time.Second))
}

// Done ends the display.
func (p *Progress) Done() {
	if p != nil && p.bar != nil {
		_ = p.bar.Finish()
	}
}
