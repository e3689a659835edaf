package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// TombstoneLife is how long a tombstone lasts, by Redis' clock.
const TombstoneLife = 30 * time.Minute

// The bounds of a room's tombstones. A room without public keys needs few: its finish mark refuses participants who joined before it, and
// an event for a room that has ended asks for a poll.
const (
	MaxTombstones       = 500 // of a room with public keys
	MaxClosedTombstones = 100 // of a room without
	maxPruned           = 500 // in one commit, so that no script holds up Redis for long
)

// prune bounds the tombstones in a commit that adds or removes some or that closes the room, even while everything else is stopped. It
// removes the expired ones, and of the others the oldest beyond the room's bound. What does not fit into one commit is left to the next.
func (d *draft) prune() {
	closes := !d.open && d.room.State != nil
	if len(d.newTombstones)+len(d.removedTombstones) == 0 && !closes {
		return
	}
	limit := MaxTombstones
	if !d.open {
		limit = MaxClosedTombstones
	}
	d.boundNew(limit)
	kept, past := len(d.room.Tombstones)-len(d.removedTombstones), 0
	for sid := range d.newTombstones {
		if _, again := d.room.Tombstones[sid]; again {
			kept--
		}
	}
	for sid, t := range d.room.Tombstones { // expired ones are few; looking up all of them in the other maps would take much longer
		if d.room.past(t) && d.keeps(sid) {
			past++
		}
	}
	drop := min(max(past, kept+len(d.newTombstones)-limit), kept, maxPruned)
	if drop <= 0 {
		return
	}
	for _, t := range slices.SortedFunc(d.old, byAge)[:drop] {
		d.removeTombstone(t.SID)
	}
}

// old yields the tombstones that are stored and stay as they are.
func (d *draft) old(yield func(Tombstone) bool) {
	for sid, t := range d.room.Tombstones {
		if d.keeps(sid) && !yield(t) {
			return
		}
	}
}

// keeps reports whether a tombstone that is stored stays as it is.
func (d *draft) keeps(sid string) bool {
	_, again := d.newTombstones[sid]
	return !again && !d.removedTombstones[sid]
}

// boundNew keeps only the new tombstones with the latest joins, at most limit of them.
func (d *draft) boundNew(limit int) {
	if len(d.newTombstones) <= limit {
		return
	}
	fresh := slices.SortedFunc(maps.Values(d.newTombstones), byAge)
	for _, t := range fresh[:len(fresh)-limit] {
		delete(d.newTombstones, t.SID)
	}
}

// byAge orders the oldest tombstone first. A tombstone that is not confirmed yet counts as the newest.
func byAge(a, b Tombstone) int {
	return cmp.Or(cmp.Compare(uint64(a.Written-1), uint64(b.Written-1)), cmp.Compare(a.JoinedAt, b.JoinedAt), strings.Compare(a.SID, b.SID))
}

// past reports whether a tombstone has certainly expired.
func (r *Room) past(t Tombstone) bool {
	return t.Written != 0 && r.ReadAt-t.Written >= int64(TombstoneLife/time.Second)
}
