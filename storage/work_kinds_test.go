package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// of returns tasks of a kind with a reference that ranks the completions in their order.
func of(kind string, n, k, overlap int) (out []Task) {
	for i, task := range tasks(n, k, overlap) {
		task.Prompt = fmt.Sprintf("%s %d", kind, i)
		task.Kind = kind
		ref := Reference{Note: "because"}
		for j := range k {
			ref.Ranks = append(ref.Ranks, j+1)
		}
		if kind != KindNormal {
			task.Reference = &ref
		}
		out = append(out, task)
	}
	return out
}

func (s *shift) kind(a Assignment) (kind string) {
	s.t.Helper()
	if err := s.r.QueryRow(`SELECT kind FROM tasks WHERE id = ?`, a.TaskID).Scan(&kind); err != nil {
		s.t.Fatal(err)
	}
	return kind
}

func TestTrainingComesFirstWithFeedback(t *testing.T) {
	s := newShift(t, 2, slices.Concat(of(KindNormal, 2, 3, 2), of(KindTraining, 2, 3, 0)))
	for labeler := range 2 {
		for i, ranks := range [][]int{{3, 2, 1}, {1, 2, 2}} { // drawn backwards: the first is the reference itself
			a := s.next(labeler)
			if s.kind(a) != KindTraining {
				t.Fatalf("labeler %d, task %d is %s", labeler, i, s.kind(a))
			}
			out := s.submit(labeler, a, ranks...)
			want := []Feedback{{Right: 3, Pairs: 3}, {Right: 0, Pairs: 3}}[i]
			if f := out.Feedback; f == nil || f.Right != want.Right || f.Pairs != 3 || !slices.Equal(f.Ranks, []int{3, 2, 1}) || f.Note != "because" {
				t.Errorf("feedback %+v, want %+v", f, want)
			}
		}
		if st, err := s.Standing(s.ctx, s.ids[labeler]); err != nil || st.TrainingLeft != 0 || st.Done != 2 || st.Remaining != 2 {
			t.Errorf("%+v, %v", st, err)
		}
		a := s.next(labeler)
		if s.kind(a) != KindNormal {
			t.Errorf("after the training: %s", s.kind(a))
		}
		if out := s.submit(labeler, a, 1, 2, 3); out.Feedback != nil {
			t.Errorf("feedback to a real task: %+v", out.Feedback)
		}
	}
	for _, r := range all(t, s.DB) {
		if r.Prompt[:6] == "traini" {
			t.Error("a training ranking is among the data")
		}
	}
}

func TestWorkShowsNoKind(t *testing.T) {
	for _, kind := range []string{KindNormal, KindCalibration, KindGold, KindHoneypot} {
		s := newShift(t, 1, of(kind, 1, 2, 1))
		s.settings(func(x *Settings) { x.GoldShare, x.CalibrationShare = .5, .4 })
		w, err := s.Work(s.ctx, s.ids[0], s.next(0).PublicID)
		if err != nil || w.Kind != KindNormal {
			t.Errorf("%s shows as %q, %v", kind, w.Kind, err)
		}
	}
}

