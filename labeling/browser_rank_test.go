package labeling_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// signIn signs in through the form by mouse and keys and waits for the labeling page.
func (p *tab) signIn(name, password string) {
	p.t.Helper()
	p.open("/")
	p.wait(`document.querySelector("#submit:enabled")`)
	p.click("#name")
	p.keys(name)
	p.click("#password")
	p.keys(password)
	p.click("#submit")
	p.wait(`location.pathname === "/label" && !document.querySelector("#state").matches(":not([hidden])") || document.querySelector("#state.done")`)
}

// texts returns the completions on the page by their letters.
func (p *tab) texts() map[string]string {
	p.t.Helper()
	return evaluate[map[string]string](p, `Object.fromEntries([...document.querySelectorAll(".card")].map((card) => [card.dataset.slot, card.querySelector(".continuation").textContent]))`)
}

// nothingRanked fails the test unless the task on the page is wholly unranked and cannot be submitted.
func (p *tab) nothingRanked() {
	p.t.Helper()
	if got := evaluate[int](p, `document.querySelectorAll(".place .card, .board [aria-pressed='true']").length`); got != 0 {
		p.t.Errorf("%d cards or buttons are set before the labeler did anything", got)
	}
	if !evaluate[bool](p, `document.querySelector("#submit").disabled`) {
		p.t.Error("submit is enabled before every completion has a place")
	}
}

// byText turns ranks by letter into ranks by completion.
func byText(texts map[string]string, ranks map[string]int) map[string]int {
	out := map[string]int{}
	for slot, rank := range ranks {
		out[texts[slot]] = rank
	}
	return out
}

// holds waits until the database holds exactly these rankings, each given as ranks by completion text.
func (w *world) holds(p *tab, want ...map[string]int) {
	p.t.Helper()
	var got []map[string]int
	for end := time.Now().Add(patience); ; time.Sleep(stride) {
		if got = w.rankings(p.t); len(got) >= len(want) || time.Now().After(end) {
			break
		}
	}
	if len(got) != len(want) {
		p.t.Fatalf("the database holds %d rankings %v, want %d", len(got), got, len(want))
	}
	for i := range want {
		if !maps.Equal(got[i], want[i]) {
			p.t.Errorf("ranking %d in the database is %v, want %v", i, got[i], want[i])
		}
	}
}

func testSignIn(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.open("/label")
	p.wait(`location.pathname === "/" && location.search.includes("next=%2Flabel") && document.querySelector("#submit:enabled")`)
	p.wait(`document.activeElement.id === "name"`)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#error").textContent === "Enter your name."`)
	p.keys("ada\tnot her password" + kb.Enter)
	p.wait(`document.querySelector("#error").textContent === "Name or password is wrong."`)
	p.wait(`document.activeElement.id === "password"`)
	p.keys(password + kb.Enter)
	p.wait(`location.pathname === "/label" && document.querySelector(".card")`)
	if got := evaluate[string](p, `document.querySelector("#who").textContent`); got != "ada" {
		t.Errorf("signed in as %q, want ada", got)
	}
	p.open("/?next=https://example.com/")
	p.wait(`location.pathname === "/label" && document.querySelector(".card")`)
	p.click("#account-button")
	p.click("#sign-out")
	p.wait(`location.pathname === "/" && document.querySelector("#notice").textContent === "You are signed out."`)
	p.open("/label")
	p.wait(`location.pathname === "/"`)
}

func testMouse(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:2])
	p := openTab(t, browser, w.URL, 1280, 900)
	p.signIn("ada", password)
	p.stands("pool: A B C D")
	p.nothingRanked()
	texts := p.texts()

	p.drag("C", placeOf(1), .5, .5)
	p.stands("1: C | pool: A B D")
	p.lift("A", placeOf(3), .5, .5)
	p.keys(kb.Escape)
	p.wait(`!document.querySelector(".ghost")`)
	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, 5, 5, chromedp.ButtonType(input.MouseButtonLeft)))
	p.stands("1: C | pool: A B D")
	p.drag("A", placeOf(2), .5, .5)
	p.drag("B", placeOf(1), .5, .5)
	p.stands("1: B C | 2: A | pool: D")
	p.nothingSubmitted(w)
	p.drag("D", placeOf(2), .5, .02) // the rim of an occupied place: between it and the one above
	p.stands("1: B C | 2: D | 3: A")
	p.drag("A", "#pool", .5, .5)
	p.stands("1: B C | 2: D | pool: A")
	p.drag("A", placeOf(4), .5, .5)
	p.stands("1: B C | 2: D | 4: A")

	first := evaluate[string](p, `document.querySelector("#prompt-text").textContent`)
	p.click("#submit")
	p.wait(fmt.Sprintf(`document.querySelector("#prompt-text").textContent !== %q && document.querySelector("#pool .card")`, first))
	p.stands("pool: A B C D")
	p.nothingRanked()
	w.holds(p, byText(texts, map[string]int{"A": 3, "B": 1, "C": 1, "D": 2}))

	for _, name := range models {
		if strings.Contains(w.everythingSent(), name) {
			t.Errorf("the server sent the model's name %q to a labeler", name)
		}
	}
	if !strings.Contains(w.everythingSent(), texts["A"]) {
		t.Error("the recorder of the sent bytes has missed the completions")
	}
}

