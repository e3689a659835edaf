package livekit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

// server is a LiveKit, fake or real.
type server struct {
	url  string
	join func(t *testing.T, room string, who livekittest.Who)
}

func TestFakeServer(t *testing.T) {
	testServer(t, func(t *testing.T, hook string) server {
		fake := fakelivekit.New(fakelivekit.Options{URLs: []string{hook}})
		t.Cleanup(fake.Close)
		api := httptest.NewServer(fake)
		t.Cleanup(api.Close)
		return server{url: api.URL, join: func(_ *testing.T, room string, who livekittest.Who) { fake.Join(room, who) }}
	})
}

func TestRealServer(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real livekit-server")
	}
	testServer(t, func(t *testing.T, hook string) server {
		real := livekittest.New(t, livekittest.Options{URLs: []string{hook}})
		return server{url: real.URL(), join: func(t *testing.T, room string, who livekittest.Who) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			p, err := real.Join(ctx, room, who)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Leave)
		}}
	})
}

// testServer observes a room by its webhooks and by the API, and checks that both agree.
func testServer(t *testing.T, start func(t *testing.T, hook string) server) {
	inbox := newInbox(t)
	s := start(t, inbox.url)
	client := clientOf(t, s.url, func(o *Options) { o.Key, o.Secret = livekittest.Key, livekittest.Secret })
	const room = "odd {name}*\n\"'"

	if list, err := client.Participants(t.Context(), room); err != nil || len(list.Active)+list.Waiting != 0 {
		t.Errorf("a missing room: %+v, %v", list, err)
	}
	if listed, err := client.Listed(t.Context(), []string{room}); err != nil || len(listed.Rooms) != 0 {
		t.Errorf("a missing room: %v, %v", listed, err)
	}
	s.join(t, room, livekittest.Who{Identity: "ann", Name: "Ann", Metadata: "m", Attributes: map[string]string{"k": "v\n"}})
	s.join(t, room, livekittest.Who{Identity: "spy", Hidden: true})
	s.join(t, room, livekittest.Who{Identity: "bot", Kind: livekit.ParticipantInfo_AGENT})
	s.join(t, room, livekittest.Who{Identity: "tel", Kind: livekit.ParticipantInfo_SIP})

	joined := map[string]reconcile.Participant{}
	var info reconcile.RoomInfo
	for len(joined) < 4 {
		if e := inbox.next(t); e.Kind == reconcile.Joined {
			joined[e.Participant.Identity], info = e.Participant, e.Room
		}
	}
	ann := joined["ann"]
	if ann.Name != "Ann" || ann.Metadata != "m" || ann.Attributes["k"] != "v\n" || ann.Kind != "STANDARD" || ann.Hidden ||
		time.Since(time.UnixMilli(ann.JoinedAt)).Abs() > time.Minute {
		t.Errorf("ann joined as %+v", ann)
	}
	if !joined["spy"].Hidden || joined["bot"].Kind != "AGENT" || joined["tel"].Kind != "SIP" {
		t.Errorf("joined: %+v", joined)
	}
	compareLists(t, client, room, info, joined)
	refuses(t, s.url, room)
}

func compareLists(t *testing.T, client *Client, room string, info reconcile.RoomInfo, joined map[string]reconcile.Participant) {
	t.Helper()
	list, err := client.Participants(t.Context(), room)
	if err != nil || list.Waiting != 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	polled := map[string]reconcile.Participant{}
	for _, p := range list.Active {
		if p.Version < joined[p.Identity].Version {
			t.Errorf("%q went from version %d to %d", p.Identity, joined[p.Identity].Version, p.Version)
		}
		p.Version = joined[p.Identity].Version
		polled[p.Identity] = p
	}
	if diff := cmp.Diff(joined, polled); diff != "" {
		t.Errorf("-webhooks +API\n%s", diff)
	}
	listed, err := client.Listed(t.Context(), []string{room, "no such room"})
	if err != nil || len(listed.Rooms) != 1 || !cmp.Equal(listed.Rooms[room], []reconcile.RoomInfo{info}) {
		t.Errorf("listed %+v, %v; the webhooks said %+v", listed, err, info)
	}
	all, err := client.ListRooms(t.Context())
	if err != nil || !slices.Contains(all.Names, room) {
		t.Errorf("all: %+v, %v", all, err)
	}
	if strings.Contains(fmt.Sprintf("%+v %+v", all, listed), "urnPassword") {
		t.Errorf("a room with its password: %+v", all)
	}
}

func refuses(t *testing.T, url, room string) {
	t.Helper()
	for _, keys := range [][2]string{{livekittest.Key, strings.Repeat("wrong", 8)}, {"stranger", livekittest.Secret}} {
		client := clientOf(t, url, func(o *Options) { o.Key, o.Secret = keys[0], keys[1] })
		if rooms, err := client.ListRooms(t.Context()); !errors.Is(err, reconcile.ErrRefused) || rooms.Names != nil || strings.Contains(err.Error(), keys[1]) {
			t.Errorf("ListRooms with a wrong key: %v, %v", rooms, err)
		}
		if list, err := client.Participants(t.Context(), room); !errors.Is(err, reconcile.ErrRefused) || list.Active != nil {
			t.Errorf("ListParticipants with a wrong key: %v, %v", list, err)
		}
	}
}

