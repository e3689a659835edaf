package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/client"
)

const testToken = "tok3n-for-tests"

// fakeNode answers like a rollcall node, from a table of canned answers.
type fakeNode struct {
	*httptest.Server
	requests []string
}

// newNode answers each "METHOD /path?query body" of answers, and 404 otherwise.
func newNode(t *testing.T, answers map[string]string) *fakeNode {
	t.Helper()
	n := &fakeNode{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request := strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body))
		n.requests = append(n.requests, request)
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer "+testToken {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"Unauthorized"}`)
			return
		}
		answer, ok := answers[request]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":"room not found"}`)
			return
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(n.Close)
	return n
}

func (n *fakeNode) command(t *testing.T, args ...string) outcome {
	t.Helper()
	return command(t, deps{}, []string{"ROLLCALL_ADDR=" + n.URL, "ROLLCALL_TOKEN=" + testToken}, args...)
}

const (
	statusAnswer = `{"syncServiceRunning":true,"timestamp":"2026-11-23T10:44:30Z","node":"n2","leader":"n1","term":3,
		"syncInterval":30000,"cleanupInterval":300000,"nextSync":"2026-11-23T10:44:48Z","nextCleanup":"2026-11-23T10:46:30Z",
		"lastSync":{"startedAt":"2026-11-23T10:44:18Z","durationMs":340,"scheduled":true,"result":{"synced":120,"errors":2,"cleaned":1},
		"changed":3,"drift":{"stale metadata":1,"missed join":2},"held":{"rooms":12,"participants":1,"cycles":1}},
		"lastCleanup":{"startedAt":"2026-11-23T10:41:30Z","durationMs":1200,"scheduled":false,"result":{"synced":0,"errors":0,"cleaned":0},"changed":0}}`
	timelineAnswer = `{"room":"r","entries":[{"time":1795399866530,"type":"participant_joined","identity":"a\u0000","sid":"PA_x","cause":"sync","reason":"missed join","event":"","gen":1,"epoch":12,"version":7,"owner":"n1"}]}`
	driftAnswer    = `{"totals":{"missed join":2,"ghost":1},"entries":[{"time":1795399866530,"room":"r","reason":"missed join","identity":"ada","sid":"PA_x","cause":"sync","node":"n1"}]}`
	clusterAnswer  = `{"leader":"n1","term":3,"epoch":12,"members":[{"id":"n1","state":"ready","voter":true,"httpAddr":"h1:8080","nodeAddr":"h1:7000","rooms":341,"version":"v1","cannotReach":["n2","n4"],"relayed":17,"cannotWrite":["10.0.0.7:6379","10.0.0.8:6379"]},
		{"id":"n2","state":"unreachable","voter":true,"httpAddr":"h2:8080","nodeAddr":"h2:7000"},{"id":"n3","state":"away","nodeAddr":"h3:7000"},
		{"id":"n4","state":"ready","voter":true,"httpAddr":"h4:8080","nodeAddr":"h4:7000","rooms":330,"version":"v1","cannotWrite":["10.0.0.8:6379"]}]}`
	wellAnswer = `{"syncServiceRunning":true,"timestamp":"2026-11-23T10:44:30Z","node":"n1","leader":"n1","term":3,"redis":{"state":"ok"},"livekit":{"state":"unknown"}}`
	downAnswer = `{"syncServiceRunning":true,"timestamp":"2026-11-23T10:44:30Z","node":"n1","leader":"n1","term":3,
		"lastSync":{"startedAt":"2026-11-23T10:44:18Z","durationMs":3,"scheduled":true,"result":{"synced":0,"errors":1,"cleaned":0},"firstError":"dial h:7880: refused","fault":"livekit_silent"},
		"redis":{"state":"silent","error":"dial tcp 10.0.0.7:6379: connect: connection refused","since":"2026-11-23T10:38:18Z"},"livekit":{"state":"silent","error":"dial h:7880: refused","at":"2026-11-23T10:44:18Z","since":"2026-11-23T10:40:18Z"},"lastGoodSync":"2026-11-22T10:39:48Z"}`
	emptyAnswer = `{"syncServiceRunning":true,"timestamp":"2026-11-23T10:44:30Z","node":"n1","leader":"n1","term":3,
		"lastSync":{"startedAt":"2026-11-23T10:44:18Z","durationMs":3,"scheduled":true,"result":{"synced":0,"errors":1,"cleaned":0},"firstError":"room \"a\\u0000\": Redis: \"refused\"","fault":"livekit_refuses","redisEmpty":true},
		"redis":{"state":"ok"},"livekit":{"state":"refuses","error":"Get \"http://h:7880\": no \"key\" \u001b","at":"2026-11-23T10:44:18Z"}}`
	stoppedAnswer = `{"syncServiceRunning":false,"timestamp":"2026-11-23T10:44:30.123Z"}`
	wouldChange   = `"wouldChange":[{"room":"a\nb","change":"participant_left","identity":"user1","sid":"PA_1","reason":"ghost"},{"room":"r","change":"room_finished"}]`
	roomAnswer    = `{"roomName":"room-123","sid":"RM_x","isActive":true,"createdAt":1795399866205,"lastUpdated":1795399866530,
		"maxParticipants":2,"metadata":"\u001b[31mred","version":7,"participants":[
		{"identity":"user1","joinedAt":1795399866511,"metadata":"","sid":"PA_x","name":"User 1","kind":"STANDARD","hidden":false,"version":2},
		{"identity":"","joinedAt":1795399866512,"metadata":"","sid":"PA_y","name":"","kind":"AGENT","hidden":true,"version":1}]}`
)

