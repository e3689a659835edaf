package client

import (
	"context"
	"net/http"
	"strings"
	"time"
)

const reloadPath = "/api/reload"

// ReloadAnswer is the answer to Reload.
type ReloadAnswer struct {
	// Node is the node that read its configuration again; no other did.
	Node string `json:"node"`
	// Changed are the settings that have a new value, by the names of their flags without dashes. NeedRestart are those that differ and
	// that only a restart changes.
	Changed     []string  `json:"changed"`
	NeedRestart []string  `json:"needRestart"`
	Timestamp   time.Time `json:"timestamp"`
}

// Text describes the answer in a line or two. safe makes what the node says fit to print.
func (r ReloadAnswer) Text(safe func(string) string) string {
	changed := "Nothing has changed."
	if len(r.Changed) > 0 {
		changed = "Changed: " + safe(strings.Join(r.Changed, ", ")) + "."
	}
	text := "Node " + safe(r.Node) + " has read its configuration again. " + changed + "\n"
	if len(r.NeedRestart) > 0 {
		text += "Only a restart changes: " + safe(strings.Join(r.NeedRestart, ", ")) + ".\n"
	}
	return text
}

// Reload has the node read its configuration again. It is refused (an Error with status 409) if the configuration is wrong; then
// nothing has changed.
func (c *Client) Reload(ctx context.Context) (ReloadAnswer, error) {
	answer, err := send[ReloadAnswer](ctx, c, http.MethodPost, reloadPath, nil)
	if err == nil && answer.Changed == nil {
		return ReloadAnswer{}, ErrNotRollcall
	}
	return answer, err
}
