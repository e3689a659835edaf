package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// ConfirmEvery is how often a successful look is written to a record that it leaves unchanged.
const ConfirmEvery = 5 * time.Minute

// looking is a draft that a look is merged into.
type looking struct {
	*draft
	look      Look
	listed    *RoomInfo               // the listed instance that counts; nil if the room is not listed
	newest    map[string]*Participant // by sid; the newest of each identity; nil until seen is called
	pending   map[finding]pending     // the findings that stay pending
	named     map[string]bool         // sids that an event named
	stored    []*Member               // the roster before the look
	tally     Tally
	concerned map[string]bool // identities, and "" for the room, that an event concerned since the look began
	stale     bool            // an event concerned the room itself since the look began
	foreign   bool            // the look shows an instance that the record considers older or finished
	gone      bool            // neither list has the room, and no event has touched it
	// protected holds sids that are not absent although nothing else is known of them. With everyone, no sid is absent.
	protected map[string]bool
	everyone  bool
	cycles    int // cycles in a row with an entry without a readable sid
}

func stepLook(room *Room, look Look, now Moment) Plan {
	l := &looking{draft: newDraft(room, now), look: look, listed: look.Room(room.Instance.SID)}
	if len(look.Named) > 0 {
		l.named = make(map[string]bool, len(look.Named))
	}
	for _, sid := range look.Named {
		l.named[sid] = sid != ""
	}
	l.protect()
	for _, t := range room.memory.touched {
		if t.at >= look.Began {
			if l.concerned == nil {
				l.concerned = map[string]bool{}
			}
			l.concerned[t.identity] = true
		}
	}
	l.looked, l.stored, l.stale = true, l.roster, l.touchedSince("")
	if l.open || room.Altered {
		l.tally.Rooms, l.tally.Participants = 1, len(l.roster)
	}
	l.mergeRoom()
	if !l.asStored() {
		l.mergePresent()
		l.mergeAbsent()
	}
	l.settleRoom()
	return l.conclude()
}

// protect records which members unreadable entries protect.
func (l *looking) protect() {
	if len(l.look.Protected) > 0 {
		l.protected = make(map[string]bool, len(l.look.Protected))
	}
	for _, sid := range l.look.Protected {
		l.protected[sid] = true
	}
	if !l.look.Unidentified {
		return
	}
	l.cycles = int(l.room.memory.unidentified)
	if c := l.look.Cycle; c != 0 && c != l.room.memory.unidentifiedIn {
		l.cycles++
	}
	l.everyone = l.cycles <= UnidentifiedCycles
}

// shown reports whether LiveKit lists a sid, in a readable entry or not.
func (l *looking) shown(sid string) bool {
	return l.everyone || l.protected[sid] || l.seen()[sid] != nil
}

// seen returns the participants whom LiveKit lists, by sid: the newest of each identity.
func (l *looking) seen() map[string]*Participant {
	if l.newest == nil {
		l.newest = newestOf(l.look.Participants, l.stored)
	}
	return l.newest
}

// asStored reports whether the look shows exactly the members, with nothing to update. Most looks do, so they are recognized without indexes. The
// comparison is quadratic: of a large room it is not made, and the answer is false.
func (l *looking) asStored() bool {
	const most = 32
	if len(l.look.Participants) != len(l.roster) || len(l.roster) > most || l.copied {
		return false
	}
	found := uint32(0)
	for i := range l.look.Participants {
		p := &l.look.Participants[i]
		for j, m := range l.roster {
			switch {
			case m.SID != p.SID:
				if m.Identity == p.Identity {
					return false
				}
			case p.Version >= m.Version && !m.says(p), m.Identity != p.Identity:
				return false
			default:
				found |= 1 << j
			}
		}
	}
	return found == 1<<len(l.roster)-1
}

