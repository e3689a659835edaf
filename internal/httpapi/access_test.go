package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/reconcile"
)

func from(peer, host string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr, r.Host = peer, host }
}

func TestTokens(t *testing.T) {
	grants := map[string]reconcile.Grant{
		"reader":         {RoomList: true},
		"operator":       {RoomList: true, RoomAdmin: true},
		"room-operator":  {RoomList: true, RoomAdmin: true, Room: "mine"},
		"moderator":      {RoomAdmin: true, Room: "mine"},
		"admin-only":     {RoomAdmin: true},
		"only-a-room":    {Room: "mine"},
		"nothing-at-all": {},
	}
	const list, match, status = "GET /api/rooms", "GET /api/check-match", "GET /api/sync-rooms"
	const mine, other, do, metrics = "GET /api/rooms/mine", "GET /api/rooms?name=other", "POST /api/sync-rooms", "GET /metrics"
	const myPast, myLiveKit, myEvents = "GET /api/rooms/mine/timeline", "GET /api/rooms/livekit?name=mine", "HEAD /api/events?room=mine"
	const otherPast, otherLiveKit, otherEvents = "GET /api/rooms/timeline?name=other", "GET /api/rooms/other/livekit", "HEAD /api/events?room=other"
	const doRoom = "POST /api/sync-rooms?" // of one room
	const drift, stats, events, cluster = "GET /api/drift", "GET /api/stats", "HEAD /api/events", "GET /api/cluster"
	own := []string{mine, myPast, myLiveKit, myEvents}
	reads := append([]string{list, match, status, other, metrics, otherPast, otherLiveKit, otherEvents, drift, stats, events, cluster}, own...)
	all := append([]string{do, doRoom}, reads...)
	allowed := map[string][]string{adminToken: all, "reader": reads, "operator": all, "room-operator": reads,
		"moderator": own, "admin-only": {}, "only-a-room": {}, "nothing-at-all": {}, "forged": {}}
	for _, withAdmin := range []bool{true, false} {
		n := &node{grants: grants}
		n.put("mine", `[]`, `{}`)
		n.put("other", `[]`, `{}`)
		r := newRig(t, n, func(c *Config) {
			if withAdmin {
				c.AdminToken = adminToken
			}
		})
		for token, may := range allowed {
			if token == adminToken && !withAdmin {
				may = nil
			}
			for _, call := range all {
				method, target, _ := strings.Cut(call, " ")
				body := `{"action":"sync"}`
				if call == doRoom {
					body = `{"action":"sync","room":"mine"}`
				}
				w := r.ask(method, target, body, header("Authorization", "bearer "+token))
				status := http.StatusForbidden
				if _, known := grants[token]; !known {
					status = http.StatusUnauthorized
				}
				for _, m := range may {
					if m == call {
						status = http.StatusOK
					}
				}
				if w.Code != status || status != http.StatusOK && w.Header().Get("Www-Authenticate") == "" {
					t.Errorf("%s %s, admin token %t: %d, want %d", token, call, withAdmin, w.Code, status)
				}
			}
		}
	}
}

