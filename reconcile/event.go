package reconcile

import "time"

// expiryLeeway is how long after its token's end a delivery is still taken; LiveKit's own verifier allows as much.
const expiryLeeway = int64(time.Minute / time.Millisecond)

func stepEvent(room *Room, e Event, now Moment) Plan {
	if e.Expires != 0 && now.Wall > e.Expires+expiryLeeway {
		return Plan{Expired: true}
	}
	d := newDraft(room, now)
	if d.enter(e) {
		d.apply(e)
	}
	return d.plan(ByWebhook)
}

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
		if !alive {
			return false
		}
	case o != newer:
		return false
	}
	if d.instance.SID == "" {
		// A room that only ListParticipants showed gets its name tag; its roster stands.
		d.instance.SID, d.instance.CreatedMs = e.Room.SID, e.Room.CreatedMs
		return true
	}
	d.renew(e.Room)
	return true
}

func (d *draft) apply(e Event) {
	if d.instance.FinishedAt != 0 && e.Kind != Finished {
		d.wants("an event for a finished room")
	}
	if d.open && d.base.SID == "" && (e.Kind == Started || e.Kind == Joined) && d.describe(e.Room) {
		d.log(RoomUpdated, nil, e.Room.SID)
	}
	if e.Participant.SID != "" {
		d.touched = append(d.touched, e.Participant.SID)
		if t, ended := d.tomb(e.Participant.SID); ended && t.Polled {
			d.wants("an event for a participant that a poll removed", e.Participant.SID)
		}
	}
	switch e.Kind {
	case Started:
		d.started(e)
	case Finished:
		d.finished(e)
	case Joined:
		d.joined(e)
	case Left, Aborted:
		d.left(e)
	}
}

func (d *draft) started(e Event) {
	d.touched = append(d.touched, "")
	switch {
	case d.instance.FinishedAt != 0 && e.CreatedAt <= d.instance.FinishedAt:
		return // refused; the poll is asked for already
	case d.open:
		d.wants("a repeated room_started")
	}
	d.instance.FinishedAt = 0
	d.start(e.Room)
}

func (d *draft) finished(e Event) {
	d.touched = append(d.touched, "")
	d.instance.FinishedAt = max(d.instance.FinishedAt, e.CreatedAt)
	var ended []*Member
	for _, m := range d.roster {
		if d.beforeFinish(&m.Participant) {
			ended = append(ended, m)
		} else {
			d.wants("a finish that spared a participant", m.SID)
		}
	}
	for _, m := range ended {
		d.end(m, false)
	}
	if len(d.roster) == 0 {
		d.finish()
	}
}

func (d *draft) joined(e Event) {
	p := &e.Participant
	if m := d.find(p.SID); m != nil {
		if p.Version > m.Version {
			d.put(NewMember(*p), ParticipantUpdated)
		}
		return
	}
	if why := d.refusal(p); why != "" {
		d.wants("a refused join: "+why, p.SID)
		return
	}
	if d.instance.FinishedAt != 0 {
		d.wants("a join in a finished room", p.SID)
	}
	for _, o := range d.others(p) {
		if o.JoinedAt == p.JoinedAt {
			d.wants("two participants of one identity and join time", o.SID, p.SID)
		}
	}
	d.start(e.Room)
	d.admit(p)
}

func (d *draft) left(e Event) {
	p := &e.Participant
	for _, o := range d.others(p) {
		if o.JoinedAt < p.JoinedAt {
			d.end(o, false)
		}
	}
	if m := d.find(p.SID); m != nil {
		d.end(m, false)
		return
	}
	if _, ended := d.tomb(p.SID); !ended {
		d.entomb(p, false)
	}
}
