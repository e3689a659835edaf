package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/livekit/protocol/auth"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/openapitest"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// TestDriftIsSeen checks that changes whose webhooks were lost show up with their reasons once a sync has repaired them, and that
// a dry run gives the same reasons beforehand.
func TestDriftIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{unheard: true})
	alice := w.join(t, "r", who{Identity: "alice"})
	w.join(t, "r", who{Identity: "bob"})
	w.repairs("r", "participant_joined alice missed join", "participant_joined bob missed join", "room_started  unseen room")
	alice.Leave()
	w.shows(t, "alice left", func(v oracle.View) bool { return len(v.Roster) == 1 }, "r")
	w.rename(t, "r", "bob", "new")
	w.repairs("r", "participant_left alice missed leave", "participant_updated bob stale metadata")

	drift, err := w.client.Drift(w.ctx(), client.DriftQuery{Room: "r", Reason: "missed leave"})
	if err != nil || len(drift.Entries) != 1 || drift.Totals["missed join"] != 2 || drift.Totals["unseen room"] != 1 {
		t.Errorf("the missed leaves of r: %+v, %v", drift, err)
	}
	metrics := string(w.request(http.MethodGet, "/metrics", nil, nil).body)
	for _, want := range []string{`rollcall_drift_total{reason="missed join"} 2`, `rollcall_converge_seconds_count{cause="sync"}`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}

// repairs runs a sync, first dry and then for real. Both must report these changes, as "change identity reason".
func (w *world) repairs(room string, want ...string) {
	w.t.Helper()
	dry, err := w.client.Sync(w.ctx(), client.ActionOptions{DryRun: true})
	if err != nil {
		w.t.Fatal(err)
	}
	var would []string
	for _, c := range dry.WouldChange {
		would = append(would, c.Change+" "+c.Identity+" "+c.Reason)
	}
	if slices.Sort(would); !slices.Equal(would, want) {
		w.t.Errorf("a dry run would change %q, want %q", would, want)
	}
	before, err := w.client.Drift(w.ctx(), client.DriftQuery{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	w.sync(client.ActionOptions{})
	w.converged()
	eventually.Nil(w.t, patience, "the repairs are listed", func() error {
		drift, err := w.client.Drift(w.ctx(), client.DriftQuery{Limit: 1000})
		if err == nil && len(drift.Entries) != len(before.Entries)+len(want) {
			err = fmt.Errorf("%+v", drift.Entries)
		}
		for _, e := range drift.Entries[:max(0, len(drift.Entries)-len(before.Entries))] {
			if e.Room != room || e.Cause != "sync" || e.Node != "n1" || !slices.ContainsFunc(want, func(s string) bool { return strings.HasSuffix(s, " "+e.Identity+" "+e.Reason) }) {
				w.t.Errorf("a repair of %+v", e)
			}
		}
		return err
	})
	line, err := w.client.Timeline(w.ctx(), room, len(want))
	if err != nil {
		w.t.Fatal(err)
	}
	var told []string
	for _, e := range line {
		told = append(told, e.Type+" "+e.Identity+" "+e.Reason)
	}
	if slices.Sort(told); !slices.Equal(told, want) {
		w.t.Errorf("the timeline has %q, want %q", told, want)
	}
}

// TestTimeline checks that a timeline shows the causes of a room's changes: webhooks by their ids, a sync by its reason.
func TestTimeline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	const room = "a/b"
	w.create(t, room)
	p := w.join(t, room, who{Identity: "alice"})
	w.awaitPresent(room, "alice")
	w.rename(t, room, "alice", "no webhook tells")
	w.sync(client.ActionOptions{})
	w.converged()
	line, err := w.client.Timeline(w.ctx(), room, 0)
	if err != nil || len(line) != 3 {
		t.Fatalf("%+v, %v", line, err)
	}
	for i, want := range []client.TimelineEntry{
		{Type: "participant_updated", Identity: "alice", SID: p.Sid(), Cause: "sync", Reason: "stale metadata", Version: line[0].Version},
		{Type: "participant_joined", Identity: "alice", SID: p.Sid(), Cause: "webhook", Event: line[1].Event, Version: line[1].Version},
		{Type: "room_started", SID: line[2].SID, Cause: "webhook", Event: line[2].Event, Version: line[2].Version},
	} {
		got := line[i]
		want.Time, want.Gen, want.Epoch, want.Owner = got.Time, got.Gen, got.Epoch, "n1"
		if got != want || (got.Cause == "webhook") != strings.HasPrefix(got.Event, "EV_") || got.Gen == 0 || got.Epoch == 0 || i > 0 && got.Version >= line[i-1].Version {
			t.Errorf("entry %d is %+v, want %+v", i, got, want)
		}
	}
	there, err := w.client.LiveKitRoom(w.ctx(), room)
	if err != nil || !there.Listed || len(there.Participants) != 1 || there.Participants[0].Metadata != "no webhook tells" || there.Metadata != "about a/b" {
		t.Errorf("in LiveKit it is %+v, %v", there, err)
	}
	p.Leave() // otherwise she could come back during the last sync
	w.awaitPresent(room)
	w.livekit.Kill()
	if a := w.request(http.MethodGet, "/api/rooms/livekit?name=a%2Fb", nil, nil); a.status != http.StatusServiceUnavailable {
		t.Errorf("with LiveKit down: %d %s", a.status, a.body)
	}
	if err := w.livekit.Restart(w.ctx()); err != nil {
		t.Fatal(err)
	}
	w.sync(client.ActionOptions{})
	w.converged()
}

// events follows the stream in the background until the test ends.
func (w *world) events(c *client.Client, q client.EventsQuery) <-chan client.Event {
	ctx, cancel := context.WithCancel(context.Background())
	seen := make(chan client.Event, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e, err := range c.Events(ctx, q) {
			if err == nil {
				seen <- e
			}
		}
	}()
	w.t.Cleanup(func() {
		cancel()
		<-ended
	})
	return seen
}

// waits returns the first wanted event.
func (w *world) waits(events <-chan client.Event, what string, wanted func(client.Event) bool) client.Event {
	w.t.Helper()
	ctx := w.ctx()
	for {
		select {
		case e := <-events:
			if wanted(e) {
				return e
			}
		case <-ctx.Done():
			w.t.Fatalf("no event comes: %s", what)
		}
	}
}

func joins(room, identity string) func(client.Event) bool {
	return func(e client.Event) bool {
		return e.Change != nil && e.Change.Room == room && e.Change.Identity == identity && e.Change.Type == "participant_joined"
	}
}

// TestEvents checks that a watcher sees joins, syncs and the service switch, also across a restart of the node, and that a
// moderator sees the changes of his room.
func TestEvents(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"feed": nil, "no feed": {"--change-feed=false"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{flags: flags, noFeed: flags != nil})
			w.create(t, "mine")
			w.create(t, "other")
			all := w.events(w.client, client.EventsQuery{})
			w.waits(all, "the leader", func(e client.Event) bool { return e.Leader != nil && e.Leader.Leader == "n1" })
			w.waits(all, "the switch", func(e client.Event) bool { return e.Service != nil && e.Service.Running })
			moderator, err := client.New(w.URL(), client.WithToken(token(t, livekittest.Secret, auth.VideoGrant{RoomAdmin: true, Room: "mine"})))
			if err != nil {
				t.Fatal(err)
			}
			mine := w.events(moderator, client.EventsQuery{Room: "mine"})
			w.waits(mine, "the stream", func(e client.Event) bool { return e.Connected })
			w.join(t, "other", who{Identity: "bob"})
			w.join(t, "mine", who{Identity: "alice"})
			w.waits(all, "bob joins", joins("other", "bob"))
			e := w.waits(mine, "alice joins", func(e client.Event) bool {
				if e.Change == nil || e.Change.Room != "mine" {
					t.Errorf("a moderator sees %+v", e)
				}
				return joins("mine", "alice")(e)
			})
			if e.ID == "" || e.Change.Cause != "webhook" || !strings.Contains(string(e.Change.Data), `"identity":"alice"`) {
				t.Errorf("alice's join is %+v", e)
			}
			w.sync(client.ActionOptions{})
			w.waits(all, "the sync", func(e client.Event) bool { return e.Sync != nil })
			w.Terminate()
			w.Up()
			w.waits(mine, "the stream again", func(e client.Event) bool { return e.Connected })
			w.join(t, "mine", who{Identity: "carol"})
			w.waits(all, "carol joins", joins("mine", "carol"))
			w.waits(mine, "carol joins", joins("mine", "carol"))
		})
	}
}