// badText matches quotes that were quoted again, and a full stop in the middle of a sentence.
var badText = regexp.MustCompile(`\\"|[a-z)]\.[:;,.]|\.\)`)

// TestClientCommands checks the requests and the output of every client command.
func TestClientCommands(t *testing.T) {
	post := func(body string) string { return "POST /api/sync-rooms " + body }
	rooms := `{"rooms":[{"roomName":"a","participantCount":2,"createdAt":1795399866205,"lastUpdated":1795399866530},{"roomName":"ab\u0000","participantCount":0,"createdAt":0,"lastUpdated":0}]`
	tests := []struct {
		request, answer string
		args            []string
	}{
		{"GET /api/sync-rooms", statusAnswer, []string{"status"}},
		{"GET /api/sync-rooms", statusAnswer, []string{"status", "--json"}},
		{"GET /api/sync-rooms", stoppedAnswer, []string{"status"}},
		{"GET /api/sync-rooms", wellAnswer, []string{"status", "--check"}},
		{"GET /api/sync-rooms", downAnswer, []string{"status", "--check"}},
		{"GET /api/sync-rooms", downAnswer, []string{"status", "--check", "--json"}},
		{"GET /api/sync-rooms", emptyAnswer, []string{"status", "--check"}},
		{"GET /api/sync-rooms", stoppedAnswer, []string{"status", "--check"}},
		{"GET /api/sync-rooms", statusAnswer, []string{"status", "--check", "--json"}},
		{post(`{"action":"sync"}`), `{"action":"sync","result":{"synced":0,"errors":1,"cleaned":0},"firstError":"connection refused","fault":"livekit_silent"}`, []string{"sync"}},
		{post(`{"action":"sync"}`), `{"action":"sync","result":{"synced":1,"errors":0,"cleaned":0},"timestamp":"2026-11-23T10:44:30Z"}`, []string{"sync"}},
		{post(`{"action":"sync","dryRun":true}`), `{"action":"sync","result":{"synced":4,"errors":0,"cleaned":0},` + wouldChange + `}`, []string{"sync", "--dry-run"}},
		{post(`{"action":"sync","dryRun":true}`), `{"action":"sync","result":{"synced":4,"errors":0,"cleaned":0}}`, []string{"sync", "--dry-run"}},
		{post(`{"action":"sync","force":true}`), `{"action":"sync","result":{"synced":9,"errors":2,"cleaned":3}}`, []string{"sync", "--force"}},
		{post(`{"action":"sync"}`), `{"action":"sync","result":{"synced":9,"errors":1,"cleaned":3},"timestamp":"2026-11-23T10:44:30Z"}`, []string{"sync", "--json"}},
		{post(`{"action":"sync","room":"a b"}`), `{"action":"sync","room":"a b","result":{"synced":1,"errors":0,"cleaned":1},"timestamp":"2026-11-23T10:44:30Z"}`, []string{"sync", "a b"}},
		{post(`{"action":"sync","dryRun":true,"force":true,"room":"r"}`), `{"action":"sync","room":"r","result":{"synced":1,"errors":0,"cleaned":0},` + wouldChange + `}`, []string{"sync", "r", "--dry-run", "--force"}},
		{post(`{"action":"sync","room":"nowhere"}`), `{"action":"sync","room":"nowhere","found":false,"result":{"synced":1,"errors":0,"cleaned":0}}`, []string{"sync", "nowhere"}},
		{post(`{"action":"sync","room":"nowhere"}`), `{"action":"sync","room":"nowhere","found":false,"result":{"synced":1,"errors":0,"cleaned":0},"timestamp":"2026-11-23T10:44:30Z"}`, []string{"sync", "nowhere", "--json"}},
		{post(`{"action":"sync","dryRun":true,"room":"r"}`), `{"action":"sync","room":"r","result":{"synced":0,"errors":1,"cleaned":0},"wouldChange":[],"firstError":"connection refused","fault":"livekit_silent"}`, []string{"sync", "r", "--dry-run"}},
		{"", "", []string{"sync", ""}},
		{post(`{"action":"sync"}`), `{"action":"sync","result":{"synced":0,"errors":1,"cleaned":0},"firstError":"Get \"http://h\": refused","fault":"livekit_silent","redisEmpty":true}`, []string{"sync"}},
		{post(`{"action":"sync"}`), `{"action":"sync","result":{"synced":5,"errors":1,"cleaned":0},"firstError":"room \"a b\": too late"}`, []string{"sync"}},
		{post(`{"action":"cleanup"}`), `{"action":"cleanup","cleaned":2}`, []string{"cleanup"}},
		{post(`{"action":"cleanup","dryRun":true,"force":true}`), `{"action":"cleanup","cleaned":0,` + wouldChange + `}`, []string{"cleanup", "--dry-run", "--force"}},
		{post(`{"action":"cleanup"}`), `{"action":"cleanup","cleaned":0,"firstError":"no \"Redis\"","fault":"redis_silent"}`, []string{"cleanup"}},
		{post(`{"action":"cleanup"}`), `{"action":"cleanup","cleaned":1,"firstError":"room \"a\": no Redis"}`, []string{"cleanup"}},
		{post(`{"action":"full-sync"}`), `{"action":"full-sync","sync":{"synced":5,"errors":0,"cleaned":1},"cleanup":1}`, []string{"full-sync"}},
		{post(`{"action":"full-sync","dryRun":true}`), `{"action":"full-sync","sync":{"synced":5,"errors":2,"cleaned":1},"cleanup":0,"firstError":"no","wouldChange":[]}`, []string{"full-sync", "--dry-run"}},
		{post(`{"action":"full-sync"}`), `{"action":"full-sync","sync":{"synced":0,"errors":3,"cleaned":0},"cleanup":1,"firstError":"no","fault":"livekit_silent"}`, []string{"full-sync"}},
		{post(`{"action":"full-sync"}`), `{"action":"full-sync","sync":{"synced":5,"errors":0,"cleaned":1},"cleanup":0,"firstError":"no Redis"}`, []string{"full-sync"}},
		{post(`{"action":"sync"}`), `{"action":"sync","result":{"synced":90,"errors":0,"cleaned":0},"held":{"rooms":40,"participants":1,"cycles":2}}`, []string{"sync"}},
		{post(`{"action":"sync","dryRun":true}`), `{"action":"sync","result":{"synced":90,"errors":0,"cleaned":0},"held":{"rooms":40,"participants":1,"cycles":2},"wouldChange":[],"timestamp":"2026-11-23T10:44:30Z"}`,
			[]string{"sync", "--dry-run", "--json"}},
		{post(`{"action":"start-service"}`), `{"action":"start-service","running":true}`, []string{"start"}},
		{post(`{"action":"stop-service"}`), `{"action":"stop-service","running":false}`, []string{"stop"}},
		{post(`{"action":"stop-service"}`), `{"action":"stop-service","running":false,"timestamp":"2026-11-23T10:44:30Z"}`, []string{"stop", "--json"}},
		{"GET /api/rooms?limit=101", rooms + `}`, []string{"rooms"}},
		{"GET /api/rooms?limit=101&search=b", rooms + `}`, []string{"rooms", "--search=b", "--json"}},
		{"GET /api/rooms?limit=2", rooms + `,"nextCursor":"x"}`, []string{"rooms", "--limit=1"}},
		{"GET /api/rooms?limit=500&search=ab", rooms + `}`, []string{"rooms", "--prefix=ab"}},
		{"GET /api/rooms?limit=500", `{"rooms":[]}`, []string{"rooms", "--all"}},
		{"GET /api/rooms?limit=101&search=b", `{"rooms":[]}`, []string{"rooms", "--search=b"}},
		{"GET /api/rooms/room-123", roomAnswer, []string{"room", "room-123"}},
		{"GET /api/rooms/room-123", roomAnswer, []string{"room", "room-123", "--json"}},
		{"GET /api/rooms/a%20b%3F%23", roomAnswer, []string{"room", "a b?#", "--json"}},
		{"GET /api/rooms?name=a%2Fb", `{"roomName":"a/b","participants":[]}`, []string{"room", "a/b"}},
		{"", "", []string{"room", "gone\nroom"}},
		{"GET /api/rooms/r/timeline", timelineAnswer, []string{"room", "r", "--timeline"}},
		{"GET /api/rooms/r/timeline", timelineAnswer, []string{"room", "r", "--timeline", "--json"}},
		{"GET /api/rooms/r/timeline", `{"room":"r","entries":[]}`, []string{"room", "r", "--timeline"}},
		{"GET /api/drift?limit=50", driftAnswer, []string{"drift"}},
		{"GET /api/drift?limit=2&reason=missed+join&room=r", driftAnswer, []string{"drift", "--room=r", "--reason=missed join", "--limit=2", "--json"}},
		{"GET /api/drift?limit=50", `{"totals":{},"entries":[]}`, []string{"drift"}},
		{"GET /api/cluster", clusterAnswer, []string{"cluster"}},
		{"GET /api/cluster", clusterAnswer, []string{"cluster", "--json"}},
		{"GET /api/cluster", `{"leader":"","term":4,"epoch":9,"members":[]}`, []string{"cluster"}},
		{"POST /api/reload", `{"node":"n1","changed":["admin-token","sync-interval"],"needRestart":["redis-url"],"timestamp":"2026-11-23T10:44:30Z"}`, []string{"reload"}},
		{"POST /api/reload", `{"node":"n1","changed":[],"needRestart":[],"timestamp":"2026-11-23T10:44:30Z"}`, []string{"reload"}},
		{"POST /api/reload", `{"node":"n1","changed":["log-level"],"needRestart":[],"timestamp":"2026-11-23T10:44:30Z"}`, []string{"reload", "--json"}},
		{`POST /api/cluster {"action":"remove","id":"n2"}`, `{"action":"remove","id":"n2","timestamp":"2026-11-23T10:44:30Z"}`, []string{"cluster", "remove", "n2"}},
		{"GET /readyz", `{"status":"ready"}`, []string{"ready"}},
		{"GET /readyz", `{"status":"ready"}`, []string{"ready", "--json"}},
	}
	var b strings.Builder
	for _, tt := range tests {
		n := newNode(t, map[string]string{tt.request: tt.answer})
		asks := 1
		if tt.answer == clusterAnswer && !slices.Contains(tt.args, "--json") {
			asks++ // for how Redis answers, since one of its masters answers no node
		}
		if tt.args[0] == "status" && tt.answer != stoppedAnswer {
			asks++ // for the nodes
		}
		if tt.answer == statusAnswer {
			n = newNode(t, map[string]string{tt.request: tt.answer, "GET /api/cluster": clusterAnswer})
		}
		o := n.command(t, tt.args...)
		if tt.request != "" && (len(n.requests) != asks || n.requests[0] != tt.request) {
			t.Errorf("%q asked %q, want %q", tt.args, n.requests, tt.request)
		}
		fmt.Fprintf(&b, "$ rollcall %q -> %d\n%s%s\n", tt.args, o.code, o.out, o.errOut)
		if strings.Contains(strings.Join(tt.args, " "), "--json") && !json.Valid([]byte(o.out)) {
			t.Errorf("%q prints no JSON: %s", tt.args, o.out)
		}
		if badText.MatchString(o.errOut) || !slices.Contains(tt.args, "--json") && badText.MatchString(o.out) {
			t.Errorf("%q quotes what is quoted, or ends a sentence twice:\n%s%s", tt.args, o.out, o.errOut)
		}
		if strings.ContainsAny(o.out+o.errOut, "\x00\x1b") {
			t.Errorf("%q lets control characters out", tt.args)
		}
	}
	golden(t, "client-commands.golden", b.String())
}

