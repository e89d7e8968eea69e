package labeling_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"rlhf/storage"
)

type object = map[string]any

// get calls, fails the test unless the answer has this status, and returns it.
func (v *visitor) get(method, path, body string, status int) object {
	v.t.Helper()
	var out object
	if err := json.Unmarshal([]byte(v.want(method, path, body, status, "{")), &out); err != nil {
		v.t.Fatal(err)
	}
	return out
}

// set changes the settings of the default project.
func (w *world) set(t testing.TB, change func(*storage.Settings)) {
	t.Helper()
	p, err := w.db.Project(context.Background(), storage.DefaultProject)
	if err != nil {
		t.Fatal(err)
	}
	change(&p.Settings)
	if err := w.db.SetProject(context.Background(), p); err != nil {
		t.Fatal(err)
	}
}

// ranking is a body that ranks four responses in their order, with more members.
func ranking(key, more string) string {
	return `{"ranks":{"A":1,"B":2,"C":3,"D":4},"opened":["A","B","C","D"],"idempotency_key":"` + key + `"` + more + `}`
}

// A task holds what the page needs, as text and as HTML.
func TestTaskShape(t *testing.T) {
	w := newWorld(t, reviews[:1], func(task *storage.Task) {
		task.System = "Be kind."
		task.Messages = []storage.Message{{Role: "user", Content: "**Hello** <script>alert(1)</script>"}}
		task.Completions[0].Text = "*a*\n\n|x|\n|-|\n|1|"
		task.Completions[0].Messages = []storage.Message{{Role: "assistant", Content: "`b`"}}
	})
	w.set(t, func(s *storage.Settings) {
		s.Rate, s.Confidence = true, true
		s.Questions = []storage.Question{{Key: "harmful", Text: map[string]string{"en": "Harmful?", "zh": "有害？"}}}
	})
	if _, err := w.db.AddGuideline(context.Background(), storage.DefaultProject, "# Rules\n\nBe *fair*."); err != nil {
		t.Fatal(err)
	}
	v := w.visitor(t)
	v.signIn("ada")
	task := v.get("POST", "/api/tasks/next", `{"holding":[],"project":"default"}`, 200)["task"].(object)
	if task["kind"] != "task" || task["project"] != "default" || task["guideline_version"] != 1.0 || task["draft"] != nil || task["answer"] != nil || task["revision"] != 0.0 {
		t.Errorf("%v", task)
	}
	prompt := task["prompt"].(object)
	message := prompt["messages"].([]any)[0].(object)
	if prompt["text"] != reviews[0].prompt || prompt["html"] != "<p>the film opens with a</p>\n" || prompt["system"] != "Be kind." || message["role"] != "user" ||
		message["html"] != "<p><strong>Hello</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>\n" {
		t.Errorf("%v", prompt)
	}
	list := task["completions"].([]any)
	for i, c := range list {
		c := c.(object)
		if c["slot"] != string(rune('A'+i)) {
			t.Errorf("%v", c)
		}
		if strings.HasPrefix(c["text"].(string), "*a*") {
			if !strings.Contains(c["html"].(string), "<td>1</td>") || c["messages"].([]any)[0].(object)["html"] != "<p><code>b</code></p>\n" {
				t.Errorf("%v", c)
			}
		} else if c["messages"] != nil {
			t.Errorf("%v", c)
		}
	}
	form, _ := json.Marshal(task["form"])
	if string(form) != `{"confidence":true,"must_open":true,"questions":[{"key":"harmful","text":{"en":"Harmful?","zh":"有害？"}}],"rate":true}` {
		t.Errorf("%s", form)
	}
	path := "/api/tasks/" + task["id"].(string)
	v.want("POST", path+"/ranking", ranking("k", ""), 422, `"code":"answers"`)
	const rated = `,"confidence":4,"flags":["unsafe"],"comment":"hm","ratings":{"A":{"overall":7,"harmful":0},"B":{"overall":6,"harmful":0},"C":{"overall":2,"harmful":1},"D":{"overall":1,"harmful":1}}`
	v.want("POST", path+"/ranking", ranking("k", strings.Replace(rated, `"A"`, `"E"`, 1)), 422, `"code":"answers"`)
	v.get("POST", path+"/ranking", ranking("k", rated), 201)
	again := v.get("GET", path, "", 200)
	got, _ := json.Marshal(again["answer"])
	want := `{"comment":"hm","confidence":4,"flags":["unsafe"],"outcome":"ranked","ranks":{"A":1,"B":2,"C":3,"D":4},"ratings":{"A":{"harmful":0,"overall":7},"B":{"harmful":0,"overall":6},"C":{"harmful":1,"overall":2},"D":{"harmful":1,"overall":1}},"reason":""}`
	if string(got) != want || again["revision"] != 1.0 {
		t.Errorf("got %s, revision %v", got, again["revision"])
	}
	guidelines := v.get("GET", "/api/guidelines", "", 200)
	if guidelines["version"] != 1.0 || guidelines["html"] != "<h4>Rules</h4>\n<p>Be <em>fair</em>.</p>\n" || guidelines["text"] != "# Rules\n\nBe *fair*." {
		t.Errorf("%v", guidelines)
	}
	v.want("GET", "/api/guidelines?project=nowhere", "", 404, "")
	v.want("POST", "/api/tasks/next", `{"project":"nowhere"}`, 404, "")
}

