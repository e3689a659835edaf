package reconcile

import (
	"slices"
	"testing"
)

func TestWhatListsSayAboutARoom(t *testing.T) {
	rooms := RoomList{Rooms: map[string][]RoomInfo{"a": {r1}}, Unreadable: map[string]bool{"b": true}}
	for room, unreadable := range map[string]bool{"a": false, "b": true, "c": false} {
		look := rooms.In(Look{Lag: 1}, room)
		if !slices.Equal(look.Listed, rooms.Rooms[room]) || look.Unreadable != unreadable || look.Lag != 1 {
			t.Errorf("room %s: %+v", room, look)
		}
	}
	for _, unidentified := range []int{0, 2} {
		people := ParticipantList{Active: []Participant{a1}, Waiting: 3, Protected: []string{"PA_x"}, Unidentified: unidentified}
		look := people.In(Look{Lag: 1})
		if len(look.Participants) != 1 || look.Waiting != 3 || !slices.Equal(look.Protected, people.Protected) || look.Unidentified != (unidentified > 0) || look.Lag != 1 {
			t.Errorf("%d unidentified: %+v", unidentified, look)
		}
	}
}

func TestEntriesPassedOverAddUp(t *testing.T) {
	all := PassedOver{}
	for _, one := range []PassedOver{{}, {Count: 2, First: "a room without a sid"}, {Count: 1, First: "a room without a name"}} {
		all.Add(one)
	}
	if want := (PassedOver{Count: 3, First: "a room without a sid"}); all != want {
		t.Errorf("%+v, want %+v", all, want)
	}
}

func TestWhenAnEventHappened(t *testing.T) {
	early := r1
	early.CreatedMs -= 5000
	for what, want := range map[string]struct {
		event Event
		ms    int64
		exact bool
	}{
		"a join":                    {Event{Kind: Joined, CreatedAt: 7, Participant: a1}, a1.JoinedAt, true},
		"a join without a time":     {Event{Kind: Joined, CreatedAt: 7}, 7000, false},
		"a leave":                   {Event{Kind: Left, CreatedAt: 7, Participant: a1}, 7000, false},
		"a room's first start":      {Event{Kind: Started, CreatedAt: r1.CreatedMs / 1000, Room: r1}, r1.CreatedMs, true},
		"a start of an older room":  {Event{Kind: Started, CreatedAt: r1.CreatedMs / 1000, Room: early}, r1.CreatedMs / 1000 * 1000, false},
		"a finish when it began":    {Event{Kind: Finished, CreatedAt: r1.CreatedMs / 1000, Room: r1}, r1.CreatedMs / 1000 * 1000, false},
		"a track of a known person": {Event{Kind: Track, CreatedAt: 7, Participant: a1}, 7000, false},
	} {
		if ms, exact := want.event.At(); ms != want.ms || exact != want.exact {
			t.Errorf("%s: %d, %v, want %d, %v", what, ms, exact, want.ms, want.exact)
		}
	}
}

func TestAbsentIsARoomThatNobodyHas(t *testing.T) {
	for _, c := range []struct {
		Report
		absent bool
	}{
		{Report{Synced: 1}, true}, {Report{}, false}, {Report{Synced: 1, Rooms: 1}, false}, {Report{Synced: 1, Changed: 1}, false},
		{Report{Synced: 1, Deferred: 1}, false}, {Report{Synced: 1, Errors: 1}, false},
	} {
		if c.Absent() != c.absent {
			t.Errorf("%+v: %v", c.Report, c.Absent())
		}
	}
}

func TestTimelineOfACommit(t *testing.T) {
	c := Commit{Time: 9, Version: 4, Claim: Claim{Generation: 1, Epoch: 2}, Cause: ByWebhook, Event: "EV_1", Story: []Change{
		{Type: ParticipantLeft, Member: NewMember(a1), SID: a1.SID, Disconnect: "CLIENT_INITIATED", LeftAt: 8},
		{Type: RoomFinished, SID: r1.SID, Reason: Ghost}}}
	common := TimelineEntry{Time: 9, Cause: ByWebhook, Event: "EV_1", Gen: 1, Epoch: 2, Version: 4, Owner: "n1"}
	finish, leave := common, common
	finish.Type, finish.SID, finish.Reason = RoomFinished, r1.SID, Ghost
	leave.Type, leave.SID, leave.Identity, leave.Disconnect, leave.JoinedAt, leave.LeftAt = ParticipantLeft, a1.SID, a1.Identity, "CLIENT_INITIATED", a1.JoinedAt, 8
	if got := c.Timeline("n1"); !slices.Equal(got, []TimelineEntry{finish, leave}) {
		t.Errorf("%+v", got)
	}
}

func TestARoomRemembersOneEventOfEachIdentity(t *testing.T) {
	r := newRig(t)
	r.do(joined(r1, a1))
	for range 3 {
		r.wait(second)
		r.do(track(r1, a1))
	}
	if n := len(r.room.memory.touched); n != 1 {
		t.Errorf("it remembers %d events of one identity: %+v", n, r.room.memory.touched)
	}
}