func TestRoomsFollowsPages(t *testing.T) {
	room := func(name string) string { return fmt.Sprintf(`{"rooms":[{"roomName":%q}]`, name) }
	n := newNode(t, map[string]string{
		"GET /api/rooms?limit=500":            room("r1") + `,"nextCursor":"c 1"}`,
		"GET /api/rooms?cursor=c+1&limit=500": room("r2") + `,"nextCursor":"c2"}`,
		"GET /api/rooms?cursor=c2&limit=500":  room("r3") + `}`,
	})
	if o := n.command(t, "rooms", "--all"); o.code != exitDone || !strings.HasSuffix(o.out, "\n0 people in 3 rooms\n") {
		t.Errorf("%+v", o)
	}
	n = newNode(t, map[string]string{
		"GET /api/rooms?limit=500":          room("r1") + `,"nextCursor":"c"}`,
		"GET /api/rooms?cursor=c&limit=500": room("r2") + `,"nextCursor":"c"}`,
	})
	if o := n.command(t, "rooms", "--all"); o.code != exitFailed || len(n.requests) != 2 {
		t.Errorf("a list that goes round: %+v", o)
	}
}

// TestRoomsOfAPartOfRedis checks that a list without the rooms of a shard is no success, and is shown.
func TestRoomsOfAPartOfRedis(t *testing.T) {
	for rooms, says := range map[string]string{`{"roomName":"r1"}`: "\n0 people in 1 room\n", ``: "The part of Redis that answers holds no such room.\n"} {
		n := newNode(t, map[string]string{"GET /api/rooms?limit=101": `{"rooms":[` + rooms + `],"incomplete":true}`})
		o := n.command(t, "rooms")
		if o.code != exitFailed || !strings.HasSuffix(o.out, says) || o.errOut != "rollcall: part of Redis does not answer, and its rooms are missing here: `rollcall status` says what is wrong\n" {
			t.Errorf("%+v", o)
		}
		list := roomList{}
		if o := n.command(t, "rooms", "--json"); o.code != exitFailed || json.Unmarshal([]byte(o.out), &list) != nil || !list.Incomplete {
			t.Errorf("as JSON: %+v", o)
		}
	}
}

