package rpc

import (
	"context"
	"fmt"
	"sync"

	"github.com/rollcallhq/rollcall/actors"
)

// semaphore limits the requests under way and, once closed, lets no more in.
type semaphore struct {
	limit int

	mu     sync.Mutex
	used   int
	closed bool
	empty  chan struct{} // closed when the semaphore is closed and nothing is under way
}

func newSemaphore(limit int) *semaphore { return &semaphore{limit: limit, empty: make(chan struct{})} }

// acquire lets one request in. The error is ErrBusy or ErrClosing.
func (s *semaphore) acquire() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return actors.ErrClosing
	case s.used >= s.limit:
		return fmt.Errorf("%w: %d requests between nodes", actors.ErrBusy, s.used)
	}
	s.used++
	return nil
}

// release lets n requests out. A nil semaphore has let none in.
func (s *semaphore) release(n int) {
	if s == nil || n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
	if s.closed && s.used == 0 {
		close(s.empty)
	}
}

func (s *semaphore) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used == 0
}

// close refuses new requests and waits for those under way, until ctx ends.
func (s *semaphore) close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed && s.used == 0 {
		close(s.empty)
	}
	s.closed = true
	s.mu.Unlock()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("requests between nodes are still under way: %w", ctx.Err())
	}
}

// closeAll closes semaphores in turn, until ctx ends.
func closeAll(ctx context.Context, semaphores ...*semaphore) error {
	for _, s := range semaphores {
		if err := s.close(ctx); err != nil {
			return err
		}
	}
	return nil
}
