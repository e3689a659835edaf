package attack

import (
	"net/http"
	"strings"
	"testing"
)

// TestLoopbackRule checks that without an admin token only local programs are admitted without a token: no page of another
// origin, no rebound name and no proxy passes for one.
func TestLoopbackRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAdmin: true, flags: []string{"--cors-origins=https://app.example.org"}})
	w.people("mine", "ada")
	_, port, _ := strings.Cut(w.Addr, ":")
	if err := w.get("/api/rooms", "").is(200); err != nil {
		t.Fatalf("a local program: %v", err)
	}
	rows := map[string]http.Header{
		"a rebound name":                  {"Host": {"evil.example.org:" + port}},
		"a name that begins as localhost": {"Host": {"localhost.evil.example.org"}},
		"a name that ends as localhost":   {"Host": {"evil.localhost:" + port}},
		"an address in another notation":  {"Host": {"0x7f000001"}},
		"the address of all interfaces":   {"Host": {"0.0.0.0:" + port}},
		"a name with a user":              {"Host": {"localhost@evil.example.org"}},
		"a page of another origin":        {"Origin": {"https://evil.example.org"}},
		"a page of another local port":    {"Origin": {"http://127.0.0.1:1"}},
		"a listed origin":                 {"Origin": {"https://app.example.org"}},
		"a page without an origin":        {"Origin": {"null"}},
		"an empty origin":                 {"Origin": {""}},
		"two origins":                     {"Origin": {"http://" + w.Addr, "https://evil.example.org"}},
		"cross-site":                      {"Sec-Fetch-Site": {"cross-site"}},
		"same-site":                       {"Sec-Fetch-Site": {"same-site"}},
		"an unknown site":                 {"Sec-Fetch-Site": {"x"}},
		"a token that is wrong":           {"Authorization": {"Bearer nonsense"}},
		"an empty token":                  {"Authorization": {""}},
	}
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Anything", "X-Real-Ip",
		"Cf-Connecting-Ip", "True-Client-Ip", "x-forwarded-for", "X-REAL-IP", "CF-Connecting-IP"} {
		rows["a proxy's "+name] = http.Header{name: {"127.0.0.1"}}
	}
	w.unchanged(t, func() {
		for name, header := range rows {
			if err := w.ask(http.MethodGet, "/api/rooms", "", "", header.Clone()).is(401, 400); err != nil {
				t.Errorf("%s: read: %v", name, err)
			}
			for _, body := range []string{`{"action":"stop-service"}`, `{"action":"cleanup"}`} {
				if err := w.ask(http.MethodPost, "/api/sync-rooms", "", body, header.Clone()).is(401, 403, 400); err != nil {
					t.Errorf("%s: act: %v", name, err)
				}
			}
		}
	})
}

// TestCrossSiteActions checks that requests that a browser can send without a preflight change nothing, even with the admin's
// token, and that preflights succeed for listed origins only.
func TestCrossSiteActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{flags: []string{"--cors-origins=https://app.example.org"}})
	w.people("mine", "ada")
	w.unchanged(t, func() {
		for _, origin := range []string{"https://evil.example.org", "null", "https://app.example.org.evil.example.org", "http://app.example.org",
			"https://app.example.org:444", "https://APP.example.org@evil.example.org", "https://app.example.org, https://evil.example.org"} {
			for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"} {
				a := w.ask(http.MethodPost, "/api/sync-rooms", adminToken, `{"action":"stop-service"}`, http.Header{"Origin": {origin}, "Content-Type": {kind},
					"Cookie": {"token=" + adminToken}})
				if err := a.is(403); err != nil || a.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s, %s: %v %v", origin, kind, err, a.header)
				}
			}
			a := w.ask(http.MethodOptions, "/api/sync-rooms", "", "", http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"},
				"Access-Control-Request-Headers": {"authorization"}, "Access-Control-Request-Private-Network": {"true"}})
			for name := range a.header {
				if strings.HasPrefix(name, "Access-Control-Allow") {
					t.Errorf("a preflight of %s: %v", origin, a.header)
				}
			}
		}
		for _, header := range []http.Header{{"Cookie": {"Authorization=Bearer " + adminToken}}, {"X-Api-Key": {adminToken}}, {"Proxy-Authorization": {"Bearer " + adminToken}}} {
			if err := w.ask(http.MethodPost, "/api/sync-rooms?token="+adminToken, "", `{"action":"stop-service"}`, header).is(401); err != nil {
				t.Errorf("%v: %v", header, err)
			}
		}
	})
	listed := w.ask(http.MethodGet, "/api/rooms", adminToken, "", http.Header{"Origin": {"https://app.example.org"}})
	if listed.header.Get("Access-Control-Allow-Origin") != "https://app.example.org" || listed.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the listed origin: %v", listed.header)
	}
}
