package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/client"
)

// What people have reported about LiveKit in production, tried against the real one, or through a proxy that answers like another
// LiveKit.

// TestARoomWithoutAName checks a room without a name, which anyone who may create rooms can create. It must not stop the repair
// of all others.
func TestARoomWithoutAName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{unheard: true})
	w.join(t, "good", who{Identity: "alice"})
	if _, err := w.api.CreateRoom(w.ctx(), &livekit.CreateRoomRequest{}); err != nil {
		t.Fatal(err)
	}
	report := w.sync(client.ActionOptions{})
	if report.Result.Synced != 1 || report.Result.Errors != 0 || report.PassedOver == nil || report.PassedOver.Entries != 1 {
		t.Errorf("%+v, passed over %+v; want the one room examined and one entry passed over", report, report.PassedOver)
	}
	if err := w.hasPresent("good", "alice"); err != nil {
		t.Error(err)
	}
	if err := w.Says("LiveKit lists what cannot be used", "passed_over=1"); err != nil {
		t.Error(err)
	}
}

// TestLiveKitDoesNotKnowTheRoom checks a room whose webhooks were lost, that ListRooms lacks, and for which ListParticipants
// answers a 404 of LiveKit's own, as on Cloud.
func TestLiveKitDoesNotKnowTheRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{unheard: true, proxied: true})
	w.create(t, "stays")
	p := w.spawn(t, "goes", who{Identity: "alice"})
	w.sync(client.ActionOptions{})
	if err := w.hasPresent("goes", "alice"); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	w.delete(t, "goes")
	w.proxy.by(func(method string, _ int64) mood {
		if method == "ListRooms" {
			return honest
		}
		return unknown
	})
	report := w.sync(client.ActionOptions{})
	// The answer for the listed room contradicts the list, so it does not count as a look.
	if report.Result.Cleaned != 1 || report.Result.Errors != 1 || !strings.Contains(report.FirstError, "LiveKit lists the room") {
		t.Errorf("%+v, %s", report.Result, report.FirstError)
	}
	if err := w.lacks("goes"); err != nil {
		t.Error(err)
	}
	if err := w.hasPresent("stays"); err != nil {
		t.Error(err)
	}
}

// TestListsThatLagBehindTheWebhooks serves LiveKit's lists from before a join, and from before a leave, for seconds. Syncs in
// that time contradict neither.
func TestListsThatLagBehindTheWebhooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{proxied: true})
	stays := w.join(t, "r", who{Identity: "alice"})
	w.converges()
	w.sync(client.ActionOptions{})
	for _, c := range []struct {
		what    string
		do      func()
		present []string
	}{
		{"a join", func() { w.join(t, "r", who{Identity: "bob"}) }, []string{"alice", "bob"}},
		{"a leave", func() { stays.Leave() }, []string{"bob"}},
	} {
		w.proxy.is(honest)
		w.sync(client.ActionOptions{}) // the proxy remembers the present state
		w.proxy.is(stale)
		c.do()
		w.awaitPresent("r", c.present...)
		deferred := 0
		for range 3 {
			if _, err := w.client.Sync(w.ctx(), client.ActionOptions{}); err != nil {
				t.Fatal(err)
			}
			deferred += w.status().LastSync.Deferred
			if err := w.hasPresent("r", c.present...); err != nil {
				t.Fatalf("a sync after %s contradicts it: %v", c.what, err)
			}
		}
		if deferred == 0 {
			t.Errorf("%s: no sync met the stale lists", c.what)
		}
		w.proxy.is(honest)
		w.settle()
	}
	w.sync(client.ActionOptions{})
	w.converged()
}

// TestATrackOfAStranger loses the webhook of a join; the participant then publishes a track.
func TestATrackOfAStranger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{unheard: true}) // its sync interval is an hour
	w.create(t, "r")
	w.sync(client.ActionOptions{})
	w.join(t, "r", who{Identity: "alice"})
	room := w.listed("r")
	people, err := w.api.ListParticipants(w.ctx(), &livekit.ListParticipantsRequest{Room: "r"})
	if err != nil || len(people.GetParticipants()) != 1 {
		t.Fatalf("%v, %v", people, err)
	}
	sid := people.GetParticipants()[0].GetSid()
	if err := w.hasPresent("r"); err != nil {
		t.Fatalf("before the track: %v", err)
	}
	w.hook(fmt.Appendf(nil, `{"event":"track_published","id":"EV_t","createdAt":"%d","room":{"sid":%q,"name":"r","creationTime":"%d"},`+
		`"participant":{"sid":%q,"identity":"alice"},"track":{"sid":"TR_1"}}`, time.Now().Unix(), room.GetSid(), room.GetCreationTime(), sid))
	w.awaitPresent("r", "alice")
}

// listed returns a room as LiveKit lists it.
func (w *world) listed(name string) *livekit.Room {
	w.t.Helper()
	list, err := w.api.ListRooms(w.ctx(), &livekit.ListRoomsRequest{Names: []string{name}})
	if err != nil || len(list.GetRooms()) != 1 {
		w.t.Fatalf("%v, %v", list, err)
	}
	return list.GetRooms()[0]
}