// The draw decides which kind the labeler's n-th task is of; where none is left it is a normal one.
func TestSharesOfKinds(t *testing.T) {
	s := newShift(t, 1, slices.Concat(of(KindNormal, 6, 2, 1), of(KindCalibration, 2, 2, 0), of(KindGold, 1, 2, 0), of(KindHoneypot, 1, 2, 0)))
	s.settings(func(x *Settings) { x.CalibrationShare, x.GoldShare, x.RepeatShare = .2, .2, .2 })
	draws := []float64{.9, .1, .31, .35, .25, .5, .199, .19, .61, .99}
	want := []string{KindNormal, KindCalibration, KindHoneypot, KindGold, KindNormal, KindNormal, KindCalibration, KindNormal, KindNormal, KindNormal}
	for i := range want {
		a, err := s.Next(s.ctx, Ask{LabelerID: s.ids[0], TTL: time.Minute, Draw: backwards, Share: func(project, labeler int64, n int) float64 {
			if project != DefaultProject || labeler != s.ids[0] || n != i {
				t.Errorf("drawn for project %d, labeler %d, task %d; want %d", project, labeler, n, i)
			}
			return draws[n]
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.kind(a.Assignment); got != want[i] {
			t.Errorf("task %d, drawn %v: %s, want %s", i, draws[i], got, want[i])
		}
		s.submit(0, a.Assignment, 1, 2)
	}
	if a := s.next(0); a.TaskID != 0 {
		t.Errorf("an eleventh task: %s", s.kind(a))
	}
}

func TestCalibrationIsForEverybody(t *testing.T) {
	s := newShift(t, 3, of(KindCalibration, 2, 2, 0))
	for labeler := range 3 {
		for range 2 {
			s.submit(labeler, s.next(labeler), 1, 2)
		}
		if a := s.next(labeler); a.TaskID != 0 {
			t.Errorf("labeler %d gets %+v again", labeler, a)
		}
	}
	if got := all(t, s.DB); len(got) != 6 || slices.ContainsFunc(got, func(r Ranking) bool { return r.Extra }) {
		t.Errorf("%d rankings", len(got))
	}
}

func TestRepeats(t *testing.T) {
	s := newShift(t, 1, of(KindNormal, 40, 3, 1))
	s.settings(func(x *Settings) { x.RepeatShare = .5 })
	always := func(int64, int64, int) float64 { return 0 }
	var order, repeated []int64
	for i := range 30 {
		a, err := s.Next(s.ctx, Ask{LabelerID: s.ids[0], TTL: time.Minute, Draw: backwards, Share: always})
		if err != nil {
			t.Fatal(err)
		}
		if s.kind(a.Assignment) == KindRepeat {
			original := int64(s.number(`SELECT repeat_of FROM tasks WHERE id = ?`, a.TaskID))
			if i < 20 {
				t.Fatalf("a repeat of task %d after %d others", original, i)
			}
			if since := len(order) - 1 - slices.Index(order, original); since < 20 {
				t.Errorf("task %d comes again after %d others", original, since)
			}
			if slices.Contains(repeated, original) {
				t.Errorf("task %d comes a third time", original)
			}
			repeated = append(repeated, original)
			w, err := s.Work(s.ctx, s.ids[0], a.PublicID)
			if err != nil || w.Prompt != fmt.Sprintf("normal %d", original-1) || len(w.Responses) != 3 || w.Kind != KindNormal {
				t.Errorf("%+v, %v", w, err)
			}
		}
		order = append(order, a.TaskID)
		s.submit(0, a.Assignment, 1, 2, 3)
		s.now = s.now.Add(time.Second)
	}
	if len(repeated) == 0 {
		t.Error("nothing was repeated")
	}
	// A day later what was ranked the day before may come again, however few there are.
	s = newShift(t, 1, of(KindNormal, 3, 2, 1))
	s.settings(func(x *Settings) { x.RepeatShare = .5 })
	s.submit(0, s.next(0), 1, 2)
	s.now = s.now.Add(25 * time.Hour)
	a, err := s.Next(s.ctx, Ask{LabelerID: s.ids[0], TTL: time.Minute, Draw: backwards, Share: always})
	if err != nil || s.kind(a.Assignment) != KindRepeat {
		t.Errorf("a day later: %s, %v", s.kind(a.Assignment), err)
	}
	if st, err := s.Standing(s.ctx, s.ids[0]); err != nil || st.Remaining != 3 || st.Done != 1 || st.Today != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	checkCounters(t, s.DB)
}

// Below the threshold over the window a labeler is paused, until an admin resumes them; then the window begins anew.
func TestGoldPauses(t *testing.T) {
	s := newShift(t, 2, slices.Concat(of(KindNormal, 1, 3, 5), of(KindGold, 20, 3, 0)))
	s.settings(func(x *Settings) { x.GoldShare, x.GoldThreshold, x.GoldWindow = .5, .6, 3 })
	gold := func(ranks ...int) Assignment {
		t.Helper()
		a, err := s.Next(s.ctx, Ask{LabelerID: s.ids[0], TTL: time.Minute, Draw: backwards, Share: func(int64, int64, int) float64 { return 0 }})
		if err != nil || s.kind(a.Assignment) != KindGold {
			t.Fatalf("%+v, %v", a, err)
		}
		s.submit(0, a.Assignment, ranks...)
		return a.Assignment
	}
	paused := func() string {
		st, err := s.Standing(s.ctx, s.ids[0])
		if err != nil {
			t.Fatal(err)
		}
		return st.Paused
	}
	right, wrong, half := []int{3, 2, 1}, []int{1, 2, 3}, []int{2, 1, 1} // 3, 0 and 2 of 3 pairs: a tie is not the order asked for
	for range 2 {
		gold(wrong...)
		if paused() != "" {
			t.Fatal("paused before the window is full")
		}
	}
	gold(right...) // 0 + 0 + 3 of 9 pairs: below 0.6
	if paused() != "gold" {
		t.Fatal("3 of 9 pairs, and not paused")
	}
	if a := s.next(0); a.TaskID != 0 {
		t.Errorf("a paused labeler gets %+v", a)
	}
	if a := s.next(1); a.TaskID == 0 {
		t.Error("another labeler gets nothing")
	}
	if err := s.Resume(s.ctx, DefaultProject, s.ids[1]); !errors.Is(err, ErrNotFound) {
		t.Errorf("resumed who was not paused: %v", err)
	}
	if err := s.Resume(s.ctx, DefaultProject, s.ids[0]); err != nil || paused() != "" {
		t.Fatalf("resumed: %v, paused %q", err, paused())
	}
	gold(half...)
	gold(half...)
	gold(half...) // 6 of 9 is above 0.6
	if paused() != "" {
		t.Error("6 of 9 pairs, and paused")
	}
	s.settings(func(x *Settings) { x.GoldThreshold = .7 })
	b := gold(half...) // 6 of 9 is below 0.7
	if paused() != "gold" {
		t.Error("6 of 9 pairs, and not paused at 0.7")
	}
	if got := s.number(`SELECT sum(correct) * 100 + sum(pairs) FROM gold_scores`); got != 11*100+21 {
		t.Errorf("scores sum to %d", got)
	}
	// A change of a gold answer is scored in place of the first.
	if _, err := s.Submit(s.ctx, Submission{LabelerID: s.ids[0], PublicID: b.PublicID, Ranks: right, Revision: 1}); err != nil {
		t.Error(err)
	}
	if n := s.number(`SELECT count(*) FROM gold_scores g JOIN rankings r ON r.id = g.ranking_id WHERE r.replaced = 0`); n != 7 {
		t.Errorf("%d scores hold, want 7", n)
	}
}

// checkCounters fails unless what triggers count is what counting gives.
func checkCounters(t *testing.T, db *DB) {
	t.Helper()
	for name, query := range map[string]string{
		"stocks": `SELECT project_id, kind, sum(open = 1 AND withdrawn = 0 AND assigned_to IS NULL) AS free FROM tasks GROUP BY 1, 2 HAVING free > 0
			EXCEPT SELECT project_id, kind, free FROM stocks`,
		"stocks of nothing": `SELECT project_id, kind, free FROM stocks WHERE free > 0
			EXCEPT SELECT project_id, kind, sum(open = 1 AND withdrawn = 0 AND assigned_to IS NULL) FROM tasks GROUP BY 1, 2`,
		"tallies": `SELECT a.labeler_id, t.project_id, t.kind, count(*), sum(a.done), sum(a.done = 1 AND t.open = 1 AND t.withdrawn = 0 AND (t.assigned_to IS NULL OR t.assigned_to = a.labeler_id))
			FROM assignments a JOIN tasks t ON t.id = a.task_id GROUP BY 1, 2, 3 EXCEPT SELECT labeler_id, project_id, kind, given, done, covered FROM tallies`,
		"tallies of nothing": `SELECT labeler_id, project_id, kind FROM tallies WHERE given + done + covered > 0
			EXCEPT SELECT a.labeler_id, t.project_id, t.kind FROM assignments a JOIN tasks t ON t.id = a.task_id`,
		"done": `SELECT id, done, open FROM tasks EXCEPT SELECT t.id, (SELECT count(*) FROM rankings r WHERE r.task_id = t.id AND r.sealed = 1 AND r.replaced = 0 AND r.extra = 0),
			t.overlap = 0 OR t.overlap > (SELECT count(*) FROM rankings r WHERE r.task_id = t.id AND r.sealed = 1 AND r.replaced = 0 AND r.extra = 0) FROM tasks t`,
	} {
		rows, err := db.r.Query(query)
		bad, err := collect(rows, err, func(rows *sql.Rows) (string, error) {
			columns, _ := rows.Columns()
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			err := rows.Scan(values...)
			text := ""
			for _, v := range values {
				text += fmt.Sprint(*v.(*any), " ")
			}
			return text, err
		})
		if err != nil || len(bad) > 0 {
			t.Errorf("%s: wrong rows %q, %v", name, bad, err)
		}
	}
}

// naive is the search without frontiers and counters: the task of the highest priority and least id that the labeler has not
// done and that others leave room for.
const naive = `SELECT coalesce((SELECT t.id FROM tasks t
	WHERE t.kind = 'normal' AND t.withdrawn = 0 AND (t.assigned_to IS NULL OR t.assigned_to = ?1)
	  AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.task_id = t.id AND a.labeler_id = ?1 AND (a.done = 1 OR a.expires_at > ?2))
	  AND (t.overlap = 0 OR (SELECT count(*) FROM rankings r WHERE r.task_id = t.id AND r.replaced = 0 AND r.extra = 0)
	    + (SELECT count(*) FROM assignments a WHERE a.task_id = t.id AND a.labeler_id <> ?1 AND a.done = 0 AND a.expires_at > ?2) < t.overlap)
	ORDER BY t.priority DESC, t.id LIMIT 1), 0)`

// Whatever labelers and admins do, Next finds what a naive search finds, and the counters count.
func TestSearchIsTheNaiveOne(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(7, seed))
		s := newShift(t, 4, tasks(30, 2, 2))
		added := 30
		answered := map[string]int{} // revision by labeler and public id
		var done []Assignment
		var whose []int
		for step := range 600 {
			labeler := r.IntN(4)
			task := 1 + r.IntN(added)
			switch r.IntN(14) {
			case 0:
				s.now = s.now.Add(time.Duration(r.IntN(90)) * time.Second)
			case 1:
				s.exec(`UPDATE tasks SET priority = ? WHERE id = ?`, r.IntN(3)-1, task)
			case 2:
				s.exec(`UPDATE tasks SET withdrawn = 1 - withdrawn WHERE id = ?`, task)
			case 3:
				s.exec(`UPDATE tasks SET overlap = ? WHERE id = ?`, r.IntN(4), task)
			case 4:
				s.exec(`UPDATE tasks SET assigned_to = ? WHERE id = ?`, []any{nil, nil, s.ids[labeler]}[r.IntN(3)], task)
			case 5:
				s.exec(`UPDATE tasks SET kind = ? WHERE id = ?`, []string{KindNormal, KindNormal, KindExample}[r.IntN(3)], task)
			case 6:
				list := tasks(1, 2, 2)
				list[0].Priority, list[0].Prompt = r.IntN(3)-1, fmt.Sprintf("added %d", added)
				if err := s.AddTasks(s.ctx, list); err != nil {
					t.Fatal(err)
				}
				added++
			case 7: // another answer to one of the last
				if len(done) > 0 {
					i := len(done) - 1 - r.IntN(min(len(done), 8))
					a, by := done[i], whose[i]
					var err error
					if n := answered[a.PublicID]; r.IntN(2) == 0 {
						_, err = s.Submit(s.ctx, Submission{LabelerID: s.ids[by], PublicID: a.PublicID, Ranks: []int{1, 1}, Revision: n})
					} else {
						_, err = s.Skip(s.ctx, Skip{LabelerID: s.ids[by], PublicID: a.PublicID, Reason: "other", Revision: n})
					}
					if err == nil {
						answered[a.PublicID]++
					} else if !errors.Is(err, ErrTooLate) {
						t.Fatal(err)
					}
				}
			default:
				var live int
				rows, err := s.r.Query(liveQuery, s.ids[labeler], s.now.UnixMilli())
				held, err := collect(rows, err, func(rows *sql.Rows) (string, error) { live++; return "", nil })
				if err != nil {
					t.Fatal(err)
				}
				want := 0
				if len(held) == 0 {
					want = s.number(naive, s.ids[labeler], s.now.UnixMilli())
				}
				a := s.next(labeler)
				if len(held) == 0 && a.TaskID != int64(want) {
					t.Fatalf("seed %d, step %d: labeler %d got task %d, a naive search finds %d", seed, step, labeler, a.TaskID, want)
				}
				if a.TaskID == 0 || r.IntN(4) == 0 {
					continue
				}
				if r.IntN(5) == 0 {
					_, err = s.Skip(s.ctx, Skip{LabelerID: s.ids[labeler], PublicID: a.PublicID, Reason: "other"})
				} else {
					_, err = s.Submit(s.ctx, Submission{LabelerID: s.ids[labeler], PublicID: a.PublicID, Ranks: []int{1, 2}})
				}
				if err != nil {
					t.Fatal(err)
				}
				answered[a.PublicID] = 1
				done, whose = append(done, a), append(whose, labeler)
				s.now = s.now.Add(time.Millisecond)
			}
		}
		checkCounters(t, s.DB)
	}
}

// A change of an answer opens its task for a moment; that sends nobody back who has done the task.
func TestChangesLeaveFrontiers(t *testing.T) {
	s := newShift(t, 2, tasks(30, 2, 1))
	s.exec(`UPDATE tasks SET overlap = 3 WHERE id > 1`)
	s.exec(`UPDATE tasks SET overlap = 2 WHERE id = 1`)
	early := s.next(1)
	s.submit(1, early, 1, 2)
	for range 20 {
		s.submit(0, s.next(0), 1, 2)
	}
	s.next(0)
	const frontier = `SELECT task_id FROM frontiers WHERE kind = 'normal' AND labeler_id = ?`
	if got := s.number(frontier, s.ids[0]); got != 20 {
		t.Fatalf("after 20 tasks the frontier is at %d", got)
	}
	if _, err := s.Submit(s.ctx, Submission{LabelerID: s.ids[1], PublicID: early.PublicID, Ranks: []int{2, 1}, Revision: 1}); err != nil {
		t.Fatal(err)
	}
	if got := s.number(frontier, s.ids[0]); got != 20 {
		t.Errorf("after another's change the frontier is at %d", got)
	}
	checkCounters(t, s.DB)
}
