package reconcile

import (
	"testing"
)

func sync(look Look, cycle uint64) Look {
	look.Cycle, look.Scheduled = cycle, true
	return look
}

func permit(look Look, cycle uint64, streak int) Look {
	look.Permit = &Permit{Leader: Token{1, 5}, Cycle: cycle, Streak: streak}
	return sync(look, cycle)
}

func TestAbsenceNeedsTwoLooksAndAPermit(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(joined(r1, c1))
	p := r.do(sync(r.sight(&r1, a1), 1))
	r.want("R1: a1 c1")
	if p.Tally.MissingParticipants != 1 || p.NeedsSecondLook {
		t.Errorf("the first look reports %+v, again %v; want one missing, not again: only a permit helps", p.Tally, p.NeedsSecondLook)
	}
	r.wait(second)
	r.do(sync(r.sight(&r1, a1), 1))
	r.want("R1: a1 c1") // two looks agree, but there is no permit
	r.wait(second)
	p = r.do(permit(r.sight(&r1, a1), 1, 1))
	r.want("R1: a1")
	if p.Commit.Leader != (Token{1, 5}) || p.Tally.Drift[MissedLeave] != 1 || r.room.Leader != (Token{1, 5}) {
		t.Errorf("the removal carries %+v and reports %v", p.Commit.Leader, p.Tally.Drift)
	}
	if !r.room.Tombstones["c1"].Looked {
		t.Error("the tombstone of a participant whom a poll removed does not say so")
	}
}

// TestTheFirstLookOfAPollAgreesWithNone: the first look of a poll makes no pair with a look of another poll, because the event that contradicts both may
// have come a moment ago. Two polls of one room overlap after its actor has crashed.
func TestTheFirstLookOfAPollAgreesWithNone(t *testing.T) {
	r := newRig(t)
	r.do(started(r1, 1000))
	r.do(joined(r1, a1))
	r.do(left(r1, a1))
	r.do(r.sight(&r1, a1)) // a look of another poll
	r.wait(second)
	first := r.sight(&r1, a1)
	first.First = true
	if p := r.do(first); !p.NeedsSecondLook {
		t.Error("the first look asks for no second one")
	}
	r.want("R1:")
	r.wait(second)
	r.do(r.sight(&r1, a1))
	r.want("R1: a1")
}

// TestALateLeaveEndsNobodyElse: two looks have admitted a1 against the order of joins, and so ended a2. The leave of a2, which comes later, says nothing about a1.
func TestALateLeaveEndsNobodyElse(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a2))
	r.do(joined(r1, a1))
	r.want("R1: a2")
	r.twice(&r1, a1)
	r.want("R1: a1")
	wantAsk(t, r.do(left(r1, a2)), "an event for a participant that a look removed", "a2")
	r.want("R1: a1")
}

func TestOneEmptyLookRemovesNothing(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(permit(r.sight(nil), 1, 1))
	r.want("R1: a1")
}

func TestPermitOfAnotherCycleRemovesNothing(t *testing.T) {
	for name, with := range map[string]*Permit{"none": nil, "another cycle": {Cycle: 2}, "no cycle": {}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.do(joined(r1, a1))
			r.do(sync(r.sight(nil), 1))
			r.wait(second)
			look := sync(r.sight(nil), 2)
			look.Permit = with
			r.do(look)
			r.want("R1: a1")
		})
	}
}

func TestRoomWithoutAFirstLookInTheCycleRemovesNothing(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.twice(nil) // a poll that an event asked for belongs to no cycle
	r.wait(second)
	r.do(permit(r.sight(nil), 1, 1))
	r.want("R1: a1")
}

func TestHeldRemovalsWaitForThreeScheduledCycles(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	for cycle := uint64(1); cycle <= 3; cycle++ {
		r.want("R1: a1")
		p := r.do(sync(r.sight(nil), cycle))
		if agreed := cycle == 3; (p.Tally.AgreedParticipants == 1) != agreed || (p.Tally.AgreedRooms == 1) != agreed {
			t.Errorf("cycle %d reports %+v", cycle, p.Tally)
		}
		r.wait(second)
		r.do(permit(r.sight(nil), cycle, 3))
		r.wait(minute)
	}
	r.want("-")
}

