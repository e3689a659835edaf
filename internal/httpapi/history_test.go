package httpapi

import (
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

func TestTimeline(t *testing.T) {
	n := &node{timeline: []reconcile.TimelineEntry{{Time: 1795399866530, Type: reconcile.ParticipantJoined, Identity: "ada", SID: "PA_x",
		Cause: reconcile.ByWebhook, Event: "EV_x", Gen: 1, Epoch: 12, Version: 7, Owner: "n1"}, {Reason: reconcile.MissedJoin}}}
	r := newRig(t, n, nil)
	const entry = `{"time":1795399866530,"type":"participant_joined","identity":"ada","sid":"PA_x","cause":"webhook","reason":"","event":"EV_x",` +
		`"gen":1,"epoch":12,"version":7,"owner":"n1"}`
	const other = `{"time":0,"type":"","identity":"","sid":"","cause":"","reason":"missed join","event":"","gen":0,"epoch":0,"version":0,"owner":""}`
	for path, body := range map[string]string{
		"/api/rooms/a%2Fb/timeline":              `{"room":"a/b","entries":[` + entry + "," + other + `]}`,
		"/api/rooms/timeline?name=a/b&limit=1":   `{"room":"a/b","entries":[` + entry + `]}`,
		"/api/rooms/timeline/timeline?limit=1":   `{"room":"timeline","entries":[` + entry + `]}`,
		"/api/rooms/x/timeline?name=no&limit=1":  `{"room":"x","entries":[` + entry + `]}`,
		"/api/rooms/%2E%2E/timeline?limit=1":     `{"room":"..","entries":[` + entry + `]}`,
		"/api/rooms/timeline?name=.%0a&limit=1":  `{"room":".\n","entries":[` + entry + `]}`,
		"/api/rooms/timeline%2Ftimeline":         ``,
		"/api/rooms/timeline":                    ``,
		"/api/rooms/timeline?name=&limit=1":      `{"error":"name must not be empty"}`,
		"/api/rooms/x/timeline?limit=1001":       `{"error":"limit must be a number from 1 to 1000"}`,
		"/api/rooms/x/timeline?limit=0":          `{"error":"limit must be a number from 1 to 1000"}`,
		"/api/rooms/%zz/timeline":                ``,
		"/api/rooms/{room}/timeline?limit=1":     `{"room":"{room}","entries":[` + entry + `]}`,
		"/api/rooms/%7Broom%7D/livekit/timeline": `{"error":"No such endpoint; GET /openapi.yaml describes all of them"}`,
	} {
		status := http.StatusOK
		switch {
		case body == "":
			status, body = http.StatusNotFound, `{"error":"No such room now"}` // a room of that name, which does not exist
			if path == "/api/rooms/%zz/timeline" {
				continue // net/http refuses it
			}
		case body == `{"error":"No such endpoint; GET /openapi.yaml describes all of them"}`:
			status = http.StatusNotFound
		case body[:8] == `{"error"`:
			status = http.StatusBadRequest
		}
		want(t, r.ask("GET", path, ""), status, body)
	}
	want(t, newRig(t, &node{}, nil).ask("GET", "/api/rooms/x/timeline", ""), 200, `{"room":"x","entries":[]}`)
	n.readErr = errSecret
	want(t, r.ask("GET", "/api/rooms/x/timeline", ""), 503, `{"error":"Redis cannot be read now; try again shortly"}`)
}

// FuzzTimelineNames checks that both ways to write a name find that room, whatever the name.
func FuzzTimelineNames(f *testing.F) {
	for _, name := range []string{"a", "a/b", "..", "timeline", "x/timeline", "%2F", "\x00", "livekit", "?name=b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" {
			return
		}
		r := newRig(t, &node{}, nil)
		var c call
		for _, target := range []string{"/api/rooms/" + url.PathEscape(name) + "/timeline", "/api/rooms/timeline?name=" + url.QueryEscape(name)} {
			u, err := url.Parse("http://localhost" + target)
			if err != nil {
				t.Fatal(err)
			}
			c = call{r: &http.Request{Method: "GET", URL: u}, query: u.Query()}
			if err := r.api.routes.find(&c); err != nil || c.room != name || c.pattern() != "/api/rooms/{room}/timeline" {
				t.Errorf("%s finds %q of room %q: %v", target, c.pattern(), c.room, err)
			}
		}
	})
}

