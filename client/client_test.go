package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := New(srv.URL+"/", WithToken("tok"), WithHTTPClient(srv.Client()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"localhost:8080": "http://localhost:8080", "https://h/base/": "https://h/base", "http://[::1]:8080": "http://[::1]:8080",
	} {
		if c, err := New(in); err != nil || c.Base() != want {
			t.Errorf("%q: %v, %v", in, c, err)
		}
	}
	for _, in := range []string{"", "redis://x", "http://", "http://user:hunter2@h", "http://h?x=hunter2", "http://h:port"} {
		if _, err := New(in); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestRoomNames sends odd names and checks that they arrive where a server reads them.
func TestRoomNames(t *testing.T) {
	for _, name := range []string{"room-123", "", ".", "..", "a/b", `a\b`, "a b", "a\x00b", "a\nb", "{x}*?#%&+;=", "ü", "\xff", "../api/x", "name"} {
		var path, query string
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			path, query = r.URL.Path, r.URL.RawQuery
			if r.Header.Get("Authorization") != "Bearer tok" {
				t.Error("no token was sent")
			}
			_, _ = w.Write([]byte(`{"roomName":"x"}`))
		})
		if _, err := c.Room(t.Context(), name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		got, ok := strings.CutPrefix(path, "/api/rooms/")
		if !ok && path == "/api/rooms" {
			values, err := url.ParseQuery(query)
			if err != nil || !values.Has("name") {
				t.Errorf("%q: query %q, %v", name, query, err)
			}
			got = values.Get("name")
		}
		if got != name {
			t.Errorf("%q arrived as %q (%s?%s)", name, got, path, query)
		}
	}
}

// TestSyncRoom checks what is sent for one room, and that an empty name never becomes a sync of all rooms.
func TestSyncRoom(t *testing.T) {
	var sent string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = string(body)
		_, _ = w.Write([]byte(`{"action":"sync","room":"a \"b\"","result":{"synced":1,"errors":0,"cleaned":1}}`))
	})
	answer, err := c.SyncRoom(t.Context(), `a "b"`, ActionOptions{DryRun: true, Force: true})
	if err != nil || answer.Room != `a "b"` || answer.Result.Cleaned != 1 || sent != `{"action":"sync","dryRun":true,"force":true,"room":"a \"b\""}` {
		t.Errorf("sent %s, got %+v, %v", sent, answer, err)
	}
	sent = ""
	if _, err := c.SyncRoom(t.Context(), "", ActionOptions{}); err == nil || sent != "" {
		t.Errorf("an empty name: sent %q, %v", sent, err)
	}
}

func TestErrors(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "4")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":"no leader"}`))
	})
	_, err := c.Sync(t.Context(), ActionOptions{})
	var refused *Error
	if !errors.As(err, &refused) || refused.Status != 503 || refused.RetryAfter != 4*time.Second || err.Error() != "HTTP 503: no leader" {
		t.Errorf("%v", err)
	}
	for _, err := range c.Rooms(t.Context(), RoomsQuery{}) {
		if !errors.As(err, &refused) {
			t.Errorf("rooms: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.StopService(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	if _, err := c.Cleanup(t.Context(), ActionOptions{}); !errors.Is(err, ErrNotRollcall) {
		t.Errorf("not JSON: %v", err)
	}
}

// everyAction calls everything that changes something.
func everyAction(t *testing.T, c *Client) map[string]error {
	ctx, all := t.Context(), map[string]error{}
	_, all["sync"] = c.Sync(ctx, ActionOptions{Force: true})
	_, all["sync of a room"] = c.SyncRoom(ctx, "r", ActionOptions{})
	_, all["cleanup"] = c.Cleanup(ctx, ActionOptions{})
	_, all["full sync"] = c.FullSync(ctx, ActionOptions{})
	_, all["start"] = c.StartService(ctx)
	_, all["stop"] = c.StopService(ctx)
	_, all["remove"] = c.RemoveNode(ctx, "n2")
	_, all["reload"] = c.Reload(ctx)
	return all
}

// TestActionsAreNotRedirected checks that no action becomes a GET, whose answer would look like a success. What only reads follows redirects.
func TestActionsAreNotRedirected(t *testing.T) {
	status := http.StatusMovedPermanently
	var methods []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		if !strings.HasPrefix(r.URL.Path, "/there") {
			w.Header().Set("Location", "/there"+r.URL.Path)
			w.WriteHeader(status)
			return
		}
		_, _ = w.Write([]byte(`{"timestamp":"2026-11-28T00:00:00Z","syncServiceRunning":true}`))
	})
	for _, status = range []int{301, 302, 303, 307, 308} {
		for name, err := range everyAction(t, c) {
			var refused *Error
			if !errors.As(err, &refused) || refused.Status != status || !strings.HasPrefix(refused.Location, "/there/") {
				t.Errorf("%s, %d: %v", name, status, err)
			}
		}
		if slices.Contains(methods, http.MethodGet) {
			t.Errorf("%d: the requests are %q", status, methods)
		}
		if _, err := c.Status(t.Context()); err != nil {
			t.Errorf("%d: a reading request: %v", status, err)
		}
		methods = nil
	}
}

