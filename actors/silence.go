package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// A room that LiveKit does not list and has no answer for counts as absent after silentCycles scheduled cycles in a row, over at
// least silentFor. LiveKit must have answered for other rooms in each of these cycles.
const (
	silentCycles = 10
	silentFor    = 5 * time.Minute
)

var (
	// errUnanswered means that ListRooms lacks a room and that LiveKit itself has no answer for it. It is never taken as an answer.
	errUnanswered = errors.New("LiveKit does not list the room, and has no answer for it")
	errContrary   = errors.New("LiveKit lists the room, and says that it has none of this name")
)

// participants asks LiveKit who is in a room. look holds what ListRooms, called just before, has of the room. If ListRooms lacks the room,
// LiveKit's answer that there is no such room is an empty list. If silentForLong is set, so is LiveKit's silence; then silent is true.
func (h *Host) participants(ctx context.Context, room string, look reconcile.Look, silentForLong bool) (list reconcile.ParticipantList, silent bool, err error) {
	list, err = h.livekit.Participants(ctx, room)
	lacked := len(look.Listed) == 0 && !look.Unreadable
	switch {
	case err == nil && list.NoRoom && !lacked:
		return list, false, errContrary
	case !lacked || !errors.Is(err, reconcile.ErrNoAnswer):
		return list, false, err
	case silentForLong:
		return reconcile.ParticipantList{}, true, nil
	}
	return list, false, fmt.Errorf("%w: %w", errUnanswered, err)
}

// silence records since when, and for how many scheduled cycles in a row, a room has been unanswered.
type silence struct {
	since  time.Time
	cycles int
}

// silences are the unanswered rooms of the cycles that one leader ran.
type silences struct {
	leader reconcile.Token
	rooms  map[string]silence
}

// long returns the rooms that have been unanswered for long enough at now, sorted.
func (s *silences) long(leader reconcile.Token, now time.Time) (rooms []string) {
	if s.leader != leader {
		return nil
	}
	for room, was := range s.rooms {
		if was.cycles >= silentCycles && now.Sub(was.since) >= silentFor {
			rooms = append(rooms, room)
		}
	}
	slices.Sort(rooms)
	return rooms
}

// note records round 1 of a cycle that began at that time. It reports whether LiveKit answered for other rooms: if it did not, the silence
// of the rest may be an outage.
func (s *silences) note(b Batch, f Findings, began time.Time) (answered bool) {
	counted := 0
	for _, room := range f.Unanswered {
		if _, long := slices.BinarySearch(b.Unanswered, room); long {
			counted++ // its silence counted as an answer
		}
	}
	answered = f.Examined > counted
	if !b.Scheduled {
		return answered
	}
	before := s.rooms
	if s.leader != b.Leader {
		before = nil
	}
	s.leader, s.rooms = b.Leader, nil
	if !answered || len(f.Unanswered) == 0 {
		return answered
	}
	s.rooms = make(map[string]silence, len(f.Unanswered))
	for _, room := range f.Unanswered {
		was, ok := before[room]
		if !ok {
			was.since = began
		}
		was.cycles++
		s.rooms[room] = was
	}
	return answered
}