// inbox receives webhooks and verifies them.
type inbox struct {
	url    string
	events chan reconcile.Event
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	verifier, err := NewVerifier(map[string]string{livekittest.Key: livekittest.Secret})
	if err != nil {
		t.Fatal(err)
	}
	in := &inbox{events: make(chan reconcile.Event, 100)}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		e, known, err := verifier.Verify(body, r.Header.Get("Authorization"), time.Now())
		if err != nil || !known {
			t.Errorf("a webhook: known %v, %v", known, err)
			return
		}
		select {
		case in.events <- e:
		default: // nobody reads any more at the end of the test
		}
	}))
	t.Cleanup(hook.Close)
	in.url = hook.URL
	return in
}

func (in *inbox) next(t *testing.T) reconcile.Event {
	t.Helper()
	select {
	case e := <-in.events:
		return e
	case <-time.After(30 * time.Second):
		t.Fatal("no webhook within 30 s")
		return reconcile.Event{}
	}
}

// TestBusIsDown answers as enable_psrpc_for_get_list_participants does for a room whose node does not answer, even a missing room.
func TestBusIsDown(t *testing.T) {
	fake := fakelivekit.New(fakelivekit.Options{})
	t.Cleanup(fake.Close)
	fake.SetAPIFault(func(c fakelivekit.Call) fakelivekit.APIFault {
		if c.Method == "ListParticipants" {
			return fakelivekit.APIFault{Code: twirp.Unavailable}
		}
		return fakelivekit.APIFault{}
	})
	fake.Join("r", livekittest.Who{Identity: "a"})
	var mu sync.Mutex
	var seen []Outcome
	client := clientOf(t, "livekit.test", func(o *Options) {
		o.Key, o.Secret, o.Transport = livekittest.Key, livekittest.Secret, fakelivekit.InProcess(fake)
		o.Observe = func(r Request) { mu.Lock(); defer mu.Unlock(); seen = append(seen, r.Outcome) }
	})
	if list, err := client.Participants(t.Context(), "r"); !errors.Is(err, reconcile.ErrNoAnswer) || list.Active != nil {
		t.Errorf("got %+v, %v", list, err)
	}
	if rooms, err := client.ListRooms(t.Context()); err != nil || len(rooms.Names) != 1 {
		t.Errorf("got %v, %v", rooms, err)
	}
	if !slices.Equal(seen, []Outcome{Unavailable, OK}) {
		t.Errorf("outcomes %v", seen)
	}
}

// TestRoomWithoutAName creates a room without a name, which a CreateRoom without one does. LiveKit lists it.
func TestRoomWithoutAName(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		fake := fakelivekit.New(fakelivekit.Options{})
		t.Cleanup(fake.Close)
		api := httptest.NewServer(fake)
		t.Cleanup(api.Close)
		testNameless(t, api.URL)
	})
	t.Run("real", func(t *testing.T) {
		if testing.Short() {
			t.Skip("needs a real livekit-server")
		}
		testNameless(t, livekittest.New(t, livekittest.Options{}).URL())
	})
}

func testNameless(t *testing.T, url string) {
	client := clientOf(t, url, func(o *Options) { o.Key, o.Secret = livekittest.Key, livekittest.Secret })
	for _, name := range []string{"", "named"} {
		token, err := auth.NewAccessToken(livekittest.Key, livekittest.Secret).SetVideoGrant(&auth.VideoGrant{RoomCreate: true}).ToJWT()
		if err != nil {
			t.Fatal(err)
		}
		ctx, err := twirp.WithHTTPRequestHeaders(t.Context(), http.Header{"Authorization": {"Bearer " + token}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := livekit.NewRoomServiceProtobufClient(url, http.DefaultClient).CreateRoom(ctx, &livekit.CreateRoomRequest{Name: name}); err != nil {
			t.Fatalf("create the room %q: %v", name, err)
		}
	}
	names, err := client.ListRooms(t.Context())
	if err != nil || !slices.Equal(names.Names, []string{"named"}) || names.Unnamed != 0 || names.Count != 1 || !strings.Contains(names.First, "without a name") {
		t.Errorf("got %+v, %v", names, err)
	}
}

// TestNoAnswerForARoom uses LiveKit's own unavailable for a room that it does not have, when ListParticipants asks the room's node.
func TestNoAnswerForARoom(t *testing.T) {
	ask := func(t *testing.T, url string) {
		client := clientOf(t, url, func(o *Options) { o.Key, o.Secret = livekittest.Key, livekittest.Secret })
		if list, err := client.Participants(t.Context(), "gone"); !errors.Is(err, reconcile.ErrNoAnswer) || list.NoRoom {
			t.Errorf("got %+v, %v", list, err)
		}
	}
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		fake := fakelivekit.New(fakelivekit.Options{NoRoom: twirp.Unavailable})
		t.Cleanup(fake.Close)
		api := httptest.NewServer(fake)
		t.Cleanup(api.Close)
		ask(t, api.URL)
	})
	t.Run("real", func(t *testing.T) {
		if testing.Short() {
			t.Skip("needs a real livekit-server")
		}
		t.Parallel()
		ask(t, livekittest.New(t, livekittest.Options{AskNodes: true}).URL())
	})
}
