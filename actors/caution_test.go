package actors_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// TestARoomWithoutAReadableNameShelters checks the rooms that the list lacks: the unreadable name may be that of any of them, so none of
// them loses anyone, whatever its list of participants says.
func TestARoomWithoutAReadableNameShelters(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("lacking", "a"), r.lk.join("listed", "a"), r.lk.join("listed", "gone"))
		r.lk.finish("lacking")
		r.lk.leave("listed", "gone")
		r.lk.faultyNames = func(list *reconcile.RoomNames) { list.Unnamed = 1 }
		for range 5 {
			r.sync(reconcile.Options{Scheduled: true})
		}
		r.present("lacking", "a")
		r.present("listed", "a")
	})
}

// TestSilenceInAnOutageIsNoAbsence checks that a room for which LiveKit has had no answer in ten cycles loses its participants only in a
// cycle in which LiveKit answers for other rooms.
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
			r.syncNow(reconcile.Options{Scheduled: true})
			time.Sleep(31 * time.Second)
		}
		outage = true
		r.syncNow(reconcile.Options{Scheduled: true})
		r.present("silent", "a")
		outage = false
		for range 11 {
			time.Sleep(31 * time.Second)
			r.syncNow(reconcile.Options{Scheduled: true})
		}
		r.present("silent")
		r.present("other", "a")
	})
}

// TestALookThatIsTooOldIsNone checks that a look does not count if it waited for so long that the room may have forgotten the events
// that came meanwhile.
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
		report, err := r.sweep.Sync(ctx, r.own.Leader(), reconcile.Options{})
		if err != nil || report.Errors+len(r.lk.looked("r")) < 2 {
			t.Errorf("a look of %v counted: %+v %v", reconcile.MaxLookAge+time.Second, report, err)
		}
	})
}

// TestALossIsLookedInto checks that LiveKit is asked without waiting for a sync after Redis has lost a room, and with it perhaps more than
// this node knows of.
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
