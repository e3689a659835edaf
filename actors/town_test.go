package actors_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// town is several nodes over one store and one LiveKit. All nodes see the same state of the cluster at the same moment.
type town struct {
	*testing.T
	store *memstore.Store
	lk    *livekit
	hosts map[string]*actors.Host
	// cut replaces, if a test sets it, a node's host as the way to that node.
	cut map[string]actors.Owner

	mu      sync.Mutex
	state   fsm.State
	view    context.Context
	endView context.CancelFunc
}

// inTown runs a test with those nodes in a bubble.
func inTown(t *testing.T, test func(*town), nodes ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &town{T: t, store: memstore.New(memstore.Options{Feed: true}), lk: newLivekit(), hosts: map[string]*actors.Host{}, cut: map[string]actors.Owner{}}
		w.view, w.endView = context.WithCancel(context.Background())
		w.apply(fsm.Found{Generation: 1}, fsm.ClaimLeadership{ID: nodes[0]})
		for _, id := range nodes {
			w.open(id)
		}
		test(w)
		for _, h := range w.hosts {
			if err := h.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute) // timers of the actor library run out
	})
}

func (w *town) open(id string) {
	w.Helper()
	w.raise(id)
	w.join(id)
}

// raise makes a node that is in no view yet.
func (w *town) raise(id string) {
	w.Helper()
	host, err := actors.NewHost(actors.HostConfig{Store: w.store, Index: w.store, Rooms: w.lk, Ownership: seat{w, id}, Clock: actors.NewSystemClock(),
		Observer: &observer{}, Log: slog.New(slog.DiscardHandler), Lag: lag})
	if err != nil {
		w.Fatal(err)
	}
	w.hosts[id] = host
}

func (w *town) apply(commands ...fsm.Command) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range commands {
		w.state, _ = w.state.Apply(w.state.Applied+1, c)
	}
	w.endView()
	w.view, w.endView = context.WithCancel(context.Background())
}

func (w *town) join(id string) { w.apply(fsm.Join{ID: id, HashVersion: fsm.HashVersion}) }

func (w *town) leave(id string) {
	m, _ := w.now().View.Member(id)
	w.apply(fsm.Leave{ID: id, Incarnation: m.Incarnation})
}

func (w *town) now() fsm.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// router returns the router of a node.
func (w *town) router(id string) *actors.Router {
	return actors.NewRouter(seat{w, id}, func(p actors.Place) (actors.Owner, bool) {
		if way, ok := w.cut[p.Node]; ok {
			return way, true
		}
		h, ok := w.hosts[p.Node]
		return h, ok
	})
}

func (w *town) sweep(id string) *actors.Sweep {
	return actors.NewSweep(actors.SweepConfig{Rooms: w.lk, Index: w.store, Router: w.router(id), Clock: actors.NewSystemClock(),
		Log: slog.New(slog.DiscardHandler), StaleAfter: 30 * time.Minute})
}

// owned returns those of the rooms that the node owns, sorted.
func (w *town) owned(id string, rooms []string) (mine []string) {
	for _, room := range rooms {
		if m, _ := fsm.Owner(w.now().View, room); m.ID == id {
			mine = append(mine, room)
		}
	}
	if len(mine) == 0 {
		w.Fatalf("%s owns none of %q", id, rooms)
	}
	slices.Sort(mine)
	return mine
}

// claim returns the claim that the store holds.
func (w *town) claim(room string) reconcile.Claim {
	w.Helper()
	r, err := w.store.Claim(context.Background(), room, reconcile.Claim{Generation: 1, Epoch: 1 << 40, Incarnation: 1})
	if err != nil {
		w.Fatal(err)
	}
	return r.Claim
}

// seat is the state of the cluster as one node sees it.
type seat struct {
	*town
	id string
}

func (s seat) Owner(room string) (actors.Place, error) {
	v := s.now().View
	m, ok := fsm.Owner(v, room)
	if !ok {
		return actors.Place{}, actors.NotOwner{Epoch: v.Epoch}
	}
	return actors.Place{Node: m.ID, Incarnation: m.Incarnation, Epoch: v.Epoch}, nil
}

func (s seat) Claim(room string, held reconcile.Claim) (reconcile.Claim, error) {
	now := s.now()
	m, _ := now.View.Member(s.id)
	if !now.Owned(room, s.id, m.Incarnation, now.View.Epoch) {
		return reconcile.Claim{}, actors.NotOwner{Epoch: now.View.Epoch}
	}
	if held.Incarnation == m.Incarnation && now.Owned(room, s.id, m.Incarnation, held.Epoch) {
		return held, nil
	}
	return reconcile.Claim{Generation: 1, Epoch: now.View.Epoch, Incarnation: m.Incarnation}, nil
}

func (s seat) Leader() reconcile.Token {
	t := s.now().Token()
	return reconcile.Token{Generation: t.Generation, Index: t.Index}
}

func (s seat) Members() (all []actors.Place) {
	v := s.now().View
	for _, m := range v.Members {
		all = append(all, actors.Place{Node: m.ID, Incarnation: m.Incarnation, Epoch: v.Epoch})
	}
	return all
}

func (s seat) View() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view
}

func (s seat) Epoch() uint64 { return s.now().View.Epoch }
