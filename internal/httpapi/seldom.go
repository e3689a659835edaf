package httpapi

import (
	"sync"
	"time"
)

// seldom lets one log line through in logEvery, and counts those that it held back. The zero value is ready.
type seldom struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// limiters are one for each kind of line, of a closed list. The zero value is ready.
type limiters struct {
	mu    sync.Mutex
	kinds map[string]*seldom
}

func (l *limiters) of(kind string) *seldom {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kinds == nil {
		l.kinds = map[string]*seldom{}
	}
	if l.kinds[kind] == nil {
		l.kinds[kind] = &seldom{}
	}
	return l.kinds[kind]
}

const logEvery = 10 * time.Second

// now tells whether to log, and how many lines like it were not.
func (s *seldom) now(at time.Time) (skipped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.last.IsZero() && at.Sub(s.last) < logEvery {
		s.skipped++
		return 0, false
	}
	skipped, s.skipped, s.last = s.skipped, 0, at
	return skipped, true
}
