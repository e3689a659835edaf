// Package cluster elects a leader, assigns rooms to nodes, and says until when both hold. Work that it runs for the leader (tasks and Lead)
// has a context that ends with the leader's term. The work of the next term begins only after that of the previous term has ended. What the
// nodes have agreed on (fsm.State) survives a kill -9.
//
// A Node is one process. It founds a cluster or joins one, and returns to the view by itself whenever the view has lost it. At most five
// nodes vote in raft. The leader maintains the membership.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"golang.org/x/sync/semaphore"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/wait"
)

// Node is this process's part in the cluster. Open creates one and Close ends it.
type Node struct {
	cfg   Config
	log   *slog.Logger
	raft  *raft.Raft
	fsm   *fsm.FSM
	store *storage
	disk  *disk // wraps store for raft
	// closeDisk ends raft's wait for room on a full disk.
	closeDisk context.CancelFunc
	endpoint  *endpoint
	peers     *peers // nil without a network
	opened    time.Time
	tasks     []*runner

	// incarnation identifies this process: it is the index of its join, 0 before the join is committed.
	incarnation atomic.Uint64
	removed     atomic.Bool               // by an operator
	led         atomic.Pointer[time.Time] // when this node was last seen to lead
	leaves      atomic.Bool
	withdrawn   atomic.Pointer[error] // why this node is withdrawn; nil while it is not
	health      health

	rival      atomic.Pointer[error] // why this node's cluster has to give way to another one; nil for none
	rivalsSaid string                // the last log line about it; only watchRivals uses it
	refused    claimed               // the newest epoch in Redis that refused a node of the cluster
	again      chan struct{}         // asks watch to end the term and to establish it again
	looked     atomic.Bool           // this node has checked whether there are other clusters

	founding    *semaphore.Weighted // guards the promise to a founder, and the founding
	configuring *semaphore.Weighted // guards changes to raft's configuration

	changes broadcast // of what Status returns

	advisory atomic.Pointer[map[string]string] // the current advisory settings

	mu      sync.Mutex
	current *activeTerm          // nil unless this node has an established term
	waiting error                // what this node waits for while it is not in the view
	silent  map[string]silence   // the silent nodes; set on the leader only
	joiners map[string]time.Time // when each node last asked this one to join
	left    map[string]bool      // the nodes that left in order, through this one, and have not come back
	callers map[string]string    // by id, the address that a node named when it last asked this one
	settled atomic.Bool          // this node has been ready once and no longer waits for others

	failure chan error // holds at most one error: why this node cannot go on
	enlists sync.WaitGroup

	stop     context.CancelFunc // ends watch
	stopped  chan struct{}      // closed when watch and the last term have ended
	leaving  sync.Once
	leaveErr error
	closing  sync.Once
	closeErr error
}

// Open starts a node with the same Config each time. It returns before there is a leader; see WaitReady. ctx limits Open only, not the node.
// Errors are those of Validate, ErrDataDirLocked, ErrDamaged, ErrOtherNode, ErrNoNetwork, fsm.ErrNewer, and those of the file system and the
// network.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	log := cmp.Or(cfg.Logger, slog.Default()).With("node", cfg.NodeID)
	cfg.Logger = log
	hlog := raftLogger(log)
	store, err := openStorage(cfg, hlog)
	if err != nil {
		return nil, err
	}
	endpoint, err := openEndpoint(ctx, cfg, hlog)
	if err != nil {
		return nil, errors.Join(err, store.close())
	}
	n := &Node{cfg: cfg, log: log, fsm: fsm.New(), store: store, endpoint: endpoint, opened: time.Now(), stopped: make(chan struct{}), failure: make(chan error, 1),
		founding: semaphore.NewWeighted(1), configuring: semaphore.NewWeighted(1), joiners: map[string]time.Time{}, left: map[string]bool{}, callers: map[string]string{}, again: make(chan struct{}, 1)}
	n.SetAdvisory(cfg.Advisory)
	// The channel is buffered and only watch reads it, because raft blocks until it is read.
	notify := make(chan bool, 16)
	if err := n.startRaft(raftConfig(cfg, hlog, notify)); err != nil {
		return nil, errors.Join(err, endpoint.close(), store.close())
	}
	for _, t := range cfg.Tasks {
		n.tasks = append(n.tasks, newRunner(t, n.fsm, n.outranked, cfg.Contained, log))
	}
	ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	go n.watch(ctx, notify)
	n.servePeers()
	n.enlists.Go(func() { n.enlist(ctx) })
	n.enlists.Go(func() { n.endWithState(ctx) })
	n.enlists.Go(func() { n.watchChanges(ctx) })
	if n.peers != nil {
		n.enlists.Go(func() { n.followMoves(ctx) })
		if len(cfg.Join) > 0 {
			n.enlists.Go(func() { n.watchRivals(ctx) })
		}
	}
	if (cfg.Health != nil || cfg.Reach != nil) && n.peers != nil {
		n.enlists.Go(func() { n.watchHealth(ctx) })
	}
	if cfg.Reach != nil && n.peers != nil {
		n.enlists.Go(func() { n.watchReach(ctx) })
	}
	return n, nil
}

