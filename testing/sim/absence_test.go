package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// TestNotFoundIsAbsence checks a room that has ended without a webhook: LiveKit Cloud answers not_found for it.
func TestNotFoundIsAbsence(t *testing.T) {
	inStand(t, fakelivekit.Options{Seed: 1, NoRoom: twirp.NotFound}, livekit.Options{}, 1, func(s *stand) {
		s.populate(2)
		s.sync()
		s.fake.DeleteRoom("room-0000")
		if r := s.sync(); s.has("room-0000") || r.Errors != 0 || r.Cleaned != 1 || !s.has("room-0001") {
			t.Errorf("after a sync: %+v", r)
		}
	})
}

// TestNotFoundOfAListedRoomIsNoLook checks that not_found for a listed room counts as no answer, because the two answers
// contradict each other.
func TestNotFoundOfAListedRoomIsNoLook(t *testing.T) {
	inStand(t, fakelivekit.Options{Seed: 1}, livekit.Options{}, 1, func(s *stand) {
		s.populate(2)
		s.sync()
		s.fake.SetAPIFault(func(c fakelivekit.Call) fakelivekit.APIFault {
			if c.Room == "room-0000" {
				return fakelivekit.APIFault{Code: twirp.NotFound}
			}
			return fakelivekit.APIFault{}
		})
		for range 4 {
			if r := s.sync(); r.Errors != 1 || r.Changed+r.Cleaned != 0 {
				t.Errorf("%+v", r)
			}
		}
	})
}

// cycles runs n scheduled syncs at their interval.
func (s *stand) cycles(n int) {
	s.Helper()
	for range n {
		began := time.Now()
		s.sync()
		time.Sleep(time.Until(began.Add(30 * time.Second)))
	}
}

// TestSilenceBecomesAbsence checks LiveKit's option enable_psrpc_for_get_list_participants, with which a room that has ended is
// never answered for.
func TestSilenceBecomesAbsence(t *testing.T) {
	inStand(t, fakelivekit.Options{Seed: 1, NoRoom: twirp.Unavailable}, livekit.Options{}, 1, func(s *stand) {
		s.populate(3)
		s.sync()
		s.fake.DeleteRoom("room-0000")
		s.cycles(silentCycles)
		if !s.has("room-0000") {
			t.Errorf("gone after %d cycles in less than 5 min", silentCycles)
		}
		if r := s.sync(); s.has("room-0000") || r.Cleaned != 1 || r.Errors != 0 || !s.has("room-0001") || !s.has("room-0002") {
			t.Errorf("after 10 cycles and 5 min: %+v", r)
		}
	})
}

// silentCycles has the same value as in package actors.
const silentCycles = 10

// TestSilenceForEveryRoomIsAnOutage checks that silence for every room removes nothing, even if other rooms had been answered for
// a long time before.
func TestSilenceForEveryRoomIsAnOutage(t *testing.T) {
	inStand(t, fakelivekit.Options{Seed: 1, NoRoom: twirp.Unavailable}, livekit.Options{}, 1, func(s *stand) {
		s.populate(2)
		s.sync()
		s.fake.DeleteRoom("room-0000")
		s.cycles(silentCycles)
		s.fake.SetAPIFault(func(c fakelivekit.Call) fakelivekit.APIFault {
			if c.Method == "ListParticipants" {
				return fakelivekit.APIFault{Code: twirp.Unavailable}
			}
			return fakelivekit.APIFault{}
		})
		s.cycles(3)
		if !s.has("room-0000") || !s.has("room-0001") {
			t.Error("an outage removes")
		}
		s.fake.SetAPIFault(nil)
		if s.cycles(silentCycles); !s.has("room-0000") {
			t.Error("the cycles from before the outage count")
		}
		if s.sync(); s.has("room-0000") {
			t.Error("the room stays for ever")
		}
	})
}

// TestSilenceOfAListedRoomIsNoAbsence checks that silence for a listed room removes nothing: its node may be restarting.
func TestSilenceOfAListedRoomIsNoAbsence(t *testing.T) {
	inStand(t, fakelivekit.Options{Seed: 1}, livekit.Options{}, 1, func(s *stand) {
		s.populate(2)
		s.sync()
		s.fake.SetAPIFault(func(c fakelivekit.Call) fakelivekit.APIFault {
			if c.Room == "room-0000" {
				return fakelivekit.APIFault{Code: twirp.Unavailable}
			}
			return fakelivekit.APIFault{}
		})
		if s.cycles(2 * silentCycles); !s.has("room-0000") {
			t.Error("a listed room is removed")
		}
	})
}

// TestSilenceOfManyRoomsIsUnderTheBreaker checks that the circuit breaker holds more than half and more than ten silent rooms, as
// it does for any absence.
func TestSilenceOfManyRoomsIsUnderTheBreaker(t *testing.T) {
	inStand(t, fakelivekit.Options{Seed: 1, NoRoom: twirp.Unavailable}, livekit.Options{}, 1, func(s *stand) {
		s.populate(13)
		s.sync()
		for i := range 12 {
			s.fake.DeleteRoom(fmt.Sprintf("room-%04d", i))
		}
		s.cycles(silentCycles)
		if r := s.sync(); s.live() != 13 || r.Held == nil || r.Held.Rooms != 12 {
			t.Errorf("%d rooms, held %+v", s.live(), r.Held)
		}
		if s.cycles(3); s.live() != 1 {
			t.Errorf("%d rooms after three more cycles that agree", s.live())
		}
	})
}
