package actors_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

func TestDeliveredIsCommitted(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		r.present("r", []string{}...)
		r.must(r.lk.join("r", "a"))
		r.present("r", "a")
		r.must(r.lk.join("r", "b"), r.lk.leave("r", "a"))
		r.present("r", "b")
		r.must(r.lk.finish("r")...)
		r.present("r")
	})
}

func TestARepeatStillRunsAScript(t *testing.T) {
	bubble(t, func(r *rig) {
		e := r.lk.join("r", "a")
		r.must(e)
		before, feed := r.faults.count(memstore.Commit), len(r.store.Feed())
		r.must(e)
		if n := r.faults.count(memstore.Commit) - before; n != 1 {
			t.Errorf("a repeat ran %d scripts, want 1", n)
		}
		if n := len(r.store.Feed()); n != feed {
			t.Errorf("a repeat appended to the feed")
		}
		r.faults.set(func(memstore.Op, string) memstore.Fault { return memstore.Fault{Err: errReset} })
		is(t, r.deliver(e), actors.ErrUnavailable)
	})
}

func TestAnUnknownOutcomeIsFoundOut(t *testing.T) {
	for _, late := range []bool{true, false} {
		t.Run(fmt.Sprint("applied ", late), func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.must(r.lk.start("r"))
				r.faults.next(memstore.Commit, memstore.Fault{Err: errReset, Late: late})
				r.must(r.lk.join("r", "a"))
				r.present("r", "a")
				if n := r.faults.count(memstore.Claim); n != 2 {
					t.Errorf("%d claims, want another one after the unknown outcome", n)
				}
				r.must(r.lk.join("r", "b"))
				r.present("r", "a", "b")
			})
		})
	}
}

// TestALostReplyLosesNoPoll checks that a poll that an event asks for is made even if the reply to its commit is lost. The event is then decided again, and
// finds everything done.
func TestALostReplyLosesNoPoll(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "old"))
		time.Sleep(2 * time.Second)
		spared := r.lk.join("r", "spared")
		r.must(spared)
		e := r.lk.join("r", "new")
		r.lk.leave("r", "old")
		r.lk.leave("r", "spared")
		e.Room.SID, e.Room.CreatedMs = "RM_new", spared.Participant.JoinedAt-1
		r.lk.rooms["r"].info = e.Room
		r.faults.next(memstore.Commit, memstore.Fault{Err: errReset, Late: true})
		r.must(e)
		r.present("r", "new", "spared")
		time.Sleep(10 * time.Second)
		r.present("r", "new")
	})
}

func TestRedisAwayIsUnavailable(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		r.faults.set(func(memstore.Op, string) memstore.Fault { return memstore.Fault{Err: errReset} })
		e := r.lk.join("r", "a")
		is(t, r.deliver(e), actors.ErrUnavailable)
		r.faults.set(func(memstore.Op, string) memstore.Fault { return memstore.Fault{Hang: true} })
		start := time.Now()
		is(t, r.deliver(e), actors.ErrUnavailable)
		if took := time.Since(start); took > 5*time.Second || took <= 5*time.Second-wait.Step {
			t.Errorf("answered after %v, want the caller's 5 s", took)
		}
		r.faults.set(nil)
		r.must(e)
		r.present("r", "a")
	})
}

func TestAConflictIsDecidedAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		// A script of ours that seemed lost is applied between the claim and the commit.
		r.faults.next(memstore.Commit, memstore.Fault{}, func() { bump(r, "r") })
		r.must(r.lk.join("r", "b"))
		r.present("r", "a", "b")
	})
}

// bump commits as the room's owner, behind the actor's back.
func bump(r *rig, room string) {
	ctx := context.Background()
	rec, err := r.store.Claim(ctx, room, r.own.claim)
	if err == nil {
		_, err = r.store.Commit(ctx, reconcile.Commit{Room: room, Claim: rec.Claim, Expect: rec.Version, Version: rec.Version + 1, Instance: rec.Instance})
	}
	if err != nil {
		r.Error(err)
	}
}