// TestAnotherAnswerIsNoSuccess checks that only the answer of an action is its success.
func TestAnotherAnswerIsNoSuccess(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"timestamp":"2026-11-28T00:00:00Z","action":"other"}`))
	})
	for name, err := range everyAction(t, c) {
		if !errors.Is(err, ErrNotRollcall) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRoomsSaysWhatIsMissing checks that a list that lacks a shard ends with ErrIncomplete, after the rooms of all pages.
func TestRoomsSaysWhatIsMissing(t *testing.T) {
	for _, first := range []string{`,"incomplete":true`, ``} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("cursor") == "" {
				_, _ = w.Write([]byte(`{"rooms":[{"roomName":"a"}],"nextCursor":"c"` + first + `}`))
				return
			}
			_, _ = w.Write([]byte(`{"rooms":[{"roomName":"b"}]}`))
		})
		n, last := 0, error(nil)
		for _, err := range c.Rooms(t.Context(), RoomsQuery{}) {
			if last = err; err == nil {
				n++
			}
		}
		if n != 2 || errors.Is(last, ErrIncomplete) != (first != "") {
			t.Errorf("%d rooms, then %v", n, last)
		}
	}
}

// TestRoomsStops checks that no page is requested that nobody needs.
func TestRoomsStops(t *testing.T) {
	pages := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		pages++
		_, _ = w.Write([]byte(`{"rooms":[{"roomName":"a"},{"roomName":"b"}],"nextCursor":"` + strings.Repeat("c", pages) + `"}`))
	})
	var names []string
	for room, err := range c.Rooms(t.Context(), RoomsQuery{PageSize: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		if names = append(names, room.RoomName); len(names) == 3 {
			break
		}
	}
	if pages != 2 || len(names) != 3 {
		t.Errorf("%d pages, %q", pages, names)
	}
}

func TestStatusReadsBothIntervals(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"syncServiceRunning":true,"timestamp":"2026-11-23T10:44:30.000Z","syncInterval":30000,"cleanupInterval":"5m0s"}`))
	})
	s, err := c.Status(t.Context())
	if err != nil || time.Duration(s.SyncInterval) != 30*time.Second || time.Duration(s.CleanupInterval) != 5*time.Minute {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestReady(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		good   func(error) bool
	}{
		{200, `{"status":"ready"}`, func(err error) bool { return err == nil }},
		{200, `{"status":"ok"}`, func(err error) bool { return errors.Is(err, ErrNotRollcall) }},
		{200, `ready`, func(err error) bool { return errors.Is(err, ErrNotRollcall) }},
		{503, `{"error":"Draining"}`, func(err error) bool {
			var refused *Error
			return errors.As(err, &refused) && refused.Status == 503 && refused.Message == "Draining"
		}},
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/readyz" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		})
		if err := c.Ready(t.Context()); !tt.good(err) {
			t.Errorf("%d %s: %v", tt.status, tt.body, err)
		}
	}
}
