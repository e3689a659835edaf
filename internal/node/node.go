// Package node is a rollcall node over ports: its rooms, its place in the cluster, and the work that it does while it leads. It promises that
// every room is owned by at most one node, that only the leader runs cycles and that all nodes see their reports. It does not know Redis, LiveKit
// or HTTP: internal/daemon supplies those, and testing/sim supplies simulated ones.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/rpc"
	"github.com/rollcallhq/rollcall/reconcile"
)

// SyncJitter is the fraction of an interval by which cycles are moved at random, so that the cycles of several clusters do not reach one LiveKit
// at the same moments.
const SyncJitter = 0.1

// requestTimeout limits one request to the store that nobody waits for.
const requestTimeout = 5 * time.Second

// Store keeps the rooms' records, their index, and the numbers that outlive the cluster's own data.
type Store interface {
	actors.Store
	actors.Index
	// Generation returns the highest generation that was ever stored; 0 for none. RaiseGeneration raises it, and never lowers it.
	Generation(ctx context.Context) (uint64, error)
	RaiseGeneration(ctx context.Context, generation uint64) error
	// Epoch and RaiseEpoch do the same with the epochs of a generation.
	Epoch(ctx context.Context, generation uint64) (uint64, error)
	RaiseEpoch(ctx context.Context, generation, epoch uint64) error
	// Claimed returns the claim on a room. Only its generation and its epoch are used.
	Claimed(ctx context.Context, room string) (reconcile.Claim, error)
}

// Telemetry receives what the leader's cycles do. Its methods must not block.
type Telemetry interface {
	// CycleEnded is called for each cycle that this node ran as the leader and that nobody else has counted.
	CycleEnded(kind fsm.Kind, r reconcile.Report)
	// CycleSlow is called once for each cycle that cannot end within actors.SlowCycle.
	CycleSlow(kind string)
}

// Tracer connects the spans of an event or a cycle, across nodes and across the mailboxes of rooms.
type Tracer interface {
	// Inject returns the trace that ctx belongs to, as other nodes read it; nil for none. Extract returns a ctx that belongs to such a trace.
	Inject(ctx context.Context) []byte
	Extract(ctx context.Context, trace []byte) context.Context
	// Carry returns a function that adds ctx's trace to another context; nil without a trace.
	Carry(ctx context.Context) func(context.Context) context.Context
	// Cycle begins the trace of a cycle. The function that it returns ends it.
	Cycle(ctx context.Context, name string, o reconcile.Options) (context.Context, func(reconcile.Report, error))
}

// Config configures a node. All fields except those marked optional are required.
type Config struct {
	Store     Store
	Rooms     actors.Rooms
	Clock     actors.Clock
	Observer  actors.Observer
	Telemetry Telemetry
	Log       *slog.Logger
	// Contained, if not nil, is called for each panic outside the rooms that ended one piece of work and not the process. Optional.
	Contained func()

	// Lag is how far LiveKit's API may be behind its webhooks.
	Lag time.Duration
	// SyncInterval and CleanupInterval are the intervals of the schedule. StaleAfter is how long a room may stay unconfirmed before a cleanup
	// looks at it. Node.SetIntervals changes them.
	SyncInterval, CleanupInterval, StaleAfter time.Duration

	// Kinds are the participant kinds that count as people.
	Kinds reconcile.Kinds

	// Ready reports why the store cannot take commits; nil while it can.
	Ready func() error
	// CannotWrite returns the addresses of the parts of the store that take no commits.
	CannotWrite func() []string
	// Housekeeping runs with each cleanup. Optional.
	Housekeeping func(ctx context.Context) error
	// Local wraps the way to this node's rooms, for this node and for others. Remote wraps the way to the rooms of another node. Optional.
	Local  func(actors.Owner) actors.Owner
	Remote func(actors.Owner) actors.Owner

	// Tracer makes traces of events and cycles. Optional.
	Tracer Tracer

	// Cluster configures the node's membership of the cluster. The node itself fills in Generation, Epoch, Tasks, Contained, Handlers, ServeRPC
	// and Reach. A node without a NodeAddr is alone.
	Cluster cluster.Config
}

// Node is one running node. Its parts are exported for the daemon that builds on it and for simulations. They do not change after New, except
// Cluster, which Open sets.
type Node struct {
	Ownership *Ownership
	Host      *actors.Host
	Router    *actors.Router
	Sweep     *actors.Sweep
	Peers     *rpc.Peers // nil for a node that is alone
	Cluster   *cluster.Node

	config  Config
	every   atomic.Pointer[intervals]
	local   actors.Owner // the rooms of this node
	rooms   roomCounter
	losses  losses
	lost    chan struct{}      // LiveKit has dropped webhooks
	refused chan refusal       // the last refused claim, which is to be looked into
	end     context.CancelFunc // ends the work in the background; set by Open
	work    sync.WaitGroup
}

// roomCounter passes everything on to an observer, and remembers how many rooms there are, how many of them are live, and the
// people in them.
type roomCounter struct {
	actors.Observer
	kinds               reconcile.Kinds
	count, live, people atomic.Int64
}

// Holds implements actors.Observer.
func (c *roomCounter) Holds(before, after *reconcile.State) {
	grows := c.kinds.OccupancyChange(before, after)
	c.live.Add(int64(grows.Rooms))
	c.people.Add(int64(grows.People))
	c.Observer.Holds(before, after)
}

// Rooms implements actors.Observer.
func (c *roomCounter) Rooms(n int) {
	c.count.Store(int64(n))
	c.Observer.Rooms(n)
}

