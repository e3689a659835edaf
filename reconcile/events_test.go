package reconcile

import (
	"fmt"
	"strings"
	"testing"
)

// one is a step of a table: an input, the room after it, and the poll that it asks for.
type one struct {
	in    Input
	have  string
	why   string
	named []string
}

func (r *rig) play(steps []one) {
	r.t.Helper()
	for _, s := range steps {
		p := r.do(s.in)
		if r.have() != s.have {
			r.t.Errorf("after %s the room is %q, want %q", describeInput(s.in), r.have(), s.have)
		}
		wantAsk(r.t, p, s.why, s.named...)
	}
}

// The rooms and participants of the tables. R1 and R2 are instances of one room name. a1 and a2 are participants of one
// identity. b1 joins in second 5, in which many tables finish R1.
var (
	r1, r2 = life("R1", 1000), life("R2", 6000)
	a1, a2 = who("a1", 1100), who("a2", 2200)
	b1     = who("b1", 5100)
	c1     = who("c1", 1300)
)

// TestEvents has a subtest for each sentence about events in docs/protocol.md.
func TestEvents(t *testing.T) {
	tests := map[string][]one{
		"a leave of a sid that is not stored writes its tombstone": {
			{in: started(r1, 1000), have: "R1:"}, {in: left(r1, a1), have: "R1:"},
			{in: joined(r1, a1), have: "R1:", why: "its sid has ended", named: []string{"a1"}},
		},
		"an abort of a sid that is not stored writes its tombstone": {
			{in: started(r1, 1000), have: "R1:"}, {in: aborted(r1, a1), have: "R1:"},
			{in: joined(r1, a1), have: "R1:", why: "its sid has ended", named: []string{"a1"}},
		},
		"a leave never removes a newer sid": {
			{in: joined(r1, a2), have: "R1: a2"}, {in: left(r1, a1), have: "R1: a2"},
		},
		"a leave of a newer participant ends the older one": {
			{in: joined(r1, a1), have: "R1: a1"}, {in: left(r1, a2), have: "R1:"},
			{in: joined(r1, a1), have: "R1:", why: "its sid has ended", named: []string{"a1"}},
		},
		"a leave of a newer participant ends an older one that arrives later": {
			{in: started(r1, 1000), have: "R1:"}, {in: left(r1, a2), have: "R1:"},
			{in: joined(r1, a1), have: "R1:", why: "a newer one of its identity", named: []string{"a1"}},
		},
		"a join ends the older participant of its identity, without a poll": {
			{in: joined(r1, a1), have: "R1: a1"}, {in: joined(r1, a2), have: "R1: a2"}, {in: left(r1, a1), have: "R1: a2"},
		},
		"an older join of an identity is refused": {
			{in: joined(r1, a2), have: "R1: a2"},
			{in: joined(r1, a1), have: "R1: a2", why: "a newer one of its identity", named: []string{"a1"}},
		},
		"of two joins at one moment the one reported last counts, and a poll is asked for": {
			{in: joined(r1, a1), have: "R1: a1"},
			{in: joined(r1, who("a9", 1100)), have: "R1: a9", why: "one identity and join time", named: []string{"a1", "a9"}},
		},
		"a finish never removes a newer instance": {
			{in: joined(r2, b1), have: "R2: b1"}, {in: finished(r1, 7000), have: "R2: b1"},
		},
		"events of an older instance change nothing": {
			{in: started(r2, 6000), have: "R2:"}, {in: joined(r1, a1), have: "R2:"}, {in: left(r1, a1), have: "R2:"},
			{in: started(r1, 1000), have: "R2:"}, {in: joined(r2, a1), have: "R2: a1"},
		},
		"a start of a newer instance ends the older one and its roster": {
			{in: joined(r1, a1), have: "R1: a1"}, {in: started(r2, 6000), have: "R2:"},
			{in: joined(r2, a1), have: "R2:", why: "its sid has ended", named: []string{"a1"}},
		},
		"a newer instance spares participants who joined since it was created, and asks for a poll that may remove them": {
			{in: joined(r1, a1), have: "R1: a1"}, {in: joined(r1, who("b6", 6000)), have: "R1: a1 b6"},
			{in: started(r2, 6000), have: "R2: b6", why: "spared", named: []string{"b6"}},
			{in: joined(r2, who("b6", 6000)), have: "R2: b6"}, {in: left(r2, who("b6", 6000)), have: "R2:"},
		},
		"a leave in a newer instance ends the older one; the keys come with the first sign of life": {
			{in: joined(r1, a1), have: "R1: a1"}, {in: left(r2, who("a7", 6100)), have: "-"},
			{in: joined(r2, who("c7", 6200)), have: "R2: c7", why: "has ended", named: []string{"c7"}},
		},
		"a finish of a newer instance ends the older one": {
			{in: joined(r1, a1), have: "R1: a1"}, {in: finished(r2, 8000), have: "-"},
			{in: started(r2, 6000), have: "-", why: "has ended"},
		},
		"two instances of equal age: nobody present is removed, and a poll is asked for": {
			{in: joined(r1, a1), have: "R1: a1"}, {in: started(life("R9", 1000), 1000), have: "R1: a1", why: "same age"},
			{in: finished(r1, 3000), have: "-"},
			{in: left(life("R9", 1000), c1), have: "-", why: "same age"},
			{in: joined(life("R9", 1000), c1), have: "R9: c1", why: "same age"},
		},
		"a finish ends those who joined before it": {
			{in: joined(r1, a1), have: "R1: a1"}, {in: finished(r1, 5500), have: "-"},
		},
		"a finish spares participants who joined in its second or later, and asks for a poll that may remove them": {
			{in: joined(r1, a1), have: "R1: a1"}, {in: joined(r1, b1), have: "R1: a1 b1"},
			{in: finished(r1, 5000), have: "R1: b1", why: "spared", named: []string{"b1"}},
			{in: left(r1, b1), have: "-", why: "has ended", named: []string{"b1"}},
		},
		"a start that is not later than the finish is refused": {
			{in: started(r1, 1000), have: "R1:"}, {in: finished(r1, 5000), have: "-"},
			{in: started(r1, 5999), have: "-", why: "has ended"}, {in: started(r1, 1000), have: "-", why: "has ended"},
			{in: started(r1, 6000), have: "R1:", why: "has ended"},
		},
		"a join before the finish is refused, a tie is admitted, and both ask for a poll": {
			{in: started(r1, 1000), have: "R1:"}, {in: finished(r1, 5000), have: "-"},
			{in: joined(r1, a1), have: "-", why: "has ended", named: []string{"a1"}},
			{in: joined(r1, b1), have: "R1: b1", why: "has ended", named: []string{"b1"}},
		},
		"the mark outlives a resurrected sid: late joins stay out, a repeated finish changes nothing": {
			{in: started(r1, 1000), have: "R1:"}, {in: finished(r1, 3000), have: "-"},
			{in: started(r1, 4000), have: "R1:", why: "has ended"}, {in: joined(r1, b1), have: "R1: b1"},
			{in: joined(r1, a1), have: "R1: b1", why: "finished after it joined", named: []string{"a1"}},
			{in: finished(r1, 3000), have: "R1: b1", why: "repeated room_started", named: []string{"b1"}},
			{in: finished(r1, 6000), have: "-"},
		},
		"a finish that comes after a later room_started asks for a poll": {
			{in: started(r1, 1000), have: "R1:"}, {in: started(r1, 7000), have: "R1:", why: "repeated room_started"},
			{in: finished(r1, 5000), have: "-", why: "repeated room_started"},
		},
		"a repeated start keeps the roster and asks for a poll": {
			{in: started(r1, 1000), have: "R1:"}, {in: joined(r1, a1), have: "R1: a1"},
			{in: started(r1, 1000), have: "R1: a1", why: "repeated room_started"},
		},
		"a repeated finish of a closed room asks for nothing": {
			{in: started(r1, 1000), have: "R1:"}, {in: finished(r1, 5000), have: "-"}, {in: finished(r1, 5000), have: "-"},
		},
		"an event for a finished room asks for a poll": {
			{in: started(r1, 1000), have: "R1:"}, {in: finished(r1, 5000), have: "-"},
			{in: track(r1, a1), have: "-", why: "has ended", named: []string{"a1"}},
		},
		"ordinary joins and leaves ask for no poll": {
			{in: started(r1, 1000), have: "R1:"}, {in: joined(r1, a1), have: "R1: a1"}, {in: joined(r1, b1), have: "R1: a1 b1"},
			{in: track(r1, a1), have: "R1: a1 b1"}, {in: left(r1, a1), have: "R1: b1"}, {in: left(r1, b1), have: "R1:"},
			{in: finished(r1, 9000), have: "-"},
		},
		"a tombstone is never for a room": {
			{in: started(r1, 1000), have: "R1:"}, {in: finished(r1, 3000), have: "-"},
			{in: joined(r1, b1), have: "R1: b1", why: "has ended", named: []string{"b1"}},
		},
		"track events create nothing": {
			{in: track(r1, a1), have: "-"}, {in: started(r1, 1000), have: "R1:"}, {in: track(r1, a1), have: "R1:", why: "a track event of an unknown participant"},
			{in: track(r2, a1), have: "R1:"}, {in: left(r1, a1), have: "R1:"}, {in: track(r1, a1), have: "R1:"},
		},
		"a participant without sid or identity is ignored": {
			{in: started(r1, 1000), have: "R1:"}, {in: joined(r1, Participant{Identity: "x"}), have: "R1:"},
			{in: joined(r1, Participant{SID: "x"}), have: "R1:"}, {in: left(r1, Participant{}), have: "R1:"},
		},
		"the roster is in order of join time": {
			{in: joined(r1, b1), have: "R1: b1"}, {in: joined(r1, c1), have: "R1: c1 b1"}, {in: joined(r1, a1), have: "R1: a1 c1 b1"},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) { newRig(t).play(steps) })
	}
}

