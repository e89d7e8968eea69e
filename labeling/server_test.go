package labeling_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rlhf/labeling"
	"rlhf/storage"
)

// A visitor talks to the API as a browser would.
type visitor struct {
	t    testing.TB
	base string
	http http.Client
}

func (w *world) visitor(t testing.TB) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, w.URL, http.Client{Jar: jar}}
}

// call sends a request and returns status, header and body.
func (v *visitor) call(method, path, body string, headers ...string) (int, http.Header, string) {
	v.t.Helper()
	r, err := http.NewRequest(method, v.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	checkAnswer(v.t, method, path, answer.StatusCode, answer.Header, string(raw))
	return answer.StatusCode, answer.Header, string(raw)
}

// want calls and fails the test unless status and content are as wanted.
func (v *visitor) want(method, path, body string, status int, contains string) string {
	v.t.Helper()
	got, _, text := v.call(method, path, body)
	if got != status || !strings.Contains(text, contains) {
		v.t.Errorf("%s %s %.60s: got %d %.200s, want %d %s", method, path, body, got, text, status, contains)
	}
	return text
}

func (v *visitor) signIn(name string) {
	v.t.Helper()
	v.want("POST", "/api/session", fmt.Sprintf(`{"name":%q,"password":%q}`, name, password), 200, `"name":"`+name+`"`)
}

// next returns the id of the visitor's next task.
func (v *visitor) next() string {
	v.t.Helper()
	var out struct{ Task *struct{ ID string } }
	if err := json.Unmarshal([]byte(v.want("POST", "/api/tasks/next", "{}", 200, `"task"`)), &out); err != nil || out.Task == nil {
		v.t.Fatalf("no task: %v", err)
	}
	return out.Task.ID
}

func TestSessions(t *testing.T) {
	w := newWorld(t, reviews[:1])
	v := w.visitor(t)
	for _, path := range []string{"/api/session", "/api/admin/overview", "/api/admin/projects/1/figures"} {
		v.want("GET", path, "", 401, `"code":"session"`)
	}
	v.want("POST", "/api/tasks/next", "{}", 401, `"code":"session"`)
	v.want("POST", "/api/session", `{"name":"ada","password":"wrong"}`, 401, "Name or password is wrong.")
	v.want("POST", "/api/session", `{"name":"nobody","password":"wrong"}`, 401, "Name or password is wrong.")
	status, header, _ := v.call("POST", "/api/session", fmt.Sprintf(`{"name":"ada","password":%q}`, password))
	if cookie := header.Get("Set-Cookie"); status != 200 || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("signing in: %d, cookie %q", status, cookie)
	}
	v.want("GET", "/api/session", "", 200, `"role":"labeler"`)
	v.want("GET", "/api/admin/overview", "", 403, `"code":"role"`)
	v.want("DELETE", "/api/session", "", 204, "")
	v.want("GET", "/api/session", "", 401, "")

	for range 5 {
		v.want("POST", "/api/session", `{"name":"grace","password":"wrong"}`, 401, "")
	}
	v.want("POST", "/api/session", fmt.Sprintf(`{"name":"grace","password":%q}`, password), 429, "Too many wrong passwords")
	v.signIn("ada") // others are not kept out
}

func TestOtherSitesAreRefused(t *testing.T) {
	v := newWorld(t, reviews[:1]).visitor(t)
	v.signIn("ada")
	if status, _, text := v.call("POST", "/api/tasks/next", "{}", "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("a request from another site: %d %s", status, text)
	}
}

func TestPagesForbidWhatTheyDoNotNeed(t *testing.T) {
	w := newWorld(t, reviews[:1])
	boss, v := w.visitor(t), w.visitor(t)
	boss.signIn("boss")
	for path, v := range map[string]*visitor{"/": v, "/label": boss, "/admin": boss} {
		status, header, text := v.call("GET", path, "")
		if csp := header.Get("Content-Security-Policy"); status != 200 || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") ||
			header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(text, "<!doctype html>") {
			t.Errorf("%s: %d, %v", path, status, header)
		}
	}
	v.want("GET", "/static/../labeling.go", "", 404, "")
	v.want("GET", "/nothing", "", 404, "no such page")
	v.want("GET", "/api/nothing", "", 404, `"code":"not_found"`)
}

