package main

import (
	"context"
	"os"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// name is this node's, for good.
func (n *daemon) name() (string, error) {
	if n.config.DataDir == "" {
		return n.config.NodeID, nil
	}
	host, err := os.Hostname()
	if err != nil && n.config.NodeID == "" {
		return "", wrong("--node-id, %s: missing, and the host has no name: %v", envName("node-id"), err)
	}
	return nodeID(n.config, host)
}

// witness is told what rooms do, and sees to it that people can see it.
type witness struct {
	*meters
	stats *stats
	store *redisstore.Store
}

var _ actors.Observer = witness{}

// Changed implements actors.Observer.
func (w witness) Changed(e actors.Effect) {
	w.meters.changed(e)
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

// counted counts the webhooks that this node answers with 200.
type counted struct {
	httpapi.Deliverer
	stats *stats
}

// Deliver implements httpapi.Deliverer.
func (c counted) Deliver(ctx context.Context, e reconcile.Event) error {
	err := c.Deliverer.Deliver(ctx, e)
	if err == nil {
		c.stats.note(func(at *slot) { at.webhooks++ })
	}
	return err
}

// Timeline implements httpapi.History.
func (r reader) Timeline(ctx context.Context, room string, limit int) ([]reconcile.TimelineEntry, error) {
	entries, err := r.Store.Timeline(ctx, room, limit)
	return entries, readError(err)
}

// Drift implements httpapi.History.
func (r reader) Drift(ctx context.Context) ([]reconcile.DriftEntry, error) {
	entries, err := r.Store.Drift(ctx)
	return entries, readError(err)
}

// live tells the API what happens: changes from Redis, the rest from the cluster's state on this node.
type live struct {
	store *redisstore.Store
	own   *ownership
}

// Standing implements httpapi.Live.
func (l live) Standing() (httpapi.Standing, error) {
	n, ok := l.own.cluster()
	if !ok {
		return httpapi.Standing{}, httpapi.ErrUnavailable
	}
	now, state := n.Status(), n.State()
	s := httpapi.Standing{Leader: now.Leader, Term: now.Term, Epoch: now.Epoch, Running: state.Running(),
		LastSync: lastReport(state, fsm.KindSync), LastCleanup: lastReport(state, fsm.KindCleanup)}
	for _, m := range now.Members {
		s.Members = append(s.Members, m.ID)
	}
	return s, nil
}

// Last implements httpapi.Live.
func (l live) Last(ctx context.Context) (id string, now int64, err error) {
	id, now, err = l.store.LastChange(ctx)
	return id, now, readError(err)
}

// Follow implements httpapi.Live.
func (l live) Follow(ctx context.Context, after string, take func([]httpapi.Change)) error {
	return l.store.Follow(ctx, after, func(changes []redisstore.Change) { take(changesOf(changes)) })
}

// Since implements httpapi.Live.
func (l live) Since(ctx context.Context, q httpapi.Query) (httpapi.Part, error) {
	p, err := l.store.Since(ctx, redisstore.Query(q))
	return httpapi.Part{Changes: changesOf(p.Changes), Last: p.Last, More: p.More, Looked: p.Looked, Bytes: p.Bytes, Needs: p.Needs}, readError(err)
}

func changesOf(changes []redisstore.Change) []httpapi.Change {
	list := make([]httpapi.Change, len(changes))
	for i, c := range changes {
		list[i] = httpapi.Change(c)
	}
	return list
}
