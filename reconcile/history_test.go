package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// history is what really happened in LiveKit: the events in their true order, and what its API shows after each.
type history struct {
	name   string
	step   int64 // ms between two events
	clock  int64
	count  int
	rooms  int
	info   *RoomInfo // the latest instance
	listed bool
	people map[string]Participant // by identity
	events []Event
	truths []truth // truths[i] is after the first i events
	ids    bool    // events have ids, so that an event that comes twice is recognized as a duplicate
}

type truth struct {
	listed *RoomInfo
	people []Participant
}

func newHistory(step int64) *history {
	h := &history{step: step, clock: 1000, people: map[string]Participant{}}
	h.truths = []truth{h.truth()}
	return h
}

func (h *history) truth() truth {
	var t truth
	if h.listed {
		t.listed = h.info
	}
	for _, id := range slices.Sorted(maps.Keys(h.people)) {
		t.people = append(t.people, h.people[id])
	}
	return t
}

func (h *history) emit(e Event) {
	e.CreatedAt = at(h.clock) / 1000
	h.events, h.truths = append(h.events, e), append(h.truths, h.truth())
	h.clock += h.step
}

// ops holds what can happen in LiveKit. Each op reports whether it was possible.
var ops = map[string]func(h *history) bool{
	"create": func(h *history) bool {
		if h.listed || len(h.people) > 0 {
			return false
		}
		h.rooms++
		info := life(fmt.Sprintf("R%d", h.rooms), h.clock)
		h.info, h.listed = &info, true
		h.emit(started(info, 0))
		return true
	},
	"join a":  func(h *history) bool { return h.listed && h.join("a") },
	"join b":  func(h *history) bool { return h.listed && h.join("b") },
	"leave a": func(h *history) bool { return h.leave("a") },
	"leave b": func(h *history) bool { return h.leave("b") },
	"rejoin a": func(h *history) bool {
		return h.listed && h.leave("a") && h.join("a")
	},
	"publish a": func(h *history) bool {
		p, there := h.people["a"]
		if there {
			h.emit(track(*h.info, p))
		}
		return there
	},
	"delete": func(h *history) bool {
		if !h.listed {
			return false
		}
		for _, id := range slices.Sorted(maps.Keys(h.people)) {
			h.leave(id)
		}
		h.listed = false
		h.emit(finished(*h.info, 0))
		return true
	},
	// LiveKit's store survives a crash: the room is started again with its sid.
	"restart": func(h *history) bool {
		if h.listed {
			h.emit(started(*h.info, 0))
		}
		return h.listed
	},
	// CreateRoom raced DeleteRoom: a finished sid is started again.
	"resurrect": func(h *history) bool {
		if h.info == nil || h.listed || len(h.people) > 0 {
			return false
		}
		h.listed = true
		h.emit(started(*h.info, 0))
		return true
	},
	// As before, but LiveKit does not list the room again.
	"haunt a": func(h *history) bool { return h.info != nil && !h.listed && h.join("a") },
}

func (h *history) join(id string) bool {
	if _, there := h.people[id]; there {
		return false
	}
	h.count++
	p := who(fmt.Sprintf("%s%d", id, h.count), h.clock)
	h.people[id] = p
	h.emit(joined(*h.info, p))
	return true
}

func (h *history) leave(id string) bool {
	p, there := h.people[id]
	if !there {
		return false
	}
	delete(h.people, id)
	h.emit(left(*h.info, p))
	return true
}

func play(step int64, names ...string) *history {
	h := newHistory(step)
	h.name = fmt.Sprintf("%s, %d ms", strings.Join(names, ", "), step)
	for _, name := range names {
		if !ops[name](h) {
			return nil
		}
	}
	return h
}

// histories returns all histories of at most most events that begin with the creation of a room.
func histories(step int64, most int) []*history {
	all := []*history{}
	var grow func(names []string)
	grow = func(names []string) {
		h := play(step, names...)
		if h == nil || len(h.events) > most {
			return
		}
		all = append(all, h)
		for _, name := range slices.Sorted(maps.Keys(ops)) {
			grow(append(slices.Clip(names), name))
		}
	}
	grow([]string{"create"})
	return all
}

// orders yields every order of 0…n-1. The number doubled comes twice; -1 doubles none.
func orders(n, doubled int, yield func([]int) bool) {
	left := make([]int, n)
	total := n
	for i := range left {
		left[i] = 1
	}
	if doubled >= 0 {
		left[doubled]++
		total++
	}
	order := make([]int, 0, total)
	var grow func() bool
	grow = func() bool {
		if len(order) == total {
			return yield(order)
		}
		for i := range left {
			if left[i] == 0 {
				continue
			}
			left[i]--
			order = append(order, i)
			on := grow()
			order = order[:len(order)-1]
			left[i]++
			if !on {
				return false
			}
		}
		return true
	}
	grow()
}

func (t truth) sids() map[string]bool {
	sids := map[string]bool{}
	for _, p := range t.people {
		sids[p.SID] = true
	}
	return sids
}

// differs returns how the room differs from the truth, or "".
func (t truth) differs(r *Room) string {
	live := t.listed != nil || len(t.people) > 0
	switch {
	case live && r.State == nil:
		return "the room is missing"
	case !live && r.State != nil:
		return "the room is there and should not be"
	case !live:
		return ""
	case t.listed != nil && r.State.SID != t.listed.SID:
		return fmt.Sprintf("the room is %s, want %s", r.State.SID, t.listed.SID)
	}
	if ghosts := t.ghosts(r); ghosts != "" {
		return ghosts + " is there and should not be"
	}
	if missing := t.missing(r); missing != "" {
		return missing + " is missing"
	}
	return ""
}

// ghosts returns the sids that are stored but not there, and missing those that are there but not stored.
func (t truth) ghosts(r *Room) string {
	ghosts, there := []string{}, t.sids()
	if r.State != nil {
		for _, m := range r.State.Roster {
			if !there[m.SID] {
				ghosts = append(ghosts, m.SID)
			}
		}
	}
	return strings.Join(ghosts, " ")
}

func (t truth) missing(r *Room) string {
	missing := []string{}
	for _, p := range t.people {
		if r.State.Find(p.SID) == nil {
			missing = append(missing, p.SID)
		}
	}
	return strings.Join(missing, " ")
}

func (t truth) look(r *rig) Look { return r.sight(t.listed, t.people...) }

// settle polls as the shell does after events that asked for it.
func (r *rig) settle(now truth) {
	var named []string
	for _, a := range r.asked {
		named = append(named, a.Named...)
	}
	r.asked = nil
	for range 2 {
		r.wait(second)
		look := now.look(r)
		look.Named = named
		if !r.do(look).NeedsSecondLook {
			return
		}
	}
}

func (h *history) end() truth { return h.truths[len(h.truths)-1] }

// deliver delivers the events to a fresh room in that order.
func (h *history) deliver(t rapid.TB, order []int) *rig {
	r := newRig(t)
	r.strict = false
	for _, i := range order {
		r.do(h.event(i))
	}
	return r
}

func (h *history) event(i int) Event {
	e := h.events[i]
	if h.ids {
		e.ID = fmt.Sprint("EV_", i)
	}
	return e
}
