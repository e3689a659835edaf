package chaos

import (
	"fmt"
	"slices"
	"time"

	"github.com/rollcallhq/rollcall/client"
)

// held reports whether the breaker held removals of a cycle.
func held(r client.Report) bool { return r.Held != nil && r.Held.Rooms+r.Held.Participants > 0 }

// good returns the cycles in which every room was examined.
func good(cycles []client.Report) []client.Report {
	return slices.DeleteFunc(slices.Clone(cycles), func(c client.Report) bool { return c.Result.Errors > 0 })
}

// checkCycles checks that each room is right by the end of the first complete cycle that began after the heal and livekitLag
// after the last webhook about the room, plus the time of a second look; where the breaker held a cycle, by the end of the third.
// A difference that a webhook caused after the cycle does not count against the cycle.
func (w *World) checkCycles(f *Fault, healed time.Time, d difference) {
	allowed := 1
	if f.Held {
		allowed = 3
	}
	for room, why := range d.wrong {
		cycles := good(w.watch.after(slices.MaxFunc([]time.Time{healed, d.due(room)}, time.Time.Compare)))
		if len(cycles) < allowed {
			continue
		}
		end := ended(cycles[allowed-1])
		if d.stuckSince(room, end) && !f.late && d.at.After(end.Add(secondLook)) {
			f.late = true
			w.violate(7, "%s: a room was wrong %v after the end of cycle %d after the heal and the last webhook about it, at %s: %s: %s", f.Name,
				d.at.Sub(end).Round(time.Millisecond), allowed, stamp(d.told[room]), room, why)
		}
	}
}

// leaderless returns how long nobody led, according to the samples of that period.
func (w *World) leaderless(from, to float64) float64 {
	total, last := 0.0, from
	for _, s := range w.watch.all() {
		if s.At < from || s.At > to {
			continue
		}
		if s.Leader == "" {
			total += s.At - last
		}
		last = s.At
	}
	return total
}

func example(d difference) string {
	for room, why := range d.wrong {
		return fmt.Sprintf("%s, last changed at %s: %s", room, stamp(d.changed[room]), why)
	}
	return "none"
}

// running returns the services of the nodes that are supposed to run.
func (w *World) running() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.nodes)
}

// await polls until what returns nil. When that time is over, it returns the last error of what.
func await(end time.Duration, done <-chan struct{}, what func() error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	over := time.After(end)
	for {
		err := what()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-done:
			return err
		case <-over:
			return fmt.Errorf("not within %v: %w", end, err)
		}
	}
}
