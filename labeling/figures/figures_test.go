package figures_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"rlhf/labeling/figures"
	"rlhf/storage"
)

var day = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// A ranking of task by labeler, of responses numbered as they stand, by models a, b, c, with lengths 10, 20, 30.
func verdict(task, labeler int64, ranks ...int) storage.Verdict {
	v := storage.Verdict{TaskID: task, PromptID: 100 + task, Kind: storage.KindNormal, LabelerID: labeler, CreatedAt: day, ActiveMS: 2000, WallMS: 3000}
	for k, r := range ranks {
		v.Items = append(v.Items, storage.VerdictItem{CompletionID: 10*task + int64(k), Model: string(rune('a' + k)), Length: 10 * (k + 1), Rank: r})
		v.Shown = append(v.Shown, k)
	}
	return v
}

func with(v storage.Verdict, f func(*storage.Verdict)) storage.Verdict { f(&v); return v }

func compute(t *testing.T, threshold float64, verdicts []storage.Verdict, skips ...storage.SkipRecord) (figures.Figures, *figures.Collector) {
	t.Helper()
	c := figures.New()
	e := c.Evidence()
	e.Project(threshold, len(verdicts))
	for i, name := range []string{"ann", "bob", "cem"} {
		e.Labeler(storage.Labeler{ID: int64(i + 1), Name: name, Pseudonym: fmt.Sprintf("labeler-%d", i+1)})
	}
	for _, v := range verdicts {
		if err := e.Verdict(v); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range skips {
		e.Skip(s)
	}
	f, err := c.Figures()
	if err != nil {
		t.Fatal(err)
	}
	return f, c
}

func near(t *testing.T, what string, e *figures.Estimate, want float64, n int) {
	t.Helper()
	if e == nil || math.Abs(e.Value-want) > 1e-12 || e.N != n {
		t.Errorf("%s: got %+v, want %v of %d", what, e, want, n)
	}
}

// The example of stats' TestMeasureAgreement, which is counted by hand there, as rankings of tasks: 4 of 7 pairs strict, 4.5 with
// ties as half. Task 5 is a gold task, which is in no agreement; task 6 repeats task 1 for ann.
func example() []storage.Verdict {
	return []storage.Verdict{
		verdict(1, 1, 1, 2, 3), verdict(1, 2, 1, 1, 2),
		verdict(2, 1, 1, 2), verdict(2, 2, 2, 1), verdict(2, 3, 1, 2),
		verdict(3, 1, 1, 1), verdict(3, 2, 1, 1),
		verdict(4, 1, 2, 1),
		with(verdict(5, 1, 1, 2, 2), func(v *storage.Verdict) { v.Kind, v.Reference = storage.KindGold, []int{1, 2, 3} }),
		with(verdict(6, 1, 2, 1, 3), func(v *storage.Verdict) {
			v.Kind, v.RepeatOf = storage.KindRepeat, 1
			v.Items[0].CompletionID, v.Items[1].CompletionID, v.Items[2].CompletionID = 11, 10, 12 // numbered otherwise: b, a, c
		}),
	}
}

func TestAgreementByHand(t *testing.T) {
	f, _ := compute(t, 0, example())
	if f.Rankings != 10 || f.TasksShared != 3 || f.Prompts != 6 || f.Agreement.Pairs != 7 || f.Agreement.Items != 3 {
		t.Errorf("counts: %+v", f)
	}
	near(t, "strict", f.Agreement.Strict, 4.0/7, 7)
	near(t, "ties half", f.Agreement.TiesHalf, 4.5/7, 7)
	near(t, "tau", f.Tau, (2/math.Sqrt(6)-1)/4, 4)
	if len(f.Labelers) != 3 || f.Labelers[0].Name != "ann" || f.Labelers[0].Pseudonym != "labeler-1" {
		t.Fatalf("labelers: %+v", f.Labelers)
	}
	near(t, "ann with the others", f.Labelers[0].Agreement, 4.5/6, 6)
	near(t, "bob with the others, strict", f.Labelers[1].Strict, 0.5, 6)
	// The repeat ranks b 2, a 1, c 3: what ann said first, however it is numbered.
	near(t, "ann with herself", f.Labelers[0].Repeats, 1, 3)
	near(t, "repeats", f.Repeats, 1, 3)
	// The researcher's three pairs: a over b and a over c are right, b over c was tied.
	near(t, "gold", f.Labelers[0].Gold, 2.0/3, 3)
	if f.Labelers[1].Gold != nil || f.Labelers[1].Repeats != nil {
		t.Errorf("bob has neither gold tasks nor repeats: %+v", f.Labelers[1])
	}
	if p := f.PairsOfLabelers; len(p) != 3 || p[0].A != "ann" || p[0].B != "bob" || *p[0].TiesHalf != 0.7 || p[0].Pairs != 5 {
		t.Errorf("pairs of labelers: %+v", p)
	}
	if len(f.Cohen) != 3 || f.FleissRaters == 0 || f.CohenMean == nil || f.Alpha.Ordinal == nil {
		t.Errorf("reliability: %+v", f)
	}
	// 7 places of tasks 1 to 3 are ranked by two or more.
	if f.Alpha.Interval.N != 7 {
		t.Errorf("units: got %d, want 7", f.Alpha.Interval.N)
	}
	if f.Labelers[0].Pairs != 3+1+1+1+3+3 || f.Labelers[0].Ties != 2 || f.Labelers[0].Rankings != 6 {
		t.Errorf("ann: %+v", f.Labelers[0])
	}
}

// Two prompts. The first shows c, a, b and ranks a 1, b 2, c 2: of the pairs in the order shown (c,a), (c,b), (a,b) the earlier one
// wins 0, 1/2, 1. The second shows b, a and ranks b 1, a 2: 1. By place: the first wins .5 of 2 and 1 of 1, the second 1+1 of 2 and
// 0 of 1, the third .5+0 of 2. Longer ones: b over a 0, c over a 0, c over b 1/2, then b over a 1.
func TestOrderAndLengthByHand(t *testing.T) {
	f, _ := compute(t, 0, []storage.Verdict{
		with(verdict(1, 1, 1, 2, 2), func(v *storage.Verdict) { v.Shown = []int{2, 0, 1} }),
		with(verdict(2, 2, 2, 1), func(v *storage.Verdict) { v.Shown = []int{1, 0} }),
		with(verdict(3, 2, 1, 2), func(v *storage.Verdict) { v.Imported = true; v.Items[1].Length = 10 }),
	})
	near(t, "first wins", f.Position.FirstWins, 2.5/4, 4)
	for i, want := range []struct {
		value float64
		n     int
	}{{1.5 / 3, 3}, {2.0 / 3, 3}, {0.5 / 2, 2}} {
		if len(f.Position.ByPlace) != 3 {
			t.Fatalf("places: %+v", f.Position.ByPlace)
		}
		near(t, fmt.Sprintf("place %d", i+1), f.Position.ByPlace[i].Wins, want.value, want.n)
	}
	near(t, "longer wins", f.Length.LongerWins, 1.5/4, 4)
	// tau-b of lengths and goodness: first (0-2)/sqrt(3*2), second 1; in the third the lengths are equal.
	near(t, "length correlation", f.Length.Correlation, (-2/math.Sqrt(6)+1)/2, 2)
	near(t, "bob's longer share", f.Labelers[1].LongerShare, 1, 1)
	if f.Imported != 1 || f.Time.N != 2 || len(f.Throughput) != 1 || f.Throughput[0].Rankings != 2 {
		t.Errorf("what was made elsewhere has no times: %+v %+v", f.Time, f.Throughput)
	}
}

// Seven wins of a over b, two losses and a tie on ten prompts: odds of three to one, 190.8485 Elo apart (LABELING.md's closed form).
func TestModelsByHand(t *testing.T) {
	var verdicts []storage.Verdict
	for i := range int64(10) {
		ranks := [][]int{{1, 2}, {2, 1}, {1, 1}}[map[bool]int{true: 0}[i < 7]+map[bool]int{true: 1}[i == 7 || i == 8]+map[bool]int{true: 2}[i == 9]]
		verdicts = append(verdicts, verdict(i, 1, ranks...))
	}
	f, _ := compute(t, 0, verdicts)
	if f.ModelsNote != "" || len(f.Models) != 2 || f.Models[0].Model != "a" {
		t.Fatalf("models: %q %+v", f.ModelsNote, f.Models)
	}
	a, b := f.Models[0], f.Models[1]
	if a.Wins != 7 || a.Losses != 2 || a.Ties != 1 || b.Wins != 2 || b.Losses != 7 || b.Ties != 1 {
		t.Errorf("counts: %+v %+v", a, b)
	}
	if math.Abs(a.Elo-b.Elo-190.8485) > 5e-5 || math.Abs(a.Theta.Value-math.Log(3)/2) > 1e-9 || !(*a.EloLow < a.Elo && a.Elo < *a.EloHigh) {
		t.Errorf("strengths: %+v %+v", a, b)
	}
	if want := [][]string{{"a"}, {"b"}}; !reflect.DeepEqual(f.Consensus.Order, want) || f.Consensus.Margins[0][1] != 5 {
		t.Errorf("consensus: %+v", f.Consensus)
	}
	// Without a loss there is no finite maximum, and the figures say what was done.
	f, _ = compute(t, 0, verdicts[:7])
	if f.ModelsNote != figures.NotePrior || len(f.Models) != 2 || !(f.Models[0].Elo > f.Models[1].Elo) {
		t.Errorf("never beaten: %q %+v", f.ModelsNote, f.Models)
	}
	for i := range verdicts {
		for k := range verdicts[i].Items {
			verdicts[i].Items[k].Model = ""
		}
	}
	f, _ = compute(t, 0, verdicts)
	if f.ModelsNote != figures.NoteNone || len(f.Models) != 0 {
		t.Errorf("without models: %q %+v", f.ModelsNote, f.Models)
	}
}

// The best of three was chosen: that says nothing of the other two.
func TestChoices(t *testing.T) {
	f, _ := compute(t, 0, []storage.Verdict{
		with(verdict(1, 1, 1, 2, 2), func(v *storage.Verdict) { v.Choice = true }), verdict(1, 2, 1, 2, 3),
		with(verdict(2, 1, 1, 2), func(v *storage.Verdict) { v.Choice = true }), verdict(2, 2, 1, 2),
	})
	if f.Choices != 1 || f.Agreement.Pairs != 1 || f.TasksShared != 1 {
		t.Errorf("choices %d, pairs %d, shared %d, want 1, 1, 1", f.Choices, f.Agreement.Pairs, f.TasksShared)
	}
	for _, m := range f.Models {
		if m.Model == "c" && (m.Ties != 0 || m.Losses != 3) {
			t.Errorf("c was not compared with b by who chose a: %+v", m)
		}
	}
}

// ann is right about two of the researcher's three pairs and ties the third, bob has all wrong.
func TestCalibrationByHand(t *testing.T) {
	calibrate := func(v *storage.Verdict) { v.Kind, v.Reference = storage.KindCalibration, []int{1, 2, 3} }
	f, _ := compute(t, 0, []storage.Verdict{with(verdict(1, 1, 1, 2, 2), calibrate), with(verdict(1, 2, 3, 2, 1), calibrate), verdict(2, 1, 1, 2)})
	c := f.Calibration
	if c.Tasks != 1 || len(c.Labelers) != 2 {
		t.Fatalf("calibration: %+v", c)
	}
	near(t, "strict", c.Strict, 2.0/6, 6)
	near(t, "ties half", c.TiesHalf, 2.5/6, 6)
	near(t, "ann", c.Labelers[0].TiesHalf, 2.5/3, 3)
	near(t, "bob's tau", c.Labelers[1].Tau, -1, 1)
}

func TestTimesByHand(t *testing.T) {
	at := func(after time.Duration, active int64) func(*storage.Verdict) {
		return func(v *storage.Verdict) { v.CreatedAt, v.ActiveMS = day.Add(after), active }
	}
	verdicts := []storage.Verdict{
		with(verdict(1, 1, 1, 2), at(0, 1000)), with(verdict(2, 1, 1, 2), at(10*time.Minute, 2000)), with(verdict(3, 2, 1, 2, 3), at(2*time.Hour, 4000)),
		with(verdict(4, 2, 1, 2), at(2*time.Hour, 0)), // a program, which reports no time
	}
	skip := storage.SkipRecord{LabelerID: 2, CreatedAt: day.Add(2*time.Hour + time.Minute), Reason: "unsafe", ActiveMS: 500}
	f, _ := compute(t, 0, verdicts, skip)
	want := []figures.Period{{Hour: "2026-03-02T09:00:00Z", Rankings: 2, ActiveMS: 3000}, {Hour: "2026-03-02T10:00:00Z"}, {Hour: "2026-03-02T11:00:00Z", Rankings: 2, Skips: 1, ActiveMS: 4500}}
	if !reflect.DeepEqual(f.Throughput, want) {
		t.Errorf("throughput: got %+v, want %+v", f.Throughput, want)
	}
	if f.Time.N != 3 || *f.Time.ActiveMS.P25 != 1500 || *f.Time.ActiveMS.Median != 2000 || *f.Time.ActiveMS.P75 != 3000 || f.Time.TotalMS != 7000 {
		t.Errorf("time: %+v", f.Time)
	}
	if want := []figures.TimeOfK{{2, 2, 1500}, {3, 1, 4000}}; !reflect.DeepEqual(f.Time.ByK, want) {
		t.Errorf("by k: got %+v, want %+v", f.Time.ByK, want)
	}
	if f.SkipReasons["unsafe"] != 1 || f.Labelers[1].Skips != 1 || *f.Labelers[1].MedianActiveMS != 4000 || f.Labelers[2].MedianActiveMS != nil {
		t.Errorf("labelers: %+v", f.Labelers)
	}
	verdicts[2].CreatedAt = day.Add(96 * time.Hour)
	f, _ = compute(t, 0, verdicts)
	if n := len(f.Throughput); n != 5 || f.Throughput[0] != (figures.Period{Day: "2026-03-02", Rankings: 3, ActiveMS: 3000}) || f.Throughput[4].Day != "2026-03-06" {
		t.Errorf("by day: %+v", f.Throughput)
	}
}

// Two responses of one task: overall 5 and 5, 2 and 4; harmful no and no, yes and no. Of four answers one is yes. Nominal alpha of
// harmful: units (0,0), (1,0); coincidences o00 = 2, o01 = o10 = 1; n0 = 3, n1 = 1, n = 4; 1 - 3*2/(2*3) = 0. Ordinal alpha of overall
// has values 2, 4, 5 with n 1, 1, 2: delta 2,4 is (1+1 - 1)^2 = 1; 4,5 (1+2-1.5)^2 = 2.25; 2,5 (1+1+2-1.5)^2 = 6.25; observed 2*1,
// expected 2*(1*1*1 + 1*2*2.25 + 1*2*6.25) = 36; 1 - 3*2/36 = 5/6.
func TestAnswersByHand(t *testing.T) {
	rate := func(a, b map[string]float64) func(*storage.Verdict) {
		return func(v *storage.Verdict) { v.Items[0].Ratings, v.Items[1].Ratings = a, b }
	}
	f, _ := compute(t, 0, []storage.Verdict{
		with(verdict(1, 1, 1, 2), rate(map[string]float64{"overall": 5, "harmful": 0}, map[string]float64{"overall": 2, "harmful": 1})),
		with(verdict(1, 2, 1, 2), rate(map[string]float64{"overall": 5, "harmful": 0}, map[string]float64{"overall": 4, "harmful": 0})),
	})
	if len(f.Answers) != 2 || f.Answers[0].Key != "overall" || f.Answers[0].Share != nil || f.Answers[1].Mean != nil {
		t.Fatalf("answers: %+v", f.Answers)
	}
	near(t, "overall", f.Answers[0].Mean, 4, 4)
	near(t, "overall alpha", f.Answers[0].Alpha, 5.0/6, 2)
	near(t, "harmful", f.Answers[1].Share, 0.25, 4)
	near(t, "harmful alpha", f.Answers[1].Alpha, 0, 2)
}

func TestAnomalies(t *testing.T) {
	var verdicts []storage.Verdict
	var skips []storage.SkipRecord
	for i := range int64(40) {
		honest := []int{1, 2, 3}
		if i%2 == 1 {
			honest = []int{3, 1, 2}
		}
		gold := func(v *storage.Verdict) {
			v.Shown = [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {2, 0, 1}}[i/2%4]
			if i >= 36 {
				v.Kind, v.Reference = storage.KindGold, honest
			}
		}
		verdicts = append(verdicts, with(verdict(i, 1, honest...), gold), with(verdict(i, 3, honest...), gold))
		// bob sends the order shown at once, whatever it is.
		verdicts = append(verdicts, with(verdict(i, 2, 1, 2, 3), func(v *storage.Verdict) {
			gold(v)
			v.ActiveMS = 100
			shown := [][]int{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}}[i%3]
			v.Shown = shown
			for place, k := range shown {
				v.Items[k].Rank = place + 1
			}
		}))
		skips = append(skips, storage.SkipRecord{LabelerID: 3, CreatedAt: day, Reason: "other"}, storage.SkipRecord{LabelerID: 3, CreatedAt: day, Reason: "other"})
	}
	f, _ := compute(t, 0.8, verdicts, skips...)
	kinds := func(l figures.Labeler) (out []string) {
		for _, a := range l.Anomalies {
			out = append(out, a.Kind)
			if a.N == 0 {
				t.Errorf("%s: %+v counts nothing", l.Name, a)
			}
		}
		return out
	}
	if got := kinds(f.Labelers[0]); len(got) != 0 {
		t.Errorf("ann works honestly: got %v", f.Labelers[0].Anomalies)
	}
	if got := fmt.Sprint(kinds(f.Labelers[1])); got != "[too_fast one_sided unchanged at_chance gold_low]" {
		t.Errorf("bob: got %s", got)
	}
	if got := fmt.Sprint(kinds(f.Labelers[2])); got != "[many_skips]" {
		t.Errorf("cem: got %s", got)
	}
	// Shown, never dropped: bob's rankings count like others.
	if f.Rankings != 120 || f.Labelers[1].Rankings != 40 {
		t.Errorf("got %d rankings, of bob %d", f.Rankings, f.Labelers[1].Rankings)
	}
	known := map[string]bool{}
	for _, l := range f.AnomalyLimits {
		known[l.Kind] = true
	}
	for _, k := range kinds(f.Labelers[1]) {
		if !known[k] {
			t.Errorf("%s is not described", k)
		}
	}
}

