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

// ChangeTypes returns all types.
func ChangeTypes() []ChangeType {
	return []ChangeType{ParticipantJoined, ParticipantLeft, ParticipantUpdated, RoomStarted, RoomUpdated, RoomFinished, RoomSnapshot}
}

// Change is one difference that readers of the public keys see.
type Change struct {
	Type   ChangeType
	Member *Member // nil for the room's own changes
	SID    string  // the participant's, or the room's
	Reason Reason  // why a look made the change; empty for an event's change
	// Disconnect and LeftAt are set for ParticipantLeft only. Disconnect is LiveKit's DisconnectReason by name, or UnknownReason
	// if LiveKit gave none. LeftAt is when the participant left, in Unix ms. LiveKit reports a leave to the second. Without such
	// a report LeftAt is when a newer participant or room began, or the first look that did not show the participant. It is
	// never before the join.
	Disconnect string
	LeftAt     int64
}

// UnknownReason is the DisconnectReason of a participant for whom LiveKit gave none.
const UnknownReason = "UNKNOWN_REASON"

// identity returns the participant's identity, or "" for a change of the room itself.
func (c Change) identity() string {
	if c.Member == nil {
		return ""
	}
	return c.Member.Identity
}

// joinedAt returns when the participant joined, in Unix ms, or 0 for a change of the room itself.
func (c Change) joinedAt() int64 {
	if c.Member == nil {
		return 0
	}
	return c.Member.JoinedAt
}

// Reason is a kind of drift that a poll repaired.
type Reason string

// The reasons for drift. A ghost is a participant whose room is gone. A missed leave is one whose room continues.
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

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{MissedJoin, MissedLeave, Ghost, StaleMetadata, UnseenRoom, UnseenFinish, LostWrite, ForeignChange}
}

// Drift is one difference between Redis and LiveKit that a look found.
type Drift struct {
	Reason        Reason
	Identity, SID string // the participant's; for the room itself "" and the room's sid
	// Since is when the truth is known to have begun to differ from Redis, in Unix ms. For a participant or room that came it is
	// the time that LiveKit gives. For one that went it is the first look that did not show it, which is later than the truth.
	// It is 0 if the time is unknown: for changed metadata, lost writes and foreign changes.
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

// Commit is one write to one room. It is carried out whole or refused. A Commit whose Version equals Expect changes
// nothing: it only checks that claim and version are still current.
type Commit struct {
	Room             string
	Claim            Claim
	Leader           Token  // of the look's permit; zero without one
	Expect, Version  uint64 // the stored version that it was computed from, and its own
	Instance         Instance
	ConfirmedAt      int64       // Unix ms
	AddTombstones    []Tombstone // the tombstones to add
	RemoveTombstones []string    // the sids whose tombstones to remove
	Prune            bool        // drop expired tombstones, by Redis' clock
	Public           PublicOp
	State            *State   // with Write
	Changes          []Change // for the change feed; empty when the keys stay
	Story            []Change // for the timeline: the differences themselves, even if the feed gets a snapshot
	Event            string   // id of the event that it was computed from; empty for a look
	Prev             uint64   // version of the last commit that appended to the change feed
	Cause            Cause
	Time             int64 // Unix ms
	Verify           Verification
}

// Verification is how much of Redis a commit compares with the record, beyond its own claim and version.
type Verification uint8

const (
	Unverified    Verification = iota // nothing
	VerifyContent                     // the values of the public keys
	VerifyAll                         // also that the public keys do not expire; and a room that has them is added to the index
)

// Receipt is the result of a commit that was not refused.
type Receipt struct {
	Now     int64    // Redis' clock, Unix s
	Altered bool     // with Verify: the public keys are not what the record wrote
	Pruned  []string // sids of the tombstones that were dropped
}

// Refusal is why Redis refused a commit or a claim. It is an error.
type Refusal int

// The refusals, as the scripts return them.
const (
	StaleOwner  Refusal = iota + 1 // Redis has a newer claim
	Split                          // another incarnation holds the same claim
	Conflict                       // the stored version is not the one that was computed from, or the record is gone
	StaleLeader                    // a newer leader acted on the room
)

// Error says what Redis holds instead.
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

// Tally counts what a look found. The leader sums up the tallies of a cycle.
type Tally struct {
	Rooms, Participants               int // live in the record before the look
	MissingRooms, MissingParticipants int // absent in this look, not removed by it
	AgreedRooms, AgreedParticipants   int // of the missing, those absent in three scheduled cycles
	// DeferredRooms and DeferredParticipants count those of the missing that an event protects. The next cycle decides. Deferred counts
	// everything that a look left alone because of an event: those, and what it did not bring back or replace.
	DeferredRooms, DeferredParticipants int
	Deferred                            int
	Cleaned                             int // rooms removed
	Drift                               map[Reason]int
}

// Plan is what Step decided. It takes effect only when the shell commits Commit and calls Adopt.
type Plan struct {
	Commit Commit
	// Changed reports whether Commit writes. Otherwise it only checks.
	Changed bool
	// Expired reports whether the event's token expired more than a minute ago. Then refuse the event and commit nothing.
	Expired         bool
	Ask             *Ask  // a poll to make, or nil
	NeedsSecondLook bool  // take another look, LookGap after this one
	Tally           Tally // of a look
	// Drift lists the differences that the look found; Tally.Drift counts them. If Changed is false, they are not repaired yet.
	Drift []Drift
	// Changes lists the differences to the record, even if Commit.Changes replaces them by a snapshot.
	Changes []Change
	// Unidentified counts the cycles in a row in which the room's looks have had an entry without a readable sid. Above
	// UnidentifiedCycles such entries no longer protect anybody.
	Unidentified int

	touched []string
	reports []eventReport
	// reportedRoom is the sid of the instance whose start, finish or first event this is; empty for none. repeatsRoom reports whether the
	// record already has it.
	reportedRoom string
	repeatsRoom  bool
	restarted    int64
	pending      map[finding]pending
	looked       bool
	at           Stamp
	cycle        uint64
}
