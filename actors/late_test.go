package actors_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// A fenced owner discards what it held, even if that has a higher version than what the newer owner wrote.
func TestAFencedOwnersMemoryIsNoLostData(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"), r.lk.join("r", "a"), r.lk.join("r", "b"), r.lk.join("r", "late"))
		r.store.Flush()
		ctx, newer := context.Background(), r.own.claim
		newer.Epoch++
		rec, err := r.store.Claim(ctx, "r", newer)
		if err != nil {
			t.Fatal(err)
		}
		p := reconcile.Participant{Identity: "theirs", SID: "PA_theirs", JoinedAt: time.Now().UnixMilli()}
		e := r.lk.join("r", "c")
		state := &reconcile.State{SID: e.Room.SID, Version: 1, Roster: []*reconcile.Member{reconcile.NewMember(p)}}
		if _, err := r.store.Commit(ctx, reconcile.Commit{Room: "r", Claim: newer, Expect: rec.Version, Version: 1, Public: reconcile.Write, State: state,
			Instance: reconcile.Instance{SID: e.Room.SID, CreatedMs: e.Room.CreatedMs}}); err != nil {
			t.Fatal(err)
		}
		is(t, r.deliver(e), actors.ErrFenced)
		newer.Epoch++
		r.own.change(func(o *ownership) { o.claim = newer })
		r.must(e)
		r.present("r", "c", "theirs")
	})
}

// A look that began under an older claim is taken again, twice at most.
func TestALookDiesWithItsClaim(t *testing.T) {
	for _, c := range []struct {
		dry                 bool
		void, looks, errors int
	}{{false, 1, 2, 0}, {true, 1, 2, 0}, {false, 2, 3, 0}, {true, 2, 3, 0}, {false, 9, 3, 1}} {
		bubble(t, func(r *rig) {
			r.must(r.lk.join("r", "a"))
			var looks atomic.Int32
			r.lk.order(func(room string) (bool, error) {
				if room == "r" { // while LiveKit is asked, the room finds that it must claim again
					if int(looks.Add(1)) <= c.void {
						r.faults.next(memstore.Commit, memstore.Fault{Err: errReset})
						go func() { _ = r.deliver(event{Kind: reconcile.Track, Room: reconcile.RoomInfo{Name: "r"}}) }()
					}
					r.lk.during(func() { time.Sleep(time.Millisecond) })
				}
				return false, nil
			})
			report := r.sync(reconcile.Options{DryRun: c.dry})
			if n := len(r.lk.looked("r")); n != c.looks || report.Synced != 1-c.errors || report.Errors != c.errors {
				t.Errorf("%+v: %d looks; %+v", c, n, report)
			}
		})
	}
}

// A room that has lost its claim before the sync, or needs another one, is claimed before the look, so LiveKit is asked once.
func TestARoomIsClaimedBeforeTheLook(t *testing.T) {
	bubble(t, func(r *rig) {
		joined := r.lk.join("r", "a")
		r.must(joined)
		r.sync(reconcile.Options{})
		r.faults.set(func(op memstore.Op, _ string) memstore.Fault {
			if op == memstore.Commit || op == memstore.Claim {
				return memstore.Fault{Err: errReset}
			}
			return memstore.Fault{}
		})
		is(t, r.deliver(r.lk.join("r", "b")), actors.ErrUnavailable)
		r.faults.set(nil)
		once := func() {
			before := len(r.lk.looked("r"))
			report := r.syncNow(reconcile.Options{})
			if n := len(r.lk.looked("r")) - before; n != 1 || report.Errors != 0 {
				t.Errorf("%d looks; %+v", n, report)
			}
		}
		once()
		r.own.change(func(o *ownership) { o.claim.Epoch++ })
		once()
		r.present("r", "a", "b")
	})
}

// The look that follows a contradiction is taken again as well if the room was claimed again meanwhile, as when its idle actor has ended.
func TestASecondLookThatIsVoidIsRepeated(t *testing.T) {
	bubble(t, func(r *rig) {
		joined := r.lk.join("r", "b")
		left := joined
		left.ID, left.Kind = "EV_left", reconcile.Left
		r.must(r.lk.join("r", "a"), joined, left) // LiveKit goes on listing the participant whose leave it reported
		var looks atomic.Int32
		r.lk.order(func(room string) (bool, error) {
			if room == "r" {
				if looks.Add(1) == 2 {
					r.faults.next(memstore.Commit, memstore.Fault{Err: errReset})
					go func() { _ = r.deliver(event{Kind: reconcile.Track, Room: reconcile.RoomInfo{Name: "r"}}) }()
				}
				r.lk.during(func() { time.Sleep(time.Millisecond) })
			}
			return false, nil
		})
		time.Sleep(settle)
		report := r.sync(reconcile.Options{})
		if n := len(r.lk.looked("r")); n != 3 || report.Errors != 0 {
			t.Errorf("%d looks; %+v", n, report)
		}
	})
}

// An event between two looks shows that its participant is present: an absence before it no longer counts.
func TestAnEventBetweenTheRoundsIsHeard(t *testing.T) {
	bubble(t, func(r *rig) {
		here := r.lk.join("r", "here")
		r.must(here, r.lk.join("r", "silent"))
		r.lk.order(func(string) (bool, error) { return true, nil })
		track := here
		track.ID, track.Kind, track.Room = "EV_track", reconcile.Track, reconcile.RoomInfo{Name: "r", SID: here.Room.SID}
		time.Sleep(settle)
		time.AfterFunc(500*time.Millisecond, func() { r.must(track) })
		r.syncNow(reconcile.Options{Scheduled: true})
		r.present("r", "here")
	})
}

// during calls do while LiveKit is asked, without holding its lock.
func (l *livekit) during(do func()) {
	l.mu.Unlock()
	defer l.mu.Lock()
	do()
}

// The end of a poll must reach a room that handles it late. Otherwise the room would never be polled again and never be idle.
func TestAPollEndsInAStuckRoom(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		e, calls := haunt(r, "r"), 0
		r.lk.order(func(string) (bool, error) {
			if calls++; calls == 3 { // the last try of the poll: it ends while the store ignores deadlines
				r.faults.next(memstore.Commit, memstore.Fault{}, func() { time.Sleep(time.Minute) })
				r.lk.during(func() { _ = r.deliver(e) })
			}
			return false, errReset
		})
		r.must(e)
		time.Sleep(2 * time.Minute)
		r.lk.order(nil)
		r.must(e)
		time.Sleep(10 * time.Second)
		r.present("r", "back")
	})
}

// A poll from before a crash does not end the one that was asked for after it.
func TestAPollOutlivesTheEndOfAnother(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		e := haunt(r, "r")
		r.must(e) // the first poll's looks are at 50 and 1050 ms
		time.Sleep(200 * time.Millisecond)
		r.faults.next(memstore.Commit, memstore.Fault{}, func() { panic("a bug") })
		is(t, r.deliver(e), actors.ErrUnavailable)
		time.Sleep(600 * time.Millisecond)
		r.must(e) // the second poll's are at 850 and 1850 ms
		time.Sleep(700 * time.Millisecond)
		looks := len(r.lk.looked("r"))
		r.must(e)
		time.Sleep(200 * time.Millisecond)
		if n := len(r.lk.looked("r")); looks != 3 || n != looks {
			t.Errorf("%d looks, then %d: a third poll runs beside the second", looks, n)
		}
	}, func(c *actors.HostConfig) { c.Lag = time.Second })
}
