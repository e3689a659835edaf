package reconcile

import "cmp"

// Claim is a node's right to write one room: the cluster's generation, the epoch of the view in which the node gained
// the room, and the incarnation (raft index of its join entry) of the node.
type Claim struct {
	Generation, Epoch, Incarnation uint64
}

// Compare orders claims by generation, then epoch. Equal claims with different incarnations are a split, not an order.
func (c Claim) Compare(o Claim) int {
	return cmp.Or(cmp.Compare(c.Generation, o.Generation), cmp.Compare(c.Epoch, o.Epoch))
}

// Token is a leader's right to act on rooms: the cluster's generation and the raft index of its committed claim.
// The zero Token acts for no leader.
type Token struct {
	Generation, Index uint64
}

// Compare orders tokens by generation, then index.
func (t Token) Compare(o Token) int {
	return cmp.Or(cmp.Compare(t.Generation, o.Generation), cmp.Compare(t.Index, o.Index))
}

// Instance is the newest life of a room name that was ever seen.
type Instance struct {
	SID       string
	CreatedMs int64 // LiveKit's creationTimeMs; 0 when only a poll without ListRooms told of the room
	// FinishedAt is the finish mark: the createdAt of room_finished, in Unix seconds as LiveKit sends it; 0 is none. It
	// is negative once LiveKit has shown the instance alive again: the mark still dates what came before it, so that a
	// repeated finish or a late join is known for what it is, but the instance is not finished.
	FinishedAt int64
}

// Finished tells whether the instance has ended and nothing spoke for its life since.
func (i Instance) Finished() bool { return i.FinishedAt > 0 }

// mark is the second of the latest finish, overruled or not.
func (i Instance) mark() int64 { return max(i.FinishedAt, -i.FinishedAt) }

// revive keeps the mark's time and takes its verdict back.
func (i *Instance) revive() { i.FinishedAt = -i.mark() }

// Tombstone says that a participant's sid has ended; a late join for it is refused. It lasts 30 min by Redis' clock.
type Tombstone struct {
	SID, Identity string
	JoinedAt      int64 // Unix ms
	Polled        bool  // ended by a poll, so that a later event for the sid asks for another
	Migrated      bool  // ended by a left whose reason is MIGRATION: a join of the same sid lifts it
	Written       int64 // Redis' clock when it was written, Unix s; 0 until the commit that writes it is confirmed
}

// Record is what Redis holds of one room: the fence, and the two public keys while the room is live.
type Record struct {
	Room        string
	Claim       Claim
	Leader      Token  // the highest that acted on the room
	Version     uint64 // of the last commit
	Appended    uint64 // version of the last commit that went into the change feed
	Instance    Instance
	ConfirmedAt int64 // last successful look, Unix ms
	Touched     int64 // Redis' clock at the last write that an event caused, Unix s; 0 for none
	ReadAt      int64 // Redis' clock at the last script, Unix s: Redis' present time or earlier
	Tombstones  map[string]Tombstone
	State       *State // nil while the room has no public keys
	// Altered says that the public keys in Redis are not what this record wrote: someone else changed them, or there
	// never was a record. They are rewritten.
	Altered bool
}

// State is a live room as its readers see it. It is immutable: a change makes a new one.
type State struct {
	SID             string
	CreatedAt       int64 // Unix ms
	LastUpdated     int64 // Unix ms, the writing node's clock
	MaxParticipants uint32
	Metadata        string
	Version         uint64    // of the commit that last changed the keys
	Roster          []*Member // by JoinedAt, then identity
}

// Participant is one connected client of a room.
type Participant struct {
	Identity   string            `json:"identity"`
	JoinedAt   int64             `json:"joinedAt"` // Unix ms
	Metadata   string            `json:"metadata"`
	SID        string            `json:"sid"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes"`
	Kind       string            `json:"kind"` // LiveKit's ParticipantInfo_Kind: STANDARD, SIP, AGENT, EGRESS, INGRESS, …
	Hidden     bool              `json:"hidden"`
	Version    uint32            `json:"version"` // grows within a sid
}

// RoomInfo is what an event or ListRooms says of a room.
type RoomInfo struct {
	Name            string
	SID             string
	CreatedMs       int64 // Unix ms; 0 where LiveKit gives none (track events)
	MaxParticipants uint32
	Metadata        string
}

// Kinds are the participant kinds that count as present in rooms:participants:{room}.
type Kinds map[string]bool

// Counts tells whether p is listed in rooms:participants:{room}: not hidden, and of a counted kind.
func (k Kinds) Counts(p *Participant) bool { return !p.Hidden && k[p.Kind] }
