package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// migration is the DisconnectReason of a participant whom LiveKit moves to another of its nodes.
const migration = "MIGRATION"

// draft is a room's record while one input is applied to it. It only reads the room and keeps its changes to itself, so
// that a refused commit leaves nothing behind.
type draft struct {
	room              *Room
	now               Moment
	looked            bool // the input is a look, of a poll or of a cycle; its tombstones say so
	rewrite           bool // write the public keys even without a change, because they differ from the record
	open              bool
	base              State     // the room's own fields; valid while open
	roster            []*Member // sorted by byJoin; copied before the first change
	copied            bool
	instance          Instance
	newTombstones     map[string]Tombstone
	removedTombstones map[string]bool
	changes           []Change // for the feed and the timeline, in order
	touched           []string // identities about which the event says something, "" for the room itself: see settling.go
	reports           []eventReport
	reportsRoom       bool // the event is the start, the finish or the first event of its instance
	restarts          bool // the event is a start of a room that is already open
	ask               *Ask
	why               Reason // reason for the changes that follow; empty for an event
	drift             []Drift
	restarted         int64 // when a room that is open or was closed started again, in Unix s by LiveKit's clock; 0 for no such event
}

func newDraft(room *Room, now Moment) *draft {
	d := &draft{room: room, now: now, instance: room.Instance, rewrite: room.lost()}
	if room.State != nil {
		d.open, d.base, d.roster = true, *room.State, room.State.Roster
	}
	return d
}

// change records a change of the room or of a participant, in the order in which readers get it.
func (d *draft) change(t ChangeType, m *Member, sid string) {
	d.changes = append(d.changes, Change{Type: t, Member: m, SID: sid, Reason: d.why})
}

// drifted records a difference that the changes after this call repair.
func (d *draft) drifted(r Reason, identity, sid string, since int64) {
	d.why = r
	d.drift = append(d.drift, Drift{Reason: r, Identity: identity, SID: sid, Since: since})
}

// wants asks for a poll that may remove the named sids. All calls for one input make one poll, which has the first reason.
func (d *draft) wants(why string, named ...string) {
	if d.ask == nil {
		d.ask = &Ask{Why: why}
	}
	d.ask.Named = append(d.ask.Named, named...)
}

// settleAsk returns the poll to ask for, with each sid named once, or nil for none.
func (d *draft) settleAsk() *Ask {
	if d.ask != nil {
		slices.Sort(d.ask.Named)
		d.ask.Named = slices.DeleteFunc(slices.Compact(d.ask.Named), func(sid string) bool { return sid == "" })
	}
	return d.ask
}

// describe sets the room's own fields and reports whether any of them changed.
func (d *draft) describe(info RoomInfo) bool {
	was := d.base
	d.base.SID, d.base.Metadata, d.base.MaxParticipants = info.SID, info.Metadata, info.MaxParticipants
	if info.CreatedMs != 0 {
		d.base.CreatedAt = info.CreatedMs
	}
	return d.base.SID != was.SID || d.base.Metadata != was.Metadata ||
		d.base.MaxParticipants != was.MaxParticipants || d.base.CreatedAt != was.CreatedAt
}

// start opens the room with info's fields, unless it is already open.
func (d *draft) start(info RoomInfo) {
	if d.open {
		return
	}
	d.open, d.base = true, State{CreatedAt: info.CreatedMs}
	d.describe(info)
	d.change(RoomStarted, nil, info.SID)
}

// finish removes the room's public keys. The roster must be empty.
func (d *draft) finish() {
	if !d.open {
		return
	}
	d.change(RoomFinished, nil, d.base.SID)
	d.open, d.base = false, State{}
}

// endOlder replaces the current instance by the newer one of an event and ends the roster. Members who joined since the newer
// instance was created stay: a look showed them before any event did.
func (d *draft) endOlder(info RoomInfo) {
	for _, m := range slices.Clone(d.roster) {
		if m.JoinedAt < info.CreatedMs {
			d.end(m, info.CreatedMs, "")
			continue
		}
		d.wants("a newer instance that spared a participant", m.SID)
	}
	d.replaceInstance(info)
	d.touched, d.reportsRoom = append(d.touched, ""), true
}

