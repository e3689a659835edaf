package actors_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// hurried records which rooms were claimed while a webhook waited, and which others were.
type hurried struct {
	actors.Store
	mu     sync.Mutex
	urgent []string
	others []string
}

func (h *hurried) Claim(ctx context.Context, room string, c reconcile.Claim) (reconcile.Record, error) {
	h.mu.Lock()
	if reconcile.IsUrgent(ctx) {
		h.urgent = append(h.urgent, room)
	} else {
		h.others = append(h.others, room)
	}
	h.mu.Unlock()
	return h.Store.Claim(ctx, room, c)
}

// A store waits for a part of Redis that does not answer only while a webhook waits. A sync need not wait, because it comes again.
func TestOnlyAWebhooksClaimIsUrgent(t *testing.T) {
	h := &hurried{}
	bubble(t, func(r *rig) {
		r.must(r.lk.join("told", "a"))
		r.lk.join("silent", "a") // and the webhooks are lost
		r.sync(reconcile.Options{Scheduled: true})
	}, func(c *actors.HostConfig) { h.Store, c.Store = c.Store, h })
	if !slices.Equal(h.urgent, []string{"told"}) || !slices.Equal(h.others, []string{"silent"}) {
		t.Errorf("urgent are %q, and others %q", h.urgent, h.others)
	}
}
