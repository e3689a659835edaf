package actors_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

type event = reconcile.Event

var errReset = errors.New("connection reset")

// rig is one node over a fake store and a scripted LiveKit, in a bubble of virtual time.
type rig struct {
	*testing.T
	store  *memstore.Store
	faults *faults
	lk     *livekit
	own    *ownership
	seen   *observer
	host   *actors.Host
	router *actors.Router
	sweep  *actors.Sweep

	contained atomic.Int64 // crashes outside the rooms
}

// bubble runs a test with a rig. change may alter the configuration before the host starts.
func bubble(t *testing.T, test func(*rig), change ...func(*actors.HostConfig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, change...)
		watchdog := time.AfterFunc(48*time.Hour, func() { panic("the test hangs, and virtual time runs on") })
		defer func() {
			watchdog.Stop()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := r.host.Stop(ctx); err != nil {
				t.Errorf("stop: %v", err)
			}
			time.Sleep(time.Minute) // timers of the actor library run out
		}()
		test(r)
	})
}

func newRig(t *testing.T, change ...func(*actors.HostConfig)) *rig {
	r := &rig{T: t, store: memstore.New(memstore.Options{Feed: true}), lk: newLivekit(), own: newOwnership(), seen: &observer{}}
	r.faults = &faults{}
	store := &memstore.Faulty{Store: r.store, Order: r.faults.of}
	clock := actors.NewSystemClock()
	contained := func() { r.contained.Add(1) }
	c := actors.HostConfig{Store: store, Rooms: r.lk, Ownership: r.own, Clock: clock, Observer: r.seen, Log: slog.New(slog.DiscardHandler),
		Contained: contained, Lag: lag}
	for _, f := range change {
		f(&c)
	}
	host, err := actors.NewHost(c)
	if err != nil {
		t.Fatal(err)
	}
	r.host = host
	r.router = actors.NewRouter(r.own, func(p actors.Place) (actors.Owner, bool) { return host, p.Node == "n1" })
	r.sweep = actors.NewSweep(actors.SweepConfig{Rooms: r.lk, Index: r.store, Router: r.router, Clock: clock,
		Log: slog.New(slog.DiscardHandler), Contained: contained, StaleAfter: 30 * time.Minute})
	return r
}

// deliver passes on a webhook as the HTTP endpoint does: for at most 5 s.
func (r *rig) deliver(e reconcile.Event) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return r.router.Deliver(ctx, e)
}

func (r *rig) must(events ...reconcile.Event) {
	r.Helper()
	for _, e := range events {
		if err := r.deliver(e); err != nil {
			r.Fatalf("event %s: %v", e.ID, err)
		}
	}
}

// lag is how far LiveKit's lists may lag; it is the default.
const lag = 10 * time.Second

// settle is longer than the lag, because Redis gives its time in whole seconds.
const settle = lag + time.Second

// sync runs a cycle once the lag after the last webhook is over; syncNow runs one at once.
func (r *rig) sync(o reconcile.Options) reconcile.Report {
	r.Helper()
	time.Sleep(settle)
	return r.syncNow(o)
}

func (r *rig) syncNow(o reconcile.Options) reconcile.Report {
	r.Helper()
	report, err := r.sweep.Sync(context.Background(), r.own.Leader(), o)
	if err != nil {
		r.Fatalf("sync: %v", err)
	}
	return report
}

// present checks who is in a room. Without any want, the room must have no keys.
func (r *rig) present(room string, want ...string) {
	r.Helper()
	states, ok := r.store.Get(memstore.States, room)
	participants, both := r.store.Get(memstore.Participants, room)
	if ok != both {
		r.Errorf("room %q has one key without the other", room)
	}
	var got []string
	if ok {
		state, err := reconcile.DecodeState([]byte(states))
		if err != nil {
			r.Fatalf("room %q: %v", room, err)
		}
		for _, m := range state.Roster {
			got = append(got, m.Identity)
		}
		if list := string(state.Present(reconcile.Kinds{"STANDARD": true, "SIP": true})); list != participants {
			r.Errorf("room %q: the states say %s, the participants %s", room, list, participants)
		}
	}
	if !slices.Equal(got, want) || ok != (want != nil) {
		r.Errorf("room %q holds %q (keys: %v), want %q", room, got, ok, want)
	}
}

