package reconcile

import (
	"cmp"
	"fmt"
	"slices"
)

// twin is a second implementation of the protocol, written from its rules as plainly as possible and without regard for
// speed, commits or sharing. It searches its lists from end to end.
type twin struct {
	sid        string
	created    int64
	mark       int64 // second of the latest finish, 0 for none
	overruled  bool  // LiveKit has shown the instance alive after the mark
	live       bool
	fields     RoomInfo
	people     []Participant
	tombstones []Tombstone

	events       []string // ids of the delivered events
	restarted    int64
	touches      []twinTouch
	pending      []twinPending
	blind        []uint64 // the cycles in a row that had an entry without a readable sid
	reported     []twinReported
	reportedRoom twinTouch // the same for the instance
	changed      int64     // Redis' clock when an event last changed something, 0 for never
	before       *Stamp    // the latest time at which that may have been, if under an earlier claim

	now, read int64 // Redis' clock at this script and at the previous one, Unix s

	// Of the latest input:
	asked           bool
	named           map[string]bool
	needsSecondLook bool
	polled          bool
	reason          string // of a leave that is being applied
	at              Stamp

	deferred, deferredRooms, deferredParticipants int
}

type twinTouch struct {
	identity string
	at       Stamp
}

// twinReported is the join or the end of a sid, and when an event reported it.
type twinReported struct {
	sid string
	end bool
	at  Stamp
}

type twinPending struct {
	what, sid, identity string
	since               Stamp
	cycle               uint64
	streak              int
}

func (w *twin) ask(sids ...string) {
	w.asked = true
	for _, sid := range sids {
		if sid != "" {
			w.named[sid] = true
		}
	}
}

func (w *twin) over() bool { return w.mark != 0 && !w.overruled }

func (w *twin) tombstone(sid string) *Tombstone {
	for i := range w.tombstones {
		if w.tombstones[i].SID == sid {
			return &w.tombstones[i]
		}
	}
	return nil
}

func (w *twin) person(sid string) *Participant {
	for i := range w.people {
		if w.people[i].SID == sid {
			return &w.people[i]
		}
	}
	return nil
}

func (w *twin) addTombstone(p Participant) {
	w.people = slices.DeleteFunc(w.people, func(o Participant) bool { return o.SID == p.SID })
	w.tombstones = slices.DeleteFunc(w.tombstones, func(g Tombstone) bool { return g.SID == p.SID })
	w.tombstones = append(w.tombstones, Tombstone{SID: p.SID, Identity: p.Identity, JoinedAt: p.JoinedAt, Looked: w.polled,
		Migrated: w.reason == "MIGRATION", Written: w.now})
	w.report(p.SID, true)
}

func (w *twin) addTombstones(which func(Participant) bool) {
	for _, p := range slices.Clone(w.people) {
		if which(p) {
			w.addTombstone(p)
		}
	}
}

func (w *twin) add(p Participant) {
	w.addTombstones(func(o Participant) bool { return o.Identity == p.Identity && o.SID != p.SID })
	w.people = append(w.people, p)
	w.report(p.SID, false)
}

// report records that an event reports on a sid.
func (w *twin) report(sid string, end bool) {
	if !w.polled {
		w.reported = append(w.reported, twinReported{sid, end, w.at})
	}
}

// reportAgain is report for what the record already has. It counts unless the last report of an event on the sid is the same.
func (w *twin) reportAgain(sid string, end bool) {
	for _, t := range slices.Backward(w.reported) {
		if t.sid == sid && w.at-t.at <= touchMemory {
			if t.end == end {
				return
			}
			break
		}
	}
	w.report(sid, end)
}

func (w *twin) reportRoom() { w.reportedRoom = twinTouch{w.sid, w.at} }

// state returns all that a record holds, for comparison.
func (w *twin) state() string {
	return fmt.Sprint(w.sid, w.created, w.mark, w.overruled, w.live, w.fields, w.roster(), w.tombstones)
}

