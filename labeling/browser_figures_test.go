package labeling_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"rlhf/labeling"
	"rlhf/storage"
)

// A ranker ranks through the API.
type ranker struct{ *labeling.Client }

func labelingClient(t testing.TB, w *world, name string) ranker {
	t.Helper()
	c := labeling.NewClient(w.URL)
	if err := c.SignIn(t.Context(), name, password); err != nil {
		t.Fatal(err)
	}
	return ranker{c}
}

func (c ranker) next(t testing.TB) *labeling.Task {
	t.Helper()
	task, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func (c ranker) rank(t testing.TB, task *labeling.Task, ranks []int) {
	t.Helper()
	if err := c.Rank(t.Context(), task.ID, ranks, 30_000); err != nil {
		t.Fatal(err)
	}
}

// all ranks everything there is for somebody by the alphabet of the texts, forwards or backwards.
func (w *world) all(t testing.TB, name string, backwards bool) {
	t.Helper()
	c := labelingClient(t, w, name)
	for task := c.next(t); task != nil; task = c.next(t) {
		order := slices.Sorted(slices.Values(task.Completions))
		if backwards {
			slices.Reverse(order)
		}
		ranks := make([]int, len(order))
		for i, text := range task.Completions {
			ranks[i] = slices.Index(order, text) + 1
		}
		c.rank(t, task, ranks)
	}
}

func testFigures(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews, overlap(3))
	w.all(t, "ada", false)
	w.all(t, "grace", false)
	p := admin(t, browser, w, "/admin/projects/1")
	p.says("#totals", "4 of 6")
	p.wait(`document.querySelector("#live").innerText === "Live"`)
	q := admin(t, browser, w, "/admin/projects/1/figures")
	q.says("#content", "100.0\u202f%") // they agree in everything
	for _, part := range []string{"figure .diamond", "figure .heat", "figure .bar-plain", "figure table"} {
		q.wait(fmt.Sprintf("document.querySelector(%q)?.checkVisibility()", part))
	}
	// every chart has a title, a description and a table of the same numbers beside it
	for _, fault := range evaluate[[]string](q, `[...document.querySelectorAll("figure")].flatMap((figure) => {
		const drawing = figure.querySelector("svg.drawing"), out = [];
		const named = (attribute) => drawing?.getAttribute(attribute)?.split(" ").every((id) => document.getElementById(id)?.innerText.trim());
		if (drawing?.getAttribute("role") !== "img" || !named("aria-labelledby")) out.push("a chart without a title");
		if (!named("aria-describedby")) out.push("a chart without a description: " + figure.innerText.slice(0, 40));
		if (!figure.querySelector("tbody td")) out.push("a chart without a table: " + figure.innerText.slice(0, 40));
		return out;
	})`) {
		t.Error(fault)
	}
	q.choose("#heat-measure", "tau")
	q.says("#content", "By pair of labelers: Kendall’s τ-b")
	// a new ranking shows without a reload
	c := labelingClient(t, w, "boss")
	task := c.next(t)
	c.rank(t, task, []int{1, 2, 3, 4}[:len(task.Completions)])
	p.says("#totals", "5 of 6")
	ctx, cancel := context.WithTimeout(q.ctx, 40*time.Second)
	defer cancel()
	for ctx.Err() == nil && !evaluate[bool](q, `document.querySelector("#content .total .value").innerText === "5"`) {
		time.Sleep(stride)
	}
	if ctx.Err() != nil {
		t.Errorf("the figures never showed the fifth ranking:\n%s", q.dump())
	}
	if measure := q.value("#heat-measure"); measure != "tau" {
		t.Errorf("the measure chosen is %q after new figures, want tau", measure)
	}
}

func testReview(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews, overlap(2))
	if _, err := w.db.CreateLabeler(t.Context(), "rosa", storage.RoleReviewer, hash); err != nil {
		t.Fatal(err)
	}
	w.all(t, "ada", false)
	w.all(t, "grace", true)
	from := len(w.everythingSent())
	p := openTab(t, browser, w.URL, 1280, 900)
	p.prefer("prefers-reduced-motion", "reduce")
	p.enterAs("rosa", "/review")
	p.click("#projects a")
	p.wait(`location.pathname === "/review/1" && document.querySelectorAll("#tasks li").length === 2`)
	p.says("#tasks", "Disagreement 100\u202f%")
	p.click("#tasks a")
	p.wait(`/^\/review\/1\/\d+$/.test(location.pathname) && document.querySelectorAll("#completions article").length === 4`)
	if rows := evaluate[int](p, `document.querySelectorAll("#rankings tbody tr").length`); rows != 3 {
		t.Errorf("%d rows, want two labelers and their consensus", rows)
	}

	// by keys: A first, B and C tied, D left out, which is refused
	p.keys("a1b2c2")
	p.wait(`document.querySelector("#announce").innerText.trim() === "C in place 2, tied with B."`)
	p.click("#decision [type=submit]")
	p.says("#decision .error", "Responses still to place: D.")
	p.keys("d4") // the place of the number that is pressed, though 3 is empty
	p.fill("#note", "C says the same as B.")
	p.click("#decision [type=submit]")
	p.says("#saved", "The decision is saved.")
	p.says("#decided", "Decided by labeler-")
	path := evaluate[string](p, "location.pathname")
	id := path[strings.LastIndex(path, "/")+1:]
	rosa := w.as(t, "rosa")
	rosa.want("GET", "/api/review/tasks/"+id, "", 200, `"ranks":[1,2,2,3]`)

	// another decision by arrows, after a reload
	p.visit(path)
	p.wait(`document.querySelector("[data-slot=D] :checked").value === "3"`)
	evaluate[any](p, `void document.querySelector("[data-slot=D] :checked").focus()`)
	p.keys(kb.ArrowLeft + kb.ArrowLeft)
	p.wait(`document.querySelector("[data-slot=D] :checked").value === "1"`)
	p.keys(kb.Enter)
	p.says("#saved", "The decision is saved.")
	rosa.want("GET", "/api/review/tasks/"+id, "", 200, `"ranks":[1,2,2,1]`)
	p.click("#take")
	p.wait(`document.querySelector("#announce").innerText.trim() === "The consensus is filled in."`)
	p.visit("/review/1")
	p.says("#tasks", "Decided")
	for _, model := range models {
		if strings.Contains(w.everythingSent()[from:], model) {
			t.Errorf("a reviewer was sent the name %s", model)
		}
	}
	p.open("/admin")
	p.says("#error", "Your account may not see this page.")
}
