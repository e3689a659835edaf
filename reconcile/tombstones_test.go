package reconcile

import (
	"fmt"
	"testing"
)

// crowd lets n participants join and leave, one after another, every 2 ms from ms on. It returns the last.
func (r *rig) crowd(n int, ms int64) (last Participant) {
	r.strict = false
	for i := range n {
		last = who(fmt.Sprintf("p%d-%d", ms, i), ms+int64(2*i))
		last.Identity = last.SID
		r.do(joined(r1, last))
		r.do(left(r1, last))
	}
	return last
}

// TestTombstonesAreBounded: a room stays small even if no look, cleanup or claim ever comes.
func TestTombstonesAreBounded(t *testing.T) {
	r := newRig(t)
	last := r.crowd(3*MaxTombstones, 1000)
	if n := len(r.room.Tombstones); n != MaxTombstones {
		t.Errorf("%d tombstones, want %d", n, MaxTombstones)
	}
	wantAsk(t, r.do(joined(r1, last)), "its sid has ended", last.SID) // only the oldest were dropped
	r.wait(31 * minute)
	r.do(left(r1, who("z1", 9000))) // its script returns Redis' time
	p := r.do(left(r1, who("z2", 9100)))
	if n := len(r.room.Tombstones); n != 2 || len(p.Commit.RemoveTombstones) != MaxTombstones-1 {
		t.Errorf("%d tombstones after 31 min, %d dropped; want the new ones only", n, len(p.Commit.RemoveTombstones))
	}
}

func TestAFinishedRoomKeepsFewTombstones(t *testing.T) {
	r := newRig(t)
	r.crowd(MaxTombstones, 1000)
	p := r.do(finished(r1, 60_000))
	if n := len(r.room.Tombstones); n != MaxClosedTombstones || len(p.Commit.RemoveTombstones) != MaxTombstones-MaxClosedTombstones {
		t.Errorf("%d tombstones of a finished room, %d dropped; want %d kept", n, len(p.Commit.RemoveTombstones), MaxClosedTombstones)
	}
	oldest := who("p1000-0", 1000)
	oldest.Identity = oldest.SID
	wantAsk(t, r.do(joined(r1, oldest)), "has ended", oldest.SID)
	r.want("-") // the finish refuses a participant whose tombstone was dropped
}

// TestManyEndAtOnce: one commit ends more participants than a room's bound of tombstones, and writes no more tombstones than the bound.
func TestManyEndAtOnce(t *testing.T) {
	r := newRig(t)
	r.strict = false
	var all []Participant
	for i := range 2 * MaxTombstones {
		p := who(fmt.Sprintf("p%04d", i), 1000+int64(i))
		p.Identity = p.SID
		all = append(all, p)
	}
	r.do(r.sight(&r1, all...))
	p := r.do(started(r2, 6000))
	if n := len(p.Commit.AddTombstones); n != MaxTombstones || p.Commit.AddTombstones[0].SID != "p0500" {
		t.Errorf("%d tombstones from %s on, want the latest %d", n, p.Commit.AddTombstones[0].SID, MaxTombstones)
	}
}

// TestAnOldRecordShrinksBitByBit: a record of a version without bounds loses at most maxPruned tombstones with each commit.
func TestAnOldRecordShrinksBitByBit(t *testing.T) {
	stored := Record{Room: "r", Claim: Claim{1, 1, 1}, Version: 7, Tombstones: map[string]Tombstone{}, ReadAt: epoch / 1000}
	for i := range 3 * maxPruned {
		sid := fmt.Sprint("p", i)
		stored.Tombstones[sid] = Tombstone{SID: sid, Identity: sid, JoinedAt: 1, Written: 1}
	}
	r := newRig(t)
	r.room, _ = Load(nil, stored, 0)
	for i := range 4 {
		if p := r.do(left(r1, who(fmt.Sprint("a", i), int64(1000+i)))); len(p.Commit.RemoveTombstones) > maxPruned {
			t.Errorf("one commit drops %d tombstones", len(p.Commit.RemoveTombstones))
		}
	}
	if n := len(r.room.Tombstones); n != 4 {
		t.Errorf("%d tombstones, want the four new ones", n)
	}
}

// TestATombstoneThatIsWrittenAgainCountsOnce: a room at its bound drops no tombstone for one that it already has.
func TestATombstoneThatIsWrittenAgainCountsOnce(t *testing.T) {
	r := newRig(t)
	r.strict = false
	r.do(started(r1, 1000))
	r.do(joined(r1, a1))
	r.room.Tombstones = map[string]Tombstone{a1.SID: {SID: a1.SID, Identity: a1.Identity, JoinedAt: a1.JoinedAt, Looked: true, Written: r.room.ReadAt}}
	for i := range MaxTombstones - 1 {
		sid := fmt.Sprint("p", i)
		r.room.Tombstones[sid] = Tombstone{SID: sid, Identity: sid, JoinedAt: 1, Written: r.room.ReadAt}
	}
	p := r.do(left(r1, a1))
	if len(p.Commit.AddTombstones) != 1 || len(p.Commit.RemoveTombstones) != 0 || len(r.room.Tombstones) != MaxTombstones {
		t.Errorf("%d added, %v removed, %d kept", len(p.Commit.AddTombstones), p.Commit.RemoveTombstones, len(r.room.Tombstones))
	}
}
