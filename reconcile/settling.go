package reconcile

import "slices"

// LiveKit's lists may lag behind its events, so a look of a cycle does not contradict what an event reported within Look.Lag before the
// look began: it removes nobody and nothing, brings nobody back and replaces nothing. It still takes what cannot be stale: a newer
// instance, a higher version, and a participant who joined after the last known one of its identity.

// eventReport is what an event reports about a participant.
type eventReport struct {
	sid string
	end bool // the participant's end; otherwise its join
	// repeats reports whether the record already has it. Then it counts unless an event has reported the same before.
	repeats bool
}

// reportedSid is when an event reported a sid's join or end.
type reportedSid struct {
	sid string
	at  Stamp
	end bool
}

// remember keeps when an event reported on sids and on the instance. A repeated report keeps the time of the first.
func (m *memory) remember(p Plan, at Stamp) {
	for _, t := range p.reports {
		i := m.lastReported(t.sid)
		if t.repeats && i >= 0 && m.reported[i].end == t.end {
			continue
		}
		if i >= 0 {
			m.reported = slices.Delete(m.reported, i, i+1)
		}
		m.reported = append(m.reported, reportedSid{t.sid, at, t.end})
	}
	if p.reportedRoom != "" && (!p.repeatsRoom || m.reportedRoom != p.reportedRoom) {
		m.reportedRoom, m.reportedRoomAt = p.reportedRoom, at
	}
}

// lastReported returns the index of a sid in reported, or -1.
func (m *memory) lastReported(sid string) int {
	return slices.IndexFunc(m.reported, func(t reportedSid) bool { return t.sid == sid })
}

// recent reports whether at is later than the beginning of the lag before the look.
func (l *looking) recent(at Stamp) bool { return l.look.Lag > 0 && l.look.Began-at < Stamp(l.look.Lag) }

// unsettled reports whether an event changed the room within the lag but under an earlier claim. What the event reported is no longer
// known, so everything that is stored is protected.
func (l *looking) unsettled() bool {
	return l.room.memory.touchedBefore && l.recent(l.room.memory.before)
}

// reportedLately reports whether an event reported the sid's join or end within the lag.
func (l *looking) reportedLately(sid string) bool {
	m := &l.room.memory
	i := m.lastReported(sid)
	return l.unsettled() || i >= 0 && l.recent(m.reported[i].at)
}

// roomReportedLately is reportedLately for the current instance.
func (l *looking) roomReportedLately() bool {
	m := &l.room.memory
	return l.unsettled() || m.reportedRoom != "" && m.reportedRoom == l.instance.SID && l.recent(m.reportedRoomAt)
}

// contradictsEvent reports whether adding p would contradict what an event reported within the lag. others are the members of p's
// identity; needsSecondLook is whether p contradicts anything that is known.
func (l *looking) contradictsEvent(p *Participant, others []*Member, needsSecondLook bool) bool {
	if l.look.Lag == 0 {
		return false
	}
	rivals := func(o *Member) bool { return o.JoinedAt >= p.JoinedAt && l.reportedLately(o.SID) }
	switch {
	case slices.ContainsFunc(others, rivals):
		return true
	case !needsSecondLook:
		return false
	case l.unsettled(), l.reportedLately(p.SID):
		return true
	case (l.foreign || l.finishedAfter(p) || l.older(p)) && l.roomReportedLately():
		return true
	}
	for t := range l.ended {
		if t.Identity == p.Identity && t.JoinedAt >= p.JoinedAt && l.reportedLately(t.SID) {
			return true
		}
	}
	return false
}

// deferFinding counts something that the look leaves alone because of an event, also in counted unless that is nil.
func (l *looking) deferFinding(counted *int) {
	l.tally.Deferred++
	if counted != nil {
		*counted++
	}
}
