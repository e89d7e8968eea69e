package labeling_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rlhf/labeling"
	"rlhf/storage"
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// behindProxy believes X-Forwarded-For of this machine.
func behindProxy(c *labeling.Config) {
	c.TrustedProxies, c.RequestsPerSecond = []string{"127.0.0.0/8"}, 0
}

// attempt signs in from an address and returns the status.
func (v *visitor) attempt(name, password, from string) int {
	v.t.Helper()
	status, _, _ := v.call("POST", "/api/session", encode(map[string]string{"name": name, "password": password}), "X-Forwarded-For", from)
	return status
}

// Whether a name exists, may sign in or has a password cannot be told by the time it takes: each answer costs one hash of the
// same parameters, and one that is throttled costs none.
func TestSignInCostsTheSame(t *testing.T) {
	w, server := newServer(t, behindProxy, quiet)
	var n, most atomic.Int64
	server.CountHashes(&n, &most)
	ctx, yes := context.Background(), true
	for i, l := range []storage.Labeler{{Name: "disabled", PasswordHash: "the-right-one"}, {Name: "without"}, {Name: "zoe", PasswordHash: "the-right-one"}, {Name: "quitter", PasswordHash: "the-right-one"}} {
		l, err := w.db.CreateLabeler(ctx, l.Name, storage.RoleLabeler, l.PasswordHash)
		if err == nil && i == 0 {
			_, err = w.db.ChangePerson(ctx, l.ID, storage.PersonChange{Disabled: &yes})
		}
		if err == nil && i == 3 {
			_, err = w.db.Forget(ctx, l.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	v := w.visitor(t)
	for i, test := range []struct {
		name, password string
		status         int
	}{
		{"zoe", "the-right-one", 200}, {"zoe", "a-wrong-one", 401}, {"nobody", "the-right-one", 401}, {"disabled", "the-right-one", 401}, {"disabled", "a-wrong-one", 401},
		{"without", "", 401}, {"without", "the-right-one", 401}, {"quitter", "the-right-one", 401}, {"labeler-6", "the-right-one", 401}, {"", "", 401},
	} {
		n.Store(0)
		if status := v.attempt(test.name, test.password, fmt.Sprintf("10.0.%d.1", i)); status != test.status || n.Load() != 1 {
			t.Errorf("%q with %q: %d after %d hashes, want %d after 1", test.name, test.password, status, n.Load(), test.status)
		}
	}
	for _, name := range []string{"zoe", "nobody"} {
		for range 5 {
			v.attempt(name, "a-wrong-one", "10.1.0.1")
		}
		n.Store(0)
		if status := v.attempt(name, "the-right-one", "10.1.0.1"); status != 429 || n.Load() != 0 {
			t.Errorf("%s, throttled: %d after %d hashes", name, status, n.Load())
		}
	}
}

// Each hash takes 19 MiB: however many sign in, only a few are computed at once.
func TestHashesAreFewAtOnce(t *testing.T) {
	w, server := newServer(t, behindProxy, quiet)
	var n, most atomic.Int64
	server.CountHashes(&n, &most)
	var all sync.WaitGroup
	for i := range 40 {
		v := w.visitor(t)
		all.Go(func() { v.attempt("ada", "wrong", fmt.Sprintf("10.0.%d.1", i)) })
	}
	all.Wait()
	if n.Load() != 40 || most.Load() > 4 || most.Load() < 2 {
		t.Errorf("%d hashes, up to %d at once, want 40 and 2 to 4", n.Load(), most.Load())
	}
}

func TestWrongPasswordsAreThrottled(t *testing.T) {
	c := &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	world := func(change func(*labeling.Config)) (*visitor, *atomic.Int64) {
		w, server := newServer(t, change, quiet)
		server.SetNow(c.now)
		var n, most atomic.Int64
		server.CountHashes(&n, &most)
		return w.visitor(t), &n
	}
	t.Run("a name from an address", func(t *testing.T) {
		v, _ := world(behindProxy)
		for range 5 {
			v.attempt("ada", "wrong", "10.0.0.1")
		}
		status, header, text := v.call("POST", "/api/session", encode(map[string]string{"name": "ada", "password": hash}), "X-Forwarded-For", "10.0.0.1")
		if status != 429 || header.Get("Retry-After") != "12" || !strings.Contains(text, `"code":"throttled"`) {
			t.Errorf("the sixth: %d %s, Retry-After %q", status, text, header.Get("Retry-After"))
		}
		if status := v.attempt("ada", hash, "10.0.0.2"); status != 200 {
			t.Errorf("from elsewhere ada is kept out: %d", status)
		}
		if status := v.attempt("boss", hash, "10.0.0.1"); status != 200 {
			t.Errorf("another from the same address is kept out: %d", status)
		}
		c.move(12 * time.Second)
		if a, b := v.attempt("ada", "wrong", "10.0.0.1"), v.attempt("ada", "wrong", "10.0.0.1"); a != 401 || b != 429 {
			t.Errorf("after 12 s: %d and %d, want 401 and 429", a, b)
		}
		c.move(12 * time.Second)
		if status := v.attempt("ada", hash, "10.0.0.1"); status != 200 {
			t.Errorf("the right one later: %d", status)
		}
		for range 5 { // all is forgiven
			if status := v.attempt("ada", "wrong", "10.0.0.1"); status != 401 {
				t.Errorf("after it: %d", status)
			}
		}
	})
	t.Run("many at once", func(t *testing.T) {
		v, n := world(behindProxy)
		var wrong atomic.Int64
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				if v.attempt("ada", "wrong", "10.0.0.1") == 401 {
					wrong.Add(1)
				}
			})
		}
		all.Wait()
		if wrong.Load() != 5 || n.Load() != 5 {
			t.Errorf("%d of 40 were tried, want 5", wrong.Load())
		}
	})
	t.Run("many names from an address", func(t *testing.T) {
		v, n := world(behindProxy)
		for i := range 60 {
			v.attempt(fmt.Sprintf("name %d", i), "wrong", fmt.Sprintf("2001:db8:1:2::%x", i)) // one network
		}
		if n.Load() != 50 {
			t.Errorf("%d of 60 were tried, want 50", n.Load())
		}
		if status := v.attempt("ada", hash, "2001:db8:1:3::1"); status != 200 {
			t.Errorf("the network beside it: %d", status)
		}
	})
	t.Run("a name from many addresses", func(t *testing.T) {
		v, n := world(behindProxy)
		for i := range 60 {
			v.attempt("ada", "wrong", fmt.Sprintf("10.0.%d.1", i))
		}
		if n.Load() != 50 {
			t.Errorf("%d of 60 were tried, want 50", n.Load())
		}
	})
	t.Run("links", func(t *testing.T) {
		v, _ := world(unlimited)
		for i := range 51 {
			status, _, text := v.call("POST", "/api/session/link", `{"token":"rlhf_guess"}`)
			if want := map[bool]int{true: 401, false: 429}[i < 50]; status != want {
				t.Errorf("guess %d: %d %s", i, status, text)
			}
		}
	})
	t.Run("an address that is only claimed", func(t *testing.T) {
		v, n := world(unlimited)
		for i := range 10 {
			v.attempt("ada", "wrong", fmt.Sprintf("10.0.%d.1", i))
		}
		if n.Load() != 5 {
			t.Errorf("%d of 10 were tried: somebody who is no proxy was believed", n.Load())
		}
	})
}

