package actors_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// TestARoomWithoutAReadableNameShelters: it may be any room that the list lacks, so none of those loses anyone, whatever its own list says.
func TestARoomWithoutAReadableNameShelters(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("lacking", "a"), r.lk.join("listed", "a"), r.lk.join("listed", "gone"))
		r.lk.finish("lacking")
		r.lk.leave("listed", "gone")
		r.lk.faultyNames = func(list *reconcile.RoomNames) { list.Unnamed = 1 }
		for range 5 {
			r.sync(actors.Options{Scheduled: true})
		}
		r.present("lacking", "a")
		r.present("listed", "a")
	})
}

// TestSilenceInAnOutageIsNoAbsence: a room that LiveKit has not answered for in ten cycles loses its people only in a cycle in which LiveKit
// answers for others.
func TestSilenceInAnOutageIsNoAbsence(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("silent", "a"), r.lk.join("other", "a"))
		r.lk.finish("silent")
		outage := false
		r.lk.order(func(room string) (bool, error) {
			if room == "silent" || outage && room != "" {
				return false, reconcile.ErrNoAnswer
			}
			return false, nil
		})
		for range 10 {
			r.syncNow(actors.Options{Scheduled: true})
			time.Sleep(31 * time.Second)
		}
		outage = true
		r.syncNow(actors.Options{Scheduled: true})
		r.present("silent", "a")
		outage = false
		for range 11 {
			time.Sleep(31 * time.Second)
			r.syncNow(actors.Options{Scheduled: true})
		}
		r.present("silent")
		r.present("other", "a")
	})
}

// TestALookThatIsTooOldIsNone: what events told while it waited may be forgotten by its end.
func TestALookThatIsTooOldIsNone(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		var once sync.Once
		r.lk.order(func(room string) (bool, error) {
			if room == "r" {
				once.Do(func() { r.lk.during(func() { time.Sleep(reconcile.MaxLookAge + time.Second) }) })
			}
			return false, nil
		})
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		report, err := r.sweep.Sync(ctx, r.own.Leader(), actors.Options{})
		if err != nil || report.Errors+len(r.lk.looked("r")) < 2 {
			t.Errorf("a look of %v counted: %+v %v", reconcile.MaxLookAge+time.Second, report, err)
		}
	})
}

// TestALossIsLookedInto: Redis lost the room, and with it perhaps more than this node knows of. LiveKit is asked without waiting for a sync.
func TestALossIsLookedInto(t *testing.T) {
	bubble(t, func(r *rig) {
		a := r.lk.join("r", "a")
		r.must(a)
		r.store.Flush()
		r.lk.join("r", "unheard")
		track := a
		track.ID, track.Kind = "EV_track", reconcile.Track
		r.must(track)
		time.Sleep(time.Minute)
		r.present("r", "a", "unheard")
	})
}