func TestFirstEventSetsTheRoomsFieldsAndLaterOnesDoNot(t *testing.T) {
	for name, first := range map[string]Event{"started": started(r1, 1000), "joined": joined(r1, a1)} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.do(first)
			later := r1
			later.Metadata, later.MaxParticipants = "later", 1
			r.do(joined(later, c1))
			s := r.room.State
			if s.Metadata != r1.Metadata || s.MaxParticipants != 9 || s.CreatedAt != r1.CreatedMs {
				t.Errorf("the room's fields are %+v", s)
			}
		})
	}
}

func TestTrackEventsSetNothing(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	before := mustJSON(t, r.room.State.Roster)
	if p := r.do(track(r1, a1)); p.Changed || mustJSON(t, r.room.State.Roster) != before {
		t.Errorf("a track event changed the room: %s", mustJSON(t, r.room.State.Roster))
	}
}

func TestWithinASIDTheHigherVersionWins(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	for _, next := range []struct {
		version uint32
		want    string
	}{{3, "v3"}, {2, "v3"}, {3, "v3"}, {4, "v4"}} {
		p := a1
		p.Version, p.Metadata = next.version, "v"+string(rune('0'+next.version))
		r.do(joined(r1, p))
		if got := r.room.State.Roster[0].Metadata; got != next.want {
			t.Errorf("after version %d the metadata is %q, want %q", next.version, got, next.want)
		}
	}
}

