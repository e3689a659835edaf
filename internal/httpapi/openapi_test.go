package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/openapitest"
)

func (r *rig) spec(t *testing.T) *openapitest.Spec {
	t.Helper()
	w := r.ask("GET", "/openapi.yaml", "", from("203.0.113.9:1", "rollcall.example"))
	if got := w.Header().Get("Content-Type"); w.Code != 200 || got != "application/yaml; charset=utf-8" {
		t.Fatalf("GET /openapi.yaml: %d, %s", w.Code, got)
	}
	return openapitest.Read(t, w.Body.Bytes())
}

// TestOpenAPIDescribesTheRoutes checks that everything the server answers is described, and nothing else.
func TestOpenAPIDescribesTheRoutes(t *testing.T) {
	r := newRig(t, &node{}, nil)
	served := map[string][]string{}
	for pattern, route := range r.api.routes {
		if route.pattern == filePattern {
			continue // the files of the page
		}
		if route.get != nil {
			served[pattern] = append(served[pattern], "GET")
		}
		if route.post != nil {
			served[pattern] = append(served[pattern], "POST")
		}
	}
	described := r.spec(t).Methods
	for _, path := range slices.Sorted(maps.Keys(served)) {
		if !slices.Equal(served[path], described[path]) {
			t.Errorf("%s answers %q, described are %q", path, served[path], described[path])
		}
	}
	for path := range described {
		if served[path] == nil {
			t.Errorf("%s is described and not served", path)
		}
	}
}

// full returns a node that has something of everything.
func full() *node {
	report := &reconcile.Report{StartedAt: time.UnixMilli(1795399866530), DurationMs: 1000, Synced: 3, Errors: 2, Cleaned: 1, Changed: 1,
		Drift: map[reconcile.Reason]int{reconcile.Ghost: 2}, Held: &reconcile.Held{Rooms: 1, Participants: 2, Cycles: 3}, Error: "none", PassedOver: 1, PassedFirst: "a room without a name", Slow: true}
	n := &node{
		status: Status{Running: true, Node: "n1", Leader: "n1", Term: 3, SyncInterval: time.Second, CleanupInterval: time.Minute,
			NextSync: time.Now(), NextCleanup: time.Now(), LastSync: report, LastCleanup: report,
			Progress: &reconcile.Progress{Kind: "sync", StartedAt: time.Now(), Done: 1, Of: 2, Slow: true}},
		report: reconcile.Report{Synced: 3, Errors: 2, Cleaned: 1, Held: &reconcile.Held{Rooms: 1, Participants: 2, Cycles: 3}, Error: "none", Differences: []reconcile.Difference{
			{Room: "r", Change: reconcile.ParticipantLeft, Identity: "ada", SID: "PA_x", Reason: reconcile.Ghost},
			{Room: "r", Change: "index_entry_removed", Reason: "it has no keys"}}},
		cluster:  Membership{Leader: "n1", Term: 3, Epoch: 12, Members: []Member{{ID: "n1", State: "ready", Voter: true, Rooms: 3, Occupancy: &reconcile.Occupancy{Rooms: 2, People: 5}}, {ID: "n2", State: "away"}}},
		timeline: []reconcile.TimelineEntry{{Type: reconcile.ParticipantJoined, Cause: reconcile.BySync, Reason: reconcile.MissedJoin}, {Type: reconcile.RoomSnapshot, Cause: reconcile.ByWebhook}},
		drift:    []reconcile.DriftEntry{{Room: "r", Reason: reconcile.StaleMetadata, Cause: reconcile.ByCleanup}},
		look:     reconcile.Look{Listed: []reconcile.RoomInfo{{SID: "RM_x"}}, Participants: []reconcile.Participant{{Identity: "a", SID: "PA_a"}}},
		stats:    Stats{Node: "n1", Interval: 10000, Points: []Point{{Time: 10000, Webhooks: 2, Occupancy: &reconcile.Occupancy{Rooms: 2, People: 5}}}},
		active:   3, queue: 1,
	}
	s := &reconcile.State{SID: "RM_x", Roster: []*reconcile.Member{reconcile.NewMember(reconcile.Participant{Identity: "a", SID: "PA_a"})}}
	n.put("r", `["a"]`, string(s.JSON("r")))
	n.put("s", `[]`, string(s.JSON("s")))
	n.put("t", `7`, `8`)
	return n
}

