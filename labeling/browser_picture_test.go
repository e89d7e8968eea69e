package labeling_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// testPictures writes the README's pictures of the labeling page into the directory that RLHF_PICTURES names, from a
// half-made ranking with a tie in the real application:
//
//	RLHF_PICTURES=../docs go test -run TestBrowser/pictures ./labeling
func testPictures(t *testing.T, browser context.Context) {
	directory := os.Getenv("RLHF_PICTURES")
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
		p.wait(`document.querySelectorAll("#pool .card").length === 4`)
		slots := map[string]string{}
		for slot, text := range p.texts() {
			slots[text] = slot
		}
		texts := reviews[0].completions
		p.keys(slots[texts[0]] + "1" + slots[texts[1]] + "2" + slots[texts[2]] + "2")
		p.wait(`document.querySelectorAll("#pool .card").length === 1`)
		evaluate[any](p, `void document.activeElement.blur()`)
		image, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatalf("capture %s: %v", picture.name, err)
		}
		if err := os.WriteFile(filepath.Join(directory, picture.name), image, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
