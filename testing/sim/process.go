package sim

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/ownership"
	"github.com/rollcallhq/rollcall/internal/rpc"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/memnet"
	"github.com/rollcallhq/rollcall/testing/memstore"
)

// Machine is where the processes of one node run, one after another.
type Machine struct {
	Name string
	// Dir is the data directory; empty keeps raft's data in memory, and a restart has lost it.
	Dir string
	// Skew is how far its wall clock is ahead of the truth.
	Skew time.Duration
	// Expect is how many nodes found the cluster; a later one, with 1, joins.
	Expect int
	// Join are the node addresses of the nodes.
	Join []string
}

// NodeAddr is the machine's.
func (m *Machine) NodeAddr() string { return m.Name + ":7000" }

// Process is one run of a node: what cmd/rollcall wires, over ports that can be hurt.
type Process struct {
	*Machine
	Gate    Gate
	Cluster *cluster.Node
	Own     *ownership.Ownership
	Host    *actors.Host
	Router  *actors.Router
	Sweep   *actors.Sweep

	world  *World
	net    *memnet.Host
	log    *slog.Logger
	peers  *rpc.Peers
	door   *owner // to the rooms here, for all
	seen   sights
	claims claims
	life   context.Context
	end    context.CancelFunc
	work   sync.WaitGroup
}

// Start starts a process on a machine where none runs.
func (w *World) Start(m *Machine) (*Process, error) {
	p := &Process{Machine: m, world: w, net: w.Net.Host(m.Name), Own: ownership.New()}
	p.life, p.end = context.WithCancel(context.Background())
	store := &store{p, &memstore.Faulty{Store: w.Store, Order: w.StoreFault}}
	rooms := &looks{p, &LiveKit{Fake: w.Fake, Order: w.LookFault}}
	p.log = slog.New(slog.DiscardHandler)
	clock, log := &skewed{actors.NewSystemClock(), m.Skew}, p.log
	var err error
	p.Host, err = actors.NewHost(actors.HostConfig{Store: store, Rooms: rooms, Ownership: p.Own, Clock: clock, Observer: Silent{},
		Index: store, Log: log, Lag: Lag})
	if err != nil {
		return nil, err
	}
	p.door = &owner{process: p}
	p.peers = p.newPeers()
	p.Router = actors.NewRouter(p.Own, p.peer)
	p.Router.Relay = p.peers.Relay
	p.Sweep = actors.NewSweep(actors.SweepConfig{Rooms: rooms, Index: store, Router: p.Router, Clock: clock, Log: log,
		StaleAfter: 3 * time.Minute, Counts: p.counts})
	p.Cluster, err = cluster.Open(context.Background(), cluster.Config{NodeID: m.Name, DataDir: m.Dir, NodeAddr: m.NodeAddr(), Insecure: true,
		HTTPAddr: m.Name + ":8080", BootstrapExpect: m.Expect, Join: m.Join, Network: p.net,
		ServeRPC: p.peers.Serve, Generation: store.generation, Fit: store.ping, Logger: log, Tasks: p.tasks(store)})
	if err != nil {
		p.Kill()
		return nil, err
	}
	p.Own.Open(p.Cluster)
	p.work.Go(p.follow)
	w.running(p, true)
	return p, nil
}

func (p *Process) tasks(store *store) []cluster.Task {
	run := func(name string, every time.Duration, cycle func(context.Context, reconcile.Token, actors.Options) (actors.Report, error)) cluster.Task {
		return cluster.Task{Name: name, Every: every, Jitter: 0.1, AtOnce: name == "sync", Enabled: fsm.State.Running,
			Run: func(ctx context.Context, term cluster.Term) error {
				if err := p.Own.Wait(ctx); err != nil {
					return err
				}
				_ = store.RaiseGeneration(ctx, term.Token.Generation) // the next sync tries again
				_, err := cycle(ctx, ownership.Token(term.Token), actors.Options{Scheduled: true})
				return err
			}}
	}
	return []cluster.Task{run("sync", syncInterval, p.Sweep.Sync), run("cleanup", time.Minute, p.Sweep.Cleanup)}
}

const syncInterval = 30 * time.Second

// counts lets at most one cycle per interval count for the breaker, as cmd/rollcall does.
func (p *Process) counts(ctx context.Context, leader reconcile.Token, at time.Time) bool {
	result, err := p.Cluster.Apply(ctx, fsm.CountCycle(fsm.Token(leader), fsm.Count{At: at.UnixMilli(), Spacing: (syncInterval * 9 / 10).Milliseconds()}))
	return err == nil && result.Err() == nil
}

// peer is the way to a member of the view.
func (p *Process) peer(place actors.Place) (actors.Owner, bool) {
	n, ok := p.Own.Cluster()
	if !ok {
		return nil, false
	}
	m, ok := n.View().Member(place.Node)
	switch {
	case !ok || m.Incarnation != place.Incarnation:
		return nil, false
	case place.Node == p.Name:
		return p.door, true
	}
	return &peer{p.peers.Peer(place), p}, true
}

// follow keeps what the process has seen of the cluster.
func (p *Process) follow() {
	for {
		changed := p.Cluster.Changed()
		s := p.learn()
		p.seen.add(sight{at: time.Now(), epoch: s.View.Epoch, leader: ownership.Token(s.Token())})
		select {
		case <-changed:
		case <-p.life.Done():
			return
		}
	}
}

func (p *Process) learn() fsm.State {
	s := p.Cluster.State()
	p.world.History.Learn(s)
	return s
}

// Stop ends the process as SIGTERM does.
func (p *Process) Stop() error {
	p.world.running(p, false) // the listener of webhooks closes first
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	err := errors.Join(p.Cluster.Leave(ctx), p.Host.Stop(ctx))
	time.Sleep(500 * time.Millisecond)
	err = errors.Join(err, p.peers.Stop(ctx), p.Cluster.Close(ctx))
	p.clean()
	return err
}

// Kill ends the process as SIGKILL does: from here on nobody hears of it. What remains is to clear up.
func (p *Process) Kill() {
	p.Gate.Kill()
	p.net.Vanish()
	p.world.running(p, false)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.peers.Stop(ctx)
	if p.Cluster != nil {
		_ = p.Cluster.Close(ctx)
	}
	_ = p.Host.Stop(ctx)
	p.clean()
}

func (p *Process) clean() {
	p.net.Vanish()
	p.end()
	p.work.Wait()
}

// serve takes a webhook.
func (p *Process) serve(w http.ResponseWriter, r *http.Request) {
	if _, err := p.Gate.Pass(); err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	answer(w, r, p.world.Verifier, time.Now().Add(p.Skew), func(ctx context.Context, e reconcile.Event) error {
		before := p.world.History.Scripts(e.Room.Name)
		err := p.Router.Deliver(ctx, e)
		if _, gone := p.Gate.Pass(); gone != nil {
			return gone
		}
		if err == nil {
			p.world.History.Answered(e, before)
		}
		return err
	})
}

// skewed is a node's clock whose wall is wrong.
type skewed struct {
	*actors.SystemClock
	skew time.Duration
}

// Now implements actors.Clock.
func (s *skewed) Now() reconcile.Moment {
	m := s.SystemClock.Now()
	m.Wall += s.skew.Milliseconds()
	return m
}
