package reconcile

import (
	"slices"
	"time"
)

// expiryLeeway is how long after its token's end a delivery is still taken; LiveKit's own verifier allows as much.
const expiryLeeway = int64(time.Minute / time.Millisecond)

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

// At is when what the event tells of happened, in Unix ms by LiveKit's clock. It is exact for a join and for a room's first
// start; otherwise LiveKit gives whole seconds, and At is up to a second early.
func (e Event) At() (ms int64, exact bool) {
	switch {
	case e.Kind == Joined && e.Participant.JoinedAt > 0:
		return e.Participant.JoinedAt, true
	case e.Kind == Started && e.Room.CreatedMs/1000 == e.CreatedAt:
		return e.Room.CreatedMs, true
	}
	return e.CreatedAt * 1000, false
}

// sound tells whether a participant's event names one; what names none can neither be stored nor ordered.
func (e Event) sound() bool {
	return e.Kind == Started || e.Kind == Finished || e.Participant.named()
}

func (p *Participant) named() bool { return p.SID != "" && p.Identity != "" }

// order tells how an instance stands to the newest one seen.
type order int

const (
	same order = iota + 1
	newer
	older
	tied      // another sid of the same age: LiveKit's clock is too coarse to tell
	unordered // no creation time to go by, and another sid
)

func (d *draft) order(info RoomInfo) order {
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

// enter brings the draft to the event's instance and tells whether the event counts there.
func (d *draft) enter(e Event) bool {
	alive := e.Kind == Started || e.Kind == Joined
	switch o := d.order(e.Room); {
	case o == same:
		return true
	case o == tied:
		d.wants("two instances of the same age")
		if !alive || d.open { // which one is late cannot be told: nobody present goes for it
			return false
		}
	case o != newer:
		return false
	}
	if d.instance.SID == "" {
		// A room that only ListParticipants showed gets its name tag; its roster stands.
		d.instance.SID, d.instance.CreatedMs, d.toldRoom = e.Room.SID, e.Room.CreatedMs, true
		return true
	}
	d.endOlder(e.Room)
	return true
}

func (d *draft) apply(e Event) {
	known := d.room.Instance.SID == d.instance.SID
	if known && e.Kind != Finished && (d.instance.Finished() || !d.open) {
		d.wants("an event for a room that has ended", e.Participant.SID)
	}
	if d.open && d.base.SID == "" && (e.Kind == Started || e.Kind == Joined) && d.describe(e.Room) {
		d.log(RoomUpdated, nil, e.Room.SID)
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
	if t, ended := d.tomb(e.Participant.SID); ended && t.Polled {
		d.wants("an event for a participant that a poll removed", e.Participant.SID)
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
			return // refused; the poll is asked for already
		}
		d.toldRoom = d.toldRoom || d.instance.Finished()
		d.instance.revive()
	}
	d.toldRoom, d.restarts = d.toldRoom || !d.open, d.open
	d.start(e.Room)
}

func (d *draft) finished(e Event) {
	d.touched = append(d.touched, "")
	if e.CreatedAt <= d.room.memory.restarted {
		d.wants("a finish that is not later than a repeated room_started")
	}
	repeated := e.CreatedAt <= d.instance.mark()
	if !repeated {
		d.instance.FinishedAt, d.toldRoom = e.CreatedAt, true
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

func (d *draft) joined(e Event) {
	p := &e.Participant
	if m := d.find(p.SID); m != nil {
		d.told = append(d.told, telling{sid: p.SID, repeats: true}) // a look may have shown it before
		if p.Version > m.Version {
			d.replace(m, NewMember(*p))
		}
		return
	}
	if t, ended := d.tomb(p.SID); ended && t.Migrated {
		d.unearth(p.SID)
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

// mentioned takes a track event, which changes nothing. Of a participant of whom nothing is known in a living room it is a hint that
// the join was lost.
func (d *draft) mentioned(p *Participant) {
	if _, ended := d.tomb(p.SID); d.open && !ended && d.find(p.SID) == nil {
		d.wants("a track event of an unknown participant")
	}
}

func (d *draft) left(e Event) {
	p := &e.Participant
	t, ended := d.tomb(p.SID)
	if ended && !t.Polled {
		return // an event has told of it; whoever came since came by LiveKit's own word
	}
	for _, o := range d.others(p) {
		if o.JoinedAt < p.JoinedAt {
			d.end(o, p.JoinedAt, "")
		}
	}
	if m := d.find(p.SID); m != nil {
		d.end(m, e.CreatedAt*1000, e.Reason)
	} else if !ended {
		d.entomb(p, e.Reason)
	} else {
		d.told = append(d.told, telling{sid: p.SID, end: true, repeats: true}) // a poll has ended it before
	}
	if d.instance.Finished() && len(d.roster) == 0 {
		d.finish() // the last one whom the finish spared
	}
}
