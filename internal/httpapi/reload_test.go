package httpapi

import (
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/reconcile"
)

func TestReload(t *testing.T) {
	r := newRig(t, &node{grants: map[string]reconcile.Grant{"reader": {RoomList: true}, "operator": {RoomList: true, RoomAdmin: true}}},
		func(c *Config) { c.AdminToken = adminToken })
	admin := header("Authorization", "Bearer "+adminToken)
	for _, body := range []string{`{"dryRun":true}`, `[]`, `null`, `"x"`, `{`, `{} {}`} {
		want(t, r.ask("POST", "/api/reload", body, admin), 400, `{"error":"A reload has no options: send no body, or {}"}`)
	}
	for token, status := range map[string]int{"reader": 403, "forged": 401} {
		if w := r.ask("POST", "/api/reload", "", header("Authorization", "Bearer "+token)); w.Code != status {
			t.Errorf("%s: %d, want %d", token, w.Code, status)
		}
	}
	if len(r.node.asked) != 0 {
		t.Fatalf("done: %q", r.node.asked)
	}
	for _, body := range []string{"", "{}", " {}\n"} {
		w := r.ask("POST", "/api/reload", body, admin)
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"node":"n1","changed":["log-level"],"needRestart":[],"timestamp":"`) {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	}
	if w := r.ask("POST", "/api/reload", "", header("Authorization", "Bearer operator")); w.Code != 200 {
		t.Errorf("an operator's token: %d", w.Code)
	}
	r.node.actErr = Refused{"--sync-interval: wrong"}
	want(t, r.ask("POST", "/api/reload", "", admin), 409, `{"error":"--sync-interval: wrong"}`)
}

// TestReloadTakesTheNextAdminToken checks that the token that a reload will set may ask for that reload, and for nothing else.
func TestReloadTakesTheNextAdminToken(t *testing.T) {
	r := newRig(t, &node{nextToken: "the-next-admin-token"}, func(c *Config) { c.AdminToken = adminToken })
	status := func(method, path, body, token string) int {
		return r.ask(method, path, body, header("Authorization", "Bearer "+token)).Code
	}
	if got := status("POST", "/api/reload", "", "the-next-admin-token"); got != 200 {
		t.Errorf("a reload with the next token: %d", got)
	}
	r.node.asked = nil
	for _, refused := range []int{status("GET", "/api/rooms", "", "the-next-admin-token"), status("POST", "/api/sync-rooms", `{"action":"sync"}`, "the-next-admin-token"),
		status("POST", "/api/cluster", `{"remove":"n2"}`, "the-next-admin-token"), status("POST", "/api/reload", "", "another-token")} {
		if refused != 401 {
			t.Errorf("%d, want 401", refused)
		}
	}
	r.node.nextToken = ""
	if got := r.ask("POST", "/api/reload", "", header("Authorization", "Bearer ")).Code; got != 401 || len(r.node.asked) != 0 {
		t.Errorf("no next token: %d, done %q", got, r.node.asked)
	}
}

// TestANewAccess checks that the old admin token ends with SetAccess, and that the new one and the new origins count.
func TestANewAccess(t *testing.T) {
	r := newRig(t, &node{}, func(c *Config) { c.AdminToken, c.CORSOrigins = adminToken, []string{"https://a.example"} })
	check := func(token, origin string, status int, allowed bool) {
		t.Helper()
		w := r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`, header("Authorization", "Bearer "+token), header("Origin", origin))
		if w.Code != status || (w.Header().Get("Access-Control-Allow-Origin") == origin) != allowed {
			t.Errorf("%s from %s: %d, want %d; %v", token, origin, w.Code, status, w.Header())
		}
	}
	check(adminToken, "https://a.example", 200, true)
	check(adminToken, "https://b.example", 403, false)
	r.SetAccess("another-token", []string{"https://b.example"})
	check(adminToken, "https://b.example", 401, true)
	check("another-token", "https://a.example", 403, false)
	check("another-token", "https://b.example", 200, true)
	r.SetAccess("", nil)
	check("another-token", "https://b.example", 403, false)
	if w := r.ask("GET", "/api/rooms", ""); w.Code != 200 {
		t.Errorf("without an admin token, a program on this machine: %d", w.Code)
	}
}