func raftConfig(cfg Config, log hclog.Logger, notify chan<- bool) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(cfg.NodeID)
	ours, given := timings(), cfg.Timings
	c.HeartbeatTimeout, c.ElectionTimeout = cmp.Or(given.Heartbeat, ours.Heartbeat), cmp.Or(given.Election, ours.Election)
	c.LeaderLeaseTimeout, c.CommitTimeout = cmp.Or(given.Lease, ours.Lease), cmp.Or(given.Commit, ours.Commit)
	c.SnapshotThreshold, c.TrailingLogs = snapshotThreshold, trailingLogs
	c.NoLegacyTelemetry, c.ShutdownOnRemove = true, false
	c.Logger, c.NotifyCh = log, notify
	return c
}

// startRaft starts raft with the stored data. A node whose configuration mentions no others founds a cluster at once.
func (n *Node) startRaft(conf *raft.Config) error {
	fresh, err := n.store.fresh()
	if err != nil {
		return err
	}
	promised, err := n.store.promised()
	if err != nil {
		return err
	}
	n.endpoint.closed.Store(fresh && promised.ID == "")
	n.disk = &disk{LogStore: n.store.logs, StableStore: n.store.stable, dir: n.cfg.DataDir, log: n.log, fail: n.fail}
	n.disk.life, n.closeDisk = context.WithCancel(context.Background())
	n.raft, err = raft.NewRaft(conf, n.fsm, n.disk, n.disk, n.store.snaps, n.endpoint.transport)
	if err != nil {
		return fmt.Errorf("starting raft: %w", err)
	}
	n.endpoint.countVotesBy(n.raft)
	if err := n.mustBeAlone(promised); err != nil {
		return errors.Join(err, n.raft.Shutdown().Error())
	}
	if !fresh || !n.cfg.alone() {
		return nil
	}
	if err := n.bootstrap(context.Background(), []server{n.self()}); err != nil {
		return errors.Join(err, n.raft.Shutdown().Error())
	}
	return nil
}

// mustBeAlone returns an ErrNoNetwork for a node without a network whose data names other nodes, or a promise to one. Such a node would wait
// for them for ever, or found a second cluster.
func (n *Node) mustBeAlone(promised server) error {
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil || n.endpoint.mux != nil {
		return err
	}
	others := map[string]bool{promised.ID: true}
	for _, s := range servers.Configuration().Servers {
		others[string(s.ID)] = true
	}
	delete(others, "")
	delete(others, n.cfg.NodeID)
	if len(others) == 0 {
		return nil
	}
	return fmt.Errorf("%w: by the data in --data-dir %s this node is in a cluster with %s: start it with the --node-addr and --join that it had",
		ErrNoNetwork, n.cfg.DataDir, strings.Join(slices.Sorted(maps.Keys(others)), ", "))
}

// servePeers starts answering the requests of other nodes.
func (n *Node) servePeers() {
	if n.endpoint.mux == nil {
		return
	}
	if serve := n.cfg.ServeRPC; serve != nil {
		n.enlists.Go(func() {
			if err := serve(n.endpoint.mux.rpc); err != nil && !errors.Is(err, net.ErrClosed) {
				n.fail(fmt.Errorf("serve requests of other nodes: %w", err))
			}
		})
	} else {
		_ = n.endpoint.mux.rpc.Close()
	}
	handlers := map[string]Handler{helloPath: n.answerHello, promisePath: n.answerPromise, joinPath: n.answerJoin, applyPath: n.answerApply,
		healthPath: n.answerHealth, reachPath: n.answerReach, votersPath: n.answerVoters, epochPath: n.answerEpoch}
	for name, h := range n.cfg.Handlers {
		handlers[handlerPrefix+name] = h
	}
	n.peers = newPeers(n.endpoint, handlers, n.log)
	idAt := func(ctx context.Context, addr string) string {
		h, _ := n.ask(ctx, addr)
		return h.ID
	}
	n.endpoint.idAt.Store(&idAt)
	n.enlists.Go(func() {
		if err := n.peers.server.Serve(n.endpoint.mux.peer); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			n.fail(fmt.Errorf("serve other nodes: %w", err))
		}
	})
}

// endWithState ends the node if its state machine stops. The node would otherwise keep an outdated view, or lead without doing the leader's
// work.
func (n *Node) endWithState(ctx context.Context) {
	select {
	case <-n.fsm.Broken():
		n.fail(fmt.Errorf("the raft log cannot be applied: %w", n.fsm.Err()))
	case <-ctx.Done():
	}
}

