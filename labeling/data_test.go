package labeling_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"rlhf/labeling"
	"rlhf/labeling/exchange"
	"rlhf/storage"
)

// raw sends bytes as an admin's file and returns the answer.
func (w *world) raw(t *testing.T, token, method, path string, body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, w.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, out
}

// An admin makes a project, and changes it, its guidelines and its tasks.
func TestProjectsOfAdmins(t *testing.T) {
	w := newWorld(t, reviews)
	v := w.visitor(t)
	v.signIn("boss")
	want := func(method, path, body string, status int, contains ...string) {
		t.Helper()
		got := v.want(method, path, body, status, "")
		for _, c := range contains {
			if !strings.Contains(got, c) {
				t.Errorf("%s %s: got %s, want %s", method, path, got, c)
			}
		}
	}
	want("GET", "/api/admin/projects", "", 200, `"projects":[{"id":1,"name":"default"`, `"tasks":2,"done_tasks":0,"rankings":0,"needed":2,"guideline_version":0`)
	want("POST", "/api/admin/projects", `{"name":"摘要"}`, 201, `"id":2,"name":"摘要","description":"","open":true`, `"overlap":1,"k":0,"rate":false,"questions":[]`)
	want("POST", "/api/admin/projects", `{"name":"摘要"}`, 409, `"code":"exists"`)
	want("POST", "/api/admin/projects", `{"name":" x"}`, 422, `"field":"name"`)
	settings := `{"overlap":3,"k":4,"rate":true,"questions":[{"key":"kind","text":{"en":"Kind?"}}],"confidence":true,"must_open":false,"calibration_share":0.1,"gold_share":0.1,"repeat_share":0.05,"gold_threshold":0.7,"gold_window":5}`
	want("PUT", "/api/admin/projects/2", `{"name":"s","description":"d","open":false,"settings":`+settings+`}`, 200, `"name":"s","description":"d","open":false,"settings":{"overlap":3,"k":4`)
	want("GET", "/api/admin/projects/2", "", 200, `"gold_threshold":0.7,"gold_window":5`)
	want("PUT", "/api/admin/projects/2", `{"name":"s","description":"","open":true,"settings":`+strings.Replace(settings, `"k":4`, `"k":1`, 1)+`}`, 422, `"code":"value"`, `"field":"settings.k"`)
	want("PUT", "/api/admin/projects/2", `{"name":"s","description":"","open":true,"settings":`+strings.Replace(settings, `"kind"`, `"Kind!"`, 1)+`}`, 422, `settings.questions[0].key`)
	want("PUT", "/api/admin/projects/9", `{"name":"x","description":"","open":true,"settings":`+settings+`}`, 404)

	want("POST", "/api/admin/projects/1/guidelines", `{"text":"# Be *honest* <script>alert(1)</script>"}`, 201, `"version":1`)
	want("GET", "/api/admin/projects/1/guidelines", "", 200, `"version":1`, `<em>honest</em>`, `"author":"boss"`)
	want("POST", "/api/admin/projects/1/guidelines", `{"text":"  "}`, 422, `"field":"text"`)
	want("POST", "/api/admin/preview", `{"text":"**b**"}`, 200, `<strong>b</strong>`)

	want("GET", "/api/admin/projects/1/tasks?limit=1", "", 200, `"tasks":[{"id":1,"kind":"normal"`, `"reference":false`, `"next":1`)
	want("GET", "/api/admin/projects/1/tasks?after=1&state=open&kind=normal", "", 200, `"tasks":[{"id":2,`, `"next":0`)
	want("GET", "/api/admin/projects/1/tasks?state=lost", "", 422)
	want("GET", "/api/admin/projects/9/tasks", "", 404)
	want("PATCH", "/api/admin/tasks/1", `{"kind":"gold","priority":5,"reference":{"ranks":[1,2,2,3],"note":"n"}}`, 200, `"kind":"gold"`, `"overlap":0`, `"priority":5`, `"reference":{"ranks":[1,2,2,3],"note":"n","author":"boss"`)
	want("GET", "/api/admin/projects/1/tasks?kind=gold", "", 200, `"reference":true`)
	want("PATCH", "/api/admin/tasks/1", `{"withdrawn":true}`, 200, `"withdrawn":true`, `"reference":{"ranks"`)
	want("PATCH", "/api/admin/tasks/1", `{"reference":null,"assigned_to":"ada"}`, 200, `"reference":null`, `"assigned_to":"ada"`)
	want("PATCH", "/api/admin/tasks/1", `{"reference":{"ranks":[1,3,3,3]}}`, 422, `"field":"reference.ranks"`)
	want("PATCH", "/api/admin/tasks/1", `{"assigned_to":"nobody"}`, 404)
	want("GET", "/api/admin/tasks/9", "", 404)
	want("POST", "/api/admin/projects/1/calibrate", `{"share":0.5,"seed":3}`, 200, `"tasks":1`)
	want("POST", "/api/admin/projects/1/calibrate", `{"share":0}`, 422, `share`)
	want("POST", "/api/admin/projects/1/people/1/resume", `{}`, 404)
}

