package labeling_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"rlhf/labeling"
)

// An operation is one of those that the API describes at /api/openapi.json.
type operation struct {
	id, method, path string
	secured          bool           // asks who one is
	media            string         // of the request's body; "" without one
	body             map[string]any // its schema; nil without one
	query            map[string]any // schemas of the parameters that must be there
}

func (o operation) String() string { return o.method + " " + o.path }

// description is the API's own, with a compiler of its schemas and those compiled already.
type description struct {
	doc        map[string]any
	operations []operation

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

// described reads the description once; it is the same for every server.
var described = sync.OnceValue(func() *description {
	w := httptest.NewRecorder()
	labeling.NewServer(labeling.DefaultConfig(), nil, quiet).Handler().ServeHTTP(w, httptest.NewRequest("GET", "/api/openapi.json", nil))
	d := &description{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		panic(err)
	}
	d.doc = doc.(map[string]any)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("http://server/api/openapi.json", doc); err != nil {
		panic(err)
	}
	paths := d.doc["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		methods := paths[path].(map[string]any)
		for _, method := range slices.Sorted(maps.Keys(methods)) {
			d.operations = append(d.operations, d.operation(path, method, methods[method].(map[string]any)))
		}
	}
	return d
})

func (d *description) operation(path, method string, op map[string]any) operation {
	o := operation{id: fmt.Sprint(op["operationId"]), method: strings.ToUpper(method), path: path, secured: op["security"] != nil, query: map[string]any{}}
	parameters, _ := op["parameters"].([]any)
	for _, p := range parameters {
		if p := p.(map[string]any); p["in"] == "query" && p["required"] == true {
			o.query[p["name"].(string)] = p["schema"]
		}
	}
	if b, ok := op["requestBody"].(map[string]any); ok {
		for media, content := range b["content"].(map[string]any) {
			o.media = media
			if s, ok := content.(map[string]any)["schema"].(map[string]any); ok && media == "application/json" {
				o.body = d.resolve(s)
			}
		}
	}
	return o
}

// resolve follows a reference.
func (d *description) resolve(s map[string]any) map[string]any {
	for s["$ref"] != nil {
		name := strings.TrimPrefix(s["$ref"].(string), "#/components/schemas/")
		s = d.doc["components"].(map[string]any)["schemas"].(map[string]any)[name].(map[string]any)
	}
	return s
}

// find returns the operation of a request.
func (d *description) find(method, path string) (found operation, ok bool) {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	for _, o := range d.operations {
		want := strings.Split(o.path, "/")
		if o.method != method || len(want) != len(parts) {
			continue
		}
		fits, literal := true, 0
		for i, w := range want {
			if strings.HasPrefix(w, "{") {
				continue
			}
			fits = fits && w == parts[i]
			literal++
		}
		if fits && (!ok || literal > strings.Count(found.path, "/")+1-strings.Count(found.path, "{")) {
			found, ok = o, true
		}
	}
	return found, ok
}

// checkAnswer fails the test unless an answer is one that the description allows.
func checkAnswer(t testing.TB, method, path string, status int, header http.Header, body string) {
	t.Helper()
	d := described()
	o, ok := d.find(method, path)
	if !ok || !strings.HasPrefix(header.Get("Content-Type"), "application/json") && status < 400 && body != "" {
		return // no operation, or one that answers with something else than JSON
	}
	responses := d.doc["paths"].(map[string]any)[o.path].(map[string]any)[strings.ToLower(method)].(map[string]any)["responses"].(map[string]any)
	key := strconv.Itoa(status)
	if _, ok := responses[key]; !ok {
		if key = "default"; status < 400 {
			t.Errorf("%s answered with the status %d, which is not described", o, status)
			return
		}
	}
	response, ok := responses[key].(map[string]any)
	content, _ := response["content"].(map[string]any)
	if !ok || (len(content) == 0) != (body == "") {
		t.Errorf("%s answered %d %.200q; described is %v", o, status, body, slices.Collect(maps.Keys(responses)))
		return
	}
	if body == "" {
		return
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Errorf("%s answered %d with what is no JSON: %v: %.200q", o, status, err, body)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	escape := func(s string) string {
		return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(s))
	}
	at := fmt.Sprintf("http://server/api/openapi.json#/paths/%s/%s/responses/%s/content/%s/schema", escape(o.path), strings.ToLower(method), key, escape("application/json"))
	schema := d.schemas[at]
	if schema == nil {
		if schema, err = d.compiler.Compile(at); err != nil {
			t.Errorf("%s: %v", o, err)
			return
		}
		d.schemas[at] = schema
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s answered %d with what is not described: %v\n%.500s", o, status, err, body)
	}
}

// hints are values that operations take where the schema alone does not tell.
var hints = map[string]any{
	"ranks": map[string]any{"A": 1, "B": 1, "C": 1, "D": 1}, "opened": []any{"A", "B", "C", "D"}, "ratings": map[string]any{}, "confidence": nil,
	"flags": []any{}, "reason": "other", "idempotency_key": "key", "version": 0, "revision": 0, "password": "correct horse", "format": "rankings", "body": map[string]any{},
}

// sample returns a value that a schema allows. Texts are text; fields that may be left out are there if whole says so.
func (d *description) sample(s map[string]any, name, text string, whole bool) any {
	s = d.resolve(s)
	if enum, ok := s["enum"].([]any); ok {
		return enum[0]
	}
	switch kind(s) {
	case "object":
		out := map[string]any{}
		required, _ := s["required"].([]any)
		properties, _ := s["properties"].(map[string]any)
		for key, p := range properties {
			if !slices.Contains(required, any(key)) && !whole {
				continue
			}
			if hint, ok := hints[key]; ok && kind(d.resolve(p.(map[string]any))) != "boolean" && (key != "ranks" || kind(d.resolve(p.(map[string]any))) == "object") {
				out[key] = hint
				continue
			}
			out[key] = d.sample(p.(map[string]any), key, text, whole)
		}
		return out
	case "array":
		return []any{}
	case "string":
		if s["format"] == "date-time" {
			return "2026-01-02T03:04:05Z"
		}
		return text
	case "integer", "number":
		if least, ok := s["minimum"]; ok {
			n, _ := least.(json.Number).Float64()
			return n
		}
		return 1
	case "boolean":
		return false
	}
	return nil
}

// kind is the type of a schema, without null.
func kind(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		for _, x := range t {
			if x != "null" {
				return x.(string)
			}
		}
	}
	return ""
}

// request returns the address of an operation with ids in place of its parameters, and a body that its schema allows.
func (o operation) request(id, text string, whole bool) (path, body string) {
	d := described()
	path = o.path
	for {
		from := strings.IndexByte(path, '{')
		if from < 0 {
			break
		}
		path = path[:from] + id + path[from+strings.IndexByte(path[from:], '}')+1:]
	}
	q := url.Values{}
	for name, schema := range o.query {
		value := d.sample(schema.(map[string]any), name, text, whole)
		if hint, ok := hints[name]; ok {
			value = hint
		}
		q.Set(name, fmt.Sprint(value))
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	if o.body != nil {
		body = encode(d.sample(o.body, "", text, whole))
	}
	return path, body
}

func encode(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// send sends a request as somebody with a token, or as nobody with "".
func (v *visitor) send(o operation, path, body, token string, headers ...string) (status int, text string) {
	v.t.Helper()
	if token != "" {
		headers = append(headers, "Authorization", "Bearer "+token)
	}
	if o.media != "" {
		headers = append(headers, "Content-Type", o.media)
	}
	status, _, text = v.call(o.method, path, body, headers...)
	return status, text
}
