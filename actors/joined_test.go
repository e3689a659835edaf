package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
)

// TestAScheduledSyncIsNotTakenForAManualOne: the breaker counts scheduled cycles, and whoever syncs by hand again and again
// must not keep it from counting. One who joins is told so, lest a cycle is counted twice.
func TestAScheduledSyncIsNotTakenForAManualOne(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		r.lk.leave("r", "a") // so that a cycle takes its two rounds
		time.Sleep(settle)
		reports := map[string]chan actors.Report{}
		for _, name := range []string{"manual", "scheduled", "joins"} {
			c := make(chan actors.Report, 1)
			reports[name] = c
			go func() { c <- r.syncNow(actors.Options{Scheduled: name == "scheduled"}) }()
			synctest.Wait()
		}
		for name, want := range map[string]struct{ scheduled, joined bool }{
			"manual": {false, false}, "scheduled": {true, false}, "joins": {true, true},
		} {
			if got := <-reports[name]; got.Scheduled != want.scheduled || got.Joined != want.joined {
				t.Errorf("%s: scheduled %v, joined %v, want %+v", name, got.Scheduled, got.Joined, want)
			}
		}
	})
}
