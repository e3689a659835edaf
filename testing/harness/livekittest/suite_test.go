package livekittest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

type who = livekittest.Who

// suite checks a LiveKit, fake or real, against docs/livekit.md. The tests share one server and use separate rooms.
func suite(t *testing.T, make func(*testing.T) *target) {
	tg := make(t)
	tg.receiver.SetAnswer(answerByRoom)
	tests := map[string]func(*testing.T, *target){
		"create join leave delete": testLifecycle,
		"first join creates":       testImplicitRoom,
		"duplicate identity":       testDuplicate,
		"delete with people":       testDelete,
		"remove while publishing":  testRemove,
		"killed client":            testKill,
		"empty timeout":            testEmptyTimeout,
		"silent changes":           testSilentChanges,
		"kinds and hidden":         testKinds,
		"list rooms":               testListRooms,
		"missing room":             testMissing,
		"grants":                   testGrants,
		"odd names":                testOddNames,
		"signature":                testSignature,
		"500 is retried":           testRetry500,
		"400 is not retried":       testRetry400,
		"Retry-After on 503":       testRetryAfter,
	}
	t.Run("in parallel", func(t *testing.T) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, tg)
			})
		}
	})
	t.Run("shapes", func(t *testing.T) { testShapes(t, tg.receiver.Deliveries("")) })
}

func (tg *target) create(t *testing.T, req *livekit.CreateRoomRequest) *livekit.Room {
	t.Helper()
	room, err := tg.api.CreateRoom(deadline(t), req)
	if err != nil {
		t.Fatal(err)
	}
	return room
}

func (tg *target) delete(t *testing.T, room string) {
	t.Helper()
	if _, err := tg.api.DeleteRoom(deadline(t), &livekit.DeleteRoomRequest{Room: room}); err != nil {
		t.Fatal(err)
	}
}

