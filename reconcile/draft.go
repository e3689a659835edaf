package reconcile

import (
	"maps"
	"slices"
)

// draft is a room's record while one input is applied to it. The room itself is only read; what the draft changes is
// its own, so that a refused commit leaves nothing behind.
type draft struct {
	room     *Room
	now      Moment
	open     bool
	base     State     // the room's own fields; valid while open
	roster   []*Member // copied before the first change
	copied   bool
	instance Instance
	bury     map[string]Tombstone
	exhume   map[string]bool
	changes  []Change
	touched  []string
	ask      *Ask
	drift    map[Reason]int
}

func newDraft(room *Room, now Moment) *draft {
	d := &draft{room: room, now: now, instance: room.Instance}
	if room.State != nil {
		d.open, d.base, d.roster = true, *room.State, room.State.Roster
	}
	return d
}

func (d *draft) log(t ChangeType, m *Member, sid string) {
	d.changes = append(d.changes, Change{Type: t, Member: m, SID: sid})
}

func (d *draft) drifted(r Reason) {
	if d.drift == nil {
		d.drift = map[Reason]int{}
	}
	d.drift[r]++
}

// wants asks for a poll; several reasons of one input become one.
func (d *draft) wants(why string, named ...string) {
	if d.ask == nil {
		d.ask = &Ask{Why: why}
	}
	d.ask.Named = append(d.ask.Named, named...)
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

// renew ends the instance at hand with its roster and begins the one of info, which is not open yet.
func (d *draft) renew(info RoomInfo) {
	for _, m := range slices.Clone(d.roster) {
		d.end(m, false)
	}
	d.finish()
	d.instance = Instance{SID: info.SID, CreatedMs: info.CreatedMs}
	d.touched = append(d.touched, "")
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

// put adds m, or replaces the member of the same sid.
func (d *draft) put(m *Member, as ChangeType) {
	d.own()
	d.roster = slices.DeleteFunc(d.roster, func(o *Member) bool { return o.SID == m.SID })
	i, _ := slices.BinarySearchFunc(d.roster, m, byJoin)
	d.roster = slices.Insert(d.roster, i, m)
	d.log(as, m, m.SID)
}

// drop takes a member out of the roster without a tombstone.
func (d *draft) drop(m *Member) {
	d.own()
	d.roster = slices.DeleteFunc(d.roster, func(o *Member) bool { return o.SID == m.SID })
	d.log(ParticipantLeft, m, m.SID)
}

// end takes a member out of the roster and buries its sid.
func (d *draft) end(m *Member, polled bool) {
	d.drop(m)
	d.entomb(&m.Participant, polled)
}

// admit puts a new participant in, and ends those of its identity that joined before it or at the same moment: one
// identity is one participant.
func (d *draft) admit(p *Participant) {
	for _, o := range d.others(p) {
		d.end(o, false)
	}
	d.put(NewMember(*p), ParticipantJoined)
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

func (d *draft) entomb(p *Participant, polled bool) {
	if d.bury == nil {
		d.bury = map[string]Tombstone{}
	}
	d.bury[p.SID] = Tombstone{SID: p.SID, Identity: p.Identity, JoinedAt: p.JoinedAt, Polled: polled}
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

// newest is the latest join known of an identity under another sid, present or ended.
func (d *draft) newest(p *Participant) int64 {
	latest := int64(0)
	for _, m := range d.others(p) {
		latest = max(latest, m.JoinedAt)
	}
	for sid, t := range d.room.Tombstones {
		if t.Identity == p.Identity && sid != p.SID && !d.exhume[sid] {
			latest = max(latest, t.JoinedAt)
		}
	}
	for sid, t := range d.bury {
		if t.Identity == p.Identity && sid != p.SID {
			latest = max(latest, t.JoinedAt)
		}
	}
	return latest
}

// refusal is why a participant that is not stored may not come in, or "".
func (d *draft) refusal(p *Participant) string {
	switch _, ended := d.tomb(p.SID); {
	case ended:
		return "its sid has ended"
	case d.newest(p) > p.JoinedAt:
		return "a newer one of its identity is known"
	case d.beforeFinish(p):
		return "the room finished after it joined"
	}
	return ""
}

// beforeFinish compares whole seconds, since that is what the mark has; a tie is not before.
func (d *draft) beforeFinish(p *Participant) bool {
	return d.instance.FinishedAt != 0 && p.JoinedAt/1000 < d.instance.FinishedAt
}

// plan turns the draft into a commit.
func (d *draft) plan(cause Cause) Plan {
	r := d.room
	c := Commit{Room: r.Room, Claim: r.Claim, Expect: r.Stored, Version: r.Stored, Instance: d.instance,
		ConfirmedAt: r.ConfirmedAt, Cause: cause, Time: d.now.Wall, Prev: r.Appended}
	lost := r.Stored < r.Version
	c.Bury, c.Exhume = d.graves(lost), slices.Sorted(maps.Keys(d.exhume))
	rewrite := r.Altered || lost
	switch {
	case d.open && (len(d.changes) > 0 || rewrite):
		c.Public = Write
	case !d.open && (r.State != nil || rewrite):
		c.Public = Remove
	}
	p := Plan{Ask: d.ask, Changes: d.changes, touched: d.touched}
	p.Changed = c.Public != Keep || len(c.Bury)+len(c.Exhume) > 0 || d.instance != r.Instance
	p.Commit = c
	if c.Public != Keep {
		d.publish(&p.Commit, rewrite)
	}
	p.number(r)
	return p
}

// publish fills in what readers of the keys and of the feed get.
func (d *draft) publish(c *Commit, rewrite bool) {
	if c.Public == Write {
		s := d.base
		s.Roster, s.LastUpdated = d.roster, d.now.Wall
		c.State = &s
	}
	c.Changes = d.changes
	if d.room.Snapshot || rewrite {
		c.Changes = []Change{{Type: RoomSnapshot, SID: d.instance.SID}}
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
func (d *draft) graves(all bool) []Tombstone {
	merged := maps.Clone(d.bury)
	if all {
		if merged == nil {
			merged = map[string]Tombstone{}
		}
		for sid, t := range d.room.Tombstones {
			if _, newer := merged[sid]; !newer && !d.exhume[sid] {
				merged[sid] = t
			}
		}
	}
	graves := make([]Tombstone, 0, len(merged))
	for _, sid := range slices.Sorted(maps.Keys(merged)) {
		graves = append(graves, merged[sid])
	}
	return graves
}
