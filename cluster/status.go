package cluster

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
)

// pollReady is how often code polls for what has no notice of its own, such as the leader.
const pollReady = 20 * time.Millisecond

// Status is what this node knows about itself and the cluster.
type Status struct {
	// ID and Incarnation are this node's. Incarnation is 0 until the node's join is committed.
	ID          string
	Incarnation uint64
	// NodeAddr is what the node advertises, empty without a network. If the configured port is 0, NodeAddr has the actual port.
	NodeAddr string
	// Leader is the leader's id, empty without one.
	Leader string
	// Established is true if this node leads and its term's work runs.
	Established bool
	// Term is raft's term. Token is the newest leader's token that this node knows.
	Term  uint64
	Token reconcile.Token
	// RaftState is Follower, Candidate, Leader or Shutdown.
	RaftState string
	// SinceContact is how long ago this node heard from the leader: 0 on the leader, negative for never.
	SinceContact time.Duration
	Generation   uint64
	// Epoch and Members are those of the view.
	Epoch   uint64
	Members []fsm.Member
	// Servers are the servers in raft's configuration, voters or not, in the view or not.
	Servers []Server
	// Log is the state of raft's log on this node.
	Log Log
	// ServiceRunning is true if the service switch is on.
	ServiceRunning bool
}

// Log holds indexes of raft's log: of its last entry, the last that this node knows to be committed, and the last that it has applied.
type Log struct{ Last, Committed, Applied uint64 }

// Server is a node in raft's configuration.
type Server struct {
	ID, NodeAddr string
	Voter        bool
}

// ID returns this node's id.
func (n *Node) ID() string { return n.cfg.NodeID }

// Leader returns the id of the leader that raft on this node knows, empty for none.
func (n *Node) Leader() string { return n.leader().ID }

// Status returns the current status. Its fields are read one after another, not atomically.
func (n *Node) Status() Status {
	state := n.State()
	_, leader := n.raft.LeaderWithID()
	s := Status{ID: n.cfg.NodeID, Incarnation: n.incarnation.Load(), NodeAddr: n.endpoint.advertise(), Leader: string(leader),
		Term: n.raft.CurrentTerm(), Token: state.Token(), RaftState: n.raft.State().String(), SinceContact: n.sinceContact(),
		Generation: state.Generation, Epoch: state.View.Epoch, Members: state.View.Members, ServiceRunning: state.Running()}
	if servers := n.raft.GetConfiguration(); servers.Error() == nil {
		for _, one := range servers.Configuration().Servers {
			s.Servers = append(s.Servers, Server{ID: string(one.ID), NodeAddr: n.endpoint.reachable(one.Address), Voter: one.Suffrage == raft.Voter})
		}
	}
	s.Established = n.established()
	s.Log = Log{Last: n.raft.LastIndex(), Committed: n.raft.CommitIndex(), Applied: n.raft.AppliedIndex()}
	return s
}

func (n *Node) established() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.current != nil
}

// LeaderSince returns since when this node leads with an established term, the zero time if it does not.
func (n *Node) LeaderSince() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current == nil {
		return time.Time{}
	}
	return n.current.since
}

// sinceContact returns the time since the last contact with a leader, negative for never. A node's own leadership counts as contact: a node
// that has just handed it over, or lost it, has heard from no other leader for as long as it led. Each call records the leadership, and
// membership calls sinceContact regularly for that reason.
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

// State returns a copy of what the cluster has agreed on, as far as this node knows. After a start it is no newer than the last snapshot
// until there is a leader.
func (n *Node) State() fsm.State { return n.fsm.State().Clone() }

// Changed returns a channel that is closed at the next change of State. Take the channel first, then read State, then wait.
func (n *Node) Changed() <-chan struct{} { return n.fsm.Changed() }

// Ready returns nil if this node is in contact with a leader (an election is not yet a loss of contact) and this process is in the view,
// according to its own state. For the first time after a start, Ready also requires that the voters could lose another node, as far as the
// available nodes allow. After that, the only condition that depends on other nodes' actions is that no other cluster behind --join outranks
// this one. The error says what is missing.
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

// WaitReady returns nil once the node is Ready. If ctx ends first, the error says what was missing.
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
