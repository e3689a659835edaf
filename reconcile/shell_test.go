package reconcile

import (
	"slices"
	"testing"
)

func TestDryRunLeavesTheRecord(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	before := mustJSON(t, r.room.Record)
	p := r.step(r.sight(&r1, c1))
	r.room.Remember(p)
	if after := mustJSON(t, r.room.Record); after != before {
		t.Errorf("the record became %s", after)
	}
	if len(p.Changes) == 0 || !r.room.HasPending() {
		t.Errorf("the dry run would change %v and has pending findings: %v", p.Changes, r.room.HasPending())
	}
}

func TestNothingToChangeIsAPureCheck(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(r.sight(&r1, a1))
	for _, in := range []Input{joined(r1, a1), track(r1, a1), r.sight(&r1, a1)} {
		if p := r.do(in); p.Changed || p.Commit.Version != p.Commit.Expect || p.Commit.Public != Keep {
			t.Errorf("%s writes %+v", describeInput(in), p.Commit)
		}
	}
}

func TestConfirmationIsWrittenEveryFiveMinutesAndPrunes(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(r.sight(&r1, a1))
	r.wait(5*minute - second)
	if p := r.do(r.sight(&r1, a1)); p.Changed {
		t.Error("a look is written before five minutes have passed")
	}
	r.wait(minute)
	p := r.do(r.sight(&r1, a1))
	if !p.Changed || !p.Commit.Prune || len(p.Commit.Changes) != 0 || r.room.ConfirmedAt != r.now.Wall {
		t.Errorf("the confirmation is %+v", p.Commit)
	}
	r.do(left(r1, c1))
	r.room.Adopt(r.step(track(r1, a1)), Receipt{Pruned: []string{"c1"}})
	if len(r.room.Tombstones) != 0 {
		t.Errorf("what Redis pruned is still held: %v", r.room.Tombstones)
	}
}

// reload claims the room again over what is stored, and reports whether data was lost.
func (r *rig) reload(held *Room, stored Record) bool {
	stored.Room, stored.Claim = "r", Claim{1, 2, 1}
	room, lost := Load(held, stored, 0)
	r.room = room
	return lost
}

func TestLoadOfWhatWasWrittenGoesOn(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(r.sight(&r1)) // a pending finding is lost with its claim
	if r.reload(r.room, r.room.Record) {
		t.Error("nothing was lost")
	}
	if r.room.HasPending() {
		t.Error("a pending finding outlived its claim")
	}
	r.do(joined(r1, c1)) // checks the chain of the feed
	r.want("R1: a1 c1")
}

func TestLostDataIsWrittenAgainWhole(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(left(r1, c1))
	held := r.room.Version
	if !r.reload(r.room, Record{}) {
		t.Fatal("the loss was not noticed")
	}
	p := r.do(track(r1, a1))
	if c := p.Commit; c.Version != held+1 || c.Expect != 0 || c.Public != Write || len(c.AddTombstones) != 1 ||
		len(c.Changes) != 1 || c.Changes[0].Type != RoomSnapshot || c.Claim.Epoch != 2 {
		t.Errorf("the first commit after the loss is %+v", c)
	}
	r.want("R1: a1")
	if p := r.do(track(r1, a1)); p.Changed {
		t.Errorf("the second still writes %+v", p.Commit)
	}
}

func TestLostRecordOfAClosedRoomIsWrittenAgain(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(finished(r1, 9000))
	r.reload(r.room, Record{})
	p := r.do(r.sight(nil))
	if c := p.Commit; c.Public != Remove || len(c.AddTombstones) != 1 || p.Tally.Drift[LostWrite] != 1 || p.Tally.Drift[ForeignChange] != 0 {
		t.Errorf("the commit is %+v, drift %v", c, p.Tally.Drift)
	}
	r.do(joined(r1, a1))
	r.want("-")
}

func TestClaimOverAnEmptyRecordBeginsTheFeedWithASnapshot(t *testing.T) {
	r := newRig(t)
	r.do(left(r1, c1)) // changes only the record
	if p := r.do(joined(r1, a1)); len(p.Commit.Changes) != 1 || p.Commit.Changes[0].Type != RoomSnapshot {
		t.Errorf("the first entry is %+v", p.Commit.Changes)
	}
	if p := r.do(joined(r1, who("d1", 1400))); len(p.Commit.Changes) != 1 || p.Commit.Changes[0].Type != ParticipantJoined ||
		p.Commit.Prev != p.Commit.Version-1 {
		t.Errorf("the next is %+v", p.Commit)
	}
}

