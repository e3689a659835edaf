package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

type who = livekittest.Who

// join connects a participant, who leaves at the latest when the test ends.
func (w *world) join(t *testing.T, room string, one who) *livekittest.Participant {
	t.Helper()
	p, err := w.livekit.Join(bounded(t), room, one)
	if err != nil {
		t.Fatalf("%q joins %q: %v", one.Identity, room, err)
	}
	t.Cleanup(p.Leave)
	w.showsSid(t, room, p.Sid())
	return p
}

// showsSid waits until LiveKit's API lists the participant as ACTIVE: the client knows that earlier.
func (w *world) showsSid(t *testing.T, room, sid string) {
	t.Helper()
	w.shows(t, sid, func(v oracle.View) bool {
		return slices.ContainsFunc(v.Roster, func(m oracle.Member) bool { return m.SID == sid })
	}, room)
}

// spawn connects a participant who can be killed.
func (w *world) spawn(t *testing.T, room string, one who) *livekittest.Process {
	t.Helper()
	p, err := w.livekit.Spawn(bounded(t), room, one)
	if err != nil {
		t.Fatalf("%q joins %q: %v", one.Identity, room, err)
	}
	t.Cleanup(p.Kill)
	w.showsSid(t, room, p.Sid())
	return p
}

func (w *world) create(t *testing.T, room string) *livekit.Room {
	t.Helper()
	r, err := w.api.CreateRoom(bounded(t), &livekit.CreateRoomRequest{Name: room, Metadata: "about " + room, MaxParticipants: 7})
	if err != nil {
		t.Fatalf("create %q: %v", room, err)
	}
	return r
}

func (w *world) delete(t *testing.T, room string) {
	t.Helper()
	if _, err := w.api.DeleteRoom(bounded(t), &livekit.DeleteRoomRequest{Room: room}); err != nil {
		t.Fatalf("delete %q: %v", room, err)
	}
}

// rename changes a participant without a webhook.
func (w *world) rename(t *testing.T, room, identity, metadata string) {
	t.Helper()
	_, err := w.api.UpdateParticipant(bounded(t), &livekit.UpdateParticipantRequest{Room: room, Identity: identity, Metadata: metadata,
		Name: "renamed", Attributes: map[string]string{"k": metadata}})
	if err != nil {
		t.Fatalf("update %q: %v", identity, err)
	}
	w.shows(t, metadata, func(v oracle.View) bool {
		return slices.ContainsFunc(v.Roster, func(m oracle.Member) bool { return m.Identity == identity && m.Metadata == metadata })
	}, room)
}

// relabel changes a room without a webhook.
func (w *world) relabel(t *testing.T, room, metadata string) {
	t.Helper()
	if _, err := w.api.UpdateRoomMetadata(bounded(t), &livekit.UpdateRoomMetadataRequest{Room: room, Metadata: metadata}); err != nil {
		t.Fatalf("update room %q: %v", room, err)
	}
	w.shows(t, metadata, func(v oracle.View) bool { return v.Metadata == metadata }, room)
}

// shows waits until LiveKit's API lists what it was told: it answers an update before its lists show it.
func (w *world) shows(t *testing.T, what string, ok func(oracle.View) bool, room string) {
	t.Helper()
	eventually.Nil(t, patience, fmt.Sprintf("LiveKit shows %q", what), func() error {
		rooms, err := w.livekitView()
		if err == nil && !ok(rooms[room]) {
			err = fmt.Errorf("it shows %+v", rooms[room])
		}
		return err
	})
}

// TestPeople checks the everyday life of rooms. There is no sync after the first one: all changes come by webhooks.
func TestPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{departure: 1})
	t.Run("scenarios", func(t *testing.T) {
		for name, scenario := range map[string]func(*testing.T, *world){
			"join": peopleJoin, "leave": peopleLeave, "kill": peopleKill, "duplicate identity": peopleDuplicate,
			"delete and recreate": peopleRecreate, "kinds": peopleKinds, "odd names": peopleOddNames, "last one leaves": peopleDeparture,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				scenario(t, w.of(t))
			})
		}
	})
	w.converges()
}

