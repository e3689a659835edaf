package reconcile

import (
	"maps"
	"math"
	"slices"
	"time"
)

// touchMemory is how long events are remembered against looks. No look that is used is older than MaxLookAge, and it may be protected by
// what an event told up to MaxLag before it began.
const touchMemory = Stamp(MaxLookAge + MaxLag)

// MaxLookAge is how old a look may be, from its beginning to its evaluation.
const MaxLookAge = 4 * time.Minute

// Step decides what an input makes of a room. It changes nothing: commit the plan, then Adopt it.
func Step(room *Room, in Input, now Moment) Plan {
	switch in := in.(type) {
	case Event:
		return stepEvent(room, in, now)
	case Look:
		return stepLook(room, in, now)
	}
	return Plan{}
}

// Load is the room after a claim returned stored. Held is what the owner knew before, or nil; where Redis has lost what
// was held, the held record stands, the next commit writes all of it, and lost is true: ask for a poll. What was
// remembered between looks is gone, since a poll dies with its claim. The claim was made at at, on the owner's clock.
func Load(held *Room, stored Record, at Stamp) (room *Room, lost bool) {
	room = &Room{Record: stored, Stored: stored.Version}
	if len(stored.Tombstones) == 0 {
		room.Tombstones = nil // an idle room is small
	}
	if held != nil {
		room.Touched = max(held.Touched, stored.Touched)
	}
	room.memory.touchedBefore, room.memory.before = room.Touched != 0, room.lastTouch(at)
	// Keys that are newer than the feed were written while it was off.
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

// lastTouch is when, on the owner's clock and at the latest, an event changed the room before the claim at at. Redis tells whole
// seconds.
func (r *Room) lastTouch(at Stamp) Stamp {
	return at - Stamp(max(0, time.Duration(r.ReadAt-r.Touched-1)*time.Second))
}

// Adopt makes the room what a committed plan decided.
func (r *Room) Adopt(p Plan, got Receipt) {
	c := p.Commit
	if p.Changed {
		r.Version, r.Stored, r.Instance, r.ConfirmedAt = c.Version, c.Version, c.Instance, c.ConfirmedAt
		r.rebury(c, got.Now)
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

func (r *Room) rebury(c Commit, now int64) {
	for _, sid := range c.Exhume {
		delete(r.Tombstones, sid)
	}
	for _, t := range c.Bury {
		if r.Tombstones == nil {
			r.Tombstones = map[string]Tombstone{}
		}
		t.Written = now
		r.Tombstones[t.SID] = t
	}
}

// Remember keeps what a plan learned for the next look, without its commit. A dry run does no more than this.
func (r *Room) Remember(p Plan) {
	if !p.looked {
		return
	}
	r.memory.doubts = nil
	if len(p.doubts) > 0 {
		r.memory.doubts = p.doubts
	}
	if r.memory.unidentified = uint16(min(p.Unidentified, math.MaxUint16)); p.Unidentified == 0 {
		r.memory.unidentifiedIn = 0
	} else if p.cycle != 0 {
		r.memory.unidentifiedIn = p.cycle
	}
	r.memory.forget(p.at)
}

// Touch notes whom an event concerns, so that a poll under way leaves them alone and nothing that was doubted before
// counts on. Call it when the event is evaluated, whether or not its commit succeeds.
func (r *Room) Touch(p Plan, at Stamp) {
	r.memory.restarted = max(r.memory.restarted, p.restarted)
	r.memory.tell(p, at)
	if len(p.touched) == 0 {
		return
	}
	r.memory.forget(at)
	again := make(map[string]bool, len(p.touched))
	for _, who := range p.touched {
		again[who] = true
	}
	r.memory.touched = slices.DeleteFunc(r.memory.touched, func(t touch) bool { return again[t.identity] })
	for who := range again {
		r.memory.touched = append(r.memory.touched, touch{who, at})
		maps.DeleteFunc(r.memory.doubts, func(f finding, _ doubt) bool {
			return who == "" || f.identity == who || f == finding{kind: absent}
		})
	}
}

// Doubtful tells whether a look found something that the next one may settle.
func (r *Room) Doubtful() bool { return len(r.memory.doubts) > 0 }