func TestExpiredDeliveryIsRefused(t *testing.T) {
	r := newRig(t)
	e := joined(r1, a1)
	e.Expires = r.now.Wall - 60_000
	if p := Step(r.room, e, r.now); p.Expired || !p.Changed {
		t.Errorf("a minute after its token's end a delivery still counts; got %+v", p)
	}
	e.Expires--
	if p := Step(r.room, e, r.now); !p.Expired || p.Changed {
		t.Errorf("an older delivery is refused; got %+v", p)
	}
}

func TestEventForAPolledSIDAsksForAPoll(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	r.do(joined(r1, c1))
	r.cycle(1, &r1, a1)
	r.want("R1: a1")
	wantAsk(t, r.do(track(r1, c1)), "that a look removed", "c1")
	wantAsk(t, r.do(left(r1, c1)), "that a look removed", "c1")
}

func TestEventForARoomThatAPollRemovedAsksForAPoll(t *testing.T) {
	r := newRig(t)
	r.do(started(r1, 1000))
	r.cycle(1, nil)
	r.want("-")
	wantAsk(t, r.do(started(r1, 1000)), "has ended")
}

func TestRoomWithoutANameTagGetsItFromTheFirstEvent(t *testing.T) {
	r := newRig(t)
	r.do(r.sight(nil, a1))
	r.want(": a1")
	r.do(joined(r1, c1))
	r.want("R1: a1 c1")
	if r.room.State.CreatedAt != r1.CreatedMs {
		t.Errorf("createdAt is %d, want %d", r.room.State.CreatedAt, r1.CreatedMs)
	}
}

// TestDuplicates delivers events twice under one id. Nothing changes and no poll is asked for, until the id is forgotten.
func TestDuplicates(t *testing.T) {
	again := func(e Event, id string) Event { e.ID = id; return e }
	r := newRig(t)
	r.do(again(started(r1, 1000), "EV_1"))
	p := r.do(again(started(r1, 1000), "EV_1"))
	wantAsk(t, p, "")
	if p.Changed || len(p.touched) > 0 || p.Commit.Event != "EV_1" {
		t.Errorf("a duplicate writes or touches: %+v", p)
	}
	wantAsk(t, r.do(again(started(r1, 1000), "EV_2")), "a repeated room_started")
	wantAsk(t, r.do(started(r1, 1000)), "a repeated room_started") // without an id it is not a duplicate
	for i := range eventMemory - 2 {
		r.do(again(track(r1, a1), fmt.Sprint("EV_t", i)))
	}
	wantAsk(t, r.do(again(started(r1, 1000), "EV_1")), "")
	r.do(again(track(r1, a1), "EV_t"))
	wantAsk(t, r.do(again(started(r1, 1000), "EV_1")), "a repeated room_started")
	if n := len(r.room.memory.events); n != eventMemory {
		t.Errorf("%d ids are remembered, want %d", n, eventMemory)
	}
	r.room, _ = Load(nil, r.room.Record, 0)
	r.ids = nil
	wantAsk(t, r.do(again(started(r1, 1000), "EV_1")), "a repeated room_started") // the ids are forgotten with the claim
}