func TestRequestsAreLimited(t *testing.T) {
	c := &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	w, server := newServer(t, func(c *labeling.Config) { c.RequestsPerSecond = 5 }, quiet)
	server.SetNow(c.now)
	ada, boss := w.visitor(t), w.visitor(t)
	ada.signIn("ada")
	boss.signIn("boss")
	for range 10 {
		ada.want("GET", "/api/session", "", 200, "")
	}
	status, header, text := ada.call("GET", "/api/session", "")
	if status != 429 || header.Get("Retry-After") != "1" || !strings.Contains(text, `"code":"rate"`) {
		t.Errorf("the eleventh: %d %s, Retry-After %q", status, text, header.Get("Retry-After"))
	}
	boss.want("GET", "/api/session", "", 200, "")
	boss.want("GET", "/api/session", "", 200, "")
	c.move(200 * time.Millisecond)
	ada.want("GET", "/api/session", "", 200, "")
	ada.want("GET", "/api/session", "", 429, "")
	c.move(time.Hour)
	for range 10 { // no more than that are saved up
		ada.want("GET", "/api/session", "", 200, "")
	}
	ada.want("GET", "/api/session", "", 429, "")
}

func TestCookies(t *testing.T) {
	body := fmt.Sprintf(`{"name":"boss","password":%q}`, password)
	for public, want := range map[string]string{
		"":                           "rlhf_session=; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax",
		"http://label.example.org":   "rlhf_session=; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax",
		"https://label.example.org":  "__Host-rlhf_session=; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax",
		"https://label.example:8443": "__Host-rlhf_session=; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax",
	} {
		w, _ := newServer(t, func(c *labeling.Config) { c.PublicURL = public }, quiet)
		v := w.visitor(t)
		_, header, _ := v.call("POST", "/api/session", body)
		cookie := header.Get("Set-Cookie")
		from, to := strings.IndexByte(cookie, '=')+1, strings.IndexByte(cookie, ';')
		if len(header.Values("Set-Cookie")) != 1 || to < from || len(cookie[from:to]) != 26 || cookie[:from]+cookie[to:] != want {
			t.Errorf("%q: cookie %q, want %q", public, cookie, want)
		}
		if https := strings.HasPrefix(public, "https"); https != (header.Get("Strict-Transport-Security") != "") {
			t.Errorf("%q: Strict-Transport-Security %q", public, header.Get("Strict-Transport-Security"))
		}
		if public == "" {
			continue
		}
		// the proxy in front may call the server by another name
		session := cookie[:to]
		status, _, text := v.call("POST", "/api/admin/people/2/link", "", "Cookie", session, "Origin", public)
		if status != 201 || !strings.Contains(text, `"url":"`+public+`/enter#rlhf_`) {
			t.Errorf("%q: a link by a page of its own: %d %s", public, status, text)
		}
		if status, _, _ := v.call("POST", "/api/admin/people/2/link", "", "Cookie", session, "Origin", public+".evil.example"); status != 403 {
			t.Errorf("%q: a page of another site: %d", public, status)
		}
		if status, _, _ := v.call("DELETE", "/api/session", "", "Cookie", session); status != 204 {
			t.Errorf("%q: signing out: %d", public, status)
		}
		if status, _, _ := v.call("GET", "/api/session", "", "Cookie", session); status != 401 {
			t.Errorf("%q: after signing out: %d", public, status)
		}
	}
}

