package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/internal/wait"
)

// handOver transfers the leadership to another voter that answers, if there is one. On a node that does not lead it does nothing.
func (n *Node) handOver(ctx context.Context) error {
	return n.handOverTo(ctx, func(raft.Server) bool { return true })
}

// handOverTo is like handOver, but considers only servers that suits accepts.
func (n *Node) handOverTo(ctx context.Context, suits func(raft.Server) bool) error {
	if n.raft.State() != raft.Leader {
		return nil
	}
	// This also keeps out membership, which would take the successor's vote.
	if err := n.configuring.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("another change of the configuration is under way: %w", err)
	}
	defer n.configuring.Release(1)
	next, err := n.successor(ctx, suits)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil { // perhaps this node ends: raft leaves a transfer unanswered that comes as it shuts down
		return fmt.Errorf("the leadership was not handed over in time: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- n.raft.LeadershipTransferToServer(next.ID, next.Address).Error() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("hand the leadership over: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the leadership was not handed over in time: %w", ctx.Err())
	}
}

// successor returns the voter that is to lead next. Raft itself might choose a dead one. If no other voter answers but another member does,
// as when only one of two nodes votes, successor gives that member a vote. Once that member leads, it takes this node's vote away.
func (n *Node) successor(ctx context.Context, suits func(raft.Server) bool) (raft.Server, error) {
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil {
		return raft.Server{}, err
	}
	all, view := servers.Configuration().Servers, n.fsm.State().View
	silent := n.silentServers(ctx, all)
	var other raft.Server
	for _, s := range all {
		_, isSilent := silent[string(s.ID)]
		_, member := view.Member(string(s.ID))
		switch {
		case isSilent || s.ID == raft.ServerID(n.cfg.NodeID) || !suits(s):
		case s.Suffrage == raft.Voter:
			return s, nil
		case member:
			other = s
		}
	}
	if other.ID == "" {
		return raft.Server{}, ErrNoSuccessor
	}
	n.log.Info("a node votes from now on, to lead next", "peer", other.ID)
	return other, n.raftError(n.raft.AddVoter(other.ID, other.Address, servers.Index(), applyTimeout).Error())
}

// giveVote waits while this node is one of two voters, unless the other one leaves as well or has been silent for outOfContact. Until this
// node loses its vote, the other one could commit nothing without it. If this node leads, because the first hand-over failed or it was
// elected again, it hands over again. A node that was removed does not learn how the votes change.
func (n *Node) giveVote(ctx context.Context) {
	ctx, cancel := beforeTheEnd(ctx)
	defer cancel()
	for heard := time.Now(); !n.removed.Load() && time.Since(heard) <= outOfContact; {
		other, ok := n.otherOfTwo()
		if !ok {
			return
		}
		h, err := n.ask(ctx, string(other.Address))
		answers := err == nil && h.ID == string(other.ID) && !h.Fresh
		// What this node knows of a leave may be old: another leader may have let the other node in again.
		if answers && h.Leaving || !answers && n.hasLeft(string(other.ID)) {
			return
		}
		if answers {
			heard = time.Now()
			if err := n.handOver(ctx); err != nil { // only if this node leads
				n.log.Debug("handing over once more", "error", err)
			}
		}
		if wait.For(ctx, pollReady) != nil {
			return
		}
	}
}

// voteWithin is the longest wait for another node to take this one's vote, closeWithin the time of a stop that is left for what follows.
const (
	voteWithin  = 10 * time.Second
	closeWithin = time.Second
)

// beforeTheEnd returns a context for giveVote.
func beforeTheEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	end := time.Now().Add(voteWithin)
	if last, ok := ctx.Deadline(); ok && last.Add(-closeWithin).Before(end) {
		end = last.Add(-closeWithin)
	}
	return context.WithDeadline(ctx, end)
}

// otherOfTwo returns the other voter if this node is one of two.
func (n *Node) otherOfTwo() (other raft.Server, ok bool) {
	servers := n.raft.GetConfiguration()
	if servers.Error() != nil {
		return raft.Server{}, false
	}
	voters, own := 0, false
	for _, s := range servers.Configuration().Servers {
		switch {
		case s.Suffrage != raft.Voter:
			continue
		case s.ID == raft.ServerID(n.cfg.NodeID):
			own = true
		default:
			other = s
		}
		voters++
	}
	return other, own && voters == 2
}
