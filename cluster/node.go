// Package cluster says who leads, who owns a room, and until when. It promises that work which it starts as the
// leader's (tasks and Lead) runs under a context that dies with the leader's term, that the next term's work begins
// only after the last one's has ended, and that what is agreed (fsm.State) survives a kill -9.
//
// A Node is one raft member. This build runs one node; ErrMultiNode says so.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

// Node is this process's part in the cluster. Make one with Open and end it with Close.
type Node struct {
	cfg      Config
	log      *slog.Logger
	raft     *raft.Raft
	fsm      *fsm.FSM
	store    *storage
	raftAddr string
	tasks    []*runner

	// incarnation is that of this process's join; 0 before it is committed.
	incarnation atomic.Uint64

	mu      sync.Mutex
	current *reign // nil while this node has no established term
	waiting error  // what an unestablished leader waits for

	stop     context.CancelFunc // ends watch
	stopped  chan struct{}      // closed when watch and the last reign have ended
	leaving  sync.Once
	leaveErr error
	closing  sync.Once
	closeErr error
}

// Open starts a node, the first time and every time after by the same Config. It returns before there is a leader:
// see WaitReady. ctx bounds the opening only. Errors: those of Validate, ErrDataDirLocked, ErrOtherNode,
// fsm.ErrNewer, ErrMultiNode, and those of the file system and the network.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	log = log.With("node", cfg.NodeID)
	hlog := raftLogger(log)
	store, err := openStorage(cfg, hlog)
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(ctx, cfg, hlog)
	if err != nil {
		return nil, errors.Join(err, store.close())
	}
	n := &Node{cfg: cfg, log: log, fsm: fsm.New(), store: store, raftAddr: string(transport.LocalAddr()),
		stopped: make(chan struct{})}
	// Buffered, and read by watch alone: raft waits for this channel's reader.
	notify := make(chan bool, 16)
	if err := n.startRaft(raftConfig(cfg, hlog, notify), transport); err != nil {
		return nil, errors.Join(err, closeTransport(transport), store.close())
	}
	for _, t := range cfg.Tasks {
		n.tasks = append(n.tasks, &runner{task: t, source: n.fsm, log: log.With("task", t.Name)})
	}
	ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	go n.watch(ctx, notify)
	return n, nil
}

func raftConfig(cfg Config, log hclog.Logger, notify chan<- bool) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(cfg.NodeID)
	c.HeartbeatTimeout, c.ElectionTimeout = heartbeatTimeout, electionTimeout
	c.LeaderLeaseTimeout, c.CommitTimeout = leaseTimeout, commitTimeout
	c.SnapshotThreshold, c.TrailingLogs = snapshotThreshold, trailingLogs
	c.NoLegacyTelemetry = true
	c.Logger, c.NotifyCh = log, notify
	return c
}

func (n *Node) startRaft(conf *raft.Config, transport raft.Transport) error {
	if err := n.store.bootstrap(conf, transport); err != nil {
		return fmt.Errorf("founding the cluster: %w", err)
	}
	r, err := raft.NewRaft(conf, n.fsm, n.store.logs, n.store.stable, n.store.snaps, transport)
	if err != nil {
		return fmt.Errorf("starting raft: %w", err)
	}
	n.raft = r
	servers := r.GetConfiguration()
	if err := servers.Error(); err != nil {
		return errors.Join(fmt.Errorf("reading raft's configuration: %w", err), r.Shutdown().Error())
	}
	if have := len(servers.Configuration().Servers); have != 1 {
		return errors.Join(fmt.Errorf("--data-dir %s is of a cluster of %d: %w", n.cfg.DataDir, have, ErrMultiNode), r.Shutdown().Error())
	}
	return nil
}

func closeTransport(t raft.Transport) error {
	if c, ok := t.(raft.WithClose); ok {
		return c.Close()
	}
	return nil
}

// Leave ends this node's leader work and takes it out of the view, so that no room is owned here any more; raft
// runs on until Close. Leader work that does not end before ctx does is an error; so is a view that could not be
// told, which then learns of the leaving by this node's next start. Further calls return what the first did.
func (n *Node) Leave(ctx context.Context) error {
	n.leaving.Do(func() { n.leaveErr = n.leave(ctx) })
	return n.leaveErr
}

func (n *Node) leave(ctx context.Context) error {
	n.stop()
	select {
	case <-n.stopped:
	case <-ctx.Done():
		return fmt.Errorf("the leader's work did not end in time: %w", ctx.Err())
	}
	inc := n.incarnation.Load()
	if inc == 0 {
		return nil
	}
	if _, err := n.Apply(ctx, fsm.Leave{ID: n.cfg.NodeID, Incarnation: inc}); err != nil && !errors.Is(err, fsm.NotMember) {
		return fmt.Errorf("leaving the view: %w", err)
	}
	return nil
}

// Close leaves, then ends raft and closes its data. ctx bounds the leaving; the rest is quick and always done.
// Further calls return what the first did.
func (n *Node) Close(ctx context.Context) error {
	n.closing.Do(func() {
		left := n.Leave(ctx)
		// Its future closes the transport too.
		n.closeErr = errors.Join(left, n.raft.Shutdown().Error(), n.store.close())
	})
	return n.closeErr
}
