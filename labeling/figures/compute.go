package figures

import (
	"cmp"
	"slices"
	"time"

	"rlhf/internal/stats"
)

// Figures returns the figures of what was collected.
func (c *Collector) Figures() (Figures, error) {
	f := &c.figures
	f.Prompts, f.Rounds = len(c.prompts), rounds
	for _, p := range stats.PublishedAgreement() {
		f.PublishedResults = append(f.PublishedResults, PublishedRate(p))
	}
	slices.SortStableFunc(c.order, func(a, b int64) int { return byName(func(id int64) string { return c.names[id].Name })(a, b) })
	f.Labelers = make([]Labeler, len(c.order))
	c.agreement()
	c.reliability()
	c.labelers()
	f.Position = Position{FirstWins: c.position.estimate("position"), ByPlace: []Place{}}
	for i := range c.places {
		if e := c.places[i].estimate("place"); e != nil {
			f.Position.ByPlace = append(f.Position.ByPlace, Place{i + 1, e})
		}
	}
	f.Length = Length{c.longer.estimate("longer"), c.lengths.estimate("length")}
	if err := c.models(); err != nil {
		return Figures{}, err
	}
	c.calibration()
	f.Throughput = throughput(c.work)
	c.times()
	f.Answers = c.answered()
	f.AnomalyLimits = c.limits()
	return *f, nil
}

// agreement fills in the raw agreement of all, of each labeler with the others and with themselves, and of each pair.
func (c *Collector) agreement() {
	f := &c.figures
	for _, t := range c.items {
		if len(t.Rankings) >= 2 {
			f.TasksShared++
		}
	}
	a := stats.MeasureAgreement(c.items, rounds, stream("agreement"))
	f.Agreement = Agreement{estimate(a.Strict, a.Pairs), estimate(a.TiesHalf, a.Pairs), a.Pairs, a.Items}
	f.Tau = estimate(a.KendallTauB, a.Comparisons)
	f.PairsOfLabelers = []LabelerPair{}
	for _, p := range a.Labelers {
		f.PairsOfLabelers = append(f.PairsOfLabelers, LabelerPair{p.A, p.B, defined(p.Strict), defined(p.TiesHalf), defined(p.KendallTauB), p.Pairs})
	}
	at := map[string]*Labeler{}
	for i, id := range c.order {
		f.Labelers[i].Name, f.Labelers[i].Pseudonym = c.names[id].Name, c.names[id].Pseudonym
		at[f.Labelers[i].Name] = &f.Labelers[i]
	}
	for _, one := range a.Against {
		l := at[one.Labeler]
		l.Agreement, l.Strict, l.Tau = estimate(one.TiesHalf, one.Pairs), estimate(one.Strict, one.Pairs), estimate(one.KendallTauB, one.Comparisons)
	}
	all, each := stats.MeasureRepeats(c.repeats(), rounds, stream("repeats"))
	f.Repeats = estimate(all.TiesHalf, all.Pairs)
	for _, one := range each {
		at[one.Labeler].Repeats = estimate(one.TiesHalf, one.Pairs)
	}
}

// reliability fills in the measures that are corrected for chance.
func (c *Collector) reliability() {
	f := &c.figures
	m := stats.MeasureReliability(c.items, rounds, stream("reliability"))
	f.Alpha = Alpha{estimate(m.Nominal, m.Units), estimate(m.Ordinal, m.Units), estimate(m.Interval, m.Units)}
	f.Fleiss, f.FleissRaters = estimate(m.Fleiss, m.Subjects), m.Raters
	f.Cohen = []Kappa{}
	verdicts := 0
	for _, p := range m.Pairs {
		f.Cohen = append(f.Cohen, Kappa{p.A, p.B, defined(p.Cohen), defined(p.Linear), p.Verdicts})
		verdicts += p.Verdicts
	}
	f.CohenMean, f.CohenLinear = estimate(m.Cohen, verdicts), estimate(m.CohenLinear, verdicts)
}

