package cluster

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

// pollReady is how often WaitReady looks at what has no notice of its own: who leads.
const pollReady = 20 * time.Millisecond

// Status is this node's word on itself and the cluster.
type Status struct {
	// ID and Incarnation are this node's; the latter is 0 until its join is committed.
	ID          string
	Incarnation uint64
	// NodeAddr is what the node advertises, empty without a network; with port 0 in the configuration, this has the port it got.
	NodeAddr string
	// Leader is the leader's id, empty without one.
	Leader string
	// Established tells that this node leads and its term's work runs.
	Established bool
	// Term is raft's, Token the newest leader's known here.
	Term  uint64
	Token fsm.Token
	// RaftState is Follower, Candidate, Leader or Shutdown.
	RaftState string
	// SinceContact is how long ago the leader was heard of: 0 on the leader, negative when never.
	SinceContact time.Duration
	Generation   uint64
	// Epoch and Members are the view's.
	Epoch   uint64
	Members []fsm.Member
	// Servers are raft's, voters or not, whether in the view or away.
	Servers []Server
	// ServiceRunning is the service switch.
	ServiceRunning bool
}

// Server is a node of raft's configuration.
type Server struct {
	ID, NodeAddr string
	Voter        bool
}

// ID is this node's.
func (n *Node) ID() string { return n.cfg.NodeID }

// Leader is the leader's id as raft here knows it, empty without one.
func (n *Node) Leader() string { return n.leader().ID }

// Status is a moment's picture; its parts are read one after another.
func (n *Node) Status() Status {
	state := n.State()
	_, leader := n.raft.LeaderWithID()
	s := Status{ID: n.cfg.NodeID, Incarnation: n.incarnation.Load(), NodeAddr: n.link.advertise(), Leader: string(leader),
		Term: n.raft.CurrentTerm(), Token: state.Token(), RaftState: n.raft.State().String(), SinceContact: n.sinceContact(),
		Generation: state.Generation, Epoch: state.View.Epoch, Members: state.View.Members, ServiceRunning: state.Running()}
	if servers := n.raft.GetConfiguration(); servers.Error() == nil {
		for _, one := range servers.Configuration().Servers {
			s.Servers = append(s.Servers, Server{ID: string(one.ID), NodeAddr: n.link.reachable(one.Address), Voter: one.Suffrage == raft.Voter})
		}
	}
	s.Established = n.established()
	return s
}

func (n *Node) established() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.current != nil
}

// sinceContact counts the own leadership as contact: who has just handed it over, or lost it, has heard of nobody else for
// as long as it led. It is noted whenever somebody asks, and by the steward.
func (n *Node) sinceContact() time.Duration {
	last := n.raft.LastContact()
	if n.raft.State() == raft.Leader {
		now := time.Now()
		n.led.Store(&now)
		return 0
	}
	if led := n.led.Load(); led != nil && led.After(last) {
		last = *led
	}
	if last.IsZero() {
		return -1
	}
	return time.Since(last)
}

// State is a copy of what the cluster has agreed on, as far as this node knows; after a start, nothing newer than
// the last snapshot until there is a leader.
func (n *Node) State() fsm.State { return n.fsm.State().Clone() }

// Changed is closed at the next change of State: take it, then read State, then wait.
func (n *Node) Changed() <-chan struct{} { return n.fsm.Changed() }

// Ready is nil while this node is in contact with a leader (an election is no loss of contact yet) and this process, by
// its own state, is in the view. The first time since its start it also waits until the voters could lose another node, as far as
// the nodes at hand allow; after that only another cluster behind --join makes it unready for what other
// nodes do. The error says what is missing.
func (n *Node) Ready() error {
	if err := n.fsm.Err(); err != nil {
		return fmt.Errorf("the raft log cannot be applied: %w", err)
	}
	if err := n.outranked(); err != nil {
		return err
	}
	contact := n.InContact()
	if contact == nil && n.member(n.fsm.State().View) && n.settled.Load() {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting != nil {
		return n.waiting
	}
	return cmp.Or(contact, ErrNotJoined)
}

// WaitReady returns nil once the node is Ready; when ctx ends first, what was missing.
func (n *Node) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(pollReady)
	defer tick.Stop()
	for {
		err := n.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("node %q is not ready: %w: %w", n.cfg.NodeID, err, ctx.Err())
		}
	}
}
