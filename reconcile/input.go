package reconcile

import (
	"cmp"
	"slices"
	"time"
)

// Stamp is a moment on one node's monotonic clock, in nanoseconds and strictly increasing within the node. Stamps order
// events against polls; they never leave the node.
type Stamp int64

// Moment is when an input is applied. The wall clock is what gets written; the stamp is what gets compared.
type Moment struct {
	Wall  int64 // Unix ms
	Stamp Stamp
}

// Input is an Event or a Look.
type Input interface{ isInput() }

// EventKind is what a webhook reports.
type EventKind int

// The kinds of events that concern a room. Track stands for all events that only mention a participant.
const (
	Started EventKind = iota + 1
	Finished
	Joined
	Left
	Aborted
	Track
)

// String returns LiveKit's name of the event; Track, which stands for several, is "track".
func (k EventKind) String() string {
	switch k {
	case Started:
		return "room_started"
	case Finished:
		return "room_finished"
	case Joined:
		return "participant_joined"
	case Left:
		return "participant_left"
	case Aborted:
		return "participant_connection_aborted"
	case Track:
		return "track"
	}
	return "other"
}

// Event is one verified webhook.
type Event struct {
	ID          string
	Kind        EventKind
	CreatedAt   int64 // Unix seconds, as LiveKit sends it
	Expires     int64 // Unix ms: when the delivery's token expires; 0 for never
	Room        RoomInfo
	Participant Participant // for Joined, Left, Aborted, Track
	// Reason is LiveKit's DisconnectReason by name, such as CLIENT_INITIATED, for Left and Aborted; empty for none.
	Reason string
}

func (Event) isInput() {}

// Look is one answer of LiveKit about one room: ListRooms and ListParticipants. A failed call is never taken as an answer.
type Look struct {
	Began Stamp // before the first of its calls, on this node
	// Listed holds the instances of the room that ListRooms has, in any order. It is empty if ListRooms does not have the room.
	Listed []RoomInfo
	// Unreadable reports whether ListRooms has the room, or may have it, in an entry that cannot be read. Then the room is not absent.
	Unreadable   bool
	Participants []Participant
	// Protected holds the sids that ListParticipants has in entries that cannot be used. They are not absent.
	Protected []string
	// Unidentified reports whether ListParticipants has an entry whose sid cannot be read. Then nobody is absent, for up to
	// UnidentifiedCycles cycles in a row.
	Unidentified bool
	// Waiting counts the participants that ListParticipants shows as not ACTIVE. They are not present but keep a room alive.
	Waiting int
	// Cycle is the id of the sync cycle, or 0 for a poll that an event asked for.
	Cycle     uint64
	Scheduled bool    // the cycle counts towards the breaker's three
	Cause     Cause   // Sync or Cleanup
	Permit    *Permit // in round 2: allows absences to be removed
	// Named holds the sids that this look may remove without a permit, because an event named them.
	Named []string
	// First reports whether the look is the first of a poll that an event asked for. It agrees with no earlier look, since it has no Lag.
	First bool
	// Lag is how far LiveKit's lists may lag behind its events. The look does not contradict what an event reported within that time
	// before the look began. Lag is 0 for the first look of a poll that an event asked for, and if the protection is switched off.
	Lag time.Duration
	// Verify is how much of Redis to compare with the record, even when nothing changes.
	Verify Verification
}

func (Look) isInput() {}

// Room returns the instance that counts, or nil if ListRooms does not list the room. The newest by creation counts. Among instances
// of equal age the one with the sid held counts, and without it the one with the greatest sid, so that the order of the list never matters.
func (l Look) Room(held string) *RoomInfo {
	if len(l.Listed) == 0 {
		return nil
	}
	newest := slices.MaxFunc(l.Listed, func(a, b RoomInfo) int {
		return cmp.Or(cmp.Compare(a.CreatedMs, b.CreatedMs), prefer(a.SID == held, b.SID == held), cmp.Compare(a.SID, b.SID))
	})
	return &newest
}

func prefer(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Permit is a leader's permission to remove what stayed absent.
type Permit struct {
	Leader Token
	Cycle  uint64 // a room that took no first look in this cycle removes nothing
	Streak int    // minimum number of scheduled cycles in a row that found the absence; with 0 or 1 this cycle suffices
}

// Cause is why a commit happened, as the change feed names it.
type Cause string

// The causes, as docs/api.md names them.
const (
	ByWebhook Cause = "webhook"
	BySync    Cause = "sync"
	ByCleanup Cause = "cleanup"
)

// Causes returns all causes.
func Causes() []Cause { return []Cause{ByWebhook, BySync, ByCleanup} }
