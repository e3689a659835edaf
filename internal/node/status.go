package node

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
)

// Status is the cluster as one node knows it.
type Status struct {
	Running                       bool // the service switch
	Node, Leader                  string
	Term                          uint64
	SyncInterval, CleanupInterval time.Duration
	NextSync, NextCleanup         time.Time           // zero: not scheduled, or not known here
	LastSync, LastCleanup         *reconcile.Report   // nil: none yet
	Progress                      *reconcile.Progress // of the running cycle; nil: none, or not known here
}

// schedule is what only the leader knows about its tasks.
type schedule struct {
	NextSync    time.Time           `json:"nextSync"`
	NextCleanup time.Time           `json:"nextCleanup"`
	Progress    *reconcile.Progress `json:"progress,omitempty"`
}

// Status returns what this node knows. It asks the leader for what only the leader knows, and leaves that out if the leader does not answer. The
// error is cluster.ErrNotJoined before Open.
func (n *Node) Status(ctx context.Context) (Status, error) {
	c, ok := n.Ownership.Cluster()
	if !ok {
		return Status{}, cluster.ErrNotJoined
	}
	now, state := c.Status(), c.State()
	every := n.every.Load()
	s := Status{
		Running: state.Running(), Node: now.ID, Leader: now.Leader, Term: now.Term,
		SyncInterval: every.sync, CleanupInterval: every.cleanup,
		LastSync: LastReport(state, fsm.KindSync), LastCleanup: LastReport(state, fsm.KindCleanup),
	}
	known := n.schedule(c)
	if now.Leader != now.ID {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		if c.CallLeader(ctx, scheduleHandler, struct{}{}, &known) != nil {
			return s, nil
		}
	}
	s.NextSync, s.NextCleanup, s.Progress = known.NextSync, known.NextCleanup, known.Progress
	return s, nil
}

func (n *Node) schedule(c *cluster.Node) schedule {
	next := c.NextRuns()
	s := schedule{NextSync: next[taskSync], NextCleanup: next[taskCleanup]}
	if p := n.Sweep.Progress(); p.Kind != "" {
		s.Progress = &p
	}
	return s
}

func (n *Node) answerSchedule(ctx context.Context, _ []byte) (any, error) {
	if err := n.Ownership.Wait(ctx); err != nil {
		return nil, err
	}
	return n.schedule(n.Cluster), nil
}

const infoHandler = "node-info"

// The states of a member.
const (
	ready       = "ready"
	unready     = "unready"     // it answers, and takes no webhooks: /readyz says why
	unreachable = "unreachable" // in the view, and does not answer
	away        = "away"        // known to raft, and not in the view: stopped, silent, withdrawn, or not joined yet
)

// Members is the cluster's membership. Leader is empty while there is none.
type Members struct {
	Leader      string
	Term, Epoch uint64
	Members     []Member
}

// Member is one node. State is ready, unready, unreachable or away. Fields that are not known are empty or 0.
type Member struct {
	ID       string
	State    string
	Voter    bool
	HTTPAddr string
	NodeAddr string
	Rooms    int
	// Occupancy counts the live rooms that the node owns; nil if the node has not said.
	Occupancy *reconcile.Occupancy
	Version   string
	// CannotReach are the members that this one does not reach directly; Relayed counts its events that went through another node instead.
	CannotReach []string
	Relayed     uint64
	// CannotWrite are the parts of the store that take none of this member's commits.
	CannotWrite []string
	// Why is the reason that a member gives for not being ready; empty for one that is ready or does not answer.
	Why string
}

// Answers reports whether the member answered.
func (m Member) Answers() bool { return m.State == ready || m.State == unready || m.Why != "" }

// Occupancy returns that of the whole cluster, or nil if a member of the view has not said.
func (m Members) Occupancy() *reconcile.Occupancy {
	var sum reconcile.Occupancy
	for _, member := range m.Members {
		switch {
		case member.State == away: // it owns nothing
		case member.Occupancy == nil:
			return nil
		default:
			sum.Rooms += member.Occupancy.Rooms
			sum.People += member.Occupancy.People
		}
	}
	return &sum
}

// nodeInfo is what a node reports to others about itself.
type nodeInfo struct {
	Ready       bool                 `json:"ready"`
	Rooms       int                  `json:"rooms"`
	Occupancy   *reconcile.Occupancy `json:"occupancy,omitempty"` // nil from an older build
	CannotReach []string             `json:"cannotReach,omitempty"`
	Relayed     uint64               `json:"relayed,omitempty"`
	CannotWrite []string             `json:"cannotWrite,omitempty"`
	Why         string               `json:"why,omitempty"`
}

func (n *Node) info() nodeInfo {
	why := n.Ready()
	i := nodeInfo{Ready: why == nil, Rooms: int(n.rooms.count.Load()), CannotWrite: n.config.CannotWrite()}
	i.Occupancy = &reconcile.Occupancy{Rooms: int(n.rooms.live.Load()), People: int(n.rooms.people.Load())}
	if why != nil {
		i.Why = why.Error()
	}
	if n.Peers != nil {
		i.CannotReach, i.Relayed = n.Peers.Links()
	}
	return i
}

func (n *Node) answerInfo(context.Context, []byte) (any, error) { return n.info(), nil }

// Members asks all members of the view concurrently, and those that are away, for at most askTimeout. The error is cluster.ErrNotJoined before Open.
func (n *Node) Members(ctx context.Context) (Members, error) {
	c, ok := n.Ownership.Cluster()
	if !ok {
		return Members{}, cluster.ErrNotJoined
	}
	now := c.Status()
	all := Members{Leader: now.Leader, Term: now.Term, Epoch: now.Epoch}
	voters := map[string]bool{}
	for _, server := range now.Servers {
		voters[server.ID] = server.Voter
		if !slices.ContainsFunc(now.Members, func(m fsm.Member) bool { return m.ID == server.ID }) {
			all.Members = append(all.Members, Member{ID: server.ID, State: away, Voter: server.Voter, NodeAddr: server.NodeAddr})
		}
	}
	for _, member := range now.Members {
		all.Members = append(all.Members, Member{ID: member.ID, Voter: voters[member.ID], HTTPAddr: member.HTTPAddr,
			NodeAddr: member.NodeAddr, Version: member.Version})
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var asked sync.WaitGroup
	for i := range all.Members {
		asked.Go(func() { n.ask(ctx, c, now.ID, &all.Members[i]) })
	}
	asked.Wait()
	slices.SortFunc(all.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// ask fills in what a member reports about itself. One that is away may say why it is.
func (n *Node) ask(ctx context.Context, c *cluster.Node, self string, m *Member) {
	var i nodeInfo
	if m.ID == self {
		i = n.info()
	} else if c.Call(ctx, m.NodeAddr, infoHandler, struct{}{}, &i) != nil {
		m.State = cmp.Or(m.State, unreachable)
		return
	}
	m.Occupancy = i.Occupancy
	m.Rooms, m.CannotReach, m.Relayed, m.CannotWrite, m.Why = i.Rooms, i.CannotReach, i.Relayed, i.CannotWrite, i.Why
	switch {
	case m.State == away:
	case i.Ready:
		m.State = ready
	default:
		m.State = unready
	}
}
