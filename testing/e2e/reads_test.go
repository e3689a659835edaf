package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// TestCheckMatch checks the counts of the application's keys, by their types, and of rooms.
func TestCheckMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{kinds: []string{"STANDARD", "AGENT"}, flags: []string{"--count-kinds=standard,agent"}})
	w.join(t, "one", who{Identity: "alice"})
	w.join(t, "one", who{Identity: "robot", Kind: livekit.ParticipantInfo_AGENT})
	w.join(t, "one", who{Identity: "phone", Kind: livekit.ParticipantInfo_SIP})
	w.create(t, "two")
	w.awaitPresent("one", "alice", "robot")
	w.converges()

	f := w.fields(w.request(http.MethodGet, "/api/check-match", nil, nil))
	wants(t, f, 3.0, "activeMatchesCount")
	wants(t, f, 2.0, "matchingQueueSize")
	wants(t, f, 2.0, "roomParticipantsCount")
	wants(t, f, 2.0, "roomStatesCount")
	wants(t, f, true, "syncServiceRunning")
	if got := fmt.Sprint(f["roomParticipants"]); got != "map[one:[alice robot] two:[]]" {
		t.Errorf("roomParticipants is %s", got)
	}
	raw, _ := json.Marshal(f["roomStates"].(map[string]any)["one"])
	if s, err := oracle.ParseState(string(raw)); err != nil || s.RoomName != "one" || len(s.Participants) != 3 {
		t.Errorf("roomStates of one is %s: %v", raw, err)
	}
	page := w.fields(w.request(http.MethodGet, "/api/check-match?limit=1", nil, nil))
	wants(t, page, 2.0, "roomStatesCount")
	if states, _ := page["roomStates"].(map[string]any); len(states) != 1 {
		t.Errorf("limit=1 gives %v", states)
	}

	c := w.redis.Client()
	for _, k := range []struct {
		put  func(key string)
		want float64
	}{
		{func(key string) { c.Set(w.ctx(), key, `["a",{"b":1},3,4]`, 0) }, 4},
		{func(key string) { c.Set(w.ctx(), key, "no array", 0) }, 0},
		{func(key string) { c.HSet(w.ctx(), key, "a", 1, "b", 2) }, 2},
		{func(key string) { c.RPush(w.ctx(), key, "a", "b", "c") }, 3},
		{func(key string) { c.SAdd(w.ctx(), key, "a") }, 1},
		{func(string) {}, 0},
	} {
		for key, field := range map[string]string{"matching:active": "activeMatchesCount", "matching:queue": "matchingQueueSize"} {
			c.Del(w.ctx(), key)
			k.put(key)
			wants(t, w.fields(w.request(http.MethodGet, "/api/check-match", nil, nil)), k.want, field)
		}
	}
	w.seedAgain()
}

// TestRooms lists and shows rooms with all kinds of names.
func TestRooms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	names := []string{"plain", "a/b", "../up", "per%cent", "sp ace", "q?x=1&y#z", "née 👩", "br{ac}es*", "line\nbreak", "nul\x00", ".."}
	for _, name := range names {
		w.create(t, name)
	}
	w.join(t, "a/b", who{Identity: "alice"})
	w.converges()

	for _, name := range names {
		want := w.redis.Client().Get(w.ctx(), oracle.StatesKey+name).Val()
		for _, path := range []string{"/api/rooms?name=" + url.QueryEscape(name), "/api/rooms/" + url.PathEscape(name)} {
			if name == ".." && path[len("/api/rooms")] == '/' {
				continue // HTTP clients clean such a path: that is what ?name= is for
			}
			if a := w.request(http.MethodGet, path, nil, nil); a.status != http.StatusOK || string(a.body) != want {
				t.Errorf("%s of room %q: %d %s, want %s", path, name, a.status, a.body, want)
			}
		}
		if r, err := w.client.Room(w.ctx(), name); err != nil || r.RoomName != name {
			t.Errorf("the client's room %q: %+v %v", name, r, err)
		}
	}
	for _, path := range []string{"/api/rooms/none", "/api/rooms?name=none"} {
		if a := w.request(http.MethodGet, path, nil, nil); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	w.lists(names)
}

// lists reads the list in pages of every size.
func (w *world) lists(names []string) {
	t := w.t
	t.Helper()
	slices.Sort(names)
	for _, size := range []int{1, 3, 100} {
		var got []string
		for room, err := range w.client.Rooms(w.ctx(), client.RoomsQuery{PageSize: size}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, room.RoomName)
			if want := map[string]int{"a/b": 1}[room.RoomName]; room.ParticipantCount != want || room.CreatedAt < time.Now().Add(-time.Hour).UnixMilli() {
				t.Errorf("%+v, want %d participants", room, want)
			}
		}
		if slices.Sort(got); !slices.Equal(got, names) {
			t.Errorf("pages of %d: %s", size, gocmp.Diff(names, got))
		}
	}
	for search, want := range map[string]int{"a": 5, "NUL": 1, "*": 1, "👩": 1, "zzz": 0} {
		f := w.fields(w.request(http.MethodGet, "/api/rooms?search="+url.QueryEscape(search), nil, nil))
		if rooms, ok := f["rooms"].([]any); !ok || len(rooms) != want {
			t.Errorf("search %q: %v, want %d rooms", search, f["rooms"], want)
		}
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "cursor=%21", "cursor=AAAA"} {
		if a := w.request(http.MethodGet, "/api/rooms?"+query, nil, nil); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}