func TestHeldRemovalsStartOverWhenSeenBetween(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	for cycle, seen := range []bool{false, false, true, false, false} {
		look := r.sight(nil)
		if seen {
			look = r.sight(&r1, a1)
		}
		if p := r.do(sync(look, uint64(cycle+1))); p.Tally.AgreedParticipants != 0 {
			t.Errorf("cycle %d reports %+v", cycle, p.Tally)
		}
		r.wait(minute)
	}
}

func TestManualCyclesDoNotCountTowardsTheThree(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	for cycle := range uint64(4) {
		look := sync(r.sight(nil), cycle+1)
		look.Scheduled = cycle == 0
		if p := r.do(look); p.Tally.AgreedParticipants+p.Tally.AgreedRooms != 0 {
			t.Errorf("after one scheduled cycle and %d manual ones: %+v", cycle, p.Tally)
		}
		r.wait(minute)
	}
}

func TestManualCycleRemovesWithItsPermit(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	first, last := sync(r.sight(nil), 1), Look{}
	first.Scheduled = false
	r.do(first)
	r.wait(second)
	last = permit(r.sight(nil), 1, 1)
	last.Scheduled = false
	r.do(last)
	r.want("-")
}

func TestPendingFindingsNeedLookGap(t *testing.T) {
	for name, tc := range map[string]struct {
		gap  Stamp
		want string
	}{"too close": {LookGap - 1, "R1: a1 c1"}, "apart": {LookGap, "R1: c1"}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.do(joined(r1, a1))
			r.do(joined(r1, c1))
			first := sync(r.sight(&r1, c1), 1)
			r.do(first)
			r.wait(second)
			last := permit(r.sight(&r1, c1), 1, 1)
			last.Began = first.Began + tc.gap
			r.do(last)
			r.want(tc.want)
		})
	}
}

func TestTouchedSinceTheLookBeganIsLeftAlone(t *testing.T) {
	tests := map[string]struct {
		stored []Event
		listed *RoomInfo
		shown  []Participant
		then   Event // after the look began
		want   string
	}{
		"joined since, not shown":          {stored: nil, then: joined(r1, a1), want: "R1: a1"},
		"left since, still shown":          {stored: []Event{joined(r1, a1)}, listed: &r1, shown: []Participant{a1}, then: left(r1, a1), want: "R1:"},
		"left since without a join, shown": {stored: []Event{started(r1, 1000)}, listed: &r1, shown: []Participant{a1}, then: left(r1, a1), want: "R1:"},
		"rejoined since, the old is shown": {stored: []Event{started(r1, 1000)}, listed: &r1, shown: []Participant{a1}, then: joined(r1, a2), want: "R1: a2"},
		"finished since, listed":           {stored: []Event{joined(r1, a1)}, listed: &r1, shown: []Participant{a1}, then: finished(r1, 9000), want: "-"},
		"finished since, a stranger shown": {stored: []Event{joined(r1, a1)}, listed: &r1, shown: []Participant{a1, who("c8", 9100)}, then: finished(r1, 9000), want: "-"},
		"a newer instance since, a stranger of the old shown": {stored: []Event{joined(r1, a1)}, listed: &r1, shown: []Participant{a1, c1},
			then: started(r2, 6000), want: "R2:"},
		"the rest of the look counts": {stored: []Event{joined(r1, a1)}, listed: &r1, shown: []Participant{a1, c1}, then: left(r1, a1), want: "R1: c1"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for _, e := range tc.stored {
				r.do(e)
			}
			look := r.sight(tc.listed, tc.shown...)
			r.do(tc.then)
			r.do(look)
			r.want(tc.want)
		})
	}
}

// Two looks, one of which was before an event, do not agree against that event.
func TestEventBetweenTwoLooksResetsThem(t *testing.T) {
	r := newRig(t)
	r.do(started(r1, 1000))
	r.do(left(r1, a1))
	r.do(r.sight(&r1, a1)) // contradicts the tombstone
	r.wait(second)
	r.do(joined(r1, a2)) // and this ends a1 once more
	r.do(r.sight(&r1, a1))
	r.want("R1: a2")
	r.wait(second)
	r.do(r.sight(&r1, a1))
	r.want("R1: a1")
}

