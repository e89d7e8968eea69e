package labeling_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"rlhf/labeling"
	"rlhf/storage"
)

// newServer returns the application with settings of one's own over a database with the admin boss and the labeler ada,
// whose passwords are password.
func newServer(t testing.TB, change func(*labeling.Config), log *slog.Logger) (*world, *labeling.Server) {
	t.Helper()
	ctx := context.Background()
	db, err := storage.Open(ctx, filepath.Join(t.TempDir(), "labels.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for _, l := range []storage.Labeler{{Name: "boss", Role: storage.RoleAdmin}, {Name: "ada", Role: storage.RoleLabeler}} {
		if _, err := db.CreateLabeler(ctx, l.Name, l.Role, hash); err != nil {
			t.Fatal(err)
		}
	}
	c := labeling.DefaultConfig()
	change(&c)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	server := labeling.NewServer(c, db, log)
	return &world{site: newSite(t, server.Handler()), db: db}, server
}

func unlimited(c *labeling.Config) { c.RequestsPerSecond = 0 }

// into calls and decodes the answer.
func (v *visitor) into(out any, method, path, body string, status int) {
	v.t.Helper()
	if err := json.Unmarshal([]byte(v.want(method, path, body, status, "")), out); err != nil {
		v.t.Fatal(err)
	}
}

func TestPeople(t *testing.T) {
	w, _ := newServer(t, unlimited, quiet)
	boss := w.visitor(t)
	boss.signIn("boss")
	for _, test := range []struct {
		body     string
		status   int
		contains string
	}{
		{`{"name":"ada","role":"labeler"}`, 409, `"code":"exists"`},
		{`{"name":"labeler-1","role":"labeler"}`, 409, `"code":"exists"`}, // boss's pseudonym
		{`{"name":" eve","role":"labeler"}`, 422, "begins or ends with a space"},
		{`{"name":"e\u0007ve","role":"labeler"}`, 422, "cannot be seen"},
		{`{"name":"","role":"labeler"}`, 422, `"field":"name"`},
		{`{"name":"eve","role":"chief"}`, 422, `"field":"role"`},
		{`{"name":"eve","role":"labeler","password":"1234567"}`, 422, "The password has 7 bytes, expected 8 to 1000."},
		{`{"name":"eve","role":"labeler","password":"` + strings.Repeat("é", 501) + `"}`, 422, "1002 bytes"},
		{`{"name":"Jose\u0301","role":"labeler","password":"` + password + `"}`, 201, `"name":"José"`}, // letters apart, kept as one
	} {
		boss.want("POST", "/api/admin/people", test.body, test.status, test.contains)
	}
	jose := w.visitor(t)
	jose.want("POST", "/api/session", fmt.Sprintf(`{"name":"Jose\u0301","password":%q}`, password), 200, "José")

	var people struct{ People []map[string]any }
	boss.into(&people, "GET", "/api/admin/people", "", 200)
	if len(people.People) != 3 {
		t.Fatalf("%d people", len(people.People))
	}
	got := people.People[2]
	if _, err := time.Parse(time.RFC3339, got["created_at"].(string)); err != nil {
		t.Error(err)
	}
	delete(got, "created_at")
	if want := map[string]any{"id": 3., "name": "José", "role": "labeler", "disabled": false, "pseudonym": "labeler-3", "last_seen": nil, "rankings": 0., "paused": []any{}, "forgotten": false}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	jose.want("GET", "/api/session", "", 200, "José")
	boss.into(&people, "GET", "/api/admin/people", "", 200)
	if people.People[2]["last_seen"] == nil {
		t.Error("somebody who was there was never seen")
	}

	// a change ends sessions; the same again changes nothing
	boss.want("PATCH", "/api/admin/people/3", `{"disabled":false}`, 200, `"disabled":false`)
	jose.want("GET", "/api/session", "", 200, "")
	boss.want("PATCH", "/api/admin/people/3", `{"role":"reviewer"}`, 200, `"role":"reviewer"`)
	jose.want("GET", "/api/session", "", 401, "")
	jose.want("POST", "/api/session", fmt.Sprintf(`{"name":"José","password":%q}`, password), 200, `"role":"reviewer"`)
	boss.want("POST", "/api/admin/people/3/sign-out", "", 204, "")
	jose.want("GET", "/api/session", "", 401, "")
	boss.want("PATCH", "/api/admin/people/3", `{"password":"another battery"}`, 200, "")
	jose.want("POST", "/api/session", fmt.Sprintf(`{"name":"José","password":%q}`, password), 401, "")
	jose.want("POST", "/api/session", `{"name":"José","password":"another battery"}`, 200, "")
	boss.want("PATCH", "/api/admin/people/3", `{"disabled":true}`, 200, `"disabled":true`)
	jose.want("GET", "/api/session", "", 401, "")
	jose.want("POST", "/api/session", `{"name":"José","password":"another battery"}`, 401, "")
	boss.want("POST", "/api/admin/people/3/link", "", 409, `"code":"disabled"`)
	boss.want("PATCH", "/api/admin/people/1", `{"role":"labeler"}`, 409, `"code":"last_admin"`)
	boss.want("POST", "/api/admin/people/1/forget", "", 409, `"code":"last_admin"`)
	boss.want("PATCH", "/api/admin/people/99", `{"role":"labeler"}`, 404, "")

	// forgotten: gone from everywhere, and their log entries under the pseudonym
	boss.want("POST", "/api/admin/people/3/forget", "", 200, `{"pseudonym":"labeler-3"}`)
	boss.want("POST", "/api/admin/people/3/forget", "", 200, `{"pseudonym":"labeler-3"}`)
	boss.want("PATCH", "/api/admin/people/3", `{"disabled":false}`, 409, `"code":"disabled"`)
	if text := boss.want("GET", "/api/admin/people", "", 200, `"forgotten":true`) + boss.want("GET", "/api/admin/audit", "", 200, "person.forget"); strings.Contains(text, "Jos") {
		t.Errorf("the name is still there: %s", text)
	}
}

func TestLinks(t *testing.T) {
	w, _ := newServer(t, unlimited, quiet)
	boss, ada, other := w.visitor(t), w.visitor(t), w.visitor(t)
	boss.signIn("boss")
	var link struct {
		URL       string
		ExpiresAt time.Time `json:"expires_at"`
	}
	boss.into(&link, "POST", "/api/admin/people/2/link", "", 201)
	m := regexp.MustCompile(`^` + regexp.QuoteMeta(w.URL) + `/enter#(rlhf_[A-Z2-7]{26})$`).FindStringSubmatch(link.URL)
	if m == nil || link.ExpiresAt.Before(time.Now().Add(23*time.Hour)) {
		t.Fatalf("the link is %+v", link)
	}
	body := fmt.Sprintf(`{"token":%q}`, m[1])
	ada.want("POST", "/api/session/link", `{"token":"rlhf_AAAAAAAAAAAAAAAAAAAAAAAAAA"}`, 401, `"code":"link"`)
	ada.want("POST", "/api/session/link", body, 200, `{"labeler":{"name":"ada","role":"labeler"}}`)
	ada.want("GET", "/api/session", "", 200, `"ada"`)
	other.want("POST", "/api/session/link", body, 401, "has been used or has expired")
	// many at once: one gets in
	boss.into(&link, "POST", "/api/admin/people/2/link", "", 201)
	_, token, _ := strings.Cut(link.URL, "#")
	var in, out int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		v := w.visitor(t)
		all.Go(func() {
			status, _, _ := v.call("POST", "/api/session/link", fmt.Sprintf(`{"token":%q}`, token))
			mu.Lock()
			defer mu.Unlock()
			if status == 200 {
				in++
			} else if status == 401 {
				out++
			}
		})
	}
	all.Wait()
	if in != 1 || out != 7 {
		t.Errorf("of 8 who use a link at once %d get in and %d do not", in, out)
	}
}