// TestARedirectedActionIsNotDone checks that an action whose address redirects, as proxies send http on to https, is no success.
func TestARedirectedActionIsNotDone(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://rollcall.example"+r.URL.Path, http.StatusMovedPermanently)
	}))
	defer srv.Close()
	o := command(t, deps{}, nil, "stop", "--addr", srv.URL, "--token", testToken)
	want := "rollcall: " + srv.URL + " redirects to https://rollcall.example/api/sync-rooms, and an action is not redirected: nothing was done."
	if o.code != exitFailed || o.out != "" || !strings.HasPrefix(o.errOut, want) || strings.Count(o.errOut, "\n") != 1 {
		t.Errorf("%+v, want %s", o, want)
	}
}

// TestWatchNamesNoTimeout checks that a command without --timeout does not advise to give more of it.
func TestWatchNamesNoTimeout(t *testing.T) {
	err := explain(context.DeadlineExceeded, "http://node", clientFlags{timeout: noTimeout}, context.Background())
	if want := "no answer from http://node within 30s: check the node and --addr (ROLLCALL_ADDR)"; err.Error() != want {
		t.Errorf("got %s, want %s", err, want)
	}
}

// TestClusterNamesRedisByWhatItIs checks that webhooks of some rooms are named only where Redis has more than one master.
func TestClusterNamesRedisByWhatItIs(t *testing.T) {
	for state, want := range map[string]string{
		"silent":  "takes no commits of any node: webhooks get 503, which LiveKit retries for about 15 s; look at that Redis, and at the node's log",
		"partial": "takes no commits of any node: webhooks for the rooms on it get 503, which LiveKit retries for about 15 s; look at that master and its replicas, and at the node's log",
	} {
		n := newNode(t, map[string]string{"GET /api/sync-rooms": strings.Replace(wellAnswer, `"redis":{"state":"ok"}`, `"redis":{"state":"`+state+`"}`, 1),
			"GET /api/cluster": `{"leader":"n1","term":3,"epoch":12,"members":[{"id":"n1","state":"unready","voter":true,"cannotWrite":["10.0.0.7:6379"]}]}`})
		if o := n.command(t, "cluster"); !strings.Contains(o.out, "REDIS: Redis at 10.0.0.7:6379 "+want) {
			t.Errorf("Redis is %s:\n%s", state, o.out)
		}
	}
}

