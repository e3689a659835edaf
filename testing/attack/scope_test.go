package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// reach defines who may GET a path, and POST to it, according to docs/api.md.
type reach struct{ get, post string }

func reaches() map[string]reach {
	const anyone, room, all, everything = "anyone", "room", "all", "everything"
	return map[string]reach{
		"/": {get: anyone}, "/livez": {get: anyone}, "/readyz": {get: anyone}, "/version": {get: anyone}, "/openapi.yaml": {get: anyone},
		"/metrics": {get: all}, "/api/rooms": {get: all}, "/api/check-match": {get: all}, "/api/drift": {get: all}, "/api/stats": {get: all},
		"/api/rooms/{room}": {get: room}, "/api/rooms/{room}/timeline": {get: room}, "/api/rooms/{room}/livekit": {get: room},
		"/api/events": {get: all}, "/api/sync-rooms": {get: all, post: everything}, "/api/cluster": {get: all, post: everything}, "/api/reload": {post: everything},
		"/api/livekit-webhook": {post: "LiveKit"},
	}
}

// TestScopes tries each kind of token on each path of the node's own description, with each method: what docs/api.md allows must
// succeed, and nothing else.
func TestScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.people("mine", "ada")
	w.people("other", "bob")
	described := regexp.MustCompile(`(?m)^  (/.*):$`).FindAllStringSubmatch(w.get("/openapi.yaml", "").body, -1)
	if len(described) < 10 {
		t.Fatalf("the description has the paths %q", described)
	}
	bearers := []struct {
		who, token string
		may        []string
	}{
		{"nobody", "", nil},
		{"a participant", token(t, auth.VideoGrant{RoomJoin: true, Room: "mine", RoomRecord: true, RoomCreate: true, IngressAdmin: true}), nil},
		{"a moderator of no room", token(t, auth.VideoGrant{RoomAdmin: true}), nil},
		{"a moderator of another room", moderator(t, "other"), nil},
		{"a moderator of a room like it", moderator(t, "MINE"), nil},
		{"a moderator", moderator(t, "mine"), []string{"room"}},
		{"a reader", reader(t), []string{"room", "all"}},
		{"a reader with a room", token(t, auth.VideoGrant{RoomList: true, RoomAdmin: true, Room: "mine"}), []string{"room", "all"}},
	}
	known := reaches()
	w.unchanged(t, func() {
		for _, m := range described {
			path := m[1]
			r, ok := known[path]
			if !ok {
				t.Errorf("%s is not in this test's table: say who may reach it", path)
			}
			for _, b := range bearers {
				for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
					needs := r.get
					if method == http.MethodPost {
						needs = r.post
					}
					if method != http.MethodGet && method != http.MethodHead && method != http.MethodPost {
						needs = ""
					}
					allowed := needs == "anyone" || slices.Contains(b.may, needs)
					if status := w.begin(method, strings.ReplaceAll(path, "{room}", "mine"), b.token); allowed != (status/100 == 2) || status >= 500 {
						t.Errorf("%s: %s %s: %d", b.who, method, path, status)
					}
				}
			}
		}
	})
}

