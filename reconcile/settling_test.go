package reconcile

import (
	"fmt"
	"testing"
	"time"
)

const testLag = 10 * time.Second

// TestLaggingLists delivers small histories in their true order. Then a whole cycle, permit included, sees lists of earlier moments, of
// any moment for each list. Nothing changes, even for an owner that has just claimed the room. Once the lag is over, a cycle with true
// lists finds nothing to repair.
func TestLaggingLists(t *testing.T) {
	runs := 0
	for _, step := range []int64{3, 1500} {
		for _, h := range histories(step, 5) {
			n := len(h.events)
			for listed := range n + 1 {
				for shown := range n + 1 {
					for _, moved := range []bool{false, true} {
						runs++
						h.checkLag(t, listed, shown, moved)
					}
				}
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d cycles", runs)
}

func (h *history) checkLag(t *testing.T, listed, shown int, moved bool) {
	r, end := newRig(t), h.end()
	r.strict, r.lag = false, testLag
	for _, e := range h.events {
		if r.do(e).Ask != nil {
			r.settle(end) // polls of events that share a second; they are over before the cycle
		}
	}
	what := fmt.Sprintf("%s, rooms as after %d and participants as after %d, claimed again: %v", h.name, listed, shown, moved)
	if why := end.differs(r.room); why != "" {
		t.Fatalf("%s: before the cycle %s", what, why)
	}
	if moved {
		r.claim()
	}
	before, feed := r.have(), r.feed.last
	r.cycle(7, h.truths[listed].listed, h.truths[shown].people...)
	if r.have() != before || r.feed.last != feed {
		t.Errorf("%s: the cycle makes %q of %q", what, r.have(), before)
	}
	r.wait(11 * second) // Redis gives whole seconds
	if drift := r.cycle(8, end.listed, end.people...).Tally.Drift; len(drift) > 0 {
		t.Errorf("%s: the next cycle still finds %v", what, drift)
	}
	if why := end.differs(r.room); why != "" {
		t.Errorf("%s: after the next cycle %s", what, why)
	}
}

// TestQuietRoomsAreRepairedAtOnce drops the last events of each history. A cycle that begins once the lag is over puts the room right,
// even under a new claim.
func TestQuietRoomsAreRepairedAtOnce(t *testing.T) {
	for _, h := range histories(1500, 5) {
		for lost := 1; lost <= len(h.events); lost++ {
			for _, moved := range []bool{false, true} {
				r, end := newRig(t), h.end()
				r.strict, r.lag = false, testLag
				for i, e := range h.events[:len(h.events)-lost] {
					if r.do(e).Ask != nil {
						r.settle(h.truths[i+1])
					}
				}
				r.wait(11 * second)
				if moved {
					r.claim()
				}
				r.cycle(7, end.listed, end.people...)
				if why := end.differs(r.room); why != "" {
					t.Errorf("%s without the last %d, claimed again: %v: %s", h.name, lost, moved, why)
				}
			}
		}
	}
}

// lagging takes a look of a cycle's round 1 with the lag of the tests.
func (r *rig) lagging(cycle uint64, room *RoomInfo, present ...Participant) Plan {
	look := sync(r.sight(room, present...), cycle)
	look.Lag = testLag
	return r.do(look)
}

func TestDeferredDifferencesCountAsMissing(t *testing.T) {
	r := newRig(t)
	r.do(started(r1, 1000))
	r.do(joined(r1, a1))
	p := r.lagging(1, nil)
	if got := p.Tally; got.MissingRooms != 1 || got.MissingParticipants != 1 || got.DeferredRooms != 1 || got.DeferredParticipants != 1 ||
		got.Deferred != 2 || p.NeedsSecondLook || r.room.HasPending() {
		t.Errorf("a look that shows nothing reports %+v, again: %v", got, p.NeedsSecondLook)
	}
	r.do(left(r1, a1))
	if p := r.lagging(2, &r1, a1); p.Tally.Deferred != 1 || p.Tally.MissingParticipants != 0 || p.NeedsSecondLook {
		t.Errorf("a look that still shows a participant who left reports %+v, again: %v", p.Tally, p.NeedsSecondLook)
	}
	r.want("R1:")
}

func TestOtherEventsDoNotProtectTheRoom(t *testing.T) {
	r := newRig(t)
	r.do(started(r1, 1000))
	r.do(joined(r1, a1))
	for range 4 {
		r.wait(3 * second)
		r.do(track(r1, a1))
		r.do(joined(r1, a1)) // a repeated join does not renew the protection
	}
	p := r.lagging(1, nil)
	if p.Tally.Deferred != 0 || p.Tally.MissingRooms != 1 || p.Tally.MissingParticipants != 1 {
		t.Errorf("a busy room does not settle: %+v", p.Tally)
	}
}

func TestNewerStateIsTakenAtOnce(t *testing.T) {
	later := who("a9", 4000)
	renamed := a1
	renamed.Version, renamed.Metadata = 9, "new"
	for name, c := range map[string]struct {
		room   RoomInfo
		people []Participant
		want   string
	}{
		"a newer instance":                   {r2, nil, "R2:"},
		"a later participant of an identity": {r1, []Participant{later}, "R1: a9"},
		"a higher version":                   {r1, []Participant{renamed}, "R1: a1"},
		"somebody else":                      {r1, []Participant{a1, c1}, "R1: a1 c1"},
	} {
		for _, moved := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", claimed again: ", moved), func(t *testing.T) {
				r := newRig(t)
				r.do(joined(r1, a1))
				if moved {
					r.claim()
				}
				r.lagging(1, &c.room, c.people...)
				r.want(c.want)
				if m := r.room.State.Find("a1"); name == "a higher version" && m.Metadata != "new" {
					t.Errorf("the metadata is %q", m.Metadata)
				}
			})
		}
	}
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(left(r1, a1))
	r.lagging(1, &r1, later) // joined after the last known participant, who has ended
	r.want("R1: a9")
}

