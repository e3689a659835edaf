package reconcile

import (
	"slices"
	"time"
)

// expiryLeeway is how long a delivery is accepted after its token has expired. LiveKit's own verifier allows the same.
const expiryLeeway = int64(time.Minute / time.Millisecond)

// stepEvent applies an event to a copy of the room and returns the plan. An event that is repeated, that names nobody, or that belongs to an
// older instance changes nothing. One whose token has expired long ago is refused, because its repetition may no longer be remembered.
func stepEvent(room *Room, e Event, now Moment) Plan {
	if e.Expires != 0 && now.Wall > e.Expires+expiryLeeway {
		return Plan{Expired: true}
	}
	d := newDraft(room, now)
	if !room.memory.delivered(e.ID) && e.sound() && d.enter(e) {
		d.apply(e)
	}
	p := d.plan(ByWebhook)
	p.Commit.Event = e.ID
	return p
}

// At returns when the event happened, in Unix ms by LiveKit's clock. The time is exact for a join and for a room's first
// start. Otherwise LiveKit gives whole seconds, and the time is up to a second early.
func (e Event) At() (ms int64, exact bool) {
	switch {
	case e.Kind == Joined && e.Participant.JoinedAt > 0:
		return e.Participant.JoinedAt, true
	case e.Kind == Started && e.Room.CreatedMs/1000 == e.CreatedAt:
		return e.Room.CreatedMs, true
	}
	return e.CreatedAt * 1000, false
}

// sound reports whether the event is one of the room itself or names its participant. A participant without sid or identity
// can neither be stored nor ordered.
func (e Event) sound() bool {
	return e.Kind == Started || e.Kind == Finished || e.Participant.named()
}

func (p *Participant) named() bool { return p.SID != "" && p.Identity != "" }

// age is how an instance compares in age with the newest one seen.
type age int

const (
	same age = iota + 1
	newer
	older
	tied      // another sid of the same age: LiveKit's clock is too coarse to order them
	unordered // another sid, and no creation time to order it by
)

func (d *draft) ageOf(info RoomInfo) age {
	known := d.instance
	switch {
	case info.SID != "" && info.SID == known.SID:
		return same
	case info.SID == "" || info.CreatedMs == 0:
		return unordered
	case known.SID == "", info.CreatedMs > known.CreatedMs:
		return newer
	case info.CreatedMs < known.CreatedMs:
		return older
	}
	return tied
}

// enter makes the event's instance the current one if it counts as newer, and reports whether the event counts.
func (d *draft) enter(e Event) bool {
	alive := e.Kind == Started || e.Kind == Joined
	switch age := d.ageOf(e.Room); {
	case age == same:
		return true
	case age == tied:
		d.wants("two instances of the same age")
		if !alive || d.open { // it is unknown which one is late: nobody present is removed because of it
			return false
		}
	case age != newer:
		return false
	}
	if d.instance.SID == "" {
		// A room that only ListParticipants has shown gets its sid and creation time. Its roster stays.
		d.instance.SID, d.instance.CreatedMs, d.reportsRoom = e.Room.SID, e.Room.CreatedMs, true
		return true
	}
	d.endOlder(e.Room)
	return true
}

// apply changes the draft as the event says. The event belongs to the current instance. If it does not fit what is known of the room or of its
// participant, apply asks for a poll.
func (d *draft) apply(e Event) {
	known := d.room.Instance.SID == d.instance.SID
	if known && e.Kind != Finished && (d.instance.Finished() || !d.open) {
		d.wants("an event for a room that has ended", e.Participant.SID)
	}
	if d.open && d.base.SID == "" && (e.Kind == Started || e.Kind == Joined) && d.describe(e.Room) {
		d.change(RoomUpdated, nil, e.Room.SID)
	}
	switch e.Kind {
	case Started:
		d.started(e)
		return
	case Finished:
		d.finished(e)
		return
	}
	d.touched = append(d.touched, e.Participant.Identity)
	if t, ended := d.tomb(e.Participant.SID); ended && t.Looked {
		d.wants("an event for a participant that a look removed", e.Participant.SID)
	}
	switch e.Kind {
	case Joined:
		d.joined(e)
	case Left, Aborted:
		d.left(e)
	case Track:
		d.mentioned(&e.Participant)
	}
}