// TestNoNodeTakesOverIfNoneCan checks a Redis that is down for all nodes, each of which has its own address for it.
func TestNoNodeTakesOverIfNoneCan(t *testing.T) {
	member := func(id, state, addr string) string {
		return fmt.Sprintf(`{"id":%q,"state":%q,"voter":true,"why":"Redis does not answer","cannotWrite":[%q]}`, id, state, addr)
	}
	n := newNode(t, map[string]string{"GET /api/cluster": `{"leader":"n1","term":3,"epoch":12,"members":[` + member("n1", "unready", "h1:6379") + "," + member("n2", "away", "h2:6379") + `]}`})
	if o := n.command(t, "cluster"); strings.Contains(o.out, "take over") || !strings.Contains(o.out, "Redis at h2:6379 takes no commits of n2: webhooks get 503, ") {
		t.Error(o.out)
	}
}

// TestRefusals checks what each refusal tells the operator to do.
func TestRefusals(t *testing.T) {
	tests := []struct {
		status       int
		header, body string
		token        string
		want         string
	}{
		{401, "", `{"error":"Unauthorized"}`, "", "URL wants a token: give --token or ROLLCALL_TOKEN"},
		{401, "", `{"error":"Unauthorized"}`, testToken, "URL does not accept this token: check --token (ROLLCALL_TOKEN)"},
		{403, "", `{"error":"Forbidden"}`, testToken, "URL knows this token, but it may not do that (it says: Forbidden): use the admin token"},
		{503, "3", `{"error":"no leader"}`, testToken, "URL cannot do that now (it says: no leader): try again in 3s"},
		{503, "1", `{"error":"The cluster has no leader now; try again shortly"}`, testToken, "URL cannot do that now (it says: The cluster has no leader now): try again in 1s; if it lasts, `rollcall status` says"},
		{503, "", ``, testToken, "URL cannot do that now (it says: nothing more): try again in a few seconds"},
		{404, "", `404 page not found`, testToken, "URL does not know that request (it says: nothing more): check --addr"},
		{400, "", `Client sent an HTTP request to an HTTPS server.`, testToken, "URL does not understand the request"},
		{500, "", `{"error":"a\u001b[31m"}`, testToken, `URL refused (HTTP 500; it says: a\x1b[31m): the node's log`},
		{500, "", `{"error":"room \"a b\": no"}`, testToken, `URL refused (HTTP 500; it says: room "a b": no): the node's log`},
		{200, "", `<html>`, testToken, "URL answers, but not as a rollcall node does: check --addr"},
		{200, "", `{}`, testToken, "URL answers, but not as a rollcall node does: check --addr"},
	}
	for _, tt := range tests {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if tt.header != "" {
				w.Header().Set("Retry-After", tt.header)
			}
			w.WriteHeader(tt.status)
			fmt.Fprint(w, tt.body)
		}))
		o := command(t, deps{}, nil, "status", "--addr", srv.URL, "--token", tt.token)
		want := "rollcall: " + strings.ReplaceAll(tt.want, "URL", srv.URL)
		if o.code != exitFailed || o.out != "" || !strings.HasPrefix(o.errOut, want) || strings.Count(o.errOut, "\n") != 1 {
			t.Errorf("HTTP %d: exit %d\n got %s\nwant %s", tt.status, o.code, o.errOut, want)
		}
		if strings.Contains(o.errOut, testToken) {
			t.Errorf("the token is shown: %s", o.errOut)
		}
		srv.Close()
	}
}

