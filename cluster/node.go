// Package cluster says who leads, who owns a room, and until when. It promises that work which it starts as the
// leader's (tasks and Lead) runs under a context that dies with the leader's term, that the next term's work begins
// only after the last one's has ended, and that what is agreed (fsm.State) survives a kill -9.
//
// A Node is one process. It founds a cluster or joins one, and returns to the view by itself whenever the view has lost
// it. At most five nodes vote in raft; who leads tends the membership.
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

	"github.com/rollcallhq/rollcall/fsm"
)

// Node is this process's part in the cluster. Make one with Open and end it with Close.
type Node struct {
	cfg   Config
	log   *slog.Logger
	raft  *raft.Raft
	fsm   *fsm.FSM
	store *storage
	disk  *disk // store, as raft has it
	// closeDisk ends raft's wait for a disk that is full.
	closeDisk context.CancelFunc
	link      *link
	peers     *peers // nil without a network
	opened    time.Time
	tasks     []*runner

	// incarnation is that of this process's join; 0 before it is committed.
	incarnation atomic.Uint64
	removed     atomic.Bool               // by an operator
	led         atomic.Pointer[time.Time] // when this node was last seen to lead
	leaves      atomic.Bool
	aside       atomic.Pointer[error] // why this node has stepped aside; nil while it has not
	health      health

	rival      atomic.Pointer[error] // why this node's cluster has to give way to another one; nil for none
	rivalsSaid string                // the last log line about it, for watchRivals alone
	refused    claimed               // the newest epoch in Redis that refused a node of this cluster
	again      chan struct{}         // asks for the term to begin again
	looked     atomic.Bool           // it has been found out whether there are other clusters

	founding    turn // of the promise to a founder, and the founding itself
	configuring turn // of changes to raft's configuration

	mu      sync.Mutex
	current *reign               // nil while this node has no established term
	waiting error                // what a node that is not in the view waits for
	silent  map[string]quiet     // on the leader
	joiners map[string]time.Time // when a node last asked this one to let it join
	left    map[string]bool      // the nodes that left in order, by this one, and have not come back
	callers map[string]string    // the address that a node named when it last asked this one, by id
	settled atomic.Bool          // this node has been ready once, and waits for no other any more

	failure chan error // one at most: why this node cannot go on
	enlists sync.WaitGroup

	stop     context.CancelFunc // ends watch
	stopped  chan struct{}      // closed when watch and the last reign have ended
	leaving  sync.Once
	leaveErr error
	closing  sync.Once
	closeErr error
}

