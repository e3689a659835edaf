package reconcile

import (
	"maps"
	"math"
	"slices"
	"time"
)

// touchMemory is how long events are remembered for looks. No look that is used is older than MaxLookAge, and what an event reported up
// to MaxLag before the look began may be protected from it.
const touchMemory = Stamp(MaxLookAge + MaxLag)

// MaxLookAge is the maximum age of a look, from its beginning to its Step.
const MaxLookAge = 4 * time.Minute

// Step decides how an input changes a room. It changes nothing itself: commit the plan, then Adopt it.
func Step(room *Room, in Input, now Moment) Plan {
	switch in := in.(type) {
	case Event:
		return stepEvent(room, in, now)
	case Look:
		return stepLook(room, in, now)
	}
	return Plan{}
}

// Load returns the room after a claim returned stored. held is what the owner knew before, or nil. The claim was made at
// at, on the owner's clock. If Redis has lost what was held, the held record counts and the next commit writes all of it.
// lost reports whether Redis lost it or its public keys were altered: then ask for a poll. What was remembered between
// looks is gone, because a poll ends with its claim.
func Load(held *Room, stored Record, at Stamp) (room *Room, lost bool) {
	room = &Room{Record: stored, Stored: stored.Version}
	if len(stored.Tombstones) == 0 {
		room.Tombstones = nil // keeps an idle room small
	}
	if held != nil {
		room.Touched = max(held.Touched, stored.Touched)
	}
	room.memory.touchedBefore, room.memory.before = room.Touched != 0, room.lastTouch(at)
	// Keys that are newer than the feed were written while the feed was off.
	unfed := stored.State != nil && stored.State.Version > stored.Appended
	room.Snapshot = stored.Appended == 0 || stored.Altered || unfed
	room.Unproven = held == nil || held.Unproven || held.Claim != stored.Claim
	if held == nil || held.Version <= stored.Version {
		return room, stored.Altered
	}
	room.Record = held.Record
	room.Claim, room.Altered, room.Snapshot, room.ReadAt = stored.Claim, true, true, stored.ReadAt
	room.Touched = max(held.Touched, stored.Touched)
	if held.Leader.Compare(stored.Leader) < 0 {
		room.Leader = stored.Leader
	}
	return room, true
}

// lastTouch returns the latest time, on the owner's clock, at which an event may have changed the room before the claim at at. Redis
// gives whole seconds only.
func (r *Room) lastTouch(at Stamp) Stamp {
	return at - Stamp(max(0, time.Duration(r.ReadAt-r.Touched-1)*time.Second))
}

// Adopt applies a committed plan to the room.
func (r *Room) Adopt(p Plan, got Receipt) {
	c := p.Commit
	if p.Changed {
		r.Version, r.Stored, r.Instance, r.ConfirmedAt = c.Version, c.Version, c.Instance, c.ConfirmedAt
		r.restoreTombstones(c, got.Now)
	}
	r.ReadAt = max(r.ReadAt, got.Now)
	if p.Changed && c.Cause == ByWebhook {
		r.Touched = got.Now
	}
	if c.Leader.Compare(r.Leader) > 0 {
		r.Leader = c.Leader
	}
	if c.Public != Keep {
		r.State, r.Altered, r.Snapshot, r.Unproven = c.State, false, false, false
	}
	if len(c.Changes) > 0 {
		r.Appended = c.Version
	}
	for _, sid := range got.Pruned {
		delete(r.Tombstones, sid)
	}
	if got.Altered {
		r.Altered = true
	}
	r.memory.deliver(c.Event)
	r.Remember(p)
}

func (r *Room) restoreTombstones(c Commit, now int64) {
	for _, sid := range c.RemoveTombstones {
		delete(r.Tombstones, sid)
	}
	for _, t := range c.AddTombstones {
		if r.Tombstones == nil {
			r.Tombstones = map[string]Tombstone{}
		}
		t.Written = now
		r.Tombstones[t.SID] = t
	}
}

// Remember keeps what a plan found for the next look, without its commit. A dry run does only this.
func (r *Room) Remember(p Plan) {
	if !p.looked {
		return
	}
	r.memory.pending = nil
	if len(p.pending) > 0 {
		r.memory.pending = p.pending
	}
	if r.memory.unidentified = uint16(min(p.Unidentified, math.MaxUint16)); p.Unidentified == 0 {
		r.memory.unidentifiedIn = 0
	} else if p.cycle != 0 {
		r.memory.unidentifiedIn = p.cycle
	}
	r.memory.forget(p.at)
}

// Touch records whom an event concerns, so that a running poll leaves them alone. It also drops the pending findings about
// them and the pending absence of the room. Call it after Step, whether or not the commit succeeds.
func (r *Room) Touch(p Plan, at Stamp) {
	r.memory.restarted = max(r.memory.restarted, p.restarted)
	r.memory.forget(at) // first: what is forgotten does not make a report a repeated one
	r.memory.remember(p, at)
	for _, who := range p.touched { // at most two
		r.memory.touched = slices.DeleteFunc(r.memory.touched, func(t touch) bool { return t.identity == who })
		r.memory.touched = append(r.memory.touched, touch{who, at})
		maps.DeleteFunc(r.memory.pending, func(f finding, _ pending) bool {
			return who == "" || f.identity == who || f == finding{kind: absent}
		})
	}
}

// HasPending reports whether a look found something that the next look may settle.
func (r *Room) HasPending() bool { return len(r.memory.pending) > 0 }
