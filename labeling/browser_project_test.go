package labeling_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// read reads an answer of the API into out.
func (v *visitor) read(path string, out any) {
	v.t.Helper()
	if err := json.Unmarshal([]byte(v.want("GET", path, "", 200, "")), out); err != nil {
		v.t.Fatalf("%s: %v", path, err)
	}
}

// as returns a visitor who is signed in.
func (w *world) as(t testing.TB, name string) *visitor {
	t.Helper()
	v := w.visitor(t)
	v.signIn(name)
	return v
}

func testProjects(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews)
	p := admin(t, browser, w, "/admin")
	p.says("#projects", "default")
	p.says("#projects", "0 of 2 rankings")
	p.click("#new")
	p.fill("#create-name", "default")
	p.keys(kb.Enter)
	p.says("#create-form .error", "taken")
	p.wait(`document.activeElement.id === "create-name"`)
	p.fill("#create-name", "Round two")
	p.fill("#create-description", "After PPO.")
	p.click("#create-form [type=submit]")
	p.wait(`location.pathname === "/admin/projects/2" && location.hash === "#settings" && !document.querySelector("#section-settings").hidden`)
	p.says("#name", "Round two")
	if title := evaluate[string](p, "document.title"); title != "Round two · Labeling" {
		t.Errorf("the title is %q", title)
	}

	// a value out of bounds is refused at its field
	p.fill("#set-overlap", "0")
	p.click("#settings-form .actions [type=submit]")
	p.wait(`document.querySelector("#set-overlap").getAttribute("aria-invalid") === "true" && document.activeElement.id === "set-overlap" && document.querySelector("#settings-form > .error").innerText !== ""`)

	// every setting, and InstructGPT's questions in both languages
	p.fill("#set-overlap", "3")
	p.choose("#set-k", "4")
	for _, name := range []string{"rate", "confidence", "must_open"} {
		p.click(fmt.Sprintf(`#settings-form [name=%s]`, name))
	}
	for _, field := range []struct{ id, value string }{{"calibration", "12.5"}, {"gold", "5"}, {"repeat", "2"}, {"threshold", "60"}, {"window", "15"}} {
		p.fill("#set-"+field.id, field.value)
	}
	p.click("#add-preset")
	p.wait(`document.querySelectorAll("#questions > li").length === 11`)
	p.click("#add-preset") // those that are there are not added again
	p.wait(`document.querySelector("#announce").innerText.trim() === "Questions added: 0."`)
	p.click("#questions > li:nth-child(2) button:nth-of-type(3)")
	p.wait(`document.querySelectorAll("#questions > li").length === 10`)
	p.click("#add-question")
	p.keys("polite" + kb.Tab + "Polite" + kb.Tab + "礼貌")
	p.click("#settings-form .actions [type=submit]")
	p.says("#settings-saved", "Saved.")
	type question struct {
		Key  string
		Text map[string]string
	}
	var got struct {
		Name     string
		Open     bool
		Settings struct {
			Overlap          int
			K                int
			Rate             bool
			Questions        []question
			Confidence       bool
			MustOpen         bool    `json:"must_open"`
			CalibrationShare float64 `json:"calibration_share"`
			GoldShare        float64 `json:"gold_share"`
			RepeatShare      float64 `json:"repeat_share"`
			GoldThreshold    float64 `json:"gold_threshold"`
			GoldWindow       int     `json:"gold_window"`
		}
	}
	w.as(t, "boss").read("/api/admin/projects/2", &got)
	s := got.Settings
	if !got.Open || s.Overlap != 3 || s.K != 4 || !s.Rate || !s.Confidence || s.MustOpen || s.CalibrationShare != .125 || s.GoldShare != .05 || s.RepeatShare != .02 || s.GoldThreshold != .6 || s.GoldWindow != 15 {
		t.Errorf("the settings are %+v", got)
	}
	if n := len(s.Questions); n != 11 || s.Questions[0].Key != "fails_instruction" || s.Questions[1].Key != "hallucination" || s.Questions[1].Text["zh"] != "含有捏造内容" || s.Questions[10].Text["zh"] != "礼貌" {
		t.Errorf("the questions are %v", s.Questions)
	}
	p.do(chromedp.Reload())
	p.wait(`document.querySelectorAll("#questions > li").length === 11 && document.querySelector("#set-calibration").value === "12.5"`)
}