func TestAPITokens(t *testing.T) {
	w, _ := newServer(t, unlimited, quiet)
	boss, program := w.visitor(t), w.visitor(t)
	boss.signIn("boss")
	var made struct {
		Token string
		ID    int64
	}
	boss.into(&made, "POST", "/api/admin/people/2/tokens", `{"name":"laptop","days":30}`, 201)
	for header, want := range map[string]int{"Bearer " + made.Token: 200, "bearer  " + made.Token: 200, "Bearer": 401, "Bearer ": 401, "Basic " + made.Token: 401, "Bearer x" + made.Token: 401} {
		if status, _, text := program.call("GET", "/api/session", "", "Authorization", header); status != want {
			t.Errorf("%q: %d %s, want %d", header, status, text, want)
		}
	}
	// a token goes before a session, and tells whose it is
	if _, _, text := boss.call("GET", "/api/session", "", "Authorization", "Bearer "+made.Token); !strings.Contains(text, `"ada"`) {
		t.Errorf("with a session and a token: %s", text)
	}
	boss.want("POST", "/api/admin/people/2/tokens", `{"name":"","days":30}`, 422, `"field":"name"`)
	boss.want("POST", "/api/admin/people/2/tokens", `{"name":"x","days":0}`, 422, `"field":"days"`)
	boss.want("POST", "/api/admin/people/9/tokens", `{"name":"x","days":1}`, 404, "")
	if text := boss.want("GET", "/api/admin/people/2/tokens", "", 200, `"revoked_at":null`); strings.Contains(text, made.Token) || !strings.Contains(text, `"name":"laptop"`) || strings.Contains(text, `"used_at":null`) {
		t.Errorf("tokens %s", text)
	}
	boss.want("DELETE", fmt.Sprintf("/api/admin/tokens/%d", made.ID), "", 204, "")
	if status, _, text := program.call("GET", "/api/session", "", "Authorization", "Bearer "+made.Token); status != 401 || !strings.Contains(text, `"code":"token"`) {
		t.Errorf("a revoked token: %d %s", status, text)
	}
	var log struct {
		Entries []struct{ Actor, Action, Object string }
		Next    int64
	}
	boss.into(&log, "GET", "/api/admin/audit?limit=2", "", 200)
	if fmt.Sprint(log.Entries) != "[{boss token.revoke token 1} {boss token.create token 1}]" || log.Next == 0 {
		t.Errorf("the log says %+v", log)
	}
	boss.into(&log, "GET", fmt.Sprintf("/api/admin/audit?before=%d", log.Next), "", 200)
	if n := len(log.Entries); n != 2 || log.Entries[0].Actor != "" || log.Next != 0 {
		t.Errorf("the log goes on with %+v", log)
	}
}