// What is imported through the API is exported through it, and the manifest says what the archive holds.
func TestImportAndExport(t *testing.T) {
	w := newWorld(t, nil)
	token := w.tokens(t)[storage.RoleAdmin]
	ranked := `{"prompt":"p","completions":[{"model":"a","text":"x"},{"model":"b","text":"y"}],"ranks":[1,2],"labeler":"w1","created_at":"2026-01-02T03:04:05.678Z","active_ms":9,"wall_ms":10,"flags":["unsafe"],"confidence":4,"guideline":"2","shown":[1,0],"meta":{"k":1}}
{"prompt":"p","completions":[{"model":"a","text":"x"},{"model":"b","text":"y"}],"ranks":[1,1],"labeler":"w2"}
`
	for _, step := range []struct {
		query, body string
		status      int
		want        string
	}{
		{"what=rankings", ranked, 200, `"tasks":1,"there":0,"rankings":2,"extra":0,"skipped":0,"reasons":[],"lost":[]`},
		{"what=rankings", ranked, 409, `"code":"imported"`},
		{"what=rankings&name=bad.jsonl", ranked + `{"prompt":1}`, 422, `bad.jsonl:3: field`},
		{"what=rankings&again=true&skip_bad=true&name=bad.jsonl", ranked + "{}\n", 200, `"skipped":1`},
		{"what=tasks", `[{"prompt":"q","completions":[{"model":"a","text":"x"},{"model":"b","text":"y"}]}]`, 200, `"tasks":1,"there":0,"rankings":0`},
		{"what=tasks&kind=gold&format=trl", `{"prompt":"r","chosen":"x","rejected":"y"}`, 200, `"tasks":1`},
		{"what=rankings", "", 400, `"code":"json"`},
		{"what=rankings&format=nope", ranked, 422, `"field":"format"`},
		{"what=all", ranked, 422, `what`},
		{"what=tasks&kind=repeat", ranked, 422, `kind`},
	} {
		resp, out := w.raw(t, token, "POST", "/api/admin/projects/1/import?"+step.query, []byte(step.body))
		checkAnswer(t, "POST", "/api/admin/projects/1/import", resp.StatusCode, resp.Header, string(out))
		if resp.StatusCode != step.status || !strings.Contains(string(out), step.want) || strings.Contains(string(out), "/tmp") {
			t.Errorf("%s: %d %s, want %d %s", step.query, resp.StatusCode, out, step.status, step.want)
		}
	}
	if resp, out := w.raw(t, token, "POST", "/api/admin/projects/1/import?what=tasks", make([]byte, 64<<20+1)); resp.StatusCode != 413 || !strings.Contains(string(out), "too_large") {
		t.Errorf("too much: %d %.200s", resp.StatusCode, out)
	}

	resp, out := w.raw(t, token, "GET", "/api/admin/projects/1/export", nil)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/zip" || resp.Header.Get("Content-Disposition") != `attachment; filename="project-1-rankings.zip"` {
		t.Fatalf("%d %v %.200s", resp.StatusCode, resp.Header, out)
	}
	data, manifest := unzip(t, out, "rankings.jsonl")
	if data != ranked+ranked { // imported once more above, as a task of their own
		t.Errorf("exported %s", data)
	}
	sum := sha256.Sum256([]byte(data))
	want := exchange.Manifest{File: "rankings.jsonl", Project: "default", Counts: storage.Counts{Rankings: 4, Tasks: 2, Labelers: 2, Completions: 8, Ties: 2}, Lines: 4, Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
	want.Written.Format, want.Written.Rankings, want.Written.Rows = "rankings", 4, 4
	if fmt.Sprint(manifest) != fmt.Sprint(want) {
		t.Errorf("manifest %+v\nwant %+v", manifest, want)
	}
	if _, out := w.raw(t, token, "GET", "/api/admin/projects/1/export?format=label-studio&names=true", nil); !strings.HasPrefix(string(out), "PK") {
		t.Errorf("%.200s", out)
	} else if _, m := unzip(t, out, "rankings.json"); m.Written.Lost["models"] != 0 || !m.Names {
		t.Errorf("%+v", m)
	}
	for path, want := range map[string]string{"/api/admin/projects/1/export?format=auto-j": `"field":"format"`, "/api/admin/projects/9/export": "not_found"} {
		if resp, out := w.raw(t, token, "GET", path, nil); resp.StatusCode < 400 || !strings.Contains(string(out), want) {
			t.Errorf("%s: %d %.200s", path, resp.StatusCode, out)
		}
	}
	if resp, out := w.raw(t, token, "GET", "/api/admin/formats", nil); resp.StatusCode != 200 || !strings.Contains(string(out), `"name":"hh-rlhf"`) {
		t.Errorf("%d %.200s", resp.StatusCode, out)
	}
	entries, _, err := w.db.Audit(context.Background(), 0, 9)
	if err != nil || len(entries) == 0 || entries[0].Actor != "token admin" || entries[0].Action != "tasks.import" {
		t.Errorf("%+v, %v", entries, err)
	}
}

func unzip(t *testing.T, raw []byte, name string) (data string, m exchange.Manifest) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		f, err := z.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if err := json.Unmarshal(read("manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	return string(read(name)), m
}

// The presets are questions that a project takes.
func TestPresets(t *testing.T) {
	s := storage.DefaultSettings()
	s.Questions = labeling.Presets()
	if err := s.Validate(); err != nil || len(s.Questions) != 11 {
		t.Errorf("%d, %v", len(s.Questions), err)
	}
}
