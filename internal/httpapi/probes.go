package httpapi

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// readyWithin is how long /readyz waits for an answer; a probe's own patience is often no longer.
const readyWithin = 2 * time.Second

// drain makes /readyz say no while all else goes on.
type drain struct{ on atomic.Bool }

type probeAnswer struct {
	Status string `json:"status"`
}

func (a *api) livez(*call) (any, error) { return probeAnswer{"ok"}, nil }

// readyz tells no more than that: it is open to everyone.
func (a *api) readyz(c *call) (any, error) {
	if a.drain.on.Load() {
		return nil, refuse(http.StatusServiceUnavailable, "Draining")
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), readyWithin)
	defer cancel()
	if err := a.ports.Health.Ready(ctx); err != nil {
		return nil, &problem{status: http.StatusServiceUnavailable, text: "Not ready", cause: err}
	}
	return probeAnswer{"ready"}, nil
}

func (a *api) version(*call) (any, error) { return a.build, nil }

type indexAnswer struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	Endpoints []string `json:"endpoints"`
}
