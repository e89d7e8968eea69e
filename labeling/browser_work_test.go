package labeling_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rlhf/storage"
)

// ranking returns the only ranking in the database, once it is there.
func (w *world) ranking(t testing.TB) (out storage.Ranking) {
	t.Helper()
	eventually(t, "one ranking is in the database", func() bool {
		n := 0
		w.each(t, func(r storage.Ranking) { out, n = r, n+1 })
		return n == 1
	})
	return out
}

// One rates each response and answers the questions before the ranking, all by keyboard.
func testRating(t *testing.T, browser context.Context) {
	w := newWorld(t, []review{{"the film opens with a", []string{" joke .", " chase ."}}})
	w.settings(t, func(s *storage.Settings) {
		s.Rate, s.Confidence = true, true
		s.Questions = []storage.Question{{Key: "hallucination", Text: map[string]string{"en": "Makes something up", "zh": "编造内容"}}}
	})
	p := openTab(t, browser, w.URL, 1280, 900)
	p.open("/")
	p.wait(`document.activeElement.id === "name" && document.querySelector("#submit:enabled")`)
	p.keys("ada\t" + password + kb.Enter)
	p.wait(`document.activeElement.dataset.slot === "A"`)
	texts := p.texts()
	if checked := evaluate[int](p, `document.querySelectorAll("#task :checked").length`); checked != 0 {
		t.Errorf("%d answers are given before the labeler did anything", checked)
	}
	p.wait(`document.querySelector("#task").dataset.step === "rate" && document.querySelector("#placed").textContent === "0 of 2 rated"`)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#announce").textContent === "Responses still to rate: A and B."`)
	p.keys("a6\t\t ") // a number rates the card in focus; Tab goes to its rating, then to its question
	p.wait(`document.querySelectorAll("#task :checked").length === 2 && document.querySelector("#placed").textContent === "1 of 2 rated"`)
	p.keys("b")
	p.wait(`document.activeElement.dataset.slot === "B"`)
	p.keys("2\t\t" + kb.ArrowRight)
	p.wait(`document.querySelector("#placed").textContent === "All rated"`)
	answers := evaluate[[]string](p, `[...document.querySelectorAll("#task :checked")].map((input) => input.value)`)
	p.do(chromedp.Reload())
	p.wait(`document.querySelectorAll("#task :checked").length === 4`)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#task").dataset.step === "rank" && document.querySelector("#announce").textContent === "Now rank the responses."`)
	p.wait(`document.querySelector('.card[data-slot="A"] .rated').textContent.startsWith("Rated 6 of 7")`)
	p.keys("a1b2")
	p.do(chromedp.Focus(chromedp.CSS(`#whole .asked input`)))
	p.keys(" " + kb.ArrowRight)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	r := w.ranking(t)
	if r.Confidence == nil || *r.Confidence != 2 {
		t.Errorf("confidence %v, want 2", r.Confidence)
	}
	for i, c := range r.Completions {
		want := map[string]float64{"overall": 6, "hallucination": 1}
		if c.Text == texts["B"] {
			want = map[string]float64{"overall": 2, "hallucination": 0}
		}
		if r.Items == nil || fmt.Sprint(r.Items[i].Ratings) != fmt.Sprint(want) {
			t.Errorf("%q is rated %+v, want %v (on the page %v)", c.Text, r.Items, want, answers)
		}
	}
}

// A response counts as read once its end has been on the screen; before that a ranking is not taken.
func testReading(t *testing.T, browser context.Context) {
	long := strings.Repeat("A sentence that fills the line and goes on.\n\n", 60)
	w := newWorld(t, []review{{"Write much.\n", []string{long + "the end of one", long + "the end of another"}}})
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	p.keys("a1b2")
	p.wait(`document.querySelector("#placed").textContent === "Not read to the end yet: A and B"`)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#placed").textContent === "Ready to submit"`) // side by side both ends come into view
	if top := evaluate[float64](p, `scrollY`); top < 500 {
		t.Errorf("the page stands at %v px, where the ends cannot be", top)
	}
	w.holds(p)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	r := w.ranking(t)
	for i, c := range r.Completions {
		want := 1
		if strings.HasSuffix(strings.TrimSpace(texts["B"]), strings.TrimPrefix(c.Text, long)) {
			want = 2
		}
		if r.Ranks[i] != want {
			t.Errorf("the text ending %q has rank %d, want %d", strings.TrimPrefix(c.Text, long), r.Ranks[i], want)
		}
	}
}