// TestAClaimWithoutMemoryEndsItsFirstCommitWithASnapshot: Redis may have been set back to an older copy, and the owner that held the
// later versions is gone. The feed gets the differences as well, for consumers that count leaves.
func TestAClaimWithoutMemoryEndsItsFirstCommitWithASnapshot(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(joined(r1, c1))
	types := func(p Plan) (all []ChangeType) {
		for _, c := range p.Commit.Changes {
			all = append(all, c.Type)
		}
		return all
	}
	r.reload(nil, r.room.Record)
	if got := types(r.do(left(r1, c1))); !slices.Equal(got, []ChangeType{ParticipantLeft, RoomSnapshot}) {
		t.Errorf("the first commit of a new owner appends %v", got)
	}
	if got := types(r.do(joined(r1, who("d1", 1400)))); !slices.Equal(got, []ChangeType{ParticipantJoined}) {
		t.Errorf("the second commit appends %v", got)
	}
	held := r.room
	r.reload(held, r.room.Record)
	if got := types(r.do(joined(r1, who("e1", 1500)))); !slices.Equal(got, []ChangeType{ParticipantJoined}) {
		t.Errorf("an owner that has kept its claim appends %v", got)
	}
	other := *r.room
	other.Claim.Epoch = 1 // the claim that it held before another owner's claim
	r.reload(&other, r.room.Record)
	if got := types(r.do(finished(r1, 2000))); got[len(got)-1] != RoomSnapshot || !slices.Contains(got, RoomFinished) {
		t.Errorf("an owner that has lost and regained the room appends %v", got)
	}
}

// A node whose feed was off has changed the keys and appended nothing, so consumers of the feed hold old data.
func TestAFeedThatIsBehindBeginsWithASnapshot(t *testing.T) {
	for _, behind := range []uint64{0, 1} {
		r := newRig(t)
		r.do(joined(r1, a1))
		r.do(joined(r1, c1))
		stored := r.room.Record
		stored.Appended -= behind
		r.reload(nil, stored)
		p := r.do(joined(r1, who("d1", 1400)))
		if whole := len(p.Commit.Changes) == 1 && p.Commit.Changes[0].Type == RoomSnapshot; whole != (behind > 0) {
			t.Errorf("%d behind: the next entries are %+v", behind, p.Commit.Changes)
		}
	}
}

func TestAlteredKeysAreRewrittenFromALook(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	look := r.sight(&r1, a1)
	look.Verify = VerifyContent
	p := r.step(look)
	if p.Commit.Verify != VerifyContent || p.Changed && p.Commit.Public != Keep {
		t.Errorf("the check is %+v", p.Commit)
	}
	r.room.Adopt(p, Receipt{Altered: true})
	p = r.do(look)
	if p.Commit.Public != Write || p.Tally.Drift[ForeignChange] != 1 || p.Commit.Changes[0].Type != RoomSnapshot {
		t.Errorf("the rewrite is %+v, drift %v", p.Commit, p.Tally.Drift)
	}
	if p := r.do(look); p.Changed {
		t.Errorf("a further look still writes %+v", p.Commit)
	}
}

// TestALostRecordIsWrittenWhole checks that a record that is older than the owner's makes the next commit write everything, and the feed restart.
func TestALostRecordIsWrittenWhole(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	held, old := *r.room, r.room.Record
	held.Version++
	room, lost := Load(&held, old, 0)
	if !lost || !room.Altered || !room.Snapshot || room.Version != held.Version || room.Stored != old.Version {
		t.Errorf("lost %v, altered %v, snapshot %v, version %d over %d", lost, room.Altered, room.Snapshot, room.Version, room.Stored)
	}
}

// Keys without a record may be right, and may be all that exists of a room.
func TestKeysWithoutARecordGoOnlyAfterTwoLooksAndAPermit(t *testing.T) {
	foreign := Record{Altered: true, State: nil}
	r := newRig(t)
	if !r.reload(nil, foreign) {
		t.Fatal("foreign keys ask for no poll")
	}
	if p := r.do(left(r1, a1)); p.Commit.Public != Keep {
		t.Errorf("an event that says nothing about the room removes its keys: %+v", p.Commit)
	}
	if p := r.do(sync(r.sight(nil), 1)); p.Commit.Public != Keep || p.Tally.MissingRooms != 1 || p.Tally.Rooms != 1 {
		t.Errorf("one look removes the keys: %+v, %+v", p.Commit, p.Tally)
	}
	r.wait(second)
	if p := r.do(permit(r.sight(nil), 1, 1)); p.Commit.Public != Remove || p.Tally.Cleaned != 1 {
		t.Errorf("a look with a permit does not remove the keys: %+v", p.Commit)
	}
}

