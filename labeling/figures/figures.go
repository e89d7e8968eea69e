// Package figures computes what a labeling project's rankings say about labelers, models and the page itself: agreement in its
// several measures, biases, strengths of models and their consensus, times, answers to questions, and what looks unlike honest
// work. It reads nothing and serves nothing: it takes a project's rankings one by one and returns figures with intervals, which
// the API, the command line and the page all show.
//
// Everything is compared over the fixed order of a task's completions. Intervals are 95 % percentile intervals of a bootstrap
// over prompts, with fixed streams: equal rankings give equal figures. A figure that the data leave undefined is nil.
package figures

import (
	"math"
	"time"

	"rlhf/internal/stats"
)

// Estimate is a figure with its interval.
type Estimate struct {
	Value float64  `json:"value"`
	Low   *float64 `json:"low"`  // nil with fewer than two prompts
	High  *float64 `json:"high"` // nil with fewer than two prompts
	N     int      `json:"n"`    // what it is over: pairs of completions, unless its field says otherwise
}

// estimate returns nil for an undefined statistic.
func estimate(e stats.Estimate, n int) *Estimate {
	if math.IsNaN(e.Value) || math.IsInf(e.Value, 0) {
		return nil
	}
	return &Estimate{Value: e.Value, Low: defined(e.Low), High: defined(e.High), N: n}
}

