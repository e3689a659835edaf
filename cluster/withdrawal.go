package cluster

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// withdrawAfter is for how long every look must fail before a node withdraws. Within healthWindow, mostly failing is enough.
	withdrawAfter = 2 * time.Second
	healthWindow  = 6 * time.Second
	// leastLooks is how many looks a judgement needs. They are far apart where this process is short of CPU.
	leastLooks = 4
	// returnAfter is for how long a withdrawn node must be well before it returns, lastReturn the most that this doubles to when it
	// withdraws again, and steadyAfter how long it must not, to begin anew.
	returnAfter = 5 * time.Second
	lastReturn  = 3 * time.Minute
	steadyAfter = 3 * time.Minute
)

// Failing is what of a member's work fails and why, by names that all nodes share.
type Failing map[string]error

// Error joins the reasons, by name.
func (f Failing) Error() string {
	var all []string
	for _, err := range f.Unwrap() {
		all = append(all, err.Error())
	}
	return strings.Join(all, "; ")
}

// Unwrap returns the reasons, by name.
func (f Failing) Unwrap() (all []error) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		all = append(all, f[name])
	}
	return all
}

// failingOf reads what Config.Fit returned.
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

// look is one look at this node's health.
type look struct {
	at      time.Time
	failing Failing
}

// report is what a node tells others of its last looks: how many there were, and how many failed, by what failed.
type report struct {
	Looks  int            `json:"looks"`
	Failed map[string]int `json:"failed,omitempty"`
}

// withdrawal decides when a node gives away its rooms for its health, and when it takes some again. It knows no clock and asks nobody.
type withdrawal struct {
	looks    []look // of the last healthWindow
	since    time.Time
	well     time.Time     // since when no look has failed; zero while one does
	wait     time.Duration // for how long it must be well to return
	returned time.Time
}

// note takes a look into account.
func (w *withdrawal) note(l look) {
	w.looks = slices.DeleteFunc(w.looks, func(old look) bool { return l.at.Sub(old.at) > healthWindow })
	w.looks = append(w.looks, l)
	switch {
	case len(l.failing) > 0:
		w.well = time.Time{}
	case w.well.IsZero():
		w.well = l.at
	}
}

// report is that of the last looks before now. Looks from before a pause of this process say nothing.
func (w *withdrawal) report(now time.Time) report {
	r := report{Failed: map[string]int{}}
	for _, l := range w.looks {
		if now.Sub(l.at) > healthWindow {
			continue
		}
		r.Looks++
		for name := range l.failing {
			r.Failed[name]++
		}
	}
	return r
}

// lasting is what has failed for long enough: in each look of withdrawAfter, or in most of a whole window. It is nil where nothing has.
func (w *withdrawal) lasting() Failing {
	if len(w.looks) < leastLooks {
		return nil
	}
	last := w.looks[len(w.looks)-1]
	whole := last.at.Sub(w.looks[0].at) > healthWindow-time.Second
	lasting := Failing{}
	for name, count := range w.report(last.at).Failed {
		run := w.run(name)
		switch why := w.lastReason(name); {
		case len(run) >= leastLooks && last.at.Sub(run[0].at) >= withdrawAfter, whole && 4*count >= 3*len(w.looks):
			lasting[name] = why
		}
	}
	if len(lasting) == 0 {
		return nil
	}
	return lasting
}

// run is the last looks in which that failed, without one between them in which it did not.
func (w *withdrawal) run(name string) []look {
	first := len(w.looks)
	for first > 0 && w.looks[first-1].failing[name] != nil {
		first--
	}
	return w.looks[first:]
}

func (w *withdrawal) lastReason(name string) (why error) {
	for _, l := range w.looks {
		if err := l.failing[name]; err != nil {
			why = err
		}
	}
	return why
}

// betterThan reports whether the node of that report can do all that this one can, and something of what lastingly fails here. Nodes
// of which each can do what the other cannot are none better than the other, so neither moves. A single failed look of the other is enough
// to wait: where Redis is slow for everybody, looks fail everywhere.
func (r report) betterThan(lasting Failing) bool {
	if r.Looks < leastLooks {
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

// withdraw begins a withdrawal. One that follows another soon waits longer for its end.
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

// mayReturn ends a withdrawal once this node has been well for long enough, and reports whether it has just done so.
func (w *withdrawal) mayReturn(now time.Time) bool {
	if w.since.IsZero() || w.well.IsZero() || now.Sub(w.well) < w.wait {
		return false
	}
	w.since, w.returned = time.Time{}, now
	return true
}

// withdrawn reports whether this node is to own no rooms.
func (w *withdrawal) withdrawn() bool { return !w.since.IsZero() }
