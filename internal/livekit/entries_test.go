package livekit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/fixtures"
)

// wire is a list of these entries, each a message or its bytes.
func wire(t testing.TB, entries ...any) (list []byte) {
	t.Helper()
	for _, e := range entries {
		raw, ok := e.([]byte)
		if m, isMessage := e.(proto.Message); isMessage {
			var err error
			if raw, err = proto.Marshal(m); err != nil {
				t.Fatal(err)
			}
		} else if !ok {
			t.Fatalf("%T is no entry", e)
		}
		list = protowire.AppendBytes(protowire.AppendTag(list, entryField, protowire.BytesType), raw)
	}
	return list
}

// textField encodes a string field, which need not be UTF-8.
func textField(num protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), text)
}

// listClient returns a client that gets this list as every answer.
func listClient(t *testing.T, list []byte) *Client {
	return bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/protobuf")
		w.Header().Set("Content-Length", fmt.Sprint(len(list)))
		_, _ = w.Write(list)
	}, nil)
}

// brokenEntry returns an entry that ends within a field, after the given fields.
func brokenEntry(fields ...[]byte) []byte {
	return append(bytes.Join(fields, nil), 0x42, 0x7f)
}

// TestFaultyLists checks that one faulty entry does not fail the list. The others are read, and a faulty entry protects every room that it may
// stand for.
func TestFaultyLists(t *testing.T) {
	good := &livekit.Room{Name: "good", Sid: "RM_g", CreationTime: 1}
	for _, c := range []struct {
		what       string
		entry      any
		words      string
		unreadable []string // of the requested names good, r and other
	}{
		{"no name", &livekit.Room{Sid: "RM_1", TurnPassword: fixtures.Secret}, "without a name", nil},
		{"nothing at all", []byte{}, "without a name", nil},
		{"no sid", &livekit.Room{Name: "r", TurnPassword: fixtures.Secret}, "without a sid", []string{"r"}},
		{"the far future", &livekit.Room{Name: "r", Sid: "RM_1", CreationTimeMs: 1 << 60}, "no time", []string{"r"}},
		{"the past", &livekit.Room{Name: "r", Sid: "RM_1", CreationTime: -1}, "no time", []string{"r"}},
		{"milliseconds as seconds", &livekit.Room{Name: "r", Sid: "RM_1", CreationTime: 1795399866205}, "no time", []string{"r"}},
		{"metadata that is not UTF-8", slices.Concat(textField(roomName, "r"), textField(roomSID, "RM_1"), textField(roomMetadata, "\xff")), "metadata", []string{"r"}},
		{"a sid that is not UTF-8", slices.Concat(textField(roomName, "r"), textField(roomSID, "\xff")), "sid", []string{"r"}},
		{"broken behind the name", brokenEntry(textField(roomName, "r"), textField(roomSID, "RM_1")), "does not decode", []string{"r"}},
		{"too large", &livekit.Room{Name: "r", Sid: "RM_1", Metadata: strings.Repeat("m", maxEntry)}, "does not decode", []string{"r"}},
		{"a name that is not UTF-8", slices.Concat(textField(roomSID, "RM_1"), textField(roomName, "r\xff")), "name cannot be read", []string{"other", "r"}},
		{"broken before the name", brokenEntry(), "name cannot be read", []string{"other", "r"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			client := listClient(t, wire(t, c.entry, good))
			names, err := client.ListRooms(t.Context())
			if err != nil || !slices.Contains(names.Names, "good") || slices.Contains(names.Names, "") {
				t.Errorf("names: %+v, %v", names, err)
			}
			if unnamed := len(c.unreadable) > 1; names.Unnamed > 0 != unnamed || !unnamed && c.unreadable != nil && !slices.Contains(names.Names, "r") {
				t.Errorf("names: %+v", names)
			}
			list, err := client.Listed(t.Context(), []string{"good", "other", "r"})
			if err != nil || len(list.Rooms) != 1 || len(list.Rooms["good"]) != 1 || list.Rooms["good"][0].SID != "RM_g" {
				t.Errorf("rooms: %+v, %v", list, err)
			}
			var unreadable []string
			for _, name := range []string{"good", "other", "r"} {
				if list.Unreadable[name] {
					unreadable = append(unreadable, name)
				}
			}
			if !slices.Equal(unreadable, c.unreadable) {
				t.Errorf("unreadable %q, want %q", unreadable, c.unreadable)
			}
			if list.Count != 1 || !strings.Contains(list.First, c.words) || strings.Contains(list.First, fixtures.Secret) || len(list.First) > 300 {
				t.Errorf("passed over %d: %s", list.Count, list.First)
			}
		})
	}
}

