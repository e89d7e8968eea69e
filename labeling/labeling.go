// Package labeling is the web application in which people rank completions: a
// JSON API on gin, the pages that use it, a client of the same API, and labelers
// simulated through it. It stores nothing itself (its Store does) and trains
// nothing. The browser gets slot letters and opaque ids, never a model's name, in
// an order drawn on the server for each labeler.
package labeling

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"rlhf/internal/rng"
)

// Config holds the settings of the labeling server. Decode over DefaultConfig.
type Config struct {
	Addr         string `mapstructure:"addr"`          // host:port to listen on; port 0 takes a free one
	LeaseMinutes int    `mapstructure:"lease_minutes"` // how long a task stays with a labeler who shows no sign of life
	SessionHours int    `mapstructure:"session_hours"` // how long a sign-in lasts
	Overlap      int    `mapstructure:"overlap"`       // labelers for each imported task. Stiennon 2020 and InstructGPT measure agreement on shared tasks
	Seed         uint64 `mapstructure:"seed"`          // of the orders drawn
}

// DefaultConfig listens on this machine only.
func DefaultConfig() Config {
	return Config{Addr: "127.0.0.1:8080", LeaseMinutes: 10, SessionHours: 12, Overlap: 1, Seed: 1}
}

// Validate returns an error that names the first setting without a usable value.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("addr: must be host:port (got %q)", c.Addr)
	}
	for _, f := range []struct {
		name       string
		value, top int
	}{{"lease_minutes", c.LeaseMinutes, 24 * 60}, {"session_hours", c.SessionHours, 24 * 365}, {"overlap", c.Overlap, 1000}} {
		if f.value < 1 || f.value > f.top {
			return fmt.Errorf("%s: must be from 1 to %d (got %d)", f.name, f.top, f.value)
		}
	}
	return nil
}

// Store is what the server needs of a database; *storage.DB satisfies it. Each part stands where it is used.
type Store interface {
	sessionStore
	taskStore
	progressStore
}

// Server is the labeling application. It may be used concurrently.
type Server struct {
	c     Config
	store Store
	log   *slog.Logger

	mu       sync.Mutex
	failures map[string]failure // failed sign-ins by name
}

// NewServer returns a server over a store. c must be valid.
func NewServer(c Config, store Store, log *slog.Logger) *Server {
	return &Server{c: c, store: store, log: log, failures: map[string]failure{}}
}

// Handler returns the whole application.
func (s *Server) Handler() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.Use(s.logged, s.recovered, secured, uncached)
	s.pages(g)
	api := newAPI(g)
	s.sessionAPI(api)
	s.tasksAPI(api)
	s.progressAPI(api)
	g.NoRoute(func(c *gin.Context) {
		if strings.HasPrefix(c.Request.URL.Path, "/api/") {
			s.refuse(c, refusal{http.StatusNotFound, "not_found", "There is no such address.", ""})
			return
		}
		user, err := s.visitor(c)
		if err != nil {
			s.refuse(c, err)
			return
		}
		s.render(c, http.StatusNotFound, missingPage, user)
	})
	return http.NewCrossOriginProtection().Handler(g)
}

// Serve answers on the listener until ctx ends, then lets the requests in work finish.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	done := make(chan error, 1)
	go func() { done <- h.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := h.Shutdown(stop)
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// draw returns the order in which a labeler sees a task: a function of the seed, the task and the labeler.
func (s *Server) draw(task, labeler int64, k int) []int {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%d", task, labeler)
	return rng.New(s.c.Seed, "labeling/order", h.Sum64()).Perm(k)
}

func (s *Server) lease() time.Duration { return time.Duration(s.c.LeaseMinutes) * time.Minute }
