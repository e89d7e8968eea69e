package labeling

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/labeling/figures"
	"rlhf/storage"
)

// figureStore is what figures need of a database.
type figureStore interface {
	ReadEvidence(ctx context.Context, project int64, e storage.Evidence) error
	EvidenceVersion(ctx context.Context) (string, error)
	ProjectStanding(ctx context.Context, project int64) (storage.ProjectStanding, error)
}

// figuresAPI registers how far the labeling has come and what the rankings say.
func (s *Server) figuresAPI(api huma.API) {
	tag := []string{"figures"}
	handle(s, api, admins, huma.Operation{OperationID: "figures", Method: http.MethodGet, Path: "/api/admin/projects/{id}/figures", Summary: "Agreement, biases, models, labelers, times and answers of a project, with intervals", Tags: tag}, s.projectFigures)
	handle(s, api, admins, huma.Operation{OperationID: "overview", Method: http.MethodGet, Path: "/api/admin/overview", Summary: "How far a project has come, or all of them", Tags: tag}, s.projectOverview)
	s.eventsAPI(api)
}

type projectIn struct {
	ID int64 `path:"id" minimum:"1"`
}

func (s *Server) projectFigures(ctx context.Context, in *projectIn) (*body[figures.Figures], error) {
	c, err := s.computed.of(ctx, s.store, in.ID)
	if err != nil {
		return nil, err
	}
	return answer(c.figures)
}

// computed is what was computed of one project.
type computed struct {
	version  string // of the evidence
	figures  figures.Figures
	disputes []figures.Dispute
	at       time.Time     // when it was ready
	took     time.Duration // to compute
}

// restAfter is how many times as long as computing took nothing is computed again, so that a large project that changes all the
// time costs a bounded share of the processor. A small one is always up to date.
const restAfter = 10

// computations keeps the latest figures of each project. One is computed at a time for each.
type computations struct {
	mu       sync.Mutex
	projects map[int64]*computation
}

type computation struct {
	turn chan struct{} // holds one token; whoever has it may compute
	last *computed
}

// of returns the figures of a project, computed now unless nothing has changed or they were computed a moment ago.
func (c *computations) of(ctx context.Context, store figureStore, project int64) (*computed, error) {
	c.mu.Lock()
	if c.projects == nil {
		c.projects = map[int64]*computation{}
	}
	p := c.projects[project]
	if p == nil {
		p = &computation{turn: make(chan struct{}, 1)}
		c.projects[project] = p
	}
	c.mu.Unlock()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	version, err := store.EvidenceVersion(ctx)
	if err != nil {
		return nil, err
	}
	if l := p.last; l != nil && (l.version == version || time.Since(l.at) < restAfter*l.took) {
		return l, nil
	}
	start := time.Now()
	collector := figures.New()
	if err := store.ReadEvidence(ctx, project, collector.Evidence()); err != nil {
		return nil, err
	}
	f, err := collector.Figures()
	if err != nil {
		return nil, err
	}
	p.last = &computed{version: version, figures: f, disputes: collector.Disputes(), at: time.Now(), took: time.Since(start)}
	return p.last, nil
}
