package labeling_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"rlhf/labeling"
	"rlhf/storage"
)

// TestBrowserAdmin uses the pages of admins and reviewers as they would, against the real server and its database.
func TestBrowserAdmin(t *testing.T) {
	browser := startBrowser(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, context.Context)
	}{
		{"people", testPeople},
		{"tokens", testTokens},
		{"resume", testResume},
		{"audit", testAudit},
		{"projects", testProjects},
		{"guidelines", testGuidelines},
		{"tasks", testTasks},
		{"import and export", testImportExport},
		{"flags", testFlags},
		{"figures", testFigures},
		{"review", testReview},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, browser) })
	}
	if os.Getenv("RLHF_PICTURES") != "" {
		t.Run("picture", func(t *testing.T) { testAdminPicture(t, browser) })
	}
}

// admin opens a page as boss and waits until its content is there.
func admin(t *testing.T, browser context.Context, w *world, path string) *tab {
	t.Helper()
	p := openTab(t, browser, w.URL, 1280, 900)
	p.prefer("prefers-reduced-motion", "reduce")
	p.enterAs("boss", path)
	return p
}

// enterAs signs in on the way to a page of admins or reviewers, and waits until its content is there.
func (p *tab) enterAs(name, path string) {
	p.t.Helper()
	p.open("/?next=" + url.QueryEscape(path))
	p.wait(`document.activeElement.id === "name" && document.querySelector("#submit:enabled")`)
	p.keys(name + kb.Tab + password + kb.Enter)
	p.wait(`location.pathname !== "/" && document.querySelector("#content:not([hidden])")`)
}

// visit opens a page and waits until its content is there.
func (p *tab) visit(path string) {
	p.t.Helper()
	p.open(path)
	p.wait(`document.querySelector("#content:not([hidden])")`)
}

// fill replaces what a field holds, by keys.
func (p *tab) fill(selector, text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("document.querySelector(%q)?.checkVisibility()", selector))
	evaluate[any](p, fmt.Sprintf(`void (() => { const field = document.querySelector(%q); field.focus(); field.select?.(); })()`, selector))
	if text == "" {
		text = kb.Delete
	}
	p.keys(text)
}

// choose chooses an option of a select element by its value, as its list does.
func (p *tab) choose(selector, value string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("document.querySelector(%q)?.checkVisibility()", selector))
	evaluate[any](p, fmt.Sprintf(`void (() => { const field = document.querySelector(%q); field.value = %q; field.dispatchEvent(new Event("input", {bubbles: true})); field.dispatchEvent(new Event("change", {bubbles: true})); })()`, selector, value))
}

// says waits until the element's text contains what is wanted.
func (p *tab) says(selector, want string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("document.querySelector(%q)?.innerText.includes(%q)", selector, want))
}

// value returns what a field holds.
func (p *tab) value(selector string) string {
	p.t.Helper()
	return evaluate[string](p, fmt.Sprintf("document.querySelector(%q).value", selector))
}

// person selects part of somebody's card on the page of people, such as their button for a link.
func person(p *tab, name, what string) string {
	p.t.Helper()
	p.wait(fmt.Sprintf(`[...document.querySelectorAll(".person h2")].some((head) => head.innerText === %q)`, name))
	key := evaluate[string](p, fmt.Sprintf(`[...document.querySelectorAll(".person")].find((card) => card.querySelector("h2").innerText === %q).dataset.key`, name))
	return strings.TrimSpace(fmt.Sprintf(`.person[data-key="%s"] %s`, key, what))
}

func what(name string) string { return fmt.Sprintf(`[data-what="%s"]`, name) }