// TestARefusedTokenOfAFile checks that an operator whose token file is newer than the node's token is told what to do.
func TestARefusedTokenOfAFile(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := command(t, deps{}, []string{"ROLLCALL_ADMIN_TOKEN_FILE=" + file}, "status", "--addr", srv.URL)
	want := "rollcall: " + srv.URL + " does not accept the token in " + file + " (ROLLCALL_ADMIN_TOKEN_FILE): if the token is new, `rollcall reload`"
	if o.code != exitFailed || !strings.HasPrefix(o.errOut, want) || strings.Count(o.errOut, "\n") != 1 || strings.Contains(o.errOut, testToken) {
		t.Errorf("exit %d\n got %s\nwant %s", o.code, o.errOut, want)
	}
}

func TestReadySaysWhyNot(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":"Draining"}`:  "does not serve: it is stopping",
		`{"error":"Not ready"}`: "does not serve: it gives no reason to this caller: ask on its own machine, or give --token (ROLLCALL_TOKEN)",
		`{"error":"Not ready: Redis at db:6379 does not answer"}`: "does not serve: Redis at db:6379 does not answer",
		`{"error":"\u001b[2J"}`:                                   `does not serve: \x1b[2J`,
		`{"error":"Not ready: node \"n1\" is at \"C:\\x\""}`:      `does not serve: node "n1" is at "C:\x"`,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, body)
		}))
		o := command(t, deps{}, nil, "ready", "--addr", srv.URL)
		if o.code != exitFailed || o.out != "" || !strings.HasPrefix(o.errOut, "rollcall: "+srv.URL+" "+want) || strings.Count(o.errOut, "\n") != 1 {
			t.Errorf("%s: %+v", body, o)
		}
		said := readiness{Ready: true}
		if o := command(t, deps{}, nil, "ready", "--addr", srv.URL, "--json"); o.code != exitFailed || json.Unmarshal([]byte(o.out), &said) != nil ||
			said.Ready || !strings.HasSuffix(want, said.Why) && !strings.Contains(said.Why, "its log says it too") {
			t.Errorf("%s: as JSON: %+v", body, o)
		}
		srv.Close()
	}
}

