package labeling

import (
	"fmt"
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
func secured(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	c.Next()
}

// uncached keeps the API's answers out of caches.
func uncached(c *gin.Context) {
	if strings.HasPrefix(c.Request.URL.Path, "/api/") {
		c.Header("Cache-Control", "no-store")
	}
	c.Next()
}
