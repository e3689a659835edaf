package chaos

import (
	"context"
	"net/http"
	"sync"
)

// gate lets everyone through, or blocks them while it is shut.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // nil while open; closed when it opens
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

// pass waits until the gate is open. It returns the error of ctx.
func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut == nil {
		return nil
	}
	select {
	case <-shut:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// guard puts a handler behind the gate: a paused LiveKit accepts connections and does not answer.
func (g *gate) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.pass(r.Context()) == nil {
			next.ServeHTTP(w, r)
		}
	})
}

// post transports the webhooks through the gate to the next transport, and counts the answers.
type post struct {
	gate *gate
	next http.RoundTripper

	mu         sync.Mutex
	ok, failed int
}

// RoundTrip implements http.RoundTripper.
func (p *post) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := p.gate.pass(r.Context()); err != nil {
		return nil, err
	}
	resp, err := p.next.RoundTrip(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && resp.StatusCode == http.StatusOK {
		p.ok++
	} else {
		p.failed++
	}
	return resp, err
}

// counts returns the attempts so far that were answered with 200, and those that were not.
func (p *post) counts() (ok, failed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ok, p.failed
}
