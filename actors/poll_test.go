package actors_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// haunt makes a room refuse a join: LiveKit lists a participant whose leave came before. It returns the join.
func haunt(r *rig, room string) event {
	e := r.lk.join(room, "back")
	left := e
	left.ID, left.Kind = left.ID+"-left", reconcile.Left
	r.must(left)
	return e
}

func TestARefusedJoinIsPolledTwice(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		e := haunt(r, "r")
		start := time.Now().UnixMilli()
		r.must(e)
		r.present("r", []string{}...)
		time.Sleep(500 * time.Millisecond)
		r.present("r", []string{}...) // one look does not overrule a tombstone
		time.Sleep(time.Minute)
		r.present("r", "back")
		looks := r.lk.looked("r")
		if len(looks) != 2 || looks[0]-start > 100 || looks[1]-start < 3000 || looks[1]-start > 3100 {
			t.Errorf("looks at %v, want one at once and one 3 s after the event at %d", looks, start)
		}
	})
}

func TestPollsAreCoalesced(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		e := haunt(r, "r")
		for i := range 50 {
			e.ID = fmt.Sprint("EV_again", i)
			r.must(e)
		}
		time.Sleep(time.Minute)
		if n := len(r.lk.looked("r")); n < 3 || n > 4 {
			t.Errorf("%d looks, want those of the first poll and of one for all that asked meanwhile", n)
		}
		r.present("r", "back")
	})
}

func TestAPollRemovesOnlyTheNamed(t *testing.T) {
	bubble(t, func(r *rig) {
		stays := r.lk.join("r", "stays")
		r.must(stays, r.lk.join("r", "silent"))
		r.lk.leave("r", "silent") // and the webhook is lost
		r.must(haunt(r, "r"))
		time.Sleep(time.Minute)
		r.present("r", "back", "silent", "stays") // the poll named another participant

		spares := stays // a finish in the second in which all joined, so the poll names them
		spares.ID, spares.Kind, spares.CreatedAt = "EV_finish", reconcile.Finished, stays.Participant.JoinedAt/1000
		r.must(spares)
		r.present("r", "back", "silent", "stays")
		time.Sleep(time.Minute)
		r.present("r", "back", "stays")
	})
}

// TestAPollTakesNoSilenceForAnAnswer polls a room that LiveKit does not list and for which it has no answer: nobody leaves, named or not.
func TestAPollTakesNoSilenceForAnAnswer(t *testing.T) {
	bubble(t, func(r *rig) {
		stays := r.lk.join("r", "stays")
		r.must(stays)
		spares := stays // a finish in the second in which all joined, so the poll names them
		spares.ID, spares.Kind, spares.CreatedAt = "EV_finish", reconcile.Finished, stays.Participant.JoinedAt/1000
		delete(r.lk.rooms, "r")
		r.lk.order(func(room string) (bool, error) {
			if room == "r" {
				return false, reconcile.ErrNoAnswer
			}
			return false, nil
		})
		r.must(spares)
		time.Sleep(time.Minute)
		r.present("r", "stays")
		if n := r.seen.get(&r.seen.failed); n == 0 {
			t.Error("no poll was observed as failed")
		}
	})
}

func TestAFailedLookIsNone(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		e := haunt(r, "r")
		failures := 2
		r.lk.order(func(room string) (bool, error) {
			if room == "r" && failures > 0 {
				failures--
				return false, errReset
			}
			return false, nil
		})
		r.must(e)
		time.Sleep(time.Minute)
		r.present("r", "back")
		if n := len(r.lk.looked("r")); n != 4 {
			t.Errorf("%d looks, want two that failed and two more", n)
		}
		if got := r.seen.get(&r.seen.failed); got != 2 {
			t.Errorf("%d polls observed as failed, want 2", got)
		}
	})
}

func TestAPollGivesUpAndTheNextOneStarts(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		e := haunt(r, "r")
		r.lk.order(func(string) (bool, error) { return false, errReset })
		r.must(e)
		time.Sleep(time.Minute)
		if n := r.seen.get(&r.seen.failed); n != 3 {
			t.Errorf("%d tries, want 3", n)
		}
		r.lk.order(nil)
		e.ID = "EV_again"
		r.must(e)
		time.Sleep(time.Minute)
		r.present("r", "back")
	})
}

func TestPollsAreBounded(t *testing.T) {
	bubble(t, func(r *rig) {
		for i := range 20 {
			room := fmt.Sprint("r", i)
			r.must(r.lk.start(room))
			r.must(haunt(r, room))
		}
		time.Sleep(time.Minute)
		polled := 0
		for i := range 20 {
			if len(r.lk.looked(fmt.Sprint("r", i))) > 0 {
				polled++
			}
		}
		if polled != 5 {
			t.Errorf("%d rooms polled, want 5", polled)
		}
		r.sync(reconcile.Options{})
		for i := range 20 {
			r.present(fmt.Sprint("r", i), "back") // the sync comes in any case
		}
	}, func(c *actors.HostConfig) { c.Polls = 5 })
}

// TestADuplicateCostsNothing delivers a refused join again and again under one id. That makes one poll, and each 200 follows a script.
func TestADuplicateCostsNothing(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		e := haunt(r, "r")
		r.must(e)
		time.Sleep(time.Minute)
		r.present("r", "back")
		looks, scripts, feed := len(r.lk.looked("r")), r.faults.count(memstore.Commit), len(r.store.Feed())
		for range 20 {
			r.must(e)
		}
		time.Sleep(time.Minute)
		if n := len(r.lk.looked("r")); n != looks {
			t.Errorf("%d looks after the duplicates, %d before", n, looks)
		}
		if n := r.faults.count(memstore.Commit); n != scripts+20 {
			t.Errorf("20 duplicates ran %d scripts", n-scripts)
		}
		if n := len(r.store.Feed()); n != feed {
			t.Errorf("%d entries in the feed, %d before", n, feed)
		}
		// What the room remembers goes with its claim. The join is then that of a participant who is present.
		r.own.change(func(o *ownership) { o.claim.Epoch, o.claim.Incarnation = 7, 6 })
		r.must(e)
		r.present("r", "back")
	})
}

