package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/internal/node"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
)

// webhookVerifier adapts LiveKit's signature check to the API.
type webhookVerifier struct{ keys *atomic.Pointer[signingKeys] }

// Admit implements httpapi.Verifier.
func (v webhookVerifier) Admit(authorization string, now time.Time) (httpapi.Admission, error) {
	a, err := v.keys.Load().verifier.Admit(authorization, now)
	if err != nil {
		return nil, webhookError(err)
	}
	return admission{a}, nil
}

// admission is a webhook's verified token as the API sees it.
type admission struct{ *livekit.Admission }

// Event implements httpapi.Admission.
func (a admission) Event(body []byte) (reconcile.Event, bool, error) {
	e, known, err := a.Admission.Event(body)
	return e, known, webhookError(err)
}

// Dropped implements httpapi.Verifier.
func (v webhookVerifier) Dropped(body []byte) int { return livekit.Dropped(body) }

func webhookError(err error) error {
	if err == nil {
		return nil
	}
	r := &httpapi.Rejected{Kind: httpapi.ErrUnauthorized}
	if why, ok := errors.AsType[*livekit.Refusal](err); ok {
		r.Why = why.Why
	}
	for cause, name := range map[error]httpapi.SignatureFault{livekit.ErrNoToken: httpapi.NoToken, livekit.ErrUnknownKey: httpapi.UnknownKey,
		livekit.ErrSignature: httpapi.WrongKey, livekit.ErrOtherBody: httpapi.OtherBody} {
		if errors.Is(err, cause) {
			r.Fault = name
		}
	}
	switch {
	case errors.Is(err, livekit.ErrMalformed):
		r.Kind = httpapi.ErrMalformed
	case errors.Is(err, livekit.ErrClock):
		r.Kind = httpapi.ErrExpired
	}
	return r
}

// tokenVerifier reads the grants of LiveKit's access tokens.
type tokenVerifier struct{ keys *atomic.Pointer[signingKeys] }

// VerifyToken implements httpapi.Tokens.
func (v tokenVerifier) VerifyToken(token string, now time.Time) (reconcile.Grant, error) {
	return v.keys.Load().tokens.Verify(token, now)
}

// deliverer takes webhooks to their rooms.
type deliverer struct{ router *actors.Router }

// Deliver implements httpapi.Deliverer.
func (d deliverer) Deliver(ctx context.Context, e reconcile.Event) error {
	err := d.router.Deliver(ctx, e)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, actors.ErrExpired):
		return fmt.Errorf("%w: %w", httpapi.ErrExpired, err)
	case errors.Is(err, actors.ErrBusy):
		return fmt.Errorf("%w: %w", httpapi.ErrBusy, err)
	case betweenNodes(err):
		return fmt.Errorf("%w: %w", httpapi.ErrCluster, err)
	}
	return fmt.Errorf("%w: %w", httpapi.ErrUnavailable, err)
}

// betweenNodes reports whether this node does not take an event because of the other nodes or the network to them.
func betweenNodes(err error) bool {
	return slices.ContainsFunc([]error{cluster.ErrNotJoined, cluster.ErrUnreached, cluster.ErrOutOfContact, cluster.ErrSeveralClusters, actors.ErrNotOwner},
		func(cause error) bool { return errors.Is(err, cause) })
}

// reader reads Redis for the API.
type reader struct{ *redisstore.Store }

// Rooms implements httpapi.Reader.
func (r reader) Rooms(ctx context.Context, cursor string, limit int, search string) ([]string, string, error) {
	names, next, err := r.Store.RoomsLately(ctx, cursor, limit, search)
	return names, next, readError(err)
}

// Sizes implements httpapi.Reader.
func (r reader) Sizes(ctx context.Context, rooms []string) ([]reconcile.RoomSize, error) {
	sizes, err := r.Store.Sizes(ctx, rooms)
	return sizes, readError(err)
}

// State implements httpapi.Reader.
func (r reader) State(ctx context.Context, room string, most int64) (json.RawMessage, bool, error) {
	value, ok, err := r.Store.StateUpTo(ctx, room, most)
	return value, ok, readError(err)
}

// States implements httpapi.Reader.
func (r reader) States(ctx context.Context, rooms []string) (participants, states map[string]json.RawMessage, err error) {
	participants, states, err = r.Store.States(ctx, rooms)
	return participants, states, readError(err)
}