func testPeople(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := admin(t, browser, w, "/admin/people")

	// by the keyboard alone: a reviewer with a password
	evaluate[any](p, `void document.querySelector("#new").focus()`)
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#add").open && document.activeElement.id === "add-name"`)
	p.keys("hedy" + kb.Tab + "Rev" + kb.Tab + password + kb.Enter)
	p.wait(`!document.querySelector("#add").open && document.querySelector("#announce").innerText === "hedy is added."`)
	if role := p.value(person(p, "hedy", what("role"))); role != "reviewer" {
		t.Errorf("hedy is a %s, want a reviewer", role)
	}
	w.visitor(t).signIn("hedy")

	// a name that is taken is refused at its field
	p.click("#new")
	p.fill("#add-name", "ada")
	p.click("#add-form [type=submit]")
	p.says("#add-form .error", "This name is taken.")
	p.wait(`document.activeElement.id === "add-name" && document.activeElement.getAttribute("aria-invalid") === "true"`)
	p.click("#add [data-close]")

	// a link, shown once
	p.click(person(p, "hedy", what("link")))
	p.wait(`document.querySelector("#secret").open`)
	p.click("#secret-copy")
	p.says("#secret-copy", "Copied")
	link := p.value("#secret-text")
	if !strings.HasPrefix(link, w.URL+"/") || !strings.Contains(link, "#") {
		t.Fatalf("the link is %q", link)
	}
	p.click("#secret [data-close]")
	p.wait(`!document.querySelector("#secret").open && document.querySelector("#secret-text").value === ""`)
	hedy := w.visitor(t)
	token := link[strings.Index(link, "#")+1:]
	hedy.want("POST", "/api/session/link", fmt.Sprintf(`{"token":%q}`, token), 200, `"role":"reviewer"`)
	hedy.want("POST", "/api/session/link", fmt.Sprintf(`{"token":%q}`, token), 401, "")

	// signing out, disabling, another role and another password end her sessions
	p.click(person(p, "hedy", what("out")))
	p.wait(`document.querySelector("#announce").innerText === "hedy is signed out everywhere."`)
	hedy.want("GET", "/api/session", "", 401, "")
	p.choose(person(p, "hedy", what("role")), "labeler")
	p.wait(`document.querySelector("#announce").innerText === "hedy is changed."`)
	p.click(person(p, "hedy", what("password")))
	p.fill("#password-new", "another password")
	p.click("#password-form [type=submit]")
	p.wait(`!document.querySelector("#password").open`)
	hedy.want("POST", "/api/session", `{"name":"hedy","password":"another password"}`, 200, `"role":"labeler"`)
	p.click(person(p, "hedy", what("disable")))
	p.says(person(p, "hedy", ""), "Disabled")
	hedy.want("GET", "/api/session", "", 401, "")

	// forgetting asks for the name
	p.click(person(p, "hedy", what("forget")))
	p.fill("#forget-name", "headey")
	p.click("#forget-form [type=submit]")
	p.says("#forget-form .error", "This is not the name.")
	p.fill("#forget-name", "hedy")
	p.click("#forget-form [type=submit]")
	p.wait(`!document.querySelector("#forget").open && document.querySelector("#announce").innerText.startsWith("Forgotten; the rankings are kept as ")`)
	p.says("#people", "Forgotten")
	p.wait(`![...document.querySelectorAll(".person h2")].some((head) => head.innerText === "hedy")`)
}

func testTokens(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := admin(t, browser, w, "/admin/people")
	p.click(person(p, "grace", what("tokens")))
	p.says("#tokens", "There are no tokens.")
	p.fill("#token-name", "export script")
	p.fill("#token-days", "7")
	p.keys(kb.Enter)
	p.wait(`document.querySelector("#secret").open && document.querySelector("#secret-text").value !== ""`)
	token := p.value("#secret-text")
	bearer := []string{"Authorization", "Bearer " + token}
	program := w.visitor(t)
	if status, _, text := program.call("GET", "/api/session", "", bearer...); status != 200 || !strings.Contains(text, `"name":"grace"`) {
		t.Errorf("with the token: %d %s", status, text)
	}
	p.click("#secret [data-close]")
	p.click(person(p, "grace", what("tokens")))
	p.says("#tokens-table", "export script")
	p.click("#tokens-table button")
	p.says("#tokens-table", "revoked")
	if status, _, text := program.call("GET", "/api/session", "", bearer...); status != 401 {
		t.Errorf("with the token after it was revoked: %d %s", status, text)
	}
}

// Who gets gold tasks wrong is paused, and an admin gives them tasks again.
func testResume(t *testing.T, browser context.Context) {
	var pairs []review
	for i := range 12 {
		pairs = append(pairs, review{fmt.Sprintf("prompt %d", i), []string{" good .", " bad ."}})
	}
	gold := false
	w := newWorld(t, pairs, func(task *storage.Task) {
		if gold = !gold; gold {
			task.Kind, task.Reference = storage.KindGold, &storage.Reference{Ranks: []int{1, 2}}
		}
	})
	w.settings(t, func(s *storage.Settings) { s.GoldShare, s.GoldThreshold, s.GoldWindow = .5, .9, 1 })
	c := labelingClient(t, w, "ada")
	wrong := func(task *labeling.Task) []int {
		if task.Completions[0] == " good ." {
			return []int{2, 1}
		}
		return []int{1, 2}
	}
	ranked := 0
	for task := c.next(t); task != nil; task = c.next(t) {
		c.rank(t, task, wrong(task))
		ranked++
	}
	if ranked == len(pairs) {
		t.Fatal("ada was never paused")
	}
	p := admin(t, browser, w, "/admin/people")
	p.says(person(p, "ada", ""), "Paused in default")
	p.click(person(p, "ada", what("resume")))
	p.wait(`document.querySelector("#announce").innerText === "ada is changed." && !document.querySelector('[data-what="resume"]')`)
	if c.next(t) == nil {
		t.Error("ada gets no task after she was resumed")
	}
}

func testAudit(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := admin(t, browser, w, "/admin/people")
	actor := storage.WithActor(t.Context(), 0)
	for i := range 101 {
		if _, err := w.db.CreateLabeler(actor, fmt.Sprintf("person %d", i), storage.RoleLabeler, hash); err != nil {
			t.Fatal(err)
		}
	}
	p.visit("/admin/audit")
	p.says("#entries", "person.create")
	p.wait(`document.querySelectorAll("#entries tbody tr").length === 100 && !document.querySelector("#more").hidden`)
	p.click("#more")
	p.wait(`document.querySelectorAll("#entries tbody tr").length > 100`)
}
