package reconcile

import "errors"

// ErrNoAnswer is LiveKit's own word that nobody answers for a room: its node is gone, or the room is. It is no look.
var ErrNoAnswer = errors.New("LiveKit has no answer for the room")

// ErrNoTurn is a question to LiveKit that was not asked in time, because the request budget had no turn for it or LiveKit refused it for
// its own limit. Nothing has failed.
var ErrNoTurn = errors.New("no turn in LiveKit's request budget in time")

// ErrIncomplete comes with a list of the store's that lacks the rooms of some shards of a Redis Cluster. Its text names the shard.
var ErrIncomplete = errors.New("not all of Redis answers")

// RoomNames is LiveKit's list of all rooms, by name only: it may be large, and what it says of a room is asked for by name.
type RoomNames struct {
	// Names are the rooms whose name can be read, also where the rest of their entry cannot.
	Names []string
	// Unnamed counts the rooms whose name cannot be read. Any room that is not in Names may be one of them.
	Unnamed int
	// Cut says that the list goes on beyond what is read: rooms that are not in Names may be in LiveKit.
	Cut bool
	PassedOver
}

// RoomList is LiveKit's answer to a question for rooms by name.
type RoomList struct {
	// Rooms are the instances of each name that LiveKit lists, in any order. Those that are older than another one may be left out.
	Rooms map[string][]RoomInfo
	// Unreadable are the rooms that LiveKit lists, or may list, in an entry that cannot be read.
	Unreadable map[string]bool
	PassedOver
}

// In fills in what the list says of a room.
func (l RoomList) In(look Look, room string) Look {
	look.Listed, look.Unreadable = l.Rooms[room], l.Unreadable[room]
	return look
}

// ParticipantList is LiveKit's answer to a question for the participants of one room.
type ParticipantList struct {
	// Active are those that are present.
	Active []Participant
	// Waiting counts those that are on the way in, and entries that cannot be read: they keep the room alive.
	Waiting int
	// Protected are the sids of entries whose other fields cannot be used.
	Protected []string
	// Unidentified counts the entries whose sid cannot be read.
	Unidentified int
	// NoRoom says that LiveKit itself answered that it has no such room.
	NoRoom bool
	PassedOver
}

// In fills in what the list says of the room's participants.
func (l ParticipantList) In(look Look) Look {
	look.Participants, look.Waiting = l.Active, l.Waiting
	look.Protected, look.Unidentified = l.Protected, l.Unidentified > 0
	return look
}

// PassedOver counts the entries of a list that cannot be used. They do not fail the list.
type PassedOver struct {
	Count int
	// First describes the first of them, for people.
	First string
}

// Add counts the entries of another list as well.
func (p *PassedOver) Add(other PassedOver) {
	p.Count += other.Count
	if p.First == "" {
		p.First = other.First
	}
}