// TestEventKeys: ids of any length have different keys, also those that begin or end alike.
func TestEventKeys(t *testing.T) {
	known := map[eventKey]string{}
	for length := range 40 {
		base := strings.Repeat("\x00", length)
		ids := []string{base}
		for i := range length {
			ids = append(ids, base[:i]+"\x01"+base[i+1:], base[:i]+"\xff"+base[i+1:])
		}
		for _, id := range ids {
			if other, taken := known[keyOf(id)]; taken {
				t.Errorf("%q and %q have one key", id, other)
			}
			known[keyOf(id)] = id
		}
	}
}

// TestADuplicateWritesWhatRedisLost: a delivery is answered with 200 only after a script has found the data in Redis or has written it.
func TestADuplicateWritesWhatRedisLost(t *testing.T) {
	r := newRig(t)
	e := joined(r1, a1)
	e.ID = "EV_1"
	r.do(e)
	held := r.room
	r.room, _ = Load(held, Record{Room: "r", Claim: Claim{1, 1, 1}}, 0)
	r.ids = nil
	if p := r.do(e); !p.Changed || p.Commit.Public != Write {
		t.Errorf("what Redis lost is not written: %+v", p.Commit)
	}
	r.want("R1: a1")
}

// TestARepeatedLeftEndsNobodyElse: two looks have brought back an older participant of the identity, such as MoveParticipant makes.
// The newer one's participant_left is delivered once more, under another id.
func TestARepeatedLeftEndsNobodyElse(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a2))
	r.do(left(r1, a2))
	r.twice(&r1, a1)
	r.want("R1: a1")
	r.do(left(r1, a2))
	r.want("R1: a1")
	r.do(left(r1, who("a3", 3300))) // a participant of whom nothing has been reported
	r.want("R1:")
}

// TestWhySomebodyLeft checks the reason and the time of every way to leave.
func TestWhySomebodyLeft(t *testing.T) {
	r1, r2 := life("R1", 1000), life("R2", 9000)
	a1, a2 := who("a1", 2500), who("a2", 5700)
	gone := left(r1, a1)
	gone.CreatedAt, gone.Reason = at(4000)/1000, "CONNECTION_TIMEOUT"
	unexplained := left(r1, a1) // within the second of the join
	unexplained.CreatedAt = at(2000) / 1000
	for name, c := range map[string]struct {
		do     func(*rig) Plan
		reason string
		at     int64
	}{
		"by its own event":               {func(r *rig) Plan { return r.do(gone) }, "CONNECTION_TIMEOUT", at(4000)},
		"without a reason":               {func(r *rig) Plan { return r.do(unexplained) }, UnknownReason, a1.JoinedAt},
		"by a newer one of its identity": {func(r *rig) Plan { return r.do(joined(r1, a2)) }, UnknownReason, a2.JoinedAt},
		"by a newer one's leave":         {func(r *rig) Plan { return r.do(left(r1, a2)) }, UnknownReason, a2.JoinedAt},
		"by the room's finish":           {func(r *rig) Plan { return r.do(finished(r1, 7000)) }, UnknownReason, at(7000)},
		"by a newer instance":            {func(r *rig) Plan { return r.do(started(r2, 9000)) }, UnknownReason, r2.CreatedMs},
		"by a look at a newer instance":  {func(r *rig) Plan { return r.do(r.sight(&r2)) }, UnknownReason, r2.CreatedMs},
		"by a look at a newer one":       {func(r *rig) Plan { return r.do(r.sight(&r1, a2)) }, UnknownReason, a2.JoinedAt},
		"by two looks":                   {func(r *rig) Plan { r.wait(10 * second); return r.cycle(1, &r1) }, UnknownReason, at(11_000)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.do(joined(r1, a1))
			for _, change := range c.do(r).Changes {
				if change.Type != ParticipantLeft {
					continue
				}
				if change.SID != "a1" || change.Disconnect != c.reason || change.LeftAt != c.at {
					t.Errorf("%s left at %d for %s, want at %d for %s", change.SID, change.LeftAt, change.Disconnect, c.at, c.reason)
				}
				return
			}
			t.Error("nobody left")
		})
	}
}
