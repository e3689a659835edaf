package livekittest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

// testSilentChanges checks that metadata, name and attributes change what the API lists, and that no webhook reports it.
func testSilentChanges(t *testing.T, tg *target) {
	const name = "silent"
	tg.join(t, name, who{Identity: "a", Metadata: "old", Attributes: map[string]string{"x": "1"}})
	tg.await(t, name, "participant_joined", 1)
	before := tg.participants(t, name)[0]
	_, err := tg.api.UpdateParticipant(deadline(t), &livekit.UpdateParticipantRequest{
		Room: name, Identity: "a", Metadata: "new", Name: "A", Attributes: map[string]string{"x": "", "y": "2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	room, err := tg.api.UpdateRoomMetadata(deadline(t), &livekit.UpdateRoomMetadataRequest{Room: name, Metadata: "room"})
	if err != nil || room.Metadata != "room" {
		t.Fatalf("%v, %v", room, err)
	}
	eventually.True(t, "the changed participant is listed", func() bool {
		p := tg.participants(t, name)[0]
		_, x := p.Attributes["x"]
		return p.Metadata == "new" && p.Name == "A" && p.Attributes["y"] == "2" && !x && p.Version > before.Version && p.Sid == before.Sid
	})
	eventually.True(t, "the room's metadata is listed", func() bool { return tg.rooms(t, name)[0].Metadata == "room" })
	tg.leave(t, name, "a")
	wantNames(t, tg.await(t, name, "participant_left", 1), "room_started", "participant_joined", "participant_left")
}

func testKinds(t *testing.T, tg *target) {
	const name = "kinds"
	tg.join(t, name, who{Identity: "std"})
	tg.join(t, name, who{Identity: "hidden", Hidden: true})
	tg.join(t, name, who{Identity: "recorder", Hidden: true, Recorder: true})
	tg.join(t, name, who{Identity: "agent", Kind: livekit.ParticipantInfo_AGENT})
	tg.join(t, name, who{Identity: "sip", Kind: livekit.ParticipantInfo_SIP})
	tg.await(t, name, "participant_joined", 5)
	listed := map[string]*livekit.ParticipantInfo{}
	eventually.True(t, "all five are ACTIVE", func() bool {
		active := 0
		for _, p := range tg.participants(t, name) {
			listed[p.Identity] = p
			if p.State == livekit.ParticipantInfo_ACTIVE {
				active++
			}
		}
		return active == 5
	})
	if !listed["hidden"].Permission.Hidden || !listed["recorder"].Permission.Recorder || listed["std"].Permission.Hidden {
		t.Errorf("hidden and recorder are not marked: %v", listed)
	}
	if listed["agent"].Kind != livekit.ParticipantInfo_AGENT || listed["sip"].Kind != livekit.ParticipantInfo_SIP || !listed["agent"].Permission.Agent {
		t.Errorf("kinds are not kept: %v", listed)
	}
}

func testListRooms(t *testing.T, tg *target) {
	one := tg.create(t, &livekit.CreateRoomRequest{Name: "list-1", Metadata: "m", MaxParticipants: 2})
	again := tg.create(t, &livekit.CreateRoomRequest{Name: "list-1", Metadata: "m2", MaxParticipants: 3})
	if again.Sid != one.Sid || again.Metadata != "m" || again.MaxParticipants != 2 {
		t.Errorf("a second CreateRoom gave %v", again)
	}
	tg.create(t, &livekit.CreateRoomRequest{Name: "list-2"})
	all := map[string]*livekit.Room{}
	for _, r := range tg.rooms(t) {
		all[r.Name] = r
	}
	if all["list-1"] == nil || all["list-2"] == nil {
		t.Errorf("not all listed: %v", all)
	}
	named := tg.rooms(t, "list-1", "no such room")
	if len(named) != 1 {
		t.Fatalf("%d rooms of one name", len(named))
	}
	r := named[0]
	if r.Sid != one.Sid || r.CreationTimeMs != one.CreationTimeMs || r.Metadata != "m" || r.MaxParticipants != 2 || r.TurnPassword == "" ||
		len(r.EnabledCodecs) == 0 {
		t.Errorf("listed as %v", r)
	}
}

func testMissing(t *testing.T, tg *target) {
	const name = "no such room"
	if rooms := tg.rooms(t, name); len(rooms) != 0 {
		t.Errorf("listed: %v", rooms)
	}
	if people := tg.participants(t, name); len(people) != 0 {
		t.Errorf("listed: %v", people)
	}
	ctx, whom := deadline(t), &livekit.RoomParticipantIdentity{Room: name, Identity: "a"}
	_, err := tg.api.GetParticipant(ctx, whom)
	wantCode(t, "GetParticipant", err, twirp.NotFound)
	_, err = tg.api.RemoveParticipant(ctx, whom)
	wantCode(t, "RemoveParticipant", err, twirp.NotFound)
	_, err = tg.api.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: name})
	wantCode(t, "DeleteRoom", err, twirp.NotFound)
	_, err = tg.api.UpdateParticipant(ctx, &livekit.UpdateParticipantRequest{Room: name, Identity: "a", Metadata: "m"})
	wantCode(t, "UpdateParticipant", err, twirp.NotFound)
	_, err = tg.api.UpdateRoomMetadata(ctx, &livekit.UpdateRoomMetadataRequest{Room: name, Metadata: "m"})
	wantCode(t, "UpdateRoomMetadata", err, twirp.NotFound)
}

func testGrants(t *testing.T, tg *target) {
	for _, c := range []struct {
		name   string
		grant  *auth.VideoGrant // nil: no token at all
		secret string
		list   bool
		people bool
		create bool
	}{
		{"no token", nil, "", false, false, false},
		{"nothing", &auth.VideoGrant{}, livekittest.Secret, false, false, false},
		{"list", &auth.VideoGrant{RoomList: true}, livekittest.Secret, true, false, false},
		{"admin", &auth.VideoGrant{RoomAdmin: true, Room: "grants"}, livekittest.Secret, false, true, false},
		{"admin elsewhere", &auth.VideoGrant{RoomAdmin: true, Room: "other"}, livekittest.Secret, false, false, false},
		{"admin of no room", &auth.VideoGrant{RoomAdmin: true}, livekittest.Secret, false, false, false},
		{"create", &auth.VideoGrant{RoomCreate: true}, livekittest.Secret, false, false, true},
		{"forged", &auth.VideoGrant{RoomList: true, RoomCreate: true, RoomAdmin: true, Room: "grants"}, strings.Repeat("x", 40), false, false, false},
	} {
		client := livekit.NewRoomServiceProtobufClient(tg.url, http.DefaultClient)
		ctx := withToken(t, c.grant, c.secret)
		_, err := client.ListRooms(ctx, &livekit.ListRoomsRequest{Names: []string{"grants"}})
		wantGrant(t, c.name+" ListRooms", err, c.list)
		_, err = client.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: "grants"})
		wantGrant(t, c.name+" ListParticipants", err, c.people)
		_, err = client.CreateRoom(ctx, &livekit.CreateRoomRequest{Name: "grants"})
		wantGrant(t, c.name+" CreateRoom", err, c.create)
	}
}

func withToken(t *testing.T, grant *auth.VideoGrant, secret string) context.Context {
	t.Helper()
	if grant == nil {
		return deadline(t)
	}
	token, err := auth.NewAccessToken(livekittest.Key, secret).SetVideoGrant(grant).SetValidFor(time.Minute).ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := twirp.WithHTTPRequestHeaders(deadline(t), http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

func wantGrant(t *testing.T, what string, err error, granted bool) {
	t.Helper()
	if granted {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	wantCode(t, what, err, twirp.Unauthenticated)
}

func wantCode(t *testing.T, what string, err error, code twirp.ErrorCode) {
	t.Helper()
	var twerr twirp.Error
	if !errors.As(err, &twerr) || twerr.Code() != code {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

type claims struct {
	Iss    string `json:"iss"`
	Exp    int64  `json:"exp"`
	Nbf    int64  `json:"nbf"`
	Sha256 string `json:"sha256"`
}

func claimsOf(t *testing.T, token string) claims {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c claims
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}
