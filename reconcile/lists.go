package reconcile

import "errors"

// ErrNoAnswer means that LiveKit itself says that nobody answers for a room: the room's node is gone, or the room is. It is never
// taken as an answer about the room.
var ErrNoAnswer = errors.New("LiveKit has no answer for the room")

// ErrNoTurn means that LiveKit was not asked in time: the request budget had no turn for the request, or LiveKit refused it because of
// LiveKit's own limit. Nothing has failed.
var ErrNoTurn = errors.New("no turn in LiveKit's request budget in time")

// ErrRefused means that LiveKit refused a request because of its key or grants.
var ErrRefused = errors.New("LiveKit refuses the API key (compare key and secret with LiveKit's, and the clocks)")

// ErrIncomplete comes with a list from the store that lacks the rooms of some shards of a Redis Cluster. The wrapping error names the shard.
var ErrIncomplete = errors.New("not all of Redis answers")

// RoomNames is LiveKit's list of all rooms, by name only. The list may be large, so the details of rooms are requested by name.
type RoomNames struct {
	// Names holds the names that can be read, even if the rest of the entry cannot.
	Names []string
	// Unnamed counts the rooms whose name cannot be read. Any room that is not in Names may be one of them.
	Unnamed int
	// Cut reports whether the list is longer than what was read. Then rooms that are not in Names may be in LiveKit.
	Cut bool
	PassedOver
}

// RoomList is LiveKit's answer to a request for rooms by name.
type RoomList struct {
	// Rooms holds the instances that LiveKit lists, by room name and in any order. Instances older than another one may be left out.
	Rooms map[string][]RoomInfo
	// Unreadable holds the rooms that LiveKit lists, or may list, in an entry that cannot be read.
	Unreadable map[string]bool
	PassedOver
}

// In returns look with what the list says about a room.
func (l RoomList) In(look Look, room string) Look {
	look.Listed, look.Unreadable = l.Rooms[room], l.Unreadable[room]
	return look
}

// ParticipantList is LiveKit's answer to a request for the participants of one room.
type ParticipantList struct {
	// Active holds the participants that are present.
	Active []Participant
	// Waiting counts the participants that are still connecting and the entries that cannot be read. Both keep the room alive.
	Waiting int
	// Protected holds the sids of entries whose other fields cannot be used.
	Protected []string
	// Unidentified counts the entries whose sid cannot be read.
	Unidentified int
	// NoRoom reports whether LiveKit itself answered that it has no such room.
	NoRoom bool
	PassedOver
}

// In returns look with what the list says about the room's participants.
func (l ParticipantList) In(look Look) Look {
	look.Participants, look.Waiting = l.Active, l.Waiting
	look.Protected, look.Unidentified = l.Protected, l.Unidentified > 0
	return look
}

// PassedOver counts the entries of a list that cannot be used. They do not fail the list.
type PassedOver struct {
	Count int
	// First describes the first of them in words for people.
	First string
}

// Add adds the entries of another list to the count.
func (p *PassedOver) Add(other PassedOver) {
	p.Count += other.Count
	if p.First == "" {
		p.First = other.First
	}
}