// names returns the rooms that have an actor, sorted.
func (r *rig) names() []string {
	r.Helper()
	names, err := r.host.Names(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func is(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("the error is %v, want %v", got, want)
	}
}

// faults decides which faults the store has.
type faults struct {
	mu    sync.Mutex
	rule  func(op memstore.Op, room string) memstore.Fault
	calls map[memstore.Op]int
}

func (f *faults) of(op memstore.Op, room string) memstore.Fault {
	f.mu.Lock()
	if f.calls == nil {
		f.calls = map[memstore.Op]int{}
	}
	f.calls[op]++
	rule := f.rule
	f.mu.Unlock()
	if rule == nil {
		return memstore.Fault{}
	}
	return rule(op, room)
}

// set makes rule decide the faults from now on; nil ends them.
func (f *faults) set(rule func(op memstore.Op, room string) memstore.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule = rule
}

// next gives the next call of op a fault, and calls do just before it.
func (f *faults) next(op memstore.Op, fault memstore.Fault, do ...func()) {
	var once sync.Once
	f.set(func(o memstore.Op, _ string) (now memstore.Fault) {
		if o == op {
			once.Do(func() {
				now = fault
				for _, f := range do {
					f()
				}
			})
		}
		return now
	})
}

func (f *faults) count(op memstore.Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// ownership is a view of one node, n1, unless a test moves the rooms.
type ownership struct {
	mu     sync.Mutex
	owner  string
	lost   bool // Claim refuses
	claim  reconcile.Claim
	leader reconcile.Token
	view   context.Context
	end    context.CancelFunc
}

func newOwnership() *ownership {
	o := &ownership{owner: "n1", claim: reconcile.Claim{Generation: 1, Epoch: 5, Incarnation: 4}, leader: reconcile.Token{Generation: 1, Index: 9}}
	o.view, o.end = context.WithCancel(context.Background())
	return o
}

// change makes another view, as f changes it.
func (o *ownership) change(f func(*ownership)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f(o)
	o.end()
	o.view, o.end = context.WithCancel(context.Background())
}

// lose makes Claim refuse, or no longer refuse, in the current view.
func (o *ownership) lose(lost bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost = lost
}

func (o *ownership) Owner(string) (actors.Place, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return actors.Place{Node: o.owner, Incarnation: o.claim.Incarnation, Epoch: o.claim.Epoch}, nil
}

// Claim keeps a claim of the same generation and incarnation: these views leave n1 its rooms.
func (o *ownership) Claim(_ string, held reconcile.Claim) (reconcile.Claim, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.owner != "n1" || o.lost {
		return reconcile.Claim{}, actors.NotOwner{Epoch: o.claim.Epoch}
	}
	if held.Generation == o.claim.Generation && held.Incarnation == o.claim.Incarnation {
		return held, nil
	}
	return o.claim, nil
}

func (o *ownership) Members() []actors.Place {
	o.mu.Lock()
	defer o.mu.Unlock()
	return []actors.Place{{Node: "n1", Incarnation: o.claim.Incarnation, Epoch: o.claim.Epoch}}
}

func (o *ownership) View() context.Context {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.view
}

func (o *ownership) Epoch() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.claim.Epoch
}

func (o *ownership) Leader() reconcile.Token {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.leader
}

type observer struct {
	mu                            sync.Mutex
	commits, refusals             int
	polls, failed, crashed, rooms int
	occupancy                     reconcile.Occupancy
	effects                       []actors.Effect
}

func (o *observer) note(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

func (o *observer) get(n *int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return *n
}

func (o *observer) Committed(reconcile.Cause, bool, time.Duration) { o.note(func() { o.commits++ }) }
func (o *observer) Changed(e actors.Effect)                        { o.note(func() { o.effects = append(o.effects, e) }) }
func (o *observer) Refused(error)                                  { o.note(func() { o.refusals++ }) }
func (o *observer) Crashed()                                       { o.note(func() { o.crashed++ }) }
func (o *observer) Rooms(n int)                                    { o.note(func() { o.rooms = n }) }

// counted are the kinds that memstore counts.
var counted = reconcile.Kinds{"STANDARD": true, "SIP": true}

func (o *observer) Holds(before, after *reconcile.State) {
	grows := counted.OccupancyChange(before, after)
	o.note(func() { o.occupancy.Rooms += grows.Rooms; o.occupancy.People += grows.People })
}
func (o *observer) Polled(ok bool) {
	o.note(func() {
		o.polls++
		if !ok {
			o.failed++
		}
	})
}

// keys returns the public keys of rooms, for a comparison byte for byte.
func (r *rig) keys(rooms ...string) map[string]string {
	all := map[string]string{}
	for _, room := range rooms {
		for _, k := range []memstore.Key{memstore.Participants, memstore.States} {
			if v, ok := r.store.Get(k, room); ok {
				all[string(k)+":"+room] = v
			}
		}
	}
	return all
}

func same(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s\n%v, want\n%v", what, got, want)
	}
}
