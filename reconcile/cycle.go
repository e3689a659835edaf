package reconcile

import (
	"cmp"
	"errors"
	"time"
)

// A cycle is a whole sync or cleanup of the cluster. Rooms, leader, log, API and metrics all use the types of this file.

// Options say how a cycle runs.
type Options struct {
	Scheduled bool // started by the leader's schedule: only such a cycle counts for the breaker
	DryRun    bool // change no key, and list what would change
	Force     bool // carry out the removals that the breaker holds
	Fresh     bool // begin a new cycle after the one that is running
	// Room limits a sync to one room. Empty means all rooms.
	Room string
}

// Report is the result of a cycle for the whole cluster. The raft log keeps its JSON, and nodes send the JSON to each other.
type Report struct {
	StartedAt    time.Time      `json:"startedAt"`
	DurationMs   int64          `json:"durationMs"`
	Scheduled    bool           `json:"scheduled"`
	DryRun       bool           `json:"dryRun,omitempty"`
	Forced       bool           `json:"forced,omitempty"`
	Synced       int            `json:"synced"`  // rooms compared
	Errors       int            `json:"errors"`  // rooms that could not be compared
	Cleaned      int            `json:"cleaned"` // rooms removed
	Changed      int            `json:"changed"` // rooms whose keys were wrong
	Rooms        int            `json:"rooms"`   // live before the cycle
	Participants int            `json:"participants"`
	Drift        map[Reason]int `json:"drift"`
	// Deferred counts the differences left alone because a webhook contradicts LiveKit's lists within the lag. The next cycle decides.
	Deferred int `json:"deferred,omitempty"`
	// Held is nil unless the breaker holds removals.
	Held  *Held  `json:"held,omitempty"`
	Error string `json:"error,omitempty"` // the first error, readable by people and without secrets
	// Fault is what the cycle could not do without, so that it compared no room. Errors is then at least 1.
	Fault Fault `json:"fault,omitempty"`
	// RedisEmpty reports, of a cycle with a fault, that Redis listed its rooms and that there were none.
	RedisEmpty bool `json:"redisEmpty,omitempty"`
	// LastGood is when the last cycle without an error began, up to this one; FaultSince when the first of the cycles in a row that had
	// this fault did. Only kept reports have them (see After). They are zero if that is not known.
	LastGood   time.Time `json:"lastGood,omitzero"`
	FaultSince time.Time `json:"faultSince,omitzero"`
	// Slow reports whether the cycle took longer than 5 min.
	Slow bool `json:"slow,omitempty"`
	// PassedOver counts the entries of LiveKit's lists that could not be used; PassedFirst describes the first of them.
	PassedOver  int    `json:"passedOver,omitempty"`
	PassedFirst string `json:"passedFirst,omitempty"`
	// Differences list what a dry run would change. A report that is kept has none.
	Differences []Difference `json:"differences,omitempty"`
	// Joined reports whether another caller started the cycle. That caller counts and keeps the report.
	Joined bool `json:"-"`
}

// Absent reports whether a cycle over one room found that neither Redis nor LiveKit has it.
func (r Report) Absent() bool {
	return r.Synced > 0 && r.Rooms+r.Changed+r.Deferred+r.Errors == 0
}

// After returns the report as it is kept after before, which is the last one of its kind that was kept; nil if there is none. An older build
// keeps neither LastGood nor FaultSince.
func (r Report) After(before *Report) Report {
	if r.Errors == 0 {
		r.LastGood = r.StartedAt
		return r
	}
	if before == nil {
		before = &Report{Errors: 1}
	}
	r.LastGood = before.LastGood
	if before.Errors == 0 {
		r.LastGood = before.StartedAt
	}
	if r.Fault != "" {
		r.FaultSince = r.StartedAt
	}
	if r.Fault != "" && r.Fault == before.Fault {
		r.FaultSince = cmp.Or(before.FaultSince, before.StartedAt)
	}
	return r
}

// Fault is why a cycle compared no room; it is empty if the cycle compared what there was.
type Fault string

// The faults.
const (
	LiveKitSilent  Fault = "livekit_silent"  // LiveKit did not answer the request for its rooms, or not usefully
	LiveKitRefuses Fault = "livekit_refuses" // LiveKit refused the API key
	LiveKitLimited Fault = "livekit_limited" // the limit of requests to LiveKit left no turn for the list of rooms
	RedisSilent    Fault = "redis_silent"    // Redis did not list the rooms that it holds
)

// LiveKitFault returns the fault of a cycle to which LiveKit gave no list of its rooms, but this error.
func LiveKitFault(err error) Fault {
	switch {
	case errors.Is(err, ErrRefused):
		return LiveKitRefuses
	case errors.Is(err, ErrNoTurn):
		return LiveKitLimited
	}
	return LiveKitSilent
}

// Held counts the removals that the breaker holds back, and the scheduled cycles in a row in which it has done so.
type Held struct {
	Rooms        int `json:"rooms"`
	Participants int `json:"participants"`
	Cycles       int `json:"cycles"`
}

// Difference is one change that a dry run did not make. Identity and SID are empty if the room itself would change.
type Difference struct {
	Room     string     `json:"room"`
	Change   ChangeType `json:"change"`
	Identity string     `json:"identity"`
	SID      string     `json:"sid"`
	Reason   Reason     `json:"reason"`
}

// Progress shows how far the running cycle has come.
type Progress struct {
	Kind      string    `json:"kind"` // sync or cleanup; empty while none runs
	StartedAt time.Time `json:"startedAt"`
	// Done of Of rooms have been looked at. A room with absences counts again when it gets another look.
	Done int `json:"done"`
	Of   int `json:"of"`
	// Slow reports whether the cycle is expected to take longer than 5 min.
	Slow bool `json:"slow,omitempty"`
}