func TestNetworkErrors(t *testing.T) {
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hang.Close()
	tlsServer := httptest.NewUnstartedServer(http.NotFoundHandler())
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0)
	tlsServer.StartTLS()
	defer tlsServer.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	tests := []struct{ addr, timeout, want string }{
		{hang.URL, "50ms", "no answer from " + hang.URL + " within 50ms"},
		{tlsServer.URL, "10s", "the certificate of " + tlsServer.URL + " is not trusted here"},
		{strings.Replace(plain.URL, "http:", "https:", 1), "10s", strings.Replace(plain.URL, "http:", "https:", 1) + " speaks plain HTTP"},
	}
	for _, tt := range tests {
		o := command(t, deps{}, nil, "status", "--addr", tt.addr, "--timeout", tt.timeout)
		if o.code != exitFailed || !strings.HasPrefix(o.errOut, "rollcall: "+tt.want) {
			t.Errorf("%s: %+v, want %s", tt.addr, o, tt.want)
		}
	}
}

func TestUnknownHost(t *testing.T) {
	err := &net.DNSError{Err: "no such host", Name: "host.invalid", IsNotFound: true}
	if got := explain(err, "http://host.invalid", clientFlags{}, context.Background()); got.Error() != "no host host.invalid is known: check --addr (ROLLCALL_ADDR)" {
		t.Error(got)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errOut strings.Builder
	err := runWith(ctx, deps{}, []string{"sync", "--addr=127.0.0.1:1"}, nil, &out, &errOut)
	if report(&errOut, err) != exitFailed || !strings.HasPrefix(errOut.String(), "rollcall: interrupted") {
		t.Error(errOut.String())
	}
}

func TestTokenFallsBackToAdminToken(t *testing.T) {
	n := newNode(t, map[string]string{"GET /api/sync-rooms": stoppedAnswer})
	for _, tt := range []struct {
		environ []string
		args    []string
		code    int
	}{
		{[]string{"ROLLCALL_ADMIN_TOKEN=" + testToken}, nil, exitDone},
		{[]string{"ROLLCALL_ADMIN_TOKEN=wrong", "ROLLCALL_TOKEN=" + testToken}, nil, exitDone},
		{[]string{"ROLLCALL_TOKEN=wrong"}, []string{"--token", testToken}, exitDone},
		{[]string{"ROLLCALL_TOKEN=wrong", "ROLLCALL_ADMIN_TOKEN=" + testToken}, nil, exitFailed},
		{[]string{"ROLLCALL_TOKEN=line\n"}, nil, exitUsage},
		{[]string{"ROLLCALL_TIMEOUT=5"}, nil, exitUsage},
	} {
		o := command(t, deps{}, append(tt.environ, "ROLLCALL_ADDR="+n.URL), append([]string{"status"}, tt.args...)...)
		if o.code != tt.code {
			t.Errorf("%q %q: %+v, want exit %d", tt.environ, tt.args, o, tt.code)
		}
	}
}

func TestStatusWithoutLeader(t *testing.T) {
	voter := func(id, state string) client.Member { return client.Member{ID: id, State: state, Voter: true} }
	for want, nodes := range map[string]client.Cluster{
		"Leader        NONE: no sync runs": {},
		"NONE: no sync runs ":              {Members: []client.Member{voter("n1", "ready"), voter("n2", "unready"), voter("n3", "unreachable")}},
		"NONE: 1 of 3 voters can be reached, and 2 must be: bring back n2 or n3. Until then webhooks get 503": {Members: []client.Member{voter("n1", "unready"), voter("n2", "unreachable"),
			voter("n3", "away"), {ID: "n4", State: "unreachable"}}},
		"and no node can join or leave; rooms can be read as Redis holds them. The first": {Members: []client.Member{voter("n1", "unready"), voter("n2", "away")}},
		"and no node can join or leave. The first":                                        {Members: []client.Member{{ID: "n1", State: "unready", Voter: true, CannotWrite: []string{"h:1"}}, voter("n2", "away")}},
		"NONE: 1 of 2 voters can be reached, and 2 must be: bring back n2. ":              {Members: []client.Member{voter("n1", "unready"), voter("n2", "away")}},
		"NONE: 1 of 5 voters can be reached, and 3 must be: bring back 2 of n2, n3, n4, n5. ": {Members: []client.Member{voter("n1", "unready"), voter("n2", "away"), voter("n3", "away"),
			voter("n4", "unreachable"), voter("n5", "unreachable")}},
	} {
		text := palette{}.statusText(client.Status{SyncServiceRunning: true, Timestamp: time.Unix(1, 0)}, nodes)
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}
