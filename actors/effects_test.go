package actors_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// told returns the effects that the observer has received since the last call.
func (r *rig) told() []actors.Effect {
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	all := r.seen.effects
	r.seen.effects = nil
	return all
}

// repairs counts the repairs in effects, by reason.
func repairs(effects []actors.Effect) map[reconcile.Reason]int {
	count := map[reconcile.Reason]int{}
	for _, e := range effects {
		for _, d := range e.Drift {
			count[d.Reason]++
		}
	}
	return count
}

// TestEffects checks that the observer receives the same repairs that the reports count, with names and times.
func TestEffects(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		got := r.told()
		if len(got) != 1 || got[0].Room != "r" || got[0].Cause != reconcile.ByWebhook || got[0].Changes != 2 || !got[0].Exact ||
			got[0].Since > got[0].At || got[0].Drift != nil {
			t.Errorf("a join shows as %+v", got)
		}
		lost := r.lk.join("r", "b")
		r.lk.leave("r", "a")
		time.Sleep(3 * time.Second)
		report := r.sync(reconcile.Options{})
		got = r.told()
		if !maps.Equal(repairs(got), report.Drift) || report.Drift[reconcile.MissedJoin] != 1 || report.Drift[reconcile.MissedLeave] != 1 {
			t.Errorf("a sync shows as %+v and reports %v", got, report.Drift)
		}
		i := slices.IndexFunc(got, func(e actors.Effect) bool { return len(e.Drift) > 0 && e.Drift[0].Reason == reconcile.MissedJoin })
		if i < 0 || got[i].Drift[0].Identity != "b" || got[i].Drift[0].SID != lost.Participant.SID || got[i].Drift[0].Since != lost.Participant.JoinedAt {
			t.Errorf("the lost join %+v shows as %+v", lost.Participant, got)
		}
		r.sync(reconcile.Options{})
		if got = r.told(); len(got) != 0 {
			t.Errorf("a sync that finds all right shows as %+v", got)
		}
	})
}

// TestEffectsOfALoss checks that a loss is reported once, by the sync that finds it or by the one that follows a webhook that repaired it.
func TestEffectsOfALoss(t *testing.T) {
	for _, mended := range []bool{false, true} {
		bubble(t, func(r *rig) {
			r.must(r.lk.join("r", "a"))
			r.store.Flush()
			if mended {
				r.must(r.lk.join("r", "b"))
				time.Sleep(time.Minute) // the poll that it asks for is over
			}
			r.told()
			report := r.sync(reconcile.Options{})
			if got := repairs(r.told()); !maps.Equal(got, report.Drift) || got[reconcile.LostWrite] != 1 {
				t.Errorf("repaired before: %v; shows %v and reports %v", mended, got, report.Drift)
			}
		})
	}
}

// TestADryRunGivesReasons checks that a dry run lists what it would do, with the reasons that a real sync then reports, and that it has no
// effect.
func TestADryRunGivesReasons(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		r.lk.join("r", "b")
		r.lk.leave("r", "a")
		r.store.Set("participants", "r", "[]")
		time.Sleep(3 * time.Second)
		r.told()
		report := r.sync(reconcile.Options{DryRun: true})
		reasons := map[reconcile.Reason]int{}
		for _, d := range report.Differences {
			reasons[d.Reason]++
		}
		if want := map[reconcile.Reason]int{"missed join": 1, "missed leave": 1, "foreign change": 1}; !maps.Equal(reasons, want) {
			t.Errorf("it lists %+v, want the reasons %v", report.Differences, want)
		}
		if got := r.told(); len(got) != 0 {
			t.Errorf("a dry run shows as %+v", got)
		}
	})
}