// TestOpenAPIDescribesTheAnswers checks the answers of a node that has something of everything, those of an empty node, and
// errors.
func TestOpenAPIDescribesTheAnswers(t *testing.T) {
	for name, r := range map[string]*rig{"full": newRig(t, full(), nil), "empty": newRig(t, &node{stats: Stats{Interval: 10000}}, nil)} {
		spec, seen := r.spec(t), map[string]bool{}
		check := func(method, target, body string, tweak ...func(*http.Request)) {
			t.Helper()
			w := r.ask(method, target, body, tweak...)
			spec.Check(t, method, target, w.Code, w.Header(), w.Body.Bytes())
			if w.Code == http.StatusOK {
				path, _, _ := strings.Cut(target, "?")
				seen[method+" "+strings.ReplaceAll(path, "/rooms/r", "/rooms/{room}")] = true
			}
		}
		for _, path := range []string{"/", "/livez", "/readyz", "/version", "/metrics", "/openapi.yaml", "/api/sync-rooms", "/api/cluster", "/api/check-match",
			"/api/check-match?limit=1", "/api/rooms", "/api/rooms?limit=1", "/api/rooms?name=r", "/api/rooms/r", "/api/rooms/t", "/api/rooms/r/timeline",
			"/api/rooms/r/livekit", "/api/drift", "/api/stats", "/api/rooms?limit=0", "/api/rooms/none"} {
			check("GET", path, "")
			check("GET", path, "", header("Authorization", "Bearer wrong"))
		}
		for _, body := range []string{`{"action":"sync"}`, `{"action":"sync","dryRun":true}`, `{"action":"sync","room":"r"}`, `{"action":"sync","rom":"r"}`, `{"action":"cleanup"}`, `{"action":"full-sync","dryRun":true}`,
			`{"action":"stop-service"}`, `{"action":"dance"}`} {
			check("POST", "/api/sync-rooms", body)
		}
		check("POST", "/api/cluster", `{"action":"remove","id":"n2"}`)
		check("POST", "/api/cluster", `{}`)
		check("POST", "/api/reload", "")
		check("POST", "/api/reload", `{"a":1}`)
		check("POST", "/api/livekit-webhook", event("room_started", "EV_1", time.Now()), header("Authorization", goodSign))
		check("POST", "/api/livekit-webhook", "{", header("Authorization", goodSign))
		for path, methods := range spec.Methods {
			for _, method := range methods {
				if name == "full" && !seen[method+" "+path] && path != eventsPath {
					t.Errorf("no good answer of %s %s was looked at", method, path)
				}
			}
		}
		r.node.readErr, r.node.statusErr, r.node.actErr, r.node.readyErr = errSecret, ErrUnavailable, ErrNoLeader, errSecret
		for _, path := range []string{"/readyz", "/api/sync-rooms", "/api/check-match", "/api/rooms", "/api/rooms/r", "/api/rooms/r/timeline", "/api/rooms/r/livekit", "/api/drift"} {
			check("GET", path, "")
		}
		check("POST", "/api/sync-rooms", `{"action":"sync"}`)
		r.node.actErr = Refused{"it is the last"}
		check("POST", "/api/cluster", `{"action":"remove","id":"n2"}`)
		check("POST", "/api/reload", "")
	}
}

// TestOpenAPIDescribesTheEvents checks that the schemas of events match what is sent.
func TestOpenAPIDescribesTheEvents(t *testing.T) {
	text := string(description)
	for schema, event := range map[string]*frame{
		"ChangeEvent": frameOf(reconcile.FeedEntry{ID: "1-1", Room: "r"}), "LeaderEvent": ClusterStatus{}.leader(), "MembersEvent": ClusterStatus{}.members(),
		"ServiceEvent": ClusterStatus{}.service(), "Report": {text: eventText("sync", asReportAnswer(full().status.LastSync))},
	} {
		_, data, _ := strings.Cut(string(event.text), "data: ")
		var fields map[string]any
		if err := json.Unmarshal([]byte(data), &fields); err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(text, "\n    "+schema+":\n")
		_, rest, _ = strings.Cut(rest, "required: [")
		required, _, _ := strings.Cut(rest, "]")
		want := strings.Split(required, ", ")
		for _, field := range want {
			if _, ok := fields[field]; !ok || !found {
				t.Errorf("%s must have %q, and an event is %s", schema, field, data)
			}
		}
		for field := range fields {
			if !slices.Contains([]string{"firstError", "passedOver", "slow"}, field) && !slices.Contains(want, field) {
				t.Errorf("an event has %q, which %s does not describe", field, schema)
			}
		}
	}
}