// claim forgets what is not stored.
func (w *twin) claim(at Stamp, now int64) {
	w.tombstones = slices.DeleteFunc(w.tombstones, func(g Tombstone) bool { return now-g.Written >= 1800 })
	w.restarted, w.events, w.touches, w.pending, w.blind, w.reported, w.reportedRoom, w.before = 0, nil, nil, nil, nil, nil, twinTouch{}, nil
	if w.changed != 0 {
		last := at - Stamp(max(0, now-w.changed-1))*second
		w.before = &last
	}
	w.now = now
}

func (w *twin) open(room RoomInfo) {
	if !w.live {
		w.live, w.fields = true, room
	}
}

func (w *twin) close() { w.live, w.fields, w.people = false, RoomInfo{}, nil }

// nextInstance ends the current instance and every participant for whom stays is false, and begins the next instance.
func (w *twin) nextInstance(room RoomInfo, stays func(Participant) bool) {
	w.addTombstones(func(p Participant) bool { return !stays(p) })
	along := w.people
	w.close()
	w.people = along
	w.sid, w.created, w.mark, w.overruled = room.SID, room.CreatedMs, 0, false
}

func (w *twin) tombstoneSIDs() (sids []string) {
	for _, g := range w.tombstones {
		sids = append(sids, fmt.Sprint(g))
	}
	return sids
}

// prune keeps the tombstones within their bounds if an input has changed them or closed the room.
func (w *twin) prune(before []string, lived bool) {
	after := w.tombstoneSIDs()
	slices.Sort(before)
	slices.Sort(after)
	if slices.Equal(before, after) && (w.live || !lived) {
		return
	}
	most := MaxTombstones
	if !w.live {
		most = MaxClosedTombstones
	}
	slices.SortFunc(w.tombstones, func(a, b Tombstone) int {
		return cmp.Or(cmp.Compare(a.Written, b.Written), cmp.Compare(a.JoinedAt, b.JoinedAt), cmp.Compare(a.SID, b.SID))
	})
	w.tombstones = slices.DeleteFunc(w.tombstones, func(g Tombstone) bool { return w.read-g.Written >= 1800 && g.Written != w.now })
	if len(w.tombstones) > most {
		w.tombstones = w.tombstones[len(w.tombstones)-most:]
	}
}

// beaten reports whether a newer participant of the identity is known, present or ended.
func (w *twin) beaten(p Participant) bool {
	for _, o := range w.people {
		if o.Identity == p.Identity && o.SID != p.SID && o.JoinedAt > p.JoinedAt {
			return true
		}
	}
	for _, g := range w.tombstones {
		if g.Identity == p.Identity && g.SID != p.SID && g.JoinedAt > p.JoinedAt {
			return true
		}
	}
	return false
}

func (w *twin) event(e Event, at Stamp, now int64) {
	w.read, w.now = w.now, now
	w.at, w.deferred, w.deferredRooms, w.deferredParticipants = at, 0, 0, 0
	defer w.prune(w.tombstoneSIDs(), w.live)
	defer func(was string) {
		if was != w.state() {
			w.changed = now
		}
	}(w.state())
	w.asked, w.named, w.needsSecondLook, w.polled = false, map[string]bool{}, false, false
	if e.ID != "" && slices.Contains(w.events[max(0, len(w.events)-64):], e.ID) {
		return
	}
	w.events = append(w.events, e.ID)
	p, room := e.Participant, e.Room
	participants := e.Kind != Started && e.Kind != Finished
	if participants && (p.SID == "" || p.Identity == "") {
		return
	}
	known := w.sid == room.SID
	if !known && !w.enter(e, at) {
		return
	}
	if known && e.Kind != Finished && (w.over() || !w.live) {
		w.ask(p.SID)
	}
	if participants {
		w.touch(p.Identity, at)
		if g := w.tombstone(p.SID); g != nil && g.Looked {
			w.ask(p.SID)
		}
	} else {
		w.touch("", at)
	}
	if w.live && w.fields.SID == "" && (e.Kind == Started || e.Kind == Joined) {
		w.fields = room
	}
	switch e.Kind {
	case Started:
		w.start(e)
	case Finished:
		w.finish(e)
	case Joined:
		w.join(p, room)
	case Left, Aborted:
		w.reason = e.Reason
		w.leave(p)
		w.reason = ""
	case Track:
		if w.live && w.person(p.SID) == nil && w.tombstone(p.SID) == nil {
			w.ask()
		}
	}
}

