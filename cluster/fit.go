package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

const (
	fitPath = peerPrefix + "fit"
	// fitEvery is how often a node tries whether it is fit, and fitTimeout how long a try may take.
	fitEvery   = 500 * time.Millisecond
	fitTimeout = 500 * time.Millisecond
	// asideAfter is how many tries in a row must fail here and succeed elsewhere before a node steps aside.
	asideAfter = 3
)

// fitness is a node's answer to whether it is fit.
type fitness struct {
	Fit bool `json:"fit"`
}

// tryFit is nil while this node can do a member's work.
func (n *Node) tryFit(ctx context.Context) error {
	if n.cfg.Fit == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, fitTimeout)
	defer cancel()
	return n.cfg.Fit(ctx)
}

func (n *Node) answerFit(ctx context.Context, _ []byte) (any, error) {
	return fitness{Fit: n.tryFit(ctx) == nil}, nil
}

// keepFit steps aside while this node is not fit, or nobody reaches it, and another node is fit: a follower out of the view,
// a leader first from its leadership. While nobody is fit nothing moves, since nobody could do better.
func (n *Node) keepFit(ctx context.Context) {
	var reach reachability
	for failed := 0; sleep(ctx, fitEvery) == nil; {
		err := n.tryFit(ctx)
		if err == nil {
			err = reach.try(ctx, n)
		}
		if err == nil || n.member(n.fsm.State().View) {
			n.comeBack()
		}
		if err == nil || n.aside.Load() != nil {
			failed = 0
			continue
		}
		other, found := n.fitter(ctx)
		if !found {
			failed = 0
			continue
		}
		if failed++; failed < asideAfter {
			continue
		}
		// Who has given away the lead goes on to give away its rooms.
		if err := n.stepAside(ctx, other, err); err != nil && ctx.Err() == nil {
			n.log.Warn("this node cannot work and could not step aside yet", "err", err)
		}
	}
}

// fitter is a node that can work now: whom the leader could hand over to, or the leader.
func (n *Node) fitter(ctx context.Context) (raft.ServerID, bool) {
	servers := n.raft.GetConfiguration()
	if servers.Error() != nil {
		return "", false
	}
	leads, leader, view := n.raft.State() == raft.Leader, n.leader().ID, n.fsm.State().View
	for _, s := range servers.Configuration().Servers {
		_, member := view.Member(string(s.ID))
		if string(s.ID) == n.cfg.NodeID || !member || !leads && string(s.ID) != leader {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 2*fitTimeout)
		var said fitness
		err := n.peers.call(ctx, string(s.Address), fitPath, struct{}{}, &said)
		cancel()
		if err == nil && said.Fit {
			return s.ID, true
		}
	}
	return "", false
}

// stepAside gives away what this node has and cannot serve: the lead, or else its rooms.
func (n *Node) stepAside(ctx context.Context, other raft.ServerID, why error) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	if n.raft.State() == raft.Leader && n.maySucceed(ctx, why) {
		n.log.Warn("this node leads and cannot work, and another can: that one is to lead", "peer", other, "err", why)
		return n.handOverTo(ctx, func(s raft.Server) bool { return s.ID == other })
	}
	n.log.Warn("this node cannot work, and another can: others own its rooms until it can", "err", why)
	why = fmt.Errorf("stepped aside: %w", why)
	n.aside.Store(&why)
	_, err := n.commit(ctx, fsm.Leave{ID: n.cfg.NodeID, Incarnation: n.incarnation.Load()})
	if err != nil && !errors.Is(err, fsm.NotMember) {
		n.comeBack()
		return err
	}
	for n.member(n.fsm.State().View) && sleep(ctx, pollReady) == nil {
	}
	return nil
}

// comeBack lets this node join again, if it has stepped aside.
func (n *Node) comeBack() {
	if n.aside.Swap(nil) != nil {
		n.log.Info("this node can work again, and joins")
	}
}