// overtaken makes a newer owner claim a room. It returns the claim.
func (r *rig) overtaken(room string) reconcile.Claim {
	r.Helper()
	newer := r.own.claim
	newer.Epoch++
	if _, err := r.store.Claim(context.Background(), room, newer); err != nil {
		r.Fatal(err)
	}
	return newer
}

func TestANewerOwnerFencesUs(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		newer := r.overtaken("r")
		before := r.keys("r")
		e := r.lk.join("r", "b")
		is(t, r.deliver(e), actors.ErrFenced)
		same(t, "a fenced owner wrote", r.keys("r"), before)

		newer.Epoch++ // the room comes back
		r.own.change(func(o *ownership) { o.claim = newer })
		r.must(e)
		r.present("r", "a", "b")
	})
}

// The store may learn of a newer owner sooner than this node. A webhook then waits for the view that made the newer owner.
func TestAFencedDeliveryWaitsForTheView(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		newer := r.overtaken("r")
		newer.Epoch++
		time.AfterFunc(400*time.Millisecond, func() { r.own.change(func(o *ownership) { o.claim = newer }) })
		r.must(r.lk.join("r", "b"))
		r.present("r", "a", "b")
	})
}

func TestARoomThatCameBackIsClaimedWithoutAnError(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		newer := r.overtaken("r")
		newer.Epoch++
		r.own.change(func(o *ownership) { o.claim = newer })
		r.must(r.lk.join("r", "b"))
		r.present("r", "a", "b")
	})
}

func TestAViewThatLeavesTheRoomNeedsNoClaim(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		r.own.change(func(o *ownership) { o.claim.Epoch += 3 })
		r.must(r.lk.join("r", "b"))
		if n := r.faults.count(memstore.Claim); n != 1 {
			t.Errorf("%d claims, want 1", n)
		}
		r.own.change(func(o *ownership) { o.claim.Incarnation++; o.claim.Epoch++ })
		r.must(r.lk.join("r", "c"))
		if n := r.faults.count(memstore.Claim); n != 2 {
			t.Errorf("%d claims, want one more for the new incarnation", n)
		}
	})
}

func TestASplitIsFenced(t *testing.T) {
	bubble(t, func(r *rig) {
		other := r.own.claim
		other.Incarnation++
		if _, err := r.store.Claim(context.Background(), "r", other); err != nil {
			t.Fatal(err)
		}
		is(t, r.deliver(r.lk.join("r", "a")), actors.ErrFenced)
		r.present("r")
	})
}

func TestARoomThatIsNotOursIsRefusedAndRerouted(t *testing.T) {
	bubble(t, func(r *rig) {
		r.own.change(func(o *ownership) { o.owner = "n2" })
		e := r.lk.join("r", "a")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		is(t, r.host.Deliver(ctx, e), actors.ErrNotOwner)
		is(t, r.deliver(e), actors.ErrUnavailable)
		time.AfterFunc(time.Second, func() { r.own.change(func(o *ownership) { o.owner = "n1" }) })
		r.must(e) // waits for the view
		r.present("r", "a")
	})
}

func TestAnExpiredDeliveryIsRefused(t *testing.T) {
	bubble(t, func(r *rig) {
		e := r.lk.join("r", "a")
		e.Expires = time.Now().UnixMilli()
		time.Sleep(59 * time.Second)
		r.must(e)
		time.Sleep(2 * time.Second)
		is(t, r.deliver(e), actors.ErrExpired)
	})
}

func TestADeadlineInTheQueue(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		r.faults.next(memstore.Commit, memstore.Fault{Delay: 4 * time.Second})
		slow := make(chan error, 1)
		e := r.lk.join("r", "a")
		go func() { slow <- r.deliver(e) }()
		synctest.Wait()
		late := r.lk.join("r", "b")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		is(t, r.router.Deliver(ctx, late), actors.ErrUnavailable)
		if err := <-slow; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		r.present("r", "a") // nobody waits for the late one any more
		if n := r.faults.count(memstore.Commit); n != 2 {
			t.Errorf("%d commits, want none for the one whose caller has left", n)
		}
	})
}