// enter applies an event's other instance and reports whether the event counts.
func (w *twin) enter(e Event, at Stamp) bool {
	room, alive := e.Room, e.Kind == Started || e.Kind == Joined
	switch {
	case room.SID == "" || room.CreatedMs == 0:
		return false
	case w.sid == "":
		w.sid, w.created = room.SID, room.CreatedMs
		w.reportRoom()
		return true
	case room.CreatedMs < w.created:
		return false
	case room.CreatedMs == w.created:
		w.ask()
		if !alive || w.live {
			return false
		}
	}
	w.nextInstance(room, func(p Participant) bool { return p.JoinedAt >= room.CreatedMs })
	w.reportRoom()
	w.touch("", at)
	for _, p := range w.people {
		w.ask(p.SID)
		w.open(room)
	}
	return true
}

func (w *twin) start(e Event) {
	if w.live {
		w.ask()
	}
	if w.live || e.CreatedAt > e.Room.CreatedMs/1000 {
		w.restarted = max(w.restarted, e.CreatedAt)
	}
	if w.mark != 0 && e.CreatedAt <= w.mark {
		return
	}
	if !w.live || w.over() || w.reportedRoom.identity != w.sid {
		w.reportRoom()
	}
	w.overruled = w.mark != 0
	w.open(e.Room)
}

func (w *twin) finish(e Event) {
	if e.CreatedAt <= w.restarted {
		w.ask()
	}
	if e.CreatedAt <= w.mark {
		if w.live {
			w.ask()
		}
		for _, p := range w.people {
			w.ask(p.SID)
		}
		return
	}
	w.mark, w.overruled = e.CreatedAt, false
	w.reportRoom()
	w.addTombstones(func(p Participant) bool { return p.JoinedAt/1000 < w.mark })
	for _, p := range w.people {
		w.ask(p.SID)
	}
	if len(w.people) == 0 {
		w.close()
	}
}

func (w *twin) join(p Participant, room RoomInfo) {
	if o := w.person(p.SID); o != nil {
		w.reportAgain(p.SID, false)
		if p.Version > o.Version {
			*o = p
		}
		return
	}
	w.tombstones = slices.DeleteFunc(w.tombstones, func(g Tombstone) bool { return g.SID == p.SID && g.Migrated })
	if w.tombstone(p.SID) != nil || w.beaten(p) || p.JoinedAt/1000 < w.mark {
		w.ask(p.SID)
		return
	}
	for _, o := range w.people {
		if o.Identity == p.Identity && o.JoinedAt == p.JoinedAt {
			w.ask(o.SID, p.SID)
		}
	}
	w.open(room)
	w.add(p)
}

func (w *twin) leave(p Participant) {
	reason := w.reason
	if g := w.tombstone(p.SID); g != nil && !g.Looked {
		return
	}
	if reason == "MIGRATION" && w.person(p.SID) != nil {
		w.ask()
	}
	w.reason = ""
	if w.tombstone(p.SID) == nil {
		w.addTombstones(func(o Participant) bool { return o.SID != p.SID && o.Identity == p.Identity && o.JoinedAt < p.JoinedAt })
	}
	w.reason = reason
	w.addTombstones(func(o Participant) bool { return o.SID == p.SID })
	if g := w.tombstone(p.SID); g == nil {
		w.addTombstone(p)
	} else if g.Looked {
		w.reportAgain(p.SID, true)
	}
	if w.over() && len(w.people) == 0 {
		w.close()
	}
}

func (w *twin) touch(identity string, at Stamp) {
	w.touches = append(w.touches, twinTouch{identity, at})
	w.pending = slices.DeleteFunc(w.pending, func(d twinPending) bool {
		return identity == "" || d.identity == identity || d.what == "absent" && d.sid == ""
	})
}

// roster returns the people in the order of the keys.
func (w *twin) roster() []Participant {
	sorted := slices.Clone(w.people)
	slices.SortFunc(sorted, func(a, b Participant) int {
		return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), cmp.Compare(a.Identity, b.Identity), cmp.Compare(a.SID, b.SID))
	})
	return sorted
}
