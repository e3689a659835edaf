package actors

import (
	"slices"

	"github.com/rollcallhq/rollcall/reconcile"
)

// breakerFloor is the number of removals that the breaker always lets through.
const breakerFloor = 10

// verdict is the breaker's decision on a cycle's absences.
type verdict struct {
	held   *reconcile.Held
	permit bool
	streak int      // for the permit: minimum number of agreeing scheduled cycles
	rooms  []string // for the permit
}

// judge decides which absences of round 1 may be removed. If more than half and more than ten of the rooms or of the
// participants are missing, they are held until three scheduled cycles agree or the sync is forced. cycles is how many
// scheduled cycles in a row have held before this one.
func judge(f Findings, o reconcile.Options, cycles int) verdict {
	t := f.Tally
	trips := exceeds(t.MissingRooms, t.Rooms) || exceeds(t.MissingParticipants, t.Participants)
	if !trips || o.Force {
		return verdict{permit: len(f.Missing) > 0, rooms: f.Missing}
	}
	v := verdict{streak: reconcile.AgreeCycles, permit: len(f.Agreed) > 0, rooms: f.Agreed}
	if o.Scheduled {
		cycles++
	}
	waiting := reconcile.Held{Rooms: t.MissingRooms - t.AgreedRooms, Participants: t.MissingParticipants - t.AgreedParticipants, Cycles: cycles}
	if waiting.Rooms+waiting.Participants > 0 {
		v.held = &waiting
	}
	return v
}

// spare removes the sheltered rooms from the permit.
func (v verdict) spare(sheltered func(room string) bool) verdict {
	if sheltered != nil {
		v.rooms = slices.DeleteFunc(slices.Clone(v.rooms), sheltered)
		v.permit = v.permit && len(v.rooms) > 0
	}
	return v
}

func exceeds(missing, of int) bool { return missing > breakerFloor && 2*missing > of }
