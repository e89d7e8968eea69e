package labeling

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/storage"
)

// taskStore is what labelers need of a database.
type taskStore interface {
	Lease(ctx context.Context, labelerID int64, ttl time.Duration, draw storage.Draw) (storage.Assignment, error)
	Heartbeat(ctx context.Context, labelerID int64, publicID string, ttl time.Duration) (time.Time, error)
	Submit(ctx context.Context, s storage.Submission) (extra bool, err error)
	LabelerProgress(ctx context.Context, labelerID int64) (storage.Progress, error)
}

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
	ActiveMS       int64          `json:"active_ms,omitempty" minimum:"0" maximum:"2147483647"`
	Comment        string         `json:"comment,omitempty" maxLength:"20000"`
	IdempotencyKey string         `json:"idempotency_key,omitempty" maxLength:"200"`
}

type rankedJSON struct {
	Accepted bool         `json:"accepted"`
	Extra    bool         `json:"extra"`
	Progress progressJSON `json:"progress"`
}

// slot returns the letter of the i-th completion shown.
func slot(i int) string { return string(rune('A' + i)) }

// tasksAPI registers what a labeler does.
func (s *Server) tasksAPI(api huma.API) {
	tag := []string{"labeling"}
	handle(s, api, signedIn, huma.Operation{OperationID: "next-task", Method: http.MethodPost, Path: "/api/tasks/next", Summary: "Lease the next task", Tags: tag}, s.nextTask)
	handle(s, api, signedIn, huma.Operation{OperationID: "heartbeat", Method: http.MethodPost, Path: "/api/tasks/{id}/heartbeat", Summary: "Renew a lease", Tags: tag}, s.heartbeat)
	handle(s, api, signedIn, huma.Operation{OperationID: "rank", Method: http.MethodPost, Path: "/api/tasks/{id}/ranking", DefaultStatus: http.StatusCreated, Summary: "Submit a ranking", Tags: tag}, s.rank)
}

func (s *Server) nextTask(ctx context.Context, _ *struct{ Body struct{} }) (*body[nextJSON], error) {
	l := me(ctx)
	var out nextJSON
	a, err := s.store.Lease(ctx, l.ID, s.lease(), s.draw)
	switch {
	case err == nil:
		out.Task = &taskJSON{ID: a.PublicID, Prompt: a.Prompt, LeaseExpiresAt: a.Expires.UTC()}
		for i, text := range a.Texts {
			out.Task.Completions = append(out.Task.Completions, completionJSON{slot(i), text})
		}
	case !errors.Is(err, storage.ErrNoTask):
		return nil, err
	}
	p, err := s.store.LabelerProgress(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	out.Progress = progressJSON(p)
	return answer(out)
}

type heartbeatIn struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct{}
}

type heartbeatJSON struct {
	LeaseExpiresAt time.Time `json:"lease_expires_at"`
}

func (s *Server) heartbeat(ctx context.Context, in *heartbeatIn) (*body[heartbeatJSON], error) {
	expires, err := s.store.Heartbeat(ctx, me(ctx).ID, in.ID, s.lease())
	if err != nil {
		return nil, err
	}
	return answer(heartbeatJSON{expires.UTC()})
}

type rankIn struct {
	ID   string `path:"id" maxLength:"64"`
	Body rankingJSON
}

func (s *Server) rank(ctx context.Context, in *rankIn) (*body[rankedJSON], error) {
	ranks := make([]int, len(in.Body.Ranks))
	for i := range ranks {
		r, ok := in.Body.Ranks[slot(i)]
		if !ok {
			return nil, refusal{http.StatusUnprocessableEntity, "ranks", fmt.Sprintf("The ranks lack completion %s or name one that is not there.", slot(i)), "ranks"}
		}
		ranks[i] = r
	}
	l := me(ctx)
	extra, err := s.store.Submit(ctx, storage.Submission{LabelerID: l.ID, PublicID: in.ID, Ranks: ranks,
		ActiveMS: in.Body.ActiveMS, Comment: in.Body.Comment, Key: in.Body.IdempotencyKey})
	if err != nil {
		return nil, err
	}
	p, err := s.store.LabelerProgress(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	return answer(rankedJSON{Accepted: true, Extra: extra, Progress: progressJSON(p)})
}
