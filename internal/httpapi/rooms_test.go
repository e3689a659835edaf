package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func stateOf(room string) string {
	name, _ := json.Marshal(room)
	return fmt.Sprintf(`{"roomName":%s,"createdAt":11,"lastUpdated":22,"participants":[],"metadata":"<&>"}`, name)
}

var oddNames = []string{"plain", "with space", "a/b", "a%2Fb", "%", "..", ".", "../../etc", "a//b", "nul\x00", "line\r\nbreak", "{}*:'\"",
	"räum", "+", "?x=1", "#frag", ";", "\u202egnp", "timeline", "a/timeline", strings.Repeat("ü", 256)}

func TestRoomByName(t *testing.T) {
	n := &node{}
	for _, name := range oddNames {
		n.put(name, `[]`, stateOf(name))
	}
	server := httptest.NewServer(newRig(t, n, nil).Handler())
	defer server.Close()
	for _, name := range oddNames {
		for _, target := range []string{"/api/rooms/" + url.PathEscape(name), "/api/rooms?name=" + url.QueryEscape(name),
			"/api/rooms/?name=" + url.QueryEscape(name)} {
			resp, err := server.Client().Get(server.URL + target)
			if err != nil {
				t.Fatal(err)
			}
			var body json.RawMessage
			if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != 200 || string(body) != stateOf(name) {
				t.Errorf("%q by %s: %d %s", name, target, resp.StatusCode, body)
			}
			resp.Body.Close()
		}
	}
}

// TestIncompleteLists checks that the other rooms are listed if part of Redis does not answer.
func TestIncompleteLists(t *testing.T) {
	n := &node{readErr: fmt.Errorf("%w: shard 10.0.0.3:6379", ErrIncomplete)}
	n.put("a", `["u"]`, stateOf("a"))
	r := newRig(t, n, nil)
	for _, target := range []string{"/api/rooms", "/api/check-match"} {
		resp := r.ask("GET", target, "")
		if body := resp.Body.String(); resp.Code != 200 || !strings.Contains(body, `"incomplete":true`) || !strings.Contains(body, `"a"`) {
			t.Errorf("%s: %d %s", target, resp.Code, body)
		}
	}
	n.readErr = nil
	if body := r.ask("GET", "/api/rooms", "").Body.String(); strings.Contains(body, "incomplete") {
		t.Errorf("a whole list: %s", body)
	}
}

func FuzzRoomNames(f *testing.F) {
	for _, name := range oddNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" {
			t.Skip("no room has this name")
		}
		n := &node{}
		n.put(name, `[]`, `{"here":true}`)
		r := newRig(t, n, nil)
		want(t, r.ask("GET", "/api/rooms/"+url.PathEscape(name), ""), 200, `{"here":true}`)
		want(t, r.ask("GET", "/api/rooms?name="+url.QueryEscape(name), ""), 200, `{"here":true}`)
	})
}

func TestRoomErrors(t *testing.T) {
	n := &node{}
	n.put("number", `[]`, `5`)
	n.put("broken", `[]`, `{"a":`)
	r := newRig(t, n, nil)
	const none, altered = `{"error":"No such room now"}`, `{"error":"The state of this room was overwritten by others; the next sync repairs it"}`
	want(t, r.ask("GET", "/api/rooms/none", ""), 404, none)
	want(t, r.ask("GET", "/api/rooms?name=%00", ""), 404, none)
	want(t, r.ask("GET", "/api/rooms/number", ""), 503, altered)
	want(t, r.ask("GET", "/api/rooms/broken", ""), 503, altered)
	want(t, r.ask("GET", "/api/rooms?name=", ""), 400, `{"error":"name must not be empty"}`)
	want(t, r.ask("GET", "/api/rooms?name=%zz", ""), 400, `{"error":"The query is not well encoded"}`)
	for _, path := range []string{"/api/rooms/", "/api/rooms/a/b", "/api/rooms/a/timeline/", "/api/rooms//timeline", "/api/rooms/a/b/timeline", "/api/rooms//", "//api/rooms", "/api/../api/rooms"} {
		want(t, r.ask("GET", path, ""), 404, `{"error":"No such endpoint; GET /openapi.yaml describes all of them"}`)
	}
	n.readErr = errSecret
	for _, path := range []string{"/api/rooms/number", "/api/rooms", "/api/check-match"} {
		w := r.ask("GET", path, "")
		want(t, w, 503, `{"error":"Redis cannot be read now; try again shortly"}`)
		if w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
}

// TestUnescapedPaths sends paths as they are given, as curl does.
func TestUnescapedPaths(t *testing.T) {
	n := &node{}
	n.put(`{"ä"/[x]}`, `[]`, `{}`)
	r := newRig(t, n, nil)
	want(t, r.ask("GET", "/", "", func(r *http.Request) {
		u, err := url.ParseRequestURI(`/api/rooms/{"ä"%2F[x]}`)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = u
	}), 200, `{}`)
}

func TestListRooms(t *testing.T) {
	n := &node{}
	n.put("a", `["u","v"]`, stateOf("a"))
	n.put("Bad", `{}`, `[]`)
	n.put("odd <&>", `["u"]`, stateOf("odd <&>"))
	r := newRig(t, n, nil)
	const a = `{"roomName":"a","participantCount":2,"createdAt":11,"lastUpdated":22}`
	const bad = `{"roomName":"Bad","participantCount":0,"createdAt":0,"lastUpdated":0}`
	const odd = `{"roomName":"odd <&>","participantCount":1,"createdAt":11,"lastUpdated":22}`
	want(t, r.ask("GET", "/api/rooms", ""), 200, `{"rooms":[`+bad+`,`+a+`,`+odd+`]}`)
	want(t, r.ask("GET", "/api/rooms?search=D", ""), 200, `{"rooms":[`+bad+`,`+odd+`]}`)
	want(t, r.ask("GET", "/api/rooms?search=none", ""), 200, `{"rooms":[]}`)
	w := r.ask("GET", "/api/rooms?limit=1", "")
	want(t, w, 200, `{"rooms":[`+bad+`],"nextCursor":"`+opaque("Bad")+`"}`)
	want(t, r.ask("GET", "/api/rooms?limit=2&cursor="+opaque("Bad"), ""), 200, `{"rooms":[`+a+`,`+odd+`]}`)
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "limit=-1"} {
		want(t, r.ask("GET", "/api/rooms?"+query, ""), 400, `{"error":"limit must be a number from 1 to 1000"}`)
	}
	for _, path := range []string{"/api/rooms", "/api/check-match"} {
		for _, cursor := range []string{"***", opaque("!not mine")} {
			want(t, r.ask("GET", path+"?cursor="+cursor, ""), 400, `{"error":"cursor is not one that this endpoint gave"}`)
		}
	}
	want(t, r.ask("GET", "/api/rooms?search="+strings.Repeat("x", 1025), ""), 400, `{"error":"search is too long"}`)
}

