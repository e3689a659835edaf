package reconcile

import "testing"

func TestOccupancyOfARoom(t *testing.T) {
	kinds := Kinds{"STANDARD": true, "SIP": true}
	member := func(kind string, hidden bool) *Member { return NewMember(Participant{Kind: kind, Hidden: hidden}) }
	state := &State{Roster: []*Member{member("STANDARD", false), member("SIP", false), member("AGENT", false), member("EGRESS", false), member("STANDARD", true)}}
	for want, s := range map[Occupancy]*State{{}: nil, {Rooms: 1}: {}, {Rooms: 1, People: 2}: state} {
		if got := kinds.Occupancy(s); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
