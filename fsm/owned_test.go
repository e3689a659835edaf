package fsm

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// history applies commands and keeps every view in full.
type history struct {
	state State
	views []View
}

func (h *history) apply(t rapidOrTest, cmd Command) Result {
	var res Result
	h.state, res = h.state.Apply(h.state.Applied+1, cmd)
	if h.state.View.Epoch != 0 && (len(h.views) == 0 || h.views[len(h.views)-1].Epoch != h.state.View.Epoch) {
		h.views = append(h.views, h.state.View)
	}
	if len(h.state.Past) > pastViews {
		t.Errorf("%d past views", len(h.state.Past))
	}
	return res
}

type rapidOrTest interface{ Errorf(string, ...any) }

// owned is a plain second implementation of State.Owned: it looks at full views, however old.
func (h *history) owned(room, id string, incarnation, since uint64) bool {
	known := false
	for _, v := range h.views {
		if v.Epoch < since {
			continue
		}
		known = known || v.Epoch == since
		if m, ok := Owner(v, room); !ok || m.ID != id || m.Incarnation != incarnation {
			return false
		}
	}
	return known
}

func TestOwnedLooksAtEveryViewSince(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{}
		h.apply(t, Found{Generation: 1})
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			id := rapid.SampledFrom([]string{"n1", "n2", "n3", "n4"}).Draw(t, "id")
			m, in := h.state.View.Member(id)
			switch {
			case in && rapid.Bool().Draw(t, "leaves"):
				h.apply(t, Leave{ID: id, Incarnation: m.Incarnation})
			default:
				h.apply(t, Join{ID: id, HashVersion: 1})
			}
		}
		remembered := map[uint64]bool{h.state.View.Epoch: true}
		for _, v := range h.state.Past {
			remembered[v.Epoch] = true
		}
		for _, m := range h.state.View.Members {
			for room := range 8 {
				for _, v := range h.views {
					name := fmt.Sprint("room", room)
					got := h.state.Owned(name, m.ID, m.Incarnation, v.Epoch)
					want := h.owned(name, m.ID, m.Incarnation, v.Epoch) && remembered[v.Epoch]
					if got != want {
						t.Fatalf("%s of %s since %d: %v, want %v in %+v", name, m.ID, v.Epoch, got, want, h.views)
					}
				}
			}
		}
	})
}

// A process that has owned a room for longer than views are remembered must claim it again: nobody can tell whether another one owned it in between.
func TestAForgottenViewVouchesForNothing(t *testing.T) {
	h := &history{}
	h.apply(t, Found{Generation: 1})
	mine := h.apply(t, Join{ID: "n1", HashVersion: 1})
	epoch := h.state.View.Epoch
	room := roomOf(t, "n1", "n1", "n2")
	for range pastViews/2 + 1 {
		owned, remembered := h.state.Owned(room, "n1", mine.Index, epoch), len(h.state.Past) == 0 || h.state.Past[0].Epoch <= epoch
		if owned != remembered {
			t.Errorf("owned since the first view: %v, which is remembered: %v", owned, remembered)
		}
		other := h.apply(t, Join{ID: "n2", HashVersion: 1})
		h.apply(t, Leave{ID: "n2", Incarnation: other.Index})
	}
	if h.state.Owned(room, "n1", mine.Index, epoch) {
		t.Error("a view that is forgotten vouches for a claim")
	}
}

func TestARoomThatMovesBackAndForthIsGainedAgain(t *testing.T) {
	h := &history{}
	h.apply(t, Found{Generation: 1})
	first := h.apply(t, Join{ID: "n1", HashVersion: 1})
	epoch := h.state.View.Epoch
	room := roomOf(t, "n2", "n1", "n2")
	second := h.apply(t, Join{ID: "n2", HashVersion: 1})
	if h.state.Owned(room, "n1", first.Index, epoch) || !h.state.Owned(room, "n2", second.Index, h.state.View.Epoch) {
		t.Error("the room did not move to n2")
	}
	kept := roomOf(t, "n1", "n1", "n2")
	if !h.state.Owned(kept, "n1", first.Index, epoch) {
		t.Error("a view in which n1 keeps its room ends n1's claim")
	}
	h.apply(t, Leave{ID: "n2", Incarnation: second.Index})
	if h.state.Owned(room, "n1", first.Index, epoch) {
		t.Error("n1's old claim is still valid, although n2 has owned the room in between")
	}
	if !h.state.Owned(room, "n1", first.Index, h.state.View.Epoch) || h.state.Owned(room, "n1", first.Index+1, h.state.View.Epoch) {
		t.Error("n1's current process, and only that one, must own the room now")
	}
}

// roomOf returns a room that owner owns among the members.
func roomOf(t *testing.T, owner string, members ...string) string {
	t.Helper()
	v := View{HashVersion: 1}
	for _, id := range members {
		v.Members = append(v.Members, Member{ID: id})
	}
	for i := range 1000 {
		room := fmt.Sprint("room", i)
		if m, _ := Owner(v, room); m.ID == owner {
			return room
		}
	}
	t.Fatalf("%s owns nothing among %v", owner, members)
	return ""
}

func TestRemoveKeepsAProcessOutUntilItJoinsAgain(t *testing.T) {
	h := &history{}
	h.apply(t, Found{Generation: 1})
	h.apply(t, Join{ID: "n1", HashVersion: 1})
	h.apply(t, Join{ID: "n2", HashVersion: 1})
	removed := h.apply(t, Remove{ID: "n2"})
	if _, in := h.state.View.Member("n2"); in || h.state.Removed["n2"] != removed.Index {
		t.Errorf("after its removal: %+v", h.state)
	}
	h.apply(t, Remove{ID: "n9"}) // a node that perhaps only raft knows
	if h.state.View.Epoch != removed.Index || h.state.Removed["n9"] == 0 {
		t.Errorf("after the removal of one that is not in the view: %+v", h.state)
	}
	before := h.state
	h.apply(t, Join{ID: "n2", HashVersion: 1})
	if _, in := h.state.View.Member("n2"); !in || len(h.state.Removed) != 1 || len(before.Removed) != 2 {
		t.Errorf("after joining again: %+v, and the state before: %+v", h.state, before)
	}
	if res := h.apply(t, Remove{}); res.Refused != Invalid {
		t.Errorf("removing nobody: %+v", res)
	}
}