func TestCheckMatch(t *testing.T) {
	n := &node{active: 4, queue: 2, status: Status{Running: true}}
	r := newRig(t, n, nil)
	want(t, r.ask("GET", "/api/check-match", ""), 200, `{"activeMatchesCount":4,"roomParticipantsCount":0,"roomStatesCount":0,`+
		`"syncServiceRunning":true,"matchingQueueSize":2,"roomParticipants":{},"roomStates":{}}`)
	n.put("a", `["u"]`, stateOf("a"))
	n.put("e", `[]`, stateOf("e"))
	n.put("foreign", `"u"`, `7`)
	n.put("half", `["w"]`, `[]`)
	n.put("junk", `[`, `{`)
	n.put("nulls", `null`, `null`)
	want(t, r.ask("GET", "/api/check-match", ""), 200, `{"activeMatchesCount":4,"roomParticipantsCount":3,"roomStatesCount":2,`+
		`"syncServiceRunning":true,"matchingQueueSize":2,"roomParticipants":{"a":["u"],"e":[],"half":["w"]},"roomStates":{"a":`+
		stateOf("a")+`,"e":`+stateOf("e")+`},"unreadable":["foreign","half","nulls"]}`)
	n.statusErr = ErrUnavailable
	if w := r.ask("GET", "/api/check-match", ""); w.Code != 503 {
		t.Errorf("without a status: %d", w.Code)
	}
}

// TestPages checks that following the cursor returns every room once, and that the counts cover all rooms.
func TestPages(t *testing.T) {
	n := &node{}
	for i := range 2345 {
		name := fmt.Sprintf("room/%d", i)
		n.put(name, `["u"]`, stateOf(name))
	}
	for path, key := range map[string]string{"/api/check-match": "roomStates", "/api/rooms?limit=77": "rooms", "/api/check-match?limit=1000": "roomStates"} {
		seen, next := map[string]bool{}, ""
		for first := true; first || next != ""; first = false {
			u, _ := url.Parse(path)
			q := u.Query()
			q.Set("cursor", next)
			u.RawQuery = q.Encode()
			var page struct {
				Rooms                                  []struct{ RoomName string }
				RoomStates                             map[string]any
				RoomStatesCount, RoomParticipantsCount int
				NextCursor                             string
			}
			if err := json.Unmarshal(newRig(t, n, nil).ask("GET", u.String(), "").Body.Bytes(), &page); err != nil {
				t.Fatal(err)
			}
			names := slices.Collect(maps.Keys(page.RoomStates))
			for _, room := range page.Rooms {
				names = append(names, room.RoomName)
			}
			for _, name := range names {
				if seen[name] {
					t.Fatalf("%s gives %q twice", path, name)
				}
				seen[name] = true
			}
			if key == "roomStates" && (page.RoomStatesCount != 2345 || page.RoomParticipantsCount != 2345 || len(names) > 1000) {
				t.Errorf("%s counts %d and %d, gives %d", path, page.RoomStatesCount, page.RoomParticipantsCount, len(names))
			}
			next = page.NextCursor
		}
		if len(seen) != 2345 {
			t.Errorf("%s gave %d rooms", path, len(seen))
		}
	}
}

func TestLargeRoomsEndThePage(t *testing.T) {
	n := &node{}
	big := `{"x":"` + strings.Repeat("x", 400<<10) + `"}`
	for i := range 200 {
		n.put(fmt.Sprintf("%03d", i), `[]`, big)
	}
	w := newRig(t, n, nil).ask("GET", "/api/check-match", "")
	if w.Code != 200 || w.Body.Len() > maxMatchBytes+readBatch*len(big) || !strings.Contains(w.Body.String(), `"nextCursor"`) ||
		!strings.Contains(w.Body.String(), `"roomStatesCount":200`) || !utf8.Valid(w.Body.Bytes()) {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
}
