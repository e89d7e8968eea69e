package labeling_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rlhf/storage"
)

// axeSource is axe-core, which `npm ci --prefix labeling/testdata/axe` installs.
var axeSource = sync.OnceValues(func() (string, error) {
	raw, err := os.ReadFile("testdata/axe/node_modules/axe-core/axe.min.js")
	return string(raw), err
})

// needAxe skips the test where axe-core is not installed, or fails it where that has been promised: with CI=true.
func needAxe(t *testing.T) {
	t.Helper()
	if _, err := axeSource(); err != nil {
		const missing = "axe-core is not installed: run `npm ci --prefix labeling/testdata/axe`"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
}

// axe returns what axe-core finds on the page that is serious or critical by WCAG 2.2 A and AA and its own best practices.
func (p *tab) axe() (faults []string) {
	p.t.Helper()
	source, err := axeSource()
	if err != nil {
		p.t.Fatal(err)
	}
	if !evaluate[bool](p, `"axe" in window`) {
		evaluate[any](p, "void (() => {"+source+"})()")
	}
	var found []struct {
		ID, Impact, Help string
		Nodes            []struct {
			HTML           string
			FailureSummary string
		}
	}
	text := evaluate[string](p, `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(({violations}) => JSON.stringify(violations))`)
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		p.t.Fatal(err)
	}
	for _, v := range found {
		if v.Impact != "serious" && v.Impact != "critical" {
			continue
		}
		for _, node := range v.Nodes {
			faults = append(faults, fmt.Sprintf("%s (%s): %s: %.300s: %s", v.ID, v.Impact, v.Help, node.HTML, strings.Join(strings.Fields(node.FailureSummary), " ")))
		}
	}
	return faults
}

// accessible lets axe-core look at the page as it stands, narrow and wide, in both themes.
func (p *tab) accessible(state string) {
	p.t.Helper()
	for _, width := range []int64{390, 1440} {
		p.do(chromedp.EmulateViewport(width, 900))
		for _, scheme := range []string{"light", "dark"} {
			p.prefer("prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce")
			p.wait(fmt.Sprintf(`innerWidth === %d && matchMedia("(prefers-color-scheme: %s)").matches`, width, scheme))
			for _, fault := range p.axe() {
				p.t.Errorf("%s, %s, %d px wide: %s", state, scheme, width, fault)
			}
		}
	}
}

// speak opens pages in a language from here on.
func (p *tab) speak(lang string) {
	p.t.Helper()
	evaluate[any](p, fmt.Sprintf(`void (document.cookie = "rlhf_lang=%s; path=/; samesite=lax")`, lang))
}

// TestBrowserAxe lets axe-core look at every page, in its states, in both languages.
func TestBrowserAxe(t *testing.T) {
	needAxe(t)
	browser := startBrowser(t)
	for _, lang := range []string{"en", "zh"} {
		t.Run(lang+"/labelers", func(t *testing.T) { testAxeLabelers(t, browser, lang) })
		t.Run(lang+"/rating", func(t *testing.T) { testAxeRating(t, browser, lang) })
		t.Run(lang+"/admins", func(t *testing.T) { testAxeAdmins(t, browser, lang) })
	}
}

