package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/client"
)

// Report is the complete result of a run. Times are seconds since Began, durations seconds.
type Report struct {
	Began        time.Time `json:"began"`
	Took         float64   `json:"took"`
	Seed         uint64    `json:"seed"`
	Nodes        int       `json:"nodes"`
	Rooms        int       `json:"rooms"`
	Rate         int       `json:"rate"`
	SyncInterval float64   `json:"syncInterval"`
	Sentinel     bool      `json:"sentinel"`
	Cluster      bool      `json:"cluster"`
	// Version is the nodes' version, as they report it.
	Version string   `json:"version"`
	Faults  []*Fault `json:"faults"`
	// Violations are what must not happen. Dropped counts those beyond the first hundred.
	Violations []Violation `json:"violations"`
	Dropped    int         `json:"dropped"`
	Webhooks   Mail        `json:"webhooks"`
	// Leaderless is how long no node led.
	Leaderless float64 `json:"leaderless"`
	// Claims and Writes count those that landed in Redis. Stale counts scripts with an older claim, which were refused.
	Claims  int      `json:"claims"`
	Writes  int      `json:"writes"`
	Stale   int      `json:"stale"`
	Samples []Sample `json:"samples"`
	// Syncs are the completed cycles, as the nodes report them.
	Syncs []client.Report `json:"syncs"`
	Notes []string        `json:"notes"`

	mu     sync.Mutex
	healed time.Time // zero while something is broken
}

// Fault is one execution of a nemesis.
type Fault struct {
	Name string  `json:"name"`
	What string  `json:"what"`
	From float64 `json:"from"`
	// Healed is when its last fault was undone, Whole when all nodes were ready again, Right when Redis equalled LiveKit; 0 means
	// never.
	Healed float64 `json:"healed"`
	Whole  float64 `json:"whole"`
	Right  float64 `json:"right"`
	// Cycles is how many sync cycles began after the heal and were completed by then. Held reports whether the breaker held one.
	Cycles     int     `json:"cycles"`
	Held       bool    `json:"held"`
	Leaderless float64 `json:"leaderless"`
	Webhooks   Mail    `json:"webhooks"`
	Error      string  `json:"error,omitempty"`

	mark, end time.Time // the webhooks first sent in between belong to it
	gentle    bool
	spares    func(ctx context.Context, room string) (bool, error) // whether no webhook of the room may fail, like gentle; nil: none is spared
	late      bool                                                 // its cycles were not enough, and that was reported
}

// Converged returns how long after the heal Redis equalled LiveKit, in seconds.
func (f *Fault) Converged() float64 { return max(0, f.Right-f.Healed) }

// Lasted returns the time from the first break to the last heal, in seconds.
func (f *Fault) Lasted() float64 { return max(0, f.Healed-f.From) }

// Wholeness returns how long after the heal all nodes were ready, in seconds.
func (f *Fault) Wholeness() float64 { return max(0, f.Whole-f.Healed) }

// Sample is the state of the world at one moment.
type Sample struct {
	At     float64 `json:"at"`
	Leader string  `json:"leader"`
	Term   uint64  `json:"term"`
	Ready  int     `json:"ready"`
	// OK and Failed count the attempts of webhooks since the previous sample.
	OK     int `json:"ok"`
	Failed int `json:"failed"`
	// Wrong counts the rooms that differ although they have not changed for a while, out of Rooms in LiveKit. Unread means that
	// Redis did not answer.
	Wrong  int  `json:"wrong"`
	Rooms  int  `json:"rooms"`
	Unread bool `json:"unread,omitempty"`
}

// Violation is something that must not happen.
type Violation struct {
	At float64 `json:"at"`
	// Invariant is its number in docs/guarantees.md, 0 for a violation without a number.
	Invariant int    `json:"invariant"`
	During    string `json:"during"`
	Text      string `json:"text"`
}

func newReport(o Options) *Report {
	now := time.Now()
	return &Report{Began: now, Seed: o.Seed, Nodes: o.Nodes, Rooms: o.Rooms, Rate: o.Rate, SyncInterval: o.SyncInterval.Seconds(),
		Sentinel: o.Sentinel, Cluster: o.Cluster, healed: now}
}

func (r *Report) since(t time.Time) float64 { return t.Sub(r.Began).Seconds() }

// violate records a violation of an invariant by its number, 0 if it has none.
func (w *World) violate(invariant int, format string, args ...any) {
	v := Violation{At: w.report.since(time.Now()), Invariant: invariant, Text: fmt.Sprintf(format, args...)}
	r := w.report
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.Faults); n > 0 {
		v.During = r.Faults[n-1].Name
	}
	if len(r.Violations) == 100 {
		r.Dropped++
		return
	}
	r.Violations = append(r.Violations, v)
}

// note adds a note for the reader of the report.
func (w *World) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.t.Logf("%6.1f s  %s", w.report.since(time.Now()), text)
	w.report.mu.Lock()
	defer w.report.mu.Unlock()
	w.report.Notes = append(w.report.Notes, fmt.Sprintf("%.1f s: %s", w.report.since(time.Now()), text))
}

// spare says which rooms' webhooks may not fail because of the current fault.
func (r *Report) spare(spares func(ctx context.Context, room string) (bool, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Faults[len(r.Faults)-1].spares = spares
}

func (r *Report) begin(name string) *Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &Fault{Name: name, From: r.since(time.Now())}
	r.Faults = append(r.Faults, f)
	r.healed = time.Time{}
	return f
}

func (r *Report) heal(f *Fault) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	f.Healed, r.healed = r.since(now), now
	return now
}

// healedAt returns when the last fault was healed, and false while something is broken.
func (r *Report) healedAt() (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.healed, !r.healed.IsZero()
}
