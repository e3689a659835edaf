package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// TestAScheduledSyncIsNotTakenForAManualOne checks that a scheduled sync does not join a manual one: the breaker counts
// scheduled cycles, and repeated manual syncs must not keep it from counting. The report of a sync that has joined another
// says so, because otherwise a cycle would be counted twice.
func TestAScheduledSyncIsNotTakenForAManualOne(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		r.lk.leave("r", "a") // so that a cycle takes its two rounds
		time.Sleep(settle)
		reports := map[string]chan reconcile.Report{}
		for _, name := range []string{"manual", "scheduled", "joins"} {
			c := make(chan reconcile.Report, 1)
			reports[name] = c
			go func() { c <- r.syncNow(reconcile.Options{Scheduled: name == "scheduled"}) }()
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