// nothingSubmitted presses Enter on an unfinished ranking, which must change nothing.
func (p *tab) nothingSubmitted(w *world) {
	p.t.Helper()
	before := p.standing()
	p.do(chromedp.Focus(chromedp.CSS(card("B"))))
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#announce").textContent.includes("still to place")`)
	p.stands(before)
	w.holds(p)
}

func testTouch(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch)
	p.signIn("ada", password)
	texts := p.texts()
	finger := func(x, y float64) *input.TouchPoint { return &input.TouchPoint{X: x, Y: y} }
	press := func(slot string, place int) {
		x, y := p.point(fmt.Sprintf(`%s [data-to="%d"]`, card(slot), place), .5, .5)
		p.do(chromedp.TapXY(x, y))
	}

	press("A", 1)
	p.stands("1: A | pool: B C D")
	press("C", 3)
	p.stands("1: A | 3: C | pool: B D")
	press("B", 3)
	p.stands("1: A | 3: B C | pool: D")
	fromX, fromY := p.point(card("D")+" .handle", .5, .5)
	p.touch(input.DispatchTouchEventTypeTouchStart, finger(fromX, fromY))
	p.touch(input.DispatchTouchEventTypeTouchMove, finger(fromX, fromY+20))
	p.wait(`document.querySelector(".ghost")`)
	for x, y := p.inView(placeOf(2), .5, .5); y > 560; x, y = p.inView(placeOf(2), .5, .5) { // the page scrolls while a card is held near the bar
		p.touch(input.DispatchTouchEventTypeTouchMove, finger(x, 690))
	}
	p.touch(input.DispatchTouchEventTypeTouchMove, finger(180, 500))
	x, y := p.inView(placeOf(2), .5, .5)
	p.touch(input.DispatchTouchEventTypeTouchMove, finger(x, y))
	p.wait(`document.querySelector('[data-place="2"].over')`)
	p.touch(input.DispatchTouchEventTypeTouchEnd)
	p.stands("1: A | 2: D | 3: B C")
	p.tapUntil("#submit", `document.querySelector("#state.done:not([hidden])")`)
	w.holds(p, byText(texts, map[string]int{"A": 1, "D": 2, "B": 3, "C": 3}))
}

// tapUntil taps the element until the condition holds: the browser takes a tap that follows another touch too soon for
// the second half of a double tap and swallows it.
func (p *tab) tapUntil(selector, condition string) {
	p.t.Helper()
	for range 5 {
		x, y := p.point(selector, .5, .5)
		p.do(chromedp.TapXY(x, y))
		if evaluate[bool](p, fmt.Sprintf(`new Promise((resolve) => {
			const end = performance.now() + 2000, look = () => (%[1]s) ? resolve(true) : performance.now() > end ? resolve(false) : setTimeout(look, 20);
			look();
		})`, condition)) {
			return
		}
	}
	p.wait(condition)
}

