package wire

import (
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// NewBatch carries an owner's part of a round.
func NewBatch(b actors.Batch) *Batch {
	x := &Batch{Leader: newToken(b.Leader), Cycle: b.Cycle, Scheduled: b.Scheduled, Cause: []byte(b.Cause), Dry: b.Dry,
		Rooms: texts(b.Rooms), Unanswered: texts(b.Unanswered)}
	if p := b.Permit; p != nil {
		x.Permit = &Permit{Leader: newToken(p.Leader), Cycle: p.Cycle, Streak: int64(p.Streak)}
	}
	return x
}

// Value gives the batch back.
func (x *Batch) Value() actors.Batch {
	b := actors.Batch{Leader: x.GetLeader().value(), Cycle: x.GetCycle(), Scheduled: x.GetScheduled(),
		Cause: reconcile.Cause(x.GetCause()), Dry: x.GetDry(), Rooms: strings(x.GetRooms()), Unanswered: strings(x.GetUnanswered())}
	if p := x.GetPermit(); p != nil {
		b.Permit = &reconcile.Permit{Leader: p.GetLeader().value(), Cycle: p.GetCycle(), Streak: int(p.GetStreak())}
	}
	return b
}

// NewTending carries an owner's part of a cleanup.
func NewTending(t actors.Tending) *Tending {
	return &Tending{Leader: newToken(t.Leader), StaleNs: int64(t.Stale), Dry: t.Dry, Rooms: texts(t.Rooms)}
}

// Value gives the tending back.
func (x *Tending) Value() actors.Tending {
	return actors.Tending{Leader: x.GetLeader().value(), Stale: time.Duration(x.GetStaleNs()), Dry: x.GetDry(),
		Rooms: strings(x.GetRooms())}
}

// NewTended carries what a tending came to.
func NewTended(t actors.Tended) *Tended {
	return &Tended{Orphans: texts(t.Orphans), Stale: texts(t.Stale), Moved: texts(t.Moved), Errors: int64(t.Errors),
		Err: []byte(t.Err)}
}

// Value gives it back.
func (x *Tended) Value() actors.Tended {
	return actors.Tended{Orphans: strings(x.GetOrphans()), Stale: strings(x.GetStale()), Moved: strings(x.GetMoved()),
		Errors: int(x.GetErrors()), Err: string(x.GetErr())}
}

// NewNameList carries names of rooms.
func NewNameList(names []string) *NameList { return &NameList{Names: texts(names)} }

// Value gives the names back.
func (x *NameList) Value() []string { return strings(x.GetNames()) }
