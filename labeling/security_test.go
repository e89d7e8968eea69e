package labeling_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rlhf/labeling"
	"rlhf/storage"
)

// tokens returns an API token for each role, of new people.
func (w *world) tokens(t testing.TB) map[string]string {
	t.Helper()
	ctx, out := context.Background(), map[string]string{}
	for _, role := range []string{storage.RoleLabeler, storage.RoleReviewer, storage.RoleAdmin} {
		l, err := w.db.CreateLabeler(ctx, "token "+role, role, "")
		if err != nil {
			t.Fatal(err)
		}
		secret, hash := labeling.NewSecret()
		if _, err := w.db.CreateToken(ctx, l.ID, "test", hash, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		out[role] = secret
	}
	return out
}

// refusedWith decodes the API's errors and fails the test for one that does not say what is wrong.
func refusedWith(t testing.TB, what, text string) (code, message, field string) {
	t.Helper()
	var out struct {
		Error struct{ Code, Message, Field string }
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil || out.Error.Code == "" || len(out.Error.Message) < 8 || len(out.Error.Message) > 500 {
		t.Errorf("%s: %.300q does not say what is wrong (%v)", what, text, err)
	}
	return out.Error.Code, out.Error.Message, out.Error.Field
}

// Every operation but the two ways in asks who one is, before anything else.
func TestEveryOperationAsksWho(t *testing.T) {
	w := newWorld(t, reviews[:1])
	v := w.visitor(t)
	open := map[string]bool{"sign-in": true, "enter": true}
	for _, o := range described().operations {
		if o.secured == open[o.id] {
			t.Errorf("%s (%s): asks who one is: %v", o, o.id, o.secured)
		}
		if !o.secured {
			continue
		}
		path, body := o.request("1", "x", true)
		for want, headers := range map[string][]string{
			"session": {"Cookie", "rlhf_session=AAAAAAAAAAAAAAAAAAAAAAAAAA"},
			"token":   {"Authorization", "Bearer rlhf_AAAAAAAAAAAAAAAAAAAAAAAAAA"},
		} {
			for _, body := range []string{body, "{"} {
				status, text := v.send(o, path, body, "", headers...)
				if code, _, _ := refusedWith(t, o.String(), text); status != 401 || code != want {
					t.Errorf("%s by nobody: %d %s", o, status, text)
				}
			}
		}
	}
}

// An admin's operations are refused to all others and a reviewer's to labelers, whatever the id and the body.
func TestEveryOperationAsksForTheRole(t *testing.T) {
	w := newWorld(t, reviews[:1])
	v, tokens := w.visitor(t), w.tokens(t)
	for _, o := range described().operations {
		least := storage.RoleLabeler
		switch {
		case strings.HasPrefix(o.path, "/api/admin/"):
			least = storage.RoleAdmin
		case strings.HasPrefix(o.path, "/api/review/"):
			least = storage.RoleReviewer
		}
		roles := []string{storage.RoleLabeler, storage.RoleReviewer, storage.RoleAdmin}
		for i, role := range roles {
			if !o.secured || strings.Contains(o.path, "/events") && i >= slices.Index(roles, least) { // a stream does not end
				continue
			}
			path, body := o.request("999999", "x", true)
			status, text := v.send(o, path, body, tokens[role])
			may := i >= slices.Index(roles, least)
			if may == (status == 403) || status == 401 || status >= 500 {
				t.Errorf("%s by a %s: %d %.200s", o, role, status, text)
			}
			if code, _, _ := map[bool]func() (string, string, string){true: func() (string, string, string) { return "role", "", "" },
				false: func() (string, string, string) { return refusedWith(t, o.String(), text) }}[may](); code != "role" {
				t.Errorf("%s by a %s: refused with %q", o, role, code)
			}
			if !may { // the role comes before the body
				if status, text := v.send(o, path, "{", tokens[role]); status != 403 {
					t.Errorf("%s by a %s with a bad body: %d %.200s", o, role, status, text)
				}
			}
		}
	}
}

// Whatever changes something is refused if another site had the browser send it.
func TestEveryOperationRefusesOtherSites(t *testing.T) {
	w := newWorld(t, reviews[:1])
	v, boss := w.visitor(t), w.visitor(t)
	boss.signIn("boss")
	for _, o := range described().operations {
		if o.method == http.MethodGet {
			continue
		}
		path, body := o.request("1", "x", true)
		for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			for _, v := range []*visitor{v, boss} {
				status, text := v.send(o, path, body, "", headers...)
				if code, _, _ := refusedWith(t, o.String(), text); status != 403 || code != "origin" {
					t.Errorf("%s with %v: %d %s", o, headers, status, text)
				}
			}
		}
	}
	boss.want("GET", "/api/session", "", 200, `"role":"admin"`) // nothing has happened
}

// Every body is read strictly, and what is wrong with it is said.
func TestEveryBodyIsChecked(t *testing.T) {
	w := newWorld(t, reviews[:1])
	v, token := w.visitor(t), w.tokens(t)[storage.RoleAdmin]
	for _, o := range described().operations {
		path, body := o.request("1", "x", true)
		try := func(what, body string, contains string, statuses ...int) {
			t.Helper()
			status, text := v.send(o, path, body, token)
			_, message, field := refusedWith(t, o.String()+" "+what, text)
			if !slices.Contains(statuses, status) || !strings.Contains(message+" "+field, contains) {
				t.Errorf("%s with %s: %d %.300s, want %v with %q", o, what, status, text, statuses, contains)
			}
		}
		if o.media != "" && o.body == nil { // a file
			try("nothing", "", "", 400, 422)
			try("bytes", "\xff\xfe\x00\n", "", 400, 422)
			try("too much", strings.Repeat("x", 64<<20+1), "too large", 413)
		}
		if o.body == nil {
			continue
		}
		for what, bad := range map[string]string{"nothing": "", "a cut body": body[:len(body)-1], "a list": "[]", "a text": `"x"`, "null": "null", "two objects": body + body, "bytes": "\xff\xfe\x00"} {
			try(what, bad, "", 400, 422)
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(body), &fields); err != nil {
			t.Fatal(err)
		}
		with := func(key string, value any) string {
			changed := maps.Clone(fields)
			changed[key] = value
			return encode(changed)
		}
		if free, ok := o.body["additionalProperties"]; ok && free == false {
			try("an unknown field", with("no_such_field", 1), "no_such_field", 422)
		} else {
			t.Errorf("%s takes unknown fields", o)
		}
		try("too much", with("no_such_field", strings.Repeat("x", 2<<20)), "too large", 413)
		required, _ := o.body["required"].([]any)
		for _, key := range required {
			changed := maps.Clone(fields)
			delete(changed, key.(string))
			try("no "+key.(string), encode(changed), key.(string), 422)
		}
		properties, _ := o.body["properties"].(map[string]any)
		for key, p := range properties {
			if k := kind(described().resolve(p.(map[string]any))); k == "object" || k == "" {
				try("a text as "+key, with(key, "x"), key, 422)
			} else {
				try("an object as "+key, with(key, map[string]any{"x": 1}), key, 422)
			}
		}
	}
}

// No object in the description, however deep, has fields that are not described.
func TestEveryObjectIsClosed(t *testing.T) {
	schemas := described().doc["components"].(map[string]any)["schemas"].(map[string]any)
	for name, s := range schemas {
		s := s.(map[string]any)
		if s["properties"] != nil && s["additionalProperties"] != false {
			t.Errorf("%s takes fields that are not described", name)
		}
	}
	if len(schemas) < 20 {
		t.Errorf("%d schemas", len(schemas))
	}
}

// A parameter that an operation does not have is refused, rather than thought to have been heeded.
func TestEveryParameterIsChecked(t *testing.T) {
	w := newWorld(t, reviews[:1])
	v, token := w.visitor(t), w.tokens(t)[storage.RoleAdmin]
	for _, o := range described().operations {
		path, body := o.request("1", "x", false)
		path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "no_such_parameter=1"
		status, text := v.send(o, path, body, token)
		if _, message, field := refusedWith(t, o.String(), text); status != 422 || !strings.Contains(message+field, "no_such_parameter") {
			t.Errorf("%s with an unknown parameter: %d %s", o, status, text)
		}
	}
}

// An id that is not there, or is none at all, is refused, and nothing breaks.
func TestEveryIDIsChecked(t *testing.T) {
	w := newWorld(t, reviews[:1])
	v, token := w.visitor(t), w.tokens(t)[storage.RoleAdmin]
	for _, o := range described().operations {
		if !strings.Contains(o.path, "{") {
			continue
		}
		for _, id := range []string{"999999", "0", "-1", "9223372036854775807", "9223372036854775808", "1e3", "abc", "%00", "..%2F..%2Fetc", "%FF", "1'--", strings.Repeat("a", 5000)} {
			path, body := o.request(id, "x", false)
			status, text := v.send(o, path, body, token)
			if status < 400 || status >= 500 {
				t.Errorf("%s with the id %.40s: %d %.200s", o, id, status, text)
				continue
			}
			refusedWith(t, o.String(), text)
		}
	}
}

// What one labeler holds does not exist for another: the answer is the same as for an id that was never given, to the byte.
func TestAnotherLabelersTaskDoesNotExist(t *testing.T) {
	w := newWorld(t, reviews)
	ada, grace, boss := w.visitor(t), w.visitor(t), w.visitor(t)
	ada.signIn("ada")
	grace.signIn("grace")
	boss.signIn("boss")
	id, tried := ada.next(), 0
	never := strings.Repeat("0", len(id))
	for _, o := range described().operations {
		if !strings.Contains(o.path, "{") || strings.HasPrefix(o.path, "/api/admin/") || strings.HasPrefix(o.path, "/api/review/") {
			continue
		}
		tried++
		for _, whole := range []bool{false, true} {
			for name, v := range map[string]*visitor{"another labeler": grace, "an admin": boss} {
				path, body := o.request(id, "x", whole)
				status, text := v.send(o, path, body, "")
				path, body = o.request(never, "x", whole)
				if s, other := v.send(o, path, body, ""); status != 404 || s != status || other != text {
					t.Errorf("%s by %s: %d %s; for an id that is not there %d %s", o, name, status, text, s, other)
				}
			}
		}
	}
	if tried < 2 {
		t.Errorf("%d operations take a task's id", tried)
	}
	if len(w.rankings(t)) != 0 {
		t.Error("somebody ranked another's task")
	}
	ada.want("POST", "/api/tasks/"+id+"/heartbeat", "{}", 200, "lease_expires_at")
}

const script = `<script>alert(1)</script><img src=x onerror=alert(2)>`

// Text that would be a script in a page stays text, in whichever field it was stored: no page holds it as it is, and HTML
// that the API sends has been made safe.
func TestStoredScriptStaysText(t *testing.T) {
	hostile := []review{{script + " prompt", []string{script + " one", script + " two", "**" + script + "**", "```html\n" + script + "\n```"}}}
	w := newWorld(t, hostile, func(task *storage.Task) { task.Overlap = 2 })
	v, token := w.visitor(t), w.tokens(t)[storage.RoleAdmin]
	ctx := context.Background()
	l, err := w.db.CreateLabeler(ctx, script, storage.RoleAdmin, hash)
	if err != nil {
		t.Fatal(err)
	}
	named := w.visitor(t)
	named.want("POST", "/api/session", encode(map[string]string{"name": script, "password": password}), 200, "")
	task := named.next()
	spare, err := w.db.CreateLabeler(ctx, script+" 2", storage.RoleLabeler, "")
	if err != nil {
		t.Fatal(err)
	}
	// store it wherever the API takes a text
	for _, o := range described().operations {
		if o.body == nil || o.id == "sign-in" || o.id == "enter" || o.id == "forget" {
			continue
		}
		id := "1"
		switch {
		case strings.Contains(o.path, "/people/{id}"):
			id = fmt.Sprint(spare.ID)
		case strings.HasPrefix(o.path, "/api/tasks/"):
			id = task
		}
		for _, whole := range []bool{true, false} {
			path, body := o.request(id, script, whole)
			if strings.HasPrefix(o.path, "/api/tasks/") {
				named.send(o, path, body, "")
			} else {
				v.send(o, path, body, token)
			}
		}
	}
	// read everything back
	found := 0
	check := func(what string, value any) {
		var walk func(key string, value any)
		walk = func(key string, value any) {
			switch x := value.(type) {
			case map[string]any:
				for k, y := range x {
					walk(k, y)
				}
			case []any:
				for _, y := range x {
					walk(key, y)
				}
			case string:
				if key == "html" || strings.HasSuffix(key, "_html") {
					if strings.Contains(x, "<script") || strings.Contains(x, "<img") {
						t.Errorf("%s: %s holds %.300s", what, key, x)
					}
				} else if strings.Contains(x, script) {
					found++
				}
			}
		}
		walk("", value)
	}
	for _, o := range described().operations {
		if o.method != http.MethodGet || strings.Contains(o.path, "/events") {
			continue
		}
		for _, id := range []string{"1", fmt.Sprint(l.ID), task} {
			path, _ := o.request(id, "x", false)
			status, header, text := named.call(o.method, path, "")
			if header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: a browser may guess what it is", o)
			}
			var value any
			if status == 200 && strings.HasPrefix(header.Get("Content-Type"), "application/json") {
				if err := json.Unmarshal([]byte(text), &value); err != nil {
					t.Errorf("%s: %v", o, err)
				}
				check(o.String(), value)
			} else if strings.HasPrefix(header.Get("Content-Type"), "text/html") {
				t.Errorf("%s answers with a page", o)
			}
		}
	}
	if found < 5 {
		t.Errorf("the text came back %d times only", found)
	}
	for _, path := range labeling.PagePaths() {
		for strings.Contains(path, "{") || strings.Contains(path, ":") {
			from := strings.IndexAny(path, "{:")
			to := strings.IndexByte(path[from:]+"/", '/')
			path = path[:from] + "1" + path[from+to:]
		}
		for _, headers := range [][]string{nil, {"Cookie", `rlhf_lang=` + script}} {
			status, header, text := named.call("GET", path, "", headers...)
			if status >= 500 || strings.Contains(text, "<script>alert") || strings.Contains(text, "<img src=x") || !strings.Contains(header.Get("Content-Security-Policy"), "script-src 'self'") {
				t.Errorf("%s: %d with the text as it is: %v", path, status, strings.Contains(text, "<script>alert"))
			}
		}
	}
	for _, path := range []string{"/" + script, "/label?next=" + script, "/api/" + script, "/static/" + script} {
		if _, _, text := named.call("GET", strings.NewReplacer("<", "%3C", ">", "%3E", " ", "%20").Replace(path), ""); strings.Contains(text, "<script>alert") {
			t.Errorf("%s is written back as it came", path)
		}
	}
}

