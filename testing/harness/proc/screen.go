package proc

import (
	"bytes"
	"regexp"
	"sync"
	"testing"
	"time"
)

// Screen keeps what is written to it, as a terminal does. The zero value is empty. It is safe for concurrent use.
type Screen struct {
	mu    sync.Mutex
	all   bytes.Buffer
	ended bool
}

// Write never fails.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

// End declares that nothing more will be written. Pending and later calls of Await stop waiting.
func (s *Screen) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// Text returns everything that was written.
func (s *Screen) Text() string {
	text, _ := s.now()
	return text
}

func (s *Screen) now() (text string, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String(), s.ended
}

// Await waits until the screen shows the pattern, and returns the match and its groups. Call it from the test's own goroutine.
func (s *Screen) Await(t testing.TB, pattern string, patience time.Duration) []string {
	t.Helper()
	wanted := regexp.MustCompile(pattern)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(patience); ; <-tick.C {
		text, ended := s.now()
		if found := wanted.FindStringSubmatch(text); found != nil {
			return found
		}
		if ended || time.Now().After(limit) {
			t.Fatalf("the screen never showed %s", pattern)
		}
	}
}
