package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Reloader reads this node's configuration again.
type Reloader interface {
	// Reload applies what a running node can take of the configuration. A configuration that is wrong changes nothing. Errors: a Refused.
	Reload(ctx context.Context) (Reloaded, error)
	// AdminToken returns what the file of the admin token holds now, or "". It may ask for a reload: after the file has changed, commands that read
	// their token from the same file have no other.
	AdminToken() string
}

// Reloaded says what a reload did, by the names of the flags without dashes.
type Reloaded struct {
	// Node is the node that did it; a reload concerns no other.
	Node string `json:"node"`
	// Changed are the settings that have a new value. NeedRestart are those that differ and that only a restart changes.
	Changed     []string `json:"changed"`
	NeedRestart []string `json:"needRestart"`
}

type reloadAnswer struct {
	Reloaded
	Timestamp string `json:"timestamp"`
}

// reload answers POST /api/reload. The body may be empty.
func (a *api) reload(c *call) (any, error) {
	body, err := c.readSmall(maxActionBytes)
	if err != nil {
		return nil, err
	}
	var given map[string]json.RawMessage
	if body = bytes.TrimSpace(body); len(body) > 0 && (json.Unmarshal(body, &given) != nil || given == nil || len(given) > 0) {
		return nil, refuse(http.StatusBadRequest, "A reload has no options: send no body, or {}")
	}
	return a.actions.do(c.r.Context(), true, c.audit, func(ctx context.Context) (any, error) {
		done, err := a.ports.Reloader.Reload(ctx)
		if err != nil {
			return nil, err
		}
		return reloadAnswer{Reloaded: done, Timestamp: stamp(time.Now())}, nil
	})
}
