package sim_test

import (
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
	. "github.com/rollcallhq/rollcall/testing/sim"
)

// TestHistorySees checks that History finds the violations in histories that are wrong.
func TestHistorySees(t *testing.T) {
	view := func(epoch, incarnation uint64) fsm.View {
		return fsm.View{Epoch: epoch, HashVersion: 1, Members: []fsm.Member{{ID: "n1", Incarnation: incarnation, HashVersion: 1}}}
	}
	claim := func(epoch, incarnation uint64) reconcile.Claim {
		return reconcile.Claim{Generation: 1, Epoch: epoch, Incarnation: incarnation}
	}
	token := func(index uint64) reconcile.Token { return reconcile.Token{Generation: 1, Index: index} }
	commit := func(c reconcile.Claim, expect, version uint64, leader reconcile.Token) memstore.Script {
		return memstore.Script{Room: "r", Claim: c, Commit: &reconcile.Commit{Room: "r", Claim: c, Expect: expect, Version: version, Leader: leader,
			Changes: []reconcile.Change{{Type: reconcile.RoomUpdated}}}}
	}
	take := func(c reconcile.Claim) memstore.Script { return memstore.Script{Room: "r", Claim: c} }
	old, now := claim(5, 5), claim(7, 7)
	join := reconcile.Event{Kind: reconcile.Joined, Room: reconcile.RoomInfo{Name: "r"}, Participant: reconcile.Participant{SID: "p"}}
	for _, c := range []struct {
		name, want string
		do         func(h *History)
	}{
		{"in order", "", func(h *History) {
			h.Watch(commit(old, 0, 1, token(1)))
			h.Watch(take(now))
			h.Watch(commit(now, 1, 2, token(2)))
		}},
		{"after lost data", "", func(h *History) { h.Watch(memstore.Script{}); h.Watch(take(old)); h.Watch(commit(old, 0, 9, token(1))) }},
		{"a commit after a newer claim", "after the claim", func(h *History) { h.Watch(take(now)); h.Watch(commit(old, 0, 1, token(1))) }},
		{"an older claim", "although", func(h *History) { h.Watch(take(now)); h.Watch(take(old)) }},
		{"a claim of no view", "of no view", func(h *History) { h.Watch(take(claim(8, 8))) }},
		{"a claim by another than the owner", "not the owner's", func(h *History) { h.Watch(take(claim(7, 6))) }},
		{"a claim from before older data", "", func(h *History) { h.Restored(); h.Watch(take(now)) }},
		{"a claim of no view after older data", "of no view", func(h *History) { h.Restored(); h.Watch(take(claim(8, 8))) }},
		{"a claim by another from before older data", "of no view", func(h *History) { h.Restored(); h.Watch(take(claim(7, 6))) }},
		{"an older leader", "a commit for the leader", func(h *History) { h.Watch(commit(old, 0, 1, token(2))); h.Watch(commit(old, 1, 2, token(1))) }},
		{"a version from nowhere", "follows", func(h *History) { h.Watch(commit(old, 3, 4, token(1))) }},
		{"a change in a world at rest", "all was right", func(h *History) { h.Settle(true); h.Watch(commit(old, 0, 1, token(1))) }},
		{"a claim kept over a loss", "gave the room to", func(h *History) { h.Kept("r", old, 7) }},
		{"a claim kept until a loss", "", func(h *History) { h.Kept("r", old, 6) }},
		{"two views of one epoch", "for another", func(h *History) { h.Learn(fsm.State{View: view(7, 9)}) }},
		{"200 without a script", "without a script", func(h *History) { h.Answered(reconcile.Event{Room: join.Room}, h.Scripts("r")) }},
		{"200 for a join that nothing shows", "which nothing shows", func(h *History) { h.Watch(commit(old, 0, 1, token(1))); h.Answered(join, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := NewHistory()
			h.Learn(fsm.State{Past: []fsm.View{view(5, 5)}, View: view(7, 7)})
			h.Watch(take(old))
			c.do(h)
			broken := strings.Join(h.Broken(), "\n")
			if c.want == "" && broken != "" || !strings.Contains(broken, c.want) {
				t.Errorf("it says %q, want %q", broken, c.want)
			}
		})
	}
}
