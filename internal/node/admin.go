package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// leaderWait is how long an action waits for a leader.
	leaderWait = 3 * time.Second
	leaderPoll = 100 * time.Millisecond
	// askTimeout limits a request to another node whose answer is not essential.
	askTimeout = time.Second

	actionHandler   = "action"
	scheduleHandler = "schedule"
)

// leaderRequest is an action on its way to the leader.
type leaderRequest struct {
	Action string `json:"action"`
	DryRun bool   `json:"dryRun,omitempty"`
	Force  bool   `json:"force,omitempty"`
	// Room is the room to sync. JSON carries it in base64, because a name may have bytes that are not UTF-8.
	Room []byte `json:"room,omitempty"`
	// Node is the node to remove.
	Node string `json:"node,omitempty"`
}

func request(action string, o reconcile.Options) leaderRequest {
	return leaderRequest{Action: action, DryRun: o.DryRun, Force: o.Force}
}

// actionResult is the outcome of an action.
type actionResult struct {
	Sync    reconcile.Report `json:"sync"`
	Cleanup reconcile.Report `json:"cleanup"`
}

// The actions.
const (
	syncAction     = "sync"
	syncRoomAction = "sync-room" // not a field of sync: a leader of an older version would ignore it and sync every room
	cleanupAction  = "cleanup"
	fullSyncAction = "full-sync"
	startAction    = "start-service"
	stopAction     = "stop-service"
	removeAction   = "remove"
	// syncAfterLoss is a sync because LiveKit has reported that it dropped webhooks.
	syncAfterLoss = "sync-after-loss"
)

// lead has the leader carry out an action, whether that is this node or another one. It waits for a leader for up to leaderWait. The errors are
// those of cluster.Node's Lead and CallLeader.
func (n *Node) lead(ctx context.Context, r leaderRequest) (actionResult, error) {
	c, ok := n.Ownership.Cluster()
	if !ok {
		return actionResult{}, cluster.ErrNoLeader
	}
	for until := time.Now().Add(leaderWait); ; {
		done, err := n.perform(ctx, c, r)
		if notLeading(err) {
			done = actionResult{}
			err = c.CallLeader(ctx, actionHandler, r, &done)
		}
		var answered *cluster.RemoteError
		again := notLeading(err) || err != nil && !errors.As(err, &answered)
		if !again || time.Now().After(until) || wait.For(ctx, leaderPoll) != nil {
			return done, err
		}
	}
}

func notLeading(err error) bool {
	return errors.Is(err, cluster.ErrNotLeader) || errors.Is(err, cluster.ErrNoLeader)
}

// perform carries out an action on this node, under this node's term. The action goes on when the caller stops waiting.
func (n *Node) perform(ctx context.Context, c *cluster.Node, r leaderRequest) (done actionResult, err error) {
	if r.Action == removeAction {
		return done, c.Remove(ctx, r.Node)
	}
	err = c.Lead(ctx, func(ctx context.Context, term cluster.Term) error {
		done, err = n.act(ctx, term, r)
		return err
	})
	return done, err
}

func (n *Node) act(ctx context.Context, term cluster.Term, r leaderRequest) (done actionResult, err error) {
	o := reconcile.Options{DryRun: r.DryRun, Force: r.Force}
	switch r.Action {
	case syncAction:
		done.Sync, err = n.sync(ctx, term, o)
	case syncRoomAction:
		o.Room = string(r.Room)
		done.Sync, err = n.syncRoom(ctx, term, o)
	case syncAfterLoss:
		if n.Cluster.State().Running() && n.losses.take(time.Now(), n.every.Load().sync) {
			done.Sync, err = n.sync(ctx, term, reconcile.Options{Fresh: true})
		}
	case cleanupAction:
		done.Cleanup, err = n.cleanup(ctx, term, o)
	case fullSyncAction:
		done.Sync, done.Cleanup, err = n.fullSync(ctx, term, o)
	case startAction, stopAction:
		_, err = n.Cluster.Apply(ctx, fsm.SetService{Running: r.Action == startAction})
	default:
		err = fmt.Errorf("the leader does not know the action %q: does it run another version?", r.Action)
	}
	return done, err
}

// answerAction carries out another node's action. It never passes the action on: the node that asks must find the leader.
func (n *Node) answerAction(ctx context.Context, body []byte) (any, error) {
	var r leaderRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("read the action: %w", err)
	}
	if err := n.Ownership.Wait(ctx); err != nil {
		return nil, err
	}
	return n.perform(ctx, n.Cluster, r)
}

// Sync has the leader sync all rooms, or the room that o names. A plain sync of all rooms joins a plain one that is under way.
func (n *Node) Sync(ctx context.Context, o reconcile.Options) (reconcile.Report, error) {
	r := request(syncAction, o)
	if o.Room != "" {
		r.Action, r.Room = syncRoomAction, []byte(o.Room)
	}
	done, err := n.lead(ctx, r)
	return done.Sync, err
}

// Cleanup has the leader run a cleanup.
func (n *Node) Cleanup(ctx context.Context, o reconcile.Options) (reconcile.Report, error) {
	done, err := n.lead(ctx, request(cleanupAction, o))
	return done.Cleanup, err
}

// FullSync has the leader run a new sync and then a cleanup.
func (n *Node) FullSync(ctx context.Context, o reconcile.Options) (synced, cleaned reconcile.Report, err error) {
	done, err := n.lead(ctx, request(fullSyncAction, o))
	return done.Sync, done.Cleanup, err
}

// SetService switches the schedule of the whole cluster, and returns the switch as committed.
func (n *Node) SetService(ctx context.Context, running bool) (bool, error) {
	action := stopAction
	if running {
		action = startAction
	}
	_, err := n.lead(ctx, leaderRequest{Action: action})
	return running, err
}

// Remove removes a node from the cluster permanently.
func (n *Node) Remove(ctx context.Context, id string) error {
	_, err := n.lead(ctx, leaderRequest{Action: removeAction, Node: id})
	return err
}
