package labeling

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/crypto/argon2"

	"rlhf/storage"
)

// sessionStore is what signing in needs of a database.
type sessionStore interface {
	LabelerByName(ctx context.Context, name string) (storage.Labeler, error)
	CreateSession(ctx context.Context, tokenHash []byte, labelerID int64, expires time.Time) error
	SessionLabeler(ctx context.Context, tokenHash []byte) (storage.Labeler, error)
	DeleteSession(ctx context.Context, tokenHash []byte) error
}

const cookieName = "rlhf_session"

// Parameters of argon2id: OWASP's second recommendation (19 MiB, two passes), at one thread.
const (
	argonTime    = 2
	argonMemory  = 19 * 1024 // KiB
	argonThreads = 1
	argonLength  = 32
)

// HashPassword returns an argon2id hash with its salt and parameters, for storage.
func HashPassword(password string) string {
	var salt [16]byte
	rand.Read(salt[:]) // never fails
	h := argon2.IDKey([]byte(password), salt[:], argonTime, argonMemory, argonThreads, argonLength)
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", argonMemory, argonTime, argonThreads, b.EncodeToString(salt[:]), b.EncodeToString(h))
}

// CheckPassword reports whether password has the given hash.
func CheckPassword(hash, password string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v=19" {
		return false
	}
	var memory, passes uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads); err != nil || passes < 1 || threads < 1 {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) == 0 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// nobody is the hash checked for a name that does not exist, so that answering takes as long.
var nobody = HashPassword("")

// A name is refused for throttle after maxFailures wrong passwords in a row.
const (
	maxFailures = 5
	throttle    = time.Minute
)

type failure struct {
	count int
	last  time.Time
}

// throttled reports whether a name has failed too often of late.
func (s *Server) throttled(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, f := range s.failures {
		if time.Since(f.last) > throttle {
			delete(s.failures, n)
		}
	}
	return s.failures[name].count >= maxFailures
}

func (s *Server) noteSignIn(name string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		delete(s.failures, name)
		return
	}
	s.failures[name] = failure{s.failures[name].count + 1, time.Now()}
}

// sessionAPI registers signing in and out.
func (s *Server) sessionAPI(api huma.API) {
	handle(s, api, anyone, huma.Operation{OperationID: "sign-in", Method: http.MethodPost, Path: "/api/session", Summary: "Begin a session by name and password", Tags: []string{"session"}}, s.signIn)
	handle(s, api, signedIn, huma.Operation{OperationID: "session", Method: http.MethodGet, Path: "/api/session", Summary: "Who is signed in", Tags: []string{"session"}}, s.session)
	handle(s, api, signedIn, huma.Operation{OperationID: "sign-out", Method: http.MethodDelete, Path: "/api/session", Summary: "End the session", Tags: []string{"session"}}, s.signOut)
}

type signInIn struct {
	Body struct {
		Name     string `json:"name" maxLength:"200"`
		Password string `json:"password" maxLength:"1000"`
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
	if s.throttled(in.Body.Name) {
		return nil, refusal{http.StatusTooManyRequests, "throttled", "Too many wrong passwords. Try again in a minute.", ""}
	}
	l, err := s.store.LabelerByName(ctx, in.Body.Name)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	hash := l.PasswordHash
	if err != nil {
		hash = nobody
	}
	right := CheckPassword(hash, in.Body.Password) && err == nil && !l.Disabled
	s.noteSignIn(in.Body.Name, right)
	if !right {
		return nil, refusal{http.StatusUnauthorized, "credentials", "Name or password is wrong.", ""}
	}
	token := rand.Text()
	life := time.Duration(s.c.SessionHours) * time.Hour
	if err := s.store.CreateSession(ctx, tokenHash(token), l.ID, time.Now().Add(life)); err != nil {
		return nil, err
	}
	return &cookied{cookie(token, int(life.Seconds())), sessionJSON{labelerJSON{l.Name, l.Role}}}, nil
}

func cookie(token string, age int) http.Cookie {
	return http.Cookie{Name: cookieName, Value: token, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// tokenHash is what the database knows of a session's token.
func tokenHash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return []byte(hex.EncodeToString(h[:]))
}

// whoAsks returns the labeler of the request's session.
func (s *Server) whoAsks(c huma.Context) (storage.Labeler, error) {
	signIn := refusal{http.StatusUnauthorized, "session", "Sign in first.", ""}
	token, err := huma.ReadCookie(c, cookieName)
	if err != nil {
		return storage.Labeler{}, signIn
	}
	l, err := s.store.SessionLabeler(c.Context(), tokenHash(token.Value))
	if errors.Is(err, storage.ErrNotFound) {
		return l, signIn
	}
	return l, err
}

func (s *Server) session(ctx context.Context, _ *struct{}) (*body[sessionJSON], error) {
	l := me(ctx)
	return answer(sessionJSON{labelerJSON{l.Name, l.Role}})
}

type signOutIn struct {
	Session string `cookie:"rlhf_session" doc:"the session to end"`
}

type signedOut struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (s *Server) signOut(ctx context.Context, in *signOutIn) (*signedOut, error) {
	if err := s.store.DeleteSession(ctx, tokenHash(in.Session)); err != nil {
		return nil, err
	}
	return &signedOut{cookie("", -1)}, nil
}