// replaceInstance begins the instance of info with the members who remain in the roster. They have neither left nor joined, so
// readers see one room that continues. Without members the room finishes.
func (d *draft) replaceInstance(info RoomInfo) {
	d.instance = Instance{SID: info.SID, CreatedMs: info.CreatedMs}
	if len(d.roster) == 0 {
		d.finish()
		return
	}
	d.base = State{}
	d.describe(info)
	d.change(RoomUpdated, nil, info.SID)
}

// copyRoster makes the roster the draft's own, before it changes. Until then it is the room's.
func (d *draft) copyRoster() {
	if !d.copied {
		d.roster, d.copied = slices.Clone(d.roster), true
	}
}

func (d *draft) find(sid string) *Member {
	if i := slices.IndexFunc(d.roster, func(m *Member) bool { return m.SID == sid }); i >= 0 {
		return d.roster[i]
	}
	return nil
}

// insert adds a member whose sid is not in the roster.
func (d *draft) insert(m *Member) {
	d.copyRoster()
	i, _ := slices.BinarySearchFunc(d.roster, m, byJoin)
	d.roster = slices.Insert(d.roster, i, m)
}

func (d *draft) remove(m *Member) {
	d.copyRoster()
	if i, ok := slices.BinarySearchFunc(d.roster, m, byJoin); ok {
		d.roster = slices.Delete(d.roster, i, i+1)
	}
}

// put adds m to the roster and records its join.
func (d *draft) put(m *Member) {
	d.insert(m)
	d.reports = append(d.reports, eventReport{sid: m.SID})
	d.change(ParticipantJoined, m, m.SID)
}

// replace puts a member's new version in place of the old one and records the update.
func (d *draft) replace(m, with *Member) {
	d.remove(m)
	d.insert(with)
	d.change(ParticipantUpdated, with, with.SID)
}

// end removes a member from the roster and adds a tombstone for its sid. The member left at at, in Unix ms. The reason is
// LiveKit's, or "" if LiveKit gave none.
func (d *draft) end(m *Member, at int64, reason string) {
	d.remove(m)
	d.changes = append(d.changes, Change{Type: ParticipantLeft, Member: m, SID: m.SID, Reason: d.why,
		Disconnect: cmp.Or(reason, UnknownReason), LeftAt: max(at, m.JoinedAt)})
	d.addTombstone(&m.Participant, reason)
}

// admit adds a new participant and ends the others of its identity: an identity has one participant.
func (d *draft) admit(p *Participant, others []*Member) {
	for _, o := range others {
		d.end(o, p.JoinedAt, "")
	}
	d.put(NewMember(*p))
}

// others returns the members that have p's identity under another sid.
func (d *draft) others(p *Participant) []*Member {
	var found []*Member
	for _, o := range d.roster {
		if o.Identity == p.Identity && o.SID != p.SID {
			found = append(found, o)
		}
	}
	return found
}

// addTombstone adds the tombstone of a sid that ended for LiveKit's reason.
func (d *draft) addTombstone(p *Participant, reason string) {
	if d.newTombstones == nil {
		d.newTombstones = map[string]Tombstone{}
	}
	d.newTombstones[p.SID] = Tombstone{SID: p.SID, Identity: p.Identity, JoinedAt: p.JoinedAt, Looked: d.looked,
		Migrated: reason == migration}
	d.reports = append(d.reports, eventReport{sid: p.SID, end: true})
	delete(d.removedTombstones, p.SID)
}

func (d *draft) removeTombstone(sid string) {
	delete(d.newTombstones, sid)
	if _, stored := d.room.Tombstones[sid]; stored {
		if d.removedTombstones == nil {
			d.removedTombstones = map[string]bool{}
		}
		d.removedTombstones[sid] = true
	}
}

func (d *draft) tomb(sid string) (Tombstone, bool) {
	if t, ok := d.newTombstones[sid]; ok {
		return t, true
	}
	t, ok := d.room.Tombstones[sid]
	return t, ok && !d.removedTombstones[sid]
}

// ended yields all tombstones that the draft keeps or adds.
func (d *draft) ended(yield func(Tombstone) bool) {
	for sid, t := range d.room.Tombstones {
		if !d.removedTombstones[sid] && !yield(t) {
			return
		}
	}
	for _, t := range d.newTombstones {
		if !yield(t) {
			return
		}
	}
}

