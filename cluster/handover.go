package cluster

import (
	"context"
	"fmt"

	"github.com/hashicorp/raft"
)

// handOver gives the leadership to another voter that answers, if there is one.
func (n *Node) handOver(ctx context.Context) error {
	return n.handOverTo(ctx, func(raft.Server) bool { return true })
}

// handOverTo does so to one that suits.
func (n *Node) handOverTo(ctx context.Context, suits func(raft.Server) bool) error {
	if n.raft.State() != raft.Leader {
		return nil
	}
	// Also from the steward, who would take the heir's vote.
	if err := n.configuring.take(ctx); err != nil {
		return fmt.Errorf("another change of the configuration is under way: %w", err)
	}
	defer n.configuring.give()
	heir, err := n.heir(ctx, suits)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- n.raft.LeadershipTransferToServer(heir.ID, heir.Address).Error() }()
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

// heir is the voter that is to lead next; raft by itself might choose one that is dead. Where this node alone votes, as one
// of two, it is the other, which votes from now on; as the leader it takes this one's vote.
func (n *Node) heir(ctx context.Context, suits func(raft.Server) bool) (raft.Server, error) {
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil {
		return raft.Server{}, err
	}
	all, view := servers.Configuration().Servers, n.fsm.State().View
	silent := n.quietNow(ctx, all)
	var other raft.Server
	for _, s := range all {
		_, quiet := silent[string(s.ID)]
		_, member := view.Member(string(s.ID))
		switch {
		case quiet || s.ID == raft.ServerID(n.cfg.NodeID) || !suits(s):
		case s.Suffrage == raft.Voter:
			return s, nil
		case member:
			other = s
		}
	}
	if other.ID == "" {
		return raft.Server{}, ErrNoHeir
	}
	n.log.Info("a node votes from now on, to lead next", "peer", other.ID)
	return other, n.raftError(n.raft.AddVoter(other.ID, other.Address, servers.Index(), applyTimeout).Error())
}

// giveVote waits, where two vote, until this one does not: without it the other could commit nothing.
func (n *Node) giveVote(ctx context.Context) {
	for n.isOneOfTwo() && n.raft.State() != raft.Leader && sleep(ctx, pollReady) == nil {
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
