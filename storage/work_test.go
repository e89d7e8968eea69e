package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"
)

// Lease is Next with only what many tests need.
func (db *DB) Lease(ctx context.Context, labelerID int64, ttl time.Duration, draw Draw) (Assignment, error) {
	g, err := db.Next(ctx, Ask{LabelerID: labelerID, TTL: ttl, Draw: draw})
	return g.Assignment, err
}

// A shift is labelers at work on a database with a clock that stands still.
type shift struct {
	*DB
	t   *testing.T
	ctx context.Context
	now time.Time
	ids []int64
}

func newShift(t *testing.T, labelers int, tasks []Task) *shift {
	t.Helper()
	s := &shift{DB: openTest(t), t: t, ctx: context.Background(), now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.Local)}
	s.Now = func() time.Time { return s.now }
	for i := range labelers {
		s.ids = append(s.ids, addLabelers(t, s.DB, fmt.Sprintf("labeler %c", 'a'+i))...)
	}
	if err := s.AddTasks(s.ctx, tasks); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shift) exec(query string, args ...any) {
	s.t.Helper()
	if _, err := s.w.Exec(query, args...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shift) number(query string, args ...any) (n int) {
	s.t.Helper()
	if err := s.r.QueryRow(query, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// settings changes those of the default project.
func (s *shift) settings(change func(*Settings)) {
	s.t.Helper()
	p, err := s.Project(s.ctx, DefaultProject)
	if err != nil {
		s.t.Fatal(err)
	}
	change(&p.Settings)
	if err := s.SetProject(s.ctx, p); err != nil {
		s.t.Fatal(err)
	}
}

// next returns what the labeler is given, zero if nothing.
func (s *shift) next(labeler int, holding ...string) Assignment {
	s.t.Helper()
	a, err := s.Next(s.ctx, Ask{LabelerID: s.ids[labeler], Holding: holding, TTL: time.Minute, Draw: backwards})
	if errors.Is(err, ErrNoTask) {
		return Assignment{}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return a.Assignment
}

func (s *shift) submit(labeler int, a Assignment, ranks ...int) Submitted {
	s.t.Helper()
	out, err := s.Submit(s.ctx, Submission{LabelerID: s.ids[labeler], PublicID: a.PublicID, Ranks: ranks})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func TestHolding(t *testing.T) {
	s := newShift(t, 2, tasks(4, 2, 1))
	first := s.next(0)
	if again := s.next(0); again.PublicID != first.PublicID {
		t.Errorf("a reload got task %d, not %d", again.TaskID, first.TaskID)
	}
	second := s.next(0, first.PublicID)
	if second.TaskID == first.TaskID || second.PublicID == first.PublicID {
		t.Errorf("holding %d got %d", first.TaskID, second.TaskID)
	}
	if again := s.next(0, first.PublicID); again.PublicID != second.PublicID {
		t.Errorf("the prefetched task is not given again: %+v", again)
	}
	if again := s.next(0, second.PublicID); again.PublicID != first.PublicID {
		t.Errorf("holding the second got %+v", again)
	}
	if _, err := s.Next(s.ctx, Ask{LabelerID: s.ids[0], Holding: []string{first.PublicID, second.PublicID}, TTL: time.Minute, Draw: backwards}); !errors.Is(err, ErrHolding) {
		t.Errorf("a third task: %v", err)
	}
	if other := s.next(1, first.PublicID); other.TaskID == first.TaskID || other.TaskID == second.TaskID {
		t.Errorf("another labeler got %d, which is leased", other.TaskID)
	}
	s.submit(0, first, 1, 2)
	if third := s.next(0, second.PublicID); third.TaskID == 0 || third.TaskID == second.TaskID {
		t.Errorf("after the first is done: %+v", third)
	}
	// A task on the page whose lease has run out is on the page still.
	s.now = s.now.Add(time.Hour)
	if a := s.next(0, second.PublicID); a.TaskID == 0 || a.TaskID == second.TaskID {
		t.Errorf("holding one that ran out got %+v", a)
	}
}

func TestNextOfProjects(t *testing.T) {
	s := newShift(t, 1, tasks(1, 2, 1))
	p, err := s.CreateProject(s.ctx, Project{Name: "other", Open: true, Settings: DefaultSettings()})
	if err != nil {
		t.Fatal(err)
	}
	list := tasks(1, 2, 1)
	list[0].Project = p.ID
	if err := s.AddTasks(s.ctx, list); err != nil {
		t.Fatal(err)
	}
	ask := func(project string, holding ...string) (Assignment, error) {
		g, err := s.Next(s.ctx, Ask{LabelerID: s.ids[0], Project: project, Holding: holding, TTL: time.Minute, Draw: backwards})
		return g.Assignment, err
	}
	if _, err := ask("nowhere"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such project: %v", err)
	}
	other, err := ask("other")
	if err != nil || other.TaskID != 2 {
		t.Errorf("of the other project: %+v, %v", other, err)
	}
	if a, err := ask("default"); err != nil || a.TaskID != 1 {
		t.Errorf("the task in hand is of another project: %+v, %v", a, err)
	}
	s.submit(0, other, 1, 2)
	s.exec(`UPDATE projects SET open = 0 WHERE id = 1`)
	if a, err := ask(""); !errors.Is(err, ErrNoTask) {
		t.Errorf("of a closed project: %+v, %v", a, err)
	}
	if st, err := s.Standing(s.ctx, s.ids[0]); err != nil || st.Remaining != 0 || st.Done != 1 {
		t.Errorf("standing %+v, %v", st, err)
	}
}

func TestRevisions(t *testing.T) {
	s := newShift(t, 2, tasks(2, 2, 1))
	me := s.ids[0]
	a := s.next(0)
	rank := func(revision int, key string, ranks ...int) (Submitted, error) {
		return s.Submit(s.ctx, Submission{LabelerID: me, PublicID: a.PublicID, Ranks: ranks, Key: key, Revision: revision})
	}
	skip := func(revision int, key string) (int, error) {
		out, err := s.Skip(s.ctx, Skip{LabelerID: me, PublicID: a.PublicID, Reason: "unsafe", Key: key, Revision: revision})
		return out.Revision, err
	}
	done := func() int { return s.number(`SELECT done FROM tasks WHERE id = ?`, a.TaskID) }
	if out, err := rank(0, "k1", 1, 2); err != nil || out.Revision != 1 || done() != 1 {
		t.Fatalf("%+v, %v, done %d", out, err, done())
	}
	if out, err := rank(1, "k2", 2, 1); err != nil || out.Revision != 2 || out.Extra || done() != 1 {
		t.Errorf("a change: %+v, %v, done %d", out, err, done())
	}
	if _, err := rank(1, "k3", 1, 1); !errors.Is(err, ErrRevision) {
		t.Errorf("a change of what was replaced: %v", err)
	}
	for range 2 {
		if out, err := rank(0, "k1", 1, 2); err != nil || out.Revision != 1 {
			t.Errorf("the first again: %+v, %v", out, err)
		}
	}
	if got := all(t, s.DB); len(got) != 1 || !reflect.DeepEqual(got[0].Ranks, []int{1, 2}) { // drawn backwards
		t.Errorf("the ranking that holds: %+v", got)
	}
	if n, err := skip(2, "k2"); !errors.Is(err, ErrKey) {
		t.Errorf("the key of a ranking: %d, %v", n, err)
	}
	for range 2 {
		if n, err := skip(2, "s1"); err != nil || n != 3 || done() != 0 {
			t.Errorf("a skip instead: %d, %v, done %d", n, err, done())
		}
	}
	if len(all(t, s.DB)) != 0 {
		t.Error("a ranking replaced by a skip counts")
	}
	w, err := s.Work(s.ctx, me, a.PublicID)
	if err != nil || w.Answer == nil || w.Answer.Reason != "unsafe" || w.Answer.Revision != 3 {
		t.Errorf("%+v, %v", w.Answer, err)
	}
	if b := s.next(1); b.TaskID != a.TaskID {
		t.Errorf("a skipped task is not given to others: %+v", b)
	}
	if b := s.next(0); b.TaskID == a.TaskID {
		t.Error("a skipped task comes back")
	}
	if out, err := rank(3, "k4", 1, 1); err != nil || out.Revision != 4 || done() != 1 {
		t.Errorf("a ranking instead of the skip: %+v, %v, done %d", out, err, done())
	}
	if n := s.number(`SELECT count(*) FROM skips WHERE undone = 0`); n != 0 {
		t.Errorf("%d skips hold", n)
	}
}

func TestTooLate(t *testing.T) {
	s := newShift(t, 1, tasks(11, 2, 1))
	var first Assignment
	for i := range 11 {
		a := s.next(0)
		if i == 0 {
			first = a
		}
		s.submit(0, a, 1, 2)
		s.now = s.now.Add(time.Second)
	}
	list, err := s.Recent(s.ctx, s.ids[0])
	if err != nil || len(list) != 10 || list[0].Prompt != "prompt 10" || list[9].Prompt != "prompt 1" {
		t.Fatalf("%d recent answers, %v", len(list), err)
	}
	if _, err := s.Submit(s.ctx, Submission{LabelerID: s.ids[0], PublicID: first.PublicID, Ranks: []int{2, 1}, Revision: 1}); !errors.Is(err, ErrTooLate) {
		t.Errorf("a change of the eleventh last: %v", err)
	}
	if out, err := s.Submit(s.ctx, Submission{LabelerID: s.ids[0], PublicID: list[9].PublicID, Ranks: []int{2, 1}, Revision: 1}); err != nil || out.Revision != 2 {
		t.Errorf("a change of the tenth last: %+v, %v", out, err)
	}
}

// Two labelers may draw the same key; a labeler's own counts once.
func TestKeysAreTheLabelersOwn(t *testing.T) {
	s := newShift(t, 2, tasks(2, 2, 2))
	for labeler := range 2 {
		a := s.next(labeler)
		b := s.next(labeler, a.PublicID)
		sub := Submission{LabelerID: s.ids[labeler], PublicID: a.PublicID, Ranks: []int{1, 2}, Key: "the same"}
		if _, err := s.Submit(s.ctx, sub); err != nil {
			t.Error(err)
		}
		sub.PublicID = b.PublicID
		if _, err := s.Submit(s.ctx, sub); !errors.Is(err, ErrKey) {
			t.Errorf("a key used for another task: %v", err)
		}
	}
	if n := len(all(t, s.DB)); n != 2 {
		t.Errorf("%d rankings", n)
	}
}

func TestExtraStaysExtra(t *testing.T) {
	s := newShift(t, 2, tasks(1, 2, 1))
	late := s.next(0)
	s.now = s.now.Add(time.Hour)
	s.submit(1, s.next(1), 1, 2)
	if out := s.submit(0, late, 1, 2); !out.Extra {
		t.Errorf("%+v", out)
	}
	change := func(labeler int, public string) Submitted {
		t.Helper()
		out, err := s.Submit(s.ctx, Submission{LabelerID: s.ids[labeler], PublicID: public, Ranks: []int{2, 1}, Revision: 1})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := change(0, late.PublicID); !out.Extra {
		t.Errorf("a change of an extra ranking counts: %+v", out)
	}
	list, err := s.Recent(s.ctx, s.ids[1])
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if out := change(1, list[0].PublicID); out.Extra || s.number(`SELECT done FROM tasks`) != 1 {
		t.Errorf("a change of one that counts: %+v", out)
	}
}

func TestHeartbeats(t *testing.T) {
	for _, test := range []struct {
		name  string
		world func(s *shift, a Assignment)
		lives bool
	}{
		{"in time", func(s *shift, _ Assignment) { s.now = s.now.Add(59 * time.Second) }, true},
		{"late, and nobody wants it", func(s *shift, _ Assignment) { s.now = s.now.Add(time.Hour) }, true},
		{"late, and another has it", func(s *shift, _ Assignment) { s.now = s.now.Add(time.Hour); s.next(1) }, false},
		{"withdrawn", func(s *shift, a Assignment) { s.exec(`UPDATE tasks SET withdrawn = 1 WHERE id = ?`, a.TaskID) }, false},
		{"assigned to another", func(s *shift, a Assignment) {
			s.exec(`UPDATE tasks SET assigned_to = ? WHERE id = ?`, s.ids[1], a.TaskID)
		}, false},
		{"ranked", func(s *shift, a Assignment) { s.submit(0, a, 1, 2) }, false},
	} {
		s := newShift(t, 2, tasks(1, 2, 1))
		a := s.next(0)
		test.world(s, a)
		expires, err := s.Heartbeat(s.ctx, s.ids[0], a.PublicID, time.Minute)
		if err != nil || expires.After(s.now) != test.lives {
			t.Errorf("%s: until %v, now is %v, %v", test.name, expires, s.now, err)
		}
		if _, err := s.Heartbeat(s.ctx, s.ids[1], a.PublicID, time.Minute); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: of another labeler: %v", test.name, err)
		}
	}
}

func TestDrafts(t *testing.T) {
	s := newShift(t, 2, tasks(1, 2, 1))
	a := s.next(0)
	save := func(labeler, based int, body string) (Draft, error) {
		return s.SaveDraft(s.ctx, s.ids[labeler], a.PublicID, based, []byte(body))
	}
	if d, err := save(0, 0, `{"x":1}`); err != nil || d.Version != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := save(0, 1, `{"x":2}`); err != nil || d.Version != 2 {
		t.Errorf("%+v, %v", d, err)
	}
	for _, based := range []int{0, 1, 3} {
		if d, err := save(0, based, `{"x":3}`); !errors.Is(err, ErrDraft) || d.Version != 2 || string(d.Body) != `{"x":2}` {
			t.Errorf("based on %d: %+v, %v", based, d, err)
		}
	}
	if _, err := save(1, 0, `{}`); !errors.Is(err, ErrNotFound) {
		t.Errorf("another's: %v", err)
	}
	if w, err := s.Work(s.ctx, s.ids[0], a.PublicID); err != nil || w.Draft.Version != 2 || string(w.Draft.Body) != `{"x":2}` {
		t.Errorf("%+v, %v", w.Draft, err)
	}
	s.submit(0, a, 1, 2)
	if w, err := s.Work(s.ctx, s.ids[0], a.PublicID); err != nil || w.Draft.Version != 0 {
		t.Errorf("a draft outlives its answer: %+v, %v", w.Draft, err)
	}
}

func TestAnswersAskedFor(t *testing.T) {
	question := Question{Key: "harmful", Text: map[string]string{"en": "Is it harmful?"}}
	rated := func(overall, harmful int) map[string]int {
		return map[string]int{"overall": overall, "harmful": harmful}
	}
	for _, test := range []struct {
		name       string
		settings   Settings
		ratings    []map[string]int
		confidence *int
		unopened   []int
		want       error
	}{
		{"nothing asked, nothing said", Settings{}, nil, nil, nil, nil},
		{"nothing asked, rated", Settings{}, []map[string]int{{"overall": 1}, {"overall": 1}}, nil, nil, ErrAnswers},
		{"all said", Settings{Rate: true, Questions: []Question{question}, Confidence: true}, []map[string]int{rated(1, 0), rated(7, 1)}, ptr(5), nil, nil},
		{"confidence is optional", Settings{Confidence: true}, nil, nil, nil, nil},
		{"confidence beyond", Settings{Confidence: true}, nil, ptr(0), nil, ErrAnswers},
		{"not rated", Settings{Rate: true}, nil, nil, nil, ErrAnswers},
		{"one not rated", Settings{Rate: true}, []map[string]int{{"overall": 3}}, nil, nil, ErrAnswers},
		{"zero", Settings{Rate: true}, []map[string]int{{"overall": 0}, {"overall": 1}}, nil, nil, ErrAnswers},
		{"eight", Settings{Rate: true}, []map[string]int{{"overall": 8}, {"overall": 1}}, nil, nil, ErrAnswers},
		{"question missing", Settings{Questions: []Question{question}}, []map[string]int{{}, {"harmful": 1}}, nil, nil, ErrAnswers},
		{"question answered by 2", Settings{Questions: []Question{question}}, []map[string]int{{"harmful": 2}, {"harmful": 1}}, nil, nil, ErrAnswers},
		{"question not asked", Settings{Rate: true}, []map[string]int{rated(1, 0), rated(1, 0)}, nil, nil, ErrAnswers},
		{"not opened", Settings{MustOpen: true}, nil, nil, []int{1}, ErrUnopened},
		{"need not be opened", Settings{}, nil, nil, []int{0, 1}, nil},
	} {
		s := newShift(t, 1, tasks(1, 2, 1))
		s.settings(func(x *Settings) {
			x.Rate, x.Questions, x.Confidence, x.MustOpen = test.settings.Rate, test.settings.Questions, test.settings.Confidence, test.settings.MustOpen
		})
		a := s.next(0)
		sub := Submission{LabelerID: s.ids[0], PublicID: a.PublicID, Ranks: []int{1, 2}, Ratings: test.ratings, Confidence: test.confidence, Unopened: test.unopened, Flags: []string{"all_bad"}}
		if _, err := s.Submit(s.ctx, sub); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		} else if err == nil {
			w, err := s.Work(s.ctx, s.ids[0], a.PublicID)
			if err != nil || !reflect.DeepEqual(w.Answer.Ratings, test.ratings) || !reflect.DeepEqual(w.Answer.Confidence, test.confidence) || !reflect.DeepEqual(w.Answer.Flags, []string{"all_bad"}) {
				t.Errorf("%s: read back %+v, %v", test.name, w.Answer, err)
			}
		}
	}
}

// The version of the guidelines in force is stored with each ranking.
func TestGuidelineInForce(t *testing.T) {
	s := newShift(t, 1, tasks(3, 2, 1))
	for want := range 3 {
		a := s.next(0)
		if w, err := s.Work(s.ctx, s.ids[0], a.PublicID); err != nil || w.Guideline != want {
			t.Errorf("version %d in force, want %d (%v)", w.Guideline, want, err)
		}
		s.submit(0, a, 1, 2)
		if got := s.number(`SELECT coalesce((SELECT version FROM guidelines g WHERE g.id = r.guideline_id), 0) FROM rankings r ORDER BY r.id DESC LIMIT 1`); got != want {
			t.Errorf("ranked under version %d, want %d", got, want)
		}
		if _, err := s.AddGuideline(s.ctx, DefaultProject, fmt.Sprintf("version %d", want+1)); err != nil {
			t.Fatal(err)
		}
	}
	in, err := s.Instructions(s.ctx, "")
	if err != nil || in.Project != "default" || in.Guideline.Version != 3 || in.Guideline.Text != "version 3" {
		t.Errorf("%+v, %v", in, err)
	}
	if _, err := s.Instructions(s.ctx, "nowhere"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// A change that fails undoes itself alone, whatever others are in its transaction.
func TestGroupCommit(t *testing.T) {
	s := newShift(t, 1, nil)
	s.exec(`CREATE TABLE notes (n INTEGER PRIMARY KEY) STRICT`)
	boom := errors.New("boom")
	put := func(ctx context.Context, n int, fail error) error {
		return s.change(ctx, func(ctx context.Context, q querier) error {
			if _, err := q.ExecContext(ctx, `INSERT INTO notes VALUES (?)`, n); err != nil {
				return err
			}
			if fail == nil && n%7 == 3 {
				panic("seven")
			}
			return fail
		})
	}
	gone, cancel := context.WithCancel(s.ctx)
	cancel()
	var wg sync.WaitGroup
	for n := range 300 {
		wg.Go(func() {
			defer func() {
				if v := recover(); (v != nil) != (n%7 == 3 && n%5 != 1 && n%3 != 2) {
					t.Errorf("%d: panic %v", n, v)
				}
			}()
			ctx, fail, want := s.ctx, error(nil), error(nil)
			switch {
			case n%3 == 2:
				ctx, want = gone, context.Canceled
			case n%5 == 1:
				fail, want = boom, boom
			}
			if err := put(ctx, n, fail); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%d: got %v, want %v", n, err, want)
			}
		})
		if n%50 == 0 { // a transaction of another kind between them
			if err := s.SetPassword(s.ctx, "labeler a", "x"); err != nil {
				t.Error(err)
			}
		}
	}
	wg.Wait()
	want := 0
	for n := range 300 {
		if n%3 != 2 && n%5 != 1 && n%7 != 3 {
			want++
			if s.number(`SELECT count(*) FROM notes WHERE n = ?`, n) != 1 {
				t.Errorf("%d was reported as stored and is not there", n)
			}
		}
	}
	if got := s.number(`SELECT count(*) FROM notes`); got != want {
		t.Errorf("%d stored, want %d", got, want)
	}
}

// 50 labelers who send twice, skip, change their minds and let leases run out: exactly 3 rankings a task.
func TestManyLabelersAtOnce(t *testing.T) {
	ctx, db := context.Background(), openTest(t)
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("labeler %d", i))
	}
	ids := addLabelers(t, db, names...)
	if err := db.AddTasks(ctx, tasks(60, 3, 3)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n, me := range ids {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(n)))
			var holding []string
			for {
				a, err := db.Next(ctx, Ask{LabelerID: me, Holding: holding, TTL: time.Duration(1+r.IntN(8)) * time.Millisecond, Draw: backwards})
				if errors.Is(err, ErrNoTask) && len(holding) == 0 {
					return
				}
				if errors.Is(err, ErrNoTask) || errors.Is(err, ErrHolding) {
					holding = nil
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if r.IntN(10) == 0 {
					holding = append(holding[:0], a.PublicID) // put aside, to run out
					continue
				}
				holding = nil
				s := Submission{LabelerID: me, PublicID: a.PublicID, Ranks: []int{1, 2, 2}, Key: fmt.Sprint(r.Uint64())}
				first, err := db.Submit(ctx, s)
				again, err2 := db.Submit(ctx, s)
				if err != nil || err2 != nil || first.Revision != again.Revision || first.Extra != again.Extra {
					t.Error(first, again, err, err2)
					return
				}
				if r.IntN(5) == 0 {
					s.Key, s.Revision, s.Ranks = s.Key+"'", first.Revision, []int{3, 2, 1}
					if out, err := db.Submit(ctx, s); err != nil || out.Revision != first.Revision+1 {
						t.Error(out, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	per := map[int64]int{}
	for _, r := range all(t, db) {
		if !r.Extra {
			per[r.TaskID]++
		}
	}
	for id, n := range per {
		if n != 3 {
			t.Errorf("task %d has %d rankings", id, n)
		}
	}
	if len(per) != 60 {
		t.Errorf("%d tasks ranked", len(per))
	}
	checkCounters(t, db)
}
