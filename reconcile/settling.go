package reconcile

import "slices"

// LiveKit's lists may lag behind its events, so a look of a cycle does not contradict what an event told within Look.Lag before the look
// began: it removes nobody and nothing, brings nobody back and replaces nothing. What cannot be stale is taken all the same: a newer
// instance, a higher version, a participant who joined after the last known one of its identity.

// telling is what an event tells of a participant.
type telling struct {
	sid string
	end bool // its end; otherwise its join
	// repeats says that the record has it already: it counts unless an event has told it before.
	repeats bool
}

// toldAt is when an event told of a sid's join or end.
type toldAt struct {
	sid string
	at  Stamp
	end bool
}

// tell keeps when an event told of sids and of the instance. What is told again keeps its time.
func (m *memory) tell(p Plan, at Stamp) {
	for _, t := range p.told {
		i := m.lastTold(t.sid)
		if t.repeats && i >= 0 && m.told[i].end == t.end {
			continue
		}
		if i >= 0 {
			m.told = slices.Delete(m.told, i, i+1)
		}
		m.told = append(m.told, toldAt{t.sid, at, t.end})
	}
	if p.toldRoom != "" && (!p.repeatsRoom || m.toldRoom != p.toldRoom) {
		m.toldRoom, m.toldRoomAt = p.toldRoom, at
	}
}

// lastTold is the place of a sid in told, or -1.
func (m *memory) lastTold(sid string) int {
	return slices.IndexFunc(m.told, func(t toldAt) bool { return t.sid == sid })
}

// recent tells whether a moment lies within the lag before the look.
func (l *looking) recent(at Stamp) bool { return l.look.Lag > 0 && l.look.Began-at < Stamp(l.look.Lag) }

// unsettled tells whether an event changed the room within the lag, but under an earlier claim: what it told is not known any more, so
// everything that is stored is protected.
func (l *looking) unsettled() bool {
	return l.room.memory.touchedBefore && l.recent(l.room.memory.before)
}

// toldOf tells whether an event told of the sid's join or end within the lag.
func (l *looking) toldOf(sid string) bool {
	m := &l.room.memory
	i := m.lastTold(sid)
	return l.unsettled() || i >= 0 && l.recent(m.told[i].at)
}

// toldOfRoom is toldOf for the instance at hand.
func (l *looking) toldOfRoom() bool {
	m := &l.room.memory
	return l.unsettled() || m.toldRoom != "" && m.toldRoom == l.instance.SID && l.recent(m.toldRoomAt)
}

// contradictsEvent tells whether letting p in would contradict what an event told within the lag. Others are the members of its identity;
// doubtful says that p contradicts what is known at all.
func (l *looking) contradictsEvent(p *Participant, others []*Member, doubtful bool) bool {
	if l.look.Lag == 0 {
		return false
	}
	rivals := func(o *Member) bool { return o.JoinedAt >= p.JoinedAt && l.toldOf(o.SID) }
	switch {
	case slices.ContainsFunc(others, rivals):
		return true
	case !doubtful:
		return false
	case l.unsettled(), l.toldOf(p.SID):
		return true
	case (l.foreign || l.finishedAfter(p) || l.older(p)) && l.toldOfRoom():
		return true
	}
	for t := range l.ended {
		if t.Identity == p.Identity && t.JoinedAt >= p.JoinedAt && l.toldOf(t.SID) {
			return true
		}
	}
	return false
}

// leave counts what the look leaves alone because of an event.
func (l *looking) leave(counted *int) {
	l.tally.Deferred++
	if counted != nil {
		*counted++
	}
}
