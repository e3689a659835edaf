package reconcile

import (
	"cmp"
	"maps"
	"slices"
)

// migration is the DisconnectReason of a participant whom LiveKit moves to another of its nodes.
const migration = "MIGRATION"

// draft is a room's record while one input is applied to it. The room itself is only read; what the draft changes is
// its own, so that a refused commit leaves nothing behind.
type draft struct {
	room     *Room
	now      Moment
	polled   bool // the input is a look: those whom it ends are ended by a poll
	rewrite  bool // the public keys are written whatever changes: they are not what the record says
	open     bool
	base     State     // the room's own fields; valid while open
	roster   []*Member // sorted by byJoin; copied before the first change
	copied   bool
	instance Instance
	bury     map[string]Tombstone
	exhume   map[string]bool
	changes  []Change
	touched  []string
	told     []telling
	toldRoom bool // the event is the start, the finish or the first of its instance
	restarts bool // it is a start of a room that is open already
	ask      *Ask
	why      Reason // of the changes that follow; empty for an event's
	drift    []Drift

	restarted int64
}

func newDraft(room *Room, now Moment) *draft {
	d := &draft{room: room, now: now, instance: room.Instance, rewrite: room.lost()}
	if room.State != nil {
		d.open, d.base, d.roster = true, *room.State, room.State.Roster
	}
	return d
}

func (d *draft) log(t ChangeType, m *Member, sid string) {
	d.changes = append(d.changes, Change{Type: t, Member: m, SID: sid, Reason: d.why})
}

// drifted notes a difference that is repaired by the changes that follow.
func (d *draft) drifted(r Reason, identity, sid string, since int64) {
	d.why = r
	d.drift = append(d.drift, Drift{Reason: r, Identity: identity, SID: sid, Since: since})
}

// wants asks for a poll that may remove the named sids; several reasons of one input become one.
func (d *draft) wants(why string, named ...string) {
	if d.ask == nil {
		d.ask = &Ask{Why: why}
	}
	d.ask.Named = append(d.ask.Named, named...)
}

// settleAsk gives the poll to ask for, with each sid named once.
func (d *draft) settleAsk() *Ask {
	if d.ask != nil {
		slices.Sort(d.ask.Named)
		d.ask.Named = slices.DeleteFunc(slices.Compact(d.ask.Named), func(sid string) bool { return sid == "" })
	}
	return d.ask
}

// describe sets the room's own fields and tells whether that changed any.
func (d *draft) describe(info RoomInfo) bool {
	was := d.base
	d.base.SID, d.base.Metadata, d.base.MaxParticipants = info.SID, info.Metadata, info.MaxParticipants
	if info.CreatedMs != 0 {
		d.base.CreatedAt = info.CreatedMs
	}
	return d.base.SID != was.SID || d.base.Metadata != was.Metadata ||
		d.base.MaxParticipants != was.MaxParticipants || d.base.CreatedAt != was.CreatedAt
}

// start opens the room if it is not, with info's fields.
func (d *draft) start(info RoomInfo) {
	if d.open {
		return
	}
	d.open, d.base = true, State{CreatedAt: info.CreatedMs}
	d.describe(info)
	d.log(RoomStarted, nil, info.SID)
}

// finish takes the room's keys away. Its roster must be empty by then.
func (d *draft) finish() {
	if !d.open {
		return
	}
	d.log(RoomFinished, nil, d.base.SID)
	d.open, d.base = false, State{}
}

// endOlder takes an event's newer instance in place of the one at hand and ends its roster. Members who joined since the newer
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
	d.touched, d.toldRoom = append(d.touched, ""), true
}

// replaceInstance begins the instance of info with the members who are left in the roster. They have neither left nor joined, so
// readers see one room that goes on; without members the room finishes.
func (d *draft) replaceInstance(info RoomInfo) {
	d.instance = Instance{SID: info.SID, CreatedMs: info.CreatedMs}
	if len(d.roster) == 0 {
		d.finish()
		return
	}
	d.base = State{}
	d.describe(info)
	d.log(RoomUpdated, nil, info.SID)
}