func TestFaultyParticipants(t *testing.T) {
	good := &livekit.ParticipantInfo{Sid: "PA_g", Identity: "good", State: livekit.ParticipantInfo_ACTIVE}
	active := protowire.AppendVarint(protowire.AppendTag(nil, personState, protowire.VarintType), uint64(livekit.ParticipantInfo_ACTIVE))
	who := slices.Concat(active, textField(personSID, "PA_1"), textField(personIdentity, "i"))
	for _, c := range []struct {
		what      string
		entry     any
		words     string
		protected string // "" means everyone
	}{
		{"no sid", &livekit.ParticipantInfo{Identity: "i", State: livekit.ParticipantInfo_ACTIVE}, "without a sid", ""},
		{"no identity", &livekit.ParticipantInfo{Sid: "PA_1", State: livekit.ParticipantInfo_ACTIVE}, "without an identity", "PA_1"},
		{"a past time", &livekit.ParticipantInfo{Sid: "PA_1", Identity: "i", JoinedAtMs: -1, State: livekit.ParticipantInfo_ACTIVE}, "no time", "PA_1"},
		{"a sid that is not UTF-8", slices.Concat(active, textField(personSID, "\xff"), textField(personIdentity, "i")), "sid", ""},
		{"an identity that is not UTF-8", slices.Concat(active, textField(personSID, "PA_1"), textField(personIdentity, "\xff")), "identity", "PA_1"},
		{"a name that is not UTF-8", slices.Concat(who, textField(personName, "\xff")), "name", "PA_1"},
		{"attributes that do not decode", slices.Concat(who, textField(personAttributes, "\x0a\x7f")), "content", "PA_1"},
		{"an attribute that is not UTF-8", slices.Concat(who, textField(personAttributes, "\x0a\x01\xff")), "attribute", "PA_1"},
		{"broken behind the sid", brokenEntry(who), "does not decode", "PA_1"},
		{"broken before it", brokenEntry(active), "does not decode", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			list, err := listClient(t, wire(t, good, c.entry)).Participants(t.Context(), "r")
			if err != nil || len(list.Active) != 1 || list.Active[0].SID != "PA_g" || list.Waiting != 1 {
				t.Errorf("got %+v, %v", list, err)
			}
			if list.Count != 1 || !strings.Contains(list.First, c.words) {
				t.Errorf("passed over %d: %s", list.Count, list.First)
			}
			if everyone := c.protected == ""; list.Unidentified > 0 != everyone || !everyone && !slices.Equal(list.Protected, []string{c.protected}) {
				t.Errorf("protected %q, unidentified %d", list.Protected, list.Unidentified)
			}
		})
	}
	for _, state := range []livekit.ParticipantInfo_State{livekit.ParticipantInfo_DISCONNECTED, livekit.ParticipantInfo_JOINING} {
		list, err := listClient(t, wire(t, &livekit.ParticipantInfo{State: state})).Participants(t.Context(), "r")
		if err != nil || list.Count+list.Unidentified != 0 || list.Waiting != 1-int(state)/int(livekit.ParticipantInfo_DISCONNECTED) {
			t.Errorf("%v without a sid: %+v, %v", state, list, err)
		}
	}
}

// TestOrderOfInstancesMeansNothing checks that the newest instance by creation time counts, and that equally old ones are all kept.
func TestOrderOfInstancesMeansNothing(t *testing.T) {
	old, young := &livekit.Room{Name: "r", Sid: "RM_1", CreationTimeMs: 1000}, &livekit.Room{Name: "r", Sid: "RM_2", CreationTimeMs: 2000}
	tie := &livekit.Room{Name: "r", Sid: "RM_3", CreationTimeMs: 2000}
	for _, order := range [][]any{{old, young}, {young, old}, {old, young, tie}, {young, tie, old}, {tie, young, old}} {
		list, err := listClient(t, wire(t, order...)).Listed(t.Context(), []string{"r"})
		if err != nil || len(list.Rooms["r"]) != len(order)-1 || list.Rooms["r"][0].CreatedMs != 2000 {
			t.Errorf("%v: %+v, %v", order, list, err)
		}
	}
}

