package actors

import (
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Report is what a sync or a cleanup came to, for the whole cluster.
type Report struct {
	StartedAt  time.Time                `json:"startedAt"`
	DurationMs int64                    `json:"durationMs"`
	Scheduled  bool                     `json:"scheduled"`
	DryRun     bool                     `json:"dryRun,omitempty"`
	Forced     bool                     `json:"forced,omitempty"`
	Synced     int                      `json:"synced"`  // rooms examined
	Errors     int                      `json:"errors"`  // rooms that could not be
	Cleaned    int                      `json:"cleaned"` // rooms removed
	Changed    int                      `json:"changed"` // rooms whose keys were not right
	Rooms      int                      `json:"rooms"`   // live before the cycle
	People     int                      `json:"participants"`
	Drift      map[reconcile.Reason]int `json:"drift"`
	// Deferred are the differences left alone because a webhook told otherwise within the lag; the next cycle decides.
	Deferred int    `json:"deferred,omitempty"`
	Held     *Held  `json:"held,omitempty"`
	Error    string `json:"error,omitempty"` // the first one
	// Slow says that the cycle took longer than SlowCycle.
	Slow bool `json:"slow,omitempty"`
	// PassedOver counts the entries of LiveKit's lists that could not be used; PassedFirst describes the first of them.
	PassedOver  int    `json:"passedOver,omitempty"`
	PassedFirst string `json:"passedFirst,omitempty"`
	// Joined says that the cycle was another's, who counts and keeps it.
	Joined bool `json:"-"`
	// Differences are what a dry run would change.
	Differences []Difference `json:"-"`
}

// Held are the removals that the breaker holds back.
type Held struct {
	Rooms        int `json:"rooms"`
	Participants int `json:"participants"`
	Cycles       int `json:"cycles"` // scheduled cycles in a row that held
}

// took ends the report.
func (r *Report) took(d time.Duration) { r.DurationMs, r.Slow = d.Milliseconds(), d > SlowCycle }

// pass counts what was passed over in a list.
func (r *Report) pass(p reconcile.PassedOver) {
	r.PassedOver += p.Count
	if r.PassedFirst == "" {
		r.PassedFirst = p.First
	}
}

// absorb takes an owner's findings of round 1 into the report, or with again those of round 2, whose rooms are counted.
func (r *Report) absorb(f Findings, again bool) {
	if !again {
		r.Synced += f.Examined
		r.Rooms += f.Tally.Rooms
		r.People += f.Tally.Participants
		r.Deferred += f.Tally.Deferred
	}
	if !again {
		r.pass(f.PassedOver)
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