// TestAFailedEventIsNoDuplicate checks that an event which LiveKit repeats after a 503 has its effect.
func TestAFailedEventIsNoDuplicate(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		e := r.lk.join("r", "ada")
		r.faults.set(func(memstore.Op, string) memstore.Fault { return memstore.Fault{Err: errReset} })
		if r.deliver(e) == nil {
			t.Error("200 without a script")
		}
		r.faults.set(nil)
		r.must(e)
		r.present("r", "ada")
	})
}

// TestOrderInAListMeansNothing checks that the newest of two living rooms of one name counts, wherever it is in the list.
func TestOrderInAListMeansNothing(t *testing.T) {
	bubble(t, func(r *rig) {
		older := r.lk.start("r").Room
		time.Sleep(time.Second)
		e := r.lk.join("r", "ada")
		e.Room.SID, e.Room.CreatedMs = "RM_newer", e.Participant.JoinedAt
		r.lk.mu.Lock()
		r.lk.rooms["r"].info = e.Room
		r.lk.older = map[string][]reconcile.RoomInfo{"r": {older}}
		r.lk.mu.Unlock()
		r.must(e)
		feed := len(r.store.Feed())
		for range 3 {
			r.sync(reconcile.Options{})
			time.Sleep(30 * time.Second)
		}
		r.present("r", "ada")
		if n := len(r.store.Feed()); n != feed {
			t.Errorf("three syncs changed the room: %v", r.store.Feed()[feed:])
		}
	})
}

// TestATrackOfAnUnknownParticipantIsPolled checks that a track event makes up for a lost join without a sync.
func TestATrackOfAnUnknownParticipantIsPolled(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "bo"))
		lost := r.lk.join("r", "ada")
		r.must(event{ID: "EV_track", Kind: reconcile.Track, CreatedAt: lost.CreatedAt, Room: reconcile.RoomInfo{Name: "r", SID: lost.Room.SID},
			Participant: reconcile.Participant{Identity: "ada", SID: lost.Participant.SID}})
		time.Sleep(10 * time.Second)
		r.present("r", "ada", "bo")
		if n := len(r.lk.looked("r")); n != 1 {
			t.Errorf("%d looks, want one", n)
		}
	})
}

// TestAShortLagShortensThePoll checks that the second look waits for the lag, and for at least a second.
func TestAShortLagShortensThePoll(t *testing.T) {
	for lag, want := range map[time.Duration]int64{0: 1050, time.Second / 2: 1050, 2 * time.Second: 2000, time.Minute: 3000} {
		t.Run(fmt.Sprint(lag), func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.must(r.lk.start("r"))
				e := haunt(r, "r")
				start := time.Now().UnixMilli()
				r.must(e)
				time.Sleep(time.Minute)
				r.present("r", "back")
				if looks := r.lk.looked("r"); len(looks) != 2 || looks[1]-start != want {
					t.Errorf("looks at %v after the event at %d, want the second after %d ms", looks, start, want)
				}
			}, func(c *actors.HostConfig) { c.Lag = lag })
		})
	}
}

// TestALatePollContradictsNoNewerEvent checks that a poll whose looks failed at first does not bring back a participant who left meanwhile, and whom
// LiveKit's list still shows.
func TestALatePollContradictsNoNewerEvent(t *testing.T) {
	bubble(t, func(r *rig) {
		leaves := r.lk.join("r", "leaves")
		r.must(leaves)
		r.lk.order(func(string) (bool, error) { return false, errors.New("out of order") })
		r.must(haunt(r, "r"))
		time.Sleep(5 * time.Second)
		r.lk.order(nil)
		leaves.ID, leaves.Kind = "EV_left", reconcile.Left
		r.must(leaves)
		time.Sleep(2800 * time.Millisecond)
		r.present("r", "back")
		if n := len(r.lk.looked("r")); n != 2 {
			t.Errorf("%d looks, want the two of the poll", n)
		}
	})
}

// TestTwoPollsAreNoPair checks that the last look of a poll and the first of the next one do not bring back a participant who left a moment ago,
// and whom LiveKit's list still shows.
func TestTwoPollsAreNoPair(t *testing.T) {
	bubble(t, func(r *rig) {
		started, leaves := r.lk.start("r"), r.lk.join("r", "leaves")
		r.must(started, leaves)
		r.must(haunt(r, "r"))
		time.Sleep(2900 * time.Millisecond)
		leaves.ID, leaves.Kind = "EV_left", reconcile.Left
		r.must(leaves) // just before the second look
		time.Sleep(600 * time.Millisecond)
		r.present("r", "back")
		r.must(event{ID: "EV_track", Kind: reconcile.Track, CreatedAt: leaves.CreatedAt, Room: started.Room,
			Participant: reconcile.Participant{Identity: "unknown", SID: "PA_unknown"}}) // asks for another poll
		time.Sleep(500 * time.Millisecond)
		r.present("r", "back")
		if n := len(r.lk.looked("r")); n != 3 {
			t.Errorf("%d looks, want two of one poll and the first of the next", n)
		}
		time.Sleep(10 * time.Second)
		r.present("r", "back", "leaves") // long after the event, the list counts
	})
}