func TestTwoAgreeingLooksOverrideEveryOrder(t *testing.T) {
	skewed := life("R0", 500)
	tests := map[string]struct {
		events []Event
		listed *RoomInfo
		shown  []Participant
		want   string
	}{
		"a tombstone":                         {[]Event{joined(r1, a1), joined(r1, c1), left(r1, a1)}, &r1, []Participant{a1, c1}, "R1: a1 c1"},
		"the join order":                      {[]Event{joined(r1, a2)}, &r1, []Participant{a1}, "R1: a1"},
		"the finish mark":                     {[]Event{joined(r1, c1), finished(r1, 9000)}, &r1, []Participant{a1}, "R1: a1"},
		"a tie with a finish":                 {[]Event{started(r1, 1000), finished(r1, 5000)}, nil, []Participant{b1}, "R1: b1"},
		"the instance order":                  {[]Event{started(r1, 1000)}, &skewed, []Participant{a1}, "R0: a1"},
		"the finish, of a room that is empty": {[]Event{started(r1, 1000), finished(r1, 5000)}, &r1, nil, "R1:"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for _, e := range tc.events {
				r.do(e)
			}
			before := r.have()
			if p := r.do(r.sight(tc.listed, tc.shown...)); r.have() != before || !p.NeedsSecondLook {
				t.Errorf("one look made it %q from %q (again: %v)", r.have(), before, p.NeedsSecondLook)
			}
			r.wait(second)
			r.do(r.sight(tc.listed, tc.shown...))
			r.want(tc.want)
			for _, p := range tc.shown {
				if _, buried := r.room.Tombstones[p.SID]; buried {
					t.Errorf("the tombstone of %s is still there", p.SID)
				}
			}
			if p := r.twice(tc.listed, tc.shown...); len(p.Changes) > 0 {
				t.Errorf("a further look still changes %v", p.Changes)
			}
		})
	}
}

func TestAdditionsNeedOneLook(t *testing.T) {
	r := newRig(t)
	p := r.do(r.sight(&r1, a1, c1))
	r.want("R1: a1 c1")
	if p.Tally.Drift[UnseenRoom] != 1 || p.Tally.Drift[MissedJoin] != 2 {
		t.Errorf("drift: %v", p.Tally.Drift)
	}
	r.do(r.sight(&r2, who("b7", 7000))) // a newer instance replaces the older one
	r.want("R2: b7")
}

func TestNewerInstanceInALookTakesAlongWhomItShows(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(joined(r1, c1))
	r.do(r.sight(&r2, c1))
	r.want("R2: c1")
}

func TestNewerInstanceInALookLeavesBehindWhomEventsNamedInTheOlder(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	look := r.sight(&r2, who("b7", 7000))
	r.do(joined(r1, c1))
	r.do(look)
	r.want("R2: b7")
}

func TestPollOfAnEventRemovesOnlyTheNamed(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(joined(r1, c1))
	for range 2 {
		r.wait(second)
		look := r.sight(nil)
		look.Named = []string{"a1"}
		r.do(look)
	}
	r.want("R1: c1")
}

func TestFinishedRoomNeedsNoPermitToGo(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, b1))
	r.do(finished(r1, 5000)) // spares b1
	r.want("R1: b1")
	for range 2 {
		r.wait(second)
		look := r.sight(nil)
		look.Named = r.asked[0].Named
		r.do(look)
	}
	r.want("-")
}

func TestFinishedRoomStaysWhileSomeoneMayNotBeRemoved(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, b1))
	r.do(finished(r1, 5000)) // spares b1
	r.twice(nil)             // a sync's two looks name nobody
	r.want("R1: b1")
}

func TestLookWithAnyEventSinceIsNoFirstLookAtARoomsAbsence(t *testing.T) {
	r := newRig(t)
	r.do(started(r1, 1000))
	look := sync(r.sight(nil), 1)
	r.do(left(r1, a1))
	r.do(look)
	r.wait(second)
	r.do(permit(r.sight(nil), 1, 1))
	r.want("R1:")
}

func TestAnyEventLetsARoomsAbsenceStartOver(t *testing.T) {
	r := newRig(t)
	r.do(started(r1, 1000))
	r.do(sync(r.sight(nil), 1))
	r.do(left(r1, a1))
	r.wait(second)
	r.do(permit(r.sight(nil), 1, 1))
	r.want("R1:")
}