// TestOpenAPI checks the answers of a real node, with rooms and repairs, against its own description.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.join(t, "r", who{Identity: "alice", Attributes: map[string]string{"k": "v"}})
	w.create(t, "s")
	w.converges()
	w.rename(t, "r", "alice", "new")
	spec := openapitest.Read(t, w.request(http.MethodGet, "/openapi.yaml", nil, nil).body)
	check := func(method, target, body string) {
		t.Helper()
		a := w.request(method, target, []byte(body), http.Header{"Content-Type": {"application/json"}})
		spec.Check(t, method, target, a.status, a.header, a.body)
		if a.status != http.StatusOK {
			t.Errorf("%s %s: %d %s", method, target, a.status, a.body)
		}
	}
	for _, body := range []string{`{"action":"sync","dryRun":true}`, `{"action":"sync"}`, `{"action":"cleanup"}`, `{"action":"full-sync"}`, `{"action":"start-service"}`} {
		check(http.MethodPost, "/api/sync-rooms", body)
	}
	eventually.Nil(t, patience, "a repair is listed", func() error {
		drift, err := w.client.Drift(w.ctx(), client.DriftQuery{})
		if err == nil && len(drift.Entries) == 0 {
			err = fmt.Errorf("none")
		}
		return err
	})
	for path, methods := range spec.Methods {
		if !slices.Contains(methods, http.MethodGet) || path == "/api/events" {
			continue
		}
		check(http.MethodGet, strings.ReplaceAll(path, "{room}", "r"), "")
	}
	var served []string
	index := w.request(http.MethodGet, "/", nil, http.Header{"Accept": {"application/json"}})
	spec.Check(t, http.MethodGet, "/", index.status, index.header, index.body)
	for _, path := range w.fields(index)["endpoints"].([]any) {
		if path == "/{file}" {
			continue // belongs to the page
		}
		served = append(served, path.(string))
		if spec.Methods[path.(string)] == nil {
			t.Errorf("%s is served and not described", path)
		}
	}
	if len(served) != len(spec.Methods) {
		t.Errorf("served are %q, described %d", served, len(spec.Methods))
	}
}