// New returns a node with its rooms. It owns no room before Open.
func New(c Config) (*Node, error) {
	n := &Node{Ownership: NewOwnership(), config: c, rooms: roomCounter{Observer: c.Observer, kinds: c.Kinds}, lost: make(chan struct{}, 1), refused: make(chan refusal, 1)}
	n.every.Store(&intervals{sync: c.SyncInterval, cleanup: c.CleanupInterval})
	var err error
	host := actors.HostConfig{Store: &claimStore{Store: c.Store, refused: n.refused}, Rooms: c.Rooms, Ownership: n.Ownership,
		Clock: c.Clock, Observer: &n.rooms, Index: c.Store, Log: c.Log, Contained: c.Contained, Lag: c.Lag}
	if c.Tracer != nil {
		host.Trace = c.Tracer.Carry
	}
	n.Host, err = actors.NewHost(host)
	if err != nil {
		return nil, err
	}
	n.local = n.Host
	if c.Local != nil {
		n.local = c.Local(n.Host)
	}
	n.Router = actors.NewRouter(n.Ownership, n.peer)
	n.Sweep = actors.NewSweep(actors.SweepConfig{Rooms: c.Rooms, Index: c.Store, Router: n.Router, Clock: c.Clock, Log: c.Log, Contained: c.Contained,
		StaleAfter: c.StaleAfter, Held: n.held, Counts: n.counts, Housekeeping: c.Housekeeping, Slow: c.Telemetry.CycleSlow})
	if c.Cluster.NodeAddr != "" {
		peers := rpc.Config{Node: c.Cluster.NodeID, Host: n.local, Epoch: n.Ownership.Epoch, Owner: n.Ownership.Owner,
			Members: n.Ownership.Members, Leader: n.Ownership.LeaderName, Dial: n.dial, Log: c.Log, Contained: c.Contained}
		if c.Tracer != nil {
			peers.Inject, peers.Extract = c.Tracer.Inject, c.Tracer.Extract
		}
		n.Peers = rpc.New(peers)
		n.Router.Relay = n.Peers.Relay
	}
	return n, nil
}

// Open makes the node a member of the cluster. It must be called last, because the leader's tasks begin at once and need all the rest. ctx
// limits the opening.
func (n *Node) Open(ctx context.Context) error {
	c := n.config.Cluster
	c.Generation, c.Epoch, c.Tasks, c.Contained = n.generation, n.config.Store.Epoch, n.tasks(), n.config.Contained
	c.Handlers = map[string]cluster.Handler{actionHandler: n.answerAction, scheduleHandler: n.answerSchedule, infoHandler: n.answerInfo}
	if n.Peers != nil {
		c.ServeRPC, c.Reach = n.Peers.Serve, n.Peers.Reach
	}
	opened, err := cluster.Open(ctx, c)
	if err != nil {
		return err
	}
	n.Cluster = opened
	n.Ownership.Open(opened)
	background, end := context.WithCancel(context.Background())
	n.end = end
	n.work.Go(func() { n.recordEpochs(background) })
	n.work.Go(func() { n.lookIntoRefusals(background) })
	n.work.Go(func() { n.syncAfterLosses(background) })
	return nil
}

// Failure returns a channel for the reason why the node cannot go on, if one arises. It is valid after Open.
func (n *Node) Failure() <-chan error { return n.Cluster.Failure() }

// linger is how long a node stays after its last room, for answers that are still under way.
const linger = 500 * time.Millisecond

// Stop leaves the view, lets the rooms finish and closes the cluster. It may be called after a New or Open that failed.
func (n *Node) Stop(ctx context.Context) error {
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	if n.end != nil {
		n.end()
		note(waitFor(ctx, &n.work))
	}
	if n.Cluster != nil {
		note(n.Cluster.Leave(ctx))
	}
	note(n.Host.Stop(ctx))
	if n.Cluster != nil {
		time.Sleep(linger)
	}
	if n.Peers != nil {
		note(n.Peers.Stop(ctx))
	}
	if n.Cluster != nil {
		note(n.Cluster.Close(ctx))
	}
	return errors.Join(errs...)
}

// Abort ends everything without leaving the view, as the end of a process does.
func (n *Node) Abort() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if n.end != nil {
		n.end()
	}
	if n.Peers != nil {
		_ = n.Peers.Stop(ctx)
	}
	if n.Cluster != nil {
		_ = n.Cluster.Close(ctx)
	}
	_ = n.Host.Stop(ctx)
	n.work.Wait()
}

func waitFor(ctx context.Context, work *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the node's work in the background did not end in time: %w", ctx.Err())
	}
}

// Ready returns nil while this node can take webhooks, and otherwise the reason. It makes no request: its answer is at most a few seconds old.
func (n *Node) Ready() error {
	c, ok := n.Ownership.Cluster()
	if !ok {
		return errors.New("the cluster is not open yet")
	}
	if err := c.Ready(); err != nil {
		return err
	}
	return n.config.Ready()
}

// peer returns the way to the rooms of a member of the view.
func (n *Node) peer(p actors.Place) (actors.Owner, bool) {
	c, ok := n.Ownership.Cluster()
	if !ok {
		return nil, false
	}
	m, ok := c.View().Member(p.Node)
	switch {
	case !ok || m.Incarnation != p.Incarnation:
		return nil, false
	case p.Node == c.ID():
		return n.local, true
	case n.Peers == nil:
		return nil, false
	case n.config.Remote != nil:
		return n.config.Remote(n.Peers.Peer(p)), true
	}
	return n.Peers.Peer(p), true
}

func (n *Node) dial(ctx context.Context, addr string) (net.Conn, error) {
	c, ok := n.Ownership.Cluster()
	if !ok {
		return nil, cluster.ErrNotJoined
	}
	return c.DialRPC(ctx, addr)
}
