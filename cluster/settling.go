package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

const votersPath = peerPrefix + "voters"

// settlement is the leader's answer to the question whether a node that has just joined may be ready.
type settlement struct {
	// Wait says what to wait for. It is empty if there is nothing.
	Wait string `json:"wait,omitempty"`
}

// settle returns nil once this node no longer has to wait before it is ready. An operator who replaces nodes one by one stops an old node as
// soon as the new one is ready. Before that, the new node or another spare must have received the vote of a node that is gone.
func (n *Node) settle(ctx context.Context) error {
	if n.settled.Load() {
		return nil
	}
	if err := n.MayOwn(); err != nil {
		return err
	}
	said, err := n.askVoters(ctx)
	if err != nil {
		return fmt.Errorf("waiting for the leader to tell who votes: %w", err)
	}
	if said.Wait != "" {
		return fmt.Errorf("waiting for the voters: %s", said.Wait)
	}
	n.settled.Store(true)
	return nil
}

func (n *Node) askVoters(ctx context.Context) (settlement, error) {
	if n.raft.State() == raft.Leader {
		return n.unsettled(ctx)
	}
	leader := n.leader()
	if leader.ID == "" {
		return settlement{}, ErrNoLeader
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var said settlement
	err := n.peers.call(ctx, leader.Addr, votersPath, struct{}{}, &said)
	if answer, ok := errors.AsType[*RemoteError](err); ok && answer.unknown {
		return settlement{}, nil
	}
	return said, err
}

func (n *Node) answerVoters(ctx context.Context, _ []byte) (any, error) { return n.unsettled(ctx) }

// unsettled returns, on the leader, what keeps the voters from tolerating the loss of one more node, if a change of votes can cure it. It
// asks the servers, because heartbeats report a silence only after a while.
func (n *Node) unsettled(ctx context.Context) (settlement, error) {
	if !n.established() {
		return settlement{}, ErrNoLeader
	}
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil {
		return settlement{}, err
	}
	all := servers.Configuration().Servers
	// A server that is silent now counts as gone, because its vote may be given away soon.
	now := n.candidates(all, n.silentServers(ctx, all), func(string) bool { return true })
	change := nextVoteChange(raft.ServerID(n.cfg.NodeID), now)
	switch {
	case !answeringQuorum(now, ""):
		return settlement{Wait: "too few of them answer and stay"}, nil
	case change.id == "":
		return settlement{}, nil
	case change.promote:
		return settlement{Wait: fmt.Sprintf("%q is to have a vote", change.id)}, nil
	}
	return settlement{Wait: fmt.Sprintf("%q, which does not answer or is leaving, is to give its vote to another node", change.id)}, nil
}

// candidates returns the servers as nextVoteChange needs them. gone decides whether a server that does not
// answer may lose its vote.
func (n *Node) candidates(all []raft.Server, silent map[string]silence, gone func(id string) bool) (list []candidate) {
	view := n.fsm.State().View
	for _, s := range all {
		_, isSilent := silent[string(s.ID)]
		_, member := view.Member(string(s.ID))
		list = append(list, candidate{id: s.ID, voter: s.Suffrage == raft.Voter, member: member, answers: !isSilent, gone: isSilent && gone(string(s.ID))})
	}
	return list
}