// Count implements httpapi.Reader.
func (r reader) Count(ctx context.Context) (int64, error) {
	n, err := r.Store.Count(ctx)
	return n, readError(err)
}

// Matching implements httpapi.Reader.
func (r reader) Matching(ctx context.Context) (active, queue int64, err error) {
	active, queue, err = r.Store.Matching(ctx)
	return active, queue, readError(err)
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

func readError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redisstore.ErrCursor):
		return fmt.Errorf("%w: %w", httpapi.ErrMalformed, err)
	case errors.Is(err, reconcile.ErrIncomplete):
		return fmt.Errorf("%w: %w", httpapi.ErrIncomplete, err)
	}
	return fmt.Errorf("%w: %w", httpapi.ErrUnavailable, err)
}

// health reports whether this node can take webhooks.
type health struct {
	node  *node.Node
	redis *redisstore.Health
}

// Ready implements httpapi.Health.
func (h health) Ready(context.Context) error { return h.node.Ready() }

// Redis implements httpapi.Health.
func (h health) Redis() httpapi.Dependency { return redisAnswers(h.redis.Shards()) }

// admin has the leader act for the API.
type admin struct{ node *node.Node }

// Status implements httpapi.Admin.
func (a admin) Status(ctx context.Context) (httpapi.Status, error) {
	s, err := a.node.Status(ctx)
	return httpapi.Status(s), unavailable(err)
}

// Sync implements httpapi.Admin.
func (a admin) Sync(ctx context.Context, o reconcile.Options) (reconcile.Report, error) {
	r, err := a.node.Sync(ctx, o)
	return r, leaderError(err)
}

// Cleanup implements httpapi.Admin.
func (a admin) Cleanup(ctx context.Context, o reconcile.Options) (reconcile.Report, error) {
	r, err := a.node.Cleanup(ctx, o)
	return r, leaderError(err)
}

// FullSync implements httpapi.Admin.
func (a admin) FullSync(ctx context.Context, o reconcile.Options) (synced, cleaned reconcile.Report, err error) {
	synced, cleaned, err = a.node.FullSync(ctx, o)
	return synced, cleaned, leaderError(err)
}

// SetService implements httpapi.Admin.
func (a admin) SetService(ctx context.Context, running bool) (bool, error) {
	running, err := a.node.SetService(ctx, running)
	return running, leaderError(err)
}

// members reports the cluster's nodes to the API.
type members struct{ node *node.Node }

// Cluster implements httpapi.Cluster.
func (m members) Cluster(ctx context.Context) (httpapi.Membership, error) {
	all, err := m.node.Members(ctx)
	s := httpapi.Membership{Leader: all.Leader, Term: all.Term, Epoch: all.Epoch}
	for _, member := range all.Members {
		s.Members = append(s.Members, httpapi.Member(member))
	}
	return s, unavailable(err)
}

// Remove implements httpapi.Cluster.
func (m members) Remove(ctx context.Context, id string) error {
	return leaderError(m.node.Remove(ctx, id))
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", httpapi.ErrUnavailable, err)
}

func leaderError(err error) error {
	switch {
	case errors.Is(err, cluster.ErrNotLeader), errors.Is(err, cluster.ErrNoLeader), errors.Is(err, cluster.ErrTermEnded):
		return fmt.Errorf("%w: %w", httpapi.ErrNoLeader, err)
	case errors.Is(err, cluster.ErrOutcomeUnknown), errors.Is(err, cluster.ErrClosed):
		return unavailable(err)
	case errors.Is(err, cluster.ErrUnknownNode), errors.Is(err, cluster.ErrQuorum), errors.Is(err, cluster.ErrNoSuccessor):
		return httpapi.Refused{Reason: err.Error()}
	}
	return err
}

// livekitRooms adapts the LiveKit client to the API.
type livekitRooms struct{ *livekit.Client }

// Look implements httpapi.LiveKit. People ask for it, so it has a lower priority than syncs and polls.
func (l livekitRooms) Look(ctx context.Context, room string) (look reconcile.Look, err error) {
	ctx = livekit.LowPriority(ctx)
	listed, err := l.Listed(ctx, []string{room})
	if err != nil {
		return look, err
	}
	people, err := l.Participants(ctx, room)
	return people.In(listed.In(look, room)), err
}