// started applies a room_started. One that is not later than the finish mark is refused; a later one opens the room again. If the room is open,
// nothing changes but a poll is asked for.
func (d *draft) started(e Event) {
	d.touched = append(d.touched, "")
	if d.open {
		d.wants("a repeated room_started")
	}
	if d.open || e.CreatedAt > e.Room.CreatedMs/1000 {
		d.restarted = e.CreatedAt
	}
	if d.instance.FinishedAt != 0 {
		if e.CreatedAt <= d.instance.mark() {
			return // refused; a poll has already been asked for
		}
		d.reportsRoom = d.reportsRoom || d.instance.Finished()
		d.instance.revive()
	}
	d.reportsRoom, d.restarts = d.reportsRoom || !d.open, d.open
	d.start(e.Room)
}

// finished applies a room_finished. It sets the finish mark and ends the participants who joined before it. The others stay, and a poll decides
// about them; the room closes with the last one.
func (d *draft) finished(e Event) {
	d.touched = append(d.touched, "")
	if e.CreatedAt <= d.room.memory.restarted {
		d.wants("a finish that is not later than a repeated room_started")
	}
	repeated := e.CreatedAt <= d.instance.mark()
	if !repeated {
		d.instance.FinishedAt, d.reportsRoom = e.CreatedAt, true
	}
	for _, m := range slices.Clone(d.roster) {
		if !repeated && d.beforeFinish(&m.Participant) {
			d.end(m, e.CreatedAt*1000, "")
		} else {
			d.wants("a finish that spared a participant", m.SID)
		}
	}
	switch {
	case repeated && d.open:
		d.wants("a repeated room_finished")
	case len(d.roster) == 0:
		d.finish()
	}
}

// joined applies a participant_joined. It updates the participant if the sid is present. Otherwise it adds the participant and ends the others
// of the identity, unless refusal has a reason against it: then it asks for a poll.
func (d *draft) joined(e Event) {
	p := &e.Participant
	if m := d.find(p.SID); m != nil {
		d.reports = append(d.reports, eventReport{sid: p.SID, repeats: true}) // a look may have shown the participant before
		if p.Version > m.Version {
			d.replace(m, NewMember(*p))
		}
		return
	}
	if t, ended := d.tomb(p.SID); ended && t.Migrated {
		d.removeTombstone(p.SID)
	}
	others := d.others(p)
	if why := d.refusal(p, latest(others, d.lastEnded(p.Identity))); why != "" {
		d.wants("a refused join: "+why, p.SID)
		return
	}
	for _, o := range others {
		if o.JoinedAt == p.JoinedAt {
			d.wants("two participants of one identity and join time", o.SID, p.SID)
		}
	}
	d.start(e.Room)
	d.admit(p, others)
}

// mentioned applies a track event, which changes nothing. If the room is open and nothing is known of the participant, the join may
// have been lost, and a poll is asked for.
func (d *draft) mentioned(p *Participant) {
	if _, ended := d.tomb(p.SID); d.open && !ended && d.find(p.SID) == nil {
		d.wants("a track event of an unknown participant")
	}
}

// left applies a participant_left or a participant_connection_aborted. It ends the sid and the older ones of the identity, never a newer one. The
// tombstone of a sid that is not present refuses a late join.
func (d *draft) left(e Event) {
	p := &e.Participant
	t, ended := d.tomb(p.SID)
	if ended && !t.Looked {
		return // a repetition of an earlier event: it must not end participants who have joined since
	}
	for _, o := range d.others(p) {
		if !ended && o.JoinedAt < p.JoinedAt { // those older than an ended one are present because two looks agreed on it
			d.end(o, p.JoinedAt, "")
		}
	}
	if m := d.find(p.SID); m != nil {
		if e.Reason == migration {
			// The join at the new node may have come before this leave, and then nothing else brings the participant back.
			d.wants("a participant who left by a migration")
		}
		d.end(m, e.CreatedAt*1000, e.Reason)
	} else if !ended {
		d.addTombstone(p, e.Reason)
	} else {
		d.reports = append(d.reports, eventReport{sid: p.SID, end: true, repeats: true}) // a look has ended the participant before
	}
	if d.instance.Finished() && len(d.roster) == 0 {
		d.finish() // the last participant that the finish spared has left
	}
}
