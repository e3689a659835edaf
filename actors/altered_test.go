package actors_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

func TestForeignChanges(t *testing.T) {
	for name, alter := range map[string]func(*rig){
		"another value":   func(r *rig) { r.store.Set(memstore.Participants, "r", `["x"]`) },
		"a missing key":   func(r *rig) { r.store.Delete(memstore.States, "r") },
		"no keys":         func(r *rig) { r.store.Delete(memstore.States, "r"); r.store.Delete(memstore.Participants, "r") },
		"a wrong type":    func(r *rig) { r.store.WrongType(memstore.States, "r") },
		"not our JSON":    func(r *rig) { r.store.Set(memstore.States, "r", `{"participants":"?"}`) },
		"a changed state": func(r *rig) { r.store.Set(memstore.States, "r", `{"roomName":"r","participants":[]}`) },
	} {
		for _, changed := range []bool{false, true} { // the room itself changes as well
			for _, known := range []bool{false, true} { // to an actor
				t.Run(fmt.Sprintf("%s, changed %v, known %v", name, changed, known), func(t *testing.T) {
					bubble(t, func(r *rig) {
						r.must(r.lk.join("r", "a"), r.lk.join("r", "b"))
						before := r.keys("r")
						if !known {
							if err := r.host.Stop(context.Background()); err != nil {
								t.Fatal(err)
							}
							fresh := newRig(t, func(c *actors.HostConfig) {
								c.Store, c.Rooms = &memstore.Faulty{Store: r.store, Order: r.faults.of}, r.lk
							})
							r.host, r.sweep = fresh.host, fresh.sweep
							r.sweep.Index, r.sweep.Rooms = r.store, r.lk
						}
						alter(r)
						if changed {
							r.lk.join("r", "c")
						}
						commits := len(r.store.Feed())
						report := r.sync(reconcile.Options{Scheduled: true})
						if report.Drift[reconcile.ForeignChange] != 1 || report.Drift[reconcile.LostWrite] != 0 || report.Changed != 1 || report.Errors != 0 {
							t.Errorf("%+v", report)
						}
						if changed {
							r.present("r", "a", "b", "c")
						} else {
							r.present("r", "a", "b")
							if got := r.keys("r")["participants:r"]; got != before["participants:r"] {
								t.Errorf("the participants are %s", got)
							}
						}
						if n := len(r.store.Feed()) - commits; n != 1 {
							t.Errorf("%d feed entries for the repair, want one snapshot", n)
						}
						if again := r.sync(reconcile.Options{}); len(again.Drift) != 0 || again.Changed != 0 {
							t.Errorf("a second sync finds %v", again.Drift)
						}
					})
				})
			}
		}
	}
}

// TestRareForeignChanges lets others set an expiry and remove a room from the index. Scheduled syncs notice it in time, a manual one at once.
func TestRareForeignChanges(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		const every = 10
		repaired := func(o reconcile.Options, within int) {
			r.Helper()
			r.store.Expire(memstore.States, "r")
			r.store.Unlist("r")
			for n := 1; ; n++ {
				report := r.sync(o)
				index, _ := r.store.Index(context.Background())
				if report.Drift[reconcile.ForeignChange] == 1 && slices.Equal(index, []string{"r"}) {
					return
				}
				if n == within || report.Drift[reconcile.ForeignChange] != 0 {
					r.Fatalf("sync %d reports %+v, and the index is %v", n, report, index)
				}
			}
		}
		repaired(reconcile.Options{Scheduled: true}, 1)
		for range 2 * every {
			repaired(reconcile.Options{Scheduled: true}, every)
			repaired(reconcile.Options{}, 1)
			r.sync(reconcile.Options{Scheduled: true})
		}
	})
}

func TestKeysWithoutARecord(t *testing.T) {
	bubble(t, func(r *rig) {
		r.store.Set(memstore.States, "junk", `{"x":1}`)
		r.store.WrongType(memstore.Participants, "junk")
		r.store.Set(memstore.States, "r", `{"participants":[{"identity":"old","sid":"PA_x"}]}`)
		r.lk.join("r", "a")
		if err := r.store.Reindex(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
		report := r.sync(reconcile.Options{Scheduled: true})
		if report.Drift[reconcile.ForeignChange] == 0 || report.Errors != 0 {
			t.Errorf("%+v", report)
		}
		r.present("r", "a")
		r.present("junk")
		time.Sleep(time.Minute)
	})
}

// TestAPollForLostDataContradictsNoEvent checks that the poll after a loss of data does not bring back a participant who left at that moment, or some
// seconds before: LiveKit's list may be stale, and no event delays that poll's second look.
func TestAPollForLostDataContradictsNoEvent(t *testing.T) {
	for _, before := range []time.Duration{0, 4 * time.Second} {
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.must(r.lk.join("r", "stays"))
				time.Sleep(time.Minute)
				if before == 0 {
					r.store.Flush()
				}
				haunt(r, "r") // if the data is lost, this finds it out
				time.Sleep(before)
				if before > 0 {
					r.store.Flush()
				}
				r.must(r.lk.join("r", "joins"))
				time.Sleep(3 * time.Second)
				r.present("r", "stays", "joins")
				if len(r.lk.looked("r")) == 0 {
					t.Error("nothing looked at the room")
				}
				time.Sleep(10 * time.Second)
				r.sync(reconcile.Options{Scheduled: true})
				r.present("r", "stays", "back", "joins") // long after the event, the lists count
			})
		})
	}
}

func TestLostDataIsWrittenAgainByOneSync(t *testing.T) {
	bubble(t, func(r *rig) {
		rooms := crowd(r, 150)
		before := len(r.store.Feed())
		r.store.Flush()
		report := r.sync(reconcile.Options{Scheduled: true})
		if report.Errors != 0 || report.Synced != 150 || report.Drift[reconcile.LostWrite] < 149 { // one may be a poll's
			t.Errorf("%+v", report)
		}
		for _, room := range rooms {
			r.present(room, "a")
		}
		if n := len(r.store.Feed()); n != before {
			t.Errorf("%d feed entries, want a snapshot of each room", n)
		}
	}, func(c *actors.HostConfig) { c.Polls = 1 })
}
