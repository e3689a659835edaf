package reconcile

import (
	"fmt"
	"testing"
)

// crowd joins and leaves n participants, one after another, every other ms from ms on.
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

// TestTombstonesAreBounded: no look, cleanup or claim ever comes, and a room stays small.
func TestTombstonesAreBounded(t *testing.T) {
	r := newRig(t)
	last := r.crowd(3*MaxTombstones, 1000)
	if n := len(r.room.Tombstones); n != MaxTombstones {
		t.Errorf("%d tombstones, want %d", n, MaxTombstones)
	}
	wantAsk(t, r.do(joined(r1, last)), "its sid has ended", last.SID) // the oldest went
	r.wait(31 * minute)
	r.do(left(r1, who("z1", 9000))) // its script tells Redis' time
	p := r.do(left(r1, who("z2", 9100)))
	if n := len(r.room.Tombstones); n != 2 || len(p.Commit.Exhume) != MaxTombstones-1 {
		t.Errorf("%d tombstones after 31 min, %d dropped; want the new ones only", n, len(p.Commit.Exhume))
	}
}

func TestAFinishedRoomKeepsFewTombstones(t *testing.T) {
	r := newRig(t)
	r.crowd(MaxTombstones, 1000)
	p := r.do(finished(r1, 60_000))
	if n := len(r.room.Tombstones); n != MaxClosedTombstones || len(p.Commit.Exhume) != MaxTombstones-MaxClosedTombstones {
		t.Errorf("%d tombstones of a finished room, %d dropped; want %d kept", n, len(p.Commit.Exhume), MaxClosedTombstones)
	}
	oldest := who("p1000-0", 1000)
	oldest.Identity = oldest.SID
	wantAsk(t, r.do(joined(r1, oldest)), "has ended", oldest.SID)
	r.want("-") // whose tombstone went is refused by the finish
}

// TestManyEndAtOnce: one commit ends more than a room's bound, and writes no more tombstones than that.
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
	if n := len(p.Commit.Bury); n != MaxTombstones || p.Commit.Bury[0].SID != "p0500" {
		t.Errorf("%d tombstones from %s on, want the latest %d", n, p.Commit.Bury[0].SID, MaxTombstones)
	}
}

// TestAnOldRecordShrinksBitByBit: a record of a version without bounds loses so many tombstones with each commit, and no more.
func TestAnOldRecordShrinksBitByBit(t *testing.T) {
	stored := Record{Room: "r", Claim: Claim{1, 1, 1}, Version: 7, Tombstones: map[string]Tombstone{}, ReadAt: epoch / 1000}
	for i := range 3 * maxPruned {
		sid := fmt.Sprint("p", i)
		stored.Tombstones[sid] = Tombstone{SID: sid, Identity: sid, JoinedAt: 1, Written: 1}
	}
	r := newRig(t)
	r.room, _ = Load(nil, stored, 0)
	for i := range 4 {
		if p := r.do(left(r1, who(fmt.Sprint("a", i), int64(1000+i)))); len(p.Commit.Exhume) > maxPruned {
			t.Errorf("one commit drops %d tombstones", len(p.Commit.Exhume))
		}
	}
	if n := len(r.room.Tombstones); n != 4 {
		t.Errorf("%d tombstones, want the four new ones", n)
	}
}
