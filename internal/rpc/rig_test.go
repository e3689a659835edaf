package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/rpc"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memnet"
)

// epoch is the epoch of the nodes' views.
const epoch = 7

// world is a few nodes in one bubble, over a network in memory. Time is virtual, so waiting costs nothing.
type world struct {
	t      *testing.T
	net    *memnet.Net
	leader string            // the node that all take for the leader; empty for none
	owners map[string]string // of rooms, in the view; b owns all other rooms

	mu    sync.Mutex
	nodes map[string]*node
}

// run runs a test in a world of its own. Everything that the nodes start must have ended when the test ends.
func run(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: memnet.New(), nodes: map[string]*node{}}
		test(t, w)
		for _, n := range w.all() {
			n.host.acts(behaviour{})
			n.stop(10 * time.Second)
		}
	})
}

func (w *world) all() []*node {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*node
	for _, n := range w.nodes {
		all = append(all, n)
	}
	return all
}

// members returns the places of the view: one for each node that was ever started.
func (w *world) members() []actors.Place {
	var all []actors.Place
	for _, n := range w.all() {
		all = append(all, n.place())
	}
	return all
}

// node is one process.
type node struct {
	world *world
	name  string
	net   *memnet.Host
	host  *host
	peers *rpc.Peers
	epoch atomic.Uint64
	out   atomic.Bool // out of contact with the leader: the node cannot say who owns a room
	log   lines
	once  sync.Once
	err   error
}

// start starts a node. It replaces a node of the same name that is gone.
func (w *world) start(name string, setups ...func(*rpc.Config)) *node {
	w.t.Helper()
	n := &node{world: w, name: name, net: w.net.Host(name), host: &host{}}
	n.epoch.Store(epoch)
	c := rpc.Config{Node: name, Dial: n.net.Dial, Host: n.host, Epoch: n.epoch.Load, Owner: n.owner, Members: w.members,
		Leader: func() string { return w.leader }, Log: slog.New(&n.log)}
	for _, change := range setups {
		change(&c)
	}
	n.peers = rpc.New(c)
	listener, err := n.net.Listen(context.Background(), n.place().Addr)
	if err != nil {
		w.t.Fatal(err)
	}
	go func() {
		if err := n.peers.Serve(listener); err != nil {
			w.t.Errorf("node %s serves no more: %v", name, err)
		}
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[name] = n
	return n
}

// owner returns the place that owns a room in the view: that of the node in owners, or b.
func (n *node) owner(room string) (actors.Place, error) {
	if n.out.Load() {
		return actors.Place{}, fmt.Errorf("%w: out of contact", actors.ErrUnavailable)
	}
	name := n.world.owners[room]
	if name == "" {
		name = "b"
	}
	return actors.Place{Node: name, Incarnation: 1, Epoch: epoch, Addr: name + ":7000"}, nil
}

func (n *node) place() actors.Place {
	return actors.Place{Node: n.name, Incarnation: 1, Epoch: epoch, Addr: n.name + ":7000"}
}

// to returns the way to another node.
func (n *node) to(other *node) actors.Owner { return n.peers.Peer(other.place()) }

func (n *node) stop(patience time.Duration) error {
	n.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		n.err = n.peers.Stop(ctx)
	})
	return n.err
}

// kill ends a node as kill -9 does: its connections break, and it sends nothing more.
func (n *node) kill() {
	n.net.Vanish()
	n.host.acts(behaviour{})
	_ = n.stop(time.Millisecond)
}

// behaviour is what a host does with each request.
type behaviour struct {
	err      error
	block    bool // until the request's context ends
	panics   bool
	takes    time.Duration
	findings actors.Findings
	cleaned  actors.CleanupResult
	names    int // this many rooms
}

// host is an actors.Owner that does as it is told.
type host struct {
	mu       sync.Mutex
	does     behaviour
	came     []reconcile.Event
	batches  []actors.Batch
	cleanups []actors.CleanupRequest
	working  int
	most     int // most requests at work concurrently
	left     time.Duration
}

func (h *host) acts(b behaviour) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.does = b
}

// work calls note to record a request, and then behaves as set by acts.
func (h *host) work(ctx context.Context, note func()) (behaviour, error) {
	h.mu.Lock()
	does := h.does
	note()
	if deadline, ok := ctx.Deadline(); ok {
		h.left = time.Until(deadline)
	}
	h.working++
	h.most = max(h.most, h.working)
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.working--
	}()
	if does.panics {
		panic("as it is told")
	}
	if does.block {
		<-ctx.Done()
		return does, ctx.Err()
	}
	if does.takes > 0 {
		select {
		case <-time.After(does.takes):
		case <-ctx.Done():
			return does, ctx.Err()
		}
	}
	return does, does.err
}

func (h *host) Deliver(ctx context.Context, e reconcile.Event) error {
	_, err := h.work(ctx, func() { h.came = append(h.came, e) })
	return err
}

func (h *host) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	does, err := h.work(ctx, func() { h.batches = append(h.batches, b) })
	return does.findings, err
}

func (h *host) Cleanup(ctx context.Context, t actors.CleanupRequest) (actors.CleanupResult, error) {
	does, err := h.work(ctx, func() { h.cleanups = append(h.cleanups, t) })
	return does.cleaned, err
}

func (h *host) Names(ctx context.Context) ([]string, error) {
	does, err := h.work(ctx, func() {})
	return nameList(does.names), err
}

// nameList returns n names of rooms.
func nameList(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("a-room-with-a-name-of-usual-length-%08d", i)
	}
	return names
}

func (h *host) events() []reconcile.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]reconcile.Event(nil), h.came...)
}

func (h *host) saw(room string) (times int) {
	for _, e := range h.events() {
		if e.Room.Name == room {
			times++
		}
	}
	return times
}

func (h *host) surveys() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.batches)
}

func (h *host) atWork() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.working
}

func event(room string) reconcile.Event {
	return reconcile.Event{ID: "EV_" + room, Kind: reconcile.Joined, Room: reconcile.RoomInfo{Name: room}}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// delivers sends an event. It returns a channel for the outcome.
func delivers(t testing.TB, to actors.Owner, room string, timeout time.Duration) <-chan error {
	done := make(chan error, 1)
	ctx := within(t, timeout)
	go func() { done <- to.Deliver(ctx, event(room)) }()
	return done
}

// surveyed is the outcome of a survey.
type surveyed struct {
	findings actors.Findings
	err      error
}

func surveys(to actors.Owner) <-chan surveyed {
	done := make(chan surveyed, 1)
	go func() {
		f, err := to.Survey(context.Background(), actors.Batch{Rooms: []string{"r"}})
		done <- surveyed{f, err}
	}()
	return done
}

// must fails the test for an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var sentinels = []error{actors.ErrNotOwner, actors.ErrExpired, actors.ErrFenced, actors.ErrBusy, actors.ErrUnavailable, actors.ErrClosing,
	context.Canceled, context.DeadlineExceeded}

func isUnavailable(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, actors.ErrUnavailable) {
		t.Errorf("%s: %v, want ErrUnavailable", what, err)
	}
}

// lines keeps what a node logs.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
	return nil
}

func (l *lines) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l *lines) WithGroup(string) slog.Handler { return l }

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}