// While somebody connects, a closed room stays closed, and keys that others left under its name would show whom they name as present.
func TestKeysOfAClosedRoomGoWhileSomebodyConnects(t *testing.T) {
	connects := func(l Look) Look { l.Waiting = 1; return l }
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(finished(r1, 3000))
	r.wait(minute)
	r.room.Altered = true
	if p := r.do(connects(sync(r.sight(nil), 1))); p.Commit.Public != Keep || !p.NeedsSecondLook {
		t.Errorf("one look gives %+v, a second one is needed: %v", p.Commit, p.NeedsSecondLook)
	}
	r.wait(second)
	if p := r.do(connects(sync(r.sight(nil), 1))); p.Commit.Public != Remove {
		t.Errorf("two looks give %+v", p.Commit)
	}
}

func TestUnreadableKeysAreNotOverwrittenByAnUnrelatedEvent(t *testing.T) {
	r := newRig(t)
	r.reload(nil, Record{Altered: true, Instance: Instance{SID: "R1", CreatedMs: r1.CreatedMs}, Version: 3, Appended: 3,
		State: &State{SID: "R1", CreatedAt: r1.CreatedMs}})
	r.feed.live, r.feed.present = true, map[string]string{}
	if p := r.do(track(r1, a1)); p.Changed {
		t.Errorf("a track event writes %+v", p.Commit)
	}
	r.do(r.sight(&r1, a1))
	r.want("R1: a1")
	if r.room.Altered {
		t.Error("the look did not put the keys right")
	}
}

func TestTouchesAreForgotten(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.wait(touchMemory + minute)
	r.do(r.sight(&r1, a1))
	if n := len(r.room.memory.touched); n != 0 {
		t.Errorf("%d touches are remembered after their time", n)
	}
}

func TestRefusalsSayWhatStands(t *testing.T) {
	for _, r := range []Refusal{StaleOwner, Split, Conflict, StaleLeader, 0} {
		if r.Error() == "" {
			t.Errorf("refusal %d says nothing", r)
		}
	}
	if p := Step(newRig(t).room, nil, Moment{}); p.Changed {
		t.Error("no input changes something")
	}
}

func TestClaimsAndTokensCompareGenerationFirst(t *testing.T) {
	if (Claim{2, 1, 1}).Compare(Claim{1, 9, 9}) <= 0 || (Claim{1, 1, 9}).Compare(Claim{1, 2, 1}) >= 0 ||
		(Claim{1, 1, 1}).Compare(Claim{1, 1, 2}) != 0 {
		t.Error("claims are ordered by generation, then epoch, and not by incarnation")
	}
	if (Token{2, 1}).Compare(Token{1, 9}) <= 0 || (Token{1, 2}).Compare(Token{1, 1}) <= 0 {
		t.Error("tokens are ordered by generation, then index")
	}
}

// TestAnAlteredRoomsFeedBeginsAgain checks that an event in a room whose keys others have changed gives readers of the feed the whole room.
func TestAnAlteredRoomsFeedBeginsAgain(t *testing.T) {
	for what, harm := range map[string]func(*Room){"altered": func(r *Room) { r.Altered = true }, "behind": func(r *Room) { r.Snapshot = true }} {
		r := newRig(t)
		r.do(joined(r1, a1))
		harm(r.room)
		if p := r.do(joined(r1, b1)); len(p.Commit.Changes) != 1 || p.Commit.Changes[0].Type != RoomSnapshot {
			t.Errorf("%s: %+v", what, p.Commit.Changes)
		}
	}
}

// TestARoomThatStartedAgainEndsAgain checks that a room that LiveKit no longer has counts as finished, although a start came after its finish.
func TestARoomThatStartedAgainEndsAgain(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(left(r1, a1))
	r.do(finished(r1, 3000))
	r.do(started(r1, 9000))
	r.want("R1:")
	r.wait(11 * second)
	r.cycle(1, nil)
	r.want("-")
	if !r.room.Instance.Finished() {
		t.Errorf("%+v", r.room.Instance)
	}
}

// TestALongLookKnowsTheEventsOfItsTime checks that the events since the beginning of a look are remembered for as long as a look may take.
func TestALongLookKnowsTheEventsOfItsTime(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.wait(minute)
	look := r.sight(&r1) // of before the next event
	r.wait(second)
	r.do(track(r1, a1))
	r.wait(Stamp(MaxLookAge) - 2*second)
	r.do(joined(r1, b1))
	if r.do(look); r.room.HasPending() {
		t.Errorf("a look counts against what an event reported after its beginning: %+v", r.room.memory.pending)
	}
}
