package sim

import (
	"errors"
	"sync"
)

// errGone is the error of every call of a process that was killed. Nobody sees it.
var errGone = errors.New("the process was killed")

// Gate lies between a process and everything outside. While it is paused nothing passes. Once it is killed nothing ever passes
// again.
type Gate struct {
	mu     sync.Mutex
	paused chan struct{} // closed at the end of the pause; nil while there is none
	dead   bool
}

// Pause stops the process until Resume, as SIGSTOP does.
func (g *Gate) Pause() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.paused == nil && !g.dead {
		g.paused = make(chan struct{})
	}
}

// Resume ends a pause.
func (g *Gate) Resume() { g.end(false) }

// Kill ends the process permanently.
func (g *Gate) Kill() { g.end(true) }

func (g *Gate) end(dead bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = g.dead || dead
	if g.paused != nil {
		close(g.paused)
		g.paused = nil
	}
}

// Pass waits until the process runs, and reports whether it had to wait. No context ends the wait, because a stopped process does
// not notice that its time has run out. The error is errGone.
func (g *Gate) Pass() (waited bool, err error) {
	for {
		g.mu.Lock()
		paused, dead := g.paused, g.dead
		g.mu.Unlock()
		switch {
		case dead:
			return waited, errGone
		case paused == nil:
			return waited, nil
		}
		<-paused
		waited = true
	}
}
