package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rlhf/internal/dataset"
	"rlhf/labeling/exchange"
	"rlhf/storage"
)

const mixed = "testdata/mixed.jsonl"

// What a file of any format says of rankings comes through the database, and what the format does not hold of those of the
// database is in the manifest.
func TestEveryFormatThroughTheDatabase(t *testing.T) {
	db, in := through(t, mixed, dataset.Options{})
	if in.Rankings != 8 || in.Tasks != 5 || in.Lost != nil { // the three of the colour, and the two of the day, share a task
		t.Errorf("%+v", in)
	}
	for _, format := range dataset.Writable() {
		if format == "ai2" {
			continue // it holds no ranks; see TestTasks
		}
		t.Run(format, func(t *testing.T) {
			path, m := export(t, db, exchange.Exporting{Format: format, SkipBad: true})
			_, loses := dataset.Holds(format)
			for trait := range m.Written.Lost {
				if !slices.Contains(loses, trait) {
					t.Errorf("lost %s, which the format holds", trait)
				}
			}
			if m.Counts != (storage.Counts{Rankings: 8, Tasks: 5, Labelers: 4, Completions: 21, Ties: 2, Extra: 1}) || m.Written.Rankings+m.Written.LeftOut+m.Written.Skipped != 8 || m.Written.Rankings == 0 {
				t.Errorf("%+v", m)
			}
			through(t, path, dataset.Options{Format: readAs(format)})
		})
	}
}

// readAs is the name of the format that reads what is written in one.
func readAs(format string) string {
	switch format {
	case "label-studio-pairwise":
		return "label-studio"
	case "trl-chat", "trl-implicit", "trl-implicit-chat":
		return "trl"
	case "trl-unpaired-chat":
		return "trl-unpaired"
	}
	return format
}

