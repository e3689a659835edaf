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

// giveVote waits while the others can commit nothing without this node's vote: it is one of two voters, or the only one of several servers.
// It waits for no server that leaves as well, or that has been silent for outOfContact. If this node leads, because the first hand-over failed
// or it was elected again, it hands over again. A node that was removed does not learn how the votes change.
func (n *Node) giveVote(ctx context.Context) {
	ctx, cancel := beforeTheEnd(ctx)
	defer cancel()
	for heard := time.Now(); !n.removed.Load() && time.Since(heard) <= outOfContact; {
		answers, silent := n.stay(ctx, n.dependents())
		switch {
		case !answers && !silent:
			return
		case answers:
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

// stay reports whether one of the servers answers and does not leave, or else whether one is silent that is not known to have left.
func (n *Node) stay(ctx context.Context, servers []raft.Server) (answers, silent bool) {
	for _, s := range servers {
		h, err := n.ask(ctx, string(s.Address))
		switch here := err == nil && h.ID == string(s.ID) && !h.Fresh; {
		// What this node knows of a leave may be old: another leader may have let the other node in again.
		case here && !h.Leaving:
			return true, false
		case !here && !n.hasLeft(string(s.ID)):
			silent = true
		}
	}
	return false, silent
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

// dependents returns the servers that can commit nothing without this node's vote.
func (n *Node) dependents() []raft.Server {
	servers := n.raft.GetConfiguration()
	if servers.Error() != nil {
		return nil
	}
	var voters, others []raft.Server
	own := false
	for _, s := range servers.Configuration().Servers {
		switch votes := s.Suffrage == raft.Voter; {
		case s.ID == raft.ServerID(n.cfg.NodeID):
			own = votes
		case votes:
			voters = append(voters, s)
		default:
			others = append(others, s)
		}
	}
	switch {
	case own && len(voters) == 0:
		return others
	case own && len(voters) == 1:
		return voters
	}
	return nil
}
