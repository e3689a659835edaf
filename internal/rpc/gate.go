package rpc

import (
	"context"
	"fmt"
	"sync"

	"github.com/rollcallhq/rollcall/actors"
)

// gate limits the requests under way and, once closed, lets no more in.
type gate struct {
	limit int

	mu     sync.Mutex
	used   int
	closed bool
	empty  chan struct{} // closed when the gate is closed and nothing is under way
}

func newGate(limit int) *gate { return &gate{limit: limit, empty: make(chan struct{})} }

// enter errors: ErrBusy, ErrClosing.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return actors.ErrClosing
	case g.used >= g.limit:
		return fmt.Errorf("%w: %d requests between nodes", actors.ErrBusy, g.used)
	}
	g.used++
	return nil
}

func (g *gate) leave(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used -= n
	if g.closed && g.used == 0 && n > 0 {
		close(g.empty)
	}
}

// close refuses new requests and waits for those under way, until ctx ends.
func (g *gate) close(ctx context.Context) error {
	g.mu.Lock()
	if !g.closed && g.used == 0 {
		close(g.empty)
	}
	g.closed = true
	g.mu.Unlock()
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("requests between nodes are still under way: %w", ctx.Err())
	}
}
