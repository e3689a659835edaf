package chaos

import (
	"fmt"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/client"
)

// Report is all that a run has to say. Times are seconds since Began, durations seconds.
type Report struct {
	Began        time.Time `json:"began"`
	Took         float64   `json:"took"`
	Seed         uint64    `json:"seed"`
	Nodes        int       `json:"nodes"`
	Rooms        int       `json:"rooms"`
	Rate         int       `json:"rate"`
	SyncInterval float64   `json:"syncInterval"`
	Sentinel     bool      `json:"sentinel"`
	// Version is what the nodes say that they are.
	Version string   `json:"version"`
	Faults  []*Fault `json:"faults"`
	// Violations are what must not have happened; Dropped counts those beyond the first hundred.
	Violations []Violation `json:"violations"`
	Dropped    int         `json:"dropped"`
	Webhooks   Mail        `json:"webhooks"`
	// Leaderless is the time in which no node led.
	Leaderless float64 `json:"leaderless"`
	// Claims and Writes landed in Redis; Stale scripts came from an older claim and were refused.
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

// Fault is one nemesis at work.
type Fault struct {
	Name string  `json:"name"`
	What string  `json:"what"`
	From float64 `json:"from"`
	// Healed is when its last fault was taken away, Whole when all nodes were ready again, Right when Redis equalled LiveKit; 0 for never.
	Healed float64 `json:"healed"`
	Whole  float64 `json:"whole"`
	Right  float64 `json:"right"`
	// Cycles is how many sync cycles began after the heal and were completed by then; Held tells whether the breaker held one.
	Cycles     int     `json:"cycles"`
	Held       bool    `json:"held"`
	Leaderless float64 `json:"leaderless"`
	Webhooks   Mail    `json:"webhooks"`
	Error      string  `json:"error,omitempty"`

	mark, end time.Time // the webhooks first sent in between are its own
	gentle    bool
	late      bool // its cycles were not enough, and that was said
}

// Converged is how long after the heal Redis equalled LiveKit, in seconds.
func (f *Fault) Converged() float64 { return max(0, f.Right-f.Healed) }

// Lasted is from the first break to the last mend, in seconds.
func (f *Fault) Lasted() float64 { return max(0, f.Healed-f.From) }

// Wholeness is how long after the heal all nodes were ready, in seconds.
func (f *Fault) Wholeness() float64 { return max(0, f.Whole-f.Healed) }

// Sample is one look at the world.
type Sample struct {
	At     float64 `json:"at"`
	Leader string  `json:"leader"`
	Term   uint64  `json:"term"`
	Ready  int     `json:"ready"`
	// OK and Failed are attempts of webhooks since the sample before.
	OK     int `json:"ok"`
	Failed int `json:"failed"`
	// Wrong are rooms that differ although they have not changed for a while, of Rooms in LiveKit. Unread: Redis did not answer.
	Wrong  int  `json:"wrong"`
	Rooms  int  `json:"rooms"`
	Unread bool `json:"unread,omitempty"`
}

// Violation is something that must not be.
type Violation struct {
	At float64 `json:"at"`
	// Invariant is its number in DESIGN.md and docs/guarantees.md, 0 for what no number has.
	Invariant int    `json:"invariant"`
	During    string `json:"during"`
	Text      string `json:"text"`
}

func newReport(o Options) *Report {
	now := time.Now()
	return &Report{Began: now, Seed: o.Seed, Nodes: o.Nodes, Rooms: o.Rooms, Rate: o.Rate, SyncInterval: o.SyncInterval.Seconds(),
		Sentinel: o.Sentinel, healed: now}
}

func (r *Report) since(t time.Time) float64 { return t.Sub(r.Began).Seconds() }

// violate notes a violation of an invariant by its number, 0 for what has none.
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

// note says something for the reader of the report.
func (w *World) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.t.Logf("%6.1f s  %s", w.report.since(time.Now()), text)
	w.report.mu.Lock()
	defer w.report.mu.Unlock()
	w.report.Notes = append(w.report.Notes, fmt.Sprintf("%.1f s: %s", w.report.since(time.Now()), text))
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

// healedAt is when the last fault was healed; false while something is broken.
func (r *Report) healedAt() (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.healed, !r.healed.IsZero()
}
