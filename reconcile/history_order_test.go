package reconcile

import (
	"flag"
	"fmt"
	"slices"
	"testing"
)

// full makes the tests try orders for some minutes instead of some seconds.
var full = flag.Bool("full", false, "deliver longer histories in every order with every event doubled")

// doubles returns the events of a history that are to be delivered twice, one per run; -1 is none.
func doubles(h *history, most int) []int {
	events := []int{-1}
	if len(h.events) <= most || *full {
		for i := range h.events {
			events = append(events, i)
		}
	}
	return events
}

// TestEveryOrderOfSmallHistories delivers every history of up to five events in every order, with each event of the
// shorter ones doubled. Before any poll nobody who left comes back, nobody who is there is removed, and if the room is wrong, a
// poll was asked for. Then the polls put the room right.
func TestEveryOrderOfSmallHistories(t *testing.T) {
	runs, wrong := 0, 0
	for _, step := range []int64{3, 1500} {
		for _, h := range histories(step, 5) {
			for _, doubled := range doubles(h, 4) {
				orders(len(h.events), doubled, func(order []int) bool {
					// A doubled event comes as a duplicate, or under another id, which is the same as without an id here.
					for _, h.ids = range []bool{false, true}[:1+min(1, doubled+1)] {
						runs++
						if h.check(t, order) {
							wrong++
						}
					}
					return !t.Failed()
				})
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d deliveries; %d left something to an asked poll", runs, wrong)
}

// check reports whether the events alone left the room wrong. That is a failure only where the rules promise more.
func (h *history) check(t *testing.T, order []int) (wrong bool) {
	r, end := h.deliver(t, order), h.end()
	why := end.differs(r.room)
	switch {
	case end.ghosts(r.room) != "":
		t.Errorf("%s in order %v: %s left and came back", h.name, order, end.ghosts(r.room))
	case end.missing(r.room) != "":
		t.Errorf("%s in order %v: %s is there and was removed", h.name, order, end.missing(r.room))
	case why != "" && len(r.asked) == 0:
		t.Errorf("%s in order %v: %s, and no poll was asked for", h.name, order, why)
	}
	r.settle(end)
	if still := end.differs(r.room); still != "" {
		t.Errorf("%s in order %v: %s after the poll that was asked for (before: %q)", h.name, order, still, why)
	}
	if drift := r.cycle(7, end.listed, end.people...).Tally.Drift; len(drift) > 0 {
		t.Errorf("%s in order %v: the sync still finds %v", h.name, order, drift)
	}
	h.checkPrompt(t, order)
	return why != ""
}

// checkPrompt delivers late, to a shell that polls at once. Then nothing may be wrong in the end.
func (h *history) checkPrompt(t *testing.T, order []int) {
	r, end := newRig(t), h.end()
	r.strict = false
	for _, i := range order {
		if r.do(h.event(i)).Ask != nil {
			r.settle(end)
		}
	}
	if why := end.differs(r.room); why != "" {
		t.Errorf("%s in order %v, polled as asked: %s", h.name, order, why)
	}
}

// TestEveryOrderOfKnownTrouble does the same with longer histories of what docs/livekit.md calls surprising.
func TestEveryOrderOfKnownTrouble(t *testing.T) {
	for _, ops := range [][]string{
		{"create", "join a", "rejoin a", "delete"},
		{"create", "join a", "delete", "create", "join a"},
		{"create", "join a", "delete", "resurrect", "join a"},
		{"create", "join a", "join b", "restart", "delete"},
		{"create", "join a", "publish a", "rejoin a", "publish a"},
	} {
		for _, step := range []int64{3, 1500} {
			h := play(step, ops...)
			for _, doubled := range doubles(h, 5) {
				orders(len(h.events), doubled, func(order []int) bool {
					for _, h.ids = range []bool{false, true}[:1+min(1, doubled+1)] {
						h.check(t, order)
					}
					return !t.Failed()
				})
			}
		}
	}
}

// TestLostJoins drops each join that a track event follows. A poll is asked for, and puts the room right before the next sync.
func TestLostJoins(t *testing.T) {
	lost := 0
	for _, h := range histories(1500, 5) {
		for i, e := range h.events {
			later := slices.ContainsFunc(h.events[i:], func(o Event) bool { return o.Kind == Track && o.Participant.SID == e.Participant.SID })
			if e.Kind != Joined || !later {
				continue
			}
			lost++
			r := newRig(t)
			r.strict = false
			for j, o := range h.events {
				if j == i {
					continue
				}
				unknown := o.Kind == Track && r.room.State.Find(o.Participant.SID) == nil
				p := r.do(o)
				if unknown && p.Ask == nil {
					t.Errorf("%s without event %d: no poll was asked for", h.name, i)
				}
				if p.Ask != nil {
					r.settle(h.truths[j+1])
				}
			}
			if why := h.end().differs(r.room); why != "" {
				t.Errorf("%s without event %d, polled as asked: %s", h.name, i, why)
			}
		}
	}
	if lost == 0 {
		t.Error("no history has a track event after a join")
	}
}

// TestLateLooks puts one look into every order of small histories. The look begins after some of the deliveries, shows any
// true moment that they allow, and is applied after some more. A single look adds nobody who is gone and removes nobody.
func TestLateLooks(t *testing.T) {
	runs := 0
	for _, step := range []int64{3, 1500} {
		for _, h := range histories(step, 4) {
			n := len(h.events)
			orders(n, -1, func(order []int) bool {
				for began := range n + 1 {
					for told := began; told <= n; told++ {
						for taken := lastOf(order[:began]) + 1; taken <= n; taken++ {
							runs++
							h.checkLook(t, order, began, told, taken)
						}
					}
				}
				return !t.Failed()
			})
		}
	}
	t.Logf("%d deliveries", runs)
}

func lastOf(order []int) int {
	if len(order) == 0 {
		return -1
	}
	return slices.Max(order)
}

func (h *history) checkLook(t *testing.T, order []int, began, told, taken int) {
	r, end := newRig(t), h.end()
	r.strict = false
	var look Look
	again := false
	for i := range len(order) + 1 {
		if i == began {
			look = h.truths[taken].look(r)
		}
		if i == told {
			again = r.do(look).NeedsSecondLook
		}
		if i < len(order) {
			r.do(h.events[order[i]])
		}
	}
	asked, why := len(r.asked) > 0 || again, end.differs(r.room)
	late := taken == len(h.events) && told == len(order) // then the look itself is the truth
	switch {
	case end.ghosts(r.room) != "":
		t.Errorf("%s in order %v, look of %d from %d to %d: %s came back", h.name, order, taken, began, told, why)
	case end.missing(r.room) != "":
		t.Errorf("%s in order %v, look of %d from %d to %d: %s", h.name, order, taken, began, told, why)
	case why != "" && !asked:
		t.Errorf("%s in order %v, look of %d from %d to %d: %s unasked", h.name, order, taken, began, told, why)
	case late && why != "" && !again:
		t.Errorf("%s in order %v, look of %d from %d to %d: %s, settled", h.name, order, taken, began, told, why)
	}
	r.settle(end)
	if why := end.differs(r.room); why != "" {
		t.Errorf("%s in order %v, look of %d from %d to %d: %s after the poll that was asked for", h.name, order, taken, began, told, why)
	}
	if drift := r.cycle(7, end.listed, end.people...).Tally.Drift; len(drift) > 0 {
		t.Errorf("%s in order %v, look of %d from %d to %d: the sync still finds %v", h.name, order, taken, began, told, drift)
	}
}

// TestSplitLooks delivers small histories in their true order with one look in between. The look's list of rooms is older than
// its list of participants, because the shell requests them in that order. Nobody who is shown and stays is ever removed, and
// nobody who left stays.
func TestSplitLooks(t *testing.T) {
	runs, most := 0, 5
	if *full {
		most = 6
	}
	for _, step := range []int64{3, 1500} {
		for _, h := range histories(step, most) {
			n := len(h.events)
			for began := range n + 1 {
				for listed := began; listed <= n; listed++ {
					for taken := listed; taken <= n; taken++ {
						for told := began; told <= n; told++ {
							runs++
							h.checkSplit(t, began, listed, taken, told)
						}
					}
				}
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d deliveries", runs)
}

// checkSplit begins a look after began events, lists the rooms as after listed events and the participants as after taken events,
// and applies the look when told events have been delivered.
func (h *history) checkSplit(t *testing.T, began, listed, taken, told int) {
	r, end := newRig(t), h.end()
	r.strict = false
	there := end.sids()
	shown := map[string]bool{}
	again := false
	var look Look
	for i := range len(h.events) + 1 {
		if i == began {
			look = r.sight(h.truths[listed].listed, h.truths[taken].people...)
		}
		if i == told {
			again = r.do(look).NeedsSecondLook
			h.checkShown(t, r, there, shown, fmt.Sprintf("look from %d, of %d and %d, told at %d", began, listed, taken, told))
		}
		if i < len(h.events) {
			r.do(h.events[i])
			h.checkShown(t, r, there, shown, fmt.Sprintf("event %d, look from %d, of %d and %d, told at %d", i, began, listed, taken, told))
		}
	}
	why := end.differs(r.room)
	if why != "" && len(r.asked) == 0 && !again {
		t.Errorf("%s, look from %d, of %d and %d, told at %d: %s unasked", h.name, began, listed, taken, told, why)
	}
	r.settle(end)
	if why := end.differs(r.room); why != "" {
		t.Errorf("%s, look from %d, of %d and %d, told at %d: %s after the poll that was asked for", h.name, began, listed, taken, told, why)
	}
	if drift := r.cycle(7, end.listed, end.people...).Tally.Drift; len(drift) > 0 {
		t.Errorf("%s, look from %d, of %d and %d, told at %d: the sync still finds %v", h.name, began, listed, taken, told, drift)
	}
}

// checkShown checks that a participant who stays to the end never disappears after having been shown.
func (h *history) checkShown(t *testing.T, r *rig, stay, shown map[string]bool, when string) {
	for sid := range stay {
		is := r.room.State != nil && r.room.State.Find(sid) != nil
		if shown[sid] && !is {
			t.Errorf("%s, %s: %s was removed although it is there", h.name, when, sid)
		}
		shown[sid] = is
	}
}