func TestDraftsOverTheAPI(t *testing.T) {
	w := newWorld(t, reviews[:1])
	v := w.visitor(t)
	v.signIn("ada")
	path := "/api/tasks/" + v.next() + "/draft"
	v.want("PUT", path, `{"version":0,"body":{"places":[["A"]]}}`, 200, `{"version":1}`)
	v.want("PUT", path, `{"version":1,"body":{}}`, 200, `{"version":2}`)
	v.want("PUT", path, `{"version":1,"body":{"x":1}}`, 409, `"draft":{"version":2,"body":{}}`)
	v.want("PUT", path, `{"version":1,"body":{"x":1}}`, 409, `"code":"draft"`)
	v.want("PUT", path, `{"version":2,"body":[]}`, 422, `"field":"body`)
	v.want("PUT", path, `{"version":-1,"body":{}}`, 422, `"field":"version"`)
	v.want("PUT", path, `{"version":2,"body":{"x":"`+strings.Repeat("x", 64<<10)+`"}}`, 413, `"code":"too_large"`)
	v.want("PUT", path, `{"version":2,"body":{"x":"`+strings.Repeat("x", 64<<10-8)+`"}}`, 200, `{"version":3}`)
	task := v.get("POST", "/api/tasks/next", "{}", 200)["task"].(object)
	if d := task["draft"].(object); d["version"] != 3.0 || len(d["body"].(object)["x"].(string)) != 64<<10-8 {
		t.Errorf("version %v", d["version"])
	}
	other := w.visitor(t)
	other.signIn("grace")
	other.want("PUT", path, `{"version":3,"body":{}}`, 404, "not yours")
}

func TestSkipsAndRecentAnswers(t *testing.T) {
	w := newWorld(t, reviews)
	v := w.visitor(t)
	v.signIn("ada")
	first := v.next()
	v.want("POST", "/api/tasks/"+first+"/skip", `{"reason":"boring","idempotency_key":"k"}`, 422, `"field":"reason"`)
	v.want("POST", "/api/tasks/"+first+"/skip", `{"reason":"nonsense"}`, 422, "idempotency_key")
	const skip = `{"reason":"nonsense","comment":"?","active_ms":5,"wall_ms":9,"idempotency_key":"k","revision":0}`
	for range 2 {
		out := v.get("POST", "/api/tasks/"+first+"/skip", skip, 201)
		if out["revision"] != 1.0 || out["standing"].(object)["done"] != 1.0 || out["standing"].(object)["remaining"] != 1.0 {
			t.Errorf("%v", out)
		}
	}
	v.want("POST", "/api/tasks/"+first+"/skip", strings.Replace(skip, `"k"`, `"l"`, 1), 409, `"code":"revision"`)
	second := v.next()
	v.get("POST", "/api/tasks/"+second+"/ranking", ranking("k2", ""), 201)
	v.want("POST", "/api/tasks/"+second+"/ranking", ranking("k", `,"revision":1`), 422, `"code":"key"`)
	list := v.get("GET", "/api/tasks/recent", "", 200)["tasks"].([]any)
	if len(list) != 2 {
		t.Fatalf("%v", list)
	}
	for _, x := range list {
		x := x.(object)
		answer := x["answer"].(object)
		if x["id"] == first && (answer["outcome"] != "skipped" || answer["reason"] != "nonsense" || answer["comment"] != "?" || x["prompt"] != reviews[0].prompt) ||
			x["id"] == second && (answer["outcome"] != "ranked" || answer["ranks"].(object)["D"] != 4.0) || x["revision"] != 1.0 {
			t.Errorf("%v", x)
		}
	}
	v.get("POST", "/api/tasks/"+first+"/ranking", ranking("k3", `,"revision":1`), 201) // she has thought about it
	v.want("POST", "/api/tasks/"+first+"/ranking", ranking("k4", `,"revision":1`), 409, `"code":"revision"`)
	if n := len(w.rankings(t)); n != 2 {
		t.Errorf("%d rankings", n)
	}
	standing := v.get("GET", "/api/standing", "", 200)
	if standing["done"] != 2.0 || standing["remaining"] != 0.0 || standing["today"] != 2.0 {
		t.Errorf("%v", standing)
	}
}

