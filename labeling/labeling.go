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
	"net/netip"
	"net/url"
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

	RequestsPerSecond int      `mapstructure:"requests_per_second"` // of each labeler, twice as many at once; 0: as many as they like
	PublicURL         string   `mapstructure:"public_url"`          // what people call this server, such as https://label.example.org; "": by its own address. https makes cookies secure
	TrustedProxies    []string `mapstructure:"trusted_proxies"`     // addresses or networks whose X-Forwarded-For is believed
}

// DefaultConfig listens on this machine only.
func DefaultConfig() Config {
	return Config{Addr: "127.0.0.1:8080", LeaseMinutes: 10, SessionHours: 12, Overlap: 1, Seed: 1, RequestsPerSecond: 20}
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
	if c.RequestsPerSecond < 0 || c.RequestsPerSecond > 1e6 {
		return fmt.Errorf("requests_per_second: must be from 0 to 1000000 (got %d)", c.RequestsPerSecond)
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || c.PublicURL != u.Scheme+"://"+u.Host) {
		return fmt.Errorf("public_url: must be http:// or https:// and a host, without a path (got %q)", c.PublicURL)
	}
	for _, p := range c.TrustedProxies {
		_, err := netip.ParseAddr(p)
		if _, network := netip.ParsePrefix(p); err != nil && network != nil {
			return fmt.Errorf("trusted_proxies: must be addresses or networks such as 10.0.0.0/8 (got %q)", p)
		}
	}
	return nil
}

// https reports whether people reach the server over HTTPS only.
func (c Config) https() bool { return strings.HasPrefix(c.PublicURL, "https://") }

// base returns the beginning of the server's addresses: the public one, or else that of a host.
func (c Config) base(host string) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	return "http://" + host
}

// Base returns the beginning of the addresses under which people reach a server that listens at an address.
func (c Config) Base(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip, e := netip.ParseAddr(host); err == nil && (host == "" || e == nil && ip.IsUnspecified()) {
		addr = net.JoinHostPort("localhost", port)
	}
	return c.base(addr)
}

// Store is what the server needs of a database; *storage.DB satisfies it. Each part stands where it is used.
type Store interface {
	sessionStore
	peopleStore
	auditStore
	workStore
	dataStore
	figureStore
	reviewStore
	flagStore
}

// Server is the labeling application. It may be used concurrently.
type Server struct {
	c     Config
	store Store
	log   *slog.Logger

	rendered renderings // HTML of texts

	hashing  *hashing
	signIns  *signIns
	requests *buckets // of each labeler; nil: without a limit

	computed computations
	live     standings
	ending   chan struct{} // closed by end when Serve stops: streams end
	end      func()
}

// NewServer returns a server over a store. c must be valid.
func NewServer(c Config, store Store, log *slog.Logger) *Server {
	s := &Server{c: c, store: store, log: log, hashing: newHashing(), signIns: newSignIns(time.Now), ending: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.ending) })
	if c.RequestsPerSecond > 0 {
		s.requests = newBuckets(2*c.RequestsPerSecond, time.Second/time.Duration(c.RequestsPerSecond), time.Now)
	}
	return s
}

// Handler returns the whole application.
func (s *Server) Handler() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	if err := g.SetTrustedProxies(s.c.TrustedProxies); err != nil {
		panic(err) // checked by Validate
	}
	g.Use(s.logged, s.recovered, s.secured, uncached, s.sameOrigin(), s.introduced)
	s.pages(g)
	api := newAPI(g, s.cookieName())
	s.sessionAPI(api)
	s.peopleAPI(api)
	s.auditAPI(api)
	s.tasksAPI(api)
	s.projectsAPI(api)
	s.adminTasksAPI(api)
	s.exchangeAPI(api)
	s.figuresAPI(api)
	s.reviewAPI(api)
	s.flagsAPI(api)
	describeNull(api)
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
	return g
}

// Serve answers on the listener until ctx ends, then lets the requests in work finish.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	h.RegisterOnShutdown(s.end)
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