func TestDrift(t *testing.T) {
	n := &node{}
	for i, reason := range []reconcile.Reason{reconcile.Ghost, reconcile.MissedJoin, reconcile.Ghost} {
		n.drift = append(n.drift, reconcile.DriftEntry{Time: int64(30 - i), Room: string("abc"[i]), Reason: reason, Identity: "ada", SID: "PA_x",
			Cause: reconcile.BySync, Node: "n1"})
	}
	r := newRig(t, n, nil)
	entry := []string{`{"time":30,"room":"a","reason":"ghost","identity":"ada","sid":"PA_x","cause":"sync","node":"n1"}`,
		`{"time":29,"room":"b","reason":"missed join","identity":"ada","sid":"PA_x","cause":"sync","node":"n1"}`,
		`{"time":28,"room":"c","reason":"ghost","identity":"ada","sid":"PA_x","cause":"sync","node":"n1"}`}
	const totals = `{"totals":{"ghost":2,"missed join":1},"entries":[`
	want(t, r.ask("GET", "/api/drift", ""), 200, totals+entry[0]+","+entry[1]+","+entry[2]+`]}`)
	want(t, r.ask("GET", "/api/drift?limit=1", ""), 200, totals+entry[0]+`]}`)
	want(t, r.ask("GET", "/api/drift?room=b", ""), 200, totals+entry[1]+`]}`)
	want(t, r.ask("GET", "/api/drift?reason=ghost", ""), 200, totals+entry[0]+","+entry[2]+`]}`)
	want(t, r.ask("GET", "/api/drift?reason=ghost&room=b", ""), 200, totals+`]}`)
	want(t, r.ask("GET", "/api/drift?limit=x", ""), 400, `{"error":"limit must be a number from 1 to 1000"}`)
	want(t, newRig(t, &node{}, nil).ask("GET", "/api/drift", ""), 200, `{"totals":{},"entries":[]}`)
	n.readErr = errSecret
	want(t, r.ask("GET", "/api/drift", ""), 503, `{"error":"Redis cannot be read now; try again shortly"}`)
}

func TestLiveKitRoom(t *testing.T) {
	n := &node{look: reconcile.Look{Waiting: 2, Participants: []reconcile.Participant{{Identity: "b", SID: "PA_b", JoinedAt: 2}, {Identity: "a", SID: "PA_a", JoinedAt: 1}}}}
	r := newRig(t, n, nil)
	const people = `"participants":[{"identity":"a","joinedAt":1,"metadata":"","sid":"PA_a","name":"","attributes":{},"kind":"STANDARD","hidden":false,"version":0},` +
		`{"identity":"b","joinedAt":2,"metadata":"","sid":"PA_b","name":"","attributes":{},"kind":"STANDARD","hidden":false,"version":0}],"waiting":2}`
	want(t, r.ask("GET", "/api/rooms/r/livekit", ""), 200, `{"room":"r","listed":false,"sid":"","createdAt":0,"maxParticipants":0,"metadata":"",`+people)
	n.look.Listed = []reconcile.RoomInfo{{Name: "r", SID: "RM_x", CreatedMs: 7, MaxParticipants: 3, Metadata: "m"}}
	want(t, r.ask("GET", "/api/rooms/livekit?name=r", ""), 200, `{"room":"r","listed":true,"sid":"RM_x","createdAt":7,"maxParticipants":3,"metadata":"m",`+people)
	n.readErr = errSecret
	w := r.ask("GET", "/api/rooms/r/livekit", "")
	want(t, w, 503, `{"error":"LiveKit does not answer now; try again shortly"}`)
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// TestLooksAreBounded checks that people who ask LiveKit leave the budget to the syncs.
func TestLooksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{looking: func() { time.Sleep(time.Second) }}
		r := newRig(t, n, nil)
		for range 4 {
			go r.ask("GET", "/api/rooms/r/livekit", "")
		}
		synctest.Wait()
		if w := r.ask("GET", "/api/rooms/r/livekit", ""); w.Code != 503 || w.Header().Get("Retry-After") != "4" {
			t.Errorf("one too many: %d %s", w.Code, w.Body)
		}
		time.Sleep(time.Minute)
		if w := r.ask("GET", "/api/rooms/r/livekit", ""); w.Code != 200 {
			t.Errorf("later: %d %s", w.Code, w.Body)
		}
	})
}

func TestStats(t *testing.T) {
	n := &node{stats: Stats{Node: "n1", Interval: 10000}}
	r := newRig(t, n, nil)
	want(t, r.ask("GET", "/api/stats", ""), 200, `{"node":"n1","intervalMs":10000,"points":[]}`)
	n.stats.Points = []Point{{Time: 5, Webhooks: 1, Changes: 2, Drift: 3, Converge: 4}}
	want(t, r.ask("GET", "/api/stats", ""), 200,
		`{"node":"n1","intervalMs":10000,"points":[{"time":5,"webhooks":1,"changes":2,"drift":3,"convergeMs":4}]}`)
}
