package reconcile

// ChangeType is the type of a change feed entry.
type ChangeType string

// The change feed's types.
const (
	ParticipantJoined  ChangeType = "participant_joined"
	ParticipantLeft    ChangeType = "participant_left"
	ParticipantUpdated ChangeType = "participant_updated"
	RoomStarted        ChangeType = "room_started"
	RoomUpdated        ChangeType = "room_updated"
	RoomFinished       ChangeType = "room_finished"
	RoomSnapshot       ChangeType = "room_snapshot"
)

// Change is one difference that readers of the public keys see.
type Change struct {
	Type   ChangeType
	Member *Member // nil for the room's own changes
	SID    string  // the participant's, or the room's
	Reason Reason  // of a look's changes; empty for what an event told
	// Disconnect and LeftAt are a ParticipantLeft's: LiveKit's DisconnectReason by name, UnknownReason where it gave none, and
	// when the participant left, in Unix ms. LiveKit tells a leave to the second; without its word, LeftAt is when a newer
	// participant or room began, or the first look that did not show the participant. It is never before the join.
	Disconnect string
	LeftAt     int64
}

// UnknownReason is the DisconnectReason of a participant for whom LiveKit gave none.
const UnknownReason = "UNKNOWN_REASON"

// identity is the participant's, or "".
func (c Change) identity() string {
	if c.Member == nil {
		return ""
	}
	return c.Member.Identity
}

// joinedAt is when the participant joined, in Unix ms, or 0.
func (c Change) joinedAt() int64 {
	if c.Member == nil {
		return 0
	}
	return c.Member.JoinedAt
}

// Reason is a kind of drift that a poll repaired.
type Reason string

// The reasons for drift. A ghost is a participant whose room is gone; a missed leave one whose room goes on.
const (
	MissedJoin    Reason = "missed join"
	MissedLeave   Reason = "missed leave"
	Ghost         Reason = "ghost"
	StaleMetadata Reason = "stale metadata"
	UnseenRoom    Reason = "unseen room"
	UnseenFinish  Reason = "unseen finish"
	LostWrite     Reason = "lost write"
	ForeignChange Reason = "foreign change"
)

// Drift is one difference between Redis and LiveKit that a look found.
type Drift struct {
	Reason        Reason
	Identity, SID string // the participant's; for the room's own no identity, and the room's sid
	// Since is since when, in Unix ms, the truth is known to be other than what Redis held: for whom or what came, the time
	// that LiveKit gives it; for whom or what went, the first look that did not show it, which is later than the truth.
	// 0 where nothing tells: changed metadata, lost writes, foreign changes.
	Since int64
}

// PublicOp is what a commit does to the two public keys.
type PublicOp int

// What a commit does to the public keys.
const (
	Keep   PublicOp = iota // leave them
	Write                  // set both
	Remove                 // delete both
)

// Commit is one room's write, whole or refused. A Commit whose Version equals Expect changes nothing: it checks that
// claim and version still stand.
type Commit struct {
	Room            string
	Claim           Claim
	Leader          Token  // of the permit that the look carried; zero without one
	Expect, Version uint64 // the stored version it was computed from, and its own
	Instance        Instance
	ConfirmedAt     int64 // Unix ms
	Bury            []Tombstone
	Exhume          []string // sids whose tombstone goes
	Prune           bool     // drop tombstones past their time, by Redis' clock
	Public          PublicOp
	State           *State   // with Write
	Changes         []Change // for the change feed; empty when the keys stay
	Story           []Change // for the timeline: the differences themselves, also where the feed gets a snapshot
	Event           string   // id of the event that it was computed from; empty for a look
	Prev            uint64   // version of the last commit that appended
	Cause           Cause
	Time            int64 // Unix ms
	Verify          bool  // also compare the public keys with what the record wrote, and put a room that has them on the index
}

// Receipt is what a commit that was not refused reports.
type Receipt struct {
	Now     int64    // Redis' clock, Unix s
	Altered bool     // with Verify: the public keys are not what the record wrote
	Pruned  []string // sids of the tombstones that went
}

// Refusal is why Redis refused a commit or a claim. It is an error.
type Refusal int

// The refusals, as the scripts return them.
const (
	StaleOwner  Refusal = iota + 1 // a newer claim stands
	Split                          // the same claim stands for another incarnation
	Conflict                       // another version stands than the one computed from, or the record is gone
	StaleLeader                    // a newer leader acted on the room
)

// Error says what stands in Redis instead.
func (r Refusal) Error() string {
	switch r {
	case StaleOwner:
		return "STALE_OWNER: a newer owner has claimed the room (if this goes on: does another rollcall use this Redis?)"
	case Split:
		return "SPLIT: another incarnation holds the same claim"
	case Conflict:
		return "CONFLICT: the record is not the one that this was computed from"
	case StaleLeader:
		return "STALE_LEADER: a newer leader has acted on the room"
	}
	return "unknown refusal"
}

// Ask is a poll that an event asks for.
type Ask struct {
	Why   string
	Named []string // sids that the poll may remove
}

// Tally is what a look found, for the leader's sums.
type Tally struct {
	Rooms, Participants               int // live in the record before the look
	MissingRooms, MissingParticipants int // absent in this look, not removed by it
	AgreedRooms, AgreedParticipants   int // of those, absent in three scheduled cycles
	// DeferredRooms and DeferredParticipants are those of the missing that an event protects: the next cycle decides. Deferred counts all
	// that a look left alone because of an event: those, and whoever it did not bring back or replace.
	DeferredRooms, DeferredParticipants int
	Deferred                            int
	Cleaned                             int // rooms removed
	Drift                               map[Reason]int
}

// Plan is what Step decided. Nothing has happened until the shell committed Commit and called Adopt.
type Plan struct {
	Commit Commit
	// Changed says that Commit writes; otherwise it only checks.
	Changed bool
	// Expired says that the event's token ran out more than a minute ago: refuse it, commit nothing.
	Expired bool
	Ask     *Ask  // a poll to take
	Again   bool  // take another look, LookGap after this one
	Tally   Tally // of a look
	// Drift is what the look found, one by one; Tally.Drift counts it. Where Changed is false it is not repaired yet.
	Drift []Drift
	// Changes are the differences to the record, also where Commit.Changes replaces them by a snapshot.
	Changes []Change
	// Unidentified is for how many cycles in a row the room's looks have had an entry without a readable sid. Above
	// UnidentifiedCycles such entries protect nobody any more.
	Unidentified int

	touched []string
	told    []telling
	// toldRoom is the sid of the instance whose start, finish or first event this is; empty for none. repeatsRoom says that the record has
	// it already.
	toldRoom    string
	repeatsRoom bool
	restarted   int64
	doubts      map[finding]doubt
	looked      bool
	at          Stamp
	cycle       uint64
}
