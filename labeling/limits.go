package labeling

import (
	"context"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// buckets limit how often something may happen, for each of many keys: burst times at once, and once more after every step.
type buckets struct {
	burst int
	step  time.Duration
	now   func() time.Time

	mu    sync.Mutex
	of    map[string]bucket
	swept time.Time
}

// A bucket is full again at a time; each thing that happens moves the time by a step.
type bucket struct{ full time.Time }

func newBuckets(burst int, step time.Duration, now func() time.Time) *buckets {
	return &buckets{burst: burst, step: step, now: now, of: map[string]bucket{}}
}

// take lets something happen and returns 0, or returns how long to wait until it may.
func (b *buckets) take(key string) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.sweep(now)
	full := b.of[key].full
	if full.Before(now) {
		full = now
	}
	full = full.Add(b.step)
	if wait := full.Sub(now) - time.Duration(b.burst)*b.step; wait > 0 {
		return wait
	}
	b.of[key] = bucket{full}
	return 0
}

// give takes back what take let happen.
func (b *buckets) give(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x, ok := b.of[key]; ok {
		b.of[key] = bucket{x.full.Add(-b.step)}
	}
}

// reset lets everything happen again.
func (b *buckets) reset(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, key)
}

// sweep forgets the keys whose buckets are full, once in the time that an empty one takes.
func (b *buckets) sweep(now time.Time) {
	if now.Sub(b.swept) < time.Duration(b.burst)*b.step {
		return
	}
	b.swept = now
	for key, x := range b.of {
		if !x.full.After(now) {
			delete(b.of, key)
		}
	}
}

// tooMany is the refusal of what came too often.
type tooMany struct {
	refusal
	wait time.Duration
}

// GetHeaders says when to try again.
func (t tooMany) GetHeaders() http.Header {
	return http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(t.wait.Seconds())))}}
}

// signIns throttle wrong passwords: five a minute for a name from one address, so that nobody is kept out by somebody
// elsewhere; more for an address, behind which may be many; and for a name, so that many addresses are no better than one.
type signIns struct{ both, address, name *buckets }

func newSignIns(now func() time.Time) *signIns {
	return &signIns{both: newBuckets(5, 12*time.Second, now), address: newBuckets(50, 2*time.Second, now), name: newBuckets(50, 12*time.Second, now)}
}

// begin counts an attempt as a wrong one until it ends, so that many at once are no better than one after the other. It
// returns tooMany if there have been too many. The name of an attempt with a link is "".
func (s *signIns) begin(ctx context.Context, name string) (right func(), err error) {
	address := callerOf(ctx).address
	both := address + " " + name
	taken := []func(){}
	for _, x := range []struct {
		in  *buckets
		key string
	}{{s.both, both}, {s.address, address}, {s.name, name}} {
		if name == "" && x.in != s.address {
			continue
		}
		if wait := x.in.take(x.key); wait > 0 {
			for _, undo := range taken {
				undo()
			}
			return nil, tooMany{refusal{http.StatusTooManyRequests, "throttled", "Too many wrong passwords. Try again in a minute.", ""}, wait}
		}
		taken = append(taken, func() { x.in.give(x.key) })
	}
	return func() {
		for _, undo := range taken {
			undo()
		}
		s.both.reset(both)
	}, nil
}

// A caller is what the server knows of whoever sends a request before it asks who they are.
type caller struct {
	address string // of an IPv6 network the first 64 bits, which belong to one subscriber
	session string // the session's cookie; "" without one
	base    string // how they call this server, such as http://127.0.0.1:8080
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// network returns the address by which somebody is throttled.
func network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if a = a.Unmap(); a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// limited returns tooMany for a labeler who sends more than label.requests_per_second.
func (s *Server) limited(labelerID int64) error {
	if s.requests == nil {
		return nil
	}
	if wait := s.requests.take(strconv.FormatInt(labelerID, 10)); wait > 0 {
		return tooMany{refusal{http.StatusTooManyRequests, "rate", "Too many requests at once. Try again in a moment.", ""}, wait}
	}
	return nil
}
