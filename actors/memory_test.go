package actors_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// nullStore accepts everything and keeps nothing, so that only the actors' memory is measured.
type nullStore struct{}

func (nullStore) Claim(_ context.Context, room string, c reconcile.Claim) (reconcile.Record, error) {
	return reconcile.Record{Room: room, Claim: c}, nil
}

func (nullStore) Commit(context.Context, reconcile.Commit) (reconcile.Receipt, error) {
	return reconcile.Receipt{}, nil
}

func (nullStore) Delist(context.Context, string, reconcile.Claim, reconcile.Token) error { return nil }

// TestAnIdleRoomIsSmall checks the budget of an idle room with two participants: 4 KB of heap and stacks together, and no goroutine
// beyond the few that a host keeps for its next messages.
func TestAnIdleRoomIsSmall(t *testing.T) {
	const rooms, budget, kept = 20000, 4096, 256
	r := newRig(t, func(c *actors.HostConfig) { c.Store = nullStore{} })
	defer func() {
		if err := r.host.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	goroutines, before := runtime.NumGoroutine(), used()
	var senders sync.WaitGroup
	for n := range 20 {
		senders.Go(func() {
			for i := n; i < rooms; i += 20 {
				for e := range two(fmt.Sprintf("room-%06d", i)) {
					if err := r.deliver(e); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	senders.Wait()
	if got := len(r.names()); got != rooms {
		t.Fatalf("%d rooms", got)
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > goroutines+kept && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine() - goroutines; n > kept {
		t.Errorf("%d goroutines for idle rooms", n)
	}
	each := int64(used()-before) / rooms
	t.Logf("%d B for an idle room of two", each)
	if each > budget || each < 500 { // it cannot be less: the JSON of two participants takes as much
		t.Errorf("an idle room of two takes %d B, the budget is %d", each, budget)
	}
	runtime.KeepAlive(r)
}

// TestRestedRoomsLeaveNothing checks that the memory of finished rooms is released, although no other rooms take their place.
func TestRestedRoomsLeaveNothing(t *testing.T) {
	const rooms, budget = 20000, 1500
	r := newRig(t, func(c *actors.HostConfig) { c.Store, c.Rest = nullStore{}, 200*time.Millisecond })
	defer func() {
		if err := r.host.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	before := used()
	for i := range rooms {
		for e := range two(fmt.Sprintf("room-%06d", i)) {
			r.must(e)
		}
	}
	for i := range rooms {
		for e := range two(fmt.Sprintf("room-%06d", i)) {
			e.ID, e.Kind, e.CreatedAt = "", reconcile.Finished, e.CreatedAt+1
			r.must(e)
			break
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for len(r.names()) > 0 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if got := len(r.names()); got > 0 {
		t.Fatalf("%d rooms still have actors", got)
	}
	each := int64(used()-before) / rooms
	t.Logf("%d B are left of a room", each)
	if each > budget { // maps and lists keep their size
		t.Errorf("%d B are left of an idle room, at most %d should be", each, budget)
	}
	runtime.KeepAlive(r)
}

// used returns the memory in use after two collections: the second frees the garbage that finalizers kept.
func used() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// two yields the events of a room with two participants as LiveKit sends them, with metadata and attributes.
func two(room string) func(func(event) bool) {
	info := reconcile.RoomInfo{Name: room, SID: "RM_" + room, CreatedMs: 1795399866205, MaxParticipants: 2, Metadata: `{"topic":"maths"}`}
	return func(yield func(event) bool) {
		if !yield(event{ID: "EV_s" + room, Kind: reconcile.Started, CreatedAt: 1795399866, Room: info}) {
			return
		}
		for i := range int64(2) {
			identity := fmt.Sprint("user", i, "-", room)
			p := reconcile.Participant{Identity: identity, SID: "PA_" + identity, Name: "User " + identity, JoinedAt: 1795399866511 + i,
				Metadata: `{"role":"student"}`, Attributes: map[string]string{"lang": "en"}, Kind: "STANDARD", Version: 2}
			if !yield(event{ID: fmt.Sprint("EV_", i, room), Kind: reconcile.Joined, CreatedAt: 1795399866, Room: info, Participant: p}) {
				return
			}
		}
	}
}
