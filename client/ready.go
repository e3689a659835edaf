package client

import (
	"context"
	"fmt"
)

// Ready returns nil if the node serves now. An *Error with status 503 means that it does not: it is starting or stopping,
// has no leader, or its Redis does not answer. No token is needed; the message has the reason only for callers on the node's
// machine, and for tokens that may read everything.
func (c *Client) Ready(ctx context.Context) error {
	answer, err := get[struct {
		Status string `json:"status"`
	}](ctx, c, "/readyz")
	if err == nil && answer.Status != "ready" {
		return fmt.Errorf("%w: /readyz gives no status", ErrNotRollcall)
	}
	return err
}
