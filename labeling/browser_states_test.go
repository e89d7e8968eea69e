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

// newRichWorld has everything that a labeler's page can show: training, guidelines with an example, a conversation with
// markdown, ratings, questions and confidence.
func newRichWorld(t testing.TB) *world {
	t.Helper()
	long := "# A title\n\nSome **strong** words, `code`, and a list:\n\n- one\n- two\n\n```go\nfunc main() {\n\tfmt.Println(\"a line that is long enough to reach beyond the edge of a narrow screen\")\n}\n```\n\n| op | cost |\n|---|---|\n| find | O(log n) |\n\n> " + strings.Repeat("quoted words and ", 12) + "an end."
	kinds := []string{storage.KindTraining, storage.KindExample, storage.KindNormal, storage.KindNormal}
	i := 0
	w := newWorld(t, []review{
		{"Explain trees.\n", []string{long, "No.", "Trees hold keys.\n\nThey do.", strings.Repeat("Much is said. ", 60)}},
		{"an example", []string{" good .", " bad ."}},
		{"Explain graphs.\n", []string{long, "A graph has nodes.", "<b>Graphs</b> & more"}},
		{"Explain heaps.\n", []string{"A heap.", "Another heap."}},
	}, func(task *storage.Task) {
		task.Kind = kinds[i]
		i++
		task.System = "You are a teacher."
		task.Messages = []storage.Message{{Role: "user", Content: "Hello"}, {Role: "assistant", Content: "Hello, *you*"}, {Role: "user", Content: task.Prompt}}
		if task.Kind == storage.KindNormal {
			return
		}
		task.Overlap = 0
		task.Reference = &storage.Reference{Note: "Because *it is*."}
		for j := range task.Completions {
			task.Reference.Ranks = append(task.Reference.Ranks, j+1)
		}
	})
	w.settings(t, func(s *storage.Settings) {
		s.Rate, s.Confidence = true, true
		s.Questions = []storage.Question{
			{Key: "hallucination", Text: map[string]string{"en": "Makes something up", "zh": "编造内容"}},
			{Key: "harmful_advice", Text: map[string]string{"en": "Gives harmful advice to whoever asked", "zh": "给出有害建议"}},
		}
	})
	if _, err := w.db.AddGuideline(context.Background(), storage.DefaultProject, "# What to prefer\n\nWhat is **true**, then what [helps](https://example.com/).\n\n1. truth\n2. help"); err != nil {
		t.Fatal(err)
	}
	return w
}

// rateAll answers everything that is asked of each response.
func (p *tab) rateAll() {
	p.t.Helper()
	evaluate[any](p, `void document.querySelectorAll(".ratings .asked .segment:nth-child(2) input").forEach((input) => input.click())`)
	p.wait(`!document.querySelector("#submit").disabled`)
}

// readAll scrolls every response to its end.
func (p *tab) readAll() {
	p.t.Helper()
	evaluate[any](p, `(async () => {
		for (const end of document.querySelectorAll(".card .end")) {
			end.scrollIntoView({block: "end", inline: "nearest"});
			await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
		}
		scrollTo(0, 0);
	})()`)
}

// labelStates brings the labeler's page into each of its states and calls look in each.
func (p *tab) labelStates(w *world, look func(state string)) {
	p.t.Helper()
	size := func(width int64) { p.do(chromedp.EmulateViewport(width, 900)) }
	key := func(keys, condition string) { p.t.Helper(); p.keys(keys); p.wait(condition) }
	open := func(id string) string { return fmt.Sprintf(`document.querySelector(%q).open`, id) }
	p.wait(`document.querySelector("#guide .example") && document.querySelector("#task").dataset.step === "rate"`)
	look("guidelines beside a training task")
	size(1440)
	key("w", `!document.querySelector("#guide").checkVisibility()`)
	look("rating")
	size(1440)
	p.rateAll()
	p.readAll()
	p.keys("a")
	key(kb.Enter, `document.querySelector("#task").dataset.step === "rank"`)
	key("a1b2c2", `document.querySelectorAll(".token").length === 3`)
	look("half ranked, side by side")
	size(1440)
	key("v", `document.querySelectorAll(".place .card").length === 3`)
	p.do(chromedp.Focus(chromedp.CSS("#whole input")))
	p.keys(" ")
	p.click("#whole summary")
	look("half ranked, stacked")
	size(1440)
	key("r", `document.querySelector(".card .raw")`)
	look("raw text")
	size(1440)
	p.keys("rv")
	key("ax", open("#compare"))
	look("differences")
	key(kb.Escape, `!`+open("#compare"))
	size(1440)
	key("s", open("#skip-dialog"))
	look("skipping")
	key(kb.Escape, `!`+open("#skip-dialog"))
	size(1440)
	p.readAll()
	key("d4", `!document.querySelector("#submit").disabled`)
	key(kb.Enter, open("#feedback"))
	look("feedback")
	key(kb.Enter, `!`+open("#feedback")+` && document.querySelector("#task").dataset.step === "rate"`)
	size(1440)
	key("l", `document.querySelector(".recent-task")`)
	look("last answers")
	p.keys(kb.Escape)
	size(1440)
	p.rateAll()
	p.readAll()
	p.keys("a" + kb.Enter)
	p.readAll()
	p.keys("a1b2c3")
	w.fail.Store(503)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#trouble").checkVisibility()`)
	look("an answer that waits")
}