func TestWaitingParticipantsKeepARoomAndAreNotPresent(t *testing.T) {
	r := newRig(t)
	r.do(started(r1, 1000))
	for cycle := range uint64(3) {
		first, last := sync(r.sight(nil), cycle+1), Look{}
		first.Waiting = 1
		r.do(first)
		r.wait(second)
		last = permit(r.sight(nil), cycle+1, 1)
		last.Waiting = 1
		r.do(last)
	}
	r.want("R1:")
}

func TestRoomInOneListOnlyIsThere(t *testing.T) {
	r := newRig(t)
	r.cycle(1, &r1)
	r.want("R1:")
	r = newRig(t)
	r.do(joined(r1, a1))
	r.cycle(1, nil, a1)
	r.want("R1: a1")
}

func TestMetadataFromAPoll(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	for _, next := range []struct {
		version        uint32
		metadata, want string
	}{{1, "older", ""}, {2, "same version", "same version"}, {3, "newer", "newer"}} {
		p := a1
		p.Version, p.Metadata = next.version, next.metadata
		r.do(r.sight(&r1, p))
		if got := r.room.State.Roster[0].Metadata; got != next.want {
			t.Errorf("after version %d the metadata is %q, want %q", next.version, got, next.want)
		}
	}
	info := r1
	info.Metadata, info.MaxParticipants = "changed", 3
	p := r.do(r.sight(&info, r.room.State.Roster[0].Participant))
	if s := r.room.State; s.Metadata != "changed" || s.MaxParticipants != 3 || p.Tally.Drift[StaleMetadata] != 1 {
		t.Errorf("the room's fields are %+v, drift %v", s, p.Tally.Drift)
	}
}

// TestOrderInAListMeansNothing gives a look the instances of one name in every order.
func TestOrderInAListMeansNothing(t *testing.T) {
	r9 := life("R9", 6000) // as old as R2
	for name, c := range map[string]struct {
		held *RoomInfo
		list []RoomInfo
		want string
	}{
		"the newest counts":              {nil, []RoomInfo{r1, r2}, "R2: a1"},
		"also where an older is held":    {&r1, []RoomInfo{r1, r2}, "R2: a1"},
		"of equal ones the one held":     {&r2, []RoomInfo{r2, r9}, "R2: a1"},
		"of equal ones the other held":   {&r9, []RoomInfo{r2, r9}, "R9: a1"},
		"the newest, of equal ones held": {&r9, []RoomInfo{r1, r9, r2}, "R9: a1"},
		"of equal ones none held":        {nil, []RoomInfo{r1, r2, r9}, "R9: a1"},
	} {
		t.Run(name, func(t *testing.T) {
			orders(len(c.list), -1, func(order []int) bool {
				r := newRig(t)
				if c.held != nil {
					r.do(started(*c.held, 0))
				}
				for range 3 {
					look := r.sight(nil, who("a1", 6500))
					for _, i := range order {
						look.Listed = append(look.Listed, c.list[i])
					}
					r.do(look)
					r.want(c.want)
					r.wait(second)
				}
				return !t.Failed()
			})
		})
	}
}

// TestOrderOfAnIdentitysParticipantsMeansNothing: two participants of one identity joined in the same millisecond.
func TestOrderOfAnIdentitysParticipantsMeansNothing(t *testing.T) {
	one, other := who("a1", 6500), who("a2", 6500)
	other.Identity = one.Identity
	for name, c := range map[string]struct {
		stored *Participant
		want   string
	}{
		"none is stored":      {nil, "R1: a2"},
		"the one is stored":   {&one, "R1: a1"},
		"the other is stored": {&other, "R1: a2"},
	} {
		for _, list := range [][]Participant{{one, other}, {other, one}} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t)
				r.do(started(r1, 0))
				if c.stored != nil {
					r.do(joined(r1, *c.stored))
				}
				for range 3 {
					r.do(r.sight(&r1, list...))
					r.want(c.want)
					r.wait(second)
				}
			})
		}
	}
}

// TestOlderThanItsRoomTakesTwoLooks: a stale list of participants shows those of the previous instance. A participant who was moved in
// with an old join time is admitted nevertheless, by the second look.
func TestOlderThanItsRoomTakesTwoLooks(t *testing.T) {
	r := newRig(t)
	r.do(started(r2, 6000))
	if p := r.do(r.sight(&r2, a1)); !p.NeedsSecondLook {
		t.Error("no second look")
	}
	r.want("R2:")
	r.wait(second)
	r.do(r.sight(&r2, a1))
	r.want("R2: a1")
}
