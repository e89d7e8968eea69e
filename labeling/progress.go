package labeling

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/internal/stats"
	"rlhf/storage"
)

// progressStore is what progress and agreement need of a database.
type progressStore interface {
	Overview(ctx context.Context) (storage.Overview, error)
	Rankings(ctx context.Context, f storage.Filter, each func(storage.Ranking) error) error
}

// progressAPI registers how far the labeling has come.
func (s *Server) progressAPI(api huma.API) {
	tag := []string{"figures"}
	handle(s, api, admins, huma.Operation{OperationID: "progress", Method: http.MethodGet, Path: "/api/admin/progress", Summary: "How far the labeling has come", Tags: tag}, s.progress)
	handle(s, api, admins, huma.Operation{OperationID: "agreement", Method: http.MethodGet, Path: "/api/admin/agreement", Summary: "How well the labelers agree", Tags: tag}, s.agreement)
}

type overviewJSON struct {
	Tasks    int                   `json:"tasks"`
	Overlap  int                   `json:"overlap"`
	Rankings int                   `json:"rankings"`
	Needed   int                   `json:"rankings_needed"`
	Extra    int                   `json:"extra"`
	Labelers []labelerOverviewJSON `json:"labelers"`
}

type labelerOverviewJSON struct {
	Name           string `json:"name"`
	Rankings       int    `json:"rankings"`
	Today          int    `json:"today"`
	MedianActiveMS int64  `json:"median_active_ms"`
}

func (s *Server) progress(ctx context.Context, _ *struct{}) (*body[overviewJSON], error) {
	o, err := s.store.Overview(ctx)
	if err != nil {
		return nil, err
	}
	out := overviewJSON{o.Tasks, o.Overlap, o.Rankings, o.Needed, o.Extra, []labelerOverviewJSON{}}
	for _, l := range o.Labelers {
		out.Labelers = append(out.Labelers, labelerOverviewJSON(l))
	}
	return answer(out)
}

type agreementJSON struct {
	Strict      estimateJSON `json:"strict"`
	TiesHalf    estimateJSON `json:"ties_half"`
	KendallTauB *float64     `json:"kendall_tau_b"`
	Pairs       []pairJSON   `json:"pairs_of_labelers"`
}

type estimateJSON struct {
	Value *float64 `json:"value"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
	Pairs int      `json:"pairs"`
}

type pairJSON struct {
	A        string   `json:"a"`
	B        string   `json:"b"`
	Strict   *float64 `json:"strict"`
	TiesHalf *float64 `json:"ties_half"`
	Pairs    int      `json:"pairs"`
}

func (s *Server) agreement(ctx context.Context, _ *struct{}) (*body[agreementJSON], error) {
	var m Measure
	if err := s.store.Rankings(ctx, storage.Filter{}, m.Add); err != nil {
		return nil, err
	}
	a := m.Agreement()
	estimate := func(e stats.Estimate) estimateJSON {
		return estimateJSON{defined(e.Value), defined(e.Low), defined(e.High), a.Pairs}
	}
	out := agreementJSON{estimate(a.Strict), estimate(a.TiesHalf), defined(a.KendallTauB.Value), []pairJSON{}}
	for _, p := range a.Labelers {
		out.Pairs = append(out.Pairs, pairJSON{p.A, p.B, defined(p.Strict), defined(p.TiesHalf), p.Pairs})
	}
	return answer(out)
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
