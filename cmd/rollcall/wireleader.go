package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/httpapi"
)

const (
	// leaderWait is how long an action waits for a leader.
	leaderWait = 3 * time.Second
	leaderPoll = 100 * time.Millisecond
	// askPeerTimeout bounds a question to another node whose answer can be done without.
	askPeerTimeout = time.Second

	orderHandler  = "order"
	agendaHandler = "agenda"
)

// order is an action on its way to the leader.
type order struct {
	Action string `json:"action"`
	DryRun bool   `json:"dryRun,omitempty"`
	Force  bool   `json:"force,omitempty"`
	// Node is the one to remove.
	Node string `json:"node,omitempty"`
}

func orderOf(action string, o httpapi.Options) order {
	return order{Action: action, DryRun: o.DryRun, Force: o.Force}
}

// carried is what an order came to.
type carried struct {
	Sync    httpapi.Outcome `json:"sync"`
	Cleanup httpapi.Outcome `json:"cleanup"`
}

// The actions.
const (
	actSync     = "sync"
	actCleanup  = "cleanup"
	actFullSync = "full-sync"
	actStart    = "start-service"
	actStop     = "stop-service"
	actRemove   = "remove"
	// actLoss is a sync because LiveKit said that it dropped webhooks.
	actLoss = "sync-after-loss"
)

// lead has the leader carry out an order: this node, or the one that leads, for which it waits a little.
func (a *admin) lead(ctx context.Context, o order) (carried, error) {
	n, ok := a.own.cluster()
	if !ok {
		return carried{}, httpapi.ErrNoLeader
	}
	for until := time.Now().Add(leaderWait); ; {
		done, err := a.carry(ctx, n, o)
		if notLeading(err) {
			done = carried{}
			err = n.CallLeader(ctx, orderHandler, o, &done)
		}
		var answered *cluster.RemoteError
		again := notLeading(err) || err != nil && !errors.As(err, &answered)
		if !again || time.Now().After(until) || !pause(ctx, leaderPoll) {
			return done, leaderError(err)
		}
	}
}

func notLeading(err error) bool {
	return errors.Is(err, cluster.ErrNotLeader) || errors.Is(err, cluster.ErrNoLeader)
}

func leaderError(err error) error {
	switch {
	case notLeading(err), errors.Is(err, cluster.ErrTermEnded):
		return fmt.Errorf("%w: %w", httpapi.ErrNoLeader, err)
	case errors.Is(err, cluster.ErrOutcomeUnknown), errors.Is(err, cluster.ErrClosed):
		return fmt.Errorf("%w: %w", httpapi.ErrUnavailable, err)
	case errors.Is(err, cluster.ErrUnknownNode), errors.Is(err, cluster.ErrQuorum), errors.Is(err, cluster.ErrNoHeir):
		return httpapi.Refused{Reason: err.Error()}
	}
	return err
}

// carry does it here, under this node's term. The action goes on when the caller stops waiting.
func (a *admin) carry(ctx context.Context, n *cluster.Node, o order) (done carried, err error) {
	if o.Action == actRemove {
		return done, n.Remove(ctx, o.Node)
	}
	err = n.Lead(ctx, func(ctx context.Context, term cluster.Term) error {
		done, err = a.act(ctx, term, o)
		return err
	})
	return done, err
}

func (a *admin) act(ctx context.Context, term cluster.Term, o order) (carried, error) {
	how := actors.Options{DryRun: o.DryRun, Force: o.Force}
	switch o.Action {
	case actSync:
		r, err := a.runSync(ctx, term, how)
		return carried{Sync: outcomeOf(r)}, err
	case actLoss:
		if !a.own.node.State().Running() || !a.losses.take(time.Now(), a.every[taskSync]) {
			return carried{}, nil
		}
		r, err := a.runSync(ctx, term, actors.Options{Fresh: true})
		return carried{Sync: outcomeOf(r)}, err
	case actCleanup:
		r, err := a.runCleanup(ctx, term, how)
		return carried{Cleanup: outcomeOf(r)}, err
	case actFullSync:
		a.restoreGeneration(ctx, term, how)
		s, c, err := a.sweep.FullSync(ctx, token(term.Token), how)
		done := carried{Sync: outcomeOf(s), Cleanup: outcomeOf(c)}
		if c.StartedAt.IsZero() {
			return done, a.ended(ctx, term, fsm.KindSync, s, err) // it did not come to the cleanup
		}
		return done, errors.Join(a.ended(ctx, term, fsm.KindSync, s, nil), a.ended(ctx, term, fsm.KindCleanup, c, err))
	case actStart, actStop:
		result, err := a.own.node.Apply(ctx, fsm.SetService{Running: o.Action == actStart})
		return carried{}, errors.Join(err, result.Err())
	}
	return carried{}, fmt.Errorf("the leader does not know the action %q: does it run another version?", o.Action)
}

// answerOrder carries out another node's order. It is never passed on: who asks finds the leader.
func (a *admin) answerOrder(ctx context.Context, body []byte) (any, error) {
	var o order
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, fmt.Errorf("read the order: %w", err)
	}
	if err := a.own.wait(ctx); err != nil {
		return nil, err
	}
	return a.carry(ctx, a.own.node, o)
}

// Sync implements httpapi.Admin.
func (a *admin) Sync(ctx context.Context, o httpapi.Options) (httpapi.Outcome, error) {
	done, err := a.lead(ctx, orderOf(actSync, o))
	return done.Sync, err
}

// Cleanup implements httpapi.Admin.
func (a *admin) Cleanup(ctx context.Context, o httpapi.Options) (httpapi.Outcome, error) {
	done, err := a.lead(ctx, orderOf(actCleanup, o))
	return done.Cleanup, err
}

// FullSync implements httpapi.Admin.
func (a *admin) FullSync(ctx context.Context, o httpapi.Options) (synced, cleaned httpapi.Outcome, err error) {
	done, err := a.lead(ctx, orderOf(actFullSync, o))
	return done.Sync, done.Cleanup, err
}

// SetService implements httpapi.Admin.
func (a *admin) SetService(ctx context.Context, running bool) (bool, error) {
	action := actStop
	if running {
		action = actStart
	}
	_, err := a.lead(ctx, order{Action: action})
	return running, err
}

// agenda is what only the leader knows of the schedule.
type agenda struct {
	NextSync    time.Time         `json:"nextSync"`
	NextCleanup time.Time         `json:"nextCleanup"`
	Progress    *httpapi.Progress `json:"progress,omitempty"`
}

func (a *admin) agenda(n *cluster.Node) agenda {
	next := n.NextRuns()
	plan := agenda{NextSync: next[taskSync], NextCleanup: next[taskCleanup]}
	if p := a.sweep.Progress(); p.Kind != "" {
		plan.Progress = &httpapi.Progress{Kind: p.Kind, StartedAt: p.StartedAt, Done: p.Done, Of: p.Of, Slow: p.Slow}
	}
	return plan
}

func (a *admin) answerAgenda(ctx context.Context, _ []byte) (any, error) {
	if err := a.own.wait(ctx); err != nil {
		return nil, err
	}
	return a.agenda(a.own.node), nil
}
