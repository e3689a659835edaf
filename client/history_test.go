package client

import (
	"net/http"
	"testing"
)

// TestHistoryPaths checks that each request goes where docs/api.md says, and that its answer is decoded.
func TestHistoryPaths(t *testing.T) {
	var asked string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RequestURI()
		_, _ = w.Write([]byte(`{"room":"r","listed":true,"waiting":2,"participants":[{"identity":"ada"}],"totals":{"ghost":3},"intervalMs":10000,` +
			`"entries":[{"identity":"ada","reason":"ghost"}],"points":[{"time":5,"convergeMs":7}]}`))
	})
	is := func(want string, err error, ok bool) {
		t.Helper()
		if asked != want || err != nil || !ok {
			t.Errorf("it asked for %s, want %s; %v, the answer is right: %v", asked, want, err, ok)
		}
	}
	line, err := c.Timeline(t.Context(), "r", 0)
	is("/api/rooms/r/timeline", err, len(line) == 1 && line[0].Identity == "ada")
	line, err = c.Timeline(t.Context(), "a/b", 7)
	is("/api/rooms/timeline?name=a%2Fb&limit=7", err, len(line) == 1)
	room, err := c.LiveKitRoom(t.Context(), "é?")
	is("/api/rooms/%C3%A9%3F/livekit", err, room.Listed && room.Waiting == 2 && len(room.Participants) == 1)
	_, err = c.LiveKitRoom(t.Context(), "..")
	is("/api/rooms/livekit?name=..", err, true)
	drift, err := c.Drift(t.Context(), DriftQuery{})
	is("/api/drift", err, drift.Totals["ghost"] == 3 && drift.Entries[0].Reason == "ghost")
	_, err = c.Drift(t.Context(), DriftQuery{Room: "a b", Reason: "missed join", Limit: 2})
	is("/api/drift?limit=2&reason=missed+join&room=a+b", err, true)
	stats, err := c.Stats(t.Context())
	is("/api/stats", err, stats.Points[0].ConvergeMs == 7)
}

func TestLiveRooms(t *testing.T) {
	if n := (Member{Rooms: 7, Occupancy: &Occupancy{Rooms: 5}}).LiveRooms(); n != 5 {
		t.Errorf("%d rooms are live, want those of the occupancy", n)
	}
	if n := (Member{Rooms: 7}).LiveRooms(); n != 7 {
		t.Errorf("%d rooms of an older node, want those in memory", n)
	}
}