// Open starts a node, the first time and every time after by the same Config. It returns before there is a leader:
// see WaitReady. ctx bounds the opening only. Errors: those of Validate, ErrDataDirLocked, ErrOtherNode,
// fsm.ErrNewer, and those of the file system and the network.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	log = log.With("node", cfg.NodeID)
	cfg.Logger = log
	hlog := raftLogger(log)
	store, err := openStorage(cfg, hlog)
	if err != nil {
		return nil, err
	}
	link, err := openLink(ctx, cfg, hlog)
	if err != nil {
		return nil, errors.Join(err, store.close())
	}
	n := &Node{cfg: cfg, log: log, fsm: fsm.New(), store: store, link: link, opened: time.Now(), stopped: make(chan struct{}), failure: make(chan error, 1),
		founding: newTurn(), configuring: newTurn(), joiners: map[string]time.Time{}, left: map[string]bool{}, callers: map[string]string{}, again: make(chan struct{}, 1)}
	// Buffered, and read by watch alone: raft waits for this channel's reader.
	notify := make(chan bool, 16)
	if err := n.startRaft(raftConfig(cfg, hlog, notify)); err != nil {
		return nil, errors.Join(err, link.close(), store.close())
	}
	for _, t := range cfg.Tasks {
		n.tasks = append(n.tasks, &runner{task: t, source: n.fsm, blocked: n.outranked, log: log.With("task", t.Name)})
	}
	ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	go n.watch(ctx, notify)
	n.servePeers()
	n.enlists.Go(func() { n.enlist(ctx) })
	n.enlists.Go(func() { n.endWithState(ctx) })
	if n.peers != nil {
		n.enlists.Go(func() { n.followMoves(ctx) })
		if len(cfg.Join) > 0 {
			n.enlists.Go(func() { n.watchRivals(ctx) })
		}
	}
	if (cfg.Fit != nil || cfg.Reach != nil) && n.peers != nil {
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

// startRaft starts it over what is stored. A node that nothing speaks of others to founds a cluster at once.
func (n *Node) startRaft(conf *raft.Config) error {
	fresh, err := n.store.fresh()
	if err != nil {
		return err
	}
	promised, err := n.store.promised()
	if err != nil {
		return err
	}
	n.link.closed.Store(fresh && promised.ID == "")
	n.disk = &disk{LogStore: n.store.logs, StableStore: n.store.stable, dir: n.cfg.DataDir, log: n.log, fail: n.fail}
	n.disk.life, n.closeDisk = context.WithCancel(context.Background())
	n.raft, err = raft.NewRaft(conf, n.fsm, n.disk, n.disk, n.store.snaps, n.link.transport)
	if err != nil {
		return fmt.Errorf("starting raft: %w", err)
	}
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

// mustBeAlone is an ErrNoNetwork for a node without a network whose data names other nodes, or a promise to one: it would wait
// for them forever, or found a cluster beside theirs.
func (n *Node) mustBeAlone(promised server) error {
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil || n.link.mux != nil {
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

// servePeers answers other nodes.
func (n *Node) servePeers() {
	if n.link.mux == nil {
		return
	}
	if serve := n.cfg.ServeRPC; serve != nil {
		n.enlists.Go(func() {
			if err := serve(n.link.mux.rpc); err != nil && !errors.Is(err, net.ErrClosed) {
				n.fail(fmt.Errorf("serve requests of other nodes: %w", err))
			}
		})
	} else {
		_ = n.link.mux.rpc.Close()
	}
	handlers := map[string]Handler{helloPath: n.answerHello, promisePath: n.answerPromise, joinPath: n.answerJoin, applyPath: n.answerApply,
		fitPath: n.answerFit, reachPath: n.answerReach, votersPath: n.answerVoters, epochPath: n.answerEpoch}
	for name, h := range n.cfg.Handlers {
		handlers[handlerPrefix+name] = h
	}
	n.peers = newPeers(n.link, handlers, n.log)
	idAt := func(ctx context.Context, addr string) string {
		h, _ := n.ask(ctx, addr)
		return h.ID
	}
	n.link.idAt.Store(&idAt)
	n.enlists.Go(func() {
		if err := n.peers.server.Serve(n.link.mux.peer); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			n.fail(fmt.Errorf("serve other nodes: %w", err))
		}
	})
}

// endWithState ends a node whose state stands still: it would go on by a view that is over, or lead without doing it.
func (n *Node) endWithState(ctx context.Context) {
	select {
	case <-n.fsm.Broken():
		n.fail(fmt.Errorf("the raft log cannot be applied: %w", n.fsm.Err()))
	case <-ctx.Done():
	}
}

// Failure gives the error after which this node cannot go on: an operator has removed it (ErrRemoved), or it cannot read
// what the others have agreed on (fsm.ErrNewer, fsm.ErrCorrupt).
func (n *Node) Failure() <-chan error { return n.failure }

func (n *Node) fail(err error) {
	select {
	case n.failure <- err:
	default: // one suffices
	}
}

// DialRPC connects to what the node at a node address serves with its ServeRPC.
func (n *Node) DialRPC(ctx context.Context, nodeAddr string) (net.Conn, error) {
	if n.link.mux == nil {
		return nil, fmt.Errorf("%w: this node has no network", ErrNoLeader)
	}
	return n.link.dialer.dial(ctx, nodeAddr, protoRPC)
}

// Call asks the node at a node address, as a member of the view has one, by the handler of that name. What it answers
// with as an error is a RemoteError; after any other error the request may have been carried out.
func (n *Node) Call(ctx context.Context, nodeAddr, handler string, in, out any) error {
	if n.peers == nil {
		return fmt.Errorf("%w: this node has no network", ErrNoLeader)
	}
	return n.peers.call(ctx, nodeAddr, handlerPrefix+handler, in, out)
}

// CallLeader is Call of the leader that this node knows of. Errors: ErrNoLeader, what the leader answers, and ErrOutcomeUnknown when it
// is lost before it answers: its connection, or the lead.
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
		for sleep(led, lookForContact) == nil {
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

// Leave ends this node's leader work and takes it out of the view, so that no room is owned here any more; raft
// runs on until Close. Leader work that does not end before ctx does is an error. A view that cannot be told within 3 s
// learns of the leaving by this node's silence, or its next start. Further calls return what the first did.
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
	inc := n.incarnation.Load()
	if inc == 0 || n.removed.Load() {
		return nil
	}
	// Without a leader the view learns of the leaving by this node's silence.
	ctx, cancel := context.WithTimeout(ctx, outOfContact)
	defer cancel()
	if n.peers != nil {
		if err := n.handOver(ctx); err != nil {
			n.log.Debug("leaving as the leader", "err", err) // there is no other voter, perhaps
		}
	}
	for wait := pollReady; ; wait = min(2*wait, firstRetry) {
		_, err := n.commit(ctx, fsm.Leave{ID: n.cfg.NodeID, Incarnation: inc})
		if err == nil || errors.Is(err, fsm.NotMember) {
			n.giveVote(ctx)
			return nil
		}
		if sleep(ctx, wait) != nil { // as for the last of a cluster that stops
			n.log.Info("nobody leads who could take this node out of the view; the others learn of it by its silence", "err", err)
			return nil
		}
	}
}

// Close leaves, then ends raft and closes its data. ctx bounds the leaving; the rest is quick and always done.
// Further calls return what the first did.
func (n *Node) Close(ctx context.Context) error {
	n.closing.Do(func() {
		left := n.Leave(ctx)
		n.stop()
		var peers error
		if n.peers != nil {
			peers = n.peers.close()
		}
		n.closeDisk()
		// The shutdown's future closes the transport too.
		n.closeErr = errors.Join(left, n.raft.Shutdown().Error(), peers, n.link.close())
		n.enlists.Wait()
		n.closeErr = errors.Join(n.closeErr, n.store.close())
	})
	return n.closeErr
}
