package labeling

import (
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

	"github.com/gin-gonic/gin"
	"golang.org/x/crypto/argon2"

	"rlhf/storage"
)

const (
	cookieName = "rlhf_session"
	labelerKey = "labeler" // where signedIn leaves the labeler
)

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

func (s *Server) signIn(c *gin.Context) {
	var in struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if !decode(c, &in) {
		return
	}
	if s.throttled(in.Name) {
		refuse(c, http.StatusTooManyRequests, "throttled", "Too many wrong passwords. Try again in a minute.", "")
		return
	}
	ctx := c.Request.Context()
	l, err := s.store.LabelerByName(ctx, in.Name)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		s.failed(c, err)
		return
	}
	hash := l.PasswordHash
	if err != nil {
		hash = nobody
	}
	right := CheckPassword(hash, in.Password) && err == nil && !l.Disabled
	s.noteSignIn(in.Name, right)
	if !right {
		refuse(c, http.StatusUnauthorized, "credentials", "Name or password is wrong.", "")
		return
	}
	token := rand.Text()
	life := time.Duration(s.c.SessionHours) * time.Hour
	if err := s.store.CreateSession(ctx, tokenHash(token), l.ID, time.Now().Add(life)); err != nil {
		s.failed(c, err)
		return
	}
	setCookie(c, token, int(life.Seconds()))
	c.JSON(http.StatusOK, gin.H{"labeler": labelerJSON(l)})
}

func setCookie(c *gin.Context, token string, age int) {
	http.SetCookie(c.Writer, &http.Cookie{Name: cookieName, Value: token, Path: "/", MaxAge: age, HttpOnly: true,
		Secure: c.Request.TLS != nil, SameSite: http.SameSiteLaxMode})
}

// tokenHash is what the database knows of a session's token.
func tokenHash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return []byte(hex.EncodeToString(h[:]))
}

func labelerJSON(l storage.Labeler) gin.H { return gin.H{"name": l.Name, "role": l.Role} }

// signedIn lets only the holders of a live session pass.
func (s *Server) signedIn(c *gin.Context) {
	token, err := c.Cookie(cookieName)
	if err == nil {
		var l storage.Labeler
		if l, err = s.store.SessionLabeler(c.Request.Context(), tokenHash(token)); err == nil {
			c.Set(labelerKey, l)
			c.Next()
			return
		}
		if !errors.Is(err, storage.ErrNotFound) {
			s.failed(c, err)
			return
		}
	}
	refuse(c, http.StatusUnauthorized, "session", "Sign in first.", "")
}

// adminOnly lets only admins pass.
func adminOnly(c *gin.Context) {
	if me(c).Role != storage.RoleAdmin {
		refuse(c, http.StatusForbidden, "role", "Only an admin may see this.", "")
		return
	}
	c.Next()
}

// me returns the labeler who asks.
func me(c *gin.Context) storage.Labeler { return c.MustGet(labelerKey).(storage.Labeler) }

func (s *Server) session(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{"labeler": labelerJSON(me(c))})
}

func (s *Server) signOut(c *gin.Context) {
	token, _ := c.Cookie(cookieName) // signedIn has seen it
	if err := s.store.DeleteSession(c.Request.Context(), tokenHash(token)); err != nil {
		s.failed(c, err)
		return
	}
	setCookie(c, "", -1)
	c.Status(http.StatusNoContent)
}