func testGuidelines(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews)
	p := admin(t, browser, w, "/admin/projects/1#guidelines")
	p.says("#versions", "There are no guidelines yet.")
	p.fill("#guide-text", "# Be fair\n\n**Helpful** first. <script>document.title = 'broken'</script><img src=x onerror=\"document.title='broken'\">")
	p.wait(`document.querySelector("#guide-preview strong")?.innerText === "Helpful" && !document.querySelector("#guide-preview :is(script, img)")`)
	p.click("#guide-save")
	p.says("#guide-saved", "Version 1 is in force.")
	p.fill("#guide-text", "Shorter.")
	p.says("#guide-preview", "Shorter.")
	p.click("#guide-save")
	p.says("#guide-saved", "Version 2 is in force.")
	for _, want := range []string{"Version 2", "in force", "by boss"} {
		p.says("#versions details:nth-child(1)", want)
	}
	p.click("#versions details:nth-child(2) summary")
	p.says("#versions details:nth-child(2)", "Helpful first.")
	if title := evaluate[string](p, "document.title"); strings.Contains(title, "broken") {
		t.Error("a guideline ran as a script")
	}
	w.as(t, "ada").want("GET", "/api/guidelines?project=default", "", 200, `"version":2`)
}

func testTasks(t *testing.T, browser context.Context) {
	leaky := review{"who are you ?", []string{"I'm Claude, made by Anthropic.", "a friend .", "nobody ."}}
	w := newWorld(t, append([]review{leaky}, reviews...))
	p := admin(t, browser, w, "/admin/projects/1#tasks")
	p.wait(`document.querySelectorAll("#tasks-table tbody tr").length === 3`)
	p.says(`#tasks-table tr[data-key="1"]`, "1 names itself")
	p.click(`#tasks-table tr[data-key="1"] a`)
	p.wait(`document.querySelector("#task").open && location.hash === "#tasks/1"`)
	p.wait(`document.querySelector("#task mark").innerText.includes("Claude")`)
	p.says("#task-text", models[0]) // the admin sees who wrote what

	// an answer for some of the responses only is refused
	p.choose("#task-kind", "gold")
	p.fill("#task-overlap", "2")
	p.fill("#task-priority", "7")
	p.choose("#task-assigned", "grace")
	p.choose(`#task-ranks label:nth-child(1) select`, "2")
	p.click("#task-form [type=submit]")
	p.says("#task-form .error", "Give every response a place, or none.")
	p.choose(`#task-ranks label:nth-child(2) select`, "1")
	p.choose(`#task-ranks label:nth-child(3) select`, "2")
	p.fill("#task-note", "The first names itself.")
	p.click("#task-form [type=submit]")
	p.wait(`!document.querySelector("#task").open`)
	p.says(`#tasks-table tr[data-key="1"]`, "Own answer")
	boss := w.as(t, "boss")
	var got struct {
		Kind              string
		Overlap, Priority int
		AssignedTo        string `json:"assigned_to"`
		Reference         *struct {
			Ranks        []int
			Note, Author string
		}
	}
	boss.read("/api/admin/tasks/1", &got)
	if got.Kind != "gold" || got.Overlap != 2 || got.Priority != 7 || got.AssignedTo != "grace" || got.Reference == nil || fmt.Sprint(got.Reference.Ranks) != "[2 1 2]" || got.Reference.Author != "boss" {
		t.Errorf("the task is %+v, its reference %+v", got, got.Reference)
	}
	p.choose("#filter-kind", "gold")
	p.wait(`document.querySelectorAll("#tasks-table tbody tr").length === 1`)
	p.choose("#filter-kind", "")
	p.wait(`document.querySelectorAll("#tasks-table tbody tr").length === 3`)

	// withdrawn, by its address; the answer taken away
	p.open("/admin/projects/1#tasks/1")
	p.wait(`document.querySelector("#task").open`)
	p.click("#task [name=withdrawn]")
	for i := range 3 {
		p.choose(fmt.Sprintf(`#task-ranks label:nth-child(%d) select`, i+1), "")
	}
	p.choose("#task-kind", "normal")
	p.choose("#task-assigned", "")
	p.click("#task-form [type=submit]")
	p.wait(`!document.querySelector("#task").open`)
	p.choose("#filter-state", "withdrawn")
	p.wait(`document.querySelectorAll("#tasks-table tbody tr").length === 1`)
	boss.want("GET", "/api/admin/tasks/1", "", 200, `"reference":null`)
	boss.want("GET", "/api/admin/tasks/1", "", 200, `"withdrawn":true`)

	// calibration tasks out of normal ones
	p.choose("#filter-state", "")
	p.click("#calibrate-open")
	p.fill("#calibrate-share", "50")
	p.click("#calibrate-form [type=submit]")
	p.wait(`!document.querySelector("#calibrate").open`)
	p.says("#tasks-table", "Calibration")
}