// Passwords and tokens are in no line of the log, whatever happens to them.
func TestSecretsAreNotLogged(t *testing.T) {
	var mu sync.Mutex
	var lines strings.Builder
	log := slog.New(slog.NewJSONHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return lines.Write(p)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	w, _ := newServer(t, unlimited, log)
	boss, v := w.visitor(t), w.visitor(t)
	boss.signIn("boss")
	secrets := []string{password, "new-password-1", "wrong-password-1", "cut-password-1", "short-1", "hidden-name"}
	boss.want("POST", "/api/admin/people", `{"name":"hidden-name","role":"labeler","password":"new-password-1"}`, 201, "")
	boss.want("PATCH", "/api/admin/people/3", `{"password":"new-password-1"}`, 200, "")
	boss.want("POST", "/api/admin/people", `{"name":"x","role":"labeler","password":"short-1"}`, 422, "")
	boss.want("POST", "/api/admin/people", `{"name":"x","role":"chief","password":"short-1"}`, 422, "")
	v.want("POST", "/api/session", `{"name":"hidden-name","password":"wrong-password-1"}`, 401, "")
	v.want("POST", "/api/session", `{"name":"hidden-name","password":"cut-password-1`, 400, "")
	v.want("POST", "/api/session", `{"name":"hidden-name","password":["cut-password-1"]}`, 422, "")
	var link struct{ URL string }
	boss.into(&link, "POST", "/api/admin/people/2/link", "", 201)
	_, token, _ := strings.Cut(link.URL, "#")
	v.want("POST", "/api/session/link", fmt.Sprintf(`{"token":%q}`, token), 200, "")
	v.want("POST", "/api/session/link", fmt.Sprintf(`{"token":%q}`, token), 401, "")
	var made struct{ Token string }
	boss.into(&made, "POST", "/api/admin/people/2/tokens", `{"name":"laptop","days":30}`, 201)
	v.call("GET", "/api/session", "", "Authorization", "Bearer "+made.Token)
	w.db.Close() // what now fails is logged
	if status, _, text := v.call("POST", "/api/session", fmt.Sprintf(`{"name":"hidden-name","password":%q}`, password)); status != 500 || !strings.Contains(text, "it has been logged") || strings.Contains(text, "sql") {
		t.Errorf("with the database gone: %d %s", status, text)
	}
	boss.call("GET", "/api/session", "", "Authorization", "Bearer "+made.Token)
	secrets = append(secrets, v.cookies()...)
	secrets = append(secrets, boss.cookies()...)
	secrets = append(secrets, token, made.Token)
	if len(secrets) < 10 || !strings.Contains(lines.String(), "database is closed") || !strings.Contains(lines.String(), "/api/session/link") {
		t.Fatalf("%d secrets; the log is\n%s", len(secrets), lines.String())
	}
	for _, s := range secrets {
		if strings.Contains(lines.String(), s) {
			t.Errorf("the log holds %q:\n%s", s, lines.String())
		}
	}
	for _, s := range []string{"new-password-1", "wrong-password-1", "cut-password-1", "short-1"} {
		if strings.Contains(w.everythingSent(), s) {
			t.Errorf("%q was sent back", s)
		}
	}
}

// writer is a function as an io.Writer.
type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

var _ io.Writer = writer(nil)

// cookies returns the values of a visitor's cookies.
func (v *visitor) cookies() (values []string) {
	r, _ := http.NewRequest("GET", v.base, nil) // an address that has been used
	for _, c := range v.http.Jar.Cookies(r.URL) {
		values = append(values, c.Value)
	}
	return values
}