func TestOnThisMachine(t *testing.T) {
	for _, c := range []struct {
		name      string
		read, act int
		tweak     func(*http.Request)
	}{
		{"localhost", 200, 200, from("127.0.0.1:1", "localhost:8080")},
		{"another loopback address", 200, 200, from("127.8.9.1:1", "127.0.0.1")},
		{"IPv6", 200, 200, from("[::1]:1", "[::1]:8080")},
		{"IPv6 without a port", 200, 200, from("[::1]:1", "[::1]")},
		{"mapped", 200, 200, from("[::ffff:127.0.0.1]:1", "LOCALHOST")},
		{"own origin", 200, 200, header("Origin", "http://localhost:8080")},
		{"own page", 200, 200, header("Sec-Fetch-Site", "same-origin")},
		{"typed in", 200, 200, header("Sec-Fetch-Site", "none")},
		{"peer elsewhere", 401, 401, from("192.0.2.1:1", "localhost:8080")},
		{"rebound name", 401, 401, from("127.0.0.1:1", "evil.example:8080")},
		{"a name that begins alike", 401, 401, from("127.0.0.1:1", "localhost.evil.example")},
		{"an address that begins alike", 401, 401, from("127.0.0.1:1", "127.0.0.1.evil.example")},
		{"no host", 401, 401, from("127.0.0.1:1", "")},
		{"unix socket", 401, 401, from("@", "localhost")},
		{"Forwarded", 401, 401, header("Forwarded", "for=192.0.2.1")},
		{"X-Forwarded-For", 401, 401, header("X-Forwarded-For", "127.0.0.1")},
		{"X-Forwarded-Proto", 401, 401, header("X-Forwarded-Proto", "https")},
		{"Via", 401, 401, header("Via", "127.0.0.1")},
		{"CF-Connecting-IP", 401, 401, header("CF-Connecting-IP", "127.0.0.1")},
		{"CF-Ray", 401, 401, header("CF-Ray", "127.0.0.1")},
		{"True-Client-IP", 401, 401, header("True-Client-IP", "127.0.0.1")},
		{"X-Client-IP", 401, 401, header("X-Client-IP", "127.0.0.1")},
		{"X-Cluster-Client-IP", 401, 401, header("X-Cluster-Client-IP", "127.0.0.1")},
		{"Fastly-Client-IP", 401, 401, header("Fastly-Client-IP", "127.0.0.1")},
		{"X-Original-Forwarded-For", 401, 401, header("X-Original-Forwarded-For", "127.0.0.1")},
		{"X-Original-URL", 401, 401, header("X-Original-URL", "127.0.0.1")},
		{"X-Envoy-External-Address", 401, 401, header("X-Envoy-External-Address", "127.0.0.1")},
		{"Forwarded-For", 401, 401, header("Forwarded-For", "127.0.0.1")},
		{"Client-IP", 401, 401, header("Client-IP", "127.0.0.1")},
		{"X-Real-IP", 401, 401, header("X-Real-IP", "127.0.0.1")},
		{"Forwarded", 401, 401, header("Forwarded", "127.0.0.1")},
		{"X-Forwarded", 401, 401, header("X-Forwarded", "127.0.0.1")},
		{"Tailscale-User-Login", 401, 401, header("Tailscale-User-Login", "127.0.0.1")},
		{"X-Amzn-Trace-Id", 401, 401, header("X-Amzn-Trace-Id", "127.0.0.1")},
		{"X-Azure-ClientIP", 401, 401, header("X-Azure-ClientIP", "127.0.0.1")},
		{"Ngrok-Skip-Browser-Warning", 401, 401, header("Ngrok-Skip-Browser-Warning", "127.0.0.1")},
		{"Cdn-Loop", 401, 401, header("Cdn-Loop", "127.0.0.1")},
		{"Fly-Client-IP", 401, 401, header("Fly-Client-IP", "127.0.0.1")},
		{"X-Real-IP", 401, 401, header("X-Real-IP", "127.0.0.1")},
		{"foreign origin", 401, 403, header("Origin", "http://evil.example")},
		{"other port", 401, 403, header("Origin", "http://localhost:3000")},
		{"null origin", 401, 403, header("Origin", "null")},
		{"empty origin", 401, 403, header("Origin", "")},
		{"foreign page", 401, 403, header("Sec-Fetch-Site", "cross-site")},
		{"sister page", 401, 403, header("Sec-Fetch-Site", "same-site")},
		{"a bad token", 401, 401, header("Authorization", "Bearer forged")},
		{"no scheme", 401, 401, header("Authorization", adminToken)},
		{"basic", 401, 401, header("Authorization", "Basic YTpi")},
		{"two tokens", 401, 401, func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer a", "Bearer b"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, &node{}, nil)
			if w := r.ask("GET", "/api/rooms", "", c.tweak); w.Code != c.read {
				t.Errorf("a read: %d, want %d", w.Code, c.read)
			}
			if w := r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`, c.tweak); w.Code != c.act {
				t.Errorf("an action: %d, want %d", w.Code, c.act)
			}
			withAdmin := newRig(t, &node{}, func(cfg *Config) { cfg.AdminToken = adminToken })
			if w := withAdmin.ask("GET", "/api/rooms", "", c.tweak); w.Code != 401 {
				t.Errorf("with an admin token set nobody is exempt: %d", w.Code)
			}
		})
	}
}

func TestForeignPagesCannotAct(t *testing.T) {
	r := newRig(t, &node{}, func(c *Config) { c.AdminToken = adminToken })
	token := header("Authorization", "Bearer "+adminToken)
	for _, tweak := range []func(*http.Request){header("Origin", "https://evil.example"), header("Sec-Fetch-Site", "cross-site")} {
		want(t, r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`, token, tweak), 403, `{"error":"Requests from other origins are refused"}`)
	}
	if w := r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`, token, header("Origin", "https://localhost:8080")); w.Code != 200 {
		t.Errorf("behind TLS: %d", w.Code)
	}
	if len(r.node.asked) != 1 {
		t.Errorf("done: %q", r.node.asked)
	}
}

func TestOpenEndpoints(t *testing.T) {
	far := from("203.0.113.9:1", "rollcall.example")
	r := newRig(t, &node{}, func(c *Config) { c.AdminToken = adminToken })
	for _, path := range []string{"/", "/livez", "/readyz", "/version", "/openapi.yaml"} {
		if w := r.ask("GET", path, "", far); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := r.ask("GET", "/metrics", "", far); w.Code != 401 {
		t.Errorf("private /metrics: %d", w.Code)
	}
	public := newRig(t, &node{}, func(c *Config) { c.MetricsPublic = true })
	if w := public.ask("GET", "/metrics", "", far); w.Code != 200 || !strings.Contains(w.Body.String(), "rollcall_webhooks_in_flight") {
		t.Errorf("public /metrics: %d", w.Code)
	}
}

// TestRefusalsSayWhatIsMissing checks that a missing token is told from a wrong one, and that a token hears which grants it lacks.
func TestRefusalsSayWhatIsMissing(t *testing.T) {
	grants := map[string]reconcile.Grant{"reader": {RoomList: true}, "participant": {Room: "mine", Identity: "ada"}, "moderator": {RoomAdmin: true, Room: "mine"}}
	r := newRig(t, &node{grants: grants}, func(c *Config) { c.AdminToken = adminToken })
	for _, c := range []struct{ method, target, token, says string }{
		{"GET", "/api/rooms", "", "this node wants a token"},
		{"GET", "/api/rooms", "Bearer forged", "the token is wrong, expired or not valid yet"},
		{"GET", "/api/rooms", "Basic YTpi", "send one Authorization header"},
		{"POST", "/api/sync-rooms", "Bearer reader", "an action needs roomList and roomAdmin, and no room"},
		{"GET", "/api/rooms/mine", "Bearer participant", "it needs roomAdmin with the name of this room, or roomList"},
		{"GET", "/api/rooms/other", "Bearer moderator", "it needs roomAdmin with the name of this room, or roomList"},
		{"GET", "/api/events", "Bearer moderator", "does not allow this: it needs roomList"},
		{"GET", "/api/sync-rooms", "Bearer moderator", "does not allow this: it needs roomList"},
	} {
		w := r.ask(c.method, c.target, "", func(req *http.Request) {
			if c.token != "" {
				req.Header.Set("Authorization", c.token)
			}
		})
		if !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s with %q: %s", c.method, c.target, c.token, w.Body)
		}
	}
}

// TestStatusSaysWhetherTheCallerMayAct is for the page, which offers no buttons that would be refused.
func TestStatusSaysWhetherTheCallerMayAct(t *testing.T) {
	r := newRig(t, &node{grants: map[string]reconcile.Grant{"reader": {RoomList: true}, "operator": {RoomList: true, RoomAdmin: true}}}, nil)
	for token, want := range map[string]string{"": `"mayAct":true`, "Bearer reader": `"mayAct":false`, "Bearer operator": `"mayAct":true`} {
		w := r.ask("GET", "/api/sync-rooms", "", func(req *http.Request) {
			if token != "" {
				req.Header.Set("Authorization", token)
			}
		})
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("with %q: %s", token, w.Body)
		}
	}
}

// TestReadyzSaysWhy checks that the reason is for callers on this machine, also with an admin token, and for those who may read.
func TestReadyzSaysWhy(t *testing.T) {
	const why, no = `{"error":"Not ready: Redis at 10.0.0.7:6379 does not answer"}`, `{"error":"Not ready"}`
	far := from("203.0.113.9:1", "rollcall.example")
	grants := map[string]reconcile.Grant{"reader": {RoomList: true}, "moderator": {RoomAdmin: true, Room: "mine"}}
	r := newRig(t, &node{grants: grants, readyErr: errors.New("Redis at 10.0.0.7:6379 does not answer")}, func(c *Config) { c.AdminToken = adminToken })
	for _, c := range []struct {
		body  string
		tweak []func(*http.Request)
	}{
		{why, nil},
		{no, []func(*http.Request){far}},
		{no, []func(*http.Request){header("X-Forwarded-For", "203.0.113.9")}},
		{no, []func(*http.Request){header("Authorization", "Bearer forged")}},
		{no, []func(*http.Request){far, header("Authorization", "Bearer forged")}},
		{no, []func(*http.Request){far, header("Authorization", "Bearer moderator")}},
		{why, []func(*http.Request){far, header("Authorization", "Bearer reader")}},
		{why, []func(*http.Request){far, header("Authorization", "Bearer "+adminToken)}},
	} {
		want(t, r.ask("GET", "/readyz", "", c.tweak...), 503, c.body)
	}
}
