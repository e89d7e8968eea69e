package labeling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/storage"
)

// overviewIn names a project; 0 is all of them.
type overviewIn struct {
	Project int64 `query:"project" minimum:"0" default:"0" doc:"number of the project; 0 for all"`
}

func (s *Server) projectOverview(ctx context.Context, in *overviewIn) (*body[storage.ProjectStanding], error) {
	v, err := s.store.ProjectStanding(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	return answer(v)
}

// standings share one count of each project among everybody who watches it.
type standings struct {
	mu   sync.Mutex
	last map[int64]counted
}

type counted struct {
	standing storage.ProjectStanding
	until    time.Time
}

// Live figures are sent at most once in liveEvery, and counting may take one part in liveShare of the time.
const (
	liveEvery   = time.Second
	liveShare   = 20
	liveComment = 15 * time.Second // something is sent at least as often, so that a dead connection is noticed
)

// of returns the standing of a project, counted in the last moment. The lock is held while counting: others wait for the same.
func (c *standings) of(ctx context.Context, store figureStore, project int64) (storage.ProjectStanding, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	start := time.Now()
	if l, ok := c.last[project]; ok && start.Before(l.until) {
		return l.standing, nil
	}
	v, err := store.ProjectStanding(ctx, project)
	if err != nil {
		return v, err
	}
	if c.last == nil {
		c.last = map[int64]counted{}
	}
	now := time.Now()
	c.last[project] = counted{v, now.Add(max(liveEvery/2, liveShare*now.Sub(start)))}
	return v, nil
}

// eventsAPI registers the stream of live figures. It is described as text/event-stream.
func (s *Server) eventsAPI(api huma.API) {
	handle(s, api, admins, huma.Operation{OperationID: "events", Method: http.MethodGet, Path: "/api/admin/events", Tags: []string{"figures"},
		Summary: "How far a project has come, as it happens: server-sent events \"overview\" with what the overview answers",
		Responses: map[string]*huma.Response{"200": {Description: "A stream of events until the session ends", Content: map[string]*huma.MediaType{
			"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}}}}, s.events)
}

func (s *Server) events(ctx context.Context, in *overviewIn) (*huma.StreamResponse, error) {
	if _, err := s.store.ProjectStanding(ctx, in.Project); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "text/event-stream")
		c.SetHeader("X-Accel-Buffering", "no") // nginx passes each event on at once
		w, ok := c.BodyWriter().(interface {
			http.ResponseWriter
			http.Flusher
		})
		if !ok {
			return
		}
		if err := s.stream(c, w, w.Flush, in.Project); err != nil && c.Context().Err() == nil {
			s.log.Error("events", "error", err)
		}
	}}, nil
}

// stream writes events until the client leaves, the session or the right to see them ends, or the server does.
func (s *Server) stream(c huma.Context, w io.Writer, flush func(), project int64) error {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	sent, at := "", time.Time{}
	for {
		l, err := s.whoAsks(c.Context(), c.Header("Authorization"))
		var r refusal
		if errors.As(err, &r) || err == nil && !admins.allows(l.Role) {
			return nil
		}
		if err != nil {
			return err
		}
		v, err := s.live.of(c.Context(), s.store, project)
		if err != nil {
			return err
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		message := ""
		if string(raw) != sent {
			message = fmt.Sprintf("event: overview\ndata: %s\n\n", raw)
		} else if time.Since(at) >= liveComment {
			message = ": still here\n\n"
		}
		if message != "" {
			if _, err := io.WriteString(w, message); err != nil {
				return nil // the client has left
			}
			flush()
			sent, at = string(raw), time.Now()
		}
		select {
		case <-c.Context().Done():
			return nil
		case <-s.ending:
			return nil
		case <-tick.C:
		}
	}
}