// TestEntriesAreReadAsProtobufReadsThem also checks the field numbers.
func TestEntriesAreReadAsProtobufReadsThem(t *testing.T) {
	room := &livekit.Room{Name: "n", Sid: "RM", CreationTime: 5, CreationTimeMs: 5123, MaxParticipants: 7, Metadata: "m", TurnPassword: fixtures.Secret,
		EmptyTimeout: 1, DepartureTimeout: 2, NumParticipants: 3, EnabledCodecs: []*livekit.Codec{{Mime: "audio/opus"}}, ActiveRecording: true}
	list, err := listClient(t, wire(t, room)).Listed(t.Context(), []string{"n"})
	if diff := cmp.Diff(map[string][]reconcile.RoomInfo{"n": {roomInfo(room)}}, list.Rooms); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	one := &livekit.ParticipantInfo{Sid: "PA", Identity: "i", State: livekit.ParticipantInfo_ACTIVE, Metadata: "m", JoinedAt: 7, JoinedAtMs: 7123, Name: "N",
		Version: 3, Permission: &livekit.ParticipantPermission{Hidden: true, CanPublish: true}, Kind: livekit.ParticipantInfo_SIP,
		Attributes: map[string]string{"a": "b", "": ""}, Tracks: []*livekit.TrackInfo{{Sid: "TR"}}, Region: "r", IsPublisher: true}
	people, err := listClient(t, wire(t, one)).Participants(t.Context(), "n")
	if diff := cmp.Diff([]reconcile.Participant{participant(one)}, people.Active); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
}

// TestUnknownFieldsOfAList uses fields as a newer LiveKit may send them.
func TestUnknownFieldsOfAList(t *testing.T) {
	list := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1<<40)
	list = protowire.AppendFixed32(protowire.AppendTag(list, 3, protowire.Fixed32Type), 1)
	list = protowire.AppendFixed64(protowire.AppendTag(list, 4, protowire.Fixed64Type), 1)
	list = protowire.AppendBytes(protowire.AppendTag(list, 5, protowire.BytesType), bytes.Repeat([]byte{1}, 100_000))
	list = append(list, wire(t, &livekit.Room{Name: "r", Sid: "RM", CreationTime: 1})...)
	names, err := listClient(t, list).ListRooms(t.Context())
	if err != nil || !slices.Equal(names.Names, []string{"r"}) {
		t.Errorf("got %+v, %v", names, err)
	}
}

// roomsWith answers ListRooms as LiveKit does.
func roomsWith(t *testing.T, all []*livekit.Room) http.HandlerFunc {
	byName := map[string]*livekit.Room{}
	for _, r := range all {
		byName[r.Name] = r
	}
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req livekit.ListRoomsRequest
		if err != nil || proto.Unmarshal(body, &req) != nil {
			t.Error("an unreadable request")
		}
		m := &livekit.ListRoomsResponse{Rooms: all}
		if len(req.Names) > 0 {
			m.Rooms = nil
			for _, name := range req.Names {
				m.Rooms = append(m.Rooms, byName[name])
			}
		}
		answer(w, m)
	}
}

// TestLargeLists checks lists that are larger than what is kept. LiveKit's list of rooms has no pages: everything except the names is requested
// by name, in smaller parts when an answer would be too large.
func TestLargeLists(t *testing.T) {
	var all []*livekit.Room
	var want []string
	for i := range 40 { // 80 MB, more than is kept of an answer
		want = append(want, fmt.Sprintf("room-%03d", i))
		all = append(all, &livekit.Room{Name: want[i], Sid: fmt.Sprint("RM_", i), CreationTime: 1, Metadata: strings.Repeat("m", 2<<20)})
	}
	client := bubbleClient(t, roomsWith(t, all), func(o *Options) { o.Timeout = time.Minute }) // the machine may be busy
	names, err := client.ListRooms(t.Context())
	if err != nil || names.Cut || !slices.Equal(names.Names, want) {
		t.Errorf("%d names, cut %v, %v", len(names.Names), names.Cut, err)
	}
	list, err := client.Listed(t.Context(), want)
	if err != nil || len(list.Rooms) != len(want) || len(list.Rooms["room-007"]) != 1 || len(list.Rooms["room-007"][0].Metadata) != 2<<20 {
		t.Errorf("%d rooms, %v", len(list.Rooms), err)
	}
}

