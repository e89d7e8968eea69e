package labeling_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"rlhf/labeling"
	"rlhf/labeling/figures"
)

// rankNext ranks the visitor's next task: the responses in the order shown have these ranks.
func (v *visitor) rankNext(ranks ...int) {
	v.t.Helper()
	id := v.next()
	given, opened := map[string]int{}, []string{}
	for i, r := range ranks {
		given[string(rune('A'+i))] = r
		opened = append(opened, string(rune('A'+i)))
	}
	raw, err := json.Marshal(map[string]any{"ranks": given, "opened": opened, "active_ms": 4000, "wall_ms": 5000, "idempotency_key": "key " + id})
	if err != nil {
		v.t.Fatal(err)
	}
	v.want("POST", "/api/tasks/"+id+"/ranking", string(raw), 201, `"accepted":true`)
}

func (v *visitor) figures() (f figures.Figures) {
	v.t.Helper()
	if err := json.Unmarshal([]byte(v.want("GET", "/api/admin/projects/1/figures", "", 200, `"agreement"`)), &f); err != nil {
		v.t.Fatal(err)
	}
	return f
}

func TestFiguresOfTheAPI(t *testing.T) {
	w := newWorld(t, reviews, overlap(2))
	boss, ada, grace := w.visitor(t), w.visitor(t), w.visitor(t)
	const path = "/api/admin/projects/1/figures"
	boss.want("GET", path, "", 401, `"code":"session"`)
	ada.signIn("ada")
	for _, p := range []string{path, "/api/admin/overview", "/api/admin/events"} {
		ada.want("GET", p, "", 403, `"code":"role"`)
	}
	boss.signIn("boss")
	grace.signIn("grace")
	boss.want("GET", "/api/admin/projects/99/figures", "", 404, `"code":"not_found"`)
	boss.want("GET", "/api/admin/overview?project=99", "", 404, `"code":"not_found"`)
	boss.want("GET", "/api/admin/events?project=99", "", 404, `"code":"not_found"`)
	boss.want("GET", "/api/admin/projects/x/figures", "", 422, "id")
	if f := boss.figures(); f.Rankings != 0 || f.Agreement.Strict != nil {
		t.Errorf("nothing ranked: %+v", f)
	}
	for range reviews {
		ada.rankNext(1, 1, 1, 1)
		grace.rankNext(1, 1, 1, 1)
	}
	f := boss.figures() // what was computed before is out of date
	if f.Rankings != 4 || f.TasksShared != 2 || f.Agreement.Pairs != 12 || f.Agreement.Strict == nil || f.Agreement.Strict.Value != 1 {
		t.Errorf("all tied twice: %+v", f)
	}
	if f.Alpha.Ordinal != nil || f.Tau != nil {
		t.Errorf("one value only: alpha %v and tau %v are not defined", f.Alpha.Ordinal, f.Tau)
	}
	if len(f.Labelers) != 2 || f.Labelers[0].Name != "ada" || f.Labelers[0].Ties != 12 || *f.Labelers[0].MedianActiveMS != 4000 {
		t.Errorf("labelers: %+v", f.Labelers)
	}
	boss.want("GET", "/api/admin/overview?project=1", "", 200, `"tasks":2,"done_tasks":2,"needed":4,"rankings":4,"extra":0,"skips":0,"live_leases":0,"people_today":2,"rankings_today":4`)
}

// An event comes at once and after each change, none without one, and the stream ends with the session.
func TestEvents(t *testing.T) {
	w := newWorld(t, reviews)
	boss, ada := w.visitor(t), w.visitor(t)
	boss.signIn("boss")
	ada.signIn("ada")
	r, err := http.NewRequest("GET", w.URL+"/api/admin/events?project=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := boss.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || kind != "text/event-stream" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d, %q", answer.StatusCode, kind)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(answer.Body)
		for in.Scan() {
			if line := in.Text(); line != "" {
				lines <- line
			}
		}
	}()
	event := func(contains string) {
		t.Helper()
		for {
			select {
			case line, open := <-lines:
				if !open {
					t.Fatalf("the stream has ended before %s", contains)
				}
				if strings.Contains(line, contains) {
					return
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("no event with %s", contains)
			}
		}
	}
	event("event: overview")
	event(`"rankings":0`)
	ada.rankNext(1, 2, 3, 4)
	event(`"rankings":1`)
	boss.want("DELETE", "/api/session", "", 204, "")
	for range lines { // until it ends
	}
}

// A stream that is open does not keep the server from ending.
func TestServeEndsWithAStreamOpen(t *testing.T) {
	w := newWorld(t, reviews[:1])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- labeling.NewServer(labeling.DefaultConfig(), w.db, quiet).Serve(ctx, l) }()
	boss := w.visitor(t)
	boss.base = "http://" + l.Addr().String()
	boss.signIn("boss")
	answer, err := boss.http.Get(boss.base + "/api/admin/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if line, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil || line != "event: overview\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	stop()
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second): // Serve itself gives up after ten
		t.Error("the server waits for the stream")
	}
}
