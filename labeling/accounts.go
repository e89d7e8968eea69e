package labeling

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/storage"
)

// peopleStore is what looking after people needs of a database.
type peopleStore interface {
	People(ctx context.Context) ([]storage.Person, error)
	Person(ctx context.Context, id int64) (storage.Person, error)
	CreateLabeler(ctx context.Context, name, role, passwordHash string) (storage.Labeler, error)
	ChangePerson(ctx context.Context, id int64, c storage.PersonChange) (storage.Person, error)
	EndSessions(ctx context.Context, id int64) error
	Forget(ctx context.Context, id int64) (pseudonym string, err error)
	CreateLink(ctx context.Context, id int64, tokenHash []byte, expires time.Time) error
	Tokens(ctx context.Context, person int64) ([]storage.Token, error)
	CreateToken(ctx context.Context, person int64, name string, tokenHash []byte, expires time.Time) (id int64, err error)
	RevokeToken(ctx context.Context, id int64) error
}

// LinkLife is how long a one-time link leads in.
const LinkLife = 24 * time.Hour

// LinkURL returns the address of a one-time link on a server at base. The token stands behind #, which a browser sends to nobody.
func LinkURL(base, token string) string { return base + "/enter#" + token }

// peopleAPI registers what an admin does with people.
func (s *Server) peopleAPI(api huma.API) {
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/admin/" + path, Summary: summary, DefaultStatus: status, Tags: []string{"people"}}
	}
	handle(s, api, admins, op("people", http.MethodGet, "people", "Everybody", 200), s.people)
	handle(s, api, admins, op("add-person", http.MethodPost, "people", "Add somebody", 201), s.addPerson)
	handle(s, api, admins, op("change-person", http.MethodPatch, "people/{id}", "Change somebody's role or password, or let them in no longer; their sessions end", 200), s.changePerson)
	handle(s, api, admins, op("link", http.MethodPost, "people/{id}/link", "Make a link by which somebody signs in once", 201), s.link)
	handle(s, api, admins, op("end-sessions", http.MethodPost, "people/{id}/sign-out", "End somebody's sessions everywhere", 204), s.endSessions)
	handle(s, api, admins, op("forget", http.MethodPost, "people/{id}/forget", "Delete somebody's personal data; their rankings stay under a pseudonym", 200), s.forget)
	handle(s, api, admins, op("tokens", http.MethodGet, "people/{id}/tokens", "Somebody's API tokens", 200), s.tokens)
	handle(s, api, admins, op("add-token", http.MethodPost, "people/{id}/tokens", "Make an API token that acts as somebody", 201), s.addToken)
	handle(s, api, admins, op("revoke-token", http.MethodDelete, "tokens/{id}", "Make an API token worthless", 204), s.revokeToken)
}

type personJSON struct {
	ID        int64      `json:"id"`
	Name      string     `json:"name"`
	Role      string     `json:"role" enum:"labeler,reviewer,admin"`
	Disabled  bool       `json:"disabled"`
	Pseudonym string     `json:"pseudonym"`
	CreatedAt time.Time  `json:"created_at"`
	LastSeen  *time.Time `json:"last_seen"`
	Rankings  int        `json:"rankings"`
	Paused    []string   `json:"paused" nullable:"false" doc:"projects in which they get no tasks for now"`
	Forgotten bool       `json:"forgotten"`
}

func newPersonJSON(p storage.Person) personJSON {
	return personJSON{p.ID, p.Name, p.Role, p.Disabled, p.Pseudonym, p.CreatedAt, maybe(p.LastSeen), p.Rankings, append([]string{}, p.Paused...), p.Forgotten}
}

// maybe is null for a time that never was.
func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type peopleJSON struct {
	People []personJSON `json:"people" nullable:"false"`
}

func (s *Server) people(ctx context.Context, _ *struct{}) (*body[peopleJSON], error) {
	list, err := s.store.People(ctx)
	if err != nil {
		return nil, err
	}
	out := peopleJSON{People: []personJSON{}}
	for _, p := range list {
		out.People = append(out.People, newPersonJSON(p))
	}
	return answer(out)
}