func TestDisputes(t *testing.T) {
	_, c := compute(t, 0, example())
	want := []figures.Dispute{{2, 3, 1 - 1.0/3}, {1, 2, 1 - 2.5/3}, {3, 2, 0}}
	got := c.Disputes()
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i, w := range want {
		if got[i].Task != w.Task || got[i].Rankings != w.Rankings || math.Abs(got[i].Disagreement-w.Disagreement) > 1e-15 {
			t.Errorf("got %+v, want %+v", got[i], w)
		}
	}
}

// An empty project has figures without numbers, lists rather than nulls, and JSON.
func TestNothing(t *testing.T) {
	c := figures.New()
	f, err := c.Figures()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"strict":null`, `"labelers":[]`, `"models":[]`, `"models_note":"none"`, `"order":[]`, `"throughput":[]`, `"answers":[]`, `"by_place":[]`, `"cohen":[]`, `"pairs_of_labelers":[]`, `"skip_reasons":{}`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s lacks %s", raw, want)
		}
	}
}

// Equal rankings give equal bytes, and thousands of prompts as blocks the interval they give one by one: of n prompts, half agree,
// and the interval is .5 -+ 1.96 sqrt(.25/n).
func TestBlocksKeepTheInterval(t *testing.T) {
	const n = 20000
	var verdicts []storage.Verdict
	for i := range int64(n) {
		second := []int{1, 2}
		if i*2654435761%4096 < 2048 {
			second = []int{2, 1}
		}
		verdicts = append(verdicts, verdict(i, 1, 1, 2), verdict(i, 2, second...))
	}
	f, _ := compute(t, 0, verdicts)
	e := f.Agreement.TiesHalf
	half := 1.96 * math.Sqrt(0.25/n)
	if e == nil || math.Abs(e.Value-0.5) > 0.01 || math.Abs((*e.High-*e.Low)/2-half) > 0.1*half {
		t.Errorf("got %v from %v to %v, want half a width of %v", e.Value, *e.Low, *e.High, half)
	}
	again, _ := compute(t, 0, verdicts)
	a, _ := json.Marshal(f)
	b, _ := json.Marshal(again)
	if string(a) != string(b) {
		t.Error("equal rankings gave different figures")
	}
}