// begin sends a request that would do harm if it were admitted, and returns the status, without waiting for the end of a stream.
func (w *world) begin(method, path, token string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	body := ""
	if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		body = `{"action":"stop-service","id":"n1"}`
	}
	req, err := http.NewRequestWithContext(ctx, method, w.URL()+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := fresh().RoundTrip(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestFairnessOfStreams checks that a moderator who opens countless streams leaves one for the admin, and one for a reader.
func TestFairnessOfStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.siege(t, func(ctx context.Context) {
		ctx, stop := context.WithCancel(ctx)
		var streams sync.WaitGroup
		streams.Go(func() { w.flood(ctx, 150, false, rawGet("/api/events?room=mine", moderator(t, "mine")), patience) })
		pass(ctx, 2*time.Second)
		for who, token := range map[string]string{"the admin": adminToken, "a reader": reader(t), "another moderator": moderator(t, "other")} {
			path := "/api/events"
			if who == "another moderator" {
				path += "?room=other"
			}
			if status := w.begin(http.MethodGet, path, token); status != 200 {
				t.Errorf("a stream for %s: %d", who, status)
			}
		}
		stop()
		streams.Wait()
	})
}

// TestFairnessOfLooks checks that a moderator who asks for looks at LiveKit without pause takes neither a sync's request budget
// nor the admin's.
func TestFairnessOfLooks(t *testing.T) {
	t.Parallel()
	const rooms = 60
	var syncs, looks atomic.Int64
	var counting atomic.Bool
	truth := fakelivekit.New(fakelivekit.Options{Seed: 3, EmptyTimeout: 1 << 20, DepartureTimeout: 1 << 20})
	t.Cleanup(truth.Close)
	truth.SetAPIFault(func(c fakelivekit.Call) fakelivekit.APIFault {
		switch {
		case !counting.Load() || c.Method != "ListParticipants":
		case c.Room == "mine":
			looks.Add(1)
		default:
			syncs.Add(1)
		}
		return fakelivekit.APIFault{}
	})
	for i := range rooms {
		truth.Join(fmt.Sprint("room-", i), fakelivekit.Who{Identity: "i"})
	}
	w := newWorld(t, options{livekit: truth, flags: []string{"--livekit-rate=20"}})
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for ctx.Err() == nil {
				w.get("/api/rooms/mine/livekit", moderator(t, "mine"))
			}
		})
	}
	pass(ctx, time.Second)
	counting.Store(true)
	if a := w.act("sync"); !strings.Contains(a.body, `"errors":0`) {
		t.Errorf("a sync: %d %s %v", a.status, a.body, a.err)
	}
	counting.Store(false)
	t.Logf("%d looks of a sync, %d of a moderator meanwhile", syncs.Load(), looks.Load())
	if syncs.Load() < rooms || looks.Load() > rooms/6 {
		t.Errorf("while a sync had %d looks at LiveKit, a moderator had %d", syncs.Load(), looks.Load())
	}
	eventually.Nil(t, patience, "a look for the admin", func() error { return w.get("/api/rooms/room-1/livekit", adminToken).is(200) })
	stop()
	callers.Wait()
}

// first returns the beginning of a stream, up to its second event or a heartbeat.
func (w *world) first(t *testing.T, path, token, after string) (status int, lines []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := fresh().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for resp.StatusCode == 200 {
		line, err := in.ReadString('\n')
		if line == "\n" || err != nil {
			break
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 0))
	return resp.StatusCode, lines
}

// TestStreamTellsOfItsRoomAlone checks that the first id of a room's stream is not the id of another room's change.
func TestStreamTellsOfItsRoomAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.people("mine", "ada")
	w.people("other", "bob")
	status, lines := w.first(t, "/api/events?room=mine", moderator(t, "mine"), "")
	if status != 200 {
		t.Fatalf("the stream: %d", status)
	}
	entries, err := w.redis.Client().XRange(t.Context(), "rooms:events", "-", "+").Result()
	if err != nil || len(entries) < 2 {
		t.Fatalf("the feed: %v %v", entries, err)
	}
	for _, entry := range entries {
		for _, line := range lines {
			if entry.Values["room"] == "other" && strings.Contains(line, entry.ID) {
				t.Errorf("the stream of a room begins with %q, the id of a change of another room", line)
			}
		}
	}
}

// TestOddEventIDs checks that a Last-Event-ID that no stream can have produced is ignored, without a warning in the log.
func TestOddEventIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.people("mine", "ada")
	for _, id := range []string{"18446744073709551615-18446744073709551615", "18446744073709551616-0", "0-18446744073709551616", "99999999999999999999-0", "-1-0", "0--1",
		"+", "-", "$", ">", "*", "(0-0", "0", "1-", "0x1-0", "1e3-0", " 0-0", "0-0 COUNT 1", "00-0", strings.Repeat("9", 5000) + "-0", "\u0661-0"} {
		if status, _ := w.first(t, "/api/events?room=mine", moderator(t, "mine"), id); status != 200 {
			t.Errorf("Last-Event-ID %.60q: %d", id, status)
		}
	}
	for line := range strings.Lines(string(w.Output())) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, "events") {
			t.Errorf("the log: %s", line)
		}
	}
}
