package labeling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/internal/rng"
	"rlhf/storage"
)

// workStore is what labelers need of a database.
type workStore interface {
	Next(ctx context.Context, ask storage.Ask) (storage.Given, error)
	Work(ctx context.Context, labelerID int64, publicID string) (storage.Work, error)
	Heartbeat(ctx context.Context, labelerID int64, publicID string, ttl time.Duration) (time.Time, error)
	SaveDraft(ctx context.Context, labelerID int64, publicID string, based int, body json.RawMessage) (storage.Draft, error)
	Submit(ctx context.Context, s storage.Submission) (storage.Submitted, error)
	Skip(ctx context.Context, s storage.Skip) (storage.Skipped, error)
	Recent(ctx context.Context, labelerID int64) ([]storage.Work, error)
	Standing(ctx context.Context, labelerID int64) (storage.Standing, error)
	Instructions(ctx context.Context, project string) (storage.Instructions, error)
}

// maxDraft is the most bytes of a draft.
const maxDraft = 64 << 10

// tasksAPI registers what a labeler does.
func (s *Server) tasksAPI(api huma.API) {
	at := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"labeling"}}
	}
	created := func(o huma.Operation) huma.Operation {
		o.DefaultStatus = http.StatusCreated
		return o
	}
	draft := at("save-draft", http.MethodPut, "/api/tasks/{id}/draft", "Keep an unfinished answer")
	draft.MaxBodyBytes = maxDraft + 1<<10
	handle(s, api, signedIn, at("next-task", http.MethodPost, "/api/tasks/next", "Lease the next task"), s.nextTask)
	handle(s, api, signedIn, at("recent-tasks", http.MethodGet, "/api/tasks/recent", "The last ten answers, which can be changed"), s.recent)
	handle(s, api, signedIn, at("task", http.MethodGet, "/api/tasks/{id}", "One of the labeler's tasks"), s.oneTask)
	handle(s, api, signedIn, at("heartbeat", http.MethodPost, "/api/tasks/{id}/heartbeat", "Renew a lease"), s.heartbeat)
	handle(s, api, signedIn, draft, s.saveDraft)
	handle(s, api, signedIn, created(at("rank", http.MethodPost, "/api/tasks/{id}/ranking", "Submit a ranking, or change one")), s.rank)
	handle(s, api, signedIn, created(at("skip", http.MethodPost, "/api/tasks/{id}/skip", "Pass over a task")), s.skip)
	handle(s, api, signedIn, at("standing", http.MethodGet, "/api/standing", "How far the labeler has come"), s.standing)
	handle(s, api, signedIn, at("guidelines", http.MethodGet, "/api/guidelines", "The guidelines in force, with examples"), s.guidelines)
}

type nextIn struct {
	Body struct {
		Holding []string `json:"holding,omitempty" maxItems:"10" doc:"ids of the tasks on the page; the answer is another one"`
		Project string   `json:"project,omitempty" maxLength:"200" doc:"name; any open project without it"`
	}
}

// nextJSON answers /tasks/next; Task is nil when nothing is left.
type nextJSON struct {
	Task     *taskJSON    `json:"task"`
	Standing standingJSON `json:"standing"`
}

func (s *Server) nextTask(ctx context.Context, in *nextIn) (*body[nextJSON], error) {
	g, err := s.store.Next(ctx, storage.Ask{LabelerID: me(ctx).ID, Project: in.Body.Project, Holding: in.Body.Holding, TTL: s.lease(), Draw: s.draw, Share: s.share})
	out := nextJSON{Standing: newStandingJSON(g.Standing)}
	switch {
	case err == nil:
		out.Task = s.taskJSON(g.Work)
	case !errors.Is(err, storage.ErrNoTask):
		return nil, err
	}
	return answer(out)
}

// share returns the number, from 0 to 1, that decides the kind of a labeler's n-th task in a project: a function of the seed
// and these three.
func (s *Server) share(project, labeler int64, n int) float64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%d/%d", project, labeler, n)
	return rng.New(s.c.Seed, "labeling/kind", h.Sum64()).Float64()
}

type taskIn struct {
	ID string `path:"id" maxLength:"64"`
}

func (s *Server) oneTask(ctx context.Context, in *taskIn) (*body[taskJSON], error) {
	w, err := s.store.Work(ctx, me(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	return answer(*s.taskJSON(w))
}

type heartbeatIn struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct{}
}

type heartbeatJSON struct {
	LeaseExpiresAt time.Time `json:"lease_expires_at" doc:"a time that has passed: the task is gone"`
}

func (s *Server) heartbeat(ctx context.Context, in *heartbeatIn) (*body[heartbeatJSON], error) {
	expires, err := s.store.Heartbeat(ctx, me(ctx).ID, in.ID, s.lease())
	if err != nil {
		return nil, err
	}
	return answer(heartbeatJSON{expires.UTC()})
}

type draftJSON struct {
	Version int             `json:"version"`
	Body    json.RawMessage `json:"body"`
}

func newDraftJSON(d storage.Draft) draftJSON {
	if d.Body == nil {
		d.Body = json.RawMessage("{}")
	}
	return draftJSON(d)
}

type draftIn struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Version int                        `json:"version" minimum:"0" doc:"the one this is based on, 0 before the first"`
		Body    map[string]json.RawMessage `json:"body" doc:"an object of the page's own"`
	}
}

type draftSavedJSON struct {
	Version int `json:"version"`
}

// draftRefusal tells which draft is stored instead.
type draftRefusal struct {
	refusal
	draft draftJSON
}

// MarshalJSON adds the stored draft beside the error.
func (r draftRefusal) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		errorJSON
		Draft draftJSON `json:"draft"`
	}{errorJSON{errorBody{r.code, r.message, r.field}}, r.draft})
}

func (s *Server) saveDraft(ctx context.Context, in *draftIn) (*body[draftSavedJSON], error) {
	raw, err := json.Marshal(in.Body.Body)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxDraft {
		return nil, refusal{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("The draft is too large: %d bytes, at most %d are kept.", len(raw), maxDraft), "body"}
	}
	if in.Body.Body == nil {
		raw = []byte("{}")
	}
	d, err := s.store.SaveDraft(ctx, me(ctx).ID, in.ID, in.Body.Version, raw)
	if errors.Is(err, storage.ErrDraft) {
		return nil, draftRefusal{refusal{http.StatusConflict, "draft", "This draft was changed in another window.", "version"}, newDraftJSON(d)}
	}
	if err != nil {
		return nil, err
	}
	return answer(draftSavedJSON{d.Version})
}