// await returns the room's webhooks once there are n of the named event.
func (tg *target) await(t *testing.T, room, event string, n int) []fakelivekit.Delivery {
	t.Helper()
	got, err := tg.receiver.Wait(deadline(t), room, func(got []fakelivekit.Delivery) bool { return countOf(got, event) >= n })
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func countOf(got []fakelivekit.Delivery, event string) int {
	n := 0
	for _, name := range fakelivekit.Names(got) {
		if name == event {
			n++
		}
	}
	return n
}

func wantNames(t *testing.T, got []fakelivekit.Delivery, want ...string) {
	t.Helper()
	if !slices.Equal(fakelivekit.Names(got), want) {
		t.Fatalf("got %v, want %v", fakelivekit.Names(got), want)
	}
}

func testLifecycle(t *testing.T, tg *target) {
	const name = "lifecycle"
	room := tg.create(t, &livekit.CreateRoomRequest{Name: name, Metadata: "m", MaxParticipants: 9})
	sid := tg.join(t, name, who{Identity: "alice", Name: "Alice", Metadata: "meta", Attributes: map[string]string{"k": "v"}})
	tg.await(t, name, "participant_joined", 1)
	tg.leave(t, name, "alice")
	tg.await(t, name, "participant_left", 1)
	tg.delete(t, name)
	got := tg.await(t, name, "room_finished", 1)
	wantNames(t, got, "room_started", "participant_joined", "participant_left", "room_finished")
	for _, d := range got {
		r := d.Event.Room
		if r.Sid != room.Sid || r.Metadata != "m" || r.MaxParticipants != 9 || r.CreationTimeMs != room.CreationTimeMs || r.TurnPassword == "" {
			t.Errorf("%s has the room %v, want %v", d.Event.Event, r, room)
		}
	}
	joined, left := got[1].Event.Participant, got[2].Event.Participant
	if joined.Sid != sid || joined.State != livekit.ParticipantInfo_ACTIVE || joined.Version < 2 || joined.Name != "Alice" ||
		joined.Metadata != "meta" || joined.Attributes["k"] != "v" || joined.JoinedAt != joined.JoinedAtMs/1000 {
		t.Errorf("joined: %v", joined)
	}
	if left.Sid != sid || left.State != livekit.ParticipantInfo_DISCONNECTED || left.Version <= joined.Version || left.JoinedAtMs != joined.JoinedAtMs ||
		left.DisconnectReason != livekit.DisconnectReason_CLIENT_INITIATED {
		t.Errorf("left: %v", left)
	}
}

func testImplicitRoom(t *testing.T, tg *target) {
	const name = "implicit"
	tg.join(t, name, who{Identity: "a"})
	got := tg.await(t, name, "participant_joined", 1)
	wantNames(t, got, "room_started", "participant_joined")
	if r := got[0].Event.Room; r.EmptyTimeout != 300 || r.DepartureTimeout != 20 {
		t.Errorf("the defaults are not LiveKit's: %v", r)
	}
}

func testDuplicate(t *testing.T, tg *target) {
	const name = "duplicate"
	first := tg.join(t, name, who{Identity: "a"})
	tg.await(t, name, "participant_joined", 1)
	second := tg.join(t, name, who{Identity: "a"})
	got := tg.await(t, name, "participant_joined", 2)
	wantNames(t, got, "room_started", "participant_joined", "participant_left", "participant_joined")
	left, joined := got[2].Event.Participant, got[3].Event.Participant
	if left.Sid != first || left.DisconnectReason != livekit.DisconnectReason_DUPLICATE_IDENTITY || joined.Sid != second {
		t.Errorf("left %v, joined %v", left, joined)
	}
}

func testDelete(t *testing.T, tg *target) {
	const name = "delete"
	tg.join(t, name, who{Identity: "a"})
	tg.join(t, name, who{Identity: "b"})
	tg.await(t, name, "participant_joined", 2)
	tg.delete(t, name)
	got := tg.await(t, name, "room_finished", 1)
	wantNames(t, got, "room_started", "participant_joined", "participant_joined", "participant_left", "participant_left", "room_finished")
	for _, d := range got[3:5] {
		if d.Event.Participant.DisconnectReason != livekit.DisconnectReason_ROOM_DELETED {
			t.Errorf("left for %v", d.Event.Participant.DisconnectReason)
		}
	}
	if n := len(tg.participants(t, name)); n != 0 {
		t.Errorf("%d participants listed in a deleted room", n)
	}
}

func testRemove(t *testing.T, tg *target) {
	const name = "remove"
	tg.join(t, name, who{Identity: "a"})
	tg.publish(t, name, "a")
	tg.await(t, name, "track_published", 1)
	if _, err := tg.api.RemoveParticipant(deadline(t), &livekit.RoomParticipantIdentity{Room: name, Identity: "a"}); err != nil {
		t.Fatal(err)
	}
	got := tg.await(t, name, "participant_left", 1)
	wantNames(t, got, "room_started", "participant_joined", "track_published", "track_unpublished", "participant_left")
	if reason := got[4].Event.Participant.DisconnectReason; reason != livekit.DisconnectReason_PARTICIPANT_REMOVED {
		t.Errorf("left for %v", reason)
	}
}

func testKill(t *testing.T, tg *target) {
	const name = "kill"
	tg.kill(t, name, who{Identity: "a"})
	joined := tg.await(t, name, "participant_joined", 1)[1]
	if people := tg.participants(t, name); len(people) != 1 || people[0].State != livekit.ParticipantInfo_ACTIVE {
		t.Errorf("a killed client is not listed as ACTIVE: %v", people)
	}
	left := tg.await(t, name, "participant_left", 1)[2]
	if reason := left.Event.Participant.DisconnectReason; reason != livekit.DisconnectReason_CONNECTION_TIMEOUT {
		t.Errorf("left for %v", reason)
	}
	// Usually about 19 s; 15 s where the kill came between ICE and DTLS of one of its transports. What matters is that for a long
	// time silence is not taken as a leave.
	if after := left.At.Sub(joined.At); after < 5*tg.second {
		t.Errorf("left %v after the kill, as if it had said goodbye", after)
	}
}

func testEmptyTimeout(t *testing.T, tg *target) {
	const name = "empty"
	tg.create(t, &livekit.CreateRoomRequest{Name: name, EmptyTimeout: 1})
	wantNames(t, tg.await(t, name, "room_finished", 1), "room_started", "room_finished")
}

func testOddNames(t *testing.T, tg *target) {
	name := "odd {x}*?[a]:\"'\\\r\n\x00\u202eé"
	tg.create(t, &livekit.CreateRoomRequest{Name: name})
	got := tg.await(t, name, "room_started", 1)
	if rooms := tg.rooms(t, name); len(rooms) != 1 || rooms[0].Name != got[0].Event.Room.Name {
		t.Errorf("listed as %v", rooms)
	}
}

// answerByRoom makes the receiver refuse webhooks for the rooms of the retry tests.
func answerByRoom(d fakelivekit.Delivery) fakelivekit.Answer {
	if d.Event.Event != "room_started" {
		return fakelivekit.Answer{}
	}
	switch d.Event.Room.Name {
	case "retry-500":
		return fakelivekit.Answer{Status: http.StatusInternalServerError}
	case "retry-400":
		return fakelivekit.Answer{Status: http.StatusBadRequest}
	case "retry-503":
		return fakelivekit.Answer{Status: http.StatusServiceUnavailable, RetryAfter: "2"}
	}
	return fakelivekit.Answer{}
}

// testAttempts checks when the first attempts for a room's room_started arrived, in the target's seconds since the first one. It
// is lenient, because the machine may be busy, and the fake's exact schedule is tested in virtual time.
func testAttempts(t *testing.T, tg *target, room string, want ...int) {
	t.Helper()
	tg.create(t, &livekit.CreateRoomRequest{Name: room})
	got := tg.await(t, room, "room_started", len(want))
	for i, d := range got[:len(want)] {
		due := time.Duration(want[i]) * tg.second
		if after := d.At.Sub(got[0].At); after < due-tg.second/2 || after > due+3*tg.second {
			t.Errorf("attempt %d came after %v, want %v", i+1, after, due)
		}
		if string(d.Body) != string(got[0].Body) || d.Token != got[0].Token {
			t.Errorf("attempt %d differs from the first", i+1)
		}
	}
}

func testRetry500(t *testing.T, tg *target) { testAttempts(t, tg, "retry-500", 0, 1, 3, 7) }

func testRetryAfter(t *testing.T, tg *target) { testAttempts(t, tg, "retry-503", 0, 2, 4, 6) }

// testRetry400 checks that the next event of the room comes right after the refused one.
func testRetry400(t *testing.T, tg *target) {
	const name = "retry-400"
	tg.create(t, &livekit.CreateRoomRequest{Name: name})
	tg.await(t, name, "room_started", 1)
	tg.delete(t, name)
	wantNames(t, tg.await(t, name, "room_finished", 1), "room_started", "room_finished")
}

func testSignature(t *testing.T, tg *target) {
	const name = "signature"
	tg.create(t, &livekit.CreateRoomRequest{Name: name})
	d := tg.await(t, name, "room_started", 1)[0]
	if d.Err != nil || d.Type != "application/webhook+json" || strings.HasPrefix(d.Token, "Bearer") {
		t.Errorf("verification %v, content type %q", d.Err, d.Type)
	}
	if strings.Contains(string(d.Body), "\n") || !strings.HasPrefix(d.Event.Id, "EV_") {
		t.Errorf("the body is not compact or has no event id: %q", d.Event.Id)
	}
	if now := time.Now().Unix(); d.Event.CreatedAt < now-60 || d.Event.CreatedAt > now+1 {
		t.Errorf("createdAt %d is not the present in seconds", d.Event.CreatedAt)
	}
	claims := claimsOf(t, d.Token)
	if claims.Iss != livekittest.Key || claims.Exp-claims.Nbf != 300 || claims.Sha256 == "" {
		t.Errorf("claims %+v", claims)
	}
}

func (tg *target) rooms(t *testing.T, names ...string) []*livekit.Room {
	t.Helper()
	res, err := tg.api.ListRooms(deadline(t), &livekit.ListRoomsRequest{Names: names})
	if err != nil {
		t.Fatal(err)
	}
	return res.Rooms
}

func (tg *target) participants(t *testing.T, room string) []*livekit.ParticipantInfo {
	t.Helper()
	res, err := tg.api.ListParticipants(deadline(t), &livekit.ListParticipantsRequest{Room: room})
	if err != nil {
		t.Fatal(err)
	}
	return res.Participants
}
