package reconcile

import (
	"cmp"
	"slices"
	"time"
)

// Stamp is a moment on one node's monotonic clock, in nanoseconds and strictly increasing within the node. Stamps order
// events against polls; they never leave the node.
type Stamp int64

// Moment is when an input is evaluated: the wall clock for what is written, the stamp for what is compared.
type Moment struct {
	Wall  int64 // Unix ms
	Stamp Stamp
}

// Input is an Event or a Look.
type Input interface{ isInput() }

// EventKind is what a webhook tells of.
type EventKind int

// The kinds of events that concern a room. Track stands for all that only mention a participant.
const (
	Started EventKind = iota + 1
	Finished
	Joined
	Left
	Aborted
	Track
)

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

// Look is one successful look at LiveKit: ListRooms and ListParticipants of this room. A failed call is no look.
type Look struct {
	Began Stamp // before the first of its calls, on this node
	// Listed are the instances of the room that ListRooms has, in any order; empty when it does not list the room.
	Listed []RoomInfo
	// Unreadable says that ListRooms has the room, or may have it, in an entry that cannot be read: it is not absent.
	Unreadable   bool
	Participants []Participant
	// Protected are sids that ListParticipants has in entries that cannot be used: they are not absent.
	Protected []string
	// Unidentified says that ListParticipants has an entry whose sid cannot be read. For UnidentifiedCycles nobody is absent.
	Unidentified bool
	// Waiting counts participants that ListParticipants shows as not ACTIVE; they are not present but keep a room alive.
	Waiting int
	// Cycle is the sync's id; 0 for a poll that an event asked for.
	Cycle     uint64
	Scheduled bool    // the cycle counts towards the breaker's three
	Cause     Cause   // Sync or Cleanup
	Permit    *Permit // in round 2: lets absences be removed
	// Named are the sids that this look may remove without a permit, because an event named them.
	Named []string
	// Lag is how far LiveKit's lists may lag behind its events: the look does not contradict what an event told within that time before
	// it began. 0 for a poll that an event asked for, and where the protection is switched off.
	Lag time.Duration
	// Verify asks to compare Redis with the record even when nothing changes.
	Verify bool
}

func (Look) isInput() {}

// Room gives the instance that counts: the newest by creation, of equal ones the one with the sid held. Among others of equal age the
// sid decides, so that the order of the list never does. It is nil when ListRooms does not list the room.
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

// Permit is a leader's leave to remove what stayed absent.
type Permit struct {
	Leader Token
	Cycle  uint64 // a room that took no first look in this cycle removes nothing
	Streak int    // least number of scheduled cycles in a row for which the absence stood; 0 or 1: this one suffices
}

// Cause is why a commit happened, as the change feed names it.
type Cause string

// The causes of CONTRACT.md.
const (
	ByWebhook Cause = "webhook"
	BySync    Cause = "sync"
	ByCleanup Cause = "cleanup"
)