// A session that somebody else chose for a browser never becomes anybody's, and one that was there before ends.
func TestSessionsAreNotFixed(t *testing.T) {
	w, _ := newServer(t, unlimited, quiet)
	base, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	const chosen = "CHOSENBYSOMEBODYELSE234567"
	jar.SetCookies(base, []*http.Cookie{{Name: "rlhf_session", Value: chosen, Path: "/"}})
	victim, attacker := &visitor{t, w.URL, http.Client{Jar: jar}}, w.visitor(t)
	as := func(token string) int {
		status, _, _ := attacker.call("GET", "/api/session", "", "Cookie", "rlhf_session="+token)
		return status
	}
	victim.want("GET", "/api/session", "", 401, "")
	victim.signIn("ada")
	first := victim.cookies()[0]
	if first == chosen || as(chosen) != 401 || as(first) != 200 {
		t.Errorf("the session chosen by another: %d, the new one: %d", as(chosen), as(first))
	}
	// an attacker's own session, pushed into the browser, ends when its owner signs in
	attacker.signIn("boss")
	pushed := attacker.cookies()[0]
	attacker.http.Jar, _ = cookiejar.New(nil)
	jar.SetCookies(base, []*http.Cookie{{Name: "rlhf_session", Value: pushed, Path: "/"}})
	victim.signIn("ada")
	if second := victim.cookies()[0]; second == first || second == pushed || as(pushed) != 401 || as(second) != 200 {
		t.Errorf("the session that was pushed: %d, the new one: %d", as(pushed), as(second))
	}
}

// Whatever is asked for, the answer forbids what no page needs.
func TestEveryAnswerForbids(t *testing.T) {
	w, _ := newServer(t, unlimited, quiet)
	v := w.visitor(t)
	v.signIn("boss")
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; "
	for _, request := range [][]string{{"GET", "/"}, {"GET", "/label"}, {"GET", "/admin"}, {"GET", "/nothing"}, {"GET", "/static/nothing"}, {"GET", "/api/openapi.json"}, {"GET", "/api/nothing"},
		{"GET", "/api/session"}, {"POST", "/api/session"}, {"POST", "/api/admin/people", "Sec-Fetch-Site", "cross-site"}, {"PUT", "/api/session"}} {
		_, h, _ := v.call(request[0], request[1], "", request[2:]...)
		for name, want := range map[string]string{"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "same-origin", "X-Frame-Options": "DENY"} {
			if got := h.Get(name); got != want {
				t.Errorf("%v: %s is %q, want %q", request, name, got, want)
			}
		}
		csp := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, policy) || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "base-uri 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") || strings.Contains(csp, "*") {
			t.Errorf("%v: %s", request, csp)
		}
		if p := h.Get("Permissions-Policy"); !strings.Contains(p, "camera=()") || !strings.Contains(p, "microphone=()") {
			t.Errorf("%v: %s", request, p)
		}
		if h.Get("Access-Control-Allow-Origin") != "" || strings.HasPrefix(request[1], "/api/") && h.Get("Cache-Control") != "no-store" && request[1] != "/api/openapi.json" {
			t.Errorf("%v: %v", request, h)
		}
	}
}

func FuzzSignIn(f *testing.F) {
	w, server := newServer(f, behindProxy, quiet)
	var n, most atomic.Int64
	server.CountHashes(&n, &most)
	v := w.visitor(f)
	f.Add([]byte(`{"name":"ada","password":"x"}`))
	f.Add([]byte(`{"name":"ada","password":"\ud800"}`))
	f.Add([]byte(`{"name":"` + "\xff" + `","password":null}`))
	f.Add([]byte(`{"token":"rlhf_"}`))
	i := 0
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/api/session", "/api/session/link"} {
			i++
			r, err := http.NewRequest("POST", w.URL+path, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.1", i/256%256, i%256)) // not to be throttled
			answer, err := v.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode < 400 || answer.StatusCode >= 500 {
				t.Errorf("%s with %q: %s", path, body, answer.Status)
			}
		}
	})
}
