package labeling

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/text/unicode/norm"

	"rlhf/storage"
)

// sessionStore is what signing in needs of a database.
type sessionStore interface {
	LabelerByName(ctx context.Context, name string) (storage.Labeler, error)
	CreateSession(ctx context.Context, tokenHash []byte, l storage.Labeler, expires time.Time) error
	SessionLabeler(ctx context.Context, tokenHash []byte) (storage.Labeler, error)
	DeleteSession(ctx context.Context, tokenHash []byte) error
	RedeemLink(ctx context.Context, tokenHash, sessionHash []byte, expires time.Time) (storage.Labeler, error)
	TokenLabeler(ctx context.Context, tokenHash []byte) (storage.Labeler, error)
}

// sessionAPI registers signing in and out.
func (s *Server) sessionAPI(api huma.API) {
	tag := []string{"session"}
	handle(s, api, anyone, huma.Operation{OperationID: "sign-in", Method: http.MethodPost, Path: "/api/session", Summary: "Begin a session by name and password", Tags: tag}, s.signIn)
	handle(s, api, anyone, huma.Operation{OperationID: "enter", Method: http.MethodPost, Path: "/api/session/link", Summary: "Begin a session by a one-time link", Tags: tag}, s.enter)
	handle(s, api, signedIn, huma.Operation{OperationID: "session", Method: http.MethodGet, Path: "/api/session", Summary: "Who is signed in", Tags: tag}, s.session)
	handle(s, api, signedIn, huma.Operation{OperationID: "sign-out", Method: http.MethodDelete, Path: "/api/session", Summary: "End the session", Tags: tag}, s.signOut)
}

type signInIn struct {
	Body struct {
		Name     string `json:"name" maxLength:"200"`
		Password string `json:"password" maxLength:"1000"`
	}
}

type enterIn struct {
	Body struct {
		Token string `json:"token" maxLength:"200" doc:"what stands behind # in the link"`
	}
}

type sessionJSON struct {
	Labeler labelerJSON `json:"labeler"`
}

type labelerJSON struct {
	Name string `json:"name"`
	Role string `json:"role" enum:"labeler,reviewer,admin"`
}

// cookied is an answer that sets the session's cookie.
type cookied struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      sessionJSON
}

func (s *Server) signIn(ctx context.Context, in *signInIn) (*cookied, error) {
	if len(in.Body.Password) > maxPassword {
		return nil, refusal{http.StatusUnprocessableEntity, "password", "The password is too long.", "password"}
	}
	name := norm.NFC.String(in.Body.Name)
	right, err := s.signIns.begin(ctx, name)
	if err != nil {
		return nil, err
	}
	l, err := s.store.LabelerByName(ctx, name)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	ok, err := s.hashing.right(ctx, l.PasswordHash, in.Body.Password)
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	if ok {
		err = s.store.CreateSession(ctx, tokenHash(token), l, time.Now().Add(s.sessionLife()))
	}
	if !ok || errors.Is(err, storage.ErrNotFound) {
		return nil, refusal{http.StatusUnauthorized, "credentials", "Name or password is wrong.", ""}
	}
	if err != nil {
		return nil, err
	}
	right()
	return s.begun(ctx, l, token)
}

// enter begins a session by a one-time link.
func (s *Server) enter(ctx context.Context, in *enterIn) (*cookied, error) {
	right, err := s.signIns.begin(ctx, "")
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	l, err := s.store.RedeemLink(ctx, tokenHash(in.Body.Token), tokenHash(token), time.Now().Add(s.sessionLife()))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, refusal{http.StatusUnauthorized, "link", "This link has been used or has expired. Ask for another.", "token"}
	}
	if err != nil {
		return nil, err
	}
	right()
	return s.begun(ctx, l, token)
}

// begun answers with the cookie of a session that has just begun under a token drawn for it. The session that the browser
// had before ends, whoever it was of.
func (s *Server) begun(ctx context.Context, l storage.Labeler, token string) (*cookied, error) {
	if before := callerOf(ctx).session; before != "" {
		if err := s.store.DeleteSession(ctx, tokenHash(before)); err != nil {
			return nil, err
		}
	}
	return &cookied{s.cookie(token, int(s.sessionLife().Seconds())), sessionJSON{labelerJSON{l.Name, l.Role}}}, nil
}

func (s *Server) sessionLife() time.Duration { return time.Duration(s.c.SessionHours) * time.Hour }

// cookieName is the name of the session's cookie. Over HTTPS a browser lets no other host and no page without HTTPS set it.
func (s *Server) cookieName() string {
	if s.c.https() {
		return "__Host-rlhf_session"
	}
	return "rlhf_session"
}

func (s *Server) cookie(token string, age int) http.Cookie {
	return http.Cookie{Name: s.cookieName(), Value: token, Path: "/", MaxAge: age, HttpOnly: true, Secure: s.c.https(), SameSite: http.SameSiteLaxMode}
}

// tokenHash is what the database knows of a token.
func tokenHash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return []byte(hex.EncodeToString(h[:]))
}

// NewSecret returns a token that nobody can guess, and the hash under which a database keeps it.
func NewSecret() (secret string, hash []byte) {
	secret = "rlhf_" + rand.Text() // the prefix is for those who search for secrets where none should be
	return secret, tokenHash(secret)
}

// whoAsks returns the labeler of the request's token or else of its session.
func (s *Server) whoAsks(ctx context.Context, authorization string) (storage.Labeler, error) {
	if token, ok := bearer(authorization); ok {
		l, err := s.store.TokenLabeler(ctx, tokenHash(token))
		if errors.Is(err, storage.ErrNotFound) {
			return l, refusal{http.StatusUnauthorized, "token", "This token is not valid, or no longer.", ""}
		}
		return l, err
	}
	signIn := refusal{http.StatusUnauthorized, "session", "Sign in first.", ""}
	session := callerOf(ctx).session
	if session == "" {
		return storage.Labeler{}, signIn
	}
	l, err := s.store.SessionLabeler(ctx, tokenHash(session))
	if errors.Is(err, storage.ErrNotFound) {
		return l, signIn
	}
	return l, err
}

// bearer returns the token of an Authorization header.
func bearer(header string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(header, " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

func (s *Server) session(ctx context.Context, _ *struct{}) (*body[sessionJSON], error) {
	l := me(ctx)
	return answer(sessionJSON{labelerJSON{l.Name, l.Role}})
}

type signedOut struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (s *Server) signOut(ctx context.Context, _ *struct{}) (*signedOut, error) {
	if session := callerOf(ctx).session; session != "" {
		if err := s.store.DeleteSession(ctx, tokenHash(session)); err != nil {
			return nil, err
		}
	}
	return &signedOut{s.cookie("", -1)}, nil
}
