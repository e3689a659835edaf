package httpapi

import (
	"sync"
	"time"
)

// logLimiter lets one log line through per logEvery and counts the ones that it suppressed. The zero value is ready for use.
type logLimiter struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// limiters holds one logLimiter for each kind of line, of a closed list. The zero value is ready for use.
type limiters struct {
	mu    sync.Mutex
	kinds map[string]*logLimiter
}

func (l *limiters) of(kind string) *logLimiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kinds == nil {
		l.kinds = map[string]*logLimiter{}
	}
	if l.kinds[kind] == nil {
		l.kinds[kind] = &logLimiter{}
	}
	return l.kinds[kind]
}

const logEvery = 10 * time.Second

// now reports whether to log, and how many lines of this kind were suppressed before.
func (s *logLimiter) now(at time.Time) (skipped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.last.IsZero() && at.Sub(s.last) < logEvery {
		s.skipped++
		return 0, false
	}
	skipped, s.skipped, s.last = s.skipped, 0, at
	return skipped, true
}