// Side by side the cards stay to be read, and letters are dragged into the places of a strip that is always in sight.
func testSideBySide(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1440, 900)
	p.signIn("ada", password)
	texts := p.texts()
	p.keys("v")
	p.wait(`document.querySelector("#task").classList.contains("side") && document.querySelector("#strip").checkVisibility()`)
	tops := evaluate[[]float64](p, `[...document.querySelectorAll(".card .body")].map((body) => Math.round(body.getBoundingClientRect().top))`)
	if len(slices.Compact(tops)) != 1 {
		t.Errorf("the texts begin at %v px, want one height", tops)
	}
	strip := `[...document.querySelectorAll(".strip-place")].map((place) => [...place.querySelectorAll(".token")].map((token) => token.textContent).join("")).join("|")`
	holds := func(want string) { t.Helper(); p.wait(strip + ` === ` + quote(want)) }
	place := func(n int) string { return fmt.Sprintf(`.strip-place[data-place="%d"]`, n) }
	p.drag("C", place(1), .5, .5)
	holds("C|||")
	p.keys("a2")
	holds("C|A||")
	p.drag("B", place(1), .8, .5)
	holds("BC|A||")
	p.drag("D", place(2), .01, .5) // the rim of an occupied place: between it and the one before
	holds("BC|D|A|")
	p.keys("v") // stacked, the same ranking
	p.stands("1: B C | 2: D | 3: A")
	p.keys("v")
	x, y := p.point(`.token[data-slot="A"]`, .5, .5)
	toX, toY := p.point(".views", .9, .5)
	p.do(chromedp.MouseEvent("mousePressed", x, y, chromedp.ButtonType("left"), chromedp.ClickCount(1)))
	for _, share := range []float64{.2, .6, 1} {
		p.do(chromedp.MouseEvent("mouseMoved", x+share*(toX-x), y+share*(toY-y), chromedp.ButtonType("left")))
	}
	p.do(chromedp.MouseEvent("mouseReleased", toX, toY, chromedp.ButtonType("left"), chromedp.ClickCount(1)))
	holds("BC|D||") // let go away from the strip, a letter is taken out
	p.keys("a3")
	p.click("#submit")
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	w.holds(p, byText(texts, map[string]int{"B": 1, "C": 1, "D": 2, "A": 3}))
}

// A finger drags by the handle of a card, or by a letter of the strip, and swipes from one card to the next.
func testTouchStrip(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch)
	p.signIn("ada", password)
	texts := p.texts()
	finger := func(x, y float64) *input.TouchPoint { return &input.TouchPoint{X: x, Y: y} }
	x, y := p.point("#view-side", .5, .5)
	p.do(chromedp.TapXY(x, y))
	p.wait(`document.querySelector("#strip").checkVisibility()`)
	drag := func(from string, place int, want string) {
		t.Helper()
		x, y := p.point(from, .5, .5)
		p.touch(input.DispatchTouchEventTypeTouchStart, finger(x, y))
		p.touch(input.DispatchTouchEventTypeTouchMove, finger(x, y+20))
		p.wait(`document.querySelector(".ghost")`)
		x, y = p.inView(fmt.Sprintf(`.strip-place[data-place="%d"]`, place), .5, .5)
		p.touch(input.DispatchTouchEventTypeTouchMove, finger(x, y))
		p.wait(fmt.Sprintf(`document.querySelector('.strip-place[data-place="%d"].over')`, place))
		p.touch(input.DispatchTouchEventTypeTouchEnd)
		p.wait(`[...document.querySelectorAll(".strip-place")].map((place) => [...place.querySelectorAll(".token")].map((token) => token.textContent).join("")).join("|") === ` + quote(want))
	}
	show := func(slot string) {
		evaluate[any](p, fmt.Sprintf(`void document.querySelector('.card[data-slot="%s"]').scrollIntoView({block: "nearest", inline: "start"})`, slot))
		p.wait(fmt.Sprintf(`(() => { const box = document.querySelector('.card[data-slot="%s"]').getBoundingClientRect(); return box.left >= 0 && box.right <= innerWidth; })()`, slot))
	}
	drag(card("A")+" .handle", 2, "|A||")
	show("B")
	drag(card("B")+" .handle", 1, "B|A||")
	show("C")
	drag(card("C")+" .handle", 2, "B|AC||")
	show("D")
	drag(card("D")+" .handle", 1, "BD|AC||")
	drag(`.token[data-slot="A"]`, 3, "BD|C|A|")
	p.tapUntil("#submit", `document.querySelector("#state.done:not([hidden])")`)
	w.holds(p, byText(texts, map[string]int{"B": 1, "D": 1, "C": 2, "A": 3}))
}

