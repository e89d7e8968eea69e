package labeling_test

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// keptScript reads all that the page keeps in this browser.
const keptScript = `new Promise((resolve) => {
	const opening = indexedDB.open("rlhf");
	opening.onsuccess = () => {
		const all = opening.result.transaction("drafts").objectStore("drafts").getAll();
		all.onsuccess = () => resolve(JSON.stringify([all.result, {...localStorage}]));
	};
})`

// An answer given without a connection is kept, the next task is there all the same, and the answer goes off by itself.
func testOffline(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:2])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	first := evaluate[string](p, `document.querySelector("#prompt-text").textContent`)
	p.wait(`performance.getEntriesByName(location.origin + "/api/tasks/next").length === 2`) // the next task has come
	p.offline(true)
	p.keys("a1b2c2d4" + kb.Enter)
	p.wait(`document.querySelector("#prompt-text").textContent !== ` + quote(first) + ` && document.querySelectorAll("#pool .card").length === 4`)
	p.wait(`document.querySelector("#pending").checkVisibility() && document.querySelector("#trouble-text").textContent.startsWith("No connection.")`)
	p.keys("a2b1")
	p.stands("1: B | 2: A | pool: C D")
	w.holds(p)
	p.offline(false)
	w.holds(p, byText(texts, map[string]int{"A": 1, "B": 2, "C": 2, "D": 3}))
	p.wait(`document.querySelector("#pending").hidden && document.querySelector("#trouble").hidden`)
	p.stands("1: B | 2: A | pool: C D")
}

// A server that is killed and comes back loses neither the draft, the session nor the answer given meanwhile.
func testRestart(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	p.keys("a1b2")
	eventually(t, "the draft is on the server", func() bool { return w.requests("PUT /api/tasks/ID/draft") > 0 })
	w.stop(t)
	p.keys("c3")
	p.stands("1: A | 2: B | 3: C | pool: D")
	w.start(t)
	p.do(chromedp.Reload())
	p.stands("1: A | 2: B | 3: C | pool: D")
	w.stop(t)
	p.keys("d3" + kb.Enter)
	p.wait(`document.querySelector("#trouble-text").textContent.startsWith("No connection.")`)
	w.start(t)
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	w.holds(p, byText(texts, map[string]int{"A": 1, "B": 2, "C": 3, "D": 3}))
}

// Two tabs show one ranking: what is done in one is seen in the other, and both say so.
func testTwoTabs(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	p.keys("a1b2")
	p.stands("1: A | 2: B | pool: C D")
	q := p.another(1280, 800)
	q.open("/label")
	q.stands("1: A | 2: B | pool: C D")
	for _, tab := range []*tab{p, q} {
		tab.wait(`document.querySelector("#tabs").checkVisibility()`)
	}
	q.keys("c2")
	p.stands("1: A | 2: B C | pool: D")
	p.keys("d1")
	q.stands("1: A D | 2: B C")
	q.click("#submit")
	for _, tab := range []*tab{p, q} {
		tab.wait(`document.querySelector("#state.done:not([hidden])")`)
	}
	w.holds(p, byText(texts, map[string]int{"A": 1, "D": 1, "B": 2, "C": 2}))
	w.blind(t)
}

// A draft goes on where it was on another device; what both have changed is not lost unseen.
func testAnotherDevice(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	p.keys("a1b2")
	drafts := func() int { return w.requests("PUT /api/tasks/ID/draft") }
	eventually(t, "the draft is on the server", func() bool { return drafts() > 0 })
	q := openTab(t, browser, w.URL, 390, 844)
	q.signIn("ada", password)
	q.stands("1: A | 2: B | pool: C D")
	before := drafts()
	q.keys("c3")
	eventually(t, "the other device's draft is on the server", func() bool { return drafts() > before })
	p.keys("d4")
	p.wait(`document.querySelector("#trouble-text").textContent === "This task was also worked on elsewhere, differently."`)
	p.stands("1: A | 2: B | 4: D | pool: C")
	p.click("#trouble-button")
	p.stands("1: A | 2: B | 3: C | pool: D")
}

// The next task is there before the answer has arrived: it is shown while the server is still at work on the answer.
func testNextTaskReady(t *testing.T, browser context.Context) {
	w := newWorld(t, append(append([]review{}, reviews...), review{"a third", []string{" one .", " two ."}}))
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	p.wait(`performance.getEntriesByName(location.origin + "/api/tasks/next").length === 2`) // the next task has come
	gate := make(chan struct{})
	w.gate.Store(&gate)
	p.keys("a1b2c3d4")
	first := evaluate[string](p, `document.querySelector("#prompt-text").textContent`)
	took := evaluate[float64](p, `new Promise((resolve) => {
		const start = performance.now();
		new MutationObserver((_, observer) => {
			const text = document.querySelector("#prompt-text")?.textContent;
			if (!text || text === `+quote(first)+` || document.querySelectorAll("#pool .card").length === 0) return;
			observer.disconnect();
			requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
		}).observe(document.querySelector("main"), {subtree: true, childList: true});
		document.querySelector("#submit").click();
	})`)
	t.Logf("the next task was painted %.0f ms after the click", took)
	if n := w.requests("POST /api/tasks/next"); n != 2 {
		t.Errorf("%d tasks were asked for before the answer had arrived, want the 2 of before", n)
	}
	w.holds(p)
	close(gate)
	w.gate.Store(nil)
	w.holds(p, byText(texts, map[string]int{"A": 1, "B": 2, "C": 3, "D": 4}))
	eventually(t, "one more task is fetched", func() bool { return w.requests("POST /api/tasks/next") == 3 })
	time.Sleep(2 * stride)
	if n := w.requests("POST /api/tasks/next"); n != 3 {
		t.Errorf("%d tasks were asked for, want 3", n)
	}
}
