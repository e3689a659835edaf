package actors

import (
	"slices"

	"github.com/rollcallhq/rollcall/reconcile"
)

// breakerFloor is the number of removals that the breaker always lets through.
const breakerFloor = 10

// verdict is what the breaker says of a cycle's absences.
type verdict struct {
	held   *Held
	permit bool
	streak int      // for the permit: least number of agreeing scheduled cycles
	rooms  []string // for the permit
}

// judge decides which absences of round 1 may be removed. More than half and more than ten, of rooms or of participants,
// are held until three scheduled cycles agree, or force. cycles have held in a row before this one.
func judge(f Findings, o Options, cycles int) verdict {
	t := f.Tally
	trips := exceeds(t.MissingRooms, t.Rooms) || exceeds(t.MissingParticipants, t.Participants)
	if !trips || o.Force {
		return verdict{permit: len(f.Missing) > 0, rooms: f.Missing}
	}
	v := verdict{streak: reconcile.AgreeCycles, permit: len(f.Agreed) > 0, rooms: f.Agreed}
	if o.Scheduled {
		cycles++
	}
	waiting := Held{Rooms: t.MissingRooms - t.AgreedRooms, Participants: t.MissingParticipants - t.AgreedParticipants, Cycles: cycles}
	if waiting.Rooms+waiting.Participants > 0 {
		v.held = &waiting
	}
	return v
}

// spare takes rooms out of the permit.
func (v verdict) spare(sheltered func(room string) bool) verdict {
	if sheltered != nil {
		v.rooms = slices.DeleteFunc(slices.Clone(v.rooms), sheltered)
		v.permit = v.permit && len(v.rooms) > 0
	}
	return v
}

func exceeds(missing, of int) bool { return missing > breakerFloor && 2*missing > of }
