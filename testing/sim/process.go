package sim

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/node"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memnet"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// Machine is where the processes of one node run, one after another.
type Machine struct {
	Name string
	// Dir is the data directory. If it is empty, raft's data stays in memory and a restart loses it.
	Dir string
	// Skew is how far its wall clock is ahead of the true time.
	Skew time.Duration
	// Expect is the number of nodes that bootstrap the cluster. A later node has 1, and joins.
	Expect int
	// Join lists the node addresses of all nodes.
	Join []string
	// Port is the port of its node address; 0 means 7000.
	Port int
}

// NodeAddr returns the machine's node address.
func (m *Machine) NodeAddr() string { return fmt.Sprintf("%s:%d", m.Name, cmp.Or(m.Port, 7000)) }

// Process is one run of a node: internal/node itself, over ports that faults can hit.
type Process struct {
	*Machine
	*node.Node
	Gate Gate

	world  *World
	net    *memnet.Host
	seen   sights
	claims claims
	life   context.Context
	end    context.CancelFunc
	work   sync.WaitGroup
}

// Start starts a process on a machine that runs none.
func (w *World) Start(m *Machine) (*Process, error) {
	p := &Process{Machine: m, world: w, net: w.Net.Host(m.Name)}
	p.life, p.end = context.WithCancel(context.Background())
	store := &store{p, &memstore.Faulty{Store: w.Store, Order: w.StoreFault}}
	log := slog.New(slog.DiscardHandler)
	var err error
	p.Node, err = node.New(node.Config{Store: store, Rooms: &looks{p, &LiveKit{Fake: w.Fake, Order: w.LookFault}},
		Clock: &skewed{actors.NewSystemClock(), m.Skew}, Observer: Silent{}, Telemetry: Silent{}, Log: log, Lag: Lag,
		SyncInterval: SyncInterval, CleanupInterval: time.Minute, StaleAfter: 3 * time.Minute,
		Ready: func() error { return nil }, CannotWrite: func() []string { return nil },
		Local:  func(host actors.Owner) actors.Owner { return &served{&owner{Owner: host, process: p}} },
		Remote: func(far actors.Owner) actors.Owner { return &peer{far, p} },
		Cluster: cluster.Config{NodeID: m.Name, DataDir: m.Dir, NodeAddr: m.NodeAddr(), Insecure: true, HTTPAddr: m.Name + ":8080",
			BootstrapExpect: m.Expect, Join: m.Join, Network: p.net, Health: store.ping, Logger: log}})
	if err != nil {
		return nil, err
	}
	if err := p.Open(context.Background()); err != nil {
		p.Kill()
		return nil, err
	}
	p.work.Go(p.follow)
	w.running(p, true)
	return p, nil
}

// SyncInterval is the time between two syncs that the leader begins.
const SyncInterval = 30 * time.Second

// follow records what the process sees of the cluster.
func (p *Process) follow() {
	for {
		changed := p.Cluster.Changed()
		s := p.learn()
		p.seen.add(sight{at: time.Now(), epoch: s.View.Epoch, leader: s.Token()})
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
	p.world.running(p, false) // the listener for webhooks closes first
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	err := p.Node.Stop(ctx)
	p.clean()
	return err
}

// Kill ends the process as SIGKILL does: from here on none of its effects are seen. The rest is cleanup.
func (p *Process) Kill() {
	p.Gate.Kill()
	p.net.Vanish()
	p.world.running(p, false)
	p.Abort()
	p.clean()
}

func (p *Process) clean() {
	p.net.Vanish()
	p.end()
	p.work.Wait()
}

// serve receives a webhook.
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

// skewed is a node's clock whose wall time is wrong.
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
