package httpapi

import (
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Options qualify an action.
type Options struct {
	// DryRun changes no key and lists what would change.
	DryRun bool
	// Force lets removals go that the breaker holds.
	Force bool
}

// Result counts rooms: examined, failed, removed.
type Result struct {
	Synced  int `json:"synced"`
	Errors  int `json:"errors"`
	Cleaned int `json:"cleaned"`
}

// Held is what the breaker keeps from being removed, and for how many scheduled cycles by now.
type Held struct {
	Rooms        int `json:"rooms"`
	Participants int `json:"participants"`
	Cycles       int `json:"cycles"`
}

// WouldChange is one change that a dry run did not make. Identity and SID are empty where the room itself changes.
type WouldChange struct {
	Room     string               `json:"room"`
	Change   reconcile.ChangeType `json:"change"`
	Identity string               `json:"identity"`
	SID      string               `json:"sid"`
	Reason   reconcile.Reason     `json:"reason"`
}

// Outcome is what a sync or a cleanup came to.
type Outcome struct {
	Result      Result
	Held        Held
	WouldChange []WouldChange // of a dry run
	FirstError  string        // of those that Result counts, for people; without secrets
}

// Report is the last run of a task.
type Report struct {
	StartedAt time.Time
	Duration  time.Duration
	Scheduled bool // by the clock and not by an operator
	Slow      bool // it took longer than 5 min
	Result    Result
	Changed   int // rooms whose keys changed
	Drift     map[reconcile.Reason]int
	Deferred  int // differences left alone because a webhook told otherwise within the lag
	Held      Held
	// FirstError is one of those that Result counts, for people; without secrets.
	FirstError string
	// PassedOver are the entries of LiveKit's lists that could not be used; nil: none.
	PassedOver *PassedOver
}

// PassedOver counts entries of LiveKit's lists that could not be used, and describes the first of them for people.
type PassedOver struct {
	Entries int    `json:"entries"`
	First   string `json:"first"`
}

// Status is the cluster as one node knows it.
type Status struct {
	Running                       bool // the service switch
	Node, Leader                  string
	Term                          uint64
	SyncInterval, CleanupInterval time.Duration
	NextSync, NextCleanup         time.Time // zero: not scheduled, or not known here
	LastSync, LastCleanup         *Report   // nil: none yet
	Progress                      *Progress // of the running cycle; nil: none, or not known here
}

// Progress is how far a running cycle is: rooms looked at, of those to look at as far as is known.
type Progress struct {
	Kind      string    `json:"kind"` // sync or cleanup
	StartedAt time.Time `json:"startedAt"`
	Done      int       `json:"done"`
	Of        int       `json:"of"`
	Slow      bool      `json:"slow,omitempty"` // it cannot end within 5 min, as far as can be told
}

// Build names the running program.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go,omitempty"`
}

// stamp is ISO 8601 in UTC with milliseconds, as JavaScript's toISOString writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func stampOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

// statusAnswer is GET /api/sync-rooms. Intervals are milliseconds; leader, next and last are left out while unknown.
type statusAnswer struct {
	Running         bool          `json:"syncServiceRunning"`
	Timestamp       string        `json:"timestamp"`
	Node            string        `json:"node"`
	Leader          string        `json:"leader,omitempty"`
	Term            uint64        `json:"term"`
	SyncInterval    int64         `json:"syncInterval"`
	CleanupInterval int64         `json:"cleanupInterval"`
	NextSync        string        `json:"nextSync,omitempty"`
	NextCleanup     string        `json:"nextCleanup,omitempty"`
	LastSync        *reportAnswer `json:"lastSync,omitempty"`
	LastCleanup     *reportAnswer `json:"lastCleanup,omitempty"`
	Progress        *Progress     `json:"progress,omitempty"`
}

type reportAnswer struct {
	StartedAt  string                   `json:"startedAt"`
	DurationMs int64                    `json:"durationMs"`
	Scheduled  bool                     `json:"scheduled"`
	Result     Result                   `json:"result"`
	Changed    int                      `json:"changed"`
	Drift      map[reconcile.Reason]int `json:"drift"`
	Deferred   int                      `json:"deferred"`
	Held       Held                     `json:"held"`
	FirstError string                   `json:"firstError,omitempty"`
	PassedOver *PassedOver              `json:"passedOver,omitempty"`
	Slow       bool                     `json:"slow,omitempty"`
}

func tellStatus(s Status, now time.Time) statusAnswer {
	return statusAnswer{
		Running: s.Running, Timestamp: stamp(now), Node: s.Node, Leader: s.Leader, Term: s.Term,
		SyncInterval: s.SyncInterval.Milliseconds(), CleanupInterval: s.CleanupInterval.Milliseconds(),
		NextSync: stampOrNone(s.NextSync), NextCleanup: stampOrNone(s.NextCleanup),
		LastSync: tellReport(s.LastSync), LastCleanup: tellReport(s.LastCleanup), Progress: s.Progress,
	}
}

func tellReport(r *Report) *reportAnswer {
	if r == nil {
		return nil
	}
	a := &reportAnswer{StartedAt: stamp(r.StartedAt), DurationMs: r.Duration.Milliseconds(), Scheduled: r.Scheduled,
		Result: r.Result, Changed: r.Changed, Drift: r.Drift, Deferred: r.Deferred, Held: r.Held, FirstError: r.FirstError,
		PassedOver: r.PassedOver, Slow: r.Slow}
	if a.Drift == nil {
		a.Drift = map[reconcile.Reason]int{}
	}
	return a
}
