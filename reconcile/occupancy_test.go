package reconcile

import (
	"math/rand/v2"
	"testing"
)

func TestOccupancyOfARoom(t *testing.T) {
	kinds := Kinds{"STANDARD": true, "SIP": true}
	member := func(kind string, hidden bool) *Member { return NewMember(Participant{Kind: kind, Hidden: hidden}) }
	state := &State{Roster: []*Member{member("STANDARD", false), member("SIP", false), member("AGENT", false), member("EGRESS", false), member("STANDARD", true)}}
	for want, s := range map[Occupancy]*State{{}: nil, {Rooms: 1}: {}, {Rooms: 1, People: 2}: state} {
		if got := kinds.OccupancyChange(nil, s); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestOccupancyChanges counts rooms of members that come, go, change and move, and compares that with their members counted anew each time.
func TestOccupancyChanges(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names, kinds := []string{"STANDARD", "SIP", "AGENT"}, Kinds{"STANDARD": true, "SIP": true}
	var all []*Member
	for i := range 6 {
		all = append(all, NewMember(Participant{Kind: names[i%3], Hidden: i == 0}))
	}
	var is *State
	var counted Occupancy
	for range 10_000 {
		was := is
		if is = nil; random.IntN(4) > 0 {
			is = &State{}
			for range random.IntN(6) {
				is.Roster = append(is.Roster, all[random.IntN(len(all))])
			}
		}
		grows := kinds.OccupancyChange(was, is)
		counted.Rooms, counted.People = counted.Rooms+grows.Rooms, counted.People+grows.People
		want := Occupancy{}
		if is != nil {
			want.Rooms = 1
			for _, m := range is.Roster {
				if kinds.Counts(&m.Participant) {
					want.People++
				}
			}
		}
		if counted != want {
			t.Fatalf("%+v, want %+v", counted, want)
		}
	}
}