func TestClosing(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		r.faults.next(memstore.Commit, memstore.Fault{Delay: time.Second})
		working, e := make(chan error, 1), r.lk.join("r", "a")
		go func() { working <- r.deliver(e) }()
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- r.host.Stop(context.Background()) }()
		synctest.Wait()
		is(t, r.deliver(r.lk.join("r", "b")), actors.ErrClosing)
		if err := <-working; err != nil {
			t.Errorf("accepted mail was not handled: %v", err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		r.present("r", "a")
		start := time.Now()
		is(t, r.deliver(r.lk.join("r", "c")), actors.ErrClosing)
		if _, err := r.host.Names(context.Background()); err == nil {
			t.Error("a stopped host has names")
		}
		if time.Since(start) != 0 {
			t.Error("a stopped host lets its callers wait")
		}
	})
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.faults.set(func(memstore.Op, string) memstore.Fault { return memstore.Fault{Hang: true} })
		e := r.lk.join("r", "a")
		done := make(chan error, 1)
		go func() { done <- r.host.Deliver(context.Background(), e) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		is(t, r.host.Stop(ctx), context.DeadlineExceeded)
		if time.Since(start) != time.Second {
			t.Errorf("it took %v", time.Since(start))
		}
		is(t, <-done, actors.ErrUnavailable)
		time.Sleep(time.Minute) // timers of the actor library run out
	})
}

func TestMemoryKnowsWhatRedisLost(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"), r.lk.join("r", "a"), r.lk.join("r", "b"), r.lk.leave("r", "a"))
		gone := r.lk.join("r", "gone")
		r.must(gone, r.lk.leave("r", "gone"))
		r.store.Flush()
		looks := len(r.lk.looked("r"))
		r.must(r.lk.join("r", "c"))
		r.present("r", "b", "c")
		feed := r.store.Feed()
		if len(feed) != 1 || feed[0]["type"] != string(reconcile.RoomSnapshot) {
			t.Errorf("the feed after the loss is %v, want one snapshot", feed)
		}
		if feed[0]["version"] < "6" {
			t.Errorf("the version went back to %s", feed[0]["version"])
		}
		r.must(gone) // its tombstone is there again
		r.present("r", "b", "c")
		time.Sleep(100 * time.Millisecond)
		if len(r.lk.looked("r")) == looks {
			t.Error("no poll was asked for")
		}
	})
}

// In a failover, a commit reached the old primary and a reader of the feed, but its answer was lost and the replica never had it. The next
// commit has the same version and might have other content, so it ends with a snapshot.
func TestAfterAnUnknownOutcomeTheFeedIsMadeSureOf(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"), r.lk.join("r", "a"))
		replica, lost := r.store.Copy(), false
		r.faults.set(func(op memstore.Op, _ string) memstore.Fault {
			switch {
			case op == memstore.Commit && !lost:
				lost = true
				return memstore.Fault{Late: true, Err: errors.New("the connection is lost")}
			case op == memstore.Claim && replica != nil:
				r.store.SetBack(replica)
				replica = nil
			}
			return memstore.Fault{}
		})
		r.must(r.lk.join("r", "b"))
		if replica != nil {
			t.Fatal("Redis was not set back")
		}
		feed := r.store.Feed()
		if last := feed[len(feed)-1]; last["type"] != string(reconcile.RoomSnapshot) || last["n"] != last["of"] {
			t.Errorf("the feed ends with %v, want a snapshot", last)
		}
		r.must(r.lk.join("r", "c"))
		feed = r.store.Feed()
		if last := feed[len(feed)-1]; last["type"] != string(reconcile.ParticipantJoined) {
			t.Errorf("then it ends with %v, want the join alone", last)
		}
	})
}
