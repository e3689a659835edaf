package reconcile

import "cmp"

// Claim is a node's right to write one room: the cluster's generation, the epoch of the view in which the node gained
// the room, and the incarnation (raft index of its join entry) of the node.
type Claim struct {
	Generation, Epoch, Incarnation uint64
}

// Compare orders claims by generation, then epoch. Claims that differ only in incarnation compare as equal: they are a
// split and have no order.
func (c Claim) Compare(o Claim) int {
	return cmp.Or(cmp.Compare(c.Generation, o.Generation), cmp.Compare(c.Epoch, o.Epoch))
}

// Token is a leader's right to act on rooms: the cluster's generation and the raft index of its committed claim.
// The zero Token acts for no leader. The rule is the same everywhere: a token lower than the newest one known is stale.
type Token struct {
	Generation uint64 `json:"generation"`
	Index      uint64 `json:"index"`
}

// Compare orders tokens by generation, then index.
func (t Token) Compare(o Token) int {
	return cmp.Or(cmp.Compare(t.Generation, o.Generation), cmp.Compare(t.Index, o.Index))
}

// Instance is the newest room that was ever seen under a room name.
type Instance struct {
	SID       string
	CreatedMs int64 // LiveKit's creationTimeMs; 0 if only ListParticipants has shown the room
	// FinishedAt is the finish mark: the createdAt of room_finished, in Unix seconds as LiveKit sends it, or 0 for none. It
	// is negative once LiveKit has shown the instance alive again. Then the instance is not finished, but the mark still
	// identifies what came before it: a repeated finish or a late join.
	FinishedAt int64
}

// Finished reports whether the instance has ended and has not been seen alive since.
func (i Instance) Finished() bool { return i.FinishedAt > 0 }

// mark returns the Unix second of the latest finish, even if the finish has been overruled, or 0 for none.
func (i Instance) mark() int64 { return max(i.FinishedAt, -i.FinishedAt) }

// revive makes the instance count as not finished and keeps the time of the mark.
func (i *Instance) revive() { i.FinishedAt = -i.mark() }

// Tombstone says that a participant's sid has ended; a late join for it is refused. It lasts 30 min by Redis' clock.
type Tombstone struct {
	SID, Identity string
	JoinedAt      int64 // Unix ms
	Looked        bool  // ended by a look, of a poll or of a cycle, so that a later event for the sid asks for a poll
	Migrated      bool  // ended by a participant_left whose reason is MIGRATION: a join of the same sid removes the tombstone
	Written       int64 // Redis' clock when it was written, Unix s; 0 until the commit that writes it is confirmed
}

// Record is what Redis holds for one room: the fence, and the two public keys while the room is live.
type Record struct {
	Room        string
	Claim       Claim
	Leader      Token  // the highest token that has acted on the room
	Version     uint64 // of the last commit
	Appended    uint64 // version of the last commit that appended to the change feed
	Instance    Instance
	ConfirmedAt int64 // last successful look, Unix ms
	Touched     int64 // Redis' clock at the last write that an event caused, Unix s; 0 for none
	ReadAt      int64 // Redis' clock at the last script, Unix s; never later than Redis' present time
	Tombstones  map[string]Tombstone
	State       *State // nil while the room has no public keys
	// Altered reports whether the public keys in Redis are not what this record wrote: someone else has changed them, or
	// there never was a record. Such keys are rewritten.
	Altered bool
}

// State is a live room as its readers see it. It is immutable: a change makes a new State.
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

// RoomInfo is what an event or ListRooms says about a room.
type RoomInfo struct {
	Name            string
	SID             string
	CreatedMs       int64 // Unix ms; 0 where LiveKit gives none (track events)
	MaxParticipants uint32
	Metadata        string
}

// Kinds are the participant kinds that count as present in rooms:participants:{room}.
type Kinds map[string]bool

// Counts reports whether p is listed in rooms:participants:{room}: not hidden, and of a counted kind.
func (k Kinds) Counts(p *Participant) bool { return !p.Hidden && k[p.Kind] }

// Occupancy counts live rooms and the people in them: the participants that rooms:participants:{room} lists.
type Occupancy struct {
	Rooms  int `json:"rooms"`
	People int `json:"people"`
}

// OccupancyChange returns what a room's occupancy grows by from one state to another. A nil State is a room that is not live.
func (k Kinds) OccupancyChange(before, after *State) (o Occupancy) {
	if before != nil {
		o.Rooms--
	}
	if after != nil {
		o.Rooms++
	}
	was, is := RosterChange(before, after)
	o.People = k.count(is) - k.count(was)
	return o
}

func (k Kinds) count(roster []*Member) (n int) {
	for _, m := range roster {
		if k.Counts(&m.Participant) {
			n++
		}
	}
	return n
}

// RosterChange returns the parts of the rosters of two states in which they differ, without the members that both begin or end with. A nil State has
// no members. Most commits change one member of perhaps a thousand.
func RosterChange(before, after *State) (was, is []*Member) {
	if before != nil {
		was = before.Roster
	}
	if after != nil {
		is = after.Roster
	}
	for len(was) > 0 && len(is) > 0 && was[0] == is[0] {
		was, is = was[1:], is[1:]
	}
	for len(was) > 0 && len(is) > 0 && was[len(was)-1] == is[len(is)-1] {
		was, is = was[:len(was)-1], is[:len(is)-1]
	}
	return was, is
}