// Failure returns a channel with the error after which this node cannot go on: an operator has removed the node (ErrRemoved), it cannot read
// what the others have agreed on (fsm.ErrNewer, fsm.ErrCorrupt), its disk has failed, or it no longer serves other nodes.
func (n *Node) Failure() <-chan error { return n.failure }

func (n *Node) fail(err error) {
	select {
	case n.failure <- err:
	default: // the first error is enough
	}
}

// DialRPC connects to the ServeRPC of the node at a node address.
func (n *Node) DialRPC(ctx context.Context, nodeAddr string) (net.Conn, error) {
	if n.endpoint.mux == nil {
		return nil, fmt.Errorf("%w: this node has no network", ErrNoLeader)
	}
	return n.endpoint.dialer.dial(ctx, nodeAddr, protoRPC)
}

// Call sends a request to the handler of that name on the node at a node address, as a member of the view has one. An error that the node
// answers with is a RemoteError. After any other error the request may have been carried out.
func (n *Node) Call(ctx context.Context, nodeAddr, handler string, in, out any) error {
	if n.peers == nil {
		return fmt.Errorf("%w: this node has no network", ErrNoLeader)
	}
	return n.peers.call(ctx, nodeAddr, handlerPrefix+handler, in, out)
}

// CallLeader is like Call, to the leader that this node knows. Errors are ErrNoLeader, those that the leader answers with, and
// ErrOutcomeUnknown if the leader is lost before it answers: its connection, or its leadership.
func (n *Node) CallLeader(ctx context.Context, handler string, in, out any) error {
	leader := n.leader()
	if leader.ID == "" || leader.ID == n.cfg.NodeID {
		return ErrNoLeader
	}
	led, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	defer func() { cancel(nil); <-watched }()
	go func() {
		defer close(watched)
		for wait.For(led, lookForContact) == nil {
			if err := n.InContact(); err != nil {
				cancel(err)
			} else if now := n.leader().ID; now != "" && now != leader.ID {
				cancel(fmt.Errorf("%q leads now", now))
			}
		}
	}()
	err := n.Call(led, leader.Addr, handler, in, out)
	var answered *RemoteError
	if err == nil || errors.As(err, &answered) || errors.Is(err, ErrNoLeader) || ctx.Err() != nil {
		return err
	}
	if why := context.Cause(led); why != nil {
		err = why
	}
	return fmt.Errorf("%w: the leader %q was lost before it answered: %w", ErrOutcomeUnknown, leader.ID, err)
}

// Leave ends this node's work as leader and takes the node out of the view, so that it owns no rooms any more. Raft runs on until Close. It
// is an error if the leader's work does not end before ctx does. If the leave cannot be committed within 3 s, the others learn of it from
// this node's silence or at its next start. Further calls return the result of the first.
func (n *Node) Leave(ctx context.Context) error {
	n.leaving.Do(func() { n.leaveErr = n.leave(ctx) })
	return n.leaveErr
}

func (n *Node) leave(ctx context.Context) error {
	n.leaves.Store(true)
	n.stop()
	select {
	case <-n.stopped:
	case <-ctx.Done():
		return fmt.Errorf("the leader's work did not end in time: %w", ctx.Err())
	}
	if n.removed.Load() {
		return nil
	}
	// Without a leader, the others learn of the leave from this node's silence.
	ctx, cancel := context.WithTimeout(ctx, outOfContact)
	defer cancel()
	if n.peers != nil {
		if err := n.handOver(ctx); err != nil {
			n.log.Debug("leaving as the leader", "error", err) // perhaps there is no other voter
		}
	}
	inc := n.incarnation.Load()
	if inc == 0 {
		return nil // it led before it was a member
	}
	for backoff := pollReady; ; backoff = min(2*backoff, firstRetry) {
		_, err := n.commit(ctx, fsm.Leave{ID: n.cfg.NodeID, Incarnation: inc})
		if err == nil || errors.Is(err, fsm.NotMember) {
			return nil
		}
		if wait.For(ctx, backoff) != nil { // for example the last node of a cluster that stops
			n.log.Info("there is no leader to take this node out of the view; the others learn of it from its silence", "error", err)
			return nil
		}
	}
}

// Close leaves the cluster as Leave does, gives its vote away if the cluster could do nothing without it, stops raft and closes the data. ctx
// limits the first two; the rest is quick and always done.
// Further calls return the result of the first.
func (n *Node) Close(ctx context.Context) error {
	n.closing.Do(func() {
		left := n.Leave(ctx)
		n.stop()
		var peers error
		if n.peers != nil {
			n.giveVote(ctx)
			peers = n.peers.close()
		}
		n.closeDisk()
		// The future of the shutdown closes the transport too.
		n.closeErr = errors.Join(left, n.raft.Shutdown().Error(), peers, n.endpoint.close())
		n.enlists.Wait()
		n.closeErr = errors.Join(n.closeErr, n.store.close())
	})
	return n.closeErr
}
