package cluster

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// withdrawAfter is how long every health check must fail before a node withdraws. Over a whole healthWindow, three quarters failing are
	// enough.
	withdrawAfter = 2 * time.Second
	healthWindow  = 6 * time.Second
	// leastChecks is the least number of health checks for a decision. The checks are far apart when this process is short of CPU.
	leastChecks = 4
	// returnAfter is how long a withdrawn node must be healthy before it returns. The time doubles, up to lastReturn, each time the node
	// withdraws again. It is reset when the node does not withdraw for steadyAfter.
	returnAfter = 5 * time.Second
	lastReturn  = 3 * time.Minute
	steadyAfter = 3 * time.Minute
)

// Failing has the parts of a member's work that fail, with the reasons. All nodes use the same names for the parts.
type Failing map[string]error

// Error joins the reasons, sorted by name.
func (f Failing) Error() string {
	var all []string
	for _, err := range f.Unwrap() {
		all = append(all, err.Error())
	}
	return strings.Join(all, "; ")
}

// Unwrap returns the reasons, sorted by name.
func (f Failing) Unwrap() (all []error) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		all = append(all, f[name])
	}
	return all
}

// failingOf converts the result of Config.Health.
func failingOf(err error) Failing {
	var f Failing
	switch {
	case err == nil:
		return Failing{}
	case errors.As(err, &f):
		return maps.Clone(f)
	}
	return Failing{"": err}
}

// healthCheck is the result of one health check of this node.
type healthCheck struct {
	at      time.Time
	failing Failing
}

// report is what a node tells others about its last health checks: how many there were, and how many failed for each part of the work.
type report struct {
	Checks int            `json:"checks"`
	Failed map[string]int `json:"failed,omitempty"`
}

// withdrawal decides when a node gives up its rooms because of its health, and when it may own rooms again. It has no clock and does no IO.
type withdrawal struct {
	checks   []healthCheck // the health checks of the last healthWindow
	since    time.Time     // when the withdrawal began; zero while there is none
	well     time.Time     // since when no check has failed; zero if the last one did
	wait     time.Duration // how long the node must be healthy to return
	returned time.Time     // when the last withdrawal ended
}

// add records the result of a health check.
func (w *withdrawal) add(l healthCheck) {
	w.checks = slices.DeleteFunc(w.checks, func(old healthCheck) bool { return l.at.Sub(old.at) > healthWindow })
	w.checks = append(w.checks, l)
	switch {
	case len(l.failing) > 0:
		w.well = time.Time{}
	case w.well.IsZero():
		w.well = l.at
	}
}

// report returns the report on the last health checks before now. Checks from before a pause of this process are left out.
func (w *withdrawal) report(now time.Time) report {
	r := report{Failed: map[string]int{}}
	for _, l := range w.checks {
		if now.Sub(l.at) > healthWindow {
			continue
		}
		r.Checks++
		for name := range l.failing {
			r.Failed[name]++
		}
	}
	return r
}

// lasting returns what has failed for long enough: in each health check of withdrawAfter, or in at least three quarters of a whole window. It
// returns nil if nothing has.
func (w *withdrawal) lasting() Failing {
	if len(w.checks) < leastChecks {
		return nil
	}
	last := w.checks[len(w.checks)-1]
	whole := last.at.Sub(w.checks[0].at) > healthWindow-time.Second
	lasting := Failing{}
	for name, count := range w.report(last.at).Failed {
		run := w.failuresUntilNow(name)
		switch why := w.lastReason(name); {
		case len(run) >= leastChecks && last.at.Sub(run[0].at) >= withdrawAfter, whole && 4*count >= 3*len(w.checks):
			lasting[name] = why
		}
	}
	if len(lasting) == 0 {
		return nil
	}
	return lasting
}

// failuresUntilNow returns the latest health checks in a row in which the named part failed.
func (w *withdrawal) failuresUntilNow(name string) []healthCheck {
	first := len(w.checks)
	for first > 0 && w.checks[first-1].failing[name] != nil {
		first--
	}
	return w.checks[first:]
}

func (w *withdrawal) lastReason(name string) (why error) {
	for _, l := range w.checks {
		if err := l.failing[name]; err != nil {
			why = err
		}
	}
	return why
}

// betterThan reports whether the node of r can do everything that this node can, and something that lastingly fails here. If each of two
// nodes can do what the other cannot, neither is better, so neither moves. A single failed check of the other node is enough to wait: when
// Redis is slow for all nodes, checks fail everywhere.
func (r report) betterThan(lasting Failing) bool {
	if r.Checks < leastChecks {
		return false
	}
	for name, failed := range r.Failed {
		if failed > 0 && lasting[name] == nil {
			return false
		}
	}
	for name := range lasting {
		if r.Failed[name] == 0 {
			return true
		}
	}
	return false
}

// withdraw begins a withdrawal. If it follows another one soon, the node must be healthy for longer before it returns.
func (w *withdrawal) withdraw(now time.Time) {
	if !w.since.IsZero() {
		return
	}
	if w.wait == 0 || now.Sub(w.returned) >= steadyAfter {
		w.wait = returnAfter
	} else {
		w.wait = min(2*w.wait, lastReturn)
	}
	w.since = now
}

// mayReturn ends a withdrawal once this node has been healthy for long enough, and reports whether it has just done so.
func (w *withdrawal) mayReturn(now time.Time) bool {
	if w.since.IsZero() || w.well.IsZero() || now.Sub(w.well) < w.wait {
		return false
	}
	w.since, w.returned = time.Time{}, now
	return true
}

// withdrawn reports whether this node must own no rooms.
func (w *withdrawal) withdrawn() bool { return !w.since.IsZero() }
