package labeling_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"rlhf/labeling"
	"rlhf/storage"
)

// A review is a prompt with completions to rank.
type review struct {
	prompt      string
	completions []string
}

// reviews are plausible tasks of the demo's kind.
var reviews = []review{
	{"the film opens with a", []string{" warm , funny and quietly moving portrait of two sisters who never stop talking .", " chase that goes on for far too long .",
		" joke that nobody in the theater laughed at .", " and then the and then the and then ."}},
	{"as a comedy , it", []string{" never finds its rhythm .", " is sharp , generous and full of life .", " works better than it has any right to .", " is a comedy ."}},
}

// quiet logs nothing.
var quiet = slog.New(slog.DiscardHandler)

// models are names that must never reach a labeler.
var models = []string{"secret-sft-model", "secret-ppo-model"}

// password is everyone's.
const password = "correct horse battery"

// hash is password's, made once because that takes a while on purpose.
var hash = labeling.HashPassword(password)

// A world is the real application on a real database, with the labelers ada and grace and the admin boss.
type world struct {
	*site
	db   *storage.DB
	path string
}

// overlap asks for n rankings of every task.
func overlap(n int) func(*storage.Task) { return func(t *storage.Task) { t.Overlap = n } }

func newWorld(t testing.TB, reviews []review, options ...func(*storage.Task)) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{path: filepath.Join(t.TempDir(), "labels.db")}
	db, err := storage.Open(ctx, w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.db = db
	t.Cleanup(func() { w.db.Close() })
	for _, who := range [][2]string{{"ada", storage.RoleLabeler}, {"grace", storage.RoleLabeler}, {"boss", storage.RoleAdmin}} { // rankings come in this order
		if _, err := db.CreateLabeler(ctx, who[0], who[1], hash); err != nil {
			t.Fatal(err)
		}
	}
	var tasks []storage.Task
	for _, r := range reviews {
		task := storage.Task{Prompt: r.prompt, Overlap: 1}
		for i, text := range r.completions {
			task.Completions = append(task.Completions, storage.Completion{Model: models[i%2], Text: text})
		}
		for _, option := range options {
			option(&task)
		}
		tasks = append(tasks, task)
	}
	if err := db.AddTasks(ctx, tasks); err != nil {
		t.Fatal(err)
	}
	w.site = newSite(t, w.server().Handler())
	return w
}

// server returns a server on the database.
func (w *world) server() *labeling.Server {
	c := labeling.DefaultConfig()
	c.RequestsPerSecond = 0 // tests are faster than people
	return labeling.NewServer(c, w.db, quiet)
}

// settings changes the settings of the project that all tasks are in.
func (w *world) settings(t testing.TB, change func(*storage.Settings)) {
	t.Helper()
	p, err := w.db.Project(context.Background(), storage.DefaultProject)
	if err != nil {
		t.Fatal(err)
	}
	change(&p.Settings)
	if err := w.db.SetProject(context.Background(), p); err != nil {
		t.Fatal(err)
	}
}

// stop ends the server as a kill does; start begins a new one on the same database.
func (w *world) stop(t testing.TB) {
	t.Helper()
	w.down.Store(true)
	w.CloseClientConnections()
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
}

func (w *world) start(t testing.TB) {
	t.Helper()
	db, err := storage.Open(context.Background(), w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.db = db
	handler := w.server().Handler()
	w.handler.Store(&handler)
	w.down.Store(false)
}

// eventually waits for what the server does on its own time.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(stride) {
		if holds() {
			return
		}
	}
	t.Fatalf("never came true: %s", what)
}

// each calls f for every ranking in the database.
func (w *world) each(t testing.TB, f func(storage.Ranking)) {
	t.Helper()
	if err := w.db.Rankings(context.Background(), storage.Filter{}, func(r storage.Ranking) error { f(r); return nil }); err != nil {
		t.Fatal(err)
	}
}

// rankings returns the rankings in the database, as ranks by completion.
func (w *world) rankings(t testing.TB) (out []map[string]int) {
	t.Helper()
	w.each(t, func(r storage.Ranking) {
		m := map[string]int{}
		for i, c := range r.Completions {
			m[c.Text] = r.Ranks[i]
		}
		out = append(out, m)
	})
	return out
}

func (w *world) comments(t testing.TB) (out []string) {
	t.Helper()
	w.each(t, func(r storage.Ranking) { out = append(out, r.Comment) })
	return out
}

func (w *world) activeMS(t testing.TB) (out []int64) {
	t.Helper()
	w.each(t, func(r storage.Ranking) { out = append(out, r.ActiveMS) })
	return out
}
