package daemon

import (
	"context"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// observer receives what rooms do and passes it to the metrics, the statistics and the list of repairs.
type observer struct {
	*metrics
	stats *stats
	store *redisstore.Store
}

var _ actors.Observer = observer{}

// Changed implements actors.Observer.
func (w observer) Changed(e actors.Effect) {
	w.metrics.changed(e)
	w.store.Drifted(e.Room, e.Cause, e.At, e.Drift)
	w.stats.note(func(at *slot) {
		at.changes += e.Changes
		at.drift += len(e.Drift)
		if e.Exact && e.Changes > 0 {
			at.took(max(0, e.At-e.Since))
		}
		for _, d := range e.Drift {
			if d.Since != 0 {
				at.took(max(0, e.At-d.Since))
			}
		}
	})
}

// countingDeliverer counts the webhooks that this node answers with 200.
type countingDeliverer struct {
	httpapi.Deliverer
	stats *stats
}

// Deliver implements httpapi.Deliverer.
func (c countingDeliverer) Deliver(ctx context.Context, e reconcile.Event) error {
	err := c.Deliverer.Deliver(ctx, e)
	if err == nil {
		c.stats.note(func(at *slot) { at.webhooks++ })
	}
	return err
}
