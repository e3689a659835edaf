package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// The attributes of spans. None holds an identity, metadata or another value that participants choose.
const (
	roomKey      = attribute.Key("rollcall.room")
	eventKey     = attribute.Key("rollcall.event")
	causeKey     = attribute.Key("rollcall.cause")
	roomsKey     = attribute.Key("rollcall.rooms")
	changedKey   = attribute.Key("rollcall.changed")
	cleanedKey   = attribute.Key("rollcall.cleaned")
	errorsKey    = attribute.Key("rollcall.errors")
	scheduledKey = attribute.Key("rollcall.scheduled")
	dryRunKey    = attribute.Key("rollcall.dry_run")
	forceKey     = attribute.Key("rollcall.force")
	joinedKey    = attribute.Key("rollcall.joined")
)

// Redis is what the spans of commits call the database, by OpenTelemetry's conventions.
var redis = attribute.String("db.system.name", "redis")

// end ends a span with the outcome of its work.
func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// child begins a span of a trace. Without a trace it returns ctx and a span that records nothing.
func (t *Tracer) child(ctx context.Context, name string, kind trace.SpanKind, about ...attribute.KeyValue) (context.Context, trace.Span) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, trace.SpanFromContext(ctx)
	}
	return t.spans.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(about...))
}

// Webhook begins the trace of an event: the span "webhook", which the returned function ends.
func (t *Tracer) Webhook(ctx context.Context, e reconcile.Event) (context.Context, func(error)) {
	ctx, span := t.spans.Start(ctx, "webhook", trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(roomKey.String(e.Room.Name), eventKey.String(e.Kind.String())))
	return ctx, func(err error) { end(span, err) }
}

// Cycle begins the trace of a cycle: a span of the cycle's name, which the returned function ends.
func (t *Tracer) Cycle(ctx context.Context, name string, o reconcile.Options) (context.Context, func(reconcile.Report, error)) {
	about := []attribute.KeyValue{scheduledKey.Bool(o.Scheduled), dryRunKey.Bool(o.DryRun), forceKey.Bool(o.Force)}
	if o.Room != "" {
		about = append(about, roomKey.String(o.Room))
	}
	ctx, span := t.spans.Start(ctx, name, trace.WithNewRoot(), trace.WithAttributes(about...))
	return ctx, func(r reconcile.Report, err error) {
		span.SetAttributes(roomsKey.Int(r.Synced), changedKey.Int(r.Changed), cleanedKey.Int(r.Cleaned), errorsKey.Int(r.Errors), joinedKey.Bool(r.Joined))
		if r.Errors > 0 {
			span.SetStatus(codes.Error, r.Error)
		}
		end(span, err)
	}
}

// owner makes spans of the work that it passes on to an Owner.
type owner struct {
	actors.Owner
	tracer *Tracer
	prefix string
	kind   trace.SpanKind
}

// Local returns an Owner that makes a span of what this node's rooms do: "owner" or "survey".
func (t *Tracer) Local(rooms actors.Owner) actors.Owner {
	return &owner{rooms, t, "", trace.SpanKindServer}
}

// Remote returns an Owner that makes a span of what it has another node do: "send owner" or "send survey".
func (t *Tracer) Remote(node actors.Owner) actors.Owner {
	return &owner{node, t, "send ", trace.SpanKindClient}
}

// begin begins a span. Work that this node asks of itself is neither a client's nor a server's.
func (o *owner) begin(ctx context.Context, name string, about ...attribute.KeyValue) (context.Context, trace.Span) {
	as := o.kind
	if as == trace.SpanKindServer && !trace.SpanContextFromContext(ctx).IsRemote() {
		as = trace.SpanKindInternal
	}
	return o.tracer.child(ctx, o.prefix+name, as, about...)
}

// Deliver implements actors.Owner.
func (o *owner) Deliver(ctx context.Context, e reconcile.Event) error {
	ctx, span := o.begin(ctx, "owner", roomKey.String(e.Room.Name))
	err := o.Owner.Deliver(ctx, e)
	end(span, err)
	return err
}

// Survey implements actors.Owner.
func (o *owner) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	ctx, span := o.begin(ctx, "survey", roomsKey.Int(len(b.Rooms)))
	found, err := o.Owner.Survey(ctx, b)
	end(span, err)
	return found, err
}

// Cleanup implements actors.Owner.
func (o *owner) Cleanup(ctx context.Context, r actors.CleanupRequest) (actors.CleanupResult, error) {
	ctx, span := o.begin(ctx, "survey", roomsKey.Int(len(r.Rooms)))
	done, err := o.Owner.Cleanup(ctx, r)
	end(span, err)
	return done, err
}

// Commits makes the spans "claim" and "commit" of the scripts that an event needs. It passes on everything else.
type Commits struct {
	actors.Store
	Tracer *Tracer
}

// Claim implements actors.Store.
func (c Commits) Claim(ctx context.Context, room string, claim reconcile.Claim) (reconcile.Record, error) {
	ctx, span := c.Tracer.child(ctx, "claim", trace.SpanKindClient, roomKey.String(room), redis)
	record, err := c.Store.Claim(ctx, room, claim)
	end(span, err)
	return record, err
}

// Commit implements actors.Store.
func (c Commits) Commit(ctx context.Context, commit reconcile.Commit) (reconcile.Receipt, error) {
	ctx, span := c.Tracer.child(ctx, "commit", trace.SpanKindClient, roomKey.String(commit.Room), causeKey.String(string(commit.Cause)), redis)
	receipt, err := c.Store.Commit(ctx, commit)
	end(span, err)
	return receipt, err
}
