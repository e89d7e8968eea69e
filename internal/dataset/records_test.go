package dataset

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// objectsOf returns the objects of a file, and the error that ended it.
func objectsOf(t testing.TB, name, text string) (out []object, lines []int, err error) {
	t.Helper()
	f := &File{Path: file(t, name, text)}
	defer f.Close()
	for o, err := range f.objects() {
		if err != nil {
			return out, lines, err
		}
		out, lines = append(out, o.object), append(lines, o.line)
	}
	return out, lines, nil
}

func TestObjectsOfJSON(t *testing.T) {
	for _, test := range []struct {
		name, text string
		lines      []int
	}{
		{"a.jsonl", "{\"a\":1}\r\n\n  {\"a\":2}", []int{1, 3}},
		{"array.json", "[{\"a\":\"]},{\"},\n\n {\"a\":\"\\\"]\"}\n]\n", []int{1, 3}},
		{"pretty.json", "\n{\n \"a\": [1, {\"b\": 2}]\n}\n{\"a\":3}\n", []int{2, 5}},
		{"lines.json", "{\"a\":1}\n{\"a\":2}", []int{1, 2}},
		{"array", "  [ {\"a\":1} , {\"a\":2} ]", []int{1, 1}},
		{"lines", "{\"a\":1}\n{\"a\":2}\n", []int{1, 2}},
		{"empty.json", "", nil},
		{"none.json", "[]", nil},
	} {
		got, lines, err := objectsOf(t, test.name, test.text)
		if err != nil || !reflect.DeepEqual(lines, test.lines) {
			t.Errorf("%s: %v at %v, %v", test.name, got, lines, err)
		}
	}
}

func TestErrorsOfJSONNameTheLine(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"open.json", "[{\"a\":1},\n{\"a\":2}\n", "open.json:3: found the end of the file, expected ] at the end of the array"},
		{"cut.json", "[{\"a\":1},\n{\"a\":\n2", "cut.json:3: found the end of the file inside the value that begins at line 2"},
		{"string.json", "[{\"a\":\"\\", "string.json:1: found the end of the file inside the value"},
		{"comma.json", "[{\"a\":1}\n{\"a\":2}]", "comma.json:2: found '{', expected a JSON value"},
		{"commas.json", "[{\"a\":1},,{\"a\":2}]", "commas.json:1: found ',', expected a JSON value"},
		{"trailing.json", "[{\"a\":1},]", "trailing.json:1: found ']', expected a JSON value"},
		{"after.json", "[{\"a\":1}]\n\nx", "after.json:3: found 'x' after the end of the array"},
		{"scalar.json", "[{\"a\":1},\n5]", "scalar.json:2: not a JSON object"},
		{"syntax.json", "[{\"a\":1},\n{\n\"a\" 2}]", "syntax.json:3: not a JSON object: invalid character '2' after object key"},
		{"latin.jsonl", "{\"a\":\"\xe9\"}", "latin.jsonl:1: found a byte 0xe9, expected UTF-8"},
		{"wide.jsonl", "\xff\xfe{\x00", "wide.jsonl: found UTF-16, expected UTF-8"},
		{"long.jsonl", "{}\n" + strings.Repeat(" ", maxRecord+1) + "\n", "long.jsonl:2: found a line of 67108866 bytes, expected at most 67108864"},
	} {
		_, _, err := objectsOf(t, test.name, test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// A broken record costs itself only.
func TestReadingGoesOnAfterABadRecord(t *testing.T) {
	var r Report
	text := "{\"text\":\"a\"}\n{\"text\":\nnull\n{\"txt\":1}\n" + strings.Repeat("x", maxRecord+1) + "\n{\"text\":\"b\"}"
	got, err := Collect(Texts(Options{SkipBad: true, Report: &r}, file(t, "a.jsonl", text)))
	if err != nil || len(got) != 2 || r.Read != 2 || r.Skipped != 4 || len(r.Reasons) != 4 {
		t.Errorf("%v, %v, %+v", got, err, r)
	}
	r = Report{}
	got, err = Collect(Texts(Options{SkipBad: true, Report: &r}, file(t, "a.json", "[{\"text\":\"a\"},\n7, {\"text\":\"b\"}]")))
	if err != nil || len(got) != 2 || r.Skipped != 1 {
		t.Errorf("%v, %v, %+v", got, err, r)
	}
	if _, err = Collect(Texts(Options{SkipBad: true}, file(t, "a.json", "[{\"text\":\"a\"},"))); err == nil {
		t.Error("an array without an end was read")
	}
}

// The splitter finds what encoding/json finds.
func FuzzValues(f *testing.F) {
	f.Add(`[{"a":[1,"]"]},{"b":"\\\""}, 3 ,null]`)
	f.Add(`{"a":1}{"b":2}`)
	f.Add("[ ]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "\xef\xbb\xbf") || strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") || strings.HasPrefix(text, "\x1f\x8b") || strings.HasPrefix(text, "\x28\xb5") {
			return
		}
		var want []json.RawMessage
		if json.Unmarshal([]byte(text), &want) != nil || want == nil {
			want = nil
		}
		file := &File{Path: file(t, "a.json", text)}
		defer file.Close()
		var got []string
		for r, err := range file.values() {
			if err != nil {
				if want != nil {
					t.Errorf("%q: %v", text, err)
				}
				return
			}
			got = append(got, string(r.raw))
		}
		if want == nil {
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
		for i := range got {
			if got[i] != string(want[i]) {
				t.Errorf("%q: %q, want %q", text, got[i], want[i])
			}
		}
	})
}