func TestTwoTasksInHand(t *testing.T) {
	many := slices.Repeat(reviews, 2)
	for i := range many {
		many[i].prompt = fmt.Sprint(i, many[i].prompt)
	}
	v := newWorld(t, many).visitor(t)
	v.signIn("ada")
	first := v.next()
	held := fmt.Sprintf(`{"holding":[%q]}`, first)
	second := v.get("POST", "/api/tasks/next", held, 200)["task"].(object)["id"].(string)
	if second == first || v.next() != first {
		t.Errorf("first %s, second %s", first, second)
	}
	v.want("POST", "/api/tasks/next", fmt.Sprintf(`{"holding":[%q,%q]}`, first, second), 409, `"code":"holding"`)
	v.want("POST", "/api/tasks/next", `{"holding":["`+strings.Repeat(`x","`, 10)+`"]}`, 422, `"field":"holding"`)
}

func TestTrainingFeedbackAndExamples(t *testing.T) {
	kinds := []string{storage.KindTraining, storage.KindExample}
	n := 0
	w := newWorld(t, reviews, func(task *storage.Task) {
		task.Kind, task.Overlap = kinds[n], 0
		task.Reference = &storage.Reference{Ranks: []int{1, 2, 3, 3}, Note: "The first is **best**."}
		n++
	})
	v := w.visitor(t)
	v.signIn("ada")
	task := v.get("POST", "/api/tasks/next", "{}", 200)["task"].(object)
	if task["kind"] != "training" {
		t.Fatalf("%v", task["kind"])
	}
	rank := map[string]int{} // the reference's, by letter
	for _, c := range task["completions"].([]any) {
		c := c.(object)
		rank[c["slot"].(string)] = min(1+slices.Index(reviews[0].completions, c["text"].(string)), 3)
	}
	ranks, _ := json.Marshal(rank)
	out := v.get("POST", "/api/tasks/"+task["id"].(string)+"/ranking", `{"ranks":`+string(ranks)+`,"opened":["A","B","C","D"],"idempotency_key":"k"}`, 201)
	feedback := out["feedback"].(object)
	if said, _ := json.Marshal(feedback["ranks"]); feedback["right"] != 5.0 || feedback["pairs"] != 5.0 || feedback["note_html"] != "<p>The first is <strong>best</strong>.</p>\n" || string(said) != string(ranks) {
		t.Errorf("%v, want ranks %s", feedback, ranks)
	}
	examples := v.get("GET", "/api/guidelines?project=default", "", 200)["examples"].([]any)
	if len(examples) != 1 {
		t.Fatalf("%v", examples)
	}
	for i, c := range examples[0].(object)["completions"].([]any) {
		if c := c.(object); c["rank"] != float64(min(i+1, 3)) || c["text"] != reviews[1].completions[i] {
			t.Errorf("%v", c)
		}
	}
	v.want("POST", "/api/tasks/next", "{}", 200, `"task":null`)
	for _, name := range models {
		if strings.Contains(w.everythingSent(), name) {
			t.Errorf("%q was sent", name)
		}
	}
}

// Whatever a labeler sends to any of their operations is answered, never with a failure of the server.
func FuzzLabelerBodies(f *testing.F) {
	w := newWorld(f, reviews, overlap(0))
	w.set(f, func(s *storage.Settings) {
		s.Rate, s.Confidence = true, true
		s.Questions = []storage.Question{{Key: "harmful", Text: map[string]string{"en": "?"}}}
	})
	v := w.visitor(f)
	v.signIn("ada")
	id := v.next()
	operations := []struct{ method, path string }{{"POST", "/api/tasks/next"}, {"POST", "/api/tasks/" + id + "/heartbeat"}, {"PUT", "/api/tasks/" + id + "/draft"},
		{"POST", "/api/tasks/" + id + "/ranking"}, {"POST", "/api/tasks/" + id + "/skip"}}
	for i, body := range []string{`{"holding":["x"],"project":""}`, `{}`, `{"version":0,"body":{"a":[1,{"b":null}]}}`,
		ranking("k", `,"confidence":1,"flags":["other"],"revision":0,"active_ms":1,"wall_ms":2,"comment":"c","ratings":{"A":{"overall":7,"harmful":0},"B":{"overall":6,"harmful":0},"C":{"overall":2,"harmful":1},"D":{"overall":1,"harmful":1}}`),
		`{"reason":"other","comment":"","active_ms":1,"wall_ms":1,"idempotency_key":"s","revision":1}`, `{"ranks":null}`, `[]`, `null`, `{"version":1e999}`, "\xff"} {
		f.Add(uint8(i), []byte(body))
		f.Add(uint8(i+1), []byte(body))
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		op := operations[int(which)%len(operations)]
		r, err := http.NewRequest(op.method, w.URL+op.path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := v.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		raw, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode >= 500 || !json.Valid(raw) {
			t.Errorf("%s %s %q: %s %q %v", op.method, op.path, body, answer.Status, raw, err)
		}
		if answer.StatusCode >= 400 && !bytes.Contains(raw, []byte(`{"error":{"code":"`)) {
			t.Errorf("%q: %s", body, raw)
		}
	})
}
