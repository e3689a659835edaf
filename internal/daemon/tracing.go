package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/node"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/internal/tracing"
	"github.com/rollcallhq/rollcall/reconcile"
)

// lastTraces is how long a stop waits for the collector to take the last spans.
const lastTraces = time.Second

// openTracing makes the tracer, if there is a collector to send traces to.
func (n *Daemon) openTracing(ctx context.Context) error {
	if n.config.OTLPEndpoint == "" {
		return nil
	}
	if by := tracing.Disabled(); by != "" {
		n.log.Info("no traces are sent: a variable of OpenTelemetry switches them off", "variable", by)
		return nil
	}
	id, err := n.config.PermanentNodeID()
	if err != nil {
		return err
	}
	n.tracer, err = tracing.New(ctx, tracing.Config{Endpoint: n.config.OTLPEndpoint, Node: id, Version: n.build.Version, Log: n.log})
	return err
}

// traced adds the traces to a node's configuration, if this node makes any.
func (n *Daemon) traced(c node.Config) node.Config {
	if n.tracer == nil {
		return c
	}
	c.Tracer, c.Local, c.Remote = n.tracer, n.tracer.Local, n.tracer.Remote
	c.Store = tracedStore{n.store, tracing.Commits{Store: n.store, Tracer: n.tracer}}
	return c
}

// tracedStore is the store, with spans of the claims and commits that events need.
type tracedStore struct {
	*redisstore.Store
	commits tracing.Commits
}

// Claim implements actors.Store.
func (s tracedStore) Claim(ctx context.Context, room string, claim reconcile.Claim) (reconcile.Record, error) {
	return s.commits.Claim(ctx, room, claim)
}

// Commit implements actors.Store.
func (s tracedStore) Commit(ctx context.Context, c reconcile.Commit) (reconcile.Receipt, error) {
	return s.commits.Commit(ctx, c)
}

// deliverer returns the way of webhooks to their rooms. It begins their traces, if this node makes any.
func (n *Daemon) deliverer() httpapi.Deliverer {
	d := countingDeliverer{deliverer{n.node.Router}, n.stats}
	if n.tracer == nil {
		return d
	}
	return tracedDeliverer{d, n.tracer}
}

// tracedDeliverer begins a trace for each webhook.
type tracedDeliverer struct {
	httpapi.Deliverer
	tracer *tracing.Tracer
}

// Deliver implements httpapi.Deliverer.
func (d tracedDeliverer) Deliver(ctx context.Context, e reconcile.Event) error {
	ctx, end := d.tracer.Webhook(ctx, e)
	err := d.Deliverer.Deliver(ctx, e)
	end(err)
	return err
}

// closeTracing sends the last spans. A collector that does not take them in time is no error of the stop.
func (n *Daemon) closeTracing(ctx context.Context) {
	if n.tracer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastTraces)
	defer cancel()
	if err := within(ctx, "the last traces", func() error { return n.tracer.Close(ctx) }); err != nil {
		n.log.Debug("the last traces are lost", "error", fmt.Errorf("--otlp-endpoint: %w", err))
	}
}