func TestRankingsAreChecked(t *testing.T) {
	w := newWorld(t, reviews[:1])
	v := w.visitor(t)
	v.signIn("ada")
	id := v.next()
	path := "/api/tasks/" + id + "/ranking"
	send := func(ranks, more string) string { // with what every ranking must say
		return `{"ranks":` + ranks + `,"opened":["A","B","C","D"],"idempotency_key":"k"` + more + `}`
	}
	const tied = `{"A":1,"B":1,"C":1,"D":1}`
	for _, test := range []struct {
		name, body string
		status     int
		contains   string
	}{
		{"no ranks", `{"opened":[],"idempotency_key":"k"}`, 422, "expected required property ranks"},
		{"no key", `{"ranks":` + tied + `,"opened":["A","B","C","D"]}`, 422, "expected required property idempotency_key"},
		{"empty key", `{"ranks":` + tied + `,"opened":["A","B","C","D"],"idempotency_key":""}`, 422, `"field":"idempotency_key"`},
		{"nothing opened", `{"ranks":` + tied + `,"idempotency_key":"k"}`, 422, "expected required property opened"},
		{"one not opened", `{"ranks":` + tied + `,"opened":["A","C","D"],"idempotency_key":"k"}`, 422, `"code":"opened"`},
		{"another's opened", `{"ranks":` + tied + `,"opened":["A","B","C","D","E"],"idempotency_key":"k"}`, 422, `"code":"opened"`},
		{"missing slot", send(`{"A":1,"B":2,"C":3}`, ""), 422, `There is no response`},
		{"few", `{"ranks":{"A":1,"B":2,"C":3},"opened":["A","B","C"],"idempotency_key":"k"}`, 422, "3 ranks for 4 completions"},
		{"foreign slot", send(`{"A":1,"B":2,"C":3,"E":4}`, ""), 422, "lack completion D"},
		{"gap", send(`{"A":1,"B":1,"C":3,"D":3}`, ""), 422, "without a gap"},
		{"zero", send(`{"A":0,"B":1,"C":2,"D":3}`, ""), 422, "without a gap"},
		{"fraction", send(`{"A":1.5,"B":1,"C":2,"D":3}`, ""), 422, `"field":"ranks.A`},
		{"unknown field", send(tied, `,"rank":1`), 422, "rank: unexpected property"},
		{"unasked rating", send(tied, `,"ratings":{"A":{"overall":1},"B":{"overall":1},"C":{"overall":1},"D":{"overall":1}}`), 422, `"code":"answers"`},
		{"unasked confidence", send(tied, `,"confidence":3`), 422, `"code":"answers"`},
		{"confidence beyond", send(tied, `,"confidence":6`), 422, `"field":"confidence"`},
		{"unknown flag", send(tied, `,"flags":["boring"]`), 422, `"field":"flags[0]"`},
		{"flag twice", send(tied, `,"flags":["unsafe","unsafe"]`), 422, `"code":"answers"`},
		{"a revision of nothing", send(tied, `,"revision":1`), 409, `"code":"revision"`},
		{"more behind it", send(tied, "") + ` {}`, 400, "after top-level value"},
		{"not JSON", `ranks`, 400, "cannot be read"},
		{"negative time", send(tied, `,"active_ms":-1`), 422, "active_ms: expected number"},
		{"too large", `{"comment":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "too large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := *v
			u.t = t
			u.want("POST", path, test.body, test.status, test.contains)
		})
	}
	if n := len(w.rankings(t)); n != 0 {
		t.Errorf("%d rankings after refusals only", n)
	}
	v.want("POST", "/api/tasks/0123/ranking", send(tied, ""), 404, "not yours or does not exist")
	v.want("POST", "/api/tasks/0123/heartbeat", `{}`, 404, "")
	v.want("POST", "/api/tasks/"+id+"/heartbeat", `{}`, 200, "lease_expires_at")
	whole := send(`{"A":2,"B":1,"C":1,"D":3}`, `,"active_ms":10,"confidence":null`)
	v.want("POST", path, whole, 201, `"accepted":true,"extra":false,"revision":1,"feedback":null,"standing":{"done":1,"remaining":0,"today":1,"today_active_ms":10,"pace_ms":10,"training_left":0,"paused":null}`)
	v.want("POST", path, whole, 201, `"accepted":true`)
	v.want("POST", path, strings.Replace(whole, `"k"`, `"l"`, 1), 409, `"code":"revision"`)
	v.want("POST", "/api/tasks/next", "{}", 200, `"task":null`)
	if got := w.rankings(t); len(got) != 1 || len(got[0]) != 4 {
		t.Errorf("the database holds %v", got)
	}
}

// Nothing that a labeler receives names a model, and two labelers see orders of their own.
func TestBlindAndDrawn(t *testing.T) {
	var many []review
	for i := range 20 {
		many = append(many, review{fmt.Sprintf("prompt %d", i), []string{"one", "two", "three", "four", "five"}})
	}
	w := newWorld(t, many, overlap(2))
	orders := map[string][]string{}
	for _, name := range []string{"ada", "grace"} {
		v := w.visitor(t)
		v.signIn(name)
		for range many {
			text := v.want("POST", "/api/tasks/next", "{}", 200, `"slot":"A"`)
			var out struct {
				Task struct {
					ID          string
					Completions []struct{ Text string }
				}
			}
			if err := json.Unmarshal([]byte(text), &out); err != nil {
				t.Fatal(err)
			}
			order := ""
			for _, c := range out.Task.Completions {
				order += c.Text + " "
			}
			orders[name] = append(orders[name], order)
			v.want("POST", "/api/tasks/"+out.Task.ID+"/ranking", `{"ranks":{"A":1,"B":2,"C":3,"D":4,"E":5},"opened":["A","B","C","D","E"],"idempotency_key":"`+out.Task.ID+`"}`, 201, "")
		}
	}
	for _, name := range models {
		if strings.Contains(w.everythingSent(), name) {
			t.Errorf("%q was sent", name)
		}
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(orders["ada"]))); len(distinct) < 10 || slices.Equal(orders["ada"], orders["grace"]) {
		t.Errorf("%d distinct orders in 20 tasks; the same for both: %v", len(distinct), slices.Equal(orders["ada"], orders["grace"]))
	}
	boss := w.visitor(t)
	boss.signIn("boss")
	boss.want("GET", "/api/admin/overview", "", 200, `"needed":40,"rankings":40`)
	boss.want("GET", "/api/admin/projects/1/figures", "", 200, `"a":"ada","b":"grace"`)
}

func TestAgreementIsNullWhereUndefined(t *testing.T) {
	v := newWorld(t, reviews).visitor(t)
	v.signIn("boss")
	v.want("GET", "/api/admin/projects/1/figures", "", 200, `"agreement":{"strict":null,"ties_half":null,"pairs":0,"items":0}`)
}

// Simulated labelers rank everything through the API, and what they answer does not depend on who is faster.
func TestSimulatedLabelers(t *testing.T) {
	run := func() []map[string]int {
		w := newWorld(t, reviews, overlap(2))
		var all sync.WaitGroup
		for _, name := range []string{"ada", "grace"} {
			all.Go(func() {
				l := labeling.SimulatedLabeler{Name: name, Password: password, NoiseSD: .1, TieStep: .5, Seed: 3,
					Taste: func(_, completion string) float64 { return float64(len(completion)) / 10 }}
				if err := labeling.Simulate(context.Background(), w.URL, l, nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		return w.rankings(t)
	}
	first := run()
	if len(first) != 4 {
		t.Fatalf("%d rankings, want 2 of each of 2 tasks", len(first))
	}
	if longest := reviews[0].completions[0]; first[0][longest] != 1 {
		t.Errorf("the longest completion has rank %d, the taste is its length: %v", first[0][longest], first[0])
	}
	if second := run(); fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("two runs differ: %v, %v", first, second)
	}
}

func TestSimulatedRanks(t *testing.T) {
	taste := map[string]float64{"a": 0, "b": 1, "c": 1.1, "d": -3}
	l := labeling.SimulatedLabeler{Taste: func(_, c string) float64 { return taste[c] }, TieStep: .5}
	if got := l.Ranks("p", []string{"a", "b", "c", "d"}); !slices.Equal(got, []int{2, 1, 1, 3}) {
		t.Errorf("rounded to halves: %v", got)
	}
	l.TieStep = 0
	if got := l.Ranks("p", []string{"a", "b", "c", "d"}); !slices.Equal(got, []int{3, 2, 1, 4}) {
		t.Errorf("not rounded: %v", got)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	w := newWorld(t, reviews[:1])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- labeling.NewServer(labeling.DefaultConfig(), w.db, quiet).Serve(ctx, l) }()
	if err := labeling.NewClient("http://"+l.Addr().String()).SignIn(ctx, "ada", password); err != nil {
		t.Error(err)
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(15 * time.Second):
		t.Error("the server did not end")
	}
}

func TestPasswords(t *testing.T) {
	if !labeling.CheckPassword(hash, password) || labeling.CheckPassword(hash, password+" ") || labeling.CheckPassword("", "") || labeling.CheckPassword("$argon2id$v=19$m=1,t=0,p=0$$", "") {
		t.Error("a password was taken for another")
	}
	if other := labeling.HashPassword(password); other == hash || !strings.HasPrefix(other, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %s", other)
	}
}

func TestConfigValidate(t *testing.T) {
	for want, change := range map[string]func(*labeling.Config){
		`addr: must be host:port (got "8080")`:                                                               func(c *labeling.Config) { c.Addr = "8080" },
		"lease_minutes: must be from 1 to 1440 (got 0)":                                                      func(c *labeling.Config) { c.LeaseMinutes = 0 },
		"session_hours: must be from 1 to 8760 (got -1)":                                                     func(c *labeling.Config) { c.SessionHours = -1 },
		"overlap: must be from 1 to 1000 (got 0)":                                                            func(c *labeling.Config) { c.Overlap = 0 },
		"requests_per_second: must be from 0 to 1000000 (got -1)":                                            func(c *labeling.Config) { c.RequestsPerSecond = -1 },
		`public_url: must be http:// or https:// and a host, without a path (got "https://a.example/label")`: func(c *labeling.Config) { c.PublicURL = "https://a.example/label" },
		`public_url: must be http:// or https:// and a host, without a path (got "ftp://a.example")`:         func(c *labeling.Config) { c.PublicURL = "ftp://a.example" },
		`public_url: must be http:// or https:// and a host, without a path (got "https://me@a.example")`:    func(c *labeling.Config) { c.PublicURL = "https://me@a.example" },
		`trusted_proxies: must be addresses or networks such as 10.0.0.0/8 (got "10.0.0.0/33")`:              func(c *labeling.Config) { c.TrustedProxies = []string{"10.0.0.1", "10.0.0.0/33"} },
	} {
		c := labeling.DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func FuzzRanking(f *testing.F) {
	w := newWorld(f, reviews[:1])
	v := w.visitor(f)
	v.signIn("ada")
	path := w.URL + "/api/tasks/" + v.next() + "/ranking"
	f.Add([]byte(`{"ranks":{"A":1,"B":2,"C":3,"D":3},"opened":["A","B","C","D"],"idempotency_key":"k","confidence":null,"flags":[],"ratings":{},"revision":0}`))
	f.Add([]byte(`{"ranks":{"A":9223372036854775808}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		answer, err := v.http.Post(path, "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode >= 500 {
			t.Errorf("%q: %s", body, answer.Status)
		}
		if answer.StatusCode == 201 && len(w.rankings(t)) != 1 {
			t.Errorf("%q: accepted, but the database holds %v", body, w.rankings(t))
		}
	})
}

var _ labeling.Store = (*storage.DB)(nil)

// The description of the API names every address that is there.
func TestAPIIsDescribed(t *testing.T) {
	v := newWorld(t, reviews[:1]).visitor(t)
	var description struct {
		OpenAPI string                                `json:"openapi"`
		Paths   map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal([]byte(v.want("GET", "/api/openapi.json", "", 200, `"openapi"`)), &description); err != nil {
		t.Fatal(err)
	}
	if description.OpenAPI != "3.1.0" || description.Paths["/api/tasks/{id}/ranking"]["post"] == nil {
		t.Errorf("OpenAPI %q with %d paths", description.OpenAPI, len(description.Paths))
	}
}
