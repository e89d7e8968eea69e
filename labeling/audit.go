package labeling

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/storage"
)

// auditStore is what the log of changes needs of a database.
type auditStore interface {
	Audit(ctx context.Context, before int64, limit int) (entries []storage.AuditEntry, next int64, err error)
}

// auditAPI registers the log of changes.
func (s *Server) auditAPI(api huma.API) {
	handle(s, api, admins, huma.Operation{OperationID: "audit", Method: http.MethodGet, Path: "/api/admin/audit", Summary: "Who changed what, latest first", Tags: []string{"people"}}, s.audit)
}

type auditIn struct {
	Before int64 `query:"before" minimum:"0" doc:"only entries with a lower id; 0: the latest"`
	Limit  int   `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type auditJSON struct {
	Entries []auditEntryJSON `json:"entries" nullable:"false"`
	Next    int64            `json:"next" doc:"the before of what follows; 0: nothing does"`
}

type auditEntryJSON struct {
	ID     int64          `json:"id"`
	At     time.Time      `json:"at"`
	Actor  string         `json:"actor" doc:"empty: the command line"`
	Action string         `json:"action"`
	Object string         `json:"object"`
	Detail map[string]any `json:"detail"`
}

func (s *Server) audit(ctx context.Context, in *auditIn) (*body[auditJSON], error) {
	entries, next, err := s.store.Audit(ctx, in.Before, in.Limit)
	if err != nil {
		return nil, err
	}
	out := auditJSON{Entries: []auditEntryJSON{}, Next: next}
	for _, e := range entries {
		x := auditEntryJSON{ID: e.ID, At: e.At.UTC(), Actor: e.Actor, Action: e.Action, Object: e.Object}
		if err := json.Unmarshal(e.Detail, &x.Detail); err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, x)
	}
	return answer(out)
}
