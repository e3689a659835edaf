package httpapi

import (
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// counts are the numbers of rooms of a cycle: compared, failed, removed.
type counts struct {
	Synced  int `json:"synced"`
	Errors  int `json:"errors"`
	Cleaned int `json:"cleaned"`
}

func countsOf(r reconcile.Report) counts {
	return counts{Synced: r.Synced, Errors: r.Errors, Cleaned: r.Cleaned}
}

// passedOver counts entries of LiveKit's lists that could not be used, and describes the first of them for people.
type passedOver struct {
	Entries int    `json:"entries"`
	First   string `json:"first"`
}

// Status is the cluster as one node knows it.
type Status struct {
	Running                       bool // the service switch
	Node, Leader                  string
	Term                          uint64
	SyncInterval, CleanupInterval time.Duration
	NextSync, NextCleanup         time.Time           // zero: not scheduled, or not known to this node
	LastSync, LastCleanup         *reconcile.Report   // nil: none yet
	Progress                      *reconcile.Progress // of the running cycle; nil: none, or not known to this node
}

// Dependency is how something answers that rollcall depends on.
type Dependency struct {
	State DependencyState `json:"state"`
	Error string          `json:"error,omitempty"` // readable by people and without secrets; empty if State is Answers or Unknown
	At    string          `json:"at,omitempty"`    // when LiveKit was asked: ISO 8601
	Since time.Time       `json:"since,omitzero"`  // since when it fails; zero while it answers, and if it is not known
}

// DependencyState is one of a few words.
type DependencyState string

// The states of a Dependency.
const (
	Answers DependencyState = "ok"
	Silent  DependencyState = "silent"
	Refuses DependencyState = "refuses"
	Limited DependencyState = "limited" // LiveKit only: its limit of requests left no turn
	Partial DependencyState = "partial" // Redis Cluster only: some masters take no commits
	Unknown DependencyState = "unknown" // LiveKit only: no sync has asked it yet
)

// liveKitOf returns how LiveKit answered the last sync.
func liveKitOf(last *reconcile.Report) Dependency {
	if last == nil || last.Fault == reconcile.RedisSilent {
		return Dependency{State: Unknown}
	}
	d := Dependency{State: Answers, At: stamp(last.StartedAt)}
	switch last.Fault {
	case "":
		return d
	case reconcile.LiveKitRefuses:
		d.State = Refuses
	case reconcile.LiveKitLimited:
		d.State = Limited
	default:
		d.State = Silent
	}
	d.Error, d.Since = last.Error, last.FaultSince
	return d
}

// Build identifies the running program.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go,omitempty"`
}

// stamp formats t as ISO 8601 in UTC with milliseconds, like JavaScript's toISOString.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func stampOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

// statusAnswer is the answer of GET /api/sync-rooms. Intervals are milliseconds; leader, next and last are left out while
// unknown.
type statusAnswer struct {
	Running         bool                `json:"syncServiceRunning"`
	Timestamp       string              `json:"timestamp"`
	Node            string              `json:"node"`
	Leader          string              `json:"leader,omitempty"`
	Term            uint64              `json:"term"`
	SyncInterval    int64               `json:"syncInterval"`
	CleanupInterval int64               `json:"cleanupInterval"`
	NextSync        string              `json:"nextSync,omitempty"`
	NextCleanup     string              `json:"nextCleanup,omitempty"`
	LastSync        *reportAnswer       `json:"lastSync,omitempty"`
	LastCleanup     *reportAnswer       `json:"lastCleanup,omitempty"`
	LastGoodSync    string              `json:"lastGoodSync,omitempty"` // when the last sync without an error began
	Progress        *reconcile.Progress `json:"progress,omitempty"`
	Redis           Dependency          `json:"redis"`
	LiveKit         Dependency          `json:"livekit"`
	MayAct          bool                `json:"mayAct"` // the caller may act on the cluster, and not only read
}

type reportAnswer struct {
	StartedAt  string                   `json:"startedAt"`
	DurationMs int64                    `json:"durationMs"`
	Scheduled  bool                     `json:"scheduled"`
	Result     counts                   `json:"result"`
	Changed    int                      `json:"changed"`
	Drift      map[reconcile.Reason]int `json:"drift"`
	Deferred   int                      `json:"deferred"`
	Held       reconcile.Held           `json:"held"`
	FirstError string                   `json:"firstError,omitempty"`
	Fault      reconcile.Fault          `json:"fault,omitempty"`
	RedisEmpty bool                     `json:"redisEmpty,omitempty"` // with a fault: Redis holds no room
	PassedOver *passedOver              `json:"passedOver,omitempty"`
	Slow       bool                     `json:"slow,omitempty"`
}

func asStatusAnswer(s Status, redis Dependency, now time.Time) statusAnswer {
	a := statusAnswer{
		Running: s.Running, Timestamp: stamp(now), Node: s.Node, Leader: s.Leader, Term: s.Term,
		SyncInterval: s.SyncInterval.Milliseconds(), CleanupInterval: s.CleanupInterval.Milliseconds(),
		NextSync: stampOrNone(s.NextSync), NextCleanup: stampOrNone(s.NextCleanup),
		LastSync: asReportAnswer(s.LastSync), LastCleanup: asReportAnswer(s.LastCleanup), Progress: s.Progress,
		Redis: redis, LiveKit: liveKitOf(s.LastSync),
	}
	if s.LastSync != nil {
		a.LastGoodSync = stampOrNone(s.LastSync.LastGood)
	}
	return a
}

func asReportAnswer(r *reconcile.Report) *reportAnswer {
	if r == nil {
		return nil
	}
	a := &reportAnswer{StartedAt: stamp(r.StartedAt), DurationMs: r.DurationMs, Scheduled: r.Scheduled, Result: countsOf(*r),
		Changed: r.Changed, Drift: r.Drift, Deferred: r.Deferred, FirstError: r.Error, Fault: r.Fault, RedisEmpty: r.RedisEmpty, Slow: r.Slow}
	if r.Held != nil {
		a.Held = *r.Held
	}
	if r.PassedOver > 0 {
		a.PassedOver = &passedOver{Entries: r.PassedOver, First: r.PassedFirst}
	}
	if a.Drift == nil {
		a.Drift = map[reconcile.Reason]int{}
	}
	return a
}
