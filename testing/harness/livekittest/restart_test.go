package livekittest_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// restartable is a LiveKit that can be killed and started again.
type restartable struct {
	*target
	restart func(t *testing.T)
	rejoin  func(room string, who livekittest.Who) (sid string, err error)
	stop    func()
}

func TestFakeRestart(t *testing.T) {
	t.Parallel()
	restarts(t, func(t *testing.T, keep bool) *restartable {
		tg, hook := newTarget(t)
		fake := fakelivekit.New(fakelivekit.Options{URLs: []string{hook}})
		t.Cleanup(fake.Close)
		server := httptest.NewServer(fake)
		t.Cleanup(server.Close)
		tg.connect(server.URL)
		return &restartable{
			target: tg,
			restart: func(*testing.T) {
				fake.Crash()
				fake.Start(keep)
			},
			rejoin: func(room string, who livekittest.Who) (string, error) { return fake.Join(room, who), nil },
			stop:   func() { fake.Shutdown(time.Second) },
		}
	})
}

func TestRealRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real livekit-server")
	}
	t.Parallel()
	restarts(t, func(t *testing.T, keep bool) *restartable {
		tg, hook := newTarget(t)
		opts := livekittest.Options{URLs: []string{hook}}
		if keep {
			opts.Redis = redistest.Start(t).Addr
		}
		server := livekittest.New(t, opts)
		tg.connect(server.URL())
		var clients []*livekittest.Process
		return &restartable{
			target: tg,
			restart: func(t *testing.T) {
				for _, p := range clients { // otherwise they would reconnect by themselves
					p.Kill()
				}
				server.Kill()
				if err := server.Restart(deadline(t)); err != nil {
					t.Fatal(err)
				}
			},
			rejoin: func(room string, who livekittest.Who) (string, error) {
				p, err := server.Spawn(deadline(t), room, who)
				if err != nil {
					return "", err
				}
				t.Cleanup(p.Kill)
				clients = append(clients, p)
				return p.Sid(), nil
			},
			stop: server.Stop,
		}
	})
}

func restarts(t *testing.T, make func(t *testing.T, keep bool) *restartable) {
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		testRestartInMemory(t, make(t, false))
	})
	t.Run("with a store", func(t *testing.T) {
		t.Parallel()
		testRestartWithStore(t, make(t, true))
	})
}

// testRestartInMemory checks that a kill sends nothing and loses everything, and that a stop reports everyone's leave, as far as
// the server gets to it.
func testRestartInMemory(t *testing.T, tg *restartable) {
	old := tg.mustRejoin(t, "r", who{Identity: "a"})
	tg.await(t, "r", "participant_joined", 1)
	tg.restart(t)
	if rooms := tg.rooms(t); len(rooms) != 0 {
		t.Errorf("a server without a store kept %v", rooms)
	}
	tg.mustRejoin(t, "r", who{Identity: "b"})
	got := tg.await(t, "r", "room_started", 2)
	got = tg.receiver.Deliveries("r")[:len(got)]
	if slices.ContainsFunc(got, func(d fakelivekit.Delivery) bool { return d.Event.Event == "participant_left" }) {
		t.Errorf("a killed server reported %q's leave: %v", old, fakelivekit.Names(got))
	}
	if first, second := got[0].Event.Room.Sid, got[len(got)-1].Event.Room.Sid; first == second {
		t.Error("the room has its old sid")
	}
	tg.await(t, "r", "participant_joined", 2)
	tg.stop()
	// A server that shuts down may lose webhooks that it has not sent. Those that it did send must be correct.
	for _, d := range tg.receiver.Deliveries("r") {
		if d.Event.Event == "participant_left" && d.Event.Participant.DisconnectReason != livekit.DisconnectReason_SERVER_SHUTDOWN {
			t.Errorf("left for %v", d.Event.Participant.DisconnectReason)
		}
	}
}

// testRestartWithStore checks that the room is there again with its sid and that its participant is a phantom. The next join
// starts the room again.
func testRestartWithStore(t *testing.T, tg *restartable) {
	old := tg.mustRejoin(t, "r", who{Identity: "a"})
	tg.await(t, "r", "participant_joined", 1)
	before := tg.rooms(t, "r")[0]
	tg.restart(t)
	rooms, people := tg.rooms(t, "r"), tg.participants(t, "r")
	if len(rooms) != 1 || rooms[0].Sid != before.Sid {
		t.Fatalf("the store has %v, want sid %s", rooms, before.Sid)
	}
	if len(people) != 1 || people[0].Sid != old || people[0].State != livekit.ParticipantInfo_ACTIVE {
		t.Errorf("the store has %v, want the phantom %s", people, old)
	}
	tg.mustRejoin(t, "r", who{Identity: "b"})
	got := tg.await(t, "r", "participant_joined", 2)
	for _, d := range got {
		if d.Event.Event == "participant_left" || d.Event.Room.Sid != before.Sid {
			t.Errorf("%s of room %s, want no one to leave %s", d.Event.Event, d.Event.Room.Sid, before.Sid)
		}
	}
	if n := countOf(got, "room_started"); n < 2 {
		t.Errorf("room_started came %d times, want it again", n)
	}
}

// mustRejoin joins until it succeeds: for 30 s a server with a store sends clients to its dead predecessor. Each try uses another
// identity, because the server may know of a client that gave up, and the same identity would make that client leave.
func (tg *restartable) mustRejoin(t *testing.T, room string, who livekittest.Who) string {
	t.Helper()
	sid, base, try := "", who.Identity, 0
	eventually.True(t, "a join", func() bool {
		if try++; try > 1 {
			who.Identity = fmt.Sprintf("%s-%d", base, try)
		}
		var err error
		sid, err = tg.rejoin(room, who)
		return err == nil
	})
	return sid
}
