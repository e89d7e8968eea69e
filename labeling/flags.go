package labeling

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/labeling/render"
	"rlhf/storage"
)

// flagStore is what the list of flags needs of a database.
type flagStore interface {
	Project(ctx context.Context, id int64) (storage.Project, error)
	Flagged(ctx context.Context, project int64, from storage.FlaggedAt, limit int) ([]storage.Flagged, storage.FlaggedAt, bool, error)
	CompletionTexts(ctx context.Context, project, after int64, limit int, each func(storage.CompletionText)) (int64, error)
}

// flagsAPI registers what labelers skipped and flagged, and the responses that name themselves.
func (s *Server) flagsAPI(api huma.API) {
	handle(s, api, admins, huma.Operation{OperationID: "flags", Method: http.MethodGet, Path: "/api/admin/projects/{id}/flags", Tags: []string{"figures"},
		Summary: "What labelers skipped and flagged, latest first, then the responses that name their model"}, s.flags)
}

// Pages of the list: so many skips and flags, and so many responses looked through.
const (
	flagsPage = 100
	leaksPage = 5000
)

type flagsIn struct {
	ID    int64  `path:"id" minimum:"1"`
	After string `query:"after" maxLength:"80" doc:"the next of the page before; the beginning without it"`
}

type flagsJSON struct {
	Flags []flagJSON `json:"flags"`
	Next  string     `json:"next" doc:"the after of the next page; empty at the end"`
}

type flagJSON struct {
	Task    int64   `json:"task"`
	Kind    string  `json:"kind" enum:"skip,flag,leak"`
	Labeler string  `json:"labeler" doc:"empty for a leak"`
	At      *string `json:"at" doc:"null for a leak" format:"date-time"`
	Reason  string  `json:"reason" doc:"or the words by which a response names its model"`
	Comment string  `json:"comment" doc:"or the model, for a leak"`
	Prompt  string  `json:"prompt" doc:"its beginning"`
}

// A cursor into the list is "said-<ms>-<skip>-<id>" in its first part and "leaks-<completion>" in its second.
const (
	saidCursor  = "said-%d-%t-%d"
	leaksCursor = "leaks-%d"
)

func (s *Server) flags(ctx context.Context, in *flagsIn) (*body[flagsJSON], error) {
	if _, err := s.store.Project(ctx, in.ID); err != nil {
		return nil, err
	}
	var completion int64
	if n, err := fmt.Sscanf(in.After, leaksCursor, &completion); err == nil && n == 1 {
		return s.leaks(ctx, in.ID, completion)
	}
	var from storage.FlaggedAt
	if in.After != "" {
		if _, err := fmt.Sscanf(in.After, saidCursor, &from.AtMS, &from.Skip, &from.ID); err != nil {
			return nil, refusal{http.StatusUnprocessableEntity, "after", "after is not the next of another page.", "after"}
		}
	}
	list, next, more, err := s.store.Flagged(ctx, in.ID, from, flagsPage)
	if err != nil {
		return nil, err
	}
	out := flagsJSON{[]flagJSON{}, fmt.Sprintf(leaksCursor, 0)}
	if more {
		out.Next = fmt.Sprintf(saidCursor, next.AtMS, next.Skip, next.ID)
	}
	for _, f := range list {
		kind, at := "flag", f.At.Format(timeFormat)
		if f.Skip {
			kind = "skip"
		}
		for _, reason := range f.Reasons {
			out.Flags = append(out.Flags, flagJSON{f.Task, kind, f.Labeler, &at, reason, f.Comment, beginning(f.Prompt)})
		}
	}
	if !more && len(list) < flagsPage { // the first leaks stand on the same page
		rest, err := s.leaks(ctx, in.ID, 0)
		if err != nil {
			return nil, err
		}
		out.Flags, out.Next = append(out.Flags, rest.Body.Flags...), rest.Body.Next
	}
	return answer(out)
}

// leaks looks through the responses after a completion.
func (s *Server) leaks(ctx context.Context, project, after int64) (*body[flagsJSON], error) {
	out := flagsJSON{Flags: []flagJSON{}}
	last, err := s.store.CompletionTexts(ctx, project, after, leaksPage, func(c storage.CompletionText) {
		for _, l := range render.Leaks(c.Text) {
			out.Flags = append(out.Flags, flagJSON{Task: c.Task, Kind: "leak", Reason: l.Words, Comment: c.Model, Prompt: beginning(c.Prompt)})
		}
	})
	if err != nil {
		return nil, err
	}
	if last != 0 {
		out.Next = fmt.Sprintf(leaksCursor, last)
	}
	return answer(out)
}