func testLabelStates(t *testing.T, browser context.Context) {
	for _, lang := range []string{"en", "zh"} {
		w := newRichWorld(t)
		p := openTab(t, browser, w.URL, 1440, 900)
		p.open("/")
		p.speak(lang)
		p.signIn("ada", password)
		p.labelStates(w, func(state string) { p.look(lang + ", " + state) })
		w.blind(t)
	}
}

// blind fails the test if anything that was sent names a model.
func (w *world) blind(t testing.TB) {
	t.Helper()
	sent := w.everythingSent()
	for _, name := range models {
		if strings.Contains(sent, name) {
			t.Errorf("the server sent the model's name %q to a labeler", name)
		}
	}
}

// TestBrowserAxeLabel lets axe-core look at a labeler's page in its states.
func TestBrowserAxeLabel(t *testing.T) {
	needAxe(t)
	browser := startBrowser(t)
	for _, lang := range []string{"en", "zh"} {
		t.Run(lang, func(t *testing.T) {
			w := newRichWorld(t)
			p := openTab(t, browser, w.URL, 1440, 900)
			p.open("/enter")
			p.speak(lang)
			p.open("/enter")
			p.wait(`document.querySelector("#error").textContent !== ""`)
			p.accessible("no one-time link")
			p.open("/?") // a change of the fragment alone loads nothing
			p.open("/enter#abc")
			p.wait(`document.querySelector("#enter:enabled")`)
			p.accessible("one-time link")
			p.do(chromedp.EmulateViewport(1440, 900))
			p.signIn("ada", password)
			p.labelStates(w, p.accessible)
		})
	}
}

// Whatever gets the focus by Tab is in sight, not beneath the bar, has a ring around it, and the Tab key passes through the
// whole page and out of it.
func testFocusInSight(t *testing.T, browser context.Context) {
	w := newRichWorld(t)
	p := openTab(t, browser, w.URL, 1000, 640)
	p.signIn("ada", password)
	p.wait(`document.querySelector("#guide").contains(document.activeElement)`) // new guidelines lie over a narrow page
	p.keys(kb.Escape)
	p.wait(`!document.querySelector("#guide").checkVisibility() && document.activeElement.id === "guide-button"`)
	walk := func(step string) {
		t.Helper()
		evaluate[any](p, `void document.querySelector(".skip").focus()`)
		for n := range 120 {
			p.keys("\t")
			fault := evaluate[string](p, `(() => {
				const node = document.activeElement, bar = document.querySelector(".bar").getBoundingClientRect();
				if (node === document.body) return "end";
				const shown = node.matches(".segment input") ? node.parentElement : node, box = shown.getBoundingClientRect();
				const name = node.id || node.value || node.getAttribute("aria-label") || node.textContent.trim().slice(0, 20);
				if (!node.closest(".bar") && !node.matches(".card") && (box.top < -1 || box.bottom > bar.top + 1)) return name + " at " + Math.round(box.top) + " to " + Math.round(box.bottom) + ", the bar at " + Math.round(bar.top);
				if (node.matches(".card") && box.top > bar.top - 40) return "the card " + name + " is beneath the bar";
				if (getComputedStyle(shown).outlineStyle === "none") return name + " has no ring";
				return "";
			})()`)
			if fault == "end" && n < 25 {
				t.Errorf("%s: the Tab key passes only %d controls", step, n)
			}
			if fault == "end" {
				return
			}
			if fault != "" {
				t.Errorf("%s: %s", step, fault)
			}
		}
		t.Errorf("%s: the Tab key does not come to an end", step)
	}
	walk("rating")
	p.rateAll()
	p.readAll()
	p.keys("a" + kb.Enter)
	p.wait(`document.querySelector("#task").dataset.step === "rank"`)
	walk("ranking")
	p.keys("v")
	walk("the other layout")
}