type addPersonIn struct {
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"200"`
		Role     string `json:"role" enum:"labeler,reviewer,admin"`
		Password string `json:"password,omitempty" maxLength:"1000" doc:"without one they sign in by links"`
	}
}

func (s *Server) addPerson(ctx context.Context, in *addPersonIn) (*body[personJSON], error) {
	name, err := CheckName(in.Body.Name)
	if err != nil {
		return nil, refusal{http.StatusUnprocessableEntity, "name", sentence(err), "name"}
	}
	hash, err := s.hashing.hash(ctx, in.Body.Password)
	if err != nil {
		return nil, err
	}
	l, err := s.store.CreateLabeler(ctx, name, in.Body.Role, hash)
	if err != nil {
		return nil, err
	}
	p, err := s.store.Person(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	return answer(newPersonJSON(p))
}

// personIn names a person; there is no body.
type personIn struct {
	ID int64 `path:"id" minimum:"1"`
}

type changePersonIn struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Role     *string `json:"role,omitempty" enum:"labeler,reviewer,admin"`
		Disabled *bool   `json:"disabled,omitempty"`
		Password *string `json:"password,omitempty" maxLength:"1000" doc:"empty: they sign in by links"`
	}
}

func (s *Server) changePerson(ctx context.Context, in *changePersonIn) (*body[personJSON], error) {
	c := storage.PersonChange{Role: in.Body.Role, Disabled: in.Body.Disabled}
	if in.Body.Password != nil {
		hash, err := s.hashing.hash(ctx, *in.Body.Password)
		if err != nil {
			return nil, err
		}
		c.PasswordHash = &hash
	}
	p, err := s.store.ChangePerson(ctx, in.ID, c)
	if err != nil {
		return nil, err
	}
	return answer(newPersonJSON(p))
}

type linkJSON struct {
	URL       string    `json:"url" doc:"shown only here"`
	ExpiresAt time.Time `json:"expires_at"`
}

func (s *Server) link(ctx context.Context, in *personIn) (*body[linkJSON], error) {
	secret, hash := NewSecret()
	expires := time.Now().Add(LinkLife).UTC().Truncate(time.Second)
	if err := s.store.CreateLink(ctx, in.ID, hash, expires); err != nil {
		return nil, err
	}
	return answer(linkJSON{LinkURL(callerOf(ctx).base, secret), expires})
}

func (s *Server) endSessions(ctx context.Context, in *personIn) (*struct{}, error) {
	return nil, s.store.EndSessions(ctx, in.ID)
}

type forgottenJSON struct {
	Pseudonym string `json:"pseudonym"`
}

func (s *Server) forget(ctx context.Context, in *personIn) (*body[forgottenJSON], error) {
	pseudonym, err := s.store.Forget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answer(forgottenJSON{pseudonym})
}

type tokenJSON struct {
	ID        int64      `json:"id"`
	Name      string     `json:"name"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	UsedAt    *time.Time `json:"used_at"`
	RevokedAt *time.Time `json:"revoked_at"`
}

type tokensJSON struct {
	Tokens []tokenJSON `json:"tokens" nullable:"false"`
}

func (s *Server) tokens(ctx context.Context, in *personIn) (*body[tokensJSON], error) {
	list, err := s.store.Tokens(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := tokensJSON{Tokens: []tokenJSON{}}
	for _, t := range list {
		out.Tokens = append(out.Tokens, tokenJSON{t.ID, t.Name, t.CreatedAt, t.Expires, maybe(t.UsedAt), maybe(t.RevokedAt)})
	}
	return answer(out)
}

type addTokenIn struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"200" doc:"what it is for"`
		Days int    `json:"days" minimum:"1" maximum:"3650"`
	}
}

type newTokenJSON struct {
	Token string `json:"token" doc:"shown only here"`
	ID    int64  `json:"id"`
}

func (s *Server) addToken(ctx context.Context, in *addTokenIn) (*body[newTokenJSON], error) {
	secret, hash := NewSecret()
	id, err := s.store.CreateToken(ctx, in.ID, in.Body.Name, hash, time.Now().AddDate(0, 0, in.Body.Days))
	if err != nil {
		return nil, err
	}
	return answer(newTokenJSON{secret, id})
}

type tokenIn struct {
	ID int64 `path:"id" minimum:"1"`
}

func (s *Server) revokeToken(ctx context.Context, in *tokenIn) (*struct{}, error) {
	return nil, s.store.RevokeToken(ctx, in.ID)
}
