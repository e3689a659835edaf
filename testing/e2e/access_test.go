package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"

	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

// token returns a LiveKit access token with that grant.
func token(t *testing.T, secret string, grant auth.VideoGrant) string {
	t.Helper()
	raw, err := auth.NewAccessToken(livekittest.Key, secret).SetVideoGrant(&grant).SetValidFor(time.Hour).ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// asks sends one request of each kind and returns the statuses: read all, read the room, act.
func (w *world) asks(header http.Header) [3]int {
	w.t.Helper()
	if header["Authorization"] == nil {
		header["Authorization"] = nil // not the admin token, which request would add
	}
	return [3]int{
		w.request(http.MethodGet, "/api/check-match", nil, header).status,
		w.request(http.MethodGet, "/api/rooms/mine", nil, header).status,
		w.request(http.MethodPost, syncPath, []byte(`{"action":"start-service"}`), header).status,
	}
}

type access struct {
	who    string
	header http.Header
	want   [3]int
}

func (w *world) allows(rows []access) {
	w.t.Helper()
	for _, c := range rows {
		if got := w.asks(c.header); got != c.want {
			w.t.Errorf("%s: read all, read the room, act: %v, want %v", c.who, got, c.want)
		}
	}
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// tokenRows are the cases that are the same with and without an admin token.
func tokenRows(t *testing.T) []access {
	secret := livekittest.Secret
	return []access{
		{"roomList", bearer(token(t, secret, auth.VideoGrant{RoomList: true})), [3]int{200, 200, 403}},
		{"roomAdmin and roomList", bearer(token(t, secret, auth.VideoGrant{RoomAdmin: true, RoomList: true})), [3]int{200, 200, 200}},
		{"roomAdmin and roomList with a room", bearer(token(t, secret, auth.VideoGrant{RoomAdmin: true, RoomList: true, Room: "mine"})), [3]int{200, 200, 403}},
		{"roomAdmin of the room", bearer(token(t, secret, auth.VideoGrant{RoomAdmin: true, Room: "mine"})), [3]int{403, 200, 403}},
		{"roomAdmin of another room", bearer(token(t, secret, auth.VideoGrant{RoomAdmin: true, Room: "other"})), [3]int{403, 403, 403}},
		{"roomAdmin without a room", bearer(token(t, secret, auth.VideoGrant{RoomAdmin: true})), [3]int{403, 403, 403}},
		{"a participant", bearer(token(t, secret, auth.VideoGrant{RoomJoin: true, Room: "mine"})), [3]int{403, 403, 403}},
		{"another secret", bearer(token(t, "another-secret-of-at-least-32-characters", auth.VideoGrant{RoomList: true})), [3]int{401, 401, 401}},
		{"nonsense", bearer("nonsense"), [3]int{401, 401, 401}},
		{"Basic", http.Header{"Authorization": {"Basic YTpi"}}, [3]int{401, 401, 401}},
	}
}

// TestAccess checks that without an admin token, programs on this machine may do everything, and everyone else needs a LiveKit
// token.
func TestAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.create(t, "mine")
	w.converges()
	w.allows(tokenRows(t))
	all, none := [3]int{200, 200, 200}, [3]int{401, 401, 401}
	w.allows([]access{
		{"loopback", http.Header{}, all},
		{"a proxy on loopback", http.Header{"X-Forwarded-For": {"203.0.113.9"}}, none},
		{"a proxy's other header", http.Header{"X-Forwarded-Proto": {"https"}}, none},
		{"a proxy's standard header", http.Header{"Forwarded": {"for=203.0.113.9"}}, none},
		{"a page of another origin", http.Header{"Origin": {"https://example.org"}}, [3]int{401, 401, 403}},
		{"our own page", http.Header{"Origin": {w.URL()}}, all},
	})
	w.rebound(none)
	w.openPaths(http.Header{"X-Forwarded-For": {"203.0.113.9"}}, http.StatusUnauthorized)
}

// rebound checks that a foreign name that points to this machine is not treated as this machine.
func (w *world) rebound(want [3]int) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, w.URL()+"/api/check-match", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = "evil.example.org"
	resp, err := httpClient().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != want[0] {
		w.t.Errorf("a rebound Host: %d, want %d", resp.StatusCode, want[0])
	}
}

// openPaths checks the paths that need no authorisation, and /metrics, whose status is given.
func (w *world) openPaths(header http.Header, metrics int) {
	w.t.Helper()
	header["Authorization"] = nil
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/version": 200, "/": 200, "/openapi.yaml": 200, "/metrics": metrics} {
		if a := w.request(http.MethodGet, path, nil, header); a.status != want {
			w.t.Errorf("%s without a token: %d, want %d", path, a.status, want)
		}
	}
}

// TestAdminToken checks that where an admin token is set, programs on this machine need a token like everyone else.
func TestAdminToken(t *testing.T) {
	t.Parallel()
	const secret = "the-admin-token-that-must-not-leak"
	w := newWorld(t, options{adminToken: secret, flags: []string{"--metrics-public"}})
	w.create(t, "mine")
	w.converges()
	w.allows(tokenRows(t))
	w.allows([]access{
		{"the admin token", bearer(secret), [3]int{200, 200, 200}},
		{"the admin token through a proxy", http.Header{"Authorization": {"bearer " + secret}, "X-Forwarded-For": {"203.0.113.9"}}, [3]int{200, 200, 200}},
		{"a part of it", bearer(secret[:10]), [3]int{401, 401, 401}},
		{"no token", http.Header{}, [3]int{401, 401, 401}},
	})
	w.openPaths(http.Header{}, http.StatusOK)
}
