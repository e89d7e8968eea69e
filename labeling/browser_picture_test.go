package labeling_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"rlhf/storage"
)

// testPictures writes the README's pictures of the labeling page into the directory that RLHF_PICTURES names, from half-made
// rankings with ties in the real application:
//
//	RLHF_PICTURES=../docs go test -run TestBrowser/pictures ./labeling
func testPictures(t *testing.T, browser context.Context) {
	for _, picture := range []struct {
		name          string
		width, height int64
		scheme        string
	}{
		{"labeling.png", 1280, 720, "light"},
		{"labeling-phone.png", 390, 844, "dark"},
	} {
		w := newWorld(t, slices.Concat(reviews[1:], reviews[:1]))
		p := openTab(t, browser, w.URL, picture.width, picture.height)
		p.prefer("prefers-color-scheme", picture.scheme, "prefers-reduced-motion", "reduce")
		p.signIn("ada", password)
		p.keys("a1b1c1d1\r")
		p.wait(`document.querySelector("#prompt-text").textContent.includes("the film opens")`)
		p.place(reviews[0].completions[:3], 1, 2, 2)
		p.wait(`document.querySelectorAll("#pool .card").length === 1`)
		p.picture(picture.name)
	}
	w := newWorld(t, []review{explained}, func(task *storage.Task) {
		task.Messages = []storage.Message{{Role: "user", Content: task.Prompt}}
	})
	w.settings(t, func(s *storage.Settings) { s.Confidence = true })
	if _, err := w.db.AddGuideline(context.Background(), storage.DefaultProject, "## What to prefer\n\n1. What is **true**. A false statement weighs more than a clumsy one.\n2. What **helps**: it answers what was asked, at the level of whoever asked.\n3. What is **short enough**.\n\nTwo responses that are equally good share a place."); err != nil {
		t.Fatal(err)
	}
	p := openTab(t, browser, w.URL, 1600, 900)
	p.prefer("prefers-color-scheme", "light", "prefers-reduced-motion", "reduce")
	p.signIn("ada", password)
	p.wait(`document.querySelector("#guide strong")`)
	p.place(explained.completions, 1, 3, 2)
	evaluate[any](p, `void scrollTo(0, 0)`)
	p.picture("labeling-side.png")
}

// explained has responses of the kind that people compare: with structure, code, a mistake, and too much.
var explained = review{"What does this line of Go do? `defer f.Close()`", []string{
	"It makes sure that the file is closed when the **function** returns:\n\n```go\nf, err := os.Open(name)\nif err != nil {\n\treturn err\n}\ndefer f.Close()\n```\n\nThe call waits until the function ends, whichever `return` it leaves by, also in a panic.",
	"`defer` closes the file at the end of the **block**, such as the loop body it stands in.",
	"Go has three keywords for this:\n\n| keyword | does |\n|---|---|\n| `defer` | runs a call at the end of the function |\n| `panic` | unwinds the stack |\n| `recover` | stops a panic |\n\nHere the file's descriptor goes back to the system.",
}}

// place puts the completions into places.
func (p *tab) place(completions []string, places ...int) {
	p.t.Helper()
	key := func(text string) string {
		return strings.Join(strings.Fields(strings.NewReplacer("*", "", "`", "", "go\n", "").Replace(text)), " ")
	}
	for slot, text := range p.texts() {
		i := slices.IndexFunc(completions, func(c string) bool { return strings.HasPrefix(key(c), key(text)[:min(12, len(key(text)))]) })
		if i >= 0 {
			p.keys(strings.ToLower(slot) + fmt.Sprint(places[i]))
		}
	}
}

// picture writes the window into a file of the directory that RLHF_PICTURES names.
func (p *tab) picture(name string) {
	p.t.Helper()
	evaluate[any](p, `void document.activeElement.blur()`)
	image, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatalf("capture %s: %v", name, err)
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("RLHF_PICTURES"), name), image, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