// labelers fills in what each labeler's own rankings say.
func (c *Collector) labelers() {
	for i, id := range c.order {
		l, p := &c.figures.Labelers[i], c.people[id]
		l.Rankings, l.Skips, l.Flags, l.Pairs, l.Ties = p.rankings, p.skips, p.flags, p.pairs, p.ties
		l.MedianActiveMS, l.MedianWallMS = quartiles(p.active).Median, quartiles(p.wall).Median
		l.FirstShare, l.LongerShare, l.Gold = p.first.estimate("first"), p.longer.estimate("longer"), p.gold.estimate("gold")
		l.Anomalies = c.anomalies(*l, p)
	}
}

func (c *Collector) calibration() {
	a := &c.rights.all
	out := Calibration{Tasks: len(c.rights.tasks), Labelers: []CalibrationOne{},
		Strict: a.strict.estimate("calibration"), TiesHalf: a.half.estimate("calibration"), Tau: a.tau.estimate("calibration")}
	for _, id := range c.order {
		if a := &c.people[id].researcher; a.strict.n > 0 {
			out.Labelers = append(out.Labelers, CalibrationOne{c.names[id].Name, a.strict.estimate("calibration"), a.half.estimate("calibration"), a.tau.estimate("calibration")})
		}
	}
	c.figures.Calibration = out
}

func (c *Collector) times() {
	t := Time{N: len(c.active), ActiveMS: quartiles(c.active), WallMS: quartiles(c.wall), ByK: []TimeOfK{}}
	for _, ms := range c.active {
		t.TotalMS += ms
	}
	for k := range c.activeByK {
		if n := len(c.activeByK[k]); n > 0 {
			t.ByK = append(t.ByK, TimeOfK{k, n, *quartiles(c.activeByK[k]).Median})
		}
	}
	c.figures.Time = t
}

// maxPeriods bounds the list of periods; beyond it those without work are left out.
const maxPeriods = 3660

// throughput counts the work by hour, or by day if it spans more than three of them, idle periods in between included.
func throughput(done []work) []Period {
	out := []Period{}
	if len(done) == 0 {
		return out
	}
	slices.SortFunc(done, func(a, b work) int { return a.at.Compare(b.at) })
	first, last := done[0].at.UTC(), done[len(done)-1].at.UTC()
	step := time.Hour
	if last.Sub(first) > hourly {
		step = 24 * time.Hour
	}
	idle := last.Sub(first)/step < maxPeriods
	at := first.Truncate(step)
	for i := 0; i < len(done); {
		p := Period{}
		if step == time.Hour {
			p.Hour = at.Format(time.RFC3339)
		} else {
			p.Day = at.Format(time.DateOnly)
		}
		next := at.Add(step)
		for ; i < len(done) && done[i].at.Before(next); i++ {
			p.ActiveMS += done[i].activeMS
			if done[i].skip {
				p.Skips++
			} else {
				p.Rankings++
			}
		}
		out = append(out, p)
		at = next
		if i < len(done) && !idle {
			at = done[i].at.UTC().Truncate(step)
		}
	}
	return out
}

// Dispute is how far the labelers of a task disagree.
type Dispute struct {
	Task         int64
	Rankings     int
	Disagreement float64 // share of completion pairs, over all pairs of labelers, on which they do not say the same, ties as half
}

// Disputes returns the normal and calibration tasks that two labelers or more ranked, most disputed first, then those with more rankings.
func (c *Collector) Disputes() []Dispute {
	out := []Dispute{}
	for i, t := range c.tasks {
		a := stats.MeasureAgreement(c.items[i:i+1], 0, nil)
		if a.Pairs > 0 {
			out = append(out, Dispute{t.id, len(c.items[i].Rankings), 1 - a.TiesHalf.Value})
		}
	}
	slices.SortFunc(out, func(a, b Dispute) int {
		return cmp.Or(cmp.Compare(b.Disagreement, a.Disagreement), cmp.Compare(b.Rankings, a.Rankings), cmp.Compare(a.Task, b.Task))
	})
	return out
}