// A conversation stands turn by turn, with markdown rendered; the raw text is one key away.
func testConversation(t *testing.T, browser context.Context) {
	turns := func(task *storage.Task) {
		task.Messages = []storage.Message{{Role: "user", Content: "Hello"}, {Role: "assistant", Content: "Hello, *you*"}, {Role: "user", Content: "Show me a loop"}}
		task.Prompt = "user: Hello\n\nassistant: Hello, *you*\n\nuser: Show me a loop"
		task.System = "Be brief."
	}
	w := newWorld(t, []review{{"", []string{"Here:\n\n```go\nfor range 3 {\n}\n```\n", "- one\n- **two**\n\n<script>document.title = 'broken'</script>"}}}, turns)
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	p.wait(`[...document.querySelectorAll(".turn")].map((turn) => turn.dataset.role).join() === "system,user,assistant,user"`)
	p.wait(`document.querySelector(".turn[data-role=assistant] em").textContent === "you"`)
	p.wait(`document.querySelector(".card pre code").textContent.startsWith("for range 3 {") && document.querySelector(".card li strong").textContent === "two"`)
	p.keys("r")
	p.wait(`[...document.querySelectorAll(".card .raw")].some((text) => text.textContent.includes("- **two**")) && !document.querySelector(".card pre")`)
	p.do(chromedp.Reload()) // the choice stays
	p.wait(`document.querySelector(".card .raw") && document.title === "Rank · Labeling"`)
}

func testSkipAndFlag(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:2])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	first := evaluate[string](p, `document.querySelector("#prompt-text").textContent`)
	p.keys("s")
	p.wait(`document.querySelector("#skip-dialog").open`)
	p.click("#skip-submit")
	p.wait(`document.querySelector("#skip-error").textContent === "Choose a reason."`)
	p.click(`#skip-reasons .segment:has([value="unsafe"])`)
	p.click("#skip-comment")
	p.keys("not nice")
	p.click("#skip-submit")
	p.wait(`!document.querySelector("#skip-dialog").open && document.querySelector("#prompt-text").textContent !== ` + quote(first))
	p.click("#whole summary")
	p.click(`#whole .segment:has([value="personal_data"])`)
	p.keys("a1b1c2d3" + kb.Enter)
	p.wait(`document.querySelector("#state.done:not([hidden]), #state:not([hidden])")`)
	if r := w.ranking(t); !slices.Equal(r.Flags, []string{"personal_data"}) {
		t.Errorf("flags %v", r.Flags)
	}
	p.click("#state-button")
	p.open("/label")
	p.wait(`document.querySelector("#recent-button")`)
	p.click("#recent-button")
	p.wait(`[...document.querySelectorAll(".recent-task")].some((task) => task.textContent.includes("skipped: Unsafe content"))`)
}

// An answer among the last ten is changed; the task on the screen waits with its draft.
func testLastAnswers(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:2])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.signIn("ada", password)
	texts := p.texts()
	first := evaluate[string](p, `document.querySelector("#prompt-text").textContent`)
	second := `document.querySelector("#prompt-text")?.textContent !== ` + quote(first)
	p.keys("a1b2c3d4" + kb.Enter)
	p.wait(second + ` && document.querySelector("#change-last").checkVisibility()`)
	p.stands("pool: A B C D")
	p.keys("b1")
	p.keys("l")
	p.wait(`document.querySelectorAll(".recent-task").length === 1 && document.querySelector(".recent-task").textContent.includes("A > B > C > D")`)
	p.click(".recent-task button")
	p.stands("1: A | 2: B | 3: C | 4: D")
	p.wait(`document.querySelector("#kind").textContent === "You are changing an earlier answer"`)
	p.click("#cancel")
	p.stands("1: B | pool: A C D")
	p.keys("l")
	p.click(".recent-task button")
	p.stands("1: A | 2: B | 3: C | 4: D")
	p.keys("a2" + kb.Enter)
	p.wait(second)
	p.stands("1: B | pool: A C D")
	eventually(t, "the changed ranking is in the database", func() bool { return w.ranking(t).Revision == 2 })
	w.holds(p, byText(texts, map[string]int{"A": 1, "B": 1, "C": 2, "D": 3}))
	p.keys("a2c3d4" + kb.Enter)
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	w.blind(t)
}

