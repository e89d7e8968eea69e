package labeling

import (
	"sync/atomic"
	"time"
)

// CountHashes counts the password hashes that a server computes instead of computing them: n by n, and most how many at
// once. Every password then is right if it is the text of the hash.
func (s *Server) CountHashes(n, most *atomic.Int64) {
	var at atomic.Int64
	s.hashing.check = func(hash, password string) bool {
		now := at.Add(1)
		defer at.Add(-1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		n.Add(1)
		time.Sleep(time.Millisecond) // as long as others need to come in
		return hash == password
	}
}

// SetNow replaces the clock of a server's limits.
func (s *Server) SetNow(now func() time.Time) {
	s.signIns = newSignIns(now)
	if s.requests != nil {
		s.requests.now = now
	}
}

// PagePaths returns the addresses of all pages.
func PagePaths() (paths []string) {
	for _, p := range pages {
		paths = append(paths, p.path)
	}
	return paths
}
