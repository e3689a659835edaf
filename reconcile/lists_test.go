package reconcile

import "testing"

// cycleOf takes two looks of a cycle and then its permitted one. It applies change to each of them first.
func (r *rig) cycleOf(id uint64, change func(*Look), present ...Participant) Plan {
	for range 2 {
		look := r.sight(nil, present...)
		look.Cycle, look.Scheduled = id, true
		change(&look)
		r.do(look)
		r.wait(second)
	}
	last := permit(r.sight(nil, present...), id, 1)
	change(&last)
	return r.do(last)
}

func TestAnUnreadableRoomIsNotAbsent(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	unreadable := func(l *Look) { l.Unreadable = true }
	p := r.cycleOf(1, unreadable)
	r.want("R1:") // the room is listed, and nobody is listed in it
	if p.Tally.MissingRooms+p.Tally.Cleaned != 0 {
		t.Errorf("an unreadable room counts as missing or cleaned: %+v", p.Tally)
	}
	r.cycleOf(2, func(*Look) {})
	r.want("-")
}

func TestAProtectedSIDIsNotAbsent(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(joined(r1, b1))
	p := r.cycleOf(1, func(l *Look) { l.Protected, l.Listed, l.Waiting = []string{a1.SID}, []RoomInfo{r1}, 1 })
	r.want("R1: a1")
	if p.Tally.MissingParticipants != 0 {
		t.Errorf("a protected sid counts as missing: %+v", p.Tally)
	}
	r.cycleOf(2, func(l *Look) { l.Listed = []RoomInfo{r1} })
	r.want("R1:")
}

// TestAnUnreadableSIDProtectsEveryoneForThreeCycles also checks that polls and further looks of one cycle do not use up the cycles, and
// that a list without such an entry restarts the count.
func TestAnUnreadableSIDProtectsEveryoneForThreeCycles(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	blind := func(l *Look) { l.Unidentified, l.Listed, l.Waiting = true, []RoomInfo{r1}, 1 }
	for id := range uint64(2) {
		r.cycleOf(1+id, blind)
	}
	r.cycleOf(3, func(l *Look) { l.Listed = []RoomInfo{r1} }, a1)
	for id := range uint64(UnidentifiedCycles) {
		if p := r.cycleOf(4+id, blind); p.Unidentified != int(id)+1 {
			t.Errorf("%d cycles in a row, want %d", p.Unidentified, id+1)
		}
		for range 5 { // polls that an event asked for
			look := r.sight(&r1)
			look.Named = []string{a1.SID}
			blind(&look)
			r.do(look)
			r.wait(second)
		}
		r.want("R1: a1")
	}
	if p := r.cycleOf(9, blind); p.Unidentified != UnidentifiedCycles+1 {
		t.Errorf("%d cycles in a row", p.Unidentified)
	}
	r.want("R1:")
}

// TestEveryoneWhoIsProtectedGoesAlongToANewerInstance: a newer instance ends those whom a look does not show, and a protected participant
// counts as shown.
func TestEveryoneWhoIsProtectedGoesAlongToANewerInstance(t *testing.T) {
	for name, change := range map[string]func(*Look){
		"by sid":               func(l *Look) { l.Protected = []string{a1.SID} },
		"by an unreadable sid": func(l *Look) { l.Unidentified = true },
	} {
		r := newRig(t)
		r.do(joined(r1, a1))
		look := r.sight(&r2)
		change(&look)
		r.do(look)
		t.Log(name)
		r.want("R2: a1")
	}
}

// TestOfEqualInstancesTheHeldOneCounts: it does not matter which one LiveKit lists first.
func TestOfEqualInstancesTheHeldOneCounts(t *testing.T) {
	twin := r1
	twin.SID = "R1b"
	for _, listed := range [][2]RoomInfo{{r1, twin}, {twin, r1}} {
		r := newRig(t)
		r.do(joined(r1, a1))
		for range 3 {
			look := r.sight(&listed[0], a1)
			look.Listed = append(look.Listed, listed[1])
			if p := r.do(look); len(p.Changes) > 0 || p.NeedsSecondLook {
				t.Errorf("a tie changes %+v, again %v", p.Changes, p.NeedsSecondLook)
			}
			r.wait(second)
		}
		r.want("R1: a1")
	}
}
