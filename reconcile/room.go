package reconcile

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// LookGap is how far apart two looks must be at the least to count as two.
const LookGap = Stamp(500 * time.Millisecond)

// MaxLag bounds a Look's Lag. What events tell is remembered for longer.
const MaxLag = 90 * time.Second

// AgreeCycles is how many scheduled cycles must agree on an absence that the breaker holds.
const AgreeCycles = 3

// UnidentifiedCycles is for how many cycles in a row an entry whose sid cannot be read protects a room's participants.
const UnidentifiedCycles = 3

// memory is what a room holds between inputs and Redis does not. It dies with the claim.
type memory struct {
	touched []touch // the latest event of each identity and of the room itself; a slice, since most rooms have few and are idle
	doubts  map[finding]doubt
	// restarted is the latest createdAt, in Unix seconds, of a room_started that was not its instance's first.
	restarted int64
	// unidentifiedIn is the last of the cycles in a row, unidentified of them, whose looks had an entry without a readable sid.
	unidentifiedIn uint64
	// told has the sids whose join or end an event told, by time; toldRoom and toldRoomAt are the same of the instance.
	told       []toldAt
	toldRoom   string
	toldRoomAt Stamp
	// before is when, at the latest, an event changed the room under an earlier claim, where touchedBefore says that one did.
	before        Stamp
	touchedBefore bool
	unidentified  uint16
	// events are the ids of the last events that were committed, at most eventMemory, oldest first.
	events []string
}

// touch is when an event concerned an identity, or "" for the room itself.
type touch struct {
	identity string
	at       Stamp
}

// eventMemory is how many event ids a room remembers.
const eventMemory = 64

// delivered tells whether the event of that id is one of the last that were committed. An event without an id never is.
func (m *memory) delivered(id string) bool { return id != "" && slices.Contains(m.events, id) }

// deliver remembers a committed event's id.
func (m *memory) deliver(id string) {
	if id == "" || m.delivered(id) {
		return
	}
	if len(m.events) == eventMemory {
		m.events = m.events[:copy(m.events, m.events[1:])]
	}
	m.events = append(m.events, id)
}

// forget drops touches that no look still under way can have begun before, and what was told longer ago than any lag.
func (m *memory) forget(at Stamp) {
	m.touched = slices.DeleteFunc(m.touched, func(t touch) bool { return at-t.at > touchMemory })
	if len(m.touched) == 0 {
		m.touched = nil
	}
	m.told = slices.DeleteFunc(m.told, func(t toldAt) bool { return at-t.at > touchMemory })
	if len(m.told) == 0 {
		m.told = nil
	}
}

// Room is a room as its owner holds it: the record, and what is remembered between looks.
type Room struct {
	Record
	// Stored is the version in Redis. It is lower than Version only after Redis lost what this owner wrote.
	Stored uint64
	// Snapshot says that the next commit of the public keys begins the change feed anew.
	Snapshot bool
	// Unproven says that nobody knows whether Redis was set back to an older copy before this claim: whoever held the room under the
	// claim before is gone. The next commit of the public keys ends with a snapshot, because its version may be one that a
	// consumer of the change feed has seen with other content.
	Unproven bool
	memory   memory
}

// lost tells whether Redis holds less than what this owner wrote.
func (r *Room) lost() bool { return r.Stored < r.Version }

// mishap is what became of the keys since this owner wrote them, or "".
func (r *Room) mishap() Reason {
	switch {
	case r.lost():
		return LostWrite
	case r.Altered:
		return ForeignChange
	}
	return ""
}

// findingKind is what a look doubts.
type findingKind int

const (
	absent    findingKind = iota + 1 // a stored sid (or, with sid "", the room) that LiveKit does not show
	revived                          // a sid that LiveKit shows and the record refuses
	reordered                        // a room sid that LiveKit lists and the record holds for older or finished
)

type finding struct {
	kind     findingKind
	sid      string
	identity string // "" for the room's own
}

// doubt is a finding that waits for a second look.
type doubt struct {
	since  Stamp  // when the first of the agreeing looks began
	cycle  uint64 // the last cycle whose first look agreed
	streak int    // scheduled cycles in a row that agreed
}

func byJoin(a, b *Member) int {
	return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), strings.Compare(a.Identity, b.Identity), strings.Compare(a.SID, b.SID))
}