func defined(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// Figures are the figures of a project.
type Figures struct {
	Rankings         int             `json:"rankings"`          // all that count, extra ones among them; gold tasks, honeypots and repeats too
	Extra            int             `json:"extra"`             // of them beyond a task's overlap
	Imported         int             `json:"imported"`          // of them made elsewhere: in no figure of times or of the order shown
	Choices          int             `json:"choices"`           // of them choices of the best among three or more: in no figure of agreement
	Prompts          int             `json:"prompts"`           // with rankings
	TasksShared      int             `json:"tasks_shared"`      // normal and calibration tasks that two labelers or more ranked
	Rounds           int             `json:"rounds"`            // of the bootstrap
	Agreement        Agreement       `json:"agreement"`         // InstructGPT's raw agreement
	Alpha            Alpha           `json:"alpha"`             // Krippendorff's, over completions and their places
	Cohen            []Kappa         `json:"cohen"`             // by pair of labelers
	CohenMean        *Estimate       `json:"cohen_mean"`        // over pairs of labelers
	CohenLinear      *Estimate       `json:"cohen_linear_mean"` // with a preference against a tie as half a disagreement
	Fleiss           *Estimate       `json:"fleiss"`            // over pairs of completions
	FleissRaters     int             `json:"fleiss_raters"`     // rankings of each task in it
	Tau              *Estimate       `json:"tau"`               // Kendall's tau-b, mean over pairs of rankings
	Labelers         []Labeler       `json:"labelers"`          // by name
	PairsOfLabelers  []LabelerPair   `json:"pairs_of_labelers"`
	Position         Position        `json:"position"`
	Length           Length          `json:"length"`
	Models           []Model         `json:"models"`      // strongest first
	ModelsNote       string          `json:"models_note"` // "", or one of the Note constants
	Consensus        Consensus       `json:"consensus"`
	Calibration      Calibration     `json:"calibration"`
	Throughput       []Period        `json:"throughput"`
	Time             Time            `json:"time"`
	Answers          []Answer        `json:"answers"`
	SkipReasons      map[string]int  `json:"skip_reasons"`
	Repeats          *Estimate       `json:"repeats"`             // labelers against themselves, ties as half
	AnomalyLimits    []AnomalyLimit  `json:"anomaly_limits"`      // what is looked for
	PublishedResults []PublishedRate `json:"published_agreement"` // of papers, to set one's own beside
}

// Agreement is the share of completion pairs on which two labelers of a task say the same.
type Agreement struct {
	Strict   *Estimate `json:"strict"`    // a over b, b over a, and tie are three verdicts
	TiesHalf *Estimate `json:"ties_half"` // a tie against a preference counts one half
	Pairs    int       `json:"pairs"`     // pairs of completions times pairs of labelers
	Items    int       `json:"items"`     // tasks
}

// PublishedRate is an agreement that a paper reports.
type PublishedRate struct {
	Who   string  `json:"who"`
	Value float64 `json:"value"`
	Error float64 `json:"error"`
}

// Alpha is Krippendorff's alpha at three levels of measurement. N counts ratings units: completions ranked by two labelers or more.
type Alpha struct {
	Nominal  *Estimate `json:"nominal"`
	Ordinal  *Estimate `json:"ordinal"`
	Interval *Estimate `json:"interval"`
}

// Kappa is Cohen's kappa of two labelers; the values are nil where chance agreement is certain.
type Kappa struct {
	A      string   `json:"a"`
	B      string   `json:"b"`
	Value  *float64 `json:"value"`
	Linear *float64 `json:"linear"`
	N      int      `json:"n"`
}

// Labeler is what one labeler's rankings say.
type Labeler struct {
	Name           string    `json:"name"`
	Pseudonym      string    `json:"pseudonym"`
	Rankings       int       `json:"rankings"`
	MedianActiveMS *int64    `json:"median_active_ms"` // nil if no time is known
	MedianWallMS   *int64    `json:"median_wall_ms"`
	Agreement      *Estimate `json:"agreement"`    // with the others, ties as half
	Strict         *Estimate `json:"strict"`       // with the others
	Tau            *Estimate `json:"tau"`          // with the others
	Repeats        *Estimate `json:"repeats"`      // with themselves, ties as half
	Gold           *Estimate `json:"gold"`         // share of the researcher's strict pairs got right, in gold tasks and honeypots
	FirstShare     *Estimate `json:"first_share"`  // how often the response shown earlier wins, ties as half
	LongerShare    *Estimate `json:"longer_share"` // how often the longer response wins, ties as half
	Pairs          int       `json:"pairs"`        // pairs of completions in their rankings
	Ties           int       `json:"ties"`         // of them tied
	Skips          int       `json:"skips"`
	Flags          int       `json:"flags"` // rankings with a flag
	Anomalies      []Anomaly `json:"anomalies"`
}

// LabelerPair is the agreement of two labelers.
type LabelerPair struct {
	A        string   `json:"a"`
	B        string   `json:"b"`
	Strict   *float64 `json:"strict"`
	TiesHalf *float64 `json:"ties_half"`
	Tau      *float64 `json:"tau"`
	Pairs    int      `json:"pairs"`
}

// Position says whether the order in which responses are shown matters; without an effect every share is one half.
type Position struct {
	FirstWins *Estimate `json:"first_wins"` // pairs won by the response shown earlier, ties as half
	ByPlace   []Place   `json:"by_place"`
}

// Place is one place of the order shown, 1 for the first.
type Place struct {
	Place int       `json:"place"`
	Wins  *Estimate `json:"wins"` // pairs won by the response shown there, ties as half
}

// Length says whether longer responses win.
type Length struct {
	LongerWins  *Estimate `json:"longer_wins"` // of pairs that differ in length, ties as half
	Correlation *Estimate `json:"correlation"` // Kendall's tau-b of length and place, mean over rankings; above 0: longer ones win
}

// Why models have no strengths, or which ones.
const (
	NoteNone  = "none"  // the completions name no models, or no task compares two
	NoteMany  = "many"  // there are more models than are compared
	NotePrior = "prior" // maximum likelihood has no finite answer: a prior that draws towards equal strengths was added
)

// Model is a model's strength by Bradley-Terry.
type Model struct {
	Model   string    `json:"model"`
	Theta   *Estimate `json:"theta"` // mean 0 over the models
	SE      *float64  `json:"se"`    // large-sample, as if every pair were independent: too small for rankings
	Elo     float64   `json:"elo"`   // 1000 + 400 theta / ln 10
	EloLow  *float64  `json:"elo_low"`
	EloHigh *float64  `json:"elo_high"`
	Wins    int       `json:"wins"`
	Losses  int       `json:"losses"`
	Ties    int       `json:"ties"`
}

// Consensus is the order of the models by ranked pairs over all rankings.
type Consensus struct {
	Order   [][]string  `json:"order"`   // best first; models that the rankings do not set apart stand together
	Models  []string    `json:"models"`  // rows and columns of the margins
	Margins [][]float64 `json:"margins"` // rankings for row over column less those for column over row
}

// Calibration is the agreement of the labelers with the researcher, on calibration tasks.
type Calibration struct {
	Tasks    int              `json:"tasks"`
	Strict   *Estimate        `json:"strict"`
	TiesHalf *Estimate        `json:"ties_half"`
	Tau      *Estimate        `json:"tau"`
	Labelers []CalibrationOne `json:"labelers"`
}

// CalibrationOne is one labeler's agreement with the researcher.
type CalibrationOne struct {
	Name     string    `json:"name"`
	Strict   *Estimate `json:"strict"`
	TiesHalf *Estimate `json:"ties_half"`
	Tau      *Estimate `json:"tau"`
}

// Period is the work of one hour or day, UTC.
type Period struct {
	Day      string `json:"day,omitempty"`  // 2006-01-02; if the work spans more than three days
	Hour     string `json:"hour,omitempty"` // RFC 3339
	Rankings int    `json:"rankings"`
	Skips    int    `json:"skips"`
	ActiveMS int64  `json:"active_ms"`
}

// Time is how long rankings take; rankings made elsewhere and those that report no time are left out.
type Time struct {
	N        int       `json:"n"`
	ActiveMS Quartiles `json:"active_ms"`
	WallMS   Quartiles `json:"wall_ms"`
	TotalMS  int64     `json:"total_active_ms"`
	ByK      []TimeOfK `json:"by_k"`
}

// Quartiles are nil without a ranking.
type Quartiles struct {
	P25    *int64 `json:"p25"`
	Median *int64 `json:"median"`
	P75    *int64 `json:"p75"`
}

// TimeOfK is the time of rankings of K responses.
type TimeOfK struct {
	K              int   `json:"k"`
	N              int   `json:"n"`
	MedianActiveMS int64 `json:"median_active_ms"`
}

// Answer is a question put to each response: a yes-no question, or "overall", the rating from 1 to 7.
type Answer struct {
	Key   string    `json:"key"`
	Share *Estimate `json:"share"` // yes; nil for overall. N counts answers
	Mean  *Estimate `json:"mean"`  // of overall; nil for a question. N counts answers
	Alpha *Estimate `json:"alpha"` // Krippendorff's: nominal, ordinal for overall. N counts responses with two answers or more
}

// hourly work is shown by the hour up to this span.
const hourly = 3 * 24 * time.Hour