// newestOf indexes a list by sid and keeps the newest participant of each identity, because LiveKit has one participant per identity.
// Among equally old ones it keeps the stored one, or else the one with the greatest sid, so that the order of a list never matters.
func newestOf(list []Participant, stored []*Member) map[string]*Participant {
	isStored := func(sid string) bool {
		return slices.ContainsFunc(stored, func(m *Member) bool { return m.SID == sid })
	}
	outranks := func(p, o *Participant) bool {
		switch {
		case o == nil || p.JoinedAt != o.JoinedAt:
			return o == nil || p.JoinedAt > o.JoinedAt
		case isStored(p.SID) != isStored(o.SID):
			return isStored(p.SID)
		}
		return p.SID > o.SID
	}
	newest := make(map[string]*Participant, len(list))
	for i := range list {
		p := &list[i]
		if p.named() && outranks(p, newest[p.Identity]) {
			newest[p.Identity] = p
		}
	}
	seen := make(map[string]*Participant, len(newest))
	for _, p := range newest {
		seen[p.SID] = p
	}
	return seen
}

// touchedSince reports whether an event concerned the identity ("" is the room) since the look began.
func (l *looking) touchedSince(identity string) bool { return l.concerned[identity] }

// agreed reports whether the previous look had the same finding and the finding is at least LookGap old. The first look of a poll agrees with none.
func (l *looking) agreed(f finding) bool {
	prior, ok := l.room.memory.pending[f]
	return ok && !l.look.First && l.look.Began-prior.since >= LookGap
}

// permitted reports whether an absence may be removed: because an event named the sid, or by a permit of the cycle whose first look
// found the absence.
func (l *looking) permitted(f finding) bool {
	if l.named[f.sid] {
		return true
	}
	prior, permit := l.room.memory.pending[f], l.look.Permit
	return permit != nil && permit.Cycle != 0 && prior.cycle == permit.Cycle &&
		(permit.Streak <= 1 || prior.streak >= permit.Streak)
}

// note keeps a finding pending for the next look.
func (l *looking) note(f finding) {
	next, ok := l.room.memory.pending[f]
	if !ok {
		next.since = l.look.Began
	}
	if c := l.look.Cycle; c != 0 && next.cycle != c && l.look.Permit == nil {
		next.cycle = c
		if l.look.Scheduled {
			next.streak++
		}
	}
	if l.pending == nil {
		l.pending = map[finding]pending{}
	}
	l.pending[f] = next
}

// mergeRoom merges what ListRooms says about the room itself.
func (l *looking) mergeRoom() {
	if l.stale {
		return
	}
	info := l.listed
	if info == nil {
		// Who is still connecting keeps an open room. It does not keep what others wrote under the name of a closed one.
		kept := l.look.Waiting > 0 && l.open
		l.gone = len(l.look.Participants) == 0 && !kept && !l.look.Unreadable
		return
	}
	contrary := finding{kind: reordered, sid: info.SID}
	switch age := l.ageOf(*info); {
	case age == newer && l.instance.SID != "":
		l.replaceOlder(*info)
	case age == newer:
		l.instance.SID, l.instance.CreatedMs = info.SID, info.CreatedMs
	case age == same && !l.instance.Finished():
	case l.roomReportedLately():
		l.deferFinding(nil)
		l.foreign = age != same
		return
	case !l.agreed(contrary):
		l.note(contrary)
		l.foreign = age != same
		return
	case age == same:
		l.instance.revive()
	default:
		l.instance = Instance{SID: info.SID, CreatedMs: info.CreatedMs}
	}
	l.describeListed(*info)
}

func (l *looking) describeListed(info RoomInfo) {
	if !l.open {
		l.drifted(UnseenRoom, "", info.SID, info.CreatedMs)
		l.start(info)
		return
	}
	if l.describe(info) {
		l.drifted(StaleMetadata, "", info.SID, 0)
		l.change(RoomUpdated, nil, info.SID)
	}
}

// replaceOlder begins a newer instance. Members whom the look shows stay, and so do those who joined since the instance was created.
// The others end: what events have reported about them concerns the older instance.
func (l *looking) replaceOlder(info RoomInfo) {
	for _, m := range slices.Clone(l.roster) {
		if !l.shown(m.SID) && m.JoinedAt < info.CreatedMs {
			l.drifted(MissedLeave, m.Identity, m.SID, info.CreatedMs)
			l.end(m, info.CreatedMs, "")
		}
	}
	if l.open {
		l.drifted(UnseenFinish, "", l.base.SID, info.CreatedMs)
	}
	if len(l.roster) == 0 {
		l.finish()
	}
	l.drifted(UnseenRoom, "", info.SID, info.CreatedMs)
	l.replaceInstance(info)
	l.start(info)
}

