package reconcile

import (
	"cmp"
	"slices"
)

// twinLook is one look that the twin applies.
type twinLook struct {
	*twin
	Look
	seen   []Participant
	info   *RoomInfo // the instance that counts
	next   []twinPending
	stale  bool // an event touched the room since the look began
	others bool // the look shows an instance that is not the current one
	all    bool // nobody is absent
}

func (w *twin) look(in Look, now int64) {
	w.read, w.now = w.now, now
	w.deferred, w.deferredRooms, w.deferredParticipants = 0, 0, 0
	defer w.prune(w.tombstoneSIDs(), w.live)
	w.asked, w.named, w.needsSecondLook, w.polled = false, map[string]bool{}, false, true
	l := &twinLook{twin: w, Look: in, stale: w.touchedSince("", in.Began)}
	for _, p := range in.Participants {
		if p.SID != "" && p.Identity != "" && !slices.ContainsFunc(in.Participants, func(o Participant) bool {
			return o.Identity == p.Identity && o.JoinedAt > p.JoinedAt
		}) {
			l.seen = append(l.seen, p)
		}
	}
	slices.SortFunc(l.seen, func(a, b Participant) int {
		return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), cmp.Compare(a.SID, b.SID))
	})
	if !in.Unidentified {
		w.blind = nil
	} else if in.Cycle != 0 && (len(w.blind) == 0 || w.blind[len(w.blind)-1] != in.Cycle) {
		w.blind = append(w.blind, in.Cycle)
	}
	l.all = in.Unidentified && len(w.blind) <= 3
	before := slices.Clone(w.people)
	for _, r := range in.Listed {
		if l.info == nil || r.CreatedMs > l.info.CreatedMs ||
			r.CreatedMs == l.info.CreatedMs && (r.SID == w.sid || l.info.SID != w.sid && r.SID > l.info.SID) {
			l.info = &r
		}
	}
	if l.info != nil && !l.stale {
		l.room(*l.info)
	}
	l.present()
	l.absent(before)
	l.emptyRoom()
	w.pending = l.next
	w.needsSecondLook = l.stale
	for _, d := range w.pending {
		if d.what != "absent" || d.sid == "" && w.over() || slices.Contains(in.Named, d.sid) {
			w.needsSecondLook = true
		}
	}
}

func (l *twinLook) shows(sid string) bool {
	return l.all || slices.Contains(l.Protected, sid) || slices.ContainsFunc(l.seen, func(o Participant) bool { return o.SID == sid })
}

func (w *twin) touchedSince(identity string, began Stamp) bool {
	return slices.ContainsFunc(w.touches, func(t twinTouch) bool { return t.identity == identity && t.at >= began })
}

func (w *twin) pendingFinding(what, sid string) *twinPending {
	for i := range w.pending {
		if w.pending[i].what == what && w.pending[i].sid == sid {
			return &w.pending[i]
		}
	}
	return nil
}

// agree reports whether this look is the second with the finding. If it is not, the finding waits.
func (l *twinLook) agree(what, sid, identity string, allowed bool) bool {
	d := l.pendingFinding(what, sid)
	if d != nil && !l.First && l.Began-d.since >= LookGap && allowed {
		return true
	}
	now := twinPending{what: what, sid: sid, identity: identity, since: l.Began}
	if d != nil {
		now = *d
	}
	if l.Cycle != 0 && now.cycle != l.Cycle && l.Permit == nil {
		now.cycle = l.Cycle
		if l.Scheduled {
			now.streak++
		}
	}
	l.next = append(l.next, now)
	return false
}

// permit reports whether the leader permits the removal of this absence.
func (l *twinLook) permit(sid string) bool {
	d := l.pendingFinding("absent", sid)
	return d != nil && l.Permit != nil && l.Permit.Cycle != 0 && d.cycle == l.Permit.Cycle &&
		(l.Permit.Streak < 2 || d.streak >= l.Permit.Streak)
}

// late reports whether what happened at at may be missing in the look's lists.
func (l *twinLook) late(at Stamp) bool { return l.Lag != 0 && l.Began-at < Stamp(l.Lag) }

func (l *twinLook) unsettled() bool { return l.before != nil && l.late(*l.before) }

func (l *twinLook) reportedLately(sid string) bool {
	return l.unsettled() || slices.ContainsFunc(l.reported, func(t twinReported) bool { return t.sid == sid && l.late(t.at) })
}