// lastEnded returns the latest join time among the ended participants of an identity, or 0.
func (d *draft) lastEnded(identity string) int64 {
	last := int64(0)
	for t := range d.ended {
		if t.Identity == identity {
			last = max(last, t.JoinedAt)
		}
	}
	return last
}

// latest returns the latest known join time of an identity. others are its present members; ended is the latest join time among
// its ended participants.
func latest(others []*Member, ended int64) int64 {
	for _, o := range others {
		ended = max(ended, o.JoinedAt)
	}
	return ended
}

// refusal returns why a participant that is not stored may not be added, or "". rival is the latest known join time of its identity.
func (d *draft) refusal(p *Participant, rival int64) string {
	switch _, ended := d.tomb(p.SID); {
	case ended:
		return "its sid has ended"
	case rival > p.JoinedAt:
		return "a newer one of its identity is known"
	case d.beforeFinish(p):
		return "the room finished after it joined"
	}
	return ""
}

// beforeFinish reports whether p joined before the finish mark. It compares whole seconds, which is what the mark has; a tie is
// not before.
func (d *draft) beforeFinish(p *Participant) bool { return p.JoinedAt/1000 < d.instance.mark() }

// plan turns the draft into a plan with its commit.
func (d *draft) plan(cause Cause) Plan {
	d.prune()
	r := d.room
	c := Commit{Room: r.Room, Claim: r.Claim, Expect: r.Stored, Version: r.Stored, Instance: d.instance,
		ConfirmedAt: r.ConfirmedAt, Cause: cause, Time: d.now.Wall, Prev: r.Appended}
	c.AddTombstones, c.RemoveTombstones = d.tombstones(), slices.Sorted(maps.Keys(d.removedTombstones))
	switch {
	case d.open && (len(d.changes) > 0 || d.rewrite):
		c.Public = Write
	case !d.open && (r.State != nil || d.rewrite):
		c.Public = Remove
	}
	p := Plan{Ask: d.settleAsk(), Changes: d.changes, touched: d.touched, restarted: d.restarted, reports: d.reports}
	if d.reportsRoom || d.restarts {
		p.reportedRoom, p.repeatsRoom = d.instance.SID, !d.reportsRoom
	}
	p.Changed = c.Public != Keep || len(c.AddTombstones)+len(c.RemoveTombstones) > 0 || d.instance != r.Instance
	p.Commit = c
	if c.Public != Keep {
		d.publish(&p.Commit)
	}
	p.number(r)
	return p
}

// publish fills in what readers of the keys, the feed and the timeline get.
func (d *draft) publish(c *Commit) {
	if c.Public == Write {
		s := d.base
		s.Roster, s.LastUpdated = d.roster, d.now.Wall
		c.State = &s
	}
	c.Changes = d.changes
	whole := Change{Type: RoomSnapshot, SID: d.instance.SID}
	switch {
	case d.room.Snapshot || d.room.Altered || d.rewrite:
		c.Changes = []Change{whole}
	case d.room.Unproven:
		c.Changes = append(slices.Clip(d.changes), whole) // the differences serve consumers that count, for example, leaves
	}
	c.Story = d.changes
	if d.room.Altered || d.rewrite {
		again := Change{Type: RoomSnapshot, SID: d.instance.SID}
		if d.looked {
			again.Reason = d.room.drift()
		}
		c.Story = append([]Change{again}, d.changes...)
	}
}

// number gives the commit a new version if it writes.
func (p *Plan) number(r *Room) {
	if !p.Changed {
		return
	}
	p.Commit.Version = max(r.Stored, r.Version) + 1
	if p.Commit.State != nil {
		p.Commit.State.Version = p.Commit.Version
	}
}

// tombstones returns the tombstones to write: the new ones, or all known ones if Redis has lost the record.
func (d *draft) tombstones() []Tombstone {
	merged := d.newTombstones
	if d.room.lost() {
		merged = map[string]Tombstone{}
		for t := range d.ended {
			merged[t.SID] = t
		}
	}
	list := slices.AppendSeq(make([]Tombstone, 0, len(merged)), maps.Values(merged))
	slices.SortFunc(list, func(a, b Tombstone) int { return strings.Compare(a.SID, b.SID) })
	return list
}