// of returns the same world for a subtest.
func (w *world) of(t *testing.T) *world {
	sub := *w
	sub.t = t
	return &sub
}

func peopleJoin(t *testing.T, w *world) {
	const room = "join"
	w.create(t, room)
	w.converges(room) // an empty room has its keys, with []
	for _, id := range []string{"alice", "bob", "carol"} {
		one := who{Identity: id, Name: "Name of " + id, Metadata: `{"a":"<b>&"}`, Attributes: map[string]string{"k": "é\""}}
		p, err := w.livekit.Join(bounded(t), room, one)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Leave)
		t.Logf("%s is in Redis %v after the join returned", id, w.latency(room, p.Sid()).Round(time.Millisecond))
	}
	w.converges(room)
}

func peopleLeave(t *testing.T, w *world) {
	const room = "leave"
	p := w.join(t, room, who{Identity: "alice"})
	w.join(t, room, who{Identity: "bob"})
	w.awaitPresent(room, "alice", "bob")
	p.Leave()
	w.awaitPresent(room, "bob")
	w.converges(room)
}

// peopleKill takes the 19 s after which LiveKit drops a silent client.
func peopleKill(t *testing.T, w *world) {
	const room = "kill"
	w.join(t, room, who{Identity: "bob"})
	p := w.spawn(t, room, who{Identity: "alice"})
	w.awaitPresent(room, "bob", "alice")
	p.Kill()
	eventually.Nil(t, 3*patience, "the killed client is gone", func() error { return w.hasPresent(room, "bob") })
	w.converges(room)
}

func peopleDuplicate(t *testing.T, w *world) {
	const room = "duplicate"
	first := w.spawn(t, room, who{Identity: "alice"})
	w.awaitPresent(room, "alice")
	second := w.spawn(t, room, who{Identity: "alice"})
	if first.Sid() == second.Sid() {
		t.Fatal("a participant has its forerunner's sid")
	}
	w.latency(room, second.Sid())
	w.awaitPresent(room, "alice")
	w.converges(room)
}

func peopleRecreate(t *testing.T, w *world) {
	const room = "recreate"
	for range 3 {
		w.create(t, room)
		w.join(t, room, who{Identity: "alice"})
		w.join(t, room, who{Identity: "bob"})
		w.awaitPresent(room, "alice", "bob")
		w.converges(room)
		w.delete(t, room)
		w.awaitGone(room)
	}
	w.converges(room)
}

func peopleKinds(t *testing.T, w *world) {
	const room = "kinds"
	w.join(t, room, who{Identity: "standard"})
	w.join(t, room, who{Identity: "hidden", Hidden: true})
	w.join(t, room, who{Identity: "agent", Kind: livekit.ParticipantInfo_AGENT})
	w.join(t, room, who{Identity: "sip", Kind: livekit.ParticipantInfo_SIP})
	w.join(t, room, who{Identity: "egress", Kind: livekit.ParticipantInfo_EGRESS, Hidden: true, Recorder: true})
	w.awaitPresent(room, "standard", "sip")
	w.converges(room)
	views, err := w.redisView()
	if err != nil || len(views[room].Roster) != 5 {
		t.Errorf("the state has the roster %v (%v), want all five", views[room].Roster, err)
	}
}

func peopleOddNames(t *testing.T, w *world) {
	for _, room := range []string{
		"odd {x}*?[a]:\"'\\", "}odd", "a\r\nb", "nul\x00nul", "\u202eé👩‍👩‍👧", "rooms:states:", "%25/..", " ", strings.Repeat("é", 120),
	} {
		w.create(t, room)
		w.join(t, room, who{Identity: "id of " + room, Name: room, Metadata: room})
		w.awaitPresent(room, "id of "+room)
		w.converges(room)
	}
}

// peopleDeparture checks a room that the world's LiveKit closes one second after the last participant left.
func peopleDeparture(t *testing.T, w *world) {
	const room = "departure"
	p := w.join(t, room, who{Identity: "alice"})
	w.awaitPresent(room, "alice")
	p.Leave()
	w.awaitGone(room)
	w.converges(room)
}
