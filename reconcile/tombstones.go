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

// The bounds of a room's tombstones. A room without public keys needs few: its finish mark refuses whoever joined before it, and an event
// for a room that has ended asks for a poll.
const (
	MaxTombstones       = 500 // of a room with public keys
	MaxClosedTombstones = 100 // of a room without
	maxPruned           = 500 // in one commit, so that no script holds up Redis for long
)

// prune bounds the tombstones of a commit that writes some or closes the room, whatever else is stopped: those past their time go, and of
// the others the oldest beyond the room's bound. What does not fit into one commit is left to the next.
func (d *draft) prune() {
	closes := !d.open && d.room.State != nil
	if len(d.bury)+len(d.exhume) == 0 && !closes {
		return
	}
	limit := MaxTombstones
	if !d.open {
		limit = MaxClosedTombstones
	}
	d.boundNew(limit)
	var old []Tombstone
	past := 0
	for sid, t := range d.room.Tombstones {
		if _, again := d.bury[sid]; again || d.exhume[sid] {
			continue
		}
		if old = append(old, t); d.room.past(t) {
			past++
		}
	}
	drop := min(max(past, len(old)+len(d.bury)-limit), len(old), maxPruned)
	if drop <= 0 {
		return
	}
	slices.SortFunc(old, byAge)
	for _, t := range old[:drop] {
		d.unearth(t.SID)
	}
}

// boundNew keeps the latest joins of the new tombstones.
func (d *draft) boundNew(limit int) {
	if len(d.bury) <= limit {
		return
	}
	fresh := slices.SortedFunc(maps.Values(d.bury), byAge)
	for _, t := range fresh[:len(fresh)-limit] {
		delete(d.bury, t.SID)
	}
}

// byAge puts the oldest first. One that is not confirmed yet is the newest.
func byAge(a, b Tombstone) int {
	return cmp.Or(cmp.Compare(uint64(a.Written-1), uint64(b.Written-1)), cmp.Compare(a.JoinedAt, b.JoinedAt), strings.Compare(a.SID, b.SID))
}

// past tells whether a tombstone has surely had its time.
func (r *Room) past(t Tombstone) bool {
	return t.Written != 0 && r.ReadAt-t.Written >= int64(TombstoneLife/time.Second)
}
