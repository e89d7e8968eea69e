package figures

import "math"

// Anomaly is something about a labeler that honest work rarely shows. It is for a person to look at: nothing is left out because of it.
type Anomaly struct {
	Kind  string  `json:"kind"`
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	N     int     `json:"n"`
}

// AnomalyLimit describes what is looked for.
type AnomalyLimit struct {
	Kind  string  `json:"kind"`
	Limit float64 `json:"limit"`
	Least int     `json:"least"` // nothing is said with fewer rankings, pairs or answers
	What  string  `json:"what"`
}

// Kinds of anomalies.
const (
	TooFast      = "too_fast"
	OneSided     = "one_sided"
	Unchanged    = "unchanged"
	AllTied      = "all_tied"
	AtChance     = "at_chance"
	Inconsistent = "inconsistent"
	GoldLow      = "gold_low"
	ManySkips    = "many_skips"
)

// hastyMS is the active time for each character of the responses below which they cannot have been read: 100 characters a second,
// four to five times as fast as people read silently (238 words a minute, Brysbaert 2019, about 24 characters a second).
const hastyMS = 10

const (
	hastyShare    = 0.2
	oneSided      = 0.15 // from one half, with the interval beyond one half
	tiedShare     = 0.9
	skippedShare  = 0.5
	chanceRate    = 0.5
	unchangedSDs  = 4
	unchangedMore = 0.1
	leastRanked   = 10
	leastPairs    = 30
)

// limits describes the anomalies, in the order in which they are looked for.
func (c *Collector) limits() []AnomalyLimit {
	out := []AnomalyLimit{
		{TooFast, hastyShare, leastRanked, "share of rankings sent in less than 10 ms for each character of the responses"},
		{OneSided, 0.5 + oneSided, leastPairs, "share of pairs won by the response on one side of the order shown, whichever it is"},
		{Unchanged, 1, leastRanked, "share of rankings equal to the order shown; the limit is what chance gives plus 4 standard deviations and at least 0.1, at most 1"},
		{AllTied, tiedShare, leastRanked, "share of rankings that tie everything"},
		{AtChance, chanceRate, leastPairs, "agreement with the others, whose interval reaches that of chance"},
		{Inconsistent, chanceRate, leastPairs, "agreement with oneself on repeats, whose interval reaches that of chance"},
		{ManySkips, skippedShare, leastRanked, "share of tasks skipped"},
	}
	if c.threshold > 0 {
		out = append(out, AnomalyLimit{GoldLow, c.threshold, 1, "share of the researcher's pairs got right, below the project's threshold"})
	}
	return out
}

// anomalies returns what is unusual about a labeler, never nil.
func (c *Collector) anomalies(l Labeler, p *person) []Anomaly {
	out := []Anomaly{}
	add := func(is bool, kind string, value, limit float64, n int) {
		if is {
			out = append(out, Anomaly{kind, value, limit, n})
		}
	}
	hasty := float64(p.hasty) / float64(p.timed)
	add(p.timed >= leastRanked && hasty > hastyShare, TooFast, hasty, hastyShare, p.timed)
	if e := l.FirstShare; e != nil && e.N >= leastPairs {
		apart := e.Low != nil && (*e.Low > 0.5 || *e.High < 0.5)
		side := max(e.Value, 1-e.Value)
		add(apart && side > 0.5+oneSided, OneSided, side, 0.5+oneSided, e.N)
	}
	// The number left unchanged by chance has at most the variance of a binomial with the mean chance.
	n := float64(p.ordered)
	mean := p.chance / n
	limit := min(1, mean+max(unchangedMore, unchangedSDs*math.Sqrt(mean*(1-mean)/n)))
	unchanged := float64(p.unchanged) / n
	add(p.ordered >= leastRanked && unchanged >= limit, Unchanged, unchanged, limit, p.ordered)
	tied := float64(p.allTied) / float64(p.judged)
	add(p.judged >= leastRanked && tied > tiedShare, AllTied, tied, tiedShare, p.judged)
	chance := func(kind string, e *Estimate) {
		add(e != nil && e.N >= leastPairs && e.Low != nil && *e.Low <= chanceRate, kind, valueOf(e), chanceRate, countOf(e))
	}
	chance(AtChance, l.Agreement)
	chance(Inconsistent, l.Repeats)
	skipped := float64(p.skips) / float64(p.skips+p.rankings)
	add(p.skips+p.rankings >= leastRanked && skipped > skippedShare, ManySkips, skipped, skippedShare, p.skips+p.rankings)
	add(c.threshold > 0 && l.Gold != nil && l.Gold.Value < c.threshold, GoldLow, valueOf(l.Gold), c.threshold, countOf(l.Gold))
	return out
}

func valueOf(e *Estimate) float64 {
	if e == nil {
		return 0
	}
	return e.Value
}

func countOf(e *Estimate) int {
	if e == nil {
		return 0
	}
	return e.N
}
