package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func number64(x float64) *float64 { return &x }

// The files and the values in them come from testdata/parquet.py.
func TestParquetRankings(t *testing.T) {
	sky := []Message{{"user", "What color is the sky?"}}
	chat := Ranking{Prompt: sky[0].Content, Messages: sky, Completions: []Completion{{Text: "It is blue."}, {Text: "It is green."}}, Ranks: []int{1, 2}, Labeler: Imported}
	scored := chat
	scored.Completions = []Completion{{Text: "It is blue.", Score: number64(8)}, {Text: "It is green.", Score: number64(2)}}
	scored.Meta = map[string]json.RawMessage{"prompt": json.RawMessage(`"What color is the sky?"`),
		"messages": json.RawMessage(`[{"content":"What color is the sky?","role":"user"},{"content":"It is blue.","role":"assistant"}]`)}
	yes, no := true, false
	for _, test := range []struct {
		file, format string
		want         []Ranking
	}{
		{"standard-snappy", "trl", []Ranking{
			{Prompt: "The sky is", Completions: []Completion{{Text: " blue.", Score: number64(7.5)}, {Text: " green."}}, Ranks: []int{1, 2}, Labeler: Imported,
				Meta: map[string]json.RawMessage{"source": json.RawMessage(`"a"`), "n": json.RawMessage("12345678901234567")}},
			{Prompt: "The sun is", Completions: []Completion{{Text: " in the sky."}, {Text: " in the sea."}}, Ranks: []int{1, 2}, Labeler: Imported,
				Meta: map[string]json.RawMessage{"n": json.RawMessage("2")}}}},
		{"chat-gzip", "trl", []Ranking{chat, chat, chat}},
		{"ultrafeedback-zstd", "trl", []Ranking{scored}},
		{"unpaired-datasets", "trl-unpaired", []Ranking{
			{Prompt: "The sky is", Completions: []Completion{{Text: " blue.", Label: &yes}}, Ranks: []int{1}, Labeler: Imported},
			{Prompt: "The sky is", Completions: []Completion{{Text: " green.", Label: &no}}, Ranks: []int{1}, Labeler: Imported}}},
		{"nested", "oasst", []Ranking{{Prompt: "q", Messages: []Message{{"user", "q"}}, Ranks: []int{1, 2}, Labeler: Imported, GroupID: "m1", Meta: map[string]json.RawMessage{"lang": json.RawMessage(`"en"`)},
			Completions: []Completion{{Text: "good", ID: "m2"}, {Text: "bad", ID: "m3", Ratings: map[string]float64{"quality": 0.25}}}}}},
	} {
		var report Report
		got, err := Collect(Rankings(Options{Report: &report}, filepath.Join("testdata", test.file+".parquet")))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v", test.file, got, err)
		}
		if !maps.Equal(report.Formats, map[string]int{test.format: 1}) {
			t.Errorf("%s: read as %v", test.file, report.Formats)
		}
	}
}

func TestParquetTypes(t *testing.T) {
	p, q := two("p", "a", "c", 1, 2), two("q", "b", "d", 1, 2)
	for name, want := range map[string]map[string]json.RawMessage{
		"types": meta("ts", `"2024-05-31T12:00:00.123456Z"`, "ns", `"2024-05-31T12:00:00.123456Z"`, "ms", `"2024-05-31T12:00:00.123Z"`, "date", `"2024-05-31"`, "dec", "1.25",
			"u64", "9223372036854775813", "u32", "2147483653", "i8", "-1", "f32", "1.5", "map", `{"k":1,"l":null}`, "lists", `[["a"],[]]`, "bytes", `"x"`),
		"int96": meta("ts", `"2024-05-31T12:00:00.123456Z"`),
	} {
		got, err := Collect(Rankings(Options{}, filepath.Join("testdata", name+".parquet")))
		if err != nil || !reflect.DeepEqual(got, []Ranking{with(p, func(r *Ranking) { r.Meta = want }), q}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestParquetTextsAndDemonstrations(t *testing.T) {
	texts, err := Collect(Texts(Options{}, "testdata/text.parquet"))
	if want := []Document{{"one\n\ntwo", true}, {"é 世", true}, {"", true}}; err != nil || !reflect.DeepEqual(texts, want) {
		t.Errorf("texts %+v, %v", texts, err)
	}
	demos, err := Collect(Demonstrations(Options{}, "testdata/messages-datasets.parquet"))
	if err != nil || len(demos) != 2 || !reflect.DeepEqual(demos[1].Messages, []Message{{"user", "What color is the sky?"}, {"assistant", "It is green."}}) {
		t.Errorf("demonstrations %+v, %v", demos, err)
	}
	n := 0
	for d, err := range Texts(Options{}, "testdata/many.parquet") {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("row %d %s", n, strings.Repeat("x", n%50)); d.Text != want {
			t.Fatalf("row %d: %q", n, d.Text)
		}
		n++
	}
	if n != 5000 {
		t.Errorf("%d rows", n)
	}
}

func TestParquetErrors(t *testing.T) {
	whole, err := os.ReadFile("testdata/many.parquet")
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.parquet")
	damaged := filepath.Join(t.TempDir(), "damaged.parquet")
	broken := bytes.Clone(whole)
	copy(broken[len(broken)/2:], bytes.Repeat([]byte{0xff}, 64))
	for path, raw := range map[string][]byte{cut: whole[:len(whole)-100], damaged: broken} {
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		path, want string
		read       func(Options, string) error
	}{
		{"testdata/bad-row.parquet", `testdata/bad-row.parquet: row 3: field "prompt": found null, expected string`, rankingsError},
		{"testdata/bad-type.parquet", `testdata/bad-type.parquet: row 1: field "rejected": found 3, expected string`, rankingsError},
		{"testdata/bad-bytes.parquet", `testdata/bad-bytes.parquet: row 2: field "prompt": found bytes that are not UTF-8, expected text`, rankingsError},
		{"testdata/bad-half.parquet", `testdata/bad-half.parquet: row 1: field "half": found 2 bytes of a fixed length, expected text`, rankingsError},
		{cut, "not a Parquet file that can be read", textsError},
		{damaged, "damaged.parquet: row ", textsError},
		{file(t, "x.parquet", `{"text":"a"}`), "not a Parquet file that can be read", textsError},
		{filepath.Join(t.TempDir(), "gone.parquet"), "gone.parquet", textsError},
	} {
		if err := test.read(Options{}, test.path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.path, err, test.want)
		}
	}
	report := Report{}
	if err := rankingsError(Options{SkipBad: true, Report: &report}, "testdata/bad-row.parquet"); err != nil || report.Read != 3 || report.Skipped != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

func rankingsError(o Options, path string) error {
	_, err := Collect(Rankings(o, path))
	return err
}

func textsError(o Options, path string) error {
	_, err := Collect(Texts(o, path))
	return err
}

// Whatever a file is damaged to, reading it ends, and not in a panic.
func FuzzParquet(f *testing.F) {
	for _, name := range []string{"standard-snappy", "text", "bad-type", "unpaired-datasets"} {
		raw, err := os.ReadFile("testdata/" + name + ".parquet")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	path := filepath.Join(f.TempDir(), "x.parquet")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range Rankings(Options{Format: "trl", SkipBad: true}, path) {
			if n++; err != nil || n > 10000 {
				return
			}
		}
	})
}
