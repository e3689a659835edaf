package daemon

import (
	"context"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/node"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// live reports changes to the API: those of rooms from Redis, the rest from the cluster's state on this node.
type live struct {
	store  *redisstore.Store
	node   *node.Node
	health health
}

// Now implements httpapi.Live.
func (l live) Now() (httpapi.ClusterStatus, error) {
	n, ok := l.node.Ownership.Cluster()
	if !ok {
		return httpapi.ClusterStatus{}, httpapi.ErrUnavailable
	}
	now, state := n.Status(), n.State()
	s := httpapi.ClusterStatus{Leader: now.Leader, Term: now.Term, Epoch: now.Epoch, Running: state.Running(),
		LastSync: node.LastReport(state, fsm.KindSync), LastCleanup: node.LastReport(state, fsm.KindCleanup), Redis: l.health.Redis().State}
	for _, m := range now.Members {
		s.Members = append(s.Members, m.ID)
	}
	return s, nil
}

// Changed implements httpapi.Live. Before the cluster is open nobody watches: Now fails.
func (l live) Changed() <-chan struct{} {
	n, ok := l.node.Ownership.Cluster()
	if !ok {
		return nil
	}
	return n.StatusChanged()
}

// Last implements httpapi.Live.
func (l live) Last(ctx context.Context) (id string, now int64, err error) {
	id, now, err = l.store.LastChange(ctx)
	return id, now, readError(err)
}

// Follow implements httpapi.Live.
func (l live) Follow(ctx context.Context, after string, take func([]reconcile.FeedEntry)) error {
	return l.store.Follow(ctx, after, take)
}

// Since implements httpapi.Live.
func (l live) Since(ctx context.Context, q reconcile.FeedQuery) (reconcile.FeedPart, error) {
	p, err := l.store.Since(ctx, q)
	return p, readError(err)
}