// Whatever an admin or a reviewer changes through the API stands in the log of changes under their name, and what is refused
// does not.
func TestEveryChangeIsLogged(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, reviews)
	v, tokens := w.visitor(t), w.tokens(t)
	count := func(actor string) (n int) {
		t.Helper()
		entries, _, err := w.db.Audit(ctx, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Actor == actor {
				n++
			}
		}
		return n
	}
	changed := 0
	operations := slices.Clone(described().operations)
	slices.SortStableFunc(operations, func(a, b operation) int { // somebody forgotten can be changed no more
		return strings.Compare(map[bool]string{true: "b"}[a.id == "forget"], map[bool]string{true: "b"}[b.id == "forget"])
	})
	for _, o := range operations {
		if o.method == http.MethodGet || !strings.HasPrefix(o.path, "/api/admin/") && !strings.HasPrefix(o.path, "/api/review/") {
			continue
		}
		role := map[bool]string{true: storage.RoleAdmin, false: storage.RoleReviewer}[strings.HasPrefix(o.path, "/api/admin/")]
		for _, id := range []string{"1", "999999"} {
			path, body := o.request(id, "x "+o.id, true)
			body = strings.NewReplacer(`"ranks":{"A":1,"B":1,"C":1,"D":1}`, `"ranks":[1,2,3,4]`, `"role":"labeler"`, `"role":"reviewer"`).Replace(body)
			before := count("token " + role)
			status, text := v.send(o, path, body, tokens[role])
			added := count("token "+role) - before
			switch {
			case o.id == "preview": // changes nothing
			case status >= 400 && added != 0:
				t.Errorf("%s was refused (%d %s) and is in the log", o, status, text)
			case status < 400 && added == 0:
				t.Errorf("%s (%s) with %.200s succeeded (%d %.200s) and is not in the log", o, o.id, body, status, text)
			case status < 400:
				changed++
			}
		}
	}
	if changed < 7 {
		t.Errorf("%d changes succeeded only", changed)
	}
}
