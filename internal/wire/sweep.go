package wire

import (
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// NewBatch returns the message for an owner's part of a round.
func NewBatch(b actors.Batch) *Batch {
	x := &Batch{Leader: newToken(b.Leader), Cycle: b.Cycle, Scheduled: b.Scheduled, Cause: []byte(b.Cause), Dry: b.Dry,
		Rooms: texts(b.Rooms), Unanswered: texts(b.Unanswered)}
	if p := b.Permit; p != nil {
		x.Permit = &Permit{Leader: newToken(p.Leader), Cycle: p.Cycle, Streak: int64(p.Streak)}
	}
	return x
}

// Value returns the batch that the message carries.
func (x *Batch) Value() actors.Batch {
	b := actors.Batch{Leader: x.GetLeader().value(), Cycle: x.GetCycle(), Scheduled: x.GetScheduled(),
		Cause: reconcile.Cause(x.GetCause()), Dry: x.GetDry(), Rooms: strings(x.GetRooms()), Unanswered: strings(x.GetUnanswered())}
	if p := x.GetPermit(); p != nil {
		b.Permit = &reconcile.Permit{Leader: p.GetLeader().value(), Cycle: p.GetCycle(), Streak: int(p.GetStreak())}
	}
	return b
}

// NewCleanupRequest returns the message for an owner's part of a cleanup.
func NewCleanupRequest(t actors.CleanupRequest) *CleanupRequest {
	return &CleanupRequest{Leader: newToken(t.Leader), StaleNs: int64(t.Stale), Dry: t.Dry, Rooms: texts(t.Rooms)}
}

// Value returns the cleanup request that the message carries.
func (x *CleanupRequest) Value() actors.CleanupRequest {
	return actors.CleanupRequest{Leader: x.GetLeader().value(), Stale: time.Duration(x.GetStaleNs()), Dry: x.GetDry(),
		Rooms: strings(x.GetRooms())}
}

// NewCleanupResult returns the message for the outcome of an owner's part of a cleanup.
func NewCleanupResult(t actors.CleanupResult) *CleanupResult {
	return &CleanupResult{Orphans: texts(t.Orphans), Stale: texts(t.Stale), Moved: texts(t.Moved), Errors: int64(t.Errors),
		Err: []byte(t.Err)}
}

// Value returns the cleanup result that the message carries.
func (x *CleanupResult) Value() actors.CleanupResult {
	return actors.CleanupResult{Orphans: strings(x.GetOrphans()), Stale: strings(x.GetStale()), Moved: strings(x.GetMoved()),
		Errors: int(x.GetErrors()), Err: string(x.GetErr())}
}

// NewNameList returns the message for names of rooms.
func NewNameList(names []string) *NameList { return &NameList{Names: texts(names)} }

// Value returns the names that the message carries.
func (x *NameList) Value() []string { return strings(x.GetNames()) }