// inView is point without scrolling: the element must be in the window.
func (p *tab) inView(selector string, right, down float64) (x, y float64) {
	p.t.Helper()
	b := evaluate[box](p, fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return {X: r.x, Y: r.y, Width: r.width, Height: r.height}; })()`, selector))
	return b.X + right*b.Width, b.Y + down*b.Height
}

func testButtons(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1100, 800)
	p.signIn("ada", password)
	texts := p.texts()
	for _, step := range []struct{ slot, button, want string }{
		{"A", `[data-to="1"]`, "1: A | pool: B C D"},
		{"B", `[data-move="up"]`, "1: A | 2: B | pool: C D"},     // not placed: the first free place
		{"C", `[data-move="tie"]`, "1: A | 2: B C | pool: D"},    // not placed: the lowest place in use
		{"D", `[data-move="down"]`, "1: A | 2: B C | 4: D"},      // not placed: the last free place
		{"D", `[data-move="up"]`, "1: A | 2: B C | 3: D"},        // into the empty place above
		{"C", `[data-move="tie"]`, "1: A | 2: B | 3: C | 4: D"},  // untied downwards, D makes room
		{"A", `[data-move="down"]`, "1: B | 2: A | 3: C | 4: D"}, // past the one below
		{"B", `[data-move="up"]`, "1: B | 2: A | 3: C | 4: D"},   // at the top already
		{"A", `[data-move="tie"]`, "1: A B | 3: C | 4: D"},       // with the place above
		{"C", `[data-to="3"]`, "1: A B | 4: D | pool: C"},        // the pressed number again takes it out
		{"C", `[data-to="4"]`, "1: A B | 4: C D"},                // beside D
		{"D", `[data-move="up"]`, "1: A B | 3: D | 4: C"},        // out of the tie, upwards
	} {
		p.click(card(step.slot) + " " + step.button)
		p.stands(step.want)
	}
	p.click("#undo")
	p.stands("1: A B | 4: C D")
	p.click(card("C") + ` [data-move="down"]`)
	p.stands("1: A B | 3: D | 4: C")
	p.click("#submit")
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	w.holds(p, byText(texts, map[string]int{"A": 1, "B": 1, "D": 2, "C": 3}))
}

func testKeyboard(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:2])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.open("/")
	p.wait(`document.activeElement.id === "name" && document.querySelector("#submit:enabled")`)
	p.keys("ada\t" + password + kb.Enter)
	p.wait(`document.activeElement.dataset.slot === "A"`)
	p.nothingRanked()
	texts := p.texts()

	p.keys("2") // and the focus goes on to the next card that has no place
	p.wait(`document.activeElement.dataset.slot === "B"`)
	p.keys("1")
	p.wait(`document.activeElement.dataset.slot === "C"`)
	p.keys("9") // there is no such place
	p.stands("1: B | 2: A | pool: C D")
	p.keys("2")
	p.wait(`document.activeElement.dataset.slot === "D"`)
	p.stands("1: B | 2: A C | pool: D")
	p.keys("t")
	p.stands("1: B | 2: A C D")
	p.shiftKey(kb.ArrowDown)
	p.stands("1: B | 2: A C | 3: D")
	p.keys("\b")
	p.stands("1: B | 2: A C | pool: D")
	p.keys("z")
	p.stands("1: B | 2: A C | 3: D")
	p.keys(kb.ArrowUp + kb.ArrowUp)
	p.wait(`document.activeElement.dataset.slot === "A"`)
	p.shiftKey(kb.ArrowUp)
	p.stands("1: B | 2: A | 3: C | 4: D")
	p.keys("d")
	p.wait(`document.activeElement.dataset.slot === "D"`)
	p.keys("3")
	p.stands("1: B | 2: A | 3: C D")
	p.keys("?")
	p.wait(`document.querySelector("#help").open`)
	p.keys("1")
	p.keys(kb.Escape)
	p.wait(`!document.querySelector("#help").open && document.activeElement.dataset.slot === "D"`)
	p.stands("1: B | 2: A | 3: C D")
	p.keys(kb.Enter)
	p.wait(`document.activeElement.dataset.slot === "A" && document.querySelectorAll("#pool .card").length === 4`)
	p.nothingRanked()
	w.holds(p, byText(texts, map[string]int{"B": 1, "A": 2, "C": 3, "D": 3}))
}

func testNine(t *testing.T, browser context.Context) {
	var nine review
	nine.prompt = "the best thing about it"
	for i := range 9 {
		nine.completions = append(nine.completions, fmt.Sprintf(" is scene number %d .", i+1))
	}
	w := newWorld(t, []review{nine})
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	p.keys("a987654321")
	p.stands("1: I | 2: H | 3: G | 4: F | 5: E | 6: D | 7: C | 8: B | 9: A")
	p.keys("c" + "t")
	p.stands("1: I | 2: H | 3: G | 4: F | 5: E | 6: C D | 8: B | 9: A")
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	w.holds(p, byText(texts, map[string]int{"I": 1, "H": 2, "G": 3, "F": 4, "E": 5, "C": 6, "D": 6, "B": 7, "A": 8}))
}

// Letters as keys can be switched off; numbers on a card, arrows and Enter go on working.
func testLettersOff(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	p.keys("?")
	p.wait(`document.querySelector("#help").open`)
	p.click("#letters")
	p.click("#help-close")
	p.do(chromedp.Reload())
	p.wait(`document.activeElement.dataset?.slot === "A" && !document.querySelector("#keys").checkVisibility()`)
	p.keys("1" + "vsl?c") // the focus is on B by now, and stays there
	p.wait(`document.activeElement.dataset.slot === "B" && !document.querySelector("dialog[open]") && !document.querySelector("#task").classList.contains("side")`)
	p.keys("2" + "1" + kb.ArrowDown)
	p.stands("1: A C | 2: B | pool: D")
	p.do(chromedp.Focus(chromedp.CSS(card("D"))))
	p.keys("t" + kb.Enter)
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	w.holds(p, byText(texts, map[string]int{"A": 1, "C": 1, "D": 2, "B": 2}))
}