// TestTheLastReportOfASIDCounts checks that a leave renews what its participant's join has set.
func TestTheLastReportOfASIDCounts(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.wait(8 * second)
	r.do(left(r1, a1))
	r.wait(8 * second) // after the join's lag
	if p := r.lagging(1, &r1, a1); p.Tally.Deferred != 1 || p.NeedsSecondLook {
		t.Errorf("a look that still shows a participant who left reports %+v, again: %v", p.Tally, p.NeedsSecondLook)
	}
}

// TestALeaveConfirmsWhatALookSaw checks that a leave protects against older lists although a poll has removed the participant before.
func TestALeaveConfirmsWhatALookSaw(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.wait(11 * second)
	for range 2 {
		look := r.sight(&r1)
		look.Named = []string{a1.SID}
		r.do(look)
		r.wait(second)
	}
	r.want("R1:")
	r.wait(11 * second)
	r.do(left(r1, a1))
	if p := r.lagging(1, &r1, a1); p.Tally.Deferred != 1 || p.NeedsSecondLook {
		t.Errorf("a look that still shows a participant who left reports %+v, again: %v", p.Tally, p.NeedsSecondLook)
	}
	r.wait(8 * second)
	r.do(left(r1, a1)) // does not renew the protection
	r.wait(3 * second)
	if p := r.lagging(2, &r1, a1); p.Tally.Deferred != 0 || !p.NeedsSecondLook {
		t.Errorf("a look after the lag of the first leave reports %+v, again: %v", p.Tally, p.NeedsSecondLook)
	}
}

// TestAStartReopensAnOpenRoom checks that a start protects a room that had finished, and that stayed open because of a participant whom the finish
// spared.
func TestAStartReopensAnOpenRoom(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(joined(r1, b1))
	r.do(finished(r1, b1.JoinedAt-epoch)) // spares b1
	r.wait(11 * second)
	r.do(started(r1, 9000))
	r.wait(second)
	if p := r.lagging(1, nil); p.Tally.DeferredRooms != 1 {
		t.Errorf("a look without the room reports %+v", p.Tally)
	}
}

// TestMigration: LiveKit moves a participant to another of its nodes. The participant keeps its sid.
func TestMigration(t *testing.T) {
	r := newRig(t)
	gone := left(r1, a1)
	gone.Reason = "MIGRATION"
	r.do(joined(r1, a1))
	r.do(gone)
	r.want("R1:")
	wantAsk(t, r.do(joined(r1, a1)), "")
	r.want("R1: a1")
	r.do(left(r1, a1))
	wantAsk(t, r.do(joined(r1, a1)), "its sid has ended", "a1")
	r.want("R1:")
}

// TestAMigrationsJoinMayComeBeforeItsLeave: two LiveKit nodes send the join and the leave of a migration, in any order. If the join comes first, the
// leave ends the participant wrongly, and a poll brings it back.
func TestAMigrationsJoinMayComeBeforeItsLeave(t *testing.T) {
	r := newRig(t)
	gone, again := left(r1, a1), joined(r1, a1)
	gone.Reason = "MIGRATION"
	r.do(joined(r1, a1))
	again.ID = "EV_again"
	wantAsk(t, r.do(again), "")
	wantAsk(t, r.do(gone), "a participant who left by a migration") // names nobody: such a poll removes nobody
	r.want("R1:")
	r.twice(&r1, a1)
	r.want("R1: a1")
}

// TestALagOfZeroProtectsNothing: a lag of 0 switches the protection off.
func TestALagOfZeroProtectsNothing(t *testing.T) {
	r := newRig(t)
	r.do(started(r1, 1000))
	r.do(joined(r1, a1))
	r.cycle(1, nil)
	r.want("-")
}

// TestAFinishIsNotContradictedByItsRoomsAbsence: a look within the lag of a finish may end a room that only remained open because of the
// participants whom the finish spared.
func TestAFinishIsNotContradictedByItsRoomsAbsence(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(joined(r1, b1))
	r.wait(11 * second)
	r.do(finished(r1, b1.JoinedAt-epoch)) // spares b1
	for range 3 {
		look := permit(r.sight(nil), 1, 1)
		look.Lag, look.Named = testLag, []string{b1.SID}
		r.do(look)
		r.wait(second)
	}
	r.want("-")
}
