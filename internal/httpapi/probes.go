package httpapi

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// readyWithin is how long /readyz waits for an answer; probes often wait no longer themselves.
const readyWithin = 2 * time.Second

// drain makes /readyz fail while everything else is served.
type drain struct{ on atomic.Bool }

type probeAnswer struct {
	Status string `json:"status"`
}

func (a *api) livez(*call) (any, error) { return probeAnswer{"ok"}, nil }

// readyz is open to everyone. The reason, which may name addresses, is only for callers on this machine, such as the image's
// health check, and for callers who may read everything.
func (a *api) readyz(c *call) (any, error) {
	if a.drain.on.Load() {
		return nil, refuse(http.StatusServiceUnavailable, "Draining")
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), readyWithin)
	defer cancel()
	if err := a.ports.Health.Ready(ctx); err != nil {
		text := "Not ready"
		if private(c.r) && len(c.r.Header.Values("Authorization")) == 0 || a.access.check(c, readAll) == nil {
			text += ": " + err.Error()
		}
		return nil, &problem{status: http.StatusServiceUnavailable, text: text, cause: err}
	}
	return probeAnswer{"ready"}, nil
}

func (a *api) version(*call) (any, error) { return a.build, nil }

type indexAnswer struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	Endpoints []string `json:"endpoints"`
}
