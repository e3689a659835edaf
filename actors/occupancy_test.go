package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// TestOccupancy checks that the observer can count who is in how many rooms: through joins, leaves, a crash, the loss of the rooms
// to another node, and their end.
func TestOccupancy(t *testing.T) {
	bubble(t, func(r *rig) {
		is := func(what string, rooms, people int) {
			t.Helper()
			synctest.Wait()
			r.seen.mu.Lock()
			defer r.seen.mu.Unlock()
			if want := (reconcile.Occupancy{Rooms: rooms, People: people}); r.seen.occupancy != want {
				t.Errorf("%s: %+v, want %+v", what, r.seen.occupancy, want)
			}
		}
		r.must(r.lk.start("empty"), r.lk.join("r", "a"), r.lk.join("r", "b"))
		is("joins", 2, 2)
		r.must(r.lk.leave("r", "a"))
		is("a leave", 2, 1)
		r.sync(reconcile.Options{Scheduled: true})
		time.Sleep(time.Hour)
		is("an hour without events", 2, 1)
		r.faults.next(memstore.Commit, memstore.Fault{}, func() { panic("a bug") })
		if r.deliver(r.lk.join("r", "c")) == nil {
			t.Error("the room did not crash")
		}
		r.sync(reconcile.Options{Scheduled: true})
		is("after the crash", 2, 2)
		r.own.change(func(o *ownership) { o.owner = "n2" })
		is("another owner", 0, 0)
		r.own.change(func(o *ownership) { o.owner = "n1" })
		r.sync(reconcile.Options{Scheduled: true})
		is("the owner again", 2, 2)
		r.must(r.lk.finish("r")...)
		is("a finish", 1, 0)
	})
}
