package labeling

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// logged writes one line a request at debug level; names and texts are not in it.
func (s *Server) logged(c *gin.Context) {
	start := time.Now()
	c.Next()
	s.log.Debug("request", "method", c.Request.Method, "path", c.Request.URL.Path, "status", c.Writer.Status(), "duration", time.Since(start))
}

// recovered turns a panic into an answer.
func (s *Server) recovered(c *gin.Context) {
	defer func() {
		if v := recover(); v != nil {
			s.refuse(c, fmt.Errorf("panic: %v", v))
		}
	}()
	c.Next()
}

// secured forbids everything the pages do not need.
func (s *Server) secured(c *gin.Context) {
	h := c.Writer.Header()
	for name, value := range map[string]string{
		"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
		"Referrer-Policy":              "same-origin",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
	} {
		h.Set(name, value)
	}
	if s.c.https() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	c.Next()
}

// uncached keeps the API's answers out of caches.
func uncached(c *gin.Context) {
	if strings.HasPrefix(c.Request.URL.Path, "/api/") {
		c.Header("Cache-Control", "no-store")
	}
	c.Next()
}

// sameOrigin refuses what another site has a browser send, apart from reading. Requests of programs name no origin and pass.
func (s *Server) sameOrigin() gin.HandlerFunc {
	p := http.NewCrossOriginProtection()
	if s.c.PublicURL != "" {
		p.AddTrustedOrigin(s.c.base("")) // checked by Validate
	}
	return func(c *gin.Context) {
		if p.Check(c.Request) != nil {
			s.refuse(c, refusal{http.StatusForbidden, "origin", "Requests from other sites are refused.", ""})
			return
		}
		c.Next()
	}
}

// introduced notes where a request comes from and which session it names.
func (s *Server) introduced(c *gin.Context) {
	who := caller{address: network(c.ClientIP()), base: s.c.base(c.Request.Host)}
	if cookie, err := c.Request.Cookie(s.cookieName()); err == nil {
		who.session = cookie.Value
	}
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), callerKey{}, who))
	c.Next()
}
