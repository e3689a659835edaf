package actors

import (
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// took writes the duration into a report.
func took(r *reconcile.Report, d time.Duration) {
	r.DurationMs, r.Slow = d.Milliseconds(), d > SlowCycle
}

// pass adds what was passed over in a list to a report.
func pass(r *reconcile.Report, p reconcile.PassedOver) {
	r.PassedOver += p.Count
	if r.PassedFirst == "" {
		r.PassedFirst = p.First
	}
}

// absorb adds the findings of round 1 to the report or, with again, those of round 2, whose rooms are already counted.
func absorb(r *reconcile.Report, f Findings, again bool) {
	if !again {
		r.Synced += f.Examined
		r.Rooms += f.Tally.Rooms
		r.Participants += f.Tally.Participants
		r.Deferred += f.Tally.Deferred
	}
	if !again {
		pass(r, f.PassedOver)
	}
	r.Errors += f.Errors
	r.Cleaned += f.Tally.Cleaned
	r.Changed += f.Changed
	for reason, n := range f.Tally.Drift {
		if r.Drift == nil {
			r.Drift = map[reconcile.Reason]int{}
		}
		r.Drift[reason] += n
	}
	if r.Error == "" {
		r.Error = f.Err
	}
}