// TestAListOfAllRoomsThatIsTooLarge checks that the names that were read are returned, marked as cut.
func TestAListOfAllRoomsThatIsTooLarge(t *testing.T) {
	client := newClient(t, said("Content-Length: 99999999999\r\n\r\n"), nil)
	if names, err := client.ListRooms(t.Context()); err != nil || !names.Cut {
		t.Errorf("got %+v, %v", names, err)
	}
	if _, err := client.Listed(t.Context(), []string{"r"}); err == nil || !strings.Contains(err.Error(), "99999999999 bytes") {
		t.Errorf("got %v", err)
	}
	if _, err := client.Participants(t.Context(), "r"); err == nil {
		t.Error("a room's participants may be cut")
	}
	var list reconcile.RoomNames
	endless := readEntries(io.MultiReader(bytes.NewReader(wire(t, &livekit.Room{Name: "r", Sid: "RM", CreationTime: 1})), &rest{t: t}),
		(&roomNames{list: &list, limit: limit{most: maxKept}}).take)
	if !errors.Is(endless, errTooLarge) || len(list.Names) == 0 {
		t.Errorf("%d names, %v", len(list.Names), endless)
	}
}

// rest is an endless list of rooms, each with another name.
type rest struct {
	t    *testing.T
	n    int
	left []byte
}

func (r *rest) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		r.n++
		r.left = wire(r.t, &livekit.Room{Name: fmt.Sprint("room-", r.n), Sid: "RM", CreationTime: 1})
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// TestLiveKitsOwnNotFound uses LiveKit Cloud's answer for a room that it does not have.
func TestLiveKitsOwnNotFound(t *testing.T) {
	client := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"code":"not_found","msg":"requested room does not exist"}`)
	}, nil)
	if list, err := client.Participants(t.Context(), "r"); err != nil || !list.NoRoom || len(list.Active)+list.Waiting != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
	if list, err := client.Listed(t.Context(), []string{"r"}); err == nil {
		t.Errorf("for a list of rooms it is no answer: %+v", list)
	}
}

// FuzzEntries decodes arbitrary bytes as both lists. The decoder ends, keeps no more than its limit, and reads what protobuf reads.
func FuzzEntries(f *testing.F) {
	f.Add(wire(f, &livekit.Room{Name: "r", Sid: "RM", CreationTime: 1, Metadata: "m"}, &livekit.Room{}))
	f.Add(wire(f, &livekit.ParticipantInfo{Sid: "PA", Identity: "i", State: livekit.ParticipantInfo_ACTIVE, Attributes: map[string]string{"k": "v"}}))
	f.Add(wire(f, brokenEntry(textField(roomName, "r")), textField(roomName, "\xff"), []byte{}))
	f.Add([]byte("\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"))
	f.Add([]byte("\x0b\x0c<html>"))
	f.Fuzz(func(t *testing.T, list []byte) {
		var names reconcile.RoomNames
		if err := readEntries(bytes.NewReader(list), (&roomNames{list: &names, limit: limit{most: 1 << 20}}).take); err != nil {
			return
		}
		var persons reconcile.ParticipantList
		if err := readEntries(bytes.NewReader(list), (&participants{list: &persons, limit: limit{most: 1 << 20}}).take); err != nil {
			t.Fatal("a list of rooms is no list of participants:", err)
		}
		for _, p := range persons.Active {
			if p.SID == "" || p.Identity == "" || p.JoinedAt < 0 {
				t.Fatalf("half a participant: %+v", p)
			}
		}
		var want livekit.ListRoomsResponse
		if proto.Unmarshal(list, &want) != nil {
			return
		}
		if names.Unnamed > 0 {
			t.Fatalf("protobuf reads what is unnamed here: %v", &want)
		}
		var wanted []string
		for _, r := range want.Rooms {
			if r.Name != "" {
				wanted = append(wanted, r.Name)
			}
		}
		if !slices.Equal(names.Names, wanted) {
			t.Fatalf("%q, protobuf reads %q", names.Names, wanted)
		}
	})
}
