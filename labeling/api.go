package labeling

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"rlhf/storage"
)

// maxBody is the most bytes of a request, unless its operation says otherwise.
const maxBody = 1 << 20

// newAPI returns the JSON API, described at /api/openapi.json.
func newAPI(g *gin.Engine, cookieName string) huma.API {
	c := huma.DefaultConfig("rlhf labeling", "1")
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "/api/openapi", "", ""
	c.CreateHooks = nil // no "$schema" member in answers
	c.RejectUnknownQueryParameters = true
	c.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "apiKey", In: "cookie", Name: cookieName},
		"token":   {Type: "http", Scheme: "bearer"},
	}
	return humagin.New(g, c)
}

// strictJSON refuses what follows a request's object.
var strictJSON = huma.Format{
	Marshal:   huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(raw []byte, v any) error { return json.Unmarshal(raw, v) },
}

// access says who may call an operation.
type access int

const (
	anyone    access = iota
	signedIn         // whoever has a session or a token
	reviewers        // reviewers and admins
	admins
)

// allows reports whether a role may do what a asks for.
func (a access) allows(role string) bool {
	switch a {
	case admins:
		return role == storage.RoleAdmin
	case reviewers:
		return role == storage.RoleAdmin || role == storage.RoleReviewer
	}
	return true
}

// body is an answer with a JSON body.
type body[T any] struct{ Body T }

func answer[T any](v T) (*body[T], error) { return &body[T]{v}, nil }

type labelerKey struct{}

// me returns the labeler who asks. An operation open to anyone must not call it.
func me(ctx context.Context) storage.Labeler { return ctx.Value(labelerKey{}).(storage.Labeler) }

// handle registers an operation for those who may call it.
func handle[I, O any](s *Server, api huma.API, who access, op huma.Operation, f func(context.Context, *I) (*O, error)) {
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxBody
	}
	if who != anyone {
		op.Middlewares = append(op.Middlewares, func(c huma.Context, next func(huma.Context)) {
			l, err := s.whoAsks(c.Context(), c.Header("Authorization"))
			if err == nil {
				err = s.limited(l.ID)
			}
			if err == nil && !who.allows(l.Role) {
				err = refusal{http.StatusForbidden, "role", "Your role may not do this.", ""}
			}
			if err != nil {
				s.refuse(humagin.Unwrap(c), err)
				return
			}
			next(huma.WithContext(c, storage.WithActor(context.WithValue(c.Context(), labelerKey{}, l), l.ID)))
		})
		op.Security = []map[string][]string{{"session": {}}, {"token": {}}}
	}
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, s.refused(err)
		}
		return out, nil
	})
}

// refusal is an error in the API's form.
type refusal struct {
	status  int
	code    string
	message string // a sentence for people
	field   string // of the request; "" for none in particular
}

func (r refusal) Error() string { return r.message }

// GetStatus makes a refusal an error of huma.
func (r refusal) GetStatus() int { return r.status }

// MarshalJSON writes {"error":{"code","message","field"}}.
func (r refusal) MarshalJSON() ([]byte, error) {
	return json.Marshal(errorJSON{errorBody{r.code, r.message, r.field}})
}

type errorJSON struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
}

// Schema describes a refusal in the API's description.
func (refusal) Schema(r huma.Registry) *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString}
	inner := &huma.Schema{Type: huma.TypeObject, Required: []string{"code", "message"}, Properties: map[string]*huma.Schema{"code": text, "message": text, "field": text}}
	return &huma.Schema{Type: huma.TypeObject, Required: []string{"error"}, Properties: map[string]*huma.Schema{"error": inner}}
}

func init() {
	// What huma itself refuses: a body that is no JSON, lacks a field, is too large.
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		r := refusal{status: status, code: "request", message: message}
		var d *huma.ErrorDetail
		if len(errs) > 0 && errors.As(errs[0], &d) {
			r.field = strings.TrimPrefix(d.Location, "body.")
			r.message = r.field + ": " + d.Message
			switch v := d.Value.(type) {
			case float64, bool: // texts may be long, or a password
				r.message += fmt.Sprintf(" (found %v)", v)
			}
		}
		switch status {
		case http.StatusRequestEntityTooLarge:
			r.code = "too_large"
		case http.StatusBadRequest:
			r.code = "json"
			if d != nil {
				r.message = "The request cannot be read: " + d.Message + "."
			}
		}
		return r
	}
}

// refuse ends a request that no operation has taken.
func (s *Server) refuse(c *gin.Context, err error) {
	r := s.refused(err)
	var h huma.HeadersError
	if errors.As(r, &h) {
		for name, values := range h.GetHeaders() {
			c.Writer.Header()[name] = values
		}
	}
	c.AbortWithStatusJSON(r.GetStatus(), r)
}

// refused turns what a store returns into an answer; what it does not know is logged, not told.
func (s *Server) refused(err error) huma.StatusError {
	var known huma.StatusError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, storage.ErrNotFound):
		return refusal{http.StatusNotFound, "not_found", "This is not yours or does not exist.", ""}
	case errors.Is(err, storage.ErrExists):
		return refusal{http.StatusConflict, "exists", "This name is taken.", "name"}
	case errors.Is(err, storage.ErrLastAdmin):
		return refusal{http.StatusConflict, "last_admin", "Nobody else is an admin. Make somebody one first.", ""}
	case errors.Is(err, storage.ErrDisabled):
		return refusal{http.StatusConflict, "disabled", "This person may no longer sign in.", ""}
	}
	if r, ok := dataRefusal(err); ok {
		return r
	}
	for _, r := range answerRefusals {
		if errors.Is(err, r.err) {
			return refusal{r.status, r.code, cmp.Or(r.message, err.Error()), r.field}
		}
	}
	s.log.Error("request", "error", err)
	return refusal{http.StatusInternalServerError, "internal", "Something went wrong on the server; it has been logged.", ""}
}