func testImportExport(t *testing.T, browser context.Context) {
	w := newWorld(t, nil)
	file := filepath.Join(t.TempDir(), "tasks.jsonl")
	content := `{"prompt":"p1","completions":[{"model":"m1","completion":"x"},{"model":"m2","completion":"y"}]}
{"prompt":"p2","completions":[{"model":"m1","completion":"x"},{"model":"m2","completion":"z"}]}
`
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	p := admin(t, browser, w, "/admin/projects/1#data")
	p.choose("#import-format", "instances")
	p.click("#import-form [type=submit]")
	p.says("#import-form .error", "No file is chosen yet.")
	p.do(chromedp.SetUploadFiles("#import-file", []string{file}))
	p.says("#import-name", "tasks.jsonl")
	p.click("#import-form [type=submit]")
	p.says("#import-result", "Imported: 2 tasks, 0 rankings.")

	c := labelingClient(t, w, "ada")
	for task := c.next(t); task != nil; task = c.next(t) {
		c.rank(t, task, []int{1, 2})
	}
	for format := range evaluate[map[string]string](p, `Object.fromEntries([...document.querySelector("#export-format").options].map((option) => [option.value, option.text]))`) {
		p.choose("#export-format", format)
		got := evaluate[string](p, `(async () => {
			const form = document.querySelector("#export-form");
			const answer = await fetch(form.action + "?" + new URLSearchParams(new FormData(form)));
			const bytes = new Uint8Array(await answer.arrayBuffer());
			return answer.status + " " + answer.headers.get("content-type") + " " + String.fromCharCode(...bytes.subarray(0, 2));
		})()`)
		if !strings.HasPrefix(got, "200 application/zip") || !strings.HasSuffix(got, " PK") {
			t.Errorf("export as %s: %s", format, got)
		}
	}
}

func testFlags(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews)
	ada := w.as(t, "ada")
	ada.want("POST", "/api/tasks/"+ada.next()+"/skip", `{"reason":"nonsense","comment":"half a sentence","idempotency_key":"k"}`, 201, "")
	p := admin(t, browser, w, "/admin/projects/1#flags")
	p.says("#flags-table", "The prompt makes no sense")
	p.says("#flags-table", "half a sentence")
	p.click("#flags-table a")
	p.wait(`document.querySelector("#task").open`)
	p.keys(kb.Escape)
	p.wait(`location.hash === "#tasks" && !document.querySelector("#section-tasks").hidden`)
}