// testAxeLabelers goes from a link to the end of the work: guidelines, training with feedback, dialogs, ranking.
func testAxeLabelers(t *testing.T, browser context.Context, lang string) {
	kinds := []string{storage.KindTraining, storage.KindExample, storage.KindNormal}
	w := newWorld(t, slices.Concat(reviews[:1], reviews), func(task *storage.Task) {
		task.Kind, kinds = kinds[0], kinds[1:]
		if task.Kind != storage.KindNormal {
			task.Overlap, task.Reference = 0, &storage.Reference{Ranks: []int{1, 2, 3, 4}, Note: "The second is *sharp*."}
		}
	})
	if _, err := w.db.AddGuideline(t.Context(), storage.DefaultProject, "# Prefer\n\n1. what is **true**\n2. `code` and [links](https://example.com)"); err != nil {
		t.Fatal(err)
	}
	p := openTab(t, browser, w.URL, 1440, 900)
	p.open("/")
	p.speak(lang)
	p.open("/?reason=expired")
	p.wait(`document.querySelector("#notice:not([hidden])")`)
	p.accessible("sign-in")
	p.click("#account-button")
	p.accessible("account")
	link := w.as(t, "boss").oneTimeLink("ada")
	p.do(chromedp.Navigate(link))
	p.wait(`document.querySelector("#enter:enabled")`)
	p.accessible("enter")
	p.click("#enter")
	p.wait(`location.pathname === "/label" && document.querySelector(".card") && document.querySelector("#guide strong")`)
	p.accessible("guidelines, training")
	p.do(chromedp.EmulateViewport(1440, 900))
	p.click("#guide-close")
	p.keys("a1b2c2")
	p.accessible("half ranked")
	for _, dialog := range []struct{ open, id string }{{"?", "help"}, {"ax", "compare"}} {
		p.keys(dialog.open)
		p.wait(fmt.Sprintf("document.querySelector(%q).open", "#"+dialog.id))
		p.accessible(dialog.id)
		p.keys(kb.Escape)
		p.wait(fmt.Sprintf("!document.querySelector(%q).open", "#"+dialog.id))
	}
	p.click("#skip")
	p.wait(`document.querySelector("#skip-dialog").open`)
	p.accessible("skip")
	p.keys(kb.Escape)
	p.wait(`!document.querySelector("#skip-dialog").open`)
	p.keys("d4" + kb.Enter)
	p.wait(`document.querySelector("#feedback").open`)
	p.accessible("feedback")
	p.keys(kb.Enter)
	p.wait(`!document.querySelector("#feedback").open && document.querySelectorAll("#pool .card").length === 4`)
	p.keys("a1b2c3d4" + kb.Enter)
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	p.accessible("all done")
	p.do(chromedp.EmulateViewport(1440, 900))
	p.click("#recent-button")
	p.wait(`document.querySelector("#recent").open && document.querySelector("#recent-list li")`)
	p.accessible("last answers")
	p.open("/admin")
	p.wait(`document.querySelector("main.message")`)
	p.accessible("refused")
	p.open("/nothing")
	p.wait(`document.querySelector("main.message")`)
	p.accessible("missing")
}

// testAxeRating rates first, then ranks, with every question asked.
func testAxeRating(t *testing.T, browser context.Context, lang string) {
	w := newWorld(t, reviews[:1])
	w.settings(t, func(s *storage.Settings) {
		s.Rate, s.Confidence = true, true
		s.Questions = []storage.Question{{Key: "hallucination", Text: map[string]string{"en": "Makes something up", "zh": "编造内容"}}}
	})
	p := openTab(t, browser, w.URL, 1440, 900)
	p.open("/")
	p.speak(lang)
	p.open("/")
	p.wait(`document.activeElement.id === "name" && document.querySelector("#submit:enabled")`)
	p.keys("ada\t" + password + kb.Enter)
	p.wait(`document.querySelector("#task").dataset.step === "rate"`)
	p.accessible("rating")
	evaluate[any](p, `void document.querySelectorAll(".card input[type=radio]").forEach((input) => input.click())`)
	p.click("#submit")
	p.wait(`document.querySelector("#task").dataset.step === "rank"`)
	p.accessible("ranking after rating")
}

// testAxeAdmins visits the pages of admins and reviewers over a study.
func testAxeAdmins(t *testing.T, browser context.Context, lang string) {
	w := newStudy(t, 24)
	p := openTab(t, browser, w.URL, 1440, 900)
	p.open("/")
	p.speak(lang)
	p.enterAs("boss", "/admin")
	for _, page := range adminPages {
		p.goTo(page.path, page.open)
		p.accessible(strings.TrimSpace(page.path + " " + page.open))
	}
}

// goTo opens a page of adminPages as it says.
func (p *tab) goTo(path, open string) {
	p.t.Helper()
	p.visit(path)
	if open != "" {
		p.click(open)
		p.wait(`document.querySelector("dialog[open], details[open], .question")`)
	}
	if strings.Contains(path, "#tasks") {
		p.wait(`document.querySelector("#tasks-table tbody")`)
	}
	if strings.Contains(path, "#tasks/") {
		p.wait(`document.querySelector("#task").open`)
	}
}

// adminPages are the pages of admins and reviewers, with what to click there first.
var adminPages = []struct{ path, open string }{
	{"/admin", ""},
	{"/admin", "#new"},
	{"/admin/projects/1#progress", ""},
	{"/admin/projects/1#settings", "#add-preset"},
	{"/admin/projects/1#guidelines", ""},
	{"/admin/projects/1#tasks", ""},
	{"/admin/projects/1#tasks", "#calibrate-open"},
	{"/admin/projects/1#tasks/1", ""},
	{"/admin/projects/1#data", ""},
	{"/admin/projects/1#flags", ""},
	{"/admin/projects/1/figures", ".looked summary"},
	{"/admin/people", ""},
	{"/admin/people", "#new"},
	{"/admin/people", what("link")},
	{"/admin/people", what("tokens")},
	{"/admin/people", what("password")},
	{"/admin/people", what("forget")},
	{"/admin/audit", ""},
	{"/review", ""},
	{"/review/1", ""},
	{"/review/1/1", ""},
}
