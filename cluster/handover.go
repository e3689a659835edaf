package cluster

import (
	"context"
	"fmt"

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

// giveVote waits while this node is one of two voters. Until it loses its vote, the other node could commit nothing without it.
func (n *Node) giveVote(ctx context.Context) {
	for n.isOneOfTwo() && n.raft.State() != raft.Leader && wait.For(ctx, pollReady) == nil {
	}
}

func (n *Node) isOneOfTwo() bool {
	servers := n.raft.GetConfiguration()
	if servers.Error() != nil {
		return false
	}
	voters, own := 0, false
	for _, s := range servers.Configuration().Servers {
		if s.Suffrage == raft.Voter {
			voters++
			own = own || s.ID == raft.ServerID(n.cfg.NodeID)
		}
	}
	return own && voters == 2
}
