package actors_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// haunt makes a room that refuses a join: LiveKit shows someone whose leave came before.
func haunt(r *rig, room string) event {
	e := r.lk.join(room, "back")
	left := e
	left.Kind = reconcile.Left
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
		if len(looks) != 2 || looks[0]-start > 100 || looks[1]-looks[0] < 900 || looks[1]-looks[0] > 1100 {
			t.Errorf("looks at %v after the event, want two about 1 s apart", looks)
		}
	})
}

func TestPollsAreCoalesced(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		e := haunt(r, "r")
		for range 50 {
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
		r.present("r", "back", "silent", "stays") // it named another one

		spares := stays // a finish in the second in which all joined: they are named
		spares.Kind, spares.CreatedAt = reconcile.Finished, stays.Participant.JoinedAt/1000
		r.must(spares)
		r.present("r", "back", "silent", "stays")
		time.Sleep(time.Minute)
		r.present("r", "back", "stays")
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
		r.sync(actors.Options{})
		for i := range 20 {
			r.present(fmt.Sprint("r", i), "back") // the sync comes in any case
		}
	}, func(c *actors.HostConfig) { c.Polls = 5 })
}