// mergePresent merges the participants whom LiveKit shows. A look that began before an event of the room itself adds
// nobody, because the event may have ended those whom the look shows.
func (l *looking) mergePresent() {
	members := make(map[string]*Member, len(l.roster))
	for _, m := range l.roster {
		members[m.SID] = m
	}
	var strangers []*Participant
	for _, sid := range slices.Sorted(maps.Keys(l.seen())) {
		p := l.newest[sid]
		switch m := members[sid]; {
		case l.touchedSince(p.Identity):
		case m == nil && !l.stale:
			strangers = append(strangers, p)
		case m != nil && p.Version >= m.Version && !m.says(p):
			l.drifted(StaleMetadata, p.Identity, p.SID, 0)
			l.replace(m, NewMember(*p))
		}
	}
	if len(strangers) > 0 {
		l.mergeStrangers(strangers)
	}
}

// mergeStrangers adds the participants who are not stored. Each is the only stranger of its identity, so what is known
// of the others of its identity can be gathered beforehand.
func (l *looking) mergeStrangers(strangers []*Participant) {
	slices.SortFunc(strangers, func(a, b *Participant) int {
		return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), strings.Compare(a.SID, b.SID))
	})
	present, ended := map[string][]*Member{}, map[string]int64{}
	for _, m := range l.roster {
		present[m.Identity] = append(present[m.Identity], m)
	}
	for t := range l.ended {
		ended[t.Identity] = max(ended[t.Identity], t.JoinedAt)
	}
	for _, p := range strangers {
		others := present[p.Identity]
		needsSecondLook := l.needsSecondLook(p, latest(others, ended[p.Identity]))
		switch {
		case l.contradictsEvent(p, others, needsSecondLook):
			l.deferFinding(nil)
		case !needsSecondLook || l.overrule(p):
			l.addParticipant(p, others)
		}
	}
}

// needsSecondLook reports whether p's presence contradicts what is known. In a look, a join in the second of the finish counts as a
// contradiction, and so does a join before the instance was created, as a stale list shows it of the previous instance. No event vouches
// for either.
func (l *looking) needsSecondLook(p *Participant, rival int64) bool {
	return l.foreign || l.refusal(p, rival) != "" || l.finishedAfter(p) || l.older(p)
}

// finishedAfter reports whether p joined before the instance's finish, or in the second of the finish of a finished instance.
func (l *looking) finishedAfter(p *Participant) bool {
	return l.beforeFinish(p) || l.instance.Finished() && p.JoinedAt/1000 <= l.instance.mark()
}

// older reports whether p joined before the instance was created.
func (l *looking) older(p *Participant) bool { return p.JoinedAt/1000 < l.instance.CreatedMs/1000 }

// overrule admits p against tombstone, finish mark and order if two looks agree on p. It reports whether they do.
func (l *looking) overrule(p *Participant) bool {
	f := finding{revived, p.SID, p.Identity}
	if !l.agreed(f) {
		l.note(f)
		return false
	}
	l.removeTombstone(p.SID)
	if l.beforeFinish(p) {
		l.instance.revive()
	}
	return true
}

func (l *looking) addParticipant(p *Participant, others []*Member) {
	if !l.open {
		info := RoomInfo{SID: l.instance.SID, CreatedMs: l.instance.CreatedMs}
		if info.CreatedMs == 0 {
			info.CreatedMs = p.JoinedAt // ListRooms does not have the room: nothing better is known
		}
		if l.listed != nil {
			info = *l.listed
		}
		l.drifted(UnseenRoom, "", info.SID, info.CreatedMs)
		l.start(info)
	}
	for _, o := range others {
		l.drifted(MissedLeave, o.Identity, o.SID, p.JoinedAt)
		l.end(o, p.JoinedAt, "")
	}
	l.drifted(MissedJoin, p.Identity, p.SID, p.JoinedAt)
	l.put(NewMember(*p))
}

