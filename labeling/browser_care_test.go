package labeling_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rlhf/storage"
)

func testDraft(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:2])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	p.keys("a2c2b1")
	p.stands("1: B | 2: A C | pool: D")
	p.click("#comment")
	p.keys("1 is close")
	p.do(chromedp.Reload())
	p.stands("1: B | 2: A C | pool: D")
	p.wait(`document.querySelector("#comment").value === "1 is close" && document.querySelector("#announce").textContent === "Your unfinished ranking is back."`)
	stored := evaluate[string](p, keptScript)
	if strings.Contains(stored, strings.TrimSpace(texts["A"])) || !strings.Contains(stored, "1 is close") {
		t.Errorf("the draft keeps the task's text in the browser, or does not keep the comment: %s", stored)
	}
	p.keys("d4" + kb.Enter)
	p.wait(`document.querySelectorAll("#pool .card").length === 4`)
	p.nothingRanked()
	if got := evaluate[string](p, `document.querySelector("#comment").value`); got != "" {
		t.Errorf("the comment %q stays for the next task", got)
	}
	w.holds(p, byText(texts, map[string]int{"B": 1, "A": 2, "C": 2, "D": 3}))
	if got := w.comments(t); len(got) != 1 || got[0] != "1 is close" {
		t.Errorf("the database holds the comments %q, want %q", got, "1 is close")
	}
}

func testTrouble(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	p.keys("a1b2c3d4")
	w.fail.Store(503)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#trouble:not([hidden]) #trouble-text").textContent.includes("The database is busy.")`)
	p.stands("1: A | 2: B | 3: C | 4: D")
	w.holds(p)
	w.fail.Store(500)
	p.click("#trouble-button") // at once, rather than when the page tries again by itself
	p.wait(`document.querySelector("#trouble-text").textContent.includes("The database is busy.") && !document.querySelector("#trouble").hidden`)
	w.fail.Store(503)
	p.do(chromedp.Reload()) // the answer is sent by itself
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	w.holds(p, byText(texts, map[string]int{"A": 1, "B": 2, "C": 3, "D": 4}))
}

func testSessionEnds(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	p.keys("a4b3c2d1")
	evaluate[any](p, `fetch("/api/session", {method: "DELETE"}).then(() => 0)`)
	p.keys(kb.Enter)
	p.wait(`location.pathname === "/" && document.querySelector("#notice").textContent.includes("Your session has ended")`)
	p.wait(`document.activeElement.id === "name" && document.querySelector("#submit:enabled")`)
	p.keys("ada\t" + password + kb.Enter)
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	w.holds(p, byText(texts, map[string]int{"D": 1, "C": 2, "B": 3, "A": 4}))
}

func testAllDone(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	p.wait(`document.querySelector("#progress-text").textContent === "0 done · 1 to go · 0 today"`)
	p.keys("a1b1c1d1" + kb.Enter)
	p.wait(`document.querySelector("#state.done:not([hidden]) h1").textContent === "All done"`)
	p.wait(`document.querySelector("#progress-text").textContent === "1 done · 0 to go · 1 today"`)
	if shown := evaluate[bool](p, `document.querySelector("#task").checkVisibility() || document.querySelector("#submit").checkVisibility()`); shown {
		t.Error("the finished task is still on the page")
	}
	w.each(t, func(r storage.Ranking) {
		if r.WallMS < r.ActiveMS || r.WallMS > patience.Milliseconds()*4 {
			t.Errorf("%d ms from shown to sent, of them %d active", r.WallMS, r.ActiveMS)
		}
	})
	if ms := w.activeMS(t); len(ms) != 1 || ms[0] <= 0 || ms[0] > patience.Milliseconds()*4 {
		t.Errorf("active times in the database are %v ms, want one above 0 and within the test's time", ms)
	}
}

func testAnnouncements(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	if live := evaluate[string](p, `document.querySelector("#announce").getAttribute("aria-live")`); live != "polite" {
		t.Errorf("the live region is %q, want polite", live)
	}
	p.wait(`document.querySelector("#announce").textContent.startsWith("New task with 4 responses. Prompt: ")`)
	for _, step := range []struct{ keys, announced, label string }{
		{"a1", "A in place 1. 3 left to place.", "Response A, place 1"},
		{"c1", "C in place 1, tied with A. 2 left to place.", "Response C, place 1, tied with A"},
		{"b1", "B in place 1, tied with A and C. 1 left to place.", "Response B, place 1, tied with A and C"},
		{"d3", "D in place 3. All placed. Enter submits.", "Response D, place 3"},
		{"a0", "A taken out. 1 left to place.", "Response A, not placed"},
		{"z", "Undone. All placed. Enter submits.", "Response A, place 1, tied with B and C"},
	} {
		p.keys(step.keys)
		p.wait(fmt.Sprintf(`document.querySelector("#announce").textContent.trim() === %q`, step.announced))
		p.wait(fmt.Sprintf(`document.querySelector(%q).getAttribute("aria-label") === %q`, card(step.label[len("Response "):][:1]), step.label))
	}
}

func testHostileText(t *testing.T, browser context.Context) {
	task := review{
		prompt: "Two  blanks,\ta tab\nand <b>markup</b> &amp; " + strings.Repeat("Donaudampfschiff", 200),
		completions: []string{
			`<img src=x onerror="document.title='broken'"> is text`,
			"<script>document.title='broken'</script> is text",
			"   three blanks,\n\nan empty line\tand a tab",
			"\u202eright to left\u202c and 100 lines" + strings.Repeat("\nline", 100),
		},
	}
	w := newWorld(t, []review{task})
	p := openTab(t, browser, w.URL, 390, 844)
	p.signIn("ada", password)
	p.click("#view-raw")
	if got := evaluate[string](p, `document.querySelector("#prompt-text").textContent`); got != task.prompt {
		t.Errorf("the prompt is shown as %q", got)
	}
	shown := map[string]bool{}
	for _, text := range p.texts() {
		shown[text] = true
	}
	for _, text := range task.completions {
		if !shown[text] {
			t.Errorf("the completion %q is not shown as it is", text)
		}
	}
	hostile := []struct{ expression, meaning string }{
		{`document.title === "Rank · Labeling"`, "no text ran as a script"},
		{`document.querySelectorAll(".task .raw :not(span)").length === 0 && document.querySelectorAll(".task .raw").length === 5`, "texts hold no elements of their own"},
		{`[...document.querySelectorAll(".task .text")].every((text) => getComputedStyle(text).whiteSpace === "pre-wrap")`, "white space is preserved"},
		{`[...document.querySelectorAll(".task .text")].every((text) => text.scrollHeight <= text.clientHeight + 1 && text.scrollWidth <= text.clientWidth + 1)`, "no text is cut off"},
		{`document.documentElement.scrollWidth <= 390`, "the page does not scroll sideways"},
	}
	for _, check := range hostile {
		if !evaluate[bool](p, check.expression) {
			t.Errorf("does not hold: %s", check.meaning)
		}
	}
	p.click("#view-raw") // rendered again
	p.wait(`document.querySelector("#prompt-text.rich")`)
	for _, check := range append(hostile[:1], hostile[3:]...) {
		if !evaluate[bool](p, check.expression) {
			t.Errorf("rendered, does not hold: %s", check.meaning)
		}
	}
	if found := evaluate[int](p, `document.querySelectorAll(".task .text :is(script, img, [onerror], style, iframe)").length`); found != 0 {
		t.Errorf("%d hostile elements in the rendered texts", found)
	}
}