func (l *twinLook) roomReportedLately() bool {
	return l.unsettled() || l.reportedRoom.identity != "" && l.reportedRoom.identity == l.sid && l.late(l.reportedRoom.at)
}

// contradictsReported reports whether an event reported a participant of p's identity who is not older than p, within the lag. With tombstones
// it also considers those who have ended.
func (l *twinLook) contradictsReported(p Participant, tombstones bool) bool {
	for _, o := range l.people {
		if o.Identity == p.Identity && o.SID != p.SID && o.JoinedAt >= p.JoinedAt && l.reportedLately(o.SID) {
			return true
		}
	}
	for _, g := range l.tombstones {
		if tombstones && g.Identity == p.Identity && g.JoinedAt >= p.JoinedAt && l.reportedLately(g.SID) {
			return true
		}
	}
	return false
}

func (l *twinLook) room(info RoomInfo) {
	w := l.twin
	switch {
	case info.SID == w.sid && !w.over():
	case info.SID == w.sid:
		if l.roomReportedLately() {
			w.deferred++
			return
		}
		if !l.agree("reordered", info.SID, "", true) {
			return
		}
		w.overruled = true
	case w.sid == "" && info.CreatedMs != 0:
		w.sid, w.created = info.SID, info.CreatedMs
	case info.CreatedMs > w.created && w.sid != "":
		w.nextInstance(info, func(p Participant) bool { return l.shows(p.SID) || p.JoinedAt >= info.CreatedMs })
	default:
		if l.roomReportedLately() {
			w.deferred++
			l.others = true
			return
		}
		if !l.agree("reordered", info.SID, "", true) {
			l.others = true
			return
		}
		w.sid, w.created, w.mark, w.overruled = info.SID, info.CreatedMs, 0, false
	}
	w.live, w.fields = true, info
}

func (l *twinLook) present() {
	w := l.twin
	for _, p := range l.seen {
		if w.touchedSince(p.Identity, l.Began) {
			continue
		}
		if o := w.person(p.SID); o != nil {
			if p.Version >= o.Version {
				*o = p
			}
			continue
		}
		if l.stale {
			continue
		}
		untimely := l.others || p.JoinedAt/1000 < w.mark || w.over() && p.JoinedAt/1000 <= w.mark || p.JoinedAt/1000 < w.created/1000
		contrary := untimely || w.tombstone(p.SID) != nil || w.beaten(p)
		if l.Lag != 0 && (l.contradictsReported(p, contrary) || contrary && (l.reportedLately(p.SID) || untimely && l.roomReportedLately())) {
			w.deferred++
			continue
		}
		if contrary && !l.agree("revived", p.SID, p.Identity, true) {
			continue
		}
		w.tombstones = slices.DeleteFunc(w.tombstones, func(g Tombstone) bool { return g.SID == p.SID })
		w.overruled = w.overruled || p.JoinedAt/1000 < w.mark
		if l.info != nil {
			w.open(*l.info)
		} else if w.created != 0 {
			w.open(RoomInfo{SID: w.sid, CreatedMs: w.created})
		} else {
			w.open(RoomInfo{SID: w.sid, CreatedMs: p.JoinedAt})
		}
		w.add(p)
	}
}

func (l *twinLook) absent(before []Participant) {
	w := l.twin
	for _, p := range before {
		if l.shows(p.SID) || w.person(p.SID) == nil || w.touchedSince(p.Identity, l.Began) {
			continue
		}
		if l.reportedLately(p.SID) {
			w.deferred++
			w.deferredParticipants++
			continue
		}
		if l.agree("absent", p.SID, p.Identity, l.permit(p.SID) || slices.Contains(l.Named, p.SID)) {
			w.addTombstone(p)
		}
	}
}

func (l *twinLook) emptyRoom() {
	w := l.twin
	untouched := !slices.ContainsFunc(w.touches, func(t twinTouch) bool { return t.at >= l.Began })
	gone := len(l.Listed) == 0 && !l.Unreadable && len(l.Participants) == 0 && l.Waiting == 0
	if !w.live || !gone || !untouched {
		return
	}
	if !w.over() && l.roomReportedLately() || w.deferredParticipants > 0 {
		w.deferred++
		w.deferredRooms++
		return
	}
	if l.agree("absent", "", "", len(w.people) == 0 && (w.over() || l.permit(""))) {
		w.close()
		w.overruled = false
	}
}