// What is exported is the same to the byte each time, and from the copy of a database that it was imported into.
func TestExportIsStable(t *testing.T) {
	db, _ := through(t, mixed, dataset.Options{})
	first, m := export(t, db, exchange.Exporting{Format: "rankings"})
	again, n := export(t, db, exchange.Exporting{Format: "rankings"})
	other := open(t)
	if _, err := exchange.Rankings(context.Background(), other, exchange.Importing{Project: project(t, other), Path: first}); err != nil {
		t.Fatal(err)
	}
	copied, _ := export(t, other, exchange.Exporting{Format: "rankings"})
	a, b, c := content(t, first), content(t, again), content(t, copied)
	if a != b || a != c || !reflect.DeepEqual(m, n) {
		t.Errorf("%s\n%s\n%s", a, b, c)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// What the database cannot hold of rankings is counted.
func TestLosses(t *testing.T) {
	db := open(t)
	path := write(t, "x.jsonl", `{"prompt":"p","completions":[{"text":"a","sampling":[1]},{"text":"b"}],"ranks":[1,2],"labeler":"w","created_at":"2026-01-02T03:04:05.123456Z","flags":[]}
{"prompt":"p","completions":[{"text":"a"},{"text":"b"}],"ranks":[1,2],"labeler":"w","created_at":"1970-01-01T00:00:00Z"}
{"prompt":"p","completions":[{"text":"a"},{"text":"b"}],"ranks":[1,2],"labeler":"`+strings.Repeat("w", 201)+`"}
{"prompt":"p","completions":[{"text":"a"},{"text":"b"}],"ranks":[1,2],"labeler":"w","active_ms":-1}
`)
	in := exchange.Importing{Project: project(t, db), Path: path, Read: dataset.Options{SkipBad: true}}
	out, err := exchange.Rankings(context.Background(), db, in)
	want := []exchange.Loss{{What: "empty lists of flags", Count: 1}, {What: "sampling settings that are no JSON object", Count: 1},
		{What: "times finer than a millisecond", Count: 1}, {What: "times that are the first millisecond of 1970, which stands for none", Count: 1}}
	if err != nil || out.Rankings != 2 || out.Skipped != 2 || len(out.Reasons) != 2 || !reflect.DeepEqual(out.Lost, want) {
		t.Errorf("%+v, %v", out, err)
	}
	in.Read.SkipBad = false
	var bad *exchange.BadFile
	if _, err := exchange.Rankings(context.Background(), db, in); !errors.As(err, &bad) || !strings.Contains(err.Error(), "x.jsonl: record 3: field \"labeler\"") {
		t.Errorf("%v", err)
	}
}

// failing keeps so many batches and then fails.
type failing struct {
	*storage.DB
	left int
}

var errDisk = errors.New("no space left")

func (f *failing) KeepRankings(ctx context.Context, im *storage.Import, list []storage.Ranking) error {
	if f.left--; f.left < 0 {
		return errDisk
	}
	return f.DB.KeepRankings(ctx, im, list)
}

// An import that is interrupted goes on where it stopped, and a whole one is not made twice unasked.
func TestImportGoesOn(t *testing.T) {
	ctx, db := context.Background(), open(t)
	var b strings.Builder
	for i := range 170 {
		fmt.Fprintf(&b, `{"prompt":"p%d","completions":[{"text":"a"},{"text":"b"}],"ranks":[1,2],"labeler":"w%d"}`+"\n", i/2, i%2)
	}
	in := exchange.Importing{Project: project(t, db), Path: write(t, "x.jsonl", b.String())}
	_, err := exchange.Rankings(ctx, &failing{db, 4}, in)
	var stopped *exchange.Interrupted
	if !errors.As(err, &stopped) || stopped.Kept != 100 || stopped.Records != 170 || !errors.Is(err, errDisk) {
		t.Fatalf("%v", err)
	}
	out, err := exchange.Rankings(ctx, db, in)
	if err != nil || out.Resumed != 100 || out.Rankings != 70 || out.Tasks != 35 {
		t.Errorf("%+v, %v", out, err)
	}
	_, m := export(t, db, exchange.Exporting{Format: "rankings"})
	if m.Counts.Rankings != 170 || m.Counts.Tasks != 85 || m.Counts.Labelers != 2 {
		t.Errorf("%+v", m)
	}
	if _, err := exchange.Rankings(ctx, db, in); !errors.Is(err, storage.ErrImported) {
		t.Errorf("once more: %v", err)
	}
	in.Again = true
	if out, err := exchange.Rankings(ctx, db, in); err != nil || out.Rankings != 170 {
		t.Errorf("%+v, %v", out, err)
	}
	if c, err := db.Check(ctx); err != nil || c.Wrong != nil {
		t.Errorf("%q, %v", c.Wrong, err)
	}
}

// What is to be ranked comes in from lines and from rankings of any format, with the researcher's answers.
func TestTasks(t *testing.T) {
	ctx, db := context.Background(), open(t)
	from, _ := through(t, mixed, dataset.Options{})
	for _, format := range []string{"ai2", "rankings", "label-studio"} {
		p, err := db.CreateProject(ctx, storage.Project{Name: format, Settings: storage.DefaultSettings()})
		if err != nil {
			t.Fatal(err)
		}
		path, _ := export(t, from, exchange.Exporting{Format: format, SkipBad: true})
		in := exchange.Importing{Project: p, Path: path, Kind: storage.KindGold, Priority: 3}
		out, err := exchange.Tasks(ctx, db, in)
		if err != nil || out.Tasks != 5 || out.There != 3 {
			t.Errorf("%s: %+v, %v", format, out, err)
		}
		list, _, err := db.Tasks(ctx, storage.TaskFilter{Project: p.ID, Limit: 9})
		if err != nil || len(list) != 5 || list[0].Kind != storage.KindGold || list[0].Overlap != 0 || list[0].Priority != 3 || (list[0].Reference == nil) != (format == "ai2") {
			t.Errorf("%s: %+v, %v", format, list, err)
		}
		if format != "ai2" && (!reflect.DeepEqual(list[0].Reference.Ranks, []int{1, 2, 1}) || list[2].Messages == nil || list[1].System != "be brief") {
			t.Errorf("%s: %+v", format, list[:3])
		}
	}
}

// Names are given only if asked for, and decisions only beside the rankings.
func TestNamesAndDecisions(t *testing.T) {
	ctx, db := context.Background(), open(t)
	boss, err := db.CreateLabeler(ctx, "The Boss", storage.RoleAdmin, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.AddTasks(ctx, []storage.Task{{Prompt: "p", Overlap: 1, Completions: []storage.Completion{{Text: "a"}, {Text: "b"}}}}); err != nil {
		t.Fatal(err)
	}
	a, err := db.Next(ctx, storage.Ask{LabelerID: boss.ID, TTL: time.Minute, Draw: func(_, _ int64, k int) []int { return []int{1, 0} }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Submit(ctx, storage.Submission{LabelerID: boss.ID, PublicID: a.PublicID, Ranks: []int{1, 2}, Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if err := db.Decide(ctx, 1, boss.ID, []int{1, 2}, "clear"); err != nil {
		t.Fatal(err)
	}
	path, m := export(t, db, exchange.Exporting{Format: "rankings", Decisions: true})
	if text := content(t, path); m.Decisions != 1 || m.Lines != 2 || m.Counts.Rankings != 1 || strings.Contains(text, "Boss") || !strings.Contains(text, `"ranks":[2,1],"labeler":"`+boss.Pseudonym+`"`) ||
		!strings.Contains(text, `"ranks":[1,2],"labeler":"`+boss.Pseudonym+`"`) || !strings.Contains(text, `"flags":["decision"]`) {
		t.Errorf("%+v\n%s", m, text)
	}
	path, m = export(t, db, exchange.Exporting{Format: "rankings", Names: true, Project: project(t, db)})
	if text := content(t, path); m.Decisions != 0 || !m.Names || m.Project != "default" || !strings.Contains(text, `"labeler":"The Boss"`) || strings.Contains(text, "decision") {
		t.Errorf("%+v\n%s", m, text)
	}
}

// FuzzRankings brings in whatever it is given: nothing breaks, and what came in goes out as it was.
func FuzzRankings(f *testing.F) {
	raw, err := os.ReadFile(mixed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"prompt":"p","chosen":"a","rejected":"b"}`))
	f.Add([]byte(`[{"data":{"prompt":"p","items":[{"id":"1","html":"a"},{"id":"2","html":"b"}]},"annotations":[]}]`))
	f.Add([]byte(`{"prompt":"\u0000","completions":[{"text":"\ud800"},{"text":""}],"ranks":[1,1],"labeler":"\u0000"}`))
	db, ctx := open(f), context.Background()
	n := 0
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := write(t, "x", string(raw))
		if list, _ := dataset.Collect(dataset.Rankings(dataset.Options{SkipBad: true}, path)); len(list) == 0 {
			return
		}
		n++
		p, err := db.CreateProject(ctx, storage.Project{Name: fmt.Sprint("p", n, os.Getpid()), Settings: storage.DefaultSettings()})
		if err != nil {
			t.Fatal(err)
		}
		in := exchange.Importing{Project: p, Path: path, Read: dataset.Options{SkipBad: true}}
		out, err := exchange.Rankings(ctx, db, in)
		if err != nil {
			var bad *exchange.BadFile
			if !errors.As(err, &bad) {
				t.Fatal(err)
			}
			return
		}
		exported, m := export(t, db, exchange.Exporting{Format: "rankings", Project: p})
		if m.Counts.Rankings != out.Rankings {
			t.Fatalf("%+v, %+v", out, m)
		}
		if _, err := exchange.Tasks(ctx, db, in); err != nil {
			t.Logf("as tasks: %v", err) // whatever is no task
		}
		if len(out.Lost) == 0 && out.Skipped == 0 && out.Rankings > 0 {
			same(t, read(t, dataset.Options{Format: "rankings"}, exported), read(t, in.Read, in.Path))
		}
	})
}
