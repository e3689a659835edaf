package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// TestEveryPageOfTheIndexIsClaimed gives a new owner more rooms than one page of the index holds.
func TestEveryPageOfTheIndexIsClaimed(t *testing.T) {
	const rooms = 2500
	inIndex(t, rooms, reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}, false, func(store *counting) {
		time.Sleep(time.Minute)
		if n := store.claims.Load(); n != rooms {
			t.Errorf("%d of %d rooms were claimed", n, rooms)
		}
	})
}

// TestEveryPageOfTheIndexIsExamined has rooms in Redis alone: more than one page of the index and one request to an owner hold.
func TestEveryPageOfTheIndexIsExamined(t *testing.T) {
	const rooms = 2500
	bubble(t, func(r *rig) {
		all := func(do func(room string)) {
			for i := range rooms {
				do(fmt.Sprintf("room-%04d", i))
			}
		}
		index := func() {
			all(func(room string) { r.store.Set(memstore.States, room, "x") })
			if err := r.store.Reindex(context.Background(), 0); err != nil {
				t.Fatal(err)
			}
		}
		index()
		all(func(room string) { r.store.Delete(memstore.States, room) })
		report, err := r.sweep.Cleanup(context.Background(), r.own.Leader(), reconcile.Options{})
		if err != nil || report.Cleaned != rooms {
			t.Errorf("a cleanup took %d of %d orphans off the index: %v", report.Cleaned, rooms, err)
		}
		time.Sleep(time.Hour) // the actors of the orphans end
		index()
		if report := r.sync(reconcile.Options{DryRun: true}); report.Synced != rooms || report.Errors != 0 {
			t.Errorf("a sync examined %d of %d rooms; %d errors, first: %s", report.Synced, rooms, report.Errors, report.Error)
		}
	})
}

// TestThreeLeadersAgree runs each of three cycles under another leader. The cycle ids of a leader must differ from those of the leader
// before: otherwise an absence would count once for all three.
func TestThreeLeadersAgree(t *testing.T) {
	bubble(t, func(r *rig) {
		rooms := crowd(r, 20)
		for _, room := range rooms {
			r.lk.finish(room)
		}
		time.Sleep(settle)
		for held := range 3 {
			r.present("room0", "a")
			r.own.change(func(o *ownership) { o.leader.Index++ })
			next := actors.NewSweep(actors.SweepConfig{Rooms: r.lk, Index: r.store, Router: r.router, Clock: actors.NewSystemClock(),
				Log: slog.New(slog.DiscardHandler), StaleAfter: 30 * time.Minute, Held: func() int { return held }})
			if _, err := next.Sync(context.Background(), r.own.Leader(), reconcile.Options{Scheduled: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second)
		}
		r.present("room0")
	})
}

// TestNothingIsHeldOfARoomThatWasLost checks that a node takes a room that another node owned meanwhile as Redis has it. What this node
// held has a higher version than what the other node wrote, because Redis had been emptied.
func TestNothingIsHeldOfARoomThatWasLost(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"), r.lk.join("r", "a"), r.lk.join("r", "b"), r.lk.join("r", "late"))
		ctx, theirs := context.Background(), r.own.claim
		theirs.Epoch, theirs.Incarnation = theirs.Epoch+1, theirs.Incarnation+1
		e := r.lk.join("r", "c")

		// The room's actor learns that the room is no longer this node's. The actor still exists when the room comes back.
		r.own.lose(true)
		is(t, r.host.Deliver(ctx, e), actors.ErrNotOwner)
		r.store.Flush()
		rec, err := r.store.Claim(ctx, "r", theirs)
		if err != nil {
			t.Fatal(err)
		}
		p := reconcile.Participant{Identity: "theirs", SID: "PA_theirs", JoinedAt: time.Now().UnixMilli()}
		state := &reconcile.State{SID: e.Room.SID, Version: 1, Roster: []*reconcile.Member{reconcile.NewMember(p)}}
		if _, err := r.store.Commit(ctx, reconcile.Commit{Room: "r", Claim: theirs, Expect: rec.Version, Version: 1, Public: reconcile.Write, State: state,
			Instance: reconcile.Instance{SID: e.Room.SID, CreatedMs: e.Room.CreatedMs}}); err != nil {
			t.Fatal(err)
		}
		theirs.Epoch, theirs.Incarnation = theirs.Epoch+1, theirs.Incarnation+1
		r.own.lose(false)
		r.own.change(func(o *ownership) { o.claim = theirs })
		r.must(e)
		r.present("r", "c", "theirs")
	})
}

// TestAPermitEndsWithItsLeader makes the view learn of a newer leader while round 2 asks LiveKit. The newer leader has not written
// anything by then, so Redis would accept the removal.
func TestAPermitEndsWithItsLeader(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"), r.lk.join("r", "gone"))
		r.lk.leave("r", "gone")
		time.Sleep(settle)
		ctx, leader := context.Background(), r.own.Leader()
		batch := actors.Batch{Leader: leader, Cycle: 7, Rooms: []string{"r"}}
		if _, err := r.host.Survey(ctx, batch); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		var once sync.Once
		r.lk.order(func(room string) (bool, error) {
			if room == "r" {
				once.Do(func() { r.own.change(func(o *ownership) { o.leader.Index++ }) })
			}
			return false, nil
		})
		batch.Permit = &reconcile.Permit{Leader: leader, Cycle: 7}
		_, _ = r.host.Survey(ctx, batch) // other tests check whether it fails as a whole or counts an error
		r.present("r", "a", "gone")
	})
}