// Training comes first and is answered; the guidelines open by themselves until they have been seen, with their examples.
func testTraining(t *testing.T, browser context.Context) {
	kinds := []string{storage.KindNormal, storage.KindTraining, storage.KindExample}
	i := 0
	w := newWorld(t, append(append([]review{}, reviews...), review{"an example", []string{" good .", " bad ."}}), func(task *storage.Task) {
		task.Kind = kinds[i]
		i++
		if task.Kind == storage.KindNormal {
			return
		}
		task.Overlap = 0
		task.Reference = &storage.Reference{Note: "The second is *sharp*."}
		for j := range task.Completions {
			task.Reference.Ranks = append(task.Reference.Ranks, j+1)
		}
	})
	if _, err := w.db.AddGuideline(context.Background(), storage.DefaultProject, "# Prefer\n\nwhat is **true**"); err != nil {
		t.Fatal(err)
	}
	p := openTab(t, browser, w.URL, 1440, 900)
	p.signIn("ada", password)
	p.wait(`document.querySelector("#guide").checkVisibility() && document.querySelector("#guide strong")?.textContent === "true"`)
	p.wait(`document.querySelector("#guide .example").textContent.includes("an example") && document.querySelector("#guide .note em").textContent === "sharp"`)
	p.keys("w")
	p.wait(`!document.querySelector("#guide").checkVisibility()`)
	p.wait(`document.querySelector("#kind").checkVisibility() && document.querySelector("#prompt-text").textContent.includes("as a comedy")`)
	keys := ""
	for slot, text := range p.texts() {
		keys += strings.ToLower(slot) + fmt.Sprint(1+slices.Index(reviews[1].completions, text))
	}
	p.keys(keys + kb.Enter)
	p.wait(`document.querySelector("#feedback").open && document.querySelector("#feedback-score").textContent === "Pairs in the same order as ours: 6 of 6."`)
	p.wait(`document.querySelector("#feedback-note em").textContent === "sharp" && document.querySelectorAll("#feedback .same").length === 4`)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#prompt-text").textContent.includes("the film opens") && !document.querySelector("#kind").checkVisibility()`)
	p.do(chromedp.Reload())
	p.wait(`document.querySelector(".card") && !document.querySelector("#guide").checkVisibility()`) // seen
}

func testEnter(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	boss := w.visitor(t)
	boss.signIn("boss")
	link := boss.oneTimeLink("ada")
	p := openTab(t, browser, w.URL, 390, 844)
	p.do(chromedp.Navigate(link))
	p.wait(`document.querySelector("#enter:enabled") && location.hash === ""`)
	p.click("#enter")
	p.wait(`location.pathname === "/label" && document.querySelector("#who").textContent === "ada"`)
	q := openTab(t, browser, w.URL, 390, 844)
	q.do(chromedp.Navigate(link))
	q.wait(`document.querySelector("#enter:enabled")`)
	q.click("#enter")
	q.wait(`document.querySelector("#error").textContent === "This link has been used or is too old. Ask for a new one."`)
}

// testDifferences runs the page's comparison on small cases worked out by hand: what only one side has stands in brackets,
// a bar begins a new row.
func testDifferences(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 1280, 800)
	p.open("/")
	for _, test := range []struct{ a, b, wantA, wantB string }{
		{"the same", "the same", "the same", "the same"},
		{"a red cat", "a blue cat", "a [red ]cat", "a [blue ]cat"},
		{"", "new", "", "[new]"},
		{"one\ntwo\n", "one\nthree\n", "one\n|[two]\n|", "one\n|[three]\n|"},
		{"红猫坐着", "蓝猫坐着", "[红]猫坐着", "[蓝]猫坐着"},
		{"x y", "y x", "[x ]y", "y [x]"},
	} {
		got := evaluate[[]string](p, fmt.Sprintf(`import(new URL("diff.js", document.querySelector("script[type=module]").src)).then(({differences}) => {
			const {rows} = differences(%s, %s);
			return ["a", "b"].map((side) => rows.map((row) => row[side].map(({text, only}) => only ? "[" + text + "]" : text).join("")).join("|"));
		})`, quote(test.a), quote(test.b)))
		if got[0] != test.wantA || got[1] != test.wantB {
			t.Errorf("%q and %q: got %q and %q, want %q and %q", test.a, test.b, got[0], got[1], test.wantA, test.wantB)
		}
	}
	p.signIn("ada", password)
	p.keys("bx")
	p.wait(`document.querySelector("#compare").open && document.querySelectorAll("#compare mark").length > 0`)
	p.wait(`document.querySelector("#compare-left [aria-pressed=true]").textContent === "B" && document.querySelector("#compare-right [aria-pressed=true]").textContent === "C"`)
	p.click(`#compare-right button:nth-child(4)`)
	p.wait(`document.querySelector(".compare-row.heads").textContent === "Response BResponse D"`)
	p.click("#compare-close")
	p.stands("pool: A B C D")
}

// oneTimeLink makes a link by which somebody signs in, as an admin does.
func (v *visitor) oneTimeLink(name string) string {
	v.t.Helper()
	var people struct {
		People []struct {
			ID   int64
			Name string
		}
	}
	if err := json.Unmarshal([]byte(v.want("GET", "/api/admin/people", "", 200, "")), &people); err != nil {
		v.t.Fatal(err)
	}
	for _, person := range people.People {
		if person.Name == name {
			var link struct{ URL string }
			if err := json.Unmarshal([]byte(v.want("POST", fmt.Sprintf("/api/admin/people/%d/link", person.ID), "", 201, `"url"`)), &link); err != nil {
				v.t.Fatal(err)
			}
			_, rest, _ := strings.Cut(link.URL, "/enter")
			return v.base + "/enter" + rest
		}
	}
	v.t.Fatalf("%s is not among %v", name, people)
	return ""
}