func (d *draft) own() {
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

// insert adds a member whose sid is not there.
func (d *draft) insert(m *Member) {
	d.own()
	i, _ := slices.BinarySearchFunc(d.roster, m, byJoin)
	d.roster = slices.Insert(d.roster, i, m)
}

func (d *draft) remove(m *Member) {
	d.own()
	if i, ok := slices.BinarySearchFunc(d.roster, m, byJoin); ok {
		d.roster = slices.Delete(d.roster, i, i+1)
	}
}

// put adds m as one who joined.
func (d *draft) put(m *Member) {
	d.insert(m)
	d.told = append(d.told, telling{sid: m.SID})
	d.log(ParticipantJoined, m, m.SID)
}

// replace brings a member up to date.
func (d *draft) replace(m, with *Member) {
	d.remove(m)
	d.insert(with)
	d.log(ParticipantUpdated, with, with.SID)
}

// end takes a member out of the roster and buries its sid. It left at at, in Unix ms, for the reason that LiveKit gave ("": none).
func (d *draft) end(m *Member, at int64, reason string) {
	d.remove(m)
	d.changes = append(d.changes, Change{Type: ParticipantLeft, Member: m, SID: m.SID, Reason: d.why,
		Disconnect: cmp.Or(reason, UnknownReason), LeftAt: max(at, m.JoinedAt)})
	d.entomb(&m.Participant, reason)
}

// admit puts a new participant in and ends the others of its identity: one identity is one participant.
func (d *draft) admit(p *Participant, others []*Member) {
	for _, o := range others {
		d.end(o, p.JoinedAt, "")
	}
	d.put(NewMember(*p))
}

// others are the members of p's identity under another sid.
func (d *draft) others(p *Participant) []*Member {
	var found []*Member
	for _, o := range d.roster {
		if o.Identity == p.Identity && o.SID != p.SID {
			found = append(found, o)
		}
	}
	return found
}

// entomb buries a sid that ended for LiveKit's reason.
func (d *draft) entomb(p *Participant, reason string) {
	if d.bury == nil {
		d.bury = map[string]Tombstone{}
	}
	d.bury[p.SID] = Tombstone{SID: p.SID, Identity: p.Identity, JoinedAt: p.JoinedAt, Polled: d.polled,
		Migrated: reason == migration}
	d.told = append(d.told, telling{sid: p.SID, end: true})
	delete(d.exhume, p.SID)
}

func (d *draft) unearth(sid string) {
	delete(d.bury, sid)
	if _, stored := d.room.Tombstones[sid]; stored {
		if d.exhume == nil {
			d.exhume = map[string]bool{}
		}
		d.exhume[sid] = true
	}
}

func (d *draft) tomb(sid string) (Tombstone, bool) {
	if t, ok := d.bury[sid]; ok {
		return t, true
	}
	t, ok := d.room.Tombstones[sid]
	return t, ok && !d.exhume[sid]
}

// ended gives all tombstones that stand.
func (d *draft) ended(yield func(Tombstone) bool) {
	for sid, t := range d.room.Tombstones {
		if !d.exhume[sid] && !yield(t) {
			return
		}
	}
	for _, t := range d.bury {
		if !yield(t) {
			return
		}
	}
}

// lastEnded is the latest join of those of an identity who ended.
func (d *draft) lastEnded(identity string) int64 {
	last := int64(0)
	for t := range d.ended {
		if t.Identity == identity {
			last = max(last, t.JoinedAt)
		}
	}
	return last
}

// latest is the latest join known of an identity: of those present, and of those who ended.
func latest(others []*Member, ended int64) int64 {
	for _, o := range others {
		ended = max(ended, o.JoinedAt)
	}
	return ended
}

// refusal is why a participant that is not stored may not come in, or "". Rival is the latest join of its identity.
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

// beforeFinish compares whole seconds, since that is what the mark has; a tie is not before.
func (d *draft) beforeFinish(p *Participant) bool { return p.JoinedAt/1000 < d.instance.mark() }

// plan turns the draft into a commit.
func (d *draft) plan(cause Cause) Plan {
	d.prune()
	r := d.room
	c := Commit{Room: r.Room, Claim: r.Claim, Expect: r.Stored, Version: r.Stored, Instance: d.instance,
		ConfirmedAt: r.ConfirmedAt, Cause: cause, Time: d.now.Wall, Prev: r.Appended}
	c.Bury, c.Exhume = d.graves(), slices.Sorted(maps.Keys(d.exhume))
	switch {
	case d.open && (len(d.changes) > 0 || d.rewrite):
		c.Public = Write
	case !d.open && (r.State != nil || d.rewrite):
		c.Public = Remove
	}
	p := Plan{Ask: d.settleAsk(), Changes: d.changes, touched: d.touched, restarted: d.restarted, told: d.told}
	if d.toldRoom || d.restarts {
		p.toldRoom, p.repeatsRoom = d.instance.SID, !d.toldRoom
	}
	p.Changed = c.Public != Keep || len(c.Bury)+len(c.Exhume) > 0 || d.instance != r.Instance
	p.Commit = c
	if c.Public != Keep {
		d.publish(&p.Commit)
	}
	p.number(r)
	return p
}

// publish fills in what readers of the keys and of the feed get.
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
		c.Changes = append(slices.Clip(d.changes), whole) // the differences are for those who count, such as leaves
	}
	c.Story = d.changes
	if d.room.Altered || d.rewrite {
		again := Change{Type: RoomSnapshot, SID: d.instance.SID}
		if d.polled {
			again.Reason = d.room.mishap()
		}
		c.Story = append([]Change{again}, d.changes...)
	}
}

// number gives the commit its version once it is known to write.
func (p *Plan) number(r *Room) {
	if !p.Changed {
		return
	}
	p.Commit.Version = max(r.Stored, r.Version) + 1
	if p.Commit.State != nil {
		p.Commit.State.Version = p.Commit.Version
	}
}

// graves are the tombstones to write: the new ones, and all that are held when Redis lost the record.
func (d *draft) graves() []Tombstone {
	merged := maps.Clone(d.bury)
	if d.room.lost() {
		merged = map[string]Tombstone{}
		for t := range d.ended {
			merged[t.SID] = t
		}
	}
	graves := make([]Tombstone, 0, len(merged))
	for _, sid := range slices.Sorted(maps.Keys(merged)) {
		graves = append(graves, merged[sid])
	}
	return graves
}
