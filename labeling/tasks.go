package labeling

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"rlhf/internal/stats"
	"rlhf/storage"
)

// taskJSON is a task as a labeler sees it.
type taskJSON struct {
	ID             string           `json:"id"`
	Prompt         string           `json:"prompt"`
	Completions    []completionJSON `json:"completions"`
	LeaseExpiresAt time.Time        `json:"lease_expires_at"`
}

type completionJSON struct {
	Slot string `json:"slot"`
	Text string `json:"text"`
}

type progressJSON struct {
	Done      int `json:"done"`
	Remaining int `json:"remaining"`
	Today     int `json:"today"`
}

// nextJSON answers /tasks/next; Task is nil when nothing is left.
type nextJSON struct {
	Task     *taskJSON    `json:"task"`
	Progress progressJSON `json:"progress"`
}

// rankingJSON is a ranking as a labeler sends it.
type rankingJSON struct {
	Ranks          map[string]int `json:"ranks"` // by slot; 1 is best, equal ranks are a tie
	ActiveMS       int64          `json:"active_ms"`
	Comment        string         `json:"comment"`
	IdempotencyKey string         `json:"idempotency_key"`
}

type rankedJSON struct {
	Accepted bool         `json:"accepted"`
	Extra    bool         `json:"extra"`
	Progress progressJSON `json:"progress"`
}

// slot returns the letter of the i-th completion shown.
func slot(i int) string { return string(rune('A' + i)) }

func (s *Server) nextTask(c *gin.Context) {
	if !decode(c, &struct{}{}) {
		return
	}
	ctx, l := c.Request.Context(), me(c)
	var out nextJSON
	a, err := s.store.Lease(ctx, l.ID, s.lease(), s.draw)
	switch {
	case err == nil:
		out.Task = &taskJSON{ID: a.PublicID, Prompt: a.Prompt, LeaseExpiresAt: a.Expires.UTC()}
		for i, text := range a.Texts {
			out.Task.Completions = append(out.Task.Completions, completionJSON{slot(i), text})
		}
	case !errors.Is(err, storage.ErrNoTask):
		s.failed(c, err)
		return
	}
	p, err := s.store.LabelerProgress(ctx, l.ID)
	if err != nil {
		s.failed(c, err)
		return
	}
	out.Progress = progressJSON(p)
	c.JSON(http.StatusOK, out)
}

func (s *Server) heartbeat(c *gin.Context) {
	if !decode(c, &struct{}{}) {
		return
	}
	expires, err := s.store.Heartbeat(c.Request.Context(), me(c).ID, c.Param("id"), s.lease())
	if err != nil {
		s.failed(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"lease_expires_at": expires.UTC()})
}

func (s *Server) rank(c *gin.Context) {
	var in rankingJSON
	if !decode(c, &in) {
		return
	}
	if in.ActiveMS < 0 || in.ActiveMS > math.MaxInt32 {
		refuse(c, http.StatusUnprocessableEntity, "active_ms", fmt.Sprintf("active_ms is %d, expected 0 to %d.", in.ActiveMS, math.MaxInt32), "active_ms")
		return
	}
	ranks := make([]int, len(in.Ranks))
	for i := range ranks {
		r, ok := in.Ranks[slot(i)]
		if !ok {
			refuse(c, http.StatusUnprocessableEntity, "ranks", fmt.Sprintf("The ranks lack completion %s or name one that is not there.", slot(i)), "ranks")
			return
		}
		ranks[i] = r
	}
	ctx, l := c.Request.Context(), me(c)
	extra, err := s.store.Submit(ctx, storage.Submission{LabelerID: l.ID, PublicID: c.Param("id"), Ranks: ranks,
		ActiveMS: in.ActiveMS, Comment: in.Comment, Key: in.IdempotencyKey})
	if err != nil {
		s.failed(c, err)
		return
	}
	p, err := s.store.LabelerProgress(ctx, l.ID)
	if err != nil {
		s.failed(c, err)
		return
	}
	c.JSON(http.StatusCreated, rankedJSON{Accepted: true, Extra: extra, Progress: progressJSON(p)})
}

func (s *Server) progress(c *gin.Context) {
	o, err := s.store.Overview(c.Request.Context())
	if err != nil {
		s.failed(c, err)
		return
	}
	type labeler struct {
		Name           string `json:"name"`
		Rankings       int    `json:"rankings"`
		Today          int    `json:"today"`
		MedianActiveMS int64  `json:"median_active_ms"`
	}
	labelers := []labeler{}
	for _, l := range o.Labelers {
		labelers = append(labelers, labeler(l))
	}
	c.JSON(http.StatusOK, gin.H{"tasks": o.Tasks, "overlap": o.Overlap, "rankings": o.Rankings, "rankings_needed": o.Needed, "extra": o.Extra, "labelers": labelers})
}

func (s *Server) agreement(c *gin.Context) {
	var m Measure
	if err := s.store.Rankings(c.Request.Context(), m.Add); err != nil {
		s.failed(c, err)
		return
	}
	a := m.Agreement()
	type pair struct {
		A        string   `json:"a"`
		B        string   `json:"b"`
		Strict   *float64 `json:"strict"`
		TiesHalf *float64 `json:"ties_half"`
		Pairs    int      `json:"pairs"`
	}
	estimate := func(e stats.Estimate) gin.H {
		return gin.H{"value": defined(e.Value), "low": defined(e.Low), "high": defined(e.High), "pairs": a.Pairs}
	}
	pairs := []pair{}
	for _, p := range a.Labelers {
		pairs = append(pairs, pair{p.A, p.B, defined(p.Strict), defined(p.TiesHalf), p.Pairs})
	}
	c.JSON(http.StatusOK, gin.H{"strict": estimate(a.Strict), "ties_half": estimate(a.TiesHalf), "kendall_tau_b": defined(a.KendallTauB.Value), "pairs_of_labelers": pairs})
}

// defined is null for a number that is not defined.
func defined(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// Measure collects rankings, in the order of Store.Rankings, for their agreement.
type Measure struct{ items []stats.Item }

// Add takes one ranking. It never fails; the error is for Store.Rankings.
func (m *Measure) Add(r storage.Ranking) error {
	if n := len(m.items); n == 0 || m.items[n-1].Prompt != r.TaskID {
		m.items = append(m.items, stats.Item{Prompt: r.TaskID})
	}
	item := &m.items[len(m.items)-1]
	item.Rankings = append(item.Rankings, stats.Ranking{Labeler: r.Labeler, Ranks: r.Ranks})
	return nil
}

// bootstrapRounds is how often prompts are drawn again for the intervals.
const bootstrapRounds = 1000

// Agreement returns the labelers' agreement, with intervals by a bootstrap of fixed seed.
func (m *Measure) Agreement() stats.Agreement {
	return stats.MeasureAgreement(m.items, bootstrapRounds, rand.New(rand.NewPCG(1, 2)))
}