// mergeAbsent removes the members whom LiveKit does not show, or keeps their absence pending.
func (l *looking) mergeAbsent() {
	for _, m := range l.stored {
		_, ended := l.newTombstones[m.SID]
		if ended || l.shown(m.SID) || l.touchedSince(m.Identity) {
			continue
		}
		if l.reportedLately(m.SID) {
			l.deferFinding(&l.tally.DeferredParticipants)
			continue
		}
		f := finding{absent, m.SID, m.Identity}
		if !l.agreed(f) || !l.permitted(f) {
			l.note(f)
			continue
		}
		reason := MissedLeave
		if l.gone {
			reason = Ghost
		}
		at := l.firstSeen(f)
		l.drifted(reason, m.Identity, m.SID, at)
		l.end(m, at, "")
	}
}

// settleRoom removes a room that LiveKit does not show, or keeps its absence pending. The room is a live one, or public keys that
// someone else left.
func (l *looking) settleRoom() {
	if !l.open && !l.room.Altered || !l.gone || len(l.concerned) > 0 {
		return
	}
	finished := l.instance.Finished() // then LiveKit itself reported the end, and the absence only confirms it
	if !finished && l.roomReportedLately() || l.tally.DeferredParticipants > 0 {
		l.deferFinding(&l.tally.DeferredRooms)
		return
	}
	f := finding{kind: absent}
	if !l.agreed(f) || len(l.roster) > 0 || !finished && !l.permitted(f) {
		l.note(f)
		return
	}
	l.drifted(UnseenFinish, "", l.instance.SID, l.firstSeen(f))
	l.finish()
	l.rewrite = l.rewrite || l.room.Altered
	l.instance.FinishedAt = l.instance.mark()
	l.tally.Cleaned = 1
}

// conclude turns the merged draft into a plan, with the tally and the findings that stay pending.
func (l *looking) conclude() Plan {
	cause := l.look.Cause
	if cause == "" {
		cause = BySync
	}
	if reason := l.room.drift(); reason != "" {
		l.drifted(reason, "", l.instance.SID, 0)
	}
	l.rewrite = l.rewrite || l.open && l.room.Altered
	p := l.plan(cause)
	if l.open && (p.Changed || l.now.Wall-l.room.ConfirmedAt >= ConfirmEvery.Milliseconds()) {
		p.Commit.ConfirmedAt, p.Commit.Prune, p.Changed = l.now.Wall, true, true
		p.number(l.room)
	}
	if l.look.Permit != nil {
		p.Commit.Leader = l.look.Permit.Leader
	}
	p.Commit.Verify = l.look.Verify
	l.count()
	p.Drift, p.Tally, p.pending, p.looked, p.at, p.touched = l.drift, l.tally, l.pending, true, l.look.Began, nil
	p.Unidentified, p.cycle = l.cycles, l.look.Cycle
	p.reports, p.reportedRoom = nil, ""
	p.NeedsSecondLook = l.stale || l.undecided()
	return p
}

// firstSeen returns when the first of the agreeing looks began, in Unix ms.
func (l *looking) firstSeen(f finding) int64 {
	ago := time.Duration(l.now.Stamp - l.room.memory.pending[f].since)
	return l.now.Wall - ago.Milliseconds()
}

func (l *looking) count() {
	for _, d := range l.drift {
		if l.tally.Drift == nil {
			l.tally.Drift = map[Reason]int{}
		}
		l.tally.Drift[d.Reason]++
	}
	// What an event protects is missing nevertheless: the breaker counts it.
	l.tally.MissingRooms, l.tally.MissingParticipants = l.tally.DeferredRooms, l.tally.DeferredParticipants
	for f, d := range l.pending {
		if f.kind != absent {
			continue
		}
		missing, agreed := &l.tally.MissingParticipants, &l.tally.AgreedParticipants
		if f.sid == "" {
			missing, agreed = &l.tally.MissingRooms, &l.tally.AgreedRooms
		}
		*missing++
		if d.streak >= AgreeCycles {
			*agreed++
		}
	}
}

// undecided reports whether another look could settle a pending finding without a permit.
func (l *looking) undecided() bool {
	for f := range l.pending {
		switch {
		case f.kind != absent:
			return true
		case f.sid == "" && l.instance.Finished():
			return true
		case l.named[f.sid]:
			return true
		}
	}
	return false
}
