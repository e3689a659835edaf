package reconcile

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// LookGap is the minimum time between the beginnings of two looks that count as two.
const LookGap = Stamp(500 * time.Millisecond)

// MaxLag is the maximum of a Look's Lag. What events report is remembered for longer.
const MaxLag = 90 * time.Second

// AgreeCycles is how many scheduled cycles must agree on an absence that the breaker holds.
const AgreeCycles = 3

// UnidentifiedCycles is the number of cycles in a row in which an entry whose sid cannot be read protects a room's participants.
const UnidentifiedCycles = 3

// memory is what a room keeps between inputs but not in Redis. It is lost with the claim.
type memory struct {
	touched []touch // the latest event of each identity and of the room itself, by time; a slice, since most rooms have few and are idle
	pending map[finding]pending
	// restarted is the latest createdAt, in Unix seconds, of a room_started that was not its instance's first.
	restarted int64
	// unidentified counts the cycles in a row whose looks had an entry without a readable sid. unidentifiedIn is the last of them.
	unidentifiedIn uint64
	// reported holds the sids whose join or end an event reported, by time. reportedRoom and reportedRoomAt are the same for the instance.
	reported       []reportedSid
	reportedRoom   string
	reportedRoomAt Stamp
	// before is the latest time at which an event may have changed the room under an earlier claim. It counts only with touchedBefore,
	// which reports whether an event did so.
	before        Stamp
	touchedBefore bool
	unidentified  uint16
	// events holds the last events that were committed, at most eventMemory, oldest first.
	events []eventKey
}

// touch is when an event concerned an identity, or "" for the room itself.
type touch struct {
	identity string
	at       Stamp
}

// eventMemory is how many event ids a room remembers.
const eventMemory = 64

// eventKey stands for an event's id. It is the id itself if that is short, as LiveKit's are, and a digest of it otherwise. Every webhook is
// compared with all the keys of its room: they lie side by side in memory, unlike strings.
type eventKey [2]uint64

func keyOf(id string) eventKey {
	var b [16]byte
	if len(id) < len(b) {
		b[15] = byte(copy(b[:15], id))
	} else {
		sum := sha256.Sum256([]byte(id))
		copy(b[:15], sum[:])
		b[15] = 255 // no short id has this length
	}
	return eventKey{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

// delivered reports whether the event with that id is one of the last that were committed. An event without an id never is.
func (m *memory) delivered(id string) bool { return id != "" && slices.Contains(m.events, keyOf(id)) }

// deliver remembers a committed event's id.
func (m *memory) deliver(id string) {
	if id == "" || m.delivered(id) {
		return
	}
	if len(m.events) == eventMemory {
		m.events = m.events[:copy(m.events, m.events[1:])]
	}
	m.events = append(m.events, keyOf(id))
}

// forget drops the touches before which no running look can have begun, and the reports that are older than any lag.
func (m *memory) forget(at Stamp) {
	m.touched = dropOldest(m.touched, func(t touch) bool { return at-t.at <= touchMemory })
	m.reported = dropOldest(m.reported, func(t reportedSid) bool { return at-t.at <= touchMemory })
}

// dropOldest drops what comes before the first entry to keep, from a list that is ordered by time. An empty list becomes nil, so that an idle
// room is small.
func dropOldest[E any](list []E, keep func(E) bool) []E {
	first := slices.IndexFunc(list, keep)
	if first < 0 {
		return nil
	}
	return slices.Delete(list, 0, first)
}

// Room is a room as its owner holds it: the record, and what is remembered between looks.
type Room struct {
	Record
	// Stored is the version in Redis. It is lower than Version only after Redis lost what this owner wrote.
	Stored uint64
	// Snapshot reports whether the next commit of the public keys restarts the change feed with a snapshot.
	Snapshot bool
	// Unproven reports whether Redis may have been set back to an older copy before this claim. Nobody knows, because the owner under
	// the previous claim is gone. The next commit of the public keys ends with a snapshot, because its version may be one that a
	// consumer of the change feed has seen with other content.
	Unproven bool
	memory   memory
}

// lost reports whether Redis holds less than what this owner wrote.
func (r *Room) lost() bool { return r.Stored < r.Version }

// drift returns what has happened to the keys since this owner wrote them, or "" for nothing.
func (r *Room) drift() Reason {
	switch {
	case r.lost():
		return LostWrite
	case r.Altered:
		return ForeignChange
	}
	return ""
}

// findingKind is how a look contradicts the record.
type findingKind int

const (
	absent    findingKind = iota + 1 // a stored sid (or, with sid "", the room) that LiveKit does not show
	revived                          // a sid that LiveKit shows and the record refuses
	reordered                        // a room sid that LiveKit lists and the record considers older or finished
)

type finding struct {
	kind     findingKind
	sid      string
	identity string // "" for the room itself
}

// pending is a finding that waits for a second look.
type pending struct {
	since  Stamp  // when the first of the agreeing looks began
	cycle  uint64 // the last cycle whose first look agreed
	streak int    // scheduled cycles in a row that agreed
}

func byJoin(a, b *Member) int {
	return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), strings.Compare(a.Identity, b.Identity), strings.Compare(a.SID, b.SID))
}
